"""How many nuclei are found: classes from a few strokes, made into objects, against the truth.

The images are those of ``micro2d`` whose truth numbers each nucleus. Classes come from
`napari_diffseg.segment` with the strokes that `benchmarks.strokes` makes from the truth, from a
random forest with the same strokes, and from Otsu's threshold; all are made into objects by the
same `napari_diffseg.objects`. *Split touching* is set as a person would who sees how large the
nuclei are: to a share of the median radius of the truth. The truth's own foreground, cut in the
same way, says how well cutting can do at best. AP is TP / (TP + FP + FN) at an IoU of 0.5, a
mean over images; the last table times one plane of 2048² with about 3,000 objects. How wide a
neck may be was chosen on these images, by the last of the four::

    python -m benchmarks.objects --data DIR
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from skimage.color import rgb2gray
from skimage.draw import disk
from skimage.filters import threshold_otsu
from skimage.measure import label
from threadpoolctl import threadpool_limits

from benchmarks.baselines.scribbles import random_forest
from benchmarks.datasets import Nuclei, nuclei
from benchmarks.machine import write_results
from benchmarks.scribbles import EVERY_KIND
from benchmarks.strokes import strokes
from napari_diffseg import RunOptions, measure, objects, segment
from napari_diffseg.instances.splitting import depths

Labels = NDArray[np.integer]

PAINTED = 0.003
"""Fraction of the pixels that strokes are painted on."""
SHARES = (0.0, 0.5, 1.0)
"""What *Split touching* is set to, in radii of a median nucleus; 0 cuts nothing."""
SMALLEST = 0.1
"""The smallest object, in areas of a median nucleus."""


def ours(image: Nuclei) -> Labels:
    """Spread strokes with the default of this package."""
    axes = "YXC" if image.pixels.ndim == 3 else "YX"
    options = RunOptions(threads=1)
    return segment(image.pixels, axes=axes, scribbles=painted(image), options=options).labels


def forest(image: Nuclei) -> Labels:
    """Spread strokes with a random forest."""
    return random_forest(image.pixels, painted(image), kinds=EVERY_KIND, sigma_max=8)


def otsu(image: Nuclei) -> Labels:
    """Cut at Otsu's threshold; in a stained section nuclei are the dark side."""
    gray = rgb2gray(image.pixels) if image.pixels.ndim == 3 else image.pixels
    bright = gray > threshold_otsu(gray)
    return np.where(bright if image.pixels.ndim == 2 else ~bright, 2, 1)


def truth(image: Nuclei) -> Labels:
    """Take the foreground of the truth, in which nuclei that touch are one."""
    return np.where(image.objects > 0, 2, 1)


METHODS: dict[str, Callable[[Nuclei], Labels]] = {
    "ours": ours,
    "random forest": forest,
    "Otsu": otsu,
    "foreground of the truth": truth,
}


def painted(image: Nuclei) -> NDArray[np.uint8]:
    """Paint background (1) and nuclei (2)."""
    return strokes(truth(image), PAINTED)


def average_precision(found: Labels, wanted: Labels) -> float:
    """Return TP / (TP + FP + FN), where a match has an IoU above 0.5.

    Parameters
    ----------
    found, wanted
        ``(y, x)``, the number of each object; 0 elsewhere. 1 where neither has any.
    """
    rows, columns = (np.unique(one, return_inverse=True)[1].ravel() for one in (found, wanted))
    # A row and a column for 0, whether it is there or not.
    rows, columns = rows + (found.min() > 0), columns + (wanted.min() > 0)
    shared = coo_array((np.ones(rows.size), (rows, columns))).tocsr()
    areas, wanted_areas = (np.asarray(shared.sum(axis=axis)).ravel() for axis in (1, 0))
    pairs = shared.tocoo()
    row, column = pairs.coords
    iou = pairs.data / (areas[row] + wanted_areas[column] - pairs.data)
    matches = int(((iou > 0.5) & (row > 0) & (column > 0)).sum())
    n_all = (len(areas) - 1) + (len(wanted_areas) - 1) - matches
    return matches / n_all if n_all else 1.0


