"""What a large image costs: training, inference against bare convolutions, memory.

On simulated images only. Every memory figure comes from a process of its own::

    python -m benchmarks.scale
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.machine import peak_memory_mb, reset_peak_memory, write_results
from benchmarks.seams import seam_facts
from napari_diffseg import RunOptions, segment, segment_steps
from napari_diffseg.core.features.pyramid import SCALES
from napari_diffseg.core.features.weights import shipped_network
from napari_diffseg.sample_data.simulated import simulated_nuclei

CPU = torch.device("cpu")
PIECE, MOVED = 512, 200


def large_image(side: int, *, rgb: bool = False) -> NDArray[Any]:
    """Simulated nuclei, piece by piece with noise of its own: uint16 ``y x``, or uint8 RGB."""
    random = np.random.default_rng(0)
    pieces = [simulated_nuclei((PIECE, PIECE), seed=seed)[0] for seed in range(3)]
    image = np.empty((side, side, 3) if rgb else (side, side), np.uint8 if rgb else np.uint16)
    for number, top in enumerate(range(0, side, PIECE)):
        for left in range(0, side, PIECE):
            place = (slice(top, top + PIECE), slice(left, left + PIECE))
            piece = np.stack(pieces, axis=-1) / 16 if rgb else pieces[(number + left) % 3]
            noisy = piece + random.normal(0, 2 if rgb else 20, piece.shape)
            cut = image[place]
            cut[...] = np.clip(noisy, 0, np.iinfo(image.dtype).max)[: cut.shape[0], : cut.shape[1]]
    return image


def training_seconds(image: NDArray[Any]) -> float:
    """Return the seconds from call to the clusters, before the image is labelled."""
    steps = segment_steps(image, axes="YX" if image.ndim == 2 else "YXC")
    seconds = next(steps).seconds
    steps.close()
    return seconds


def training_table(sides: list[int], repeats: int) -> list[dict[str, Any]]:
    """Time training at several sizes, turn by turn; minima, as other work only adds."""
    rows = []
    for rgb in (False, True):
        images = {side: large_image(side, rgb=rgb) for side in sides}
        times: dict[int, list[float]] = {side: [] for side in sides}
        training_seconds(images[sides[0]])  # the first run in a process is slower
        for _ in range(repeats):
            for side in sides:
                times[side].append(training_seconds(images[side]))
        reference = min(times[sides[0]])
        rows += [
            {
                "image": f"{side}×{side} {'RGB uint8' if rgb else 'uint16'}",
                "s from call to the clusters": f"{min(times[side]):.2f}",
                f"against {sides[0]}²": f"{min(times[side]) / reference:.2f}",
            }
            for side in sides
        ]
    return rows


def seconds_of(work: Callable[[], object], repeats: int) -> float:
    """Return the shortest time that some work takes."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def bare_convolutions(side: int) -> Callable[[], object]:
    """Return the convolutions of the feature network alone, at all scales, as torch does them.

    No batch norm, no ReLU, no pooling, no halo, no copies: what is left is what any program pays.
    """
    network = shipped_network(CPU)
    calls: list[tuple[nn.Module, Tensor]] = []
    for scale in SCALES:
        levels = [*enumerate(network.down), *enumerate(reversed(network.up)), (0, [network.head])]
        for level, block in levels:
            length = side // scale // 2**level
            for layer in block:
                if isinstance(layer, nn.Conv2d):
                    values = torch.rand(1, layer.in_channels, length, length)
                    calls.append((layer, values.contiguous(memory_format=torch.channels_last)))

    def work() -> None:
        with torch.inference_mode():
            for layer, values in calls:
                layer(values)

    return work


def inference_table(side: int, repeats: int) -> list[dict[str, Any]]:
    """Compare pixels a second of labelling to those of the bare convolutions."""
    image = large_image(side, rgb=True)
    model = segment(image, axes="YXC").model
    works: dict[str, Callable[[], object]] = {
        "bare convolutions of the feature network": bare_convolutions(side),
        "labelling: reading, features, leaves, spread": lambda: model.apply(image, axes="YXC"),
    }
    found = {name: seconds_of(work, repeats) for name, work in works.items()}
    bare = next(iter(found.values()))
    return [
        {
            "work": name,
            "megapixels / s": f"{side * side / seconds / 1e6:.3f}",
            "of the bare convolutions": f"{bare / seconds:.0%}",
        }
        for name, seconds in found.items()
    ]


def memory_of(side: int) -> dict[str, Any]:
    """Segment an image; the peak of this process beyond the image and its labels; its seams."""
    # Moved, so that where pieces of the image meet is not where windows do.
    image = large_image(side + PIECE)[MOVED : MOVED + side, MOVED : MOVED + side].copy()
    reset_peak_memory()
    start, processor = time.perf_counter(), time.process_time()
    result = segment(image, axes="YX", options=RunOptions())
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    known = (image.nbytes + result.labels.nbytes) / 2**20
    return {
        "image": f"{side}×{side} uint16",
        "MB of image and labels": f"{known:.0f}",
        "peak MB beyond them": f"{peak_memory_mb() - known:.0f}",
        "s": f"{seconds:.1f}",
        "s of the processor": f"{processor:.1f}",
        "of these a megapixel": f"{processor / (side * side / 1e6):.2f}",
        **seam_facts(result.labels),
    }


def memory_table(sides: list[int]) -> list[dict[str, Any]]:
    """Measure each size in a process of its own."""
    rows = []
    for side in sides:
        command = [sys.executable, "-m", "benchmarks.scale", "--memory-of", str(side)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append(json.loads(done.stdout))
    return rows


def main() -> None:
    """Measure and write ``results/scale.md`` and ``.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 1024, 2048, 4096])
    parser.add_argument("--memory-sides", type=int, nargs="+", default=[512, 2048, 4096, 8192])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory-of", type=int, help="print one size's memory as JSON")
    arguments = parser.parse_args()
    if arguments.memory_of:
        print(json.dumps(memory_of(arguments.memory_of)))
        return
    tables = {
        "Labelling, 512×512 RGB": inference_table(PIECE, arguments.repeats),
        "Training": training_table(arguments.sides, arguments.repeats),
        "Whole runs: memory, time, seams": memory_table(arguments.memory_sides),
    }
    write_results("scale", tables)


if __name__ == "__main__":
    main()
