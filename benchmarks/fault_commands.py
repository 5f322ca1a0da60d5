"""Commands of the shell that are killed, or whose disk, permission or input goes away.

Each command writes one output, in a process of its own, forked from one that has loaded torch: a
run takes a second or two, and the kill is of a real process with its workers. Whatever happens,
what stands under its name is whole (the labels of an undisturbed run; else the bytes), or nothing
stands there; of a folder every file is. The command run again (`apply` with ``--resume``) gives
it::

    python -m benchmarks.fault_commands --kills 100
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray

from benchmarks.faults import PAGE, clear, digest, size, small_disk
from benchmarks.machine import merge_results
from benchmarks.stacks import model_of, noisy
from napari_diffseg import cli
from napari_diffseg.cli.apply import SOME_FAILED
from napari_diffseg.errors import DiffSegError
from napari_diffseg.files import is_zarr
from napari_diffseg.io.reading import read_class_numbers

SIDE, N_FRAMES = 160, 8
PATIENCE = 300.0
LABELS = ("labels.tif", "--axes", "TYX")
APPLY = ("apply", "model.safetensors")
ON = {"threads": (), "processes": ("--scheduler", "processes", "--workers", "2")}
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "segment, TIFF": ("segment", "image.tif", "-o", "OUT.ome.tif"),
    "segment, zarr": ("segment", "image.tif", "-o", "OUT.ome.zarr"),
    "segment, PNG": ("segment", "image.tif", "-o", "OUT.png"),
    "train": ("train", "image.tif", "-o", "OUT.safetensors"),
    **{
        f"apply, {kind}, {where}": (*APPLY, source, *words, "-o", f"OUT{ending}")
        for where, words in ON.items()
        for kind, source, ending in (
            ("zarr", "frames.zarr", ".ome.zarr"),
            ("TIFF", "frames.zarr", ".ome.tif"),
            ("folder", "frames", ""),
            ("plate", "plate.zarr", ".ome.zarr"),
        )
    },
    "objects, TIFF": ("objects", *LABELS, "-o", "OUT.ome.tif"),
    "objects, zarr": ("objects", *LABELS, "-o", "OUT.ome.zarr"),
    "measure": ("measure", *LABELS, "-o", "OUT.csv"),
    "export, TIFF": ("export", *LABELS, "--name", "result", "-o", "OUT"),
    "export, zarr": ("export", *LABELS, "--name", "result", "--zarr", "-o", "OUT"),
}
LOADED = (
    "benchmarks.fault_commands",
    "napari_diffseg.batch.run",
    "napari_diffseg.core.segmentation",
    "napari_diffseg.core.model.application",
    "napari_diffseg.batch.objects",
    "napari_diffseg.io.label_files.export",
)


def run_words(words: Sequence[str], log: Path) -> None:
    """Run a command in this process, as the shell does; what it says goes to a file."""
    os.setsid()
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    # Which every worker process reads: the program's own is a line, and not this file.
    sys.modules["__main__"] = ModuleType("__main__")
    sys.argv = ["napari-diffseg", *words]
    sys.exit(cli.main())


class Run:
    """A command under way."""

    def __init__(self, words: Sequence[str], folder: Path) -> None:
        self.folder = folder
        self.log = folder / "logs" / secrets.token_hex(8)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(LOADED))
        self.process = context.Process(target=run_words, args=(words, self.log))
        self.process.start()

    def kill(self) -> bool:
        """Kill it, and not its workers; returns whether it was still at work."""
        was_running = self.process.is_alive()
        self.process.kill()
        self.process.join()
        return was_running

    def workers(self) -> list[int]:
        """Return the processes that it has begun, and theirs, which are at work (Linux)."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(session) == self.process.pid and state != "Z":
                    found.append(int(entry.name))
        return found

    def seconds_alone(self) -> float:
        """Return for how long its workers go on without it."""
        begun = time.perf_counter()
        while self.workers() and time.perf_counter() < begun + PATIENCE:
            time.sleep(0.01)
        return time.perf_counter() - begun

    def ended(self) -> tuple[int, str]:
        """Wait for the end; return the exit code, and the last line that was said."""
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.kill()
            return -1, "HANGS"
        last = (self.log.read_text().strip().splitlines() or [""])[-1]
        return self.process.exitcode or 0, last.replace(str(self.folder), "…")


