"""A first look at a large multiscale image: labels of a coarse level, before a fine one is read.

Made in the thread of the run.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.errors import InputError
from napari_diffseg.image.fill import AUTO, Fill
from napari_diffseg.params import RunOptions, SegmentationParams
from napari_diffseg.widgets.image.level import Level, carry_labels

if TYPE_CHECKING:
    from napari_diffseg.core.published.training import Iteration
    from napari_diffseg.widgets.image.image_source import ImageSource


@dataclass(frozen=True, slots=True)
class FirstLook:
    """Where a first look is had."""

    source: ImageSource
    level: Level
    wanted: Level


def look_first(
    look: FirstLook,
    params: SegmentationParams,
    options: RunOptions,
    mask: NDArray[np.bool_] | None = None,
    fill: Fill = AUTO,
) -> Iteration | None:
    """Segment the coarse level until something is to be seen.

    Labels lie on the pixels of the wanted level, within `mask` ``(z) y x``; None without any.
    """
    from napari_diffseg.core.segmentation import segment_steps

    source = look.source
    steps = segment_steps(
        source.pixels(),
        **source.told(),
        fill=fill,
        params=_shrunk(params, look),
        options=options,
    )
    with closing(steps):
        try:
            seen = next((facts for facts in steps if facts.labels is not None), None)
        except InputError:
            # A coarse level may be all of one value; the wanted one says itself what is wrong.
            return None
    if seen is None or seen.labels is None:
        return None
    labels = carry_labels(seen.labels, look.level, look.wanted, source.spatial)
    if mask is not None:
        labels[~mask] = 0
    return replace(seen, labels=labels)


def _shrunk(params: SegmentationParams, look: FirstLook) -> SegmentationParams:
    """Return the parameters for pixels of the coarse level."""
    area = np.prod(
        [look.level.factors[axis] / look.wanted.factors[axis] for axis in look.source.spatial]
    )
    return replace(
        params,
        min_region_size=round(params.min_region_size / area),
    )
