"""Runs that are killed, lose a worker, or fill the disk: each finished, byte for byte the same.

A model is applied to simulated frames in a process of its own (`benchmarks.stacks`):

* ``kill -9`` at random moments between the beginning of the plan and the end of the run; then
  the run is resumed. A moment at which the run has ended already is drawn again.
* a worker of two is killed in mid-run; the run has to get over it by itself.
* the output lies on a disk too small for it (a tmpfs: Linux, as root); the run has to end with
  a sentence; the disk grows, and the run is resumed.

Every result is compared, as file names and bytes, with that of an undisturbed run::

    python -m benchmarks.faults
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from benchmarks.machine import merge_results
from benchmarks.stacks import N_PIECES, model_of, noisy, write_frames

PATIENCE = 600.0
"""Seconds after which a run that does not end is given up."""

PAGE = 4096
"""What a file takes on a tmpfs is a multiple of this, in bytes."""

OUTPUTS = {".ome.zarr": "frames.zarr", ".ome.tif": "frames.zarr", "folder": "frames"}
"""Kind of output → what it is made from; a folder of files has one frame in each."""


@dataclass(frozen=True, eq=False)
class Case:
    """What is run: the kind of output, and where the frames are labelled."""

    folder: Path
    kind: str
    scheduler: str
    workers: int

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.workers} {self.scheduler}"

    def output(self, word: str, folder: Path | None = None) -> Path:
        suffix = "" if self.kind == "folder" else self.kind
        return (folder or self.folder) / f"{self.scheduler}-{word}{suffix}"

    def start(self, output: Path, *, resume: bool = False) -> subprocess.Popen[str]:
        """Begin a run; its lines go to a file beside the output's name."""
        source = self.folder / OUTPUTS[self.kind]
        command = [sys.executable, "-m", "benchmarks.stacks"]
        command += [str(self.folder / "model.safetensors"), str(source), str(output)]
        command += ["--scheduler", self.scheduler, "--workers", str(self.workers)]
        command += ["--axes", "YX" if self.kind == "folder" else "TYX"]
        with self.lines_file(output).open("w") as out:
            words = ["--resume"] if resume else []
            return subprocess.Popen(
                [*command, *words], stdout=out, stderr=subprocess.PIPE, text=True
            )

    def lines_file(self, output: Path) -> Path:
        return self.folder / f"{output.name}.lines"

    def frames(self, output: Path) -> list[str]:
        """Return the frames that the last run of an output said it did."""
        lines = self.lines_file(output).read_text().splitlines(keepends=True)
        facts = [json.loads(line) for line in lines if line.endswith("\n")]
        return [str(line["frame"]) for line in facts if "frame" in line]

    def has_begun(self, output: Path) -> bool:
        if self.kind == "folder":
            return (output / ".napari-diffseg" / "plan.json").exists()
        return (output.with_name(f".{output.name}.part") / "plan.json").exists()

    def visible(self, output: Path) -> str:
        """Say what somebody would take for a result, and whether it is one."""
        if not output.exists():
            return "nothing"
        if self.kind != "folder":
            return "whole" if digest(output) == self.undisturbed.digest else "NOT WHOLE"
        files, folder = sorted(output.glob("[!.]*")), self.output("undisturbed")
        whole = all(digest(file) == digest(folder / file.name) for file in files)
        return f"{len(files)} files, {'whole' if whole else 'NOT WHOLE'}"

    @cached_property
    def undisturbed(self) -> Undisturbed:
        """Run once without a fault."""
        output = self.output("undisturbed")
        run = self.start(output)
        wait_until(lambda: self.has_begun(output) or run.poll() is not None)
        start = time.perf_counter()
        finish(run)
        return Undisturbed(
            digest(output), time.perf_counter() - start, sorted(self.frames(output)), size(output)
        )


@dataclass(frozen=True)
class Undisturbed:
    """What a run without a fault gives: bytes, seconds from its beginning, frames, size."""

    digest: str
    seconds: float
    frames: list[str]
    size: int


def wait_until(condition: Any) -> None:
    end = time.perf_counter() + PATIENCE
    while not condition():
        if time.perf_counter() > end:
            raise TimeoutError("The run has not come to where it was expected.")
        time.sleep(0.005)


def finish(run: subprocess.Popen[str]) -> None:
    """Wait for a run that has to end well."""
    _, words = run.communicate(timeout=PATIENCE)
    if run.returncode != 0:
        raise RuntimeError(f"The run ended with {run.returncode}: {words[-2000:]}")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of all names and bytes in a folder."""
    found = hashlib.sha256()
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in files:
        found.update(str(file.relative_to(path)).encode())
        if file.is_file():
            found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


def size(path: Path) -> int:
    """Return the bytes that a result takes on a disk of pages."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(-(-file.stat().st_size // PAGE) * PAGE for file in files if file.is_file())


def left_over(folder: Path, output: Path) -> list[str]:
    """Return the hidden files that a run has left beside or in its output."""
    inside = output.glob(".napari*") if output.is_dir() else ()
    return [path.name for path in (*folder.glob(f".{output.name}*"), *inside)]


def ended(case: Case, output: Path, before: list[str]) -> dict[str, Any]:
    """Compare a result, once it is finished, with that of the undisturbed run."""
    after = case.frames(output)
    wanted = case.undisturbed
    return {
        "frames done by the next run": len(after),
        "done twice": len(set(before) & set(after)),
        "lost": len(set(wanted.frames) - set(before) - set(after)),
        "byte-identical": "yes" if digest(output) == wanted.digest else "NO",
        "left over": ", ".join(left_over(output.parent, output)) or "nothing",
    }


