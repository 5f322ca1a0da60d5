"""What a run costs against the number of its frames, on threads, processes and a dask cluster.

Simulated frames in a sharded zarr, then large planes; each run is a process of its own, watched
from outside with all that it starts. Processor time and memory are fitted to a line over the
number of frames. At last runs are killed and resumed, and their bytes compared::

    python -m benchmarks.scale_out
    python -m benchmarks.scale_out --frames 10 30 100 --planes 2048 --kill-frames 12
    python -m benchmarks.scale_out --not-labelled --ways threads --frames 1000 10000 100000

The last one reads and writes frames of 64² and keeps the journal, but leaves out the labelling: it
tells what the run itself costs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks import faults
from benchmarks.faults import Case, clear, killed
from benchmarks.machine import merge_results
from benchmarks.stacks import PIECE, model_of, write_frames, write_plane

FRAMES = (100, 300, 1000, 3000, 10_000)
PLANE = 32_768
MILLION = 1_000_000
SMALL = 64
SHARD = 100
"""Frames to a file."""

TILE = 4096
"""Side of a file of a plane."""

WAYS = ("threads", "processes", "dask")
EVERY = 0.25
"""Seconds between two looks at a run."""

Row = dict[str, Any]


@dataclass
class Watch:
    """Processor seconds of some processes, and their resident sizes in MB, now and at most.

    `moments`: what was known when a twentieth more of the frames was done.
    """

    driver: psutil.Popen
    others: Sequence[psutil.Process]
    sizes: dict[int, float] = field(default_factory=dict)
    driver_mb: float = 0.0
    worker_mb: float = 0.0
    processor: dict[int, float] = field(default_factory=dict)
    moments: list[Row] = field(default_factory=list)

    def look(self) -> None:
        """Take down what is known now; of a process that has ended the last look counts."""
        self.sizes.clear()
        with suppress(psutil.NoSuchProcess):
            self._look_at(self.driver)
            self.driver_mb = max(self.driver_mb, self.sizes[self.driver.pid])
            for one in (*self.others, *self.driver.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    self._look_at(one)
        self.worker_mb = max([self.worker_mb, *self._workers()])

    def note(self, frames: int) -> None:
        """Keep what is known now, with the number of frames that are done."""
        moment = {
            "frames": frames,
            "processor s": round(sum(self.processor.values()), 1),
            "of it the driver": round(self.processor[self.driver.pid], 2),
            "MB of the driver": round(self.sizes.get(self.driver.pid, 0)),
            "MB of a worker": round(max(self._workers(), default=0)),
        }
        self.moments.append(moment)

    def _workers(self) -> list[float]:
        return [size for pid, size in self.sizes.items() if pid != self.driver.pid]

    def _look_at(self, process: psutil.Process) -> None:
        times = process.cpu_times()
        self.processor[process.pid] = times.user + times.system
        self.sizes[process.pid] = process.memory_info().rss / 2**20


@dataclass(frozen=True)
class Bench:
    """Where the images lie, and how many workers there are."""

    folder: Path
    workers: int
    minutes: float

    @property
    def model(self) -> Path:
        return self.folder / "model.safetensors"

    def row(self, way: str, source: Path, *options: str, step: int) -> tuple[Row, list[Row]]:
        """Apply the model in one of `WAYS`; return what it has cost, and moments on the way.

        A run that takes more than `minutes` is ended, and its row tells of what it did.
        """
        output, log = self.folder / "out.ome.zarr", self.folder / "lines"
        clear(output)
        command = [sys.executable, "-m", "benchmarks.stacks", str(self.model), str(source)]
        command += [str(output), "--workers", str(self.workers), *options]
        with scheduler(way, self.workers) as address, log.open("w") as out:
            elsewhere = psutil.Process().children(recursive=True)
            run = psutil.Popen([*command, "--scheduler", address], stdout=out)
            watch = Watch(run, elsewhere)
            took = self._watched(watch, log, step)
        was_cut = run.returncode < 0
        if run.returncode != 0 and not was_cut:
            sys.exit(f"The run in {way} ended with {run.returncode}.")
        written = log.read_text().splitlines(keepends=True)
        lines = [json.loads(line) for line in written if line.endswith("\n")]
        frames = [line["seconds"] for line in lines if "frame" in line]
        end = took if was_cut else lines[-1]["seconds"]
        units = list(output.parent.glob(f".{output.name}.part/*/done/*.json"))
        clear(output)
        row = {
            "way": way,
            "workers": self.workers,
            "frames": len(frames),
            "s": round(end, 1),
            "processor s": round(sum(watch.processor.values()), 1),
            "of it the driver": round(watch.processor[run.pid], 1),
            "s to the first frame": round(frames[0], 1) if frames else "",
            "s after the last": "" if was_cut else round(end - frames[-1], 1),
            "MB of the driver": round(watch.driver_mb),
            "MB of a worker": round(watch.worker_mb) if way != "threads" else "",
            "ended": f"cut short, {len(units)} units done" if was_cut else "by itself",
        }
        return row, watch.moments

    def _watched(self, watch: Watch, log: Path, step: int) -> float:
        """Look at a run until it ends, or end it; return the seconds that it took."""
        start, told = time.perf_counter(), 0
        while watch.driver.poll() is None:
            watch.look()
            with log.open("rb") as lines:
                done = sum(1 for _ in lines)
            if done >= told + step:
                watch.note(done)
                told = done
            if time.perf_counter() - start > self.minutes * 60:
                watch.driver.kill()
            time.sleep(EVERY)
        return time.perf_counter() - start


def frames_row(
    bench: Bench, way: str, source: Path, n_frames: int, *options: str
) -> tuple[Row, list[Row]]:
    """Label the first frames of a stack."""
    step = max(n_frames // 20, 1)
    row, moments = bench.row(way, source, "--frames", str(n_frames), *options, step=step)
    done = row["frames"]
    row["frames / s"] = f"{done / row['s']:.2f}"
    row["processor ms / frame"] = f"{row['processor s'] / max(done, 1) * 1000:.1f}"
    return row, [{"way": way, "of": n_frames, **moment} for moment in moments]


def plane_row(bench: Bench, way: str, source: Path, side: int) -> Row:
    """Label one plane."""
    row, _ = bench.row(way, source, "--axes", "YX", step=1)
    del row["frames"], row["s to the first frame"], row["s after the last"]
    return {
        "plane": f"{side}² uint16",
        **row,
        "megapixels / s": f"{side * side / row['s'] / 1e6:.2f}",
        "MB of the plane": side * side * 2 // 2**20,
    }


FITTED = (
    "processor s",
    "of it the driver",
    "s to the first frame",
    "s after the last",
    "MB of the driver",
)


def fitted(rows: Sequence[Row]) -> list[Row]:
    """Fit lines over the number of frames, each way apart; what they say of a million frames."""
    found = []
    for way in dict.fromkeys(row["way"] for row in rows):
        own = [row for row in rows if row["way"] == way]
        for name in FITTED:
            told = [row for row in own if row.get(name, "") != ""]
            numbers, values = (np.array([row[n] for row in told], float) for n in ("frames", name))
            if len(told) < 2:
                continue
            slope, start = np.polyfit(numbers, values, 1)
            apart = np.abs(start + slope * numbers - values).max()
            found.append(
                {
                    "way": way,
                    "of": name,
                    "whatever the number": f"{start:.1f}",
                    "more with 1000 frames": f"{slope * 1000:.3f}",
                    "farthest from the line": f"{apart:.1f}",
                    "a million frames, if the line holds": f"{start + slope * MILLION:.0f}",
                }
            )
    return found


@dataclass(frozen=True, eq=False)
class Elsewhere(Case):
    """A case on a cluster, whose address cannot be part of a file's name."""

    @property
    def name(self) -> str:
        return f"{self.kind}, dask, {self.workers} workers"

    def output(self, word: str, folder: Path | None = None) -> Path:
        return (folder or self.folder) / f"dask-{word}{self.kind}"


