"""What a large volume costs: previews, the result, memory, a zarr that is 64 times as large.

On simulated nuclei only. Every memory figure comes from a process of its own. The large zarr
takes 4 GB on the disk while this runs; where there is no room it is left out, and the table says
so::

    python -m benchmarks.volume_scale
    python -m benchmarks.volume_scale --parts zarr --merge
    python -m benchmarks.volume_scale --parts time --shape 64 300 300 --repeats 1 --merge
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from benchmarks.machine import RESULTS, merge_results, peak_memory_mb, reset_peak_memory
from benchmarks.seams import seam_facts
from napari_diffseg import RunOptions, segment, segment_steps, train
from napari_diffseg.sample_data.simulated_volume import VOXEL_SIZE, simulated_volume

Row = dict[str, Any]
Voxels = NDArray[np.uint16]

SHAPE = (128, 512, 512)
TIMES = 4
"""The large zarr is so many times as long along each axis."""
CHUNK = (32, 256, 256)
PIECE = (32, 256, 256)
N_PIECES = 2
N_NUCLEI = 70
NOISE = 20.0
PARTS = ("time", "memory", "zarr")


def large_volume(shape: Sequence[int] = SHAPE) -> Voxels:
    """Simulated nuclei, piece by piece with noise of its own: uint16 ``z y x``."""
    random = np.random.default_rng(0)
    pieces = [simulated_volume(PIECE, N_NUCLEI, seed)[0] for seed in range(N_PIECES)]
    volume = np.empty(shape, np.uint16)
    corners = product(*(range(0, n, step) for n, step in zip(shape, PIECE, strict=True)))
    for number, corner in enumerate(corners):
        place = tuple(slice(c, c + step) for c, step in zip(corner, PIECE, strict=True))
        noisy = pieces[number % N_PIECES] + random.normal(0, NOISE, PIECE).astype(np.float32)
        cut = volume[place]
        cut[...] = noisy.clip(0, 65535)[tuple(slice(n) for n in cut.shape)]
    return volume


def size_of(shape: Sequence[int]) -> str:
    """Say a size."""
    return f"{'×'.join(map(str, shape))} uint16"


def busy() -> str:
    """Return how much else the machine had to do in the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


# --- time ---------------------------------------------------------------------------------


def time_row(volume: Voxels, look_at: int) -> Row:
    """Time the first preview, the last iteration and the result of one run."""
    load = busy()
    options = RunOptions(previews=True)
    start, start_processor = time.perf_counter(), time.process_time()
    steps = segment_steps(volume, axes="ZYX", spacing=VOXEL_SIZE, look_at=look_at, options=options)
    preview = trained = None
    while True:
        try:
            facts = next(steps)
        except StopIteration as end:
            result = end.value
            break
        now = time.perf_counter() - start
        if preview is None and facts.labels is not None:
            preview = now
        if trained is None and facts.index == facts.n_iterations:
            trained = now
    total = time.perf_counter() - start
    processor = time.process_time() - start_processor
    labelling = volume.size / (total - trained) / 1e6
    return {
        "volume": size_of(volume.shape),
        "s to the first preview": f"{preview:.2f}",
        "s to the last iteration": f"{trained:.1f}",
        "s to the result": f"{total:.1f}",
        "s of the processor": f"{processor:.1f}",
        "million voxels / s, last iteration to result": f"{labelling:.2f}",
        "labels": result.n_labels,
        "threads": result.threads,
        "load before": load,
    }


