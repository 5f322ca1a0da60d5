"""Inputs that make no sense, through every door: each ends in a result or in a sentence.

Files that are whole are changed at random (bytes, numbers within their structure, JSON values) and
read; arrays of every kind and arguments of every kind are segmented. What counts as a fault:

* an error that is none of ours, or one of ours without a sentence;
* more than ten seconds of processor time for one input, or a minute by the clock;
* more than a gigabyte beyond what the program takes (an allocation that follows a header's word);
* the end of the program.

Each door runs in a process of its own, with that bound on its memory. One that has hung, or died,
is a fault, and another goes on with the next input. Faults are kept, with the input that makes
them, in ``--keep``::

    python -m benchmarks.fuzz --inputs 100000
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import fuzz_doors
from benchmarks.machine import merge_results, peak_memory_mb, resident_memory_mb
from napari_diffseg.errors import DiffSegError

LONGEST = 10.0
"""Seconds of processor time that an input may take: others may use the machine."""

LONGEST_WAIT = 60.0
"""Seconds by the clock that an input may take."""

HUNG = 75
"""How a process ends of which an input has taken too long."""

BOUND = 1 << 30
"""Bytes beyond what the program takes before the first input."""


class Hangs(BaseException):
    """An input takes too long; no handler of ours may swallow it."""


@contextmanager
def within(seconds: float, wait: float) -> Iterator[None]:
    """Interrupt what takes longer (in the main thread, between two steps of Python)."""

    def ring(*_: object) -> None:
        raise Hangs

    timers = {signal.SIGPROF: signal.ITIMER_PROF, signal.SIGALRM: signal.ITIMER_REAL}
    before = {number: signal.signal(number, ring) for number in timers}
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, wait)
    try:
        yield
    finally:
        for number, timer in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])


def outcome_of(attempt: Callable[[], str]) -> tuple[str, str]:
    """Run one input; returns what became of it, and of a fault where it was raised."""
    try:
        with within(LONGEST, LONGEST_WAIT), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return attempt(), ""
    except DiffSegError as error:
        text = str(error)
        if not text.strip() or "\n" in text or not text.rstrip().endswith((".", ")")):
            return "no sentence", text
        return "refused", ""
    except Hangs:
        return "hangs", traceback.format_exc(limit=-3)
    except SystemExit as error:
        return ("refused", "") if error.code in (0, 2) else ("exit", str(error.code))
    except BaseException as error:  # noqa: BLE001  (this is what is looked for)
        last = traceback.extract_tb(error.__traceback__)
        ours = next((one for one in reversed(last) if "napari_diffseg" in one.filename), last[-1])
        return (
            "fault",
            f"{type(error).__name__}: {error} ({Path(ours.filename).name}:{ours.lineno})",
        )


@dataclass
class Tally:
    """What the inputs of one door came to; written down after each, for the process may die."""

    next: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    memory: float = 0.0
    base: float = 0.0

    @classmethod
    def read(cls, path: Path) -> Tally:
        said = json.loads(path.read_text()) if path.exists() else {}
        counters = {key: Counter(said.pop(key, {})) for key in ("outcomes", "kinds")}
        return cls(**said, **counters)

    def note(self, outcome: str, where: str, seconds: float) -> bool:
        """Count an input; returns whether it is the first fault of its kind."""
        self.next += 1
        self.slowest = max(self.slowest, seconds)
        self.memory = max(self.memory, peak_memory_mb() - self.base)
        self.outcomes[outcome] += 1
        if outcome in ("read", "refused"):
            return False
        kind = where.rpartition("(")[2] if outcome == "fault" else outcome
        self.kinds[kind] += 1
        return self.kinds[kind] == 1

    def write(self, path: Path) -> None:
        part = path.with_suffix(".part")
        part.write_text(json.dumps(vars(self)))
        part.replace(path)

    def row(self, door: str) -> dict[str, Any]:
        faults = sum(n for what, n in self.outcomes.items() if what not in ("read", "refused"))
        return {
            "door": door,
            "inputs": self.next,
            "read": self.outcomes["read"],
            "refused with a sentence": self.outcomes["refused"],
            "faults": faults,
            "kinds": dict(self.kinds),
            "slowest s": round(self.slowest, 2),
            "memory MB": round(self.memory),
        }


def run_door(name: str, n_inputs: int, seed: int, keep: Path, tally_file: Path) -> None:
    """Put inputs through one door, in this process, from where an earlier one came to."""
    tally = Tally.read(tally_file)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        door = fuzz_doors.DOORS[name](Path(folder))
        for number in range(20):  # what is loaded once is loaded
            outcome_of(door.attempt(np.random.default_rng([seed, 1, number])))
        tally.base = resident_memory_mb()
        limit = int(fuzz_doors.address_space()) + BOUND
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        while tally.next < n_inputs:
            number = tally.next
            attempt = door.attempt(np.random.default_rng([seed, number]))
            begun = time.process_time()
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                outcome, where = outcome_of(attempt)
            if tally.note(outcome, where, time.process_time() - begun):
                _keep(keep, name, number, outcome, where, door.input)
            tally.write(tally_file)
            if outcome == "hangs":
                # Its threads work on: what comes next would wait for them.
                os._exit(HUNG)


def through(name: str, n_inputs: int, seed: int, keep: Path) -> dict[str, Any]:
    """Put inputs through one door, in as many processes as it takes."""
    tally_file = keep / f"{name}-{seed}.json"
    keep.mkdir(parents=True, exist_ok=True)
    tally_file.unlink(missing_ok=True)
    command = [sys.executable, "-X", "faulthandler", "-m", "benchmarks.fuzz", "--here"]
    command += ["--doors", name, "--inputs", str(n_inputs), "--seed", str(seed)]
    # Of memory that is only set aside, for threads, none is an allocation of an input.
    surroundings = {**os.environ, "MALLOC_ARENA_MAX": "1"}
    while True:
        done = subprocess.run(
            [*command, "--keep", str(keep)],
            capture_output=True,
            text=True,
            check=False,
            env=surroundings,
        )
        tally = Tally.read(tally_file)
        if done.returncode == 0:
            return tally.row(name)
        if done.returncode != HUNG:
            if tally.next == 0:
                raise SystemExit(f"The door {name} does not open: {done.stderr[-2000:]}")
            where = f"died with {done.returncode}: {done.stderr[-2000:]}"
            _keep(keep, name, tally.next, "died", where, "made anew with the seed")
            tally.note("died", "", 0)
            tally.write(tally_file)


def _keep(keep: Path, door: str, number: int, outcome: str, where: str, made: Path | str) -> None:
    keep.mkdir(parents=True, exist_ok=True)
    name = f"{door}-{hashlib.sha256(where.encode()).hexdigest()[:8]}"
    (keep / f"{name}.txt").write_text(f"{door} {number}: {outcome}\n{where}\n{made}\n")
    if isinstance(made, Path) and made.exists():
        target = keep / f"{name}{made.suffix}"
        if made.is_dir():
            shutil.copytree(made, target, dirs_exist_ok=True)
        else:
            shutil.copy(made, target)


def main() -> None:
    """Read the command line, put inputs through the doors, keep the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=100_000, help="of all doors together")
    parser.add_argument("--doors", nargs="+", default=list(fuzz_doors.DOORS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "fuzz-faults")
    parser.add_argument("--here", action="store_true", help="one door, in this process")
    args = parser.parse_args()
    if args.here:
        [door] = args.doors
        tally_file = args.keep / f"{door}-{args.seed}.json"
        run_door(door, args.inputs, args.seed, args.keep, tally_file)
        return
    rows: list[Mapping[str, Any]] = []
    whole = sum(fuzz_doors.SHARES[name] for name in args.doors)
    for name in args.doors:
        n_inputs = max(round(args.inputs * fuzz_doors.SHARES[name] / whole), 1)
        row = through(name, n_inputs, args.seed, args.keep)
        print(row, flush=True)
        rows.append(row)
    merge_results("fuzz", {f"seed {args.seed}": [dict(row) for row in rows]}, ["door"])
    if any(row["faults"] for row in rows):
        raise SystemExit(f"faults were met; they are kept in {args.keep}")


if __name__ == "__main__":
    main()
