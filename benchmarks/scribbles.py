"""What scribbles give: ours against a random forest, random walks, cuts and matting.

Photographs: scribble mIoU on both sets of human scribbles of ``scribble_grabcut``. Microscopy:
foreground IoU on ``micro2d`` and on membranes in ``em_isbi2012`` against effort, with strokes
that `benchmarks.painted_share` makes from the ground truth. One thread; seconds are
of the processor, per image. With ``--merge`` the rows of this run replace those of the same
methods in the kept tables, and the others stay; each row names the run that made it::

    pip install 'napari-diffseg[bench]'
    python -m benchmarks.scribbles --data DIR
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.baselines.graph_cuts import grabcut, grabcut_in_box, graph_cut, move_cut
from benchmarks.baselines.matting import matting
from benchmarks.baselines.paper_preset import shrunk_paper_preset
from benchmarks.baselines.scribbles import random_forest, random_walks
from benchmarks.datasets import (
    EM,
    MODALITIES,
    Micrograph,
    class_iou,
    membranes,
    micrographs,
    scribble_miou,
    scribbled_photos,
)
from benchmarks.machine import RESULTS, markdown_table, merge_results
from benchmarks.painted_share import painted_share
from napari_diffseg import RunOptions, segment

Labels = NDArray[np.integer]

SETS = (1, 2)
EFFORTS = (0.001, 0.003, 0.01)
"""Fraction of the pixels that strokes are painted on."""


def ours(pixels: NDArray[np.generic], scribbles: Labels) -> Labels:
    """Spread the scribbles with the default of this package."""
    axes = "YXC" if pixels.ndim == 3 else "YX"
    options = RunOptions(threads=1)
    return segment(pixels, axes=axes, scribbles=scribbles, options=options).labels


@dataclass(frozen=True)
class Method:
    """A method, the package that it needs besides this one's, and what it is told.

    ``spread(pixels, told) -> labels``, where ``told`` are the scribbles; or, ``in_box``, the true
    foreground, of which it uses no more than the bounding box.
    """

    spread: Callable[[NDArray[np.generic], Labels], Labels]
    package: str | None = None
    in_box: bool = False


BETAS = (1000, 10_000, 100_000)

METHODS = {
    "ours": Method(ours),
    "paper preset, 160 px, 100 iterations": Method(shrunk_paper_preset),
    "random forest": Method(random_forest),
    "random walker": Method(partial(random_walks, beta=10_000)),
    "graph cut": Method(graph_cut, "maxflow"),
    "alpha-expansion": Method(partial(move_cut, move="aexpansion_grid"), "maxflow"),
    "alpha-beta swap": Method(partial(move_cut, move="abswap_grid"), "maxflow"),
    "GrabCut from scribbles": Method(grabcut, "cv2"),
    "GrabCut from the true box": Method(grabcut_in_box, "cv2", in_box=True),
    "closed-form matting": Method(matting, "pymatting"),
}

TRIED = {f"random walker, β = {beta}": Method(partial(random_walks, beta=beta)) for beta in BETAS}
"""What ``--tune`` compares on every third photograph; the best is in `METHODS`."""

EVERY_KIND = ("intensity", "edges", "texture")

ON_MICROGRAPHS = {
    "ours": Method(ours),
    "random forest": Method(partial(random_forest, kinds=EVERY_KIND, sigma_max=8)),
    "random walker": Method(random_walks),
}
"""On micrographs the forest does better with every kind of feature, at scales up to 8 pixels.