def kill_at(case: Case, output: Path, moment: float) -> bool:
    """Kill a run so many seconds after it has begun; return whether it was not at its end."""
    run = case.start(output)
    wait_until(lambda: case.has_begun(output) or run.poll() is not None)
    end = time.perf_counter() + moment
    workers = children(run.pid)
    wait_until(lambda: time.perf_counter() > end or run.poll() is not None)
    was_running = run.poll() is None
    run.send_signal(signal.SIGKILL)
    run.communicate()
    wait_until(lambda: not any(map(is_alive, workers)))
    return was_running


def killed(case: Case, number: int, random: np.random.Generator) -> dict[str, Any]:
    """Kill a run at a random moment, and resume it."""
    n_frames, output = len(case.undisturbed.frames), case.output(f"kill-{number}")
    while not kill_at(case, output, moment := random.uniform(0, case.undisturbed.seconds)):
        clear(output)
    before, visible = case.frames(output), case.visible(output)
    finish(case.start(output, resume=True))
    row = {
        "case": case.name,
        "kill": number,
        "after": f"{moment / case.undisturbed.seconds:.0%}",
        "frames done before": f"{len(before)} of {n_frames}",
        "to be seen": visible,
        **ended(case, output, before),
    }
    clear(output)
    return row


def worker_killed(case: Case) -> dict[str, Any]:
    """Kill one of two worker processes in mid-run."""
    output, n_frames = case.output("worker"), len(case.undisturbed.frames)
    run = case.start(output)
    wait_until(lambda: len(case.frames(output)) >= n_frames // 4 or run.poll() is not None)
    if run.poll() is not None:
        raise RuntimeError(f"The run ended before its worker could be killed: {run.stderr.read()}")
    victim = next(pid for pid in children(run.pid) if "spawn_main" in command_of(pid))
    before = case.frames(output)
    os.kill(victim, signal.SIGKILL)
    finish(run)
    frames = case.frames(output)
    row = {
        "case": case.name,
        "frames done before": f"{len(before)} of {n_frames}",
        "done twice": len(frames) - len(set(frames)),
        "lost": len(set(case.undisturbed.frames) - set(frames)),
        "byte-identical": "yes" if digest(output) == case.undisturbed.digest else "NO",
    }
    clear(output)
    return row


@contextmanager
def small_disk(folder: Path, room: int) -> Iterator[Path]:
    """Mount a disk of so many bytes (as root, Linux)."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)
        disk.rmdir()


def full_disk(case: Case, share: float) -> dict[str, Any]:
    """Run on a disk that is too small, make it larger, and resume."""
    # Beside the output lie a copy of the model, and a small file for each frame that is done.
    whole = case.undisturbed.size + len(case.undisturbed.frames) * PAGE
    room = size(case.folder / "model.safetensors") + int(whole * share)
    with small_disk(case.folder, room) as disk:
        output = case.output("full", disk)
        run = case.start(output)
        _, words = run.communicate(timeout=PATIENCE)
        visible = case.visible(output)
        before = case.frames(output)
        subprocess.run(["mount", "-o", "remount,size=1g", disk], check=True)
        finish(case.start(output, resume=True))
        return {
            "case": case.name,
            "room": f"{share:.0%}",
            "exit code": run.returncode,
            "said": words.strip().splitlines()[-1].replace(str(case.folder), "…"),
            "to be seen": visible,
            "frames done before": f"{len(before)} of {len(case.undisturbed.frames)}",
            **ended(case, output, before),
        }


def children(pid: int) -> list[int]:
    """Return the processes that a process has started, and theirs (Linux)."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *children(child)]
    return found


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except FileNotFoundError:
        return ""


def is_alive(pid: int) -> bool:
    return bool(command_of(pid))  # of a process that has ended, it is empty


def clear(output: Path) -> None:
    """Delete a result and what lies beside it."""
    for path in (output, output.with_name(f".{output.name}.part")):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def prepare(folder: Path, n_frames: int) -> None:
    """Write the model, a stack, and a folder of as many images."""
    model_of("classes").save(folder / "model.safetensors")
    write_frames(folder / "frames.zarr", n_frames)
    (folder / "frames").mkdir()
    for t in range(n_frames):
        tifffile.imwrite(folder / "frames" / f"frame{t}.tif", noisy(t % N_PIECES, t))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/faults.md`` and ``.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--kills", type=int, default=10, help="of each case")
    parser.add_argument("--outputs", nargs="+", default=list(OUTPUTS), choices=OUTPUTS)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--skip-processes", action="store_true")
    options = parser.parse_args(arguments)
    kills, workers, disks = [], [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, options.frames)
        cases = [Case(folder, kind, "threads", 2) for kind in options.outputs]
        if not options.skip_processes:
            case = Case(folder, ".ome.zarr", "processes", 2)
            cases.append(case)
            workers.append(worker_killed(case))
        random = np.random.default_rng(options.seed)
        for case in cases:
            for number in range(options.kills):
                kills.append(killed(case, number, random))
                print(*kills[-1].values(), file=sys.stderr)
            if os.geteuid() == 0:
                disks.append(full_disk(case, share=0.6))
                print(*disks[-1].values(), file=sys.stderr)
    tables = {"kill -9": kills, "A worker killed": workers, "A full disk": disks}
    made = {title: rows for title, rows in tables.items() if rows}
    merge_results("faults", made, key=("case", "kill"))


if __name__ == "__main__":
    main()
