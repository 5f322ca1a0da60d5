"""Commands of the shell that are killed, find a full disk, or meet another run of themselves.

Each command writes one output. Whatever happens, what stands under its name is whole (the labels
of an undisturbed run; of models and tables the bytes), or nothing stands there; and the command run
again gives it::

    python -m benchmarks.fault_commands --kills 20
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from benchmarks.faults import clear, digest, size, small_disk
from benchmarks.machine import write_results
from benchmarks.stacks import model_of, noisy, write_frames
from napari_diffseg.errors import DiffSegError
from napari_diffseg.io.reading import read_class_numbers

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "segment, TIFF": ("segment", "image.tif", "-o", "OUT.ome.tif"),
    "segment, zarr": ("segment", "image.tif", "-o", "OUT.ome.zarr"),
    "segment, PNG": ("segment", "image.tif", "-o", "OUT.png"),
    "train": ("train", "image.tif", "-o", "OUT.safetensors"),
    "apply, zarr": ("apply", "model.safetensors", "frames.zarr", "-o", "OUT.ome.zarr"),
    "objects, TIFF": ("objects", "labels.tif", "--axes", "TYX", "-o", "OUT.ome.tif"),
    "objects, zarr": ("objects", "labels.tif", "--axes", "TYX", "-o", "OUT.ome.zarr"),
    "measure": ("measure", "labels.tif", "--axes", "TYX", "-o", "OUT.csv"),
}
PATIENCE = 300.0


@dataclass(frozen=True)
class Command:
    """One command on the files of a folder."""

    name: str
    folder: Path

    def output(self, word: str, folder: Path | None = None) -> Path:
        ending = COMMANDS[self.name][-1].removeprefix("OUT")
        number = list(COMMANDS).index(self.name)
        return (folder or self.folder) / f"{word}{number}{ending}"

    def start(self, output: Path, *more: str) -> subprocess.Popen[str]:
        files = {path.name: str(path) for path in self.folder.iterdir()}
        words = [files.get(word, word) for word in COMMANDS[self.name][:-1]]
        code = "import sys; from napari_diffseg.cli import main; sys.exit(main())"
        return subprocess.Popen(
            [sys.executable, "-c", code, *words, str(output), *more],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, output: Path, *more: str) -> tuple[int, str]:
        """Return the exit code, and the last line that was said."""
        run = self.start(output, *more)
        _, words = run.communicate(timeout=PATIENCE)
        last = (words.strip().splitlines() or [""])[-1]
        return run.returncode, last.replace(str(self.folder), "…")


def content(path: Path) -> str:
    """Return the digest of a model or a table, or of the labels in a file.

    Beside labels stands how many seconds the run took, so that their files differ.
    """
    if path.suffix in (".csv", ".safetensors"):
        return digest(path)
    try:
        labels = np.asarray(read_class_numbers(path).pixels)
    except DiffSegError as error:
        return f"not readable: {error}"
    return hashlib.sha256(labels.tobytes()).hexdigest()


def killed(command: Command, kills: int, rng: np.random.Generator) -> dict[str, Any]:
    """Kill at random moments; count what is to be seen then, and run again."""
    whole = command.output("whole")
    begun = time.perf_counter()
    code, said = command.run(whole)
    seconds = time.perf_counter() - begun
    if code:
        raise RuntimeError(f"{command.name} ended with {code}: {said}")
    wanted = content(whole)
    seen = {"nothing": 0, "whole": 0, "NOT WHOLE": 0}
    again = 0
    for number in range(kills):
        output = command.output(f"kill{number}")
        run = command.start(output)
        # Most of the time torch is loaded: the second half has what can go wrong.
        time.sleep(rng.uniform(0.5, 1.0) * seconds)
        run.kill()
        run.communicate()
        if not output.exists():
            seen["nothing"] += 1
        else:
            seen["whole" if content(output) == wanted else "NOT WHOLE"] += 1
        if number % 5 == 0:
            more = ("--force",) if output.exists() or is_journaled(output) else ()
            code, said = command.run(output, *more)
            again += content(output) == wanted
        clear(output)
    return {
        "command": command.name,
        "kills": kills,
        **seen,
        "run again, the same bytes": f"{again} of {-(-kills // 5)}",
    }


def is_journaled(output: Path) -> bool:
    """Whether a run that can be resumed was cut short here."""
    return output.with_name(f".{output.name}.part").is_dir()


def full_disk(command: Command) -> dict[str, Any]:
    """Write where there is room for half of the output."""
    room = max(size(command.output("whole")) // 2, 4096)
    with small_disk(command.folder, room) as disk:
        output = command.output("full", disk)
        code, said = command.run(output)
        seen = "nothing"
        if output.exists():
            seen = "whole" if content(output) == content(command.output("whole")) else "NOT WHOLE"
        left = [path.name for path in disk.iterdir() if path != output]
    return {
        "command": command.name,
        "exit code": code,
        "said": said,
        "to be seen": seen,
        "left over": ", ".join(left) or "nothing",
    }


def two_runs(command: Command) -> dict[str, Any]:
    """Start the same command twice at the same time, on one output."""
    output = command.output("two")
    runs = [command.start(output), command.start(output)]
    said = [run.communicate(timeout=PATIENCE)[1].strip().splitlines() for run in runs]
    codes = sorted(run.returncode for run in runs)
    refused = [lines[-1] for lines, run in zip(said, runs, strict=True) if run.returncode]
    same = output.exists() and content(output) == content(command.output("whole"))
    clear(output)
    return {
        "command": command.name,
        "exit codes": codes,
        "said": " / ".join(refused).replace(str(command.folder), "…"),
        "whole": "yes" if same else "NO",
    }


def prepare(folder: Path) -> None:
    """Write the files that the commands read."""
    model_of("classes").save(folder / "model.safetensors")
    write_frames(folder / "frames.zarr", 6)
    tifffile.imwrite(folder / "image.tif", noisy(0, 0))
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 3, (6, 32, 32)), np.ones((1, 16, 16))).astype(np.uint8)
    tifffile.imwrite(folder / "labels.tif", labels, photometric="minisblack")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/fault_commands.md`` and ``.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=15, help="of each command")
    parser.add_argument("--commands", nargs="+", default=list(COMMANDS), choices=COMMANDS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(options.seed)
    kills, disks, twice = [], [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        for one in options.commands:
            command = Command(one, folder)
            kills.append(killed(command, options.kills, rng))
            twice.append(two_runs(command))
            if os.geteuid() == 0:
                disks.append(full_disk(command))
            for rows in (kills, twice, disks):
                print(*rows[-1:], file=sys.stderr)
    write_results(
        "fault_commands",
        {"kill -9": kills, "A disk with half the room": disks, "Two runs on one output": twice},
    )


if __name__ == "__main__":
    main()