@dataclass(frozen=True)
class Command:
    """One command on the files of a folder."""

    name: str
    folder: Path

    @property
    def resumes(self) -> bool:
        return self.name.startswith("apply")

    @property
    def source(self) -> Path:
        return self.folder / COMMANDS[self.name][2 if self.resumes else 1]

    def output(self, word: str, folder: Path | None = None) -> Path:
        ending = COMMANDS[self.name][-1].removeprefix("OUT")
        return (folder or self.folder / "out") / f"{word}{list(COMMANDS).index(self.name)}{ending}"

    def words(self, output: Path, *more: str, source: Path | None = None) -> list[str]:
        inputs = {path.name: str(path) for path in self.folder.iterdir()}
        inputs[self.source.name] = str(source or self.source)
        words = [inputs.get(word, word) for word in COMMANDS[self.name][:-1]]
        return [*words, str(output), *more]

    def start(self, output: Path, *more: str, source: Path | None = None) -> Run:
        return Run(self.words(output, *more, source=source), self.folder)

    def run(self, output: Path, *more: str) -> tuple[int, str]:
        """Return the exit code, and the last line that was said."""
        return self.start(output, *more).ended()

    @cached_property
    def whole(self) -> tuple[dict[str, str], float]:
        """What an undisturbed run writes, and how many seconds it takes."""
        begun = time.perf_counter()
        code, said = self.run(self.output("whole"))
        if code:
            raise RuntimeError(f"{self.name} ended with {code}: {said}")
        seconds = time.perf_counter() - begun
        return contents(self.output("whole"), self.resumes), seconds

    def seen(self, output: Path) -> str:
        """Say what somebody would take for a result, and whether it is one."""
        wanted, _ = self.whole
        found = contents(output, self.resumes)
        if not found:
            return "nothing"
        if any(wanted.get(name) != content for name, content in found.items()):
            return "NOT WHOLE"
        return "whole" if found == wanted else "some files, whole"

    def but_for_failed(self, output: Path) -> str:
        """Say what is to be seen where some frames could not be read: these have labels of 0."""
        if output.is_dir() and not _is_store(output):
            return self.seen(output)
        found, wanted = (
            np.asarray(read_class_numbers(path).pixels) for path in (output, self.output("whole"))
        )
        same = [np.array_equal(one, other) for one, other in zip(found, wanted, strict=True)]
        left = [one.any() for one, is_same in zip(found, same, strict=True) if not is_same]
        return "NOT WHOLE" if any(left) else f"whole, but for {len(left)} frames that are named"


def contents(output: Path, exact: bool) -> dict[str, str]:
    """Return a digest of each whole thing at a place: a file or store, or those of a folder."""
    if not output.exists():
        return {}
    if output.is_file() or _is_store(output):
        return {"": digest(output) if exact else content(output)}
    found = {}
    for path in sorted(output.rglob("*")):
        inner = path.relative_to(output)
        is_part = any(_is_store(output / one) for one in list(inner.parents)[:-1])
        is_hidden = any(part.startswith(".") for part in inner.parts)
        if not is_part and not is_hidden and (path.is_file() or _is_store(path)):
            found[str(inner)] = digest(path)
    return found


def _is_store(path: Path) -> bool:
    return is_zarr(path) and (path / "labels").is_dir()


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
    wanted, seconds = command.whole
    seen = {"nothing": 0, "some files, whole": 0, "whole": 0, "NOT WHOLE": 0}
    number = again = same = left = still = 0
    alone = 0.0
    while number < kills:
        output = command.output(f"kill{number}")
        run = command.start(output)
        time.sleep(rng.uniform(0.02, 1.1) * seconds)
        if not run.kill():
            clear(output)
            continue
        alone = max(alone, run.seconds_alone())
        number += 1
        seen[command.seen(output)] += 1
        left += bool(hidden(output))
        if command.resumes or number % 3 == 0:
            more = ("--resume",) if command.resumes else ("--force",)
            code, _ = command.run(output, *more)
            again += 1
            same += code == 0 and contents(output, command.resumes) == wanted
            still += bool(hidden(output))
        remove(output)
    return {
        "command": command.name,
        "seconds": round(seconds, 1),
        "kills": kills,
        **seen,
        "run again, the same": f"{same} of {again}",
        "workers went on, s at most": round(alone, 2),
        "hidden files left": left,
        "and by the next run": f"{still} of {again}",
    }


def hidden(output: Path) -> list[str]:
    """Return what a run has left beside its output, or in it."""
    inside = output.glob(".*") if output.is_dir() else ()
    return [path.name for path in (*output.parent.glob(f".*{output.name}*"), *inside)]


def remove(output: Path) -> None:
    for name in hidden(output):
        clear(output.parent / name)
    clear(output)


def what_came(command: Command, output: Path, code: int, said: str) -> dict[str, Any]:
    """Return what is to be said of a run that met something."""
    return {
        "command": command.name,
        "exit code": code,
        "said": said,
        "to be seen": (command.but_for_failed if code == SOME_FAILED else command.seen)(output),
        "left over": ", ".join(hidden(output)) or "nothing",
    }