Tried on four of them, with 0.1 % and 1 %: intensity alone, with texture, all three kinds; up to
8 and 16 pixels; deeper trees, and half of the painted pixels for each tree. The random walker
has its β of 1000; the larger one that is best on photographs was not tried here.
"""


def photograph_table(path: str, methods: dict[str, Method], every: int = 1) -> list[dict[str, Any]]:
    """Scribble mIoU on each set of scribbles, and seconds per image; at a stride of photos."""
    rows = []
    for name, method in methods.items():
        row: dict[str, Any] = {"method": name}
        seconds: list[float] = []
        for which in SETS:
            scores = []
            for photo in islice(scribbled_photos(path, which), 0, None, every):
                told = photo.truth == 2 if method.in_box else photo.scribbles
                if not seconds:  # imports and compiling are not what is timed
                    method.spread(photo.pixels[::4, ::4], told[::4, ::4])
                labels, taken = timed(method, photo.pixels, told)
                scores.append(scribble_miou(labels, photo.truth))
                seconds.append(taken)
            row[f"set {which}"] = f"{np.mean(scores):.3f}"
            row[f"lowest of set {which}"] = f"{min(scores):.3f}"
        rows.append({**row, "s / image": f"{np.mean(seconds):.2f}"})
        print(*rows[-1].values(), file=sys.stderr)
    return rows


def timed(method: Method, pixels: NDArray[np.generic], told: Labels) -> tuple[Labels, float]:
    """Run a method; return its labels and the seconds that the processor took."""
    start = time.process_time()
    labels = method.spread(pixels, told)
    return labels, time.process_time() - start


def microscopy_table(path: str, methods: dict[str, Method], seeds: int) -> list[dict[str, Any]]:
    """Foreground IoU by modality for each effort, averaged over the seeds of the strokes."""
    ious: dict[tuple[str, float, str], list[float]] = defaultdict(list)
    for image in every_micrograph(path):
        truth = np.where(image.foreground, 2, 1)
        for effort in EFFORTS:
            for seed in range(seeds):
                scribbles = painted_share(truth, effort, seed)
                for name, method in methods.items():
                    labels = method.spread(image.pixels, scribbles)
                    ious[name, effort, image.modality].append(class_iou(labels, truth, 2))
            scores = {name: f"{ious[name, effort, image.modality][-1]:.3f}" for name in methods}
            print(image.name, f"{effort:.1%}", scores, file=sys.stderr)
    rows = (_row(name, effort, ious) for name in methods for effort in EFFORTS)
    return [{**row, "seeds": seeds} for row in rows]


def every_micrograph(path: str) -> Iterator[Micrograph]:
    """Yield the images of ``micro2d``, then three slices of ``em_isbi2012``."""
    yield from micrographs(path)
    yield from membranes(path)


def _row(
    name: str, effort: float, ious: dict[tuple[str, float, str], list[float]]
) -> dict[str, Any]:
    kinds = {kind: np.mean(ious[name, effort, kind]) for kind in (*MODALITIES.values(), EM)}
    return {
        "method": name,
        "painted": f"{effort:.1%}",
        **{kind: f"{value:.3f}" for kind, value in kinds.items()},
        "mean": f"{np.mean(list(kinds.values())):.3f}",
    }


def chosen(only: str | None) -> dict[str, Method]:
    """Return the methods to run, or leave with one sentence where one cannot."""
    names = only.split(";") if only else list(METHODS)
    if unknown := [name for name in names if name not in METHODS]:
        sys.exit(f"--only {unknown[0]!r} is not a method; there are: {', '.join(METHODS)}.")
    packages = {METHODS[name].package for name in names} - {None}
    if absent := sorted(package for package in packages if not find_spec(package)):
        sys.exit(
            f"{', '.join(absent)}: not installed; pip install 'napari-diffseg[bench]', or choose "
            "methods that do without (--only)."
        )
    return {name: METHODS[name] for name in names}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/scribbles.md`` and ``.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--only", metavar="NAME[;NAME]", help="; ".join(METHODS))
    parser.add_argument("--seeds", type=int, default=1, help="of the strokes on micrographs")
    parser.add_argument("--skip-photos", action="store_true")
    parser.add_argument("--skip-micro", action="store_true")
    parser.add_argument("--merge", action="store_true", help="keep the rows of other methods")
    parser.add_argument("--tune", action="store_true", help="compare settings; keep nothing")
    options = parser.parse_args(arguments)
    if options.tune:
        with threadpool_limits(1):
            print(markdown_table(photograph_table(options.data, TRIED, every=3)))
        return
    methods = chosen(options.only)
    on_micrographs = {name: m for name, m in ON_MICROGRAPHS.items() if name in methods}
    tables = {}
    with threadpool_limits(1):
        if not options.skip_photos:
            tables["Photographs: scribble mIoU"] = photograph_table(options.data, methods)
        if not options.skip_micro and on_micrographs:
            rows = microscopy_table(options.data, on_micrographs, options.seeds)
            tables["Microscopy: foreground IoU"] = rows
    if not options.merge:
        (RESULTS / "scribbles.json").unlink(missing_ok=True)
    merge_results("scribbles", tables, key=("method", "painted"))


if __name__ == "__main__":
    main()
