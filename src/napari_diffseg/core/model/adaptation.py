"""A few steps of learning on a frame, from what was learned on others.

Clusters keep their indices, because the steps start from the model's own answers: so labels
keep their numbers. How far that holds is measured, not promised.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_diffseg.core.clusters.clustering import learn_clusters
from napari_diffseg.core.generators import result_of
from napari_diffseg.core.plane import Plane
from napari_diffseg.core.published.clustering_net import FeatureClusteringNet
from napari_diffseg.core.published.inference import calibrate
from napari_diffseg.core.published.sample import Sample
from napari_diffseg.core.published.training import train
from napari_diffseg.core.sampling import sample_places, training_windows
from napari_diffseg.errors import InputError
from napari_diffseg.params import SegmentationParams

if TYPE_CHECKING:
    from napari_diffseg.core.model.model import Model

_LEAST_PIXELS = 2  # one alone has no spread, by which batch norm divides


def adapted(model: Model, plane: Plane, n_steps: int, device: torch.device) -> Model:
    """Return a model whose network was trained, or classifier fitted, a little on a plane."""
    n_finite = _LEAST_PIXELS if plane.valid is None else int(np.count_nonzero(plane.valid))
    if n_finite < _LEAST_PIXELS:
        raise InputError(
            f"The image has too few finite pixels ({n_finite}) to adapt the model to; choose "
            "another image, or apply the model without steps of adaptation."
        )
    if model.network is not None:
        return replace(model, network=_trained(model.network, plane, model.params, n_steps, device))
    head, numbers = model.classes or (model.clusters, ())
    maps = [plane.regions(window, device) for window in sample_places(plane.pixels, plane.valid)]
    for fitted, _ in learn_clusters(maps, head, model.params.continuity_weight, n_steps):
        head = fitted
    if model.classes is None:
        return replace(model, head=head)
    return replace(model, classes=(head, numbers))


def _trained(
    network: FeatureClusteringNet,
    plane: Plane,
    params: SegmentationParams,
    n_steps: int,
    device: torch.device,
) -> FeatureClusteringNet:
    """Return a copy of a network on the CPU, trained on a plane, with its statistics."""
    own = copy.deepcopy(network).to(device)
    windows = training_windows(plane.pixels, plane.valid, params.patch_size, space=plane.space)
    sample = Sample.of([plane], [windows], params, rgb=False, device=device)
    # As many labels as come: a frame may show less than the training images did.
    brief = replace(params, n_iterations=n_steps, min_labels=1)
    generator = torch.Generator().manual_seed(params.seed)
    result_of(train(own, sample, brief, generator))
    calibrate(own, sample.inputs, sample.valid)
    return own.to("cpu")