def full_disk(command: Command) -> dict[str, Any]:
    """Write where there is room for half of the output."""
    room = max(size(command.output("whole")) // 2 // PAGE * PAGE, PAGE)
    with small_disk(command.folder / "out", room) as disk:
        if size(command.output("whole")) <= room:
            (disk / "other").write_bytes(bytes(room))
        output = command.output("full", disk)
        return what_came(command, output, *command.run(output))


def lost_permission(command: Command) -> dict[str, Any]:
    """Let nobody change the folder, in mid-run (as root, and not on every file system)."""
    folder = command.folder / "out" / "mine"
    folder.mkdir(exist_ok=True)
    output = command.output("lost", folder)
    run = command.start(output)
    time.sleep(0.4 * command.whole[1])
    subprocess.run(["chattr", "+i", folder], check=True)
    ended = run.ended()
    subprocess.run(["chattr", "-i", folder], check=True)
    row = what_came(command, output, *ended)
    remove(output)
    return row


def vanished(command: Command) -> dict[str, Any]:
    """Take the input away, in mid-run."""
    # Under its own name, which a model keeps.
    gone = command.folder / "gone" / command.source.name
    gone.parent.mkdir(exist_ok=True)
    copy = shutil.copytree if command.source.is_dir() else shutil.copy
    copy(command.source, gone)
    output = command.output("vanished")
    run = command.start(output, source=gone)
    time.sleep(0.3 * command.whole[1])
    clear(gone)
    row = what_came(command, output, *run.ended())
    remove(output)
    return row


def pipe(command: Command) -> dict[str, Any]:
    """Give a pipe to which nobody writes for an input."""
    source = command.folder / "pipe.tif"
    os.mkfifo(source)
    output = command.output("pipe")
    row = what_came(command, output, *command.start(output, source=source).ended())
    source.unlink()
    return row


def two_runs(command: Command) -> dict[str, Any]:
    """Start the same command twice at the same time, on one output."""
    output = command.output("two")
    runs = [command.start(output), command.start(output)]
    ends = [run.ended() for run in runs]
    said = " / ".join(words for code, words in ends if code)
    row = what_came(command, output, 0, said) | {"exit code": sorted(code for code, _ in ends)}
    remove(output)
    return row


def prepare(folder: Path) -> None:
    """Write the files that the commands read."""
    folder.chmod(0o755)
    for name in ("out", "logs", "frames"):
        (folder / name).mkdir()
    model_of("classes").save(folder / "model.safetensors")
    frames = np.stack([noisy(0, number)[:SIDE, :SIDE] for number in range(N_FRAMES)])
    zarr.create_array(folder / "frames.zarr", data=frames, chunks=(1, SIDE, SIDE))
    for number, frame in enumerate(frames):
        tifffile.imwrite(folder / "frames" / f"frame{number}.tif", frame)
    tifffile.imwrite(folder / "image.tif", frames[0])
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 3, (24, 16, 16)), np.ones((1, 16, 16))).astype(np.uint8)
    tifffile.imwrite(folder / "labels.tif", labels, photometric="minisblack")
    _write_plate(folder / "plate.zarr", frames[:4])


def _write_plate(path: Path, fields: NDArray[np.uint16]) -> None:
    axes = [{"name": name, "type": "space"} for name in "yx"]
    scale = [{"type": "scale", "scale": [0.5, 0.5]}]
    dataset = {"path": "0", "coordinateTransformations": scale}
    image = {"multiscales": [{"axes": axes, "datasets": [dataset], "version": "0.4"}]}
    wells = [f"A/{number}" for number in (1, 2)]
    root = zarr.create_group(path, zarr_format=2)
    listed = [{"path": well, "rowIndex": 0, "columnIndex": n} for n, well in enumerate(wells)]
    plate = {"version": "0.4", "rows": [{"name": "A"}], "columns": [{"name": "1"}, {"name": "2"}]}
    root.update_attributes({"plate": plate | {"wells": listed}})
    root.create_group("A")
    for well, planes in zip(wells, np.split(fields, len(wells)), strict=True):
        images = [{"path": str(number)} for number in range(len(planes))]
        group = root.create_group(well, attributes={"well": {"version": "0.4", "images": images}})
        for number, plane in enumerate(planes):
            field = group.create_group(str(number), attributes=image)
            field.create_array("0", data=plane, chunks=plane.shape)


MET: Mapping[str, Callable[[Command], dict[str, Any]]] = {
    "Two runs on one output": two_runs,
    "An input that vanishes in mid-run": vanished,
    "An input that is a pipe to which nobody writes": pipe,
    "A folder that loses its permission in mid-run": lost_permission,
    "A disk with half the room": full_disk,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/fault_commands.md`` and ``.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=15, help="of each command")
    parser.add_argument("--commands", nargs="+", default=list(COMMANDS), choices=COMMANDS)
    parser.add_argument("--met", nargs="*", default=list(MET), choices=MET)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(options.seed)
    tables: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        Run(["devices"], folder).ended()  # the others begin where this one has loaded all
        for one in options.commands:
            command = Command(one, folder)
            rows = {met: MET[met](command) for met in options.met}
            if options.kills:
                rows["kill -9"] = killed(command, options.kills, rng)
            for title, row in rows.items():
                tables.setdefault(title, []).append(row)
                print(title, *row.values(), file=sys.stderr, flush=True)
            merge_results("fault_commands", tables, ["command"])


if __name__ == "__main__":
    main()
