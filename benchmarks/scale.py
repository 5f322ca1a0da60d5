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
from napari_diffseg.core.partition import Partition
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.machine import peak_memory_mb, reset_peak_memory, write_results
from napari_diffseg import RunOptions, SegmentationParams, segment, segment_steps
from napari_diffseg.core.inference import calibrate, response_map
from napari_diffseg.core.network import FeatureClusteringNet, build_network
from napari_diffseg.core.plane import Plane
from napari_diffseg.core.reading import Door, Reference, read_for_training
from napari_diffseg.core.start import start_at_centroids
from napari_diffseg.sample_data.simulated import simulated_nuclei

CPU = torch.device("cpu")
PIECE = 512
TILE = 128
"""Side of the tiles on a processor, in pixels; the bare convolutions get the same."""


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


def training_seconds(image: NDArray[Any]) -> tuple[float, float]:
    """Return the seconds from call to last iteration, and those of the loop alone."""
    steps = segment_steps(image, axes="YX" if image.ndim == 2 else "YXC")
    facts = next(steps)
    first = facts.seconds
    while facts.index < facts.n_iterations:
        facts = next(steps)
    steps.close()
    # Of the first iteration only the end is known: the others stand for its length.
    loop = (facts.seconds - first) * facts.n_iterations / (facts.n_iterations - 1)
    return facts.seconds, loop


def training_table(sides: list[int], repeats: int) -> list[dict[str, Any]]:
    """Time training at several sizes, turn by turn; minima, as other work only adds."""
    rows = []
    for rgb in (False, True):
        images = {side: large_image(side, rgb=rgb) for side in sides}
        times: dict[int, list[tuple[float, float]]] = {side: [] for side in sides}
        training_seconds(images[sides[0]])  # the first run in a process is slower
        for _ in range(repeats):
            for side in sides:
                times[side].append(training_seconds(images[side]))
        reference = min(loop for _, loop in times[sides[0]])
        for side in sides:
            loop = min(loop for _, loop in times[side])
            total = min(total for total, _ in times[side])
            reading = min(total - loop for total, loop in times[side])
            rows.append(
                {
                    "image": f"{side}×{side} {'RGB uint8' if rgb else 'uint16'}",
                    "s from call to last iteration": f"{total:.2f}",
                    "s of reading and start": f"{reading:.2f}",
                    "s of the loop": f"{loop:.2f}",
                    f"loop against {sides[0]}²": f"{loop / reference:.2f}",
                }
            )
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


@torch.no_grad()
def bare_convolutions(network: FeatureClusteringNet, side: int) -> Callable[[], object]:
    """Return the convolutions of the network alone, on as many tiles as the image has.

    No batch norm, no ReLU, no halo, no copies: what is left is what any program pays.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    arriving = [
        torch.rand(1, layer.in_channels, TILE, TILE).contiguous(memory_format=torch.channels_last)
        for layer in layers
    ]

    def work() -> None:
        with torch.no_grad():
            for _ in range((side // TILE) ** 2):
                for layer, values in zip(layers, arriving, strict=True):
                    layer(values)

    return work


def inference_table(side: int, repeats: int) -> list[dict[str, Any]]:
    """Compare pixels a second of inference to those of the bare convolutions."""
    image = large_image(side, rgb=True)
    whole = (slice(0, side), slice(0, side))
    rows = []
    for name, params in (("paper", SegmentationParams.paper()), ("default", SegmentationParams())):
        plane, network = ready(image, params)
        bare = seconds_of(bare_convolutions(network, side), repeats)
        # A plane whose inputs are known, as that of an image of this size is after training.
        known = Plane(plane.pixels, None, plane.stage, plane.inputs(whole))
        fresh = Plane(plane.pixels, None, plane.stage)
        found = {
            "bare convolutions": bare,
            "response map, inputs known": seconds_of(
                lambda network=network, known=known: response_map(network, known, whole, CPU),
                repeats,
            ),
            "labelling pass, inputs computed, with regions": seconds_of(
                lambda network=network, fresh=fresh, params=params: Partition.find(
                    network, fresh, CPU, params.region_size
                ),
                repeats,
            ),
        }
        rows += [
            {
                "preset": name,
                "work": work,
                "megapixels / s": f"{side * side / seconds / 1e6:.3f}",
                "of the bare convolutions": f"{bare / seconds:.0%}",
            }
            for work, seconds in found.items()
        ]
    return rows


def ready(image: NDArray[Any], params: SegmentationParams) -> tuple[Plane, FeatureClusteringNet]:
    """Read an image and build the network of a preset, as it is before its first step."""
    reading = read_for_training([Reference(image)], Door(axes="YXC"), params, CPU)
    plane, sample = reading.planes[0], reading.sample
    network = build_network(sample.inputs.shape[1], params, torch.Generator().manual_seed(0))
    if params.design == "multiscale":
        start_at_centroids(network, sample.inputs.movedim(1, -1).flatten(0, 2).numpy())
    calibrate(network, sample.inputs[..., :TILE, :TILE])
    return plane, network


def tiles_table(side: int) -> list[dict[str, Any]]:
    """Compare the response map in tiles to that of the whole image, to the bit."""
    image = large_image(side, rgb=True)
    whole = (slice(0, side), slice(0, side))
    rows = []
    for name, params in (("paper", SegmentationParams.paper()), ("default", SegmentationParams())):
        plane, network = ready(image, params)
        fresh = Plane(plane.pixels, None, plane.stage)
        untiled: Tensor = response_map(network, fresh, whole, CPU, side)
        for tile in (64, TILE, 200):
            equal = torch.equal(response_map(network, fresh, whole, CPU, tile), untiled)
            if not equal:
                raise AssertionError(f"Tiles of {tile} px change the response map of {name}.")
            rows.append({"preset": name, "tile": f"{tile} px", "equal to untiled": "to the bit"})
    return rows


def memory_of(side: int) -> dict[str, Any]:
    """Segment an image; the peak of this process beyond the image and its labels."""
    image = large_image(side)
    reset_peak_memory()
    start = time.perf_counter()
    result = segment(image, axes="YX", options=RunOptions())
    seconds = time.perf_counter() - start
    known = (image.nbytes + result.labels.nbytes) / 2**20
    return {
        "image": f"{side}×{side} uint16",
        "MB of image and labels": f"{known:.0f}",
        "peak MB beyond them": f"{peak_memory_mb() - known:.0f}",
        "s": f"{seconds:.1f}",
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
    parser.add_argument("--memory-sides", type=int, nargs="+", default=[2048, 4096, 8192])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory-of", type=int, help="print one size's memory as JSON")
    arguments = parser.parse_args()
    if arguments.memory_of:
        print(json.dumps(memory_of(arguments.memory_of)))
        return
    tables = {
        "Tiles against the whole image": tiles_table(PIECE),
        "Inference, 512×512 RGB": inference_table(PIECE, arguments.repeats),
        "Training": training_table(arguments.sides, arguments.repeats),
        "Memory, interpreter and libraries included": memory_table(arguments.memory_sides),
    }
    write_results("scale", tables)


if __name__ == "__main__":
    main()