def time_table(repeats: int, shape: Sequence[int]) -> list[Row]:
    """Time several runs; the first in a process is slower, and stands first."""
    volume = large_volume(shape)
    time_row(volume[:16, :64, :64].copy(), 8)  # imports are not what is timed
    rows = [time_row(volume, shape[0] // 2) for _ in range(repeats)]
    return [{"run of it": number, **row} for number, row in enumerate(rows, start=1)]


# --- memory -------------------------------------------------------------------------------


def memory_of_image(shape: Sequence[int]) -> Row:
    """Segment a volume in memory; the peak of this process beyond it and its labels."""
    # Moved, so that where pieces of the volume meet is not where windows do.
    moved = tuple(n // 3 for n in PIECE)
    larger = large_volume([n + more for n, more in zip(shape, moved, strict=True)])
    volume = larger[tuple(slice(more, None) for more in moved)].copy()
    del larger
    reset_peak_memory()
    start = time.perf_counter()
    result = segment(volume, axes="ZYX", spacing=VOXEL_SIZE)
    seconds = time.perf_counter() - start
    known = (volume.nbytes + result.labels.nbytes) / 2**20
    return {
        "volume": size_of(shape),
        "MB of image and labels": f"{known:.0f}",
        "peak MB beyond them": f"{peak_memory_mb() - known:.0f}",
        "s": f"{seconds:.1f}",
        **seam_facts(result.labels),
    }


def memory_table() -> list[Row]:
    """Measure a small and the large volume, each in a process of its own."""
    shapes = ((64, 256, 256), SHAPE)
    return [alone("--memory-of", *map(str, shape)) for shape in shapes]


def alone(*arguments: str) -> Row:
    """Run this module in a process of its own; return what it printed."""
    command = [sys.executable, "-m", "benchmarks.volume_scale", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


# --- zarr ---------------------------------------------------------------------------------


def write_zarr(path: Path, block: Voxels, times: int) -> None:
    """Write a block as a zarr array, so many times along each axis."""
    shape = tuple(n * times for n in block.shape)
    array = zarr.create_array(path, shape=shape, chunks=CHUNK, dtype="uint16")
    for corner in product(*(range(0, n, step) for n, step in zip(shape, block.shape, strict=True))):
        array[tuple(slice(c, c + n) for c, n in zip(corner, block.shape, strict=True))] = block


def train_on(path: str, n_windows: int) -> Row:
    """Train on a zarr array and apply the model to some of its windows."""
    array = zarr.open_array(path, mode="r")
    load = busy()
    reset_peak_memory()
    start = time.perf_counter()
    model = train([array], axes="ZYX", spacing=VOXEL_SIZE)
    seconds, peak = time.perf_counter() - start, peak_memory_mb()
    reset_peak_memory()
    parts = model.apply_windows(array, axes="ZYX")
    start = time.perf_counter()
    sizes = [part.labels.size for part in islice(parts, n_windows)]
    speed = sum(sizes) / (time.perf_counter() - start) / 1e6
    return {
        "zarr": size_of(array.shape),
        "million voxels": f"{array.size / 1e6:.0f}",
        "s of training": f"{seconds:.1f}",
        "peak MB of training": f"{peak:.0f}",
        "million voxels / s, applied": f"{speed:.2f}",
        "windows applied": len(sizes),
        "peak MB, applied": f"{peak_memory_mb():.0f}",
        "load before": load,
    }


def zarr_table(n_windows: int, scratch: str | None) -> list[Row]:
    """Measure the zarr of the volume, and one of 64 times as many voxels."""
    rows = []
    block = large_volume()
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        for times in (1, TIMES):
            needed = block.nbytes * times**3
            path = Path(folder) / f"{times}.zarr"
            if shutil.disk_usage(folder).free < 1.5 * needed:
                size = size_of([n * times for n in block.shape])
                note = f"left out: {needed / 2**30:.1f} GB do not fit on the disk"
                rows.append({"zarr": size, "s of training": note})
                continue
            write_zarr(path, block, times)
            rows.append(alone("--train-on", str(path), "--windows", str(n_windows)))
            shutil.rmtree(path)
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/volume_scale.md`` and ``.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--shape", type=int, nargs=3, default=SHAPE, help="z y x, of what is timed")
    parser.add_argument("--windows", type=int, default=2, help="of the zarr that are labelled")
    parser.add_argument("--scratch", help="folder for the zarr; that of the system if not given")
    parser.add_argument("--merge", action="store_true", help="keep the other rows")
    parser.add_argument("--memory-of", type=int, nargs=3, help="print one size's memory as JSON")
    parser.add_argument("--train-on", help="print time and memory of one zarr as JSON")
    options = parser.parse_args(arguments)
    if options.memory_of:
        print(json.dumps(memory_of_image(options.memory_of)))
        return
    if options.train_on:
        print(json.dumps(train_on(options.train_on, options.windows)))
        return
    if not options.merge:
        (RESULTS / "volume_scale.json").unlink(missing_ok=True)
    tables: dict[str, Callable[[], list[Row]]] = {
        "time": lambda: time_table(options.repeats, options.shape),
        "memory": memory_table,
        "zarr": lambda: zarr_table(options.windows, options.scratch),
    }
    titles = {
        "time": "Time, simulated nuclei",
        "memory": "Memory of a volume in memory, interpreter and libraries included",
        "zarr": "Training on a zarr, and applying; interpreter and libraries included",
    }
    for part in options.parts:  # each is kept at once, for the whole takes long
        rows = {titles[part]: tables[part]()}
        merge_results("volume_scale", rows, key=("run of it", "volume", "zarr"))


if __name__ == "__main__":
    main()
