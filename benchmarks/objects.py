"""How many nuclei are found: classes from a few strokes, made into objects, against the truth.

The images are those of ``micro2d`` whose truth numbers each nucleus. Classes come from
`napari_diffseg.segment` with the strokes that `benchmarks.painted_share` makes from the truth,
from a random forest with the same strokes, and from Otsu's threshold; all are made into objects by
the same `napari_diffseg.objects`: uncut, with its default, which takes its sizes from the classes,
and with those of a median nucleus of the truth. The truth's own foreground says how well cutting
can do at best. AP is TP / (TP + FP + FN) at an IoU of 0.5, a mean over images and seeds of strokes.
The settings were chosen on every second image of either kind, the first among them; the column *AP,
others* is of the rest.

``--speed`` times one plane of 2048² with about 3,000 objects, ``--frames 20 200`` takes the memory
of making and measuring objects of so many frames of 1024²; a table that is not made again stays::

    python -m benchmarks.objects --data DIR --speed --frames 20 200
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from skimage.color import rgb2gray
from skimage.draw import disk
from skimage.filters import threshold_otsu
from threadpoolctl import threadpool_limits

from benchmarks.baselines.scribbles import random_forest
from benchmarks.datasets import Nuclei, nuclei
from benchmarks.machine import merge_results, peak_memory_mb, reset_peak_memory
from benchmarks.painted_share import painted_share
from benchmarks.scribbles import EVERY_KIND
from napari_diffseg import ObjectParams, RunOptions, cli, measure, objects, segment
from napari_diffseg.instances.finding import ObjectFinder
from napari_diffseg.io.label_files.label_store import LabelStore

Labels = NDArray[np.integer]

PAINTED = 0.003
"""Fraction of the pixels that strokes are painted on."""
SEEDS = 3
FRAME = 1024
"""Side of the frames whose memory is taken."""
CUTS = "none", "automatic", "sizes of the truth"


def ours(image: Nuclei, seed: int) -> Labels:
    """Spread strokes with the default of this package."""
    axes = "YXC" if image.pixels.ndim == 3 else "YX"
    options = RunOptions(threads=1)
    return segment(image.pixels, axes=axes, scribbles=painted(image, seed), options=options).labels


def forest(image: Nuclei, seed: int) -> Labels:
    """Spread strokes with a random forest."""
    return random_forest(image.pixels, painted(image, seed), kinds=EVERY_KIND, sigma_max=8)


def otsu(image: Nuclei, seed: int = 0) -> Labels:
    """Cut at Otsu's threshold; in a stained section nuclei are the dark side."""
    gray = rgb2gray(image.pixels) if image.pixels.ndim == 3 else image.pixels
    bright = gray > threshold_otsu(gray)
    return np.where(bright if image.pixels.ndim == 2 else ~bright, 2, 1)


def truth(image: Nuclei, seed: int = 0) -> Labels:
    """Take the foreground of the truth, in which nuclei that touch are one."""
    return np.where(image.objects > 0, 2, 1)


METHODS: dict[str, Callable[[Nuclei, int], Labels]] = {
    "ours": ours,
    "random forest": forest,
    "Otsu": otsu,
    "foreground of the truth": truth,
}
PAINTING = "ours", "random forest"
"""Those of `METHODS` that see strokes, and so differ by seed."""


def painted(image: Nuclei, seed: int) -> NDArray[np.uint8]:
    """Paint background (1) and nuclei (2)."""
    return painted_share(truth(image), PAINTED, seed)


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


@dataclass(frozen=True)
class Score:
    """How well the objects of one image are found."""

    precision: float
    n_found: int
    n_true: int
    was_chosen_on: bool

    @property
    def off(self) -> float:
        """By which share of the true number the count is off."""
        return abs(self.n_found - self.n_true) / self.n_true


def scores(path: str, names: Iterable[str], every: int) -> list[dict[str, Any]]:
    """Return AP and counts for each kind of nuclei, method and cut."""
    found: dict[tuple[str, str, str], list[Score]] = defaultdict(list)
    n_seen: Counter[str] = Counter()
    for image in list(nuclei(path))[::every]:
        chosen_on = n_seen[image.modality] % 2 == 0
        n_seen[image.modality] += 1
        for name in names:
            for seed in range(SEEDS if name in PAINTING else 1):
                labels = METHODS[name](image, seed)
                for cut, told in cuts(image).items():
                    score = score_of(objects(labels, 2, **told), image, chosen_on)
                    found[image.modality, name, cut].append(score)
        last = {name: found[image.modality, name, CUTS[1]][-1].precision for name in names}
        print(image.name, {name: round(one, 2) for name, one in last.items()}, file=sys.stderr)
    return [_row(*key, values) for key, values in sorted(found.items())]


def cuts(image: Nuclei) -> dict[str, dict[str, float]]:
    """Return what objects are told for each of `CUTS`."""
    sizes = np.bincount(image.objects.ravel())[1:]
    area = float(np.median(sizes[sizes > 0]))
    by_truth = {"split": (area / np.pi) ** 0.5 / 2, "min_size": round(0.05 * area)}
    return dict(zip(CUTS, ({"split": 0}, {}, by_truth), strict=True))


