"""napari-convpaint, called from Python as its widget calls it: features, then CatBoost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.baselines.ilastik import provide_fastfilters
from benchmarks.baselines.scribbles import keep_painted

Labels = NDArray[np.integer]


def convpaint(
    pixels: NDArray[np.generic], scribbles: Labels, alias: str, scalings: Sequence[int] = (1,)
) -> Labels:
    """Spread scribbles by one of its feature extractors, at some scales."""
    provide_fastfilters()
    from napari_convpaint.convpaint_model import ConvpaintModel

    model = ConvpaintModel(alias=alias)
    is_color = pixels.ndim == 3
    model.set_params(channel_mode="multi" if is_color else "single", fe_scalings=list(scalings))
    image = np.moveaxis(pixels, -1, 0) if is_color else pixels
    model.train(image, scribbles)
    return keep_painted(model.segment(image), scribbles)
