"""What is needed to do a run again, as values that JSON can hold."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_diffseg._version import __version__
from napari_diffseg.core.clusters.correction import Painted
from napari_diffseg.image.fill import fill_in_words
from napari_diffseg.parameters import Scalar

if TYPE_CHECKING:
    from napari_diffseg.core.result import Segmentation

Facts = dict[str, Scalar | dict[str, Scalar]]


def provenance_of(result: Segmentation, *, for_model: bool = False) -> Facts:
    """Return the facts; for its model without those that it has elsewhere, or no two runs share."""
    inputs: Facts = {
        "params": result.params.to_dict(),
        "axes": result.axes.axes,
        "rgb": result.axes.rgb,
    }
    outcome: Facts = {}
    if not for_model:
        outcome = {"n_labels": result.n_labels, "seconds": round(result.seconds, 3)}
    return {
        "program": "napari-diffseg",
        "version": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "preset": result.params.preset,
        **({} if for_model else inputs),
        "fill": fill_in_words(result.model.fill),
        "device": result.device,
        "threads": result.threads,
        "iterations": len(result.history),
        "stop_reason": result.stop_reason.value,
        **outcome,
        **_painted(result),
    }


def _painted(result: Segmentation) -> dict[str, Scalar]:
    painted: dict[str, Scalar] = {}
    if result.scribbles is not None:
        images = [Painted(result.ground, result.scribbles), *result.references]
        painted["painted_classes"] = " ".join(map(str, result.painted_classes))
        painted["painted_pixels"] = sum(
            int(np.count_nonzero(one.scribbles.painted)) for one in images
        )
    if result.references:
        painted["reference_images"] = 1 + len(result.references)
    return painted
