"""Memory of applying a model, against the number of frames and the size of a plane.

From zarr to zarr on simulated images, on threads; each run is a process of its own, whose
resident size is read after every frame::

    python -m benchmarks.memory
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import merge_results
from benchmarks.stacks import PIECE, model_of, write_frames, write_plane


def run(model: Path, source: Path, *options: str) -> list[dict[str, Any]]:
    """Apply a model in a process of its own; return the lines that it printed."""
    output = source.with_suffix(".ome.zarr")
    command = [sys.executable, "-m", "benchmarks.stacks", str(model), str(source), str(output)]
    done = subprocess.run([*command, *options], stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def curve(lines: list[dict[str, Any]], every: int, workers: int) -> list[dict[str, Any]]:
    """Return the largest resident size among each so many frames."""
    *frames, end = lines
    rows = []
    for first in range(0, len(frames), every):
        some = frames[first : first + every]
        rows.append(
            {
                "frames done": first + len(some),
                "resident MB, largest of these": f"{max(line['MB'] for line in some):.0f}",
                "workers": workers,
            }
        )
    whole = {"frames done": "all, to the end", "workers": workers}
    rows.append({**whole, "resident MB, largest of these": f"{end['peak MB']:.0f}"})
    return rows


def plane_row(model: Path, folder: Path, side: int) -> dict[str, Any]:
    """Apply a model to one plane."""
    source = folder / f"plane{side}.zarr"
    write_plane(source, side)
    *_, end = run(model, source, "--axes", "YX")
    return {
        "plane": f"{side}×{side} uint16",
        "MB of the image": side * side * 2 // 2**20,
        "peak MB in all": f"{end['peak MB']:.0f}",
        "s": f"{end['seconds']:.0f}",
        "megapixels / s": f"{side * side / end['seconds'] / 1e6:.2f}",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/memory.md`` and ``.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=500, help="0: none (the bar is 2000)")
    parser.add_argument("--every", type=int, default=100, help="frames to a point of the curve")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sides", type=int, nargs="*", default=[4096, 16384])
    parser.add_argument("--kind", default="classes", help="of model, see benchmarks.stacks")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "model.safetensors"
        model_of(options.kind).save(model)
        if options.frames:
            source = folder / "frames.zarr"
            write_frames(source, options.frames)
            lines = run(model, source, "--workers", str(options.workers))
            title = f"{options.frames} frames of {PIECE}×{PIECE} uint16, a model with"
            keep(f"{title} {options.kind}", curve(lines, options.every, options.workers))
        for side in options.sides:
            row = plane_row(model, folder, side)
            keep(f"One plane, one worker, a model with {options.kind}", [row])


def keep(title: str, rows: list[dict[str, Any]]) -> None:
    """Keep what is known so far, for the whole takes long."""
    merge_results("memory", {title: rows}, key=("frames done", "workers", "plane"))


if __name__ == "__main__":
    main()
