"""What strokes give that are painted where the result is least sure, against strokes anywhere.

Micrographs of ``micro2d`` and slices of ``em_isbi2012``, with a few strokes that
`benchmarks.painted_share` makes of the ground truth. Then one small disc after the other, of the
true class: at the most doubtful pixel of the region that *Go to most uncertain* goes to, or at a
pixel chosen at random. Foreground IoU after each, mean of the images::

    python -m benchmarks.next_stroke --data DIR
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.datasets import class_iou
from benchmarks.machine import merge_results
from benchmarks.painted_share import painted_share
from benchmarks.scribbles import every_micrograph
from napari_diffseg import RunOptions, Segmentation, segment
from napari_diffseg.core.doubt import most_uncertain_region

EFFORTS = (0.0003, 0.001)
"""Fraction of the pixels that is painted before the discs."""

N_DISCS = 6
RADIUS = 3

Labels = NDArray[np.integer]
Place = Callable[[Segmentation, Labels], tuple[int, int]]


def at_the_doubtful(result: Segmentation, painted: Labels) -> tuple[int, int]:
    """Return the most doubtful pixel of the region that the window would go to."""
    region = most_uncertain_region(result.uncertainty, painted)
    if region is None:
        return anywhere(result, painted)
    left = np.where(painted[region] > 0, -1, result.uncertainty[region])
    y, x = np.unravel_index(int(left.argmax()), left.shape)
    return int(y) + region[0].start, int(x) + region[1].start


def anywhere(result: Segmentation, painted: Labels) -> tuple[int, int]:
    """Return a pixel without paint, chosen at random."""
    free = np.argwhere(painted == 0)
    y, x = free[np.random.default_rng(int((painted > 0).sum())).integers(len(free))]
    return int(y), int(x)


PLACES: dict[str, Place] = {"where it is least sure": at_the_doubtful, "anywhere": anywhere}


def ious_by_disc(result: Segmentation, painted: Labels, truth: Labels, place: Place) -> list[float]:
    """Return the foreground IoU before the discs and after each of them."""
    options = RunOptions(threads=1)
    ious = [class_iou(result.labels, truth, 2)]
    rows, columns = np.indices(truth.shape)
    for _ in range(N_DISCS):
        y, x = place(result, painted)
        disc = (rows - y) ** 2 + (columns - x) ** 2 <= RADIUS**2
        painted = np.where(disc & (truth == truth[y, x]), truth, painted)
        result = result.correct(painted, options=options)
        ious.append(class_iou(result.labels, truth, 2))
    return ious


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/next_stroke.md`` and ``.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--every", type=int, default=1, help="a stride of images")
    options = parser.parse_args(arguments)
    found: dict[tuple[float, str], list[list[float]]] = {}
    for image in islice(every_micrograph(options.data), 0, None, options.every):
        truth = np.where(image.foreground, 2, 1)
        axes = "YXC" if image.pixels.ndim == 3 else "YX"
        for effort in EFFORTS:
            painted = painted_share(truth, effort)
            with threadpool_limits(1):
                first = segment(image.pixels, axes=axes, scribbles=painted)
                for name, place in PLACES.items():
                    ious = ious_by_disc(first, painted, truth, place)
                    found.setdefault((effort, name), []).append(ious)
        print(image.name, file=sys.stderr)
    rows = [
        {
            "painted before": f"{effort:.2%}",
            "discs": name,
            "images": len(ious),
            **{f"after {n}": f"{iou:.3f}" for n, iou in enumerate(np.mean(ious, axis=0))},
        }
        for (effort, name), ious in found.items()
    ]
    tables = {"Foreground IoU after so many discs": rows}
    merge_results("next_stroke", tables, key=("painted before", "discs"))


if __name__ == "__main__":
    main()
