"""The window, used at random for as long as wanted: presses, strokes, layers, undo, Stop.

In a real napari window (under Xvfb where there is no display) buttons, boxes, sliders and choices
of the dock are used as they come, strokes are painted and taken back, layers are added, renamed,
moved, changed and removed, and the dock is closed and opened. What counts:

* exceptions in any thread, errors that are no sentences, messages of Qt;
* memory, threads, widgets and objects in each tenth of the time: they must not grow;
* the longest blocks of the window's thread, by the wall and in processor time of its own, and
  where they were::

    python -m benchmarks.soak --minutes 60
    python -m benchmarks.soak --minutes 60 --control

The control is napari alone: the same done with layers, and no dock. What grows and blocks there
is not the dock's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import napari  # noqa: TID251
import numpy as np
from napari._qt.containers.qt_layer_model import (  # noqa: TID251
    QtLayerListModel,
    ThumbnailRole,
)
from qtpy.QtGui import QImage  # noqa: TID251
from qtpy.QtWidgets import QFileDialog  # noqa: TID251

from benchmarks.live import Heart, pause
from benchmarks.machine import write_results
from benchmarks.soak_acts import DockMonkey, LayerMonkey
from benchmarks.soak_watch import LONG, OURS, Faults, Watch, alive

N_SPANS = 10
N_BLOCKS = 16


def owning(data: Callable[..., Any]) -> Callable[..., Any]:
    """Return what napari shows of a layer in its list, with a thumbnail that owns its pixels.

    napari 0.9.2 draws it from memory that is free by then, and that may be gone: the program dies.
    So it is without any plugin: what its model of the list returns is a `QImage` of bytes that
    nobody holds once Qt has copied the image, of 300 of which 300 showed other bytes afterwards.
    """

    def owned(model: QtLayerListModel, index: Any, role: int = 0) -> Any:
        if role != ThumbnailRole or not index.isValid():
            return data(model, index, role)
        thumbnail = model.getItem(index).thumbnail
        pixels = thumbnail.tobytes()
        height, width = thumbnail.shape[:2]
        return QImage(pixels, width, height, QImage.Format.Format_RGBA8888).copy()

    return owned


def replaced(folder: Path, rng: np.random.Generator) -> list[Any]:
    """Answer what asks for a file, with one, or with Cancel; and mend napari's thumbnails."""

    def file(*_: Any, **__: Any) -> tuple[str, str]:
        name = folder / f"{int(rng.integers(1 << 30))}.safetensors"
        return (str(name), "") if rng.random() < 0.5 else ("", "")

    def nothing(*_: Any, **__: Any) -> str:
        return ""

    return [
        mock.patch.object(QFileDialog, "getOpenFileName", file),
        mock.patch.object(QFileDialog, "getSaveFileName", file),
        mock.patch.object(QFileDialog, "getExistingDirectory", nothing),
        mock.patch.object(QtLayerListModel, "data", owning(QtLayerListModel.data)),
    ]


def run(args: argparse.Namespace, faults: Faults) -> None:
    """Use a window for the rest of the time; what there is to say is kept after each tenth."""
    rng, begun, minutes = np.random.default_rng(args.seed), args.begun, args.minutes
    viewer = napari.Viewer(show_welcome_screen=False)
    faults.hear()
    viewer.open_sample("napari-diffseg", "immunohistochemistry")
    kept = read_kept(args.keep)
    with tempfile.TemporaryDirectory() as name, ExitStack() as asked:
        for one in replaced(Path(name), rng):
            asked.enter_context(one)
        heart = Heart()
        monkey = (LayerMonkey if args.control else DockMonkey)(viewer, rng, heart)
        watch = Watch(heart)
        watch.note_events()
        watch.start()
        first = int((time.time() - begun) / 60 / minutes * N_SPANS)
        for span in range(first, N_SPANS):
            made = list[dict[str, Any]]()
            while time.time() - begun < 60 * minutes * (span + 1) / N_SPANS:
                heart.reset()
                watch.reset()
                act = _one_act(monkey, faults)
                pause(float(rng.exponential(0.15)))
                times = {"own s": heart.longest_cpu, "wall s": heart.longest}
                times = {name: round(value, 3) for name, value in times.items()}
                made.append({**times, "act": act, **watch.told()})
            if not made:
                continue  # the act before has taken all of it
            row = {"window": args.seed, "minutes": round((time.time() - begun) / 60, 1)}
            kept["over time"].append(row | _blocks(made) | alive(viewer))
            print(kept["over time"][-1], flush=True)
            blocks = kept["longest blocks"] + made
            kept["longest blocks"] = sorted(blocks, key=lambda one: -one["own s"])[:N_BLOCKS]
            _count_places(kept["where blocks were"], made)
            kept["faults"] = _with(kept["faults"], faults.found)
            faults.found.clear()
            args.keep.write_text(json.dumps(kept))
    viewer.close()


