"""The published method with scribbles, on a small copy of the image: in full it takes hours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize
from skimage.util import img_as_ubyte

from benchmarks.baselines.scribbles import keep_painted, shrunk_scribbles
from napari_diffseg import RunOptions, SegmentationParams, segment

Labels = NDArray[np.integer]


def shrunk_paper_preset(
    pixels: NDArray[np.uint8],
    scribbles: Labels,
    side: int = 160,
    n_iterations: int = 100,
) -> Labels:
    """Train by the ``paper`` preset on the image shrunk to ``side`` pixels, for fewer iterations.

    The labels are enlarged to the image's size again, and painted pixels keep their label.
    Every pixel goes to a painted class: as published it may also go to a cluster that
    no scribble claims, which would count as wrong.
    """
    shape = scribbles.shape
    small = tuple(max(1, round(length * side / max(shape))) for length in shape)
    # A pixel of the small image stands for all those of the large one that come to lie on it.
    places = np.ix_(*(np.arange(n) * m // n for n, m in zip(shape, small, strict=True)))
    image = img_as_ubyte(resize(pixels, small, anti_aliasing=True))
    result = segment(
        image,
        axes="YXC" if pixels.ndim == 3 else "YX",
        scribbles=shrunk_scribbles(scribbles, small, places),
        params=SegmentationParams.paper(n_iterations=n_iterations, only_painted="yes"),
        options=RunOptions(threads=1),
    )
    return keep_painted(result.labels[places], scribbles)
