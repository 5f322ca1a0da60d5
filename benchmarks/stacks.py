"""Simulated stacks, models to apply to them, and the applying, in a process of its own.

What `benchmarks.throughput`, `benchmarks.memory` and `benchmarks.faults` share. As a program
it applies a model and prints a line of JSON for each frame::

    python -m benchmarks.stacks MODEL IN OUT
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from benchmarks.machine import peak_memory_mb, resident_memory_mb
from benchmarks.strokes import strokes
from napari_diffseg import DiffSegError, Model, RunOptions, SegmentationParams, train
from napari_diffseg.batch.run import apply_stack
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


def noisy(seed: int, number: int) -> NDArray[np.uint16]:
    """Return a piece with noise of its own, so that no two frames are alike."""
    random = np.random.default_rng([seed, number])
    pixels = piece(seed)[0] + random.normal(0, NOISE, (PIECE, PIECE))
    return np.clip(pixels, 0, np.iinfo(np.uint16).max).astype(np.uint16)


def write_frames(path: Path, n_frames: int) -> None:
    """Write frames of `PIECE` pixels as a zarr array ``(t, y, x)``, one chunk a frame."""
    shape = (n_frames, PIECE, PIECE)
    array = zarr.create_array(path, shape=shape, chunks=(1, PIECE, PIECE), dtype="uint16")
    for t in range(n_frames):
        array[t] = noisy(t % N_PIECES, t)


def write_plane(path: Path, side: int) -> None:
    """Write one large plane as a zarr array ``(y, x)``."""
    array = zarr.create_array(path, shape=(side, side), chunks=(CHUNK, CHUNK), dtype="uint16")
    for top in range(0, side, CHUNK):
        strip = np.empty((min(CHUNK, side - top), side), np.uint16)
        for y in range(0, len(strip), PIECE):
            for x in range(0, side, PIECE):
                pixels = noisy((x // PIECE) % N_PIECES, top + y + x)
                cut = strip[y : y + PIECE, x : x + PIECE]
                cut[...] = pixels[: cut.shape[0], : cut.shape[1]]
        array[top : top + len(strip)] = strip


def model_of(kind: str) -> Model:
    """Train one of `KINDS` on the pieces."""
    images = [piece(seed)[0] for seed in range(N_PIECES)]
    scribbles, params = None, None
    if kind == "classes":
        scribbles = [strokes(np.where(piece(s)[1] > 0, 2, 1), 0.003) for s in range(N_PIECES)]
    if kind == "published design":  # its speed does not depend on how long it was trained
        params = SegmentationParams.paper(n_iterations=2)
    return train(images, scribbles=scribbles, axes="YX", params=params, options=ONE_THREAD)


def apply_lines(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Apply a model to a stack; yield facts of each frame, and of the whole at the end."""
    start = time.perf_counter()
    run = apply_stack(
        Model.load(arguments.model),
        [arguments.input],
        arguments.output,
        axes=arguments.axes,
        options=ONE_THREAD,
        scheduler=arguments.scheduler,
        workers=arguments.workers,
        resume=arguments.resume,
    )
    while True:
        try:
            progress = next(run)
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
    parser.add_argument("--scheduler", default="threads")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--resume", action="store_true")
    try:
        for line in apply_lines(parser.parse_args()):
            print(json.dumps(line), flush=True)
    except DiffSegError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
