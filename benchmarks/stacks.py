"""Simulated stacks, models to apply to them, and the applying, in a process of its own.

What `benchmarks.throughput`, `benchmarks.scale_out` and `benchmarks.faults` share. As a program it
applies a model and prints a line of JSON for each frame::

    python -m benchmarks.stacks MODEL IN OUT
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Generator, Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from benchmarks.machine import peak_memory_mb, resident_memory_mb
from benchmarks.painted_share import painted_share
from napari_diffseg import DiffSegError, Model, RunOptions, SegmentationParams, train
from napari_diffseg.batch import run, work
from napari_diffseg.batch.facts import FrameFacts
from napari_diffseg.image.windows import whole
from napari_diffseg.sample_data.simulated import simulated_nuclei

PIECE = 512
N_PIECES = 3
CHUNK = 1024
NOISE = 20.0
ONE_THREAD = RunOptions(threads=1)

KINDS = ("classes", "no classes", "published design")


@cache
def piece(seed: int) -> tuple[NDArray[np.uint16], NDArray[np.integer]]:
    """Return simulated nuclei ``(y, x)`` and their outlines."""
    return simulated_nuclei((PIECE, PIECE), seed=seed)


def noisy(seed: int, number: int, side: int = PIECE) -> NDArray[np.uint16]:
    """Return a piece, or a corner of it, with noise of its own: no two frames are alike."""
    random = np.random.default_rng([seed, number])
    pixels = piece(seed)[0][:side, :side] + random.normal(0, NOISE, (side, side))
    return np.clip(pixels, 0, np.iinfo(np.uint16).max).astype(np.uint16)


def write_frames(path: Path, n_frames: int, side: int = PIECE, shard: int = 1) -> None:
    """Write frames of at most `PIECE` pixels as a zarr array ``(t, y, x)``, one chunk a frame.

    So many frames to a shard, which is a file; a shard is held at a time.
    """
    array = zarr.create_array(
        path,
        shape=(n_frames, side, side),
        chunks=(1, side, side),
        shards=(shard, side, side) if shard > 1 else None,
        dtype="uint16",
    )
    for first in range(0, n_frames, shard):
        numbers = range(first, min(first + shard, n_frames))
        array[first : numbers.stop] = np.stack([noisy(t % N_PIECES, t, side) for t in numbers])


def write_plane(path: Path, side: int, shard: int = CHUNK) -> None:
    """Write one large plane as a zarr array ``(y, x)``, tile by tile: each is a file (a shard)."""
    tile = min(shard, -(-side // CHUNK) * CHUNK)
    array = zarr.create_array(
        path,
        shape=(side, side),
        chunks=(CHUNK, CHUNK),
        shards=(tile, tile) if tile > CHUNK else None,
        dtype="uint16",
    )
    for top, left in product(range(0, side, tile), repeat=2):
        pixels = np.empty((min(tile, side - top), min(tile, side - left)), np.uint16)
        for y, x in product(range(0, len(pixels), PIECE), range(0, pixels.shape[1], PIECE)):
            cut = pixels[y : y + PIECE, x : x + PIECE]
            number = (top + y) * side + left + x
            cut[...] = noisy((left + x) // PIECE % N_PIECES, number)[: len(cut), : cut.shape[1]]
        array[top : top + len(pixels), left : left + pixels.shape[1]] = pixels


def model_of(kind: str) -> Model:
    """Train one of `KINDS` on the pieces."""
    images = [piece(seed)[0] for seed in range(N_PIECES)]
    scribbles, params = None, None
    if kind == "classes":
        scribbles = [painted_share(np.where(piece(s)[1] > 0, 2, 1), 0.003) for s in range(N_PIECES)]
    if kind == "published design":  # its speed does not depend on how long it was trained
        params = SegmentationParams.paper(n_iterations=2)
    return train(images, scribbles=scribbles, axes="YX", params=params, options=ONE_THREAD)


def not_labelled(
    model: Model, pixels: Any, sink: Any, i: int, **_: Any
) -> Generator[None, None, FrameFacts]:
    """Do what `label_frame` does with a plane, but for the labels: 1 everywhere."""
    values = np.asarray(pixels[...])
    labels = np.ones(values.shape, model.label_dtype)
    sink.write(i, whole(values.shape), labels)
    yield
    return FrameFacts({1: labels.size}, 1.0)


def bare_unit(*arguments: Any, **more: Any) -> work.Outcome:
    """Do all that is done with a frame, but for the labels, wherever the frame is done."""
    work.label_frame = not_labelled
    return work.apply_unit(*arguments, **more)


def apply_lines(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Apply a model to a stack; yield facts of each frame, and of the whole at the end."""
    start = time.perf_counter()
    steps = run.apply_stack(
        Model.load(arguments.model),
        [arguments.input],
        arguments.output,
        frames=slice(arguments.frames) if arguments.frames else None,
        axes=arguments.axes,
        options=ONE_THREAD,
        scheduler=arguments.scheduler,
        workers=arguments.workers,
        resume=arguments.resume,
    )
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            yield {
                "seconds": time.perf_counter() - start,
                "peak MB": peak_memory_mb(),
                "failed": [list(one) for one in end.value.failed],
            }
            return
        if progress.frame is None:  # said before the first frame
            continue
        yield {
            "frame": progress.frame,
            "done": progress.done,
            "seconds": time.perf_counter() - start,
            "MB": resident_memory_mb(),
        }


def main() -> None:
    """Print what happens, line by line; leave with 1 and one sentence if it cannot go on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--axes", default="TYX")
    parser.add_argument("--frames", type=int, help="so many from the first on; all if not said")
    parser.add_argument("--scheduler", default="threads")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--not-labelled", action="store_true", help="all but the labels")
    arguments = parser.parse_args()
    if arguments.not_labelled:
        from benchmarks.stacks import bare_unit  # what a worker elsewhere can import

        run.apply_unit = bare_unit
    try:
        for line in apply_lines(arguments):
            print(json.dumps(line), flush=True)
    except DiffSegError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
