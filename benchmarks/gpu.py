"""What a GPU gains, beside the processor of the same machine, in one run; and whether labels agree.

Where there is no GPU it says so and ends::

    python -m benchmarks.gpu
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.data import astronaut, immunohistochemistry
from skimage.transform import resize

from benchmarks.baselines import published_loop
from benchmarks.machine import merge_results
from benchmarks.scale import large_image
from benchmarks.stacks import PIECE, model_of, noisy
from benchmarks.throughput import time_ours, written
from benchmarks.volume_scale import large_volume
from napari_diffseg import Model, RunOptions, SegmentationParams, segment

Row = dict[str, Any]
Labels = NDArray[np.integer]

PUBLISHED_SIZE = (321, 481)
PUBLISHED_ITERATIONS = 500
FRAMES = 200


def timed(work: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Return the median of the seconds of some calls after a first one, and what came of it."""
    seconds, found = [], work()
    for _ in range(repeats):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), found


def compared(what: str, work: Callable[[RunOptions], Labels], repeats: int) -> Row:
    """Do something on the GPU, and on two threads and all of the processor."""
    ways = [RunOptions(device="cuda")]
    ways += [RunOptions(device="cpu", threads=n) for n in (2, os.cpu_count() or 2)]
    found = [timed(lambda one=one: work(one), repeats) for one in ways]
    same = float(np.mean(found[0][1] == found[1][1]))
    seconds = [f"{one:.3f}" for one, _ in found]
    names = ("GPU, s", "2 threads, s", "all threads, s")
    return {
        "what": what,
        **dict(zip(names, seconds, strict=True)),
        "the same labels": f"{same:.4%}",
    }


def strokes(side: int) -> Labels:
    """Return two strokes."""
    painted = np.zeros((side, side), np.uint8)
    painted[side // 5 : side // 5 + 4, side // 5 : side // 3] = 1
    painted[side // 2 : side // 2 + 4, side // 2 : side // 2 + 80] = 2
    return painted


def image_rows(repeats: int) -> list[Row]:
    """Segment, follow strokes and apply, on images of several sizes."""
    rows = []
    for name, image in (("astronaut", astronaut()), ("ihc", immunohistochemistry())):
        rows.append(
            compared(f"512² RGB, {name}", lambda o, i=image: segment(i, options=o).labels, repeats)
        )
    for name, options in (("GPU", RunOptions(device="cuda")), ("CPU", RunOptions(device="cpu"))):
        before, painted = segment(astronaut(), options=options), strokes(512)
        seconds, _ = timed(lambda b=before, p=painted, o=options: b.correct(p, options=o), repeats)
        rows.append({"what": f"a stroke, astronaut, {name}", f"{name}, s": f"{seconds:.3f}"})
    model = model_of("no classes")
    rows.append(
        compared("apply, 512²", lambda o: model.apply(noisy(0, 1), axes="YX", options=o), repeats)
    )
    large = large_image(2048)
    rows.append(compared("2048²", lambda o: segment(large, options=o).labels, 2))
    volume = large_volume((128, 512, 512))
    rows.append(compared("128×512×512", lambda o: segment(volume, axes="ZYX", options=o).labels, 1))
    return rows


def stream_row(model: Model, folder: Path, how: str, workers: int, device: str) -> Row:
    """Apply a model from zarr to zarr."""
    options = RunOptions(device=device, threads=1)
    found = time_ours(model, written(folder, FRAMES), how, workers, options)
    return {
        "device": device,
        "on": f"{workers} {how}",
        f"frames of {PIECE}²": FRAMES,
        "frames / s": f"{1 / found.whole:.1f}",
        "once workers have started": f"{1 / found.steady:.1f}",
    }


def stream_rows() -> list[Row]:
    """Apply on the GPU from some threads, and on 2 and on all processors."""
    model = model_of("no classes")
    with tempfile.TemporaryDirectory() as name:
        ways = [("threads", n, "cuda") for n in (1, 2, 4, 8)]
        ways += [("processes", 8, "cuda")]
        ways += [("processes", n, "cpu") for n in (2, os.cpu_count() or 2)]
        return [stream_row(model, Path(name), *way) for way in ways]


def published_rows(repeats: int) -> list[Row]:
    """Compare the default with the published loop on the GPU, some of whose iterations are made."""
    picture = resize(astronaut(), PUBLISHED_SIZE, preserve_range=True).astype(np.uint8)
    pixels = torch.from_numpy(picture.transpose(2, 0, 1)[None].astype(np.float32) / 255).cuda()

    def loop() -> Any:
        with torch.device("cuda"):
            return published_loop._trained(pixels, None, published_loop.CONTINUITY, at_least=1)

    options = RunOptions(device="cuda")
    once, _ = timed(loop, 1)
    published = once / published_loop.ITERATIONS * PUBLISHED_ITERATIONS
    paper = SegmentationParams.paper(n_iterations=20)
    faithful, _ = timed(lambda: segment(picture, params=paper, options=options), 1)
    ours, _ = timed(lambda: segment(picture, options=options), repeats)
    return [
        {
            "on the GPU, 481 × 321": name,
            "s": f"{seconds:.3f}",
            "times the default": f"{seconds / ours:.0f}",
        }
        for name, seconds in (
            (
                f"the published loop, {PUBLISHED_ITERATIONS} iterations",
                published,
            ),
            (
                f"preset paper, {PUBLISHED_ITERATIONS} iterations",
                faithful / 20 * PUBLISHED_ITERATIONS,
            ),
            ("default", ours),
        )
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/gpu.md`` and ``.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--parts", nargs="+", default=["images", "published", "streams"])
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print("There is no CUDA device here, so there is nothing to compare.")
        return
    parts: dict[str, Callable[[], list[Row]]] = {
        "images": lambda: image_rows(options.repeats),
        "published": lambda: published_rows(options.repeats),
        "streams": stream_rows,
    }
    for part in options.parts:
        merge_results(
            "gpu",
            {part.capitalize(): parts[part]()},
            key=("what", "device", "on", "on the GPU, 481 × 321"),
        )


if __name__ == "__main__":
    main()
