"""Inputs that make no sense, through every door: each ends in a result or in a sentence.

Files that are whole are changed at random (bytes, numbers within their structure, JSON values) and
read; arrays of every kind and arguments of every kind are segmented. What counts as a fault:

* an error that is none of ours, or one of ours without a sentence;
* more than ten seconds for one input;
* more than a gigabyte beyond what the program takes (an allocation that follows a header's word).

Each door runs in a process of its own, with that bound on its memory. Faults are kept, with the
input that makes them, in ``--keep``::

    python -m benchmarks.fuzz --inputs 100000
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
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
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import fuzz_doors
from benchmarks.machine import merge_results, peak_memory_mb, resident_memory_mb
from napari_diffseg.errors import DiffSegError

LONGEST = 10.0
"""Seconds that an input may take."""

BOUND = 1 << 30
"""Bytes beyond what the program takes before the first input."""


class Hangs(BaseException):
    """An input takes too long; no handler of ours may swallow it."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Interrupt what takes longer (in the main thread, between two steps of Python)."""

    def ring(*_: object) -> None:
        raise Hangs

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def outcome_of(attempt: Callable[[], str]) -> tuple[str, str]:
    """Run one input; returns what became of it, and of a fault where it was raised."""
    try:
        with within(LONGEST), warnings.catch_warnings():
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


def run_door(name: str, n_inputs: int, seed: int, keep: Path) -> dict[str, Any]:
    """Put inputs through one door, in this process."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        door = fuzz_doors.DOORS[name](Path(folder))
        for number in range(20):  # what is loaded once is loaded
            outcome_of(door.attempt(np.random.default_rng([seed, 1, number])))
        base = resident_memory_mb()
        limit = int(fuzz_doors.address_space()) + BOUND
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        outcomes: Counter[str] = Counter()
        places: Counter[str] = Counter()
        slowest = 0.0
        for number in range(n_inputs):
            attempt = door.attempt(np.random.default_rng([seed, number]))
            begun = time.perf_counter()
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                outcome, where = outcome_of(attempt)
            slowest = max(slowest, time.perf_counter() - begun)
            outcomes[outcome] += 1
            if outcome not in ("read", "refused"):
                place = where.rpartition("(")[2] or outcome
                places[place] += 1
                if places[place] == 1:
                    _keep(keep, name, number, outcome, where, door.input)
    faults = sum(n for what, n in outcomes.items() if what not in ("read", "refused"))
    return {
        "door": name,
        "inputs": n_inputs,
        "read": outcomes["read"],
        "refused with a sentence": outcomes["refused"],
        "faults": faults,
        "kinds": dict(places),
        "slowest s": round(slowest, 2),
        "memory MB": round(peak_memory_mb() - base),
    }


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
        print(json.dumps(run_door(args.doors[0], args.inputs, args.seed, args.keep)))
        return
    rows: list[Mapping[str, Any]] = []
    whole = sum(fuzz_doors.SHARES[name] for name in args.doors)
    for name in args.doors:
        n_inputs = max(round(args.inputs * fuzz_doors.SHARES[name] / whole), 1)
        command = [sys.executable, "-m", "benchmarks.fuzz", "--here", "--doors", name]
        command += ["--inputs", str(n_inputs), "--seed", str(args.seed), "--keep", str(args.keep)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            row = {"door": name, "inputs": n_inputs, "faults": f"died: {done.stderr[-400:]}"}
        else:
            row = json.loads(done.stdout.splitlines()[-1])
        print(row, flush=True)
        rows.append(row)
    merge_results("fuzz", {f"seed {args.seed}": [dict(row) for row in rows]}, ["door"])
    if any(row["faults"] for row in rows):
        raise SystemExit(f"faults were met; they are kept in {args.keep}")


if __name__ == "__main__":
    main()