def read_kept(keep: Path) -> dict[str, list[dict[str, Any]]]:
    """Return what the windows before have come to."""
    empty = {"over time": [], "longest blocks": [], "where blocks were": [], "faults": []}
    return json.loads(keep.read_text()) if keep.exists() else empty


def _with(rows: list[dict[str, Any]], found: Counter[str]) -> list[dict[str, Any]]:
    times = Counter({row["fault"]: row["times"] for row in rows}) + found
    return [{"fault": what, "times": n} for what, n in times.items()]


def windows(args: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Use one window after another until the time is over: one that dies is a fault."""
    begun, minutes, seed, keep = time.time(), args.minutes, args.seed, args.keep
    command = [sys.executable, "-X", "faulthandler", "-m", "benchmarks.soak", "--here"]
    command += ["--control"] if args.control else []
    command += ["--minutes", str(minutes), "--begun", str(begun), "--keep", str(keep)]
    while time.time() - begun < 60 * minutes:
        done = subprocess.run([*command, "--seed", str(seed)], stderr=subprocess.PIPE, text=True)
        print(done.stderr[-6000:], file=sys.stderr, flush=True)
        if done.returncode:
            kept = read_kept(keep)
            found = Counter({f"the window died: {_last_place(done.stderr)}": 1})
            keep.write_text(json.dumps(kept | {"faults": _with(kept["faults"], found)}))
        seed += 1
    return read_kept(keep)


def _last_place(text: str) -> str:
    """Return where the thread was that died, of what faulthandler says."""
    _, _, thread = text.partition("Current thread")
    places = [line for line in thread.splitlines() if line.lstrip().startswith("File")]
    return " < ".join(Path(one.split('"')[1]).name + one.split('"')[2] for one in places[:2])


def _one_act(monkey: LayerMonkey, faults: Faults) -> str:
    faults.last.append("")
    try:
        faults.last[-1] = monkey.act()
    except Exception as error:  # noqa: BLE001  (what is looked for)
        faults.exception(error)
    return faults.last[-1]


def _blocks(made: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how long the acts that are given have blocked the window."""
    own = [one["own s"] for one in made]
    return {
        "things done": len(made),
        "longest block s": max(one["wall s"] for one in made),
        "of its own s": max(own),
        "95 % of own s": round(float(np.percentile(own, 95)), 3),
        f"own over {LONG * 1000:.0f} ms": sum(one > LONG for one in own),
        f"{OURS} alone over it": sum(one["own s"] * one.get(OURS, 0) > LONG for one in made),
        f"longest of {OURS} alone s": round(
            max(one["own s"] * one.get(OURS, 0) for one in made), 3
        ),
    }


def _count_places(rows: list[dict[str, Any]], made: list[dict[str, Any]]) -> None:
    """Add up where the window's thread was in its blocks: their most frequent place counts."""
    by_place = {row["where"]: row for row in rows}
    for one in made:
        if one["own s"] <= LONG:
            continue
        where = one["where"].partition("; ")[0].partition("% ")[2] or "not seen"
        row = by_place.setdefault(where, {"where": where, "times": 0, "own s": 0.0})
        row["times"] += 1
        row["own s"] = round(row["own s"] + one["own s"], 3)
    rows[:] = sorted(by_place.values(), key=lambda row: -row["own s"])


def main() -> None:
    """Read the command line, use the window, keep the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--control", action="store_true", help="napari alone, without the dock")
    parser.add_argument("--keep", type=Path, help="where what there is so far is kept")
    parser.add_argument("--here", action="store_true", help="one window, in this process")
    parser.add_argument("--begun", type=float, default=0.0, help="with --here: when all began")
    args = parser.parse_args()
    name = "soak_control" if args.control else "soak"
    args.keep = args.keep or Path(tempfile.gettempdir()) / f"{name}.json"
    if args.here:
        run(args, Faults())
        return
    args.keep.unlink(missing_ok=True)
    tables = windows(args)
    found, places = tables["faults"], tables["where blocks were"][:N_BLOCKS]
    told = {"where blocks were": places, "faults": found or [{"fault": "none", "times": 0}]}
    write_results(name, tables | told)
    if found:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