@contextmanager
def scheduler(way: str, workers: int) -> Iterator[str]:
    """Yield what a run is told; for dask, start a cluster of processes on this machine."""
    if way != "dask":
        yield way
        return
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=workers, threads_per_worker=1, dashboard_address=":0", protocol="tcp"
    ) as started:
        yield started.scheduler_address


class Kept:
    """What is known so far, kept after every row, for the whole takes hours."""

    def __init__(self) -> None:
        self.tables: dict[str, list[Row]] = {}

    def add(self, title: str, rows: Sequence[Row], *, instead: bool = False) -> list[Row]:
        """Add rows to a table, or have them be this run's part of it; return it as it is kept."""
        table = [] if instead else self.tables.get(title, [])
        self.tables[title] = [*table, *rows]
        keys = ("way", "workers", "frames", "plane", "of", "case", "kill")
        return merge_results("scale_out", self.tables, key=keys)[title]


def kill_all(bench: Bench, kept: Kept, options: argparse.Namespace) -> None:
    """Kill runs in every way at random moments, and resume them."""
    faults.PATIENCE = bench.minutes * 60
    folder = bench.folder / "killed"
    folder.mkdir()
    (folder / bench.model.name).write_bytes(bench.model.read_bytes())
    write_frames(folder / "frames.zarr", options.kill_frames, shard=SHARD)
    random = np.random.default_rng(0)
    for way in options.ways:
        with scheduler(way, bench.workers) as address:
            kind = Elsewhere if way == "dask" else Case
            case = kind(folder, ".ome.zarr", address, bench.workers)
            for number in range(options.kills):
                row = killed(case, number, random)
                kept.add(f"kill -9, then resumed, {options.kill_frames} frames", [row])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/scale_out.md`` and ``.json``, row by row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs="*", default=list(FRAMES))
    parser.add_argument("--side", type=int, default=PIECE, help=f"of a frame, {PIECE} at most")
    parser.add_argument("--planes", type=int, nargs="*", default=[PLANE], help="their sides")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kills", type=int, default=2, help="in each way")
    parser.add_argument("--kill-frames", type=int, default=100)
    parser.add_argument("--not-labelled", action="store_true", help="small frames, all but labels")
    parser.add_argument("--minutes", type=float, default=600, help="at which a run is cut short")
    parser.add_argument("--folder", help="where there is room for the images; a temporary one")
    options = parser.parse_args(arguments)
    more = []
    if options.not_labelled:
        more = ["--not-labelled"]
        options.side, options.planes, options.kills = SMALL, [], 0
    kept = Kept()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        bench = Bench(Path(name), options.workers, options.minutes)
        model_of("classes").save(bench.model)
        if options.frames:
            source = bench.folder / "frames.zarr"
            write_frames(source, max(options.frames), options.side, SHARD)
            title = ", ".join([f"Frames of {options.side}² uint16", *(w[2:] for w in more)])
            for n_frames in sorted(options.frames):
                for way in options.ways:
                    row, moments = frames_row(bench, way, source, n_frames, *more)
                    rows = kept.add(title, [row])
                    if n_frames == max(options.frames):
                        kept.add(f"{title}: on the way", moments)
                if lines := fitted(rows):
                    kept.add(f"{title}: lines", lines, instead=True)
        for side in options.planes:
            source = bench.folder / f"plane{side}.zarr"
            write_plane(source, side, TILE)
            for way in options.ways:
                kept.add("One plane", [plane_row(bench, way, source, side)])
        if options.kills:
            kill_all(bench, kept, options)


if __name__ == "__main__":
    main()
