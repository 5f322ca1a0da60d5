"""Other programs and methods in the same run: accuracy, seconds and memory in one table.

Every second image of each family of micrographs, cut as in `benchmarks.families`, and every second
photograph with a person's few strokes. Methods are told strokes, the same for all
(`benchmarks.painted_share`), or nothing but how many labels. Each runs in a process of its own,
bound to as many processors as it may have threads, after a first run on a small image that is not
counted. napari-convpaint needs an environment of its own, which ``make bench-peers`` makes::

    make bench-peers DATA=DIR
    .venv-peers/bin/python -m benchmarks.peers --data DIR --only 'ours;random forest' --threads 1
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer]
Row = dict[str, Any]

EFFORT = 0.003
"""Part of the pixels of a micrograph that strokes are painted on."""

N_LABELS = 8
"""What methods are told that get no strokes."""

BASELINES = "benchmarks.baselines."
STROKES, NOTHING = "strokes", f"K = {N_LABELS}"


@dataclass(frozen=True)
class Peer:
    """A method: its function in `benchmarks.baselines`, with what arguments, and what it is told.

    `threaded`: whether it is also told how many threads to take.
    """

    function: str
    arguments: dict[str, Any] = field(default_factory=dict)
    told: str = STROKES
    threaded: bool = False

    def method(self, threads: int) -> Callable[[NDArray[Any], Any], Labels]:
        """Load the method alone, so that nothing else takes memory."""
        module, name = self.function.split(":")
        function = getattr(import_module(BASELINES + module), name)
        more = {"threads": threads} if self.threaded else {}
        return lambda pixels, told: function(pixels, told, **self.arguments, **more)


EVERY_KIND = {"kinds": ("intensity", "edges", "texture"), "sigma_max": 8}
PYRAMID = {"alias": "gaussian", "scalings": (1, 2, 4)}

PEERS = {
    "ours": Peer("ours:with_strokes"),
    "napari-convpaint, gaussian": Peer("convpaint:convpaint", {"alias": "gaussian"}),
    "napari-convpaint, gaussian at 3 scales": Peer("convpaint:convpaint", PYRAMID),
    "napari-convpaint, ilastik": Peer("convpaint:convpaint", {"alias": "ilastik"}),
    "ilastik's filters, forest": Peer("ilastik:ilastik_forest", threaded=True),
    "scikit-image's filters, forest": Peer("scribbles:random_forest", EVERY_KIND, threaded=True),
    "random walker": Peer("scribbles:random_walks"),
    "published loop, 160 px, 50 iterations": Peer("published_loop:published_scribbles"),
    "ours, no strokes": Peer("ours:without_strokes", told=NOTHING),
    "k-means on the intensities": Peer("intensities:kmeans_clusters", told=NOTHING),
    "Felzenszwalb, regions in K groups": Peer("regions:felzenszwalb_groups", told=NOTHING),
    "SLIC, superpixels in K groups": Peer("regions:slic_groups", told=NOTHING),
    "published loop, no strokes, 160 px, 50 iterations": Peer(
        "published_loop:published_clusters", told=NOTHING
    ),
}


# --- in a process of its own ----------------------------------------------------------


def measure(peer: Peer, threads: int, images: Path, found: Path) -> Row:
    """Run a method on all images of a file; write its labels to another, return what it cost."""
    from benchmarks.machine import peak_memory_mb, reset_peak_memory

    processors = sorted(os.sched_getaffinity(0))
    first = os.getpid() % len(processors)  # runs beside each other need not share one
    os.sched_setaffinity(0, [*processors[first:], *processors[:first]][:threads])
    given = np.load(images)
    numbers = range(len(given.files) // 2)
    told = [given[f"strokes{n}"] if peer.told == STROKES else N_LABELS for n in numbers]
    method = peer.method(threads)
    small = told[0][::2, ::2] if peer.told == STROKES else N_LABELS
    method(given["pixels0"][::2, ::2], small)
    reset_peak_memory()
    labels, clock, processor = {}, [], []
    for n in numbers:
        pixels = given[f"pixels{n}"]
        start, spent = time.perf_counter(), time.process_time()
        labels[str(n)] = method(pixels, told[n]).astype(np.int32)
        clock.append(time.perf_counter() - start)
        processor.append(time.process_time() - spent)
    np.savez_compressed(found, **labels)
    return {"clock": clock, "processor": processor, "peak MB": peak_memory_mb()}


def run(name: str, threads: int, folder: Path) -> Row:
    """Have `measure` done in a process of its own; return what it printed."""
    counts = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    command = [sys.executable, "-m", "benchmarks.peers", "--measure", name, str(folder)]
    done = subprocess.run(
        [*command, "--threads", str(threads)],
        env=os.environ | dict.fromkeys(counts, str(threads)),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"{name} ended with {done.returncode}.")
    cost: Row = json.loads(done.stdout.splitlines()[-1])
    return cost


# --- the table ------------------------------------------------------------------------


@dataclass(frozen=True)
class Image:
    """An image, strokes on it and its truth: 2 is the foreground, 1 the rest, 0 not known."""

    family: str
    pixels: NDArray[Any]
    strokes: Labels
    truth: Labels

    def score(self, labels: Labels, told: str) -> float:
        """Return the IoU of the foreground; of a photograph the mean of both sides."""
        from benchmarks.datasets import class_iou, scribble_miou
        from napari_diffseg.metrics.matching import foreground_iou

        if told == NOTHING:
            return foreground_iou(self.truth == 2, labels)
        if self.family == PHOTOGRAPHS:
            return scribble_miou(labels, self.truth)
        return class_iou(labels, self.truth, 2)


PHOTOGRAPHS = "photographs"


def images_of(data: str, every: int) -> list[Image]:
    """Return every n-th micrograph of each family, then every n-th photograph."""
    from benchmarks.datasets import scribbled_photos
    from benchmarks.families import crops
    from benchmarks.painted_share import painted_share

    families = defaultdict(list)
    for image in crops(data):
        families[image.modality].append(image)
    found = []
    for family, images in families.items():
        for image in images[::every]:
            truth = np.where(image.foreground, 2, 1).astype(np.uint8)
            found.append(Image(family, image.pixels, painted_share(truth, EFFORT), truth))
    photos = list(scribbled_photos(data, 1))[::every]
    return found + [Image(PHOTOGRAPHS, p.pixels, p.scribbles, p.truth) for p in photos]


def row_of(
    name: str, threads: int, images: Sequence[Image], cost: Row, found: Any, wall: bool
) -> Row:
    """Return the row of a method: its scores, seconds and memory."""
    told = PEERS[name].told
    scores = defaultdict(list)
    for n, image in enumerate(images):
        scores[image.family].append(image.score(found[str(n)], told))
    means = {family: float(np.mean(own)) for family, own in scores.items()}
    photographs = means.pop(PHOTOGRAPHS, None)
    return {
        "method": name,
        "told": told,
        "threads": threads,
        **{family: f"{value:.3f}" for family, value in means.items()},
        "mean of these": f"{np.mean(list(means.values())):.3f}",
        PHOTOGRAPHS: "" if photographs is None else f"{photographs:.3f}",
        "processor s / image": f"{np.mean(cost['processor']):.2f}",
        **({"s / image": f"{np.mean(cost['clock']):.2f}"} if wall else {}),
        "peak MB": f"{cost['peak MB']:.0f}",
        "images": len(images),
    }


def compare(names: Sequence[str], options: argparse.Namespace) -> None:
    """Run the methods on one thread and on several, and keep each row as it comes."""
    from benchmarks.machine import merge_results

    images, rows = images_of(options.data, options.every), []
    micrographs = [image for image in images if image.family != PHOTOGRAPHS]
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        for name in names:
            # A photograph has two sides, not eight kinds of things.
            some = images if PEERS[name].told == STROKES else micrographs
            given = {f"pixels{n}": image.pixels for n, image in enumerate(some)}
            given |= {f"strokes{n}": image.strokes for n, image in enumerate(some)}
            np.savez(folder / "images.npz", **given)
            for count in options.threads:
                cost = run(name, count, folder)
                with np.load(folder / "labels.npz") as found:
                    rows.append(row_of(name, count, some, cost, found, options.wall))
                merge_results("peers", {"Peers": rows}, key=("method", "threads"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/peers.md`` and ``.json``, row by row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--only", metavar="NAME[;NAME]", help="; ".join(PEERS))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--every", type=int, default=2, help="of how many images one is taken")
    parser.add_argument("--wall", action="store_true", help="seconds of the wall too: keep quiet")
    parser.add_argument("--measure", nargs=2, metavar=("NAME", "FOLDER"), help="used by itself")
    options = parser.parse_args(arguments)
    if options.measure:
        name, folder = options.measure[0], Path(options.measure[1])
        files = folder / "images.npz", folder / "labels.npz"
        print(json.dumps(measure(PEERS[name], options.threads[0], *files)))
        return
    names = options.only.split(";") if options.only else list(PEERS)
    if unknown := [name for name in names if name not in PEERS]:
        parser.error(f"--only {unknown[0]!r} is not a method; there are: {', '.join(PEERS)}.")
    compare(names, options)


if __name__ == "__main__":
    main()
