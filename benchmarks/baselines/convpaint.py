"""napari-convpaint, called from Python as its widget calls it: features, then CatBoost."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.baselines.ilastik import provide_fastfilters
from benchmarks.baselines.scribbles import keep_painted

Labels = NDArray[np.integer]


def convpaint(
    pixels: NDArray[np.generic], scribbles: Labels, alias: str, scalings: Sequence[int] = (1,)
) -> Labels:
    """Spread scribbles by one of its feature extractors, at some scales."""
    provide_fastfilters()
    provide_operators()
    from napari_convpaint.convpaint_model import ConvpaintModel

    model = ConvpaintModel(alias=alias)
    is_color = pixels.ndim == 3
    model.set_params(channel_mode="multi" if is_color else "single", fe_scalings=list(scalings))
    image = np.moveaxis(pixels, -1, 0) if is_color else pixels
    model.train(image, scribbles)
    return keep_painted(model.segment(image), scribbles)


def provide_operators() -> None:
    """Have torchvision imported beside a CPU build of torch.

    Its wheel may be for another build: then its compiled part does not load, and the import fails
    for want of two operators, which none of the extractors here uses.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [one for one in sys.modules if one.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor a, Tensor b, float c) -> Tensor")