def scores(path: str, names: Iterable[str], every: int) -> list[dict[str, Any]]:
    """Return AP and counts for each kind of nuclei, method and share."""
    found: dict[tuple[str, str, float], list[tuple[float, int, int]]] = defaultdict(list)
    for image in list(nuclei(path))[::every]:
        sizes = np.bincount(image.objects.ravel())[1:]
        area = float(np.median(sizes[sizes > 0]))
        radius, n_true = (area / np.pi) ** 0.5, int((sizes > 0).sum())
        for name in names:
            labels = METHODS[name](image)
            for share in SHARES:
                numbers = objects(labels, 2, split=share * radius, min_size=round(SMALLEST * area))
                ap = average_precision(numbers, image.objects)
                found[image.modality, name, share].append((ap, int(numbers.max()), n_true))
        last = {name: round(found[image.modality, name, SHARES[1]][-1][0], 2) for name in names}
        print(image.name, n_true, last, file=sys.stderr)
    return [_row(*key, values) for key, values in sorted(found.items())]


def _row(
    kind: str, name: str, share: float, values: list[tuple[float, int, int]]
) -> dict[str, Any]:
    precision, counts, wanted = np.array(values).T
    return {
        "nuclei": kind,
        "classes from": name,
        "split, radii": f"{share:g}",
        "AP at 0.5": f"{precision.mean():.3f}",
        "objects found": int(counts.sum()),
        "objects in the truth": int(wanted.sum()),
        "count off by": f"{np.mean(np.abs(counts - wanted) / wanted):.0%}",
        "images": len(values),
    }


def times() -> list[dict[str, Any]]:
    """Time the steps on a simulated plane."""
    plane = crowd()
    pieces = label(plane, connectivity=1).astype(np.int32)
    depth = depths([plane], (1.0, 1.0))
    cut = partial(split, pieces, depth, 8.0, 0.75, 20, (1.0, 1.0))
    numbers = objects(plane, split=8)
    image = np.random.default_rng(0).integers(0, 4000, plane.shape).astype(np.uint16)
    steps: dict[str, Callable[[], object]] = {
        "distances": partial(ndimage.distance_transform_edt, plane),
        "cutting, once the distances are there": cut,
        "objects, all of it": partial(objects, plane, split=8),
        "measure, without an image": partial(measure, numbers),
        "measure, one channel": partial(measure, numbers, image),
    }
    about = {"objects": int(numbers.max()), "pixels": "2048 × 2048"}
    return [{"step": name, "s": f"{_fastest(step):.2f}", **about} for name, step in steps.items()]


def crowd(side: int = 2048, n: int = 3900) -> NDArray[np.bool_]:
    """Simulate discs, of which many touch."""
    random = np.random.default_rng(0)
    plane = np.zeros((side, side), np.bool_)
    for centre, radius in zip(
        random.uniform(0, side, (n, 2)), random.uniform(6, 11, n), strict=True
    ):
        plane[disk(centre, radius, shape=plane.shape)] = True
    return plane


def _fastest(step: Callable[[], object]) -> float:
    found = []
    for _ in range(3):
        start = time.process_time()
        step()
        found.append(time.process_time() - start)
    return min(found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/objects.md`` and ``.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--only", metavar="NAME[;NAME]", help="; ".join(METHODS))
    parser.add_argument("--every", type=int, default=1, help="stride of the images that are taken")
    parser.add_argument("--skip-scores", action="store_true")
    options = parser.parse_args(arguments)
    names = options.only.split(";") if options.only else list(METHODS)
    tables = {}
    with threadpool_limits(1):
        if not options.skip_scores:
            title = f"Nuclei from strokes on {PAINTED:.1%} of the pixels"
            tables[title] = scores(options.data, names, options.every)
        tables["Seconds of the processor, one thread, fastest of three"] = times()
    write_results("objects", tables)


if __name__ == "__main__":
    main()
