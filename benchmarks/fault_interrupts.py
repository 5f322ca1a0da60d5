"""How soon a command of the shell ends at Ctrl-C or SIGTERM, and what it leaves.

Each is started as a person does, loads what it needs, and is sent one of the two at a random moment
between its start and its end: while Python or torch is loaded, an image is read, a frame is
labelled, a file is written. What matters are the seconds until the process is gone (of the wall,
and of the processor meanwhile), that it says one sentence, and that nothing half written stands
under the name of the result. Training that has begun is ended by the first of them, and what it has
learned is kept: such runs are counted apart::

    python -m benchmarks.fault_interrupts --each 8
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fault_commands import Command, contents, hidden, prepare, remove
from benchmarks.machine import merge_results

PROGRAM = (
    sys.executable,
    "-c",
    "import sys; from napari_diffseg.cli import main; sys.exit(main())",
)
COMMANDS = (
    "segment, TIFF",
    "train",
    "apply, zarr, threads",
    "apply, folder, processes",
    "objects, TIFF",
    "measure",
    "export, TIFF",
)
TICKS = os.sysconf("SC_CLK_TCK")


def begin(words: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, as a terminal does."""
    return subprocess.Popen([*PROGRAM, *words], stderr=subprocess.PIPE, start_new_session=True)


def processor_seconds(pid: int) -> float:
    """Return what a process has used so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    # And the processes that it has waited for.
    return sum(map(int, fields[11:15])) / TICKS


def stop(words: Sequence[str], moment: float, number: signal.Signals) -> dict[str, Any] | None:
    """Send a signal after so many seconds; None where the command had ended by then."""
    program = begin(words)
    time.sleep(moment)
    used = processor_seconds(program.pid)
    if program.poll() is not None:
        return None
    began = time.monotonic()
    # A terminal sends Ctrl-C to all processes of a command, others a signal to one.
    (os.killpg if number == signal.SIGINT else os.kill)(program.pid, number)
    _, status, usage = os.wait4(program.pid, 0)
    wall = time.monotonic() - began
    program.returncode = code = os.waitstatus_to_exitcode(status)
    assert program.stderr is not None
    said = program.stderr.read().decode()
    lines = [line for line in said.splitlines() if line and "\r" not in line]
    is_said = lines and lines[-1].startswith("napari-diffseg: ")
    return {
        "wall": wall,
        "processor": max(0.0, usage.ru_utime + usage.ru_stime - used),
        "as a shell expects": code in (128 + number, -number, 0),
        "kept": code == 0,
        "no sentence": [] if is_said and "Traceback" not in said else lines or ["nothing"],
        "moment": moment,
    }


def stopped(command: Command, words: Sequence[str], output: Path, each: int, seed: int) -> Any:
    """Stop a command again and again; return what is to be said of it."""
    begun = time.monotonic()
    _, said = begin(words).communicate()
    seconds = time.monotonic() - begun
    if not output.exists():
        raise RuntimeError(said.decode())
    exact = command.resumes
    names, rng, rows = set(contents(output, exact)), np.random.default_rng(seed), []
    partly = left = 0
    remove(output)
    while len(rows) < each:
        number = (signal.SIGINT, signal.SIGTERM)[len(rows) % 2]
        row = stop(words, float(rng.uniform(0.02, 1.0) * seconds), number)
        if row is not None:
            rows.append(row)
            found = contents(output, exact)
            partly += any("not readable" in one for one in found.values())
            partly += not set(found) <= names
            left += bool(hidden(output)) and not command.resumes
        remove(output)
    ended = [row for row in rows if not row["kept"]]
    return rows, {
        "command": command.name,
        "seconds": round(seconds, 1),
        "stopped": each,
        "kept what there was": len(rows) - len(ended),
        "wall, s: median": round(statistics.median(row["wall"] for row in ended), 2),
        "at most": round(max(row["wall"] for row in ended), 2),
        "processor, s at most": round(max(row["processor"] for row in ended), 2),
        "other exit codes": sum(not row["as a shell expects"] for row in rows),
        "not one sentence": sum(bool(row["no sentence"]) for row in rows),
        "half written": partly,
        "hidden files left": left,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/fault_interrupts.md`` and ``.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", type=int, default=8, help="of each command")
    parser.add_argument("--commands", nargs="+", default=COMMANDS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    tables: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        for one in options.commands:
            command = Command(one, folder)
            output = command.output("stopped")
            words = command.words(output)
            rows, row = stopped(command, words, output, options.each, options.seed)
            for late in rows:
                if late["wall"] > 1 or late["no sentence"]:
                    print(one, late, file=sys.stderr, flush=True)
            tables.setdefault("Stopped", []).append(row)
            print(*tables["Stopped"][-1].values(), file=sys.stderr, flush=True)
            merge_results("fault_interrupts", tables, ["command"])


if __name__ == "__main__":
    main()
