"""A few steps of training on a frame, from weights that were trained on others.

The network's clusters keep their indices, because the steps start from its own answers: so
labels keep their numbers. How far that holds is measured, not promised.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import torch

from napari_diffseg.core.inference import calibrate
from napari_diffseg.core.network import FeatureClusteringNet
from napari_diffseg.core.partition import count_valid
from napari_diffseg.core.plane import Plane
from napari_diffseg.core.reading import sample_windows
from napari_diffseg.core.sampling import training_windows
from napari_diffseg.core.steps import result_of
from napari_diffseg.core.training import train
from napari_diffseg.errors import InputError
from napari_diffseg.params import ApplyParams, SegmentationParams

_LEAST_PIXELS = 2  # one alone has no spread, by which batch norm divides


def adapted_network(
    network: FeatureClusteringNet,
    plane: Plane,
    params: SegmentationParams,
    wanted: ApplyParams,
    device: torch.device,
    *,
    rgb: bool,
) -> FeatureClusteringNet:
    """Return a copy of the network that was trained a little on a plane.

    Parameters
    ----------
    network : FeatureClusteringNet
        On the CPU; it stays as it is.
    plane : Plane
        The frame, with the model's first stage.
    params : SegmentationParams
        Those of the model.
    wanted : ApplyParams
        How many steps.
    device : torch.device
        Where it is trained.
    rgb : bool
        Whether the image is red, green, blue.

    Returns
    -------
    FeatureClusteringNet
        On the CPU, its statistics those of the plane.

    Raises
    ------
    InputError
        Too few pixels of the plane are finite.
    """
    adapted = copy.deepcopy(network).to(device)
    windows = training_windows(plane.pixels, plane.valid, params.patch_size, space=plane.space)
    n_finite = sum(count_valid(plane.valid, window) for window in windows)
    if n_finite < _LEAST_PIXELS:
        raise InputError(
            f"The image has too few finite pixels ({n_finite}) to adapt the model to; choose "
            "another image, or apply the model without steps of adaptation."
        )
    inputs = np.stack([plane.inputs(window) for window in windows])
    sample = sample_windows([plane], [inputs], [windows], params, rgb, device)
    # As many labels as come: a frame may show less than the training images did.
    brief = replace(params, n_iterations=wanted.adapt_steps, min_labels=1)
    generator = torch.Generator().manual_seed(params.seed)
    result_of(train(adapted, sample, brief, generator))
    calibrate(adapted, sample.inputs, sample.valid)
    return adapted.to("cpu")