def score_of(numbers: Labels, image: Nuclei, chosen_on: bool) -> Score:
    """Score the objects of an image."""
    n_true = int(np.count_nonzero(np.bincount(image.objects.ravel())[1:]))
    precision = average_precision(numbers, image.objects)
    return Score(precision, int(numbers.max()), n_true, chosen_on)


def _row(kind: str, name: str, cut: str, values: list[Score]) -> dict[str, Any]:
    others = [one.precision for one in values if not one.was_chosen_on]
    n_seeds = SEEDS if name in PAINTING else 1
    return {
        "nuclei": kind,
        "classes from": name,
        "cut": cut,
        "AP at 0.5": f"{np.mean([one.precision for one in values]):.3f}",
        "AP, others": f"{np.mean(others):.3f}" if others else "",
        "images with counts within 5 %": f"{np.mean([one.off <= 0.05 for one in values]):.0%}",
        "count off by": f"{np.mean([one.off for one in values]):.0%}",
        "objects found": round(sum(one.n_found for one in values) / n_seeds),
        "objects in the truth": sum(one.n_true for one in values) // n_seeds,
        "images": len(values) // n_seeds,
        "seeds": n_seeds,
    }


def times() -> list[dict[str, Any]]:
    """Time the steps on a simulated plane."""
    plane = crowd()
    finder = ObjectFinder(plane)
    numbers = finder.find(ObjectParams(split=8))
    image = np.random.default_rng(0).integers(0, 4000, plane.shape).astype(np.uint16)
    others = count(5)
    steps: dict[str, Callable[[], object]] = {
        "objects, all of it": partial(objects, plane, split=8),
        "objects again, Split touching moved": lambda: finder.find(
            ObjectParams(split=next(others))
        ),
        "measure, without an image": partial(measure, numbers),
        "measure, one channel": partial(measure, numbers, image),
    }
    about = {"objects": int(numbers.max()), "pixels": "2048 × 2048"}
    return [{"step": name, **_fastest(step), **about} for name, step in steps.items()]


def crowd(side: int = 2048, n: int = 3900, seed: int = 0) -> NDArray[np.bool_]:
    """Simulate discs, of which many touch."""
    random = np.random.default_rng(seed)
    plane = np.zeros((side, side), np.bool_)
    for centre, radius in zip(
        random.uniform(0, side, (n, 2)), random.uniform(6, 11, n), strict=True
    ):
        plane[disk(centre, radius, shape=plane.shape)] = True
    return plane


def _fastest(step: Callable[[], object]) -> dict[str, str]:
    found = []
    for _ in range(3):
        start = time.process_time(), time.perf_counter()
        step()
        found.append((time.process_time() - start[0], time.perf_counter() - start[1]))
    cpu, wall = (min(column) for column in zip(*found, strict=True))
    return {"s of the processor": f"{cpu:.2f}", "s by the clock": f"{wall:.2f}"}


def memory(n_frames: int) -> dict[str, Any]:
    """Make and measure objects of so many frames in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        words = [sys.executable, "-m", "benchmarks.objects", "--make", name, str(n_frames)]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def make(folder: Path, n_frames: int) -> None:
    """Write frames of labels and of an image, run *objects* and *measure*, and print the peak."""
    labels, image, found = (folder / f"{one}.ome.zarr" for one in ("labels", "image", "objects"))
    shape = n_frames, FRAME, FRAME
    for path, dtype in ((labels, "u1"), (image, "u2")):
        store = LabelStore.create(path, axes="TYX", shape=shape, dtype=dtype)
        for t in range(n_frames):
            plane = crowd(FRAME, 900, seed=t)
            store.write(t, None, plane + np.uint8(1) if dtype == "u1" else plane * np.uint16(900))
    start = time.process_time()
    reset_peak_memory()
    cli.main(["objects", str(labels), "-o", str(found), "--quiet"])
    making = peak_memory_mb()
    reset_peak_memory()
    table = folder / "table.csv"
    cli.main(["measure", str(found), "--image", str(image), "-o", str(table), "--quiet"])
    row = {
        "frames": n_frames,
        "pixels": f"{FRAME} × {FRAME}",
        "rows": len(table.read_text().splitlines()) - 1,
        "peak MB, objects": f"{making:.0f}",
        "peak MB, measure": f"{peak_memory_mb():.0f}",
        "s of the processor a frame": f"{(time.process_time() - start) / n_frames:.2f}",
    }
    print(json.dumps(row))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/objects.md`` and ``.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="where micro2d is; without it nothing is scored")
    parser.add_argument("--only", metavar="NAME[;NAME]", help="; ".join(METHODS))
    parser.add_argument("--every", type=int, default=1, help="stride of the images that are taken")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--frames", type=int, nargs="*", default=[], metavar="N")
    parser.add_argument("--make", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.make:
        make(Path(options.make[0]), int(options.make[1]))
        return
    names = options.only.split(";") if options.only else list(METHODS)
    tables = {}
    with threadpool_limits(1):
        if options.data:
            title = f"Nuclei from strokes on {PAINTED:.1%} of the pixels"
            tables[title] = scores(options.data, names, options.every)
        if options.speed:
            tables["Seconds, one thread, fastest of three"] = times()
        if options.frames:
            tables["Memory of the commands"] = [memory(n) for n in options.frames]
    merge_results("objects", tables, key=("nuclei", "classes from", "cut", "step", "frames"))


if __name__ == "__main__":
    main()
