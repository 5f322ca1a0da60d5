"""How fast a model is applied from zarr to zarr, against the bare convolutions of its network.

Simulated frames of 512×512 uint16. A turn measures the bare convolutions, then ours, both on
as many workers of one thread; the best of some turns counts, for other work only adds::

    python -m benchmarks.throughput
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.machine import merge_results
from benchmarks.scale import CPU, bare_convolutions
from benchmarks.stacks import KINDS, ONE_THREAD, PIECE, model_of, write_frames
from napari_diffseg import Model, RunOptions
from napari_diffseg.batch.run import apply_stack
from napari_diffseg.core.features.network import FeatureNet
from napari_diffseg.core.features.weights import shipped_network

MEGAPIXELS = PIECE * PIECE / 1e6


@dataclass(frozen=True)
class Timing:
    """Seconds a frame: by the clock, by the clock once workers have started, of the processor."""

    whole: float
    steady: float
    processor: float


def time_bare(work: Callable[[], object], workers: int, frames: int) -> Timing:
    """Time the bare convolutions, on as many threads as there are workers."""
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda _: work(), range(workers)))
        start, processor = time.perf_counter(), time.process_time()
        list(pool.map(lambda _: work(), range(frames)))
        seconds = (time.perf_counter() - start) / frames
        return Timing(seconds, seconds, (time.process_time() - processor) / frames)


def time_ours(
    model: Model,
    source: Path,
    scheduler: str,
    workers: int,
    options: RunOptions = ONE_THREAD,
) -> Timing:
    """Time a run from zarr to zarr.

    The first frames, two for each worker, are when workers start; the steady time leaves
    them out, but not the end of the run, when the result gets its name.
    """
    start, processor = time.perf_counter(), time.process_time()
    run = apply_stack(
        model,
        [source],
        source.with_suffix(".ome.zarr"),
        axes="TYX",
        options=options,
        scheduler=scheduler,
        workers=workers,
        force=True,
    )
    times = [time.perf_counter() for progress in run if progress.frame is not None]
    end, first = time.perf_counter(), 2 * workers
    return Timing(
        (end - start) / len(times),
        (end - times[first - 1]) / (len(times) - first),
        (time.process_time() - processor) / len(times),
    )


def best(timings: Sequence[Timing]) -> Timing:
    """Return the shortest of each time."""
    columns = zip(*((t.whole, t.steady, t.processor) for t in timings), strict=True)
    return Timing(*map(min, columns))


def threads_rows(
    kind: str, model: Model, source: Path, frames: int, repeats: int
) -> list[dict[str, Any]]:
    """Compare ours on one and two threads with the bare convolutions."""
    work = bare_convolutions(PIECE)
    rows = []
    for workers in (1, 2):
        turns = [
            (
                time_bare(work, workers, min(frames, 8)),
                time_ours(model, source, "threads", workers),
            )
            for _ in range(repeats)
        ]
        bare, ours = map(best, zip(*turns, strict=True))
        rows.append(
            {
                "model": kind,
                "threads": workers,
                "frames": frames,
                "frames / s": f"{1 / ours.whole:.2f}",
                "megapixels / s": f"{MEGAPIXELS / ours.whole:.2f}",
                "bare convolutions, megapixels / s": f"{MEGAPIXELS / bare.whole:.2f}",
                "of the bare convolutions": f"{bare.whole / ours.whole:.0%}",
                "the same by processor time": f"{bare.processor / ours.processor:.0%}",
                "processor s / frame": f"{ours.processor:.3f}",
            }
        )
    return rows


def processes_row(
    kind: str, model: Model, source: Path, frames: int, repeats: int
) -> dict[str, Any]:
    """Compare two local processes of one thread with one."""
    found: dict[int, list[Timing]] = {1: [], 2: []}
    for _ in range(repeats):
        for workers, kept in found.items():
            kept.append(time_ours(model, source, "processes", workers))
    one, two = best(found[1]), best(found[2])
    return {
        "model": kind,
        "frames": frames,
        "one process, frames / s": f"{1 / one.steady:.2f}",
        "two processes, frames / s": f"{1 / two.steady:.2f}",
        "ratio": f"{one.steady / two.steady:.2f}",
        "ratio, start of the workers included": f"{one.whole / two.whole:.2f}",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/throughput.md`` and ``.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=40, help="more than 4")
    parser.add_argument("--published-frames", type=int, default=6, help="more than 4")
    parser.add_argument("--process-frames", type=int, default=80, help="0: no processes")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ways", action="store_true", help="only the network, in other ways")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.ways:
        title = "The feature network at full scale, 512×512, in other ways; one thread"
        merge_results("throughput", {title: ways_rows(options.repeats)}, key=("model", "threads"))
        return
    with tempfile.TemporaryDirectory() as name:
        for kind in options.kinds:  # kept one after the other: it takes a while
            model, is_slow = model_of(kind), kind == KINDS[-1]
            frames = options.published_frames if is_slow else options.frames
            source = written(Path(name), frames)
            rows = threads_rows(kind, model, source, frames, options.repeats)
            tables = {"Threads": rows}
            if options.process_frames and not is_slow:
                source = written(Path(name), options.process_frames)
                row = processes_row(kind, model, source, options.process_frames, options.repeats)
                tables["Two local processes of one thread against one"] = [row]
            merge_results("throughput", tables, key=("model", "threads"))


def ways_rows(repeats: int) -> list[dict[str, Any]]:
    """Run the feature network, as a whole, in other ways than it is; all on one thread."""
    plain, short = FeatureNet().eval(), deepcopy(shipped_network(CPU)).bfloat16()
    fused = shipped_network(CPU)
    seen = torch.rand(1, 3, PIECE, PIECE)
    last = seen.contiguous(memory_format=torch.channels_last)
    compiled = torch.compile(deepcopy(fused))
    ways: dict[str, tuple[Callable[[Tensor], object], Tensor]] = {
        "as it is: folded batch norms, channels last": (fused, last),
        "channels first": (deepcopy(fused).to(memory_format=torch.contiguous_format), seen),
        "batch norms by themselves": (plain.to(memory_format=torch.channels_last), last),
        "bfloat16": (short, last.bfloat16()),
        "float16": (deepcopy(fused).half(), last.half()),
        "torch.compile": (compiled, last),
    }
    times: dict[str, list[float]] = {}
    with torch.inference_mode():
        for _ in range(repeats + 1):
            for name, (network, image) in ways.items():
                start = time.process_time()
                network(image)
                times.setdefault(name, []).append(time.process_time() - start)
    usual = min(times[next(iter(ways))][1:])
    return [
        {
            "model": name,
            "first, processor s": f"{first:.2f}",
            "processor ms": f"{min(rest) * 1e3:.0f}",
            "of what it is": f"{min(rest) / usual:.2f}",
        }
        for name, (first, *rest) in times.items()
    ]


def written(folder: Path, frames: int) -> Path:
    """Return a stack of so many frames, written if it is not there."""
    source = folder / f"{frames}.zarr"
    if not source.exists():
        write_frames(source, frames)
    return source


if __name__ == "__main__":
    main()
