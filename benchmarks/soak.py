"""The window, used at random for as long as wanted: presses, strokes, layers, undo, Stop.

In a real napari window (under Xvfb where there is no display) buttons, boxes, sliders and choices
of the dock are used as they come, strokes are painted and taken back, layers are added, renamed,
moved, changed and removed, and the dock is closed and opened. What counts:

* exceptions in any thread, errors that are no sentences, messages of Qt;
* memory, threads and widgets in each tenth of the time: they must not grow;
* the longest blocks of the window's thread, by the wall and in processor time of its own, and
  where they were::

    python -m benchmarks.soak --minutes 60
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import traceback
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
from napari.utils.notifications import notification_manager  # noqa: TID251
from qtpy.QtCore import QtMsgType, qInstallMessageHandler  # noqa: TID251
from qtpy.QtGui import QImage  # noqa: TID251
from qtpy.QtWidgets import (  # noqa: TID251
    QAbstractButton,
    QAbstractSlider,
    QApplication,
    QComboBox,
    QFileDialog,
    QLineEdit,
    QSpinBox,
    QWidget,
)

from benchmarks.live import Heart, pause, stroke
from benchmarks.machine import resident_memory_mb, write_results

SIDE = 128
TEXTS = ("", "1", "0.5", "TYX", "ZYX", "YX", "CYX", "x", "nuclei", "1,2", "-3", "1e9")
N_SPANS = 10
N_BLOCKS = 12


class Faults:
    """What went wrong, by where, with what was done just before."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self.told: list[str] = []
        self.last: list[str] = []

    def hear(self) -> None:
        """Listen to exceptions of all threads, napari's errors and Qt's messages."""
        sys.excepthook = lambda kind, error, trace: self.exception(error)
        threading.excepthook = lambda args: self.exception(args.exc_value)
        notification_manager.notification_ready.connect(self._napari)
        qInstallMessageHandler(self._qt)

    def exception(self, error: BaseException | None) -> None:
        trace = traceback.extract_tb(error.__traceback__ if error else None)
        at = trace[-1] if trace else None
        where = f"{Path(at.filename).name}:{at.lineno}" if at else "?"
        text = "".join(traceback.format_exception(error))
        self.add(f"{type(error).__name__}: {error} ({where})", text)

    def add(self, what: str, text: str = "") -> None:
        if not self.found[what]:
            self.told.append(f"after {', '.join(self.last[-6:])}:\n{text or what}")
            print(self.told[-1], flush=True)
        self.found[what] += 1

    def _napari(self, notification: Any) -> None:
        error = getattr(notification, "exception", None)
        if error is not None:
            self.exception(error)

    def _qt(self, kind: QtMsgType, _context: Any, message: str) -> None:
        if kind in (QtMsgType.QtCriticalMsg, QtMsgType.QtFatalMsg):
            self.add(f"Qt: {message}")


class Watch(threading.Thread):
    """Looks where the window's thread is while it does not answer."""

    def __init__(self, heart: Heart) -> None:
        super().__init__(daemon=True)
        self.heart, self.place, self.longest = heart, "", 0.0
        self.window_thread = threading.get_ident()

    def reset(self) -> None:
        self.place, self.longest = "", 0.0

    def run(self) -> None:
        while True:
            time.sleep(0.02)
            gap = time.perf_counter() - self.heart.since
            if gap > max(0.08, self.longest):
                self.longest = gap
                self.place = self._place()

    def _place(self) -> str:
        # Without a look into any file: the other thread would go on, and its frames with it.
        frame = sys._current_frames().get(self.window_thread)
        lines: list[tuple[Path, int]] = []
        while frame is not None:
            lines.append((Path(frame.f_code.co_filename), frame.f_lineno))
            frame = frame.f_back
        lines = [one for one in lines if "benchmarks" not in one[0].parts]
        ours = [one for one in lines if "napari_diffseg" in one[0].parts][:1]
        return " < ".join(f"{at.name}:{line}" for at, line in (*lines[:2], *ours))


class Monkey:
    """Does one thing after another in a viewer."""

    def __init__(self, viewer: napari.Viewer, rng: np.random.Generator, folder: Path) -> None:
        self.viewer, self.rng, self.folder = viewer, rng, folder
        self.window: Any = None
        self.open_dock()
        self.acts: list[tuple[Callable[[], None], int]] = [
            (self.press, 30),
            (self.slide, 12),
            (self.choose, 8),
            (self.write, 4),
            (self.paint, 24),
            (self.undo, 8),
            (self.segment, 14),
            (self.add, 4),
            (self.change, 4),
            (self.rename, 2),
            (self.move, 2),
            (self.remove, 4),
            (self.scroll, 6),
            (self.reopen, 1),
        ]

    def act(self) -> str:
        """Do something; returns its name."""
        acts, weights = zip(*self.acts, strict=True)
        chosen = acts[self.rng.choice(len(acts), p=np.array(weights) / sum(weights))]
        chosen()
        return str(chosen.__name__)

    def open_dock(self) -> None:
        self.window, self.dock = self.viewer.window.add_plugin_dock_widget(
            "napari-diffseg", "Segment"
        )

    def reopen(self) -> None:
        self.viewer.window.remove_dock_widget(self.window)
        pause(0.3)
        self.open_dock()

    def widgets(self, kind: type[QWidget]) -> list[Any]:
        """Return what a person can use: of a section that is closed there is nothing."""
        found = self.dock.findChildren(kind)
        return [one for one in found if one.isEnabled() and one.isVisible()]

    def one_of(self, found: list[Any]) -> Any:
        return found[int(self.rng.integers(len(found)))] if found else None

    def press(self) -> None:
        button = self.one_of(self.widgets(QAbstractButton))
        if button is not None:
            button.click()

    def segment(self) -> None:
        self.dock.segment_button.click()

    def slide(self) -> None:
        found = self.widgets(QAbstractSlider) + self.widgets(QSpinBox)
        slider = self.one_of(found)
        if slider is not None:
            # Neither the longest training nor the largest network: the soak is of the window.
            high = min(slider.maximum(), slider.minimum() + 20)
            slider.setValue(int(self.rng.integers(slider.minimum(), high + 1)))

    def choose(self) -> None:
        box = self.one_of([one for one in self.widgets(QComboBox) if one.count()])
        if box is not None:
            box.setCurrentIndex(int(self.rng.integers(box.count())))

    def write(self) -> None:
        line = self.one_of(self.widgets(QLineEdit))
        if line is not None:
            line.setText(str(self.rng.choice(TEXTS)))
            line.editingFinished.emit()

    def layers(self, kind: str) -> list[Any]:
        return [one for one in self.viewer.layers if type(one).__name__ == kind]

    def paint(self) -> None:
        layer = self.one_of([one for one in self.layers("Labels") if one.data.ndim == 2])
        if layer is not None and layer.visible and not getattr(layer, "multiscale", False):
            stroke(layer, int(self.rng.integers(0, 4)), self.rng)

    def undo(self) -> None:
        layer = self.one_of(self.layers("Labels"))
        if layer is not None:
            (layer.undo if self.rng.random() < 0.7 else layer.redo)()

    def add(self) -> None:
        if len(self.viewer.layers) > 8:
            return
        shape = [(SIDE, SIDE), (SIDE, SIDE + 40, 3), (3, SIDE, SIDE), (2, 8, 64, 64)]
        chosen = shape[int(self.rng.integers(len(shape)))]
        pixels = self.rng.integers(0, 255, chosen).astype(np.uint8)
        pixels[..., : chosen[1] // 2, :40] //= 4
        self.viewer.add_image(pixels, rgb=chosen[-1] == 3)

    def change(self) -> None:
        image = self.one_of(self.layers("Image"))
        if image is not None:
            image.data = np.asarray(image.data)[..., ::-1, :].copy()

    def rename(self) -> None:
        layer = self.one_of(list(self.viewer.layers))
        if layer is not None:
            layer.name = f"{layer.name[:6]} {int(self.rng.integers(100))}"

    def move(self) -> None:
        n_layers = len(self.viewer.layers)
        if n_layers > 1:
            self.viewer.layers.move(*map(int, self.rng.integers(0, n_layers, 2)))

    def remove(self) -> None:
        layer = self.one_of(list(self.viewer.layers))
        if layer is not None and len(self.viewer.layers) > 2:
            self.viewer.layers.remove(layer)

    def scroll(self) -> None:
        axis = int(self.rng.integers(self.viewer.dims.ndim))
        steps = self.viewer.dims.nsteps[axis]
        if axis < self.viewer.dims.ndim - 2:
            self.viewer.dims.set_current_step(axis, int(self.rng.integers(steps)))
        elif self.rng.random() < 0.1 and self.viewer.dims.ndim > 2:
            self.viewer.dims.ndisplay = 5 - self.viewer.dims.ndisplay


def owning(data: Callable[..., Any]) -> Callable[..., Any]:
    """Return what napari shows of a layer in its list, with a thumbnail that owns its pixels.

    napari 0.9.2 draws it from memory that is free by then, and that may be gone: the program dies.
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


def run(begun: float, minutes: float, seed: int, faults: Faults, keep: Path) -> None:
    """Use a window for the rest of the time; what there is to say is kept after each tenth."""
    rng = np.random.default_rng(seed)
    viewer = napari.Viewer(show_welcome_screen=False)
    faults.hear()
    viewer.open_sample("napari-diffseg", "immunohistochemistry")
    kept = read_kept(keep)
    with tempfile.TemporaryDirectory() as name, ExitStack() as asked:
        for one in replaced(Path(name), rng):
            asked.enter_context(one)
        monkey, heart = Monkey(viewer, rng, Path(name)), Heart()
        watch = Watch(heart)
        watch.start()
        first = int((time.time() - begun) / 60 / minutes * N_SPANS)
        for span in range(first, N_SPANS):
            made = list[dict[str, Any]]()
            while time.time() - begun < 60 * minutes * (span + 1) / N_SPANS:
                heart.reset()
                watch.reset()
                act = _one_act(monkey, faults)
                pause(float(rng.exponential(0.15)))
                made.append(
                    {"own s": heart.longest_cpu, "wall s": heart.longest, "act": act}
                    | {"where": watch.place}
                )
            gc.collect()
            kept["over time"].append({"window": seed} | _span(made, (time.time() - begun) / 60))
            print(kept["over time"][-1], flush=True)
            made = [
                {**one, "own s": round(one["own s"], 3), "wall s": round(one["wall s"], 3)}
                for one in made
            ]
            blocks = kept["longest blocks"] + made
            kept["longest blocks"] = sorted(blocks, key=lambda one: -one["own s"])[:N_BLOCKS]
            kept["faults"] = _with(kept["faults"], faults.found)
            faults.found.clear()
            keep.write_text(json.dumps(kept))
    viewer.close()


def read_kept(keep: Path) -> dict[str, list[dict[str, Any]]]:
    """Return what the windows before have come to."""
    empty = {"over time": [], "longest blocks": [], "faults": []}
    return json.loads(keep.read_text()) if keep.exists() else empty


def _with(rows: list[dict[str, Any]], found: Counter[str]) -> list[dict[str, Any]]:
    times = Counter({row["fault"]: row["times"] for row in rows}) + found
    return [{"fault": what, "times": n} for what, n in times.items()]


def windows(minutes: float, seed: int, keep: Path) -> dict[str, list[dict[str, Any]]]:
    """Use one window after another until the time is over: one that dies is a fault."""
    begun = time.time()
    command = [sys.executable, "-X", "faulthandler", "-m", "benchmarks.soak", "--here"]
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


def _one_act(monkey: Monkey, faults: Faults) -> str:
    faults.last.append("")
    try:
        faults.last[-1] = monkey.act()
    except Exception as error:  # noqa: BLE001  (what is looked for)
        faults.exception(error)
    return faults.last[-1]


def _span(made: list[dict[str, Any]], minutes: float) -> dict[str, Any]:
    """Return what there is to be said of a tenth of the time, whose acts are given."""
    own = [one["own s"] for one in made]
    return {
        "minutes": round(minutes, 1),
        "things done": len(made),
        "memory MB": round(resident_memory_mb()),
        "threads": threading.active_count(),
        "threads of the system": len(list(Path("/proc/self/task").iterdir())),
        "widgets": len(QApplication.allWidgets()),
        "longest block s": round(max(one["wall s"] for one in made), 3),
        "of its own s": round(max(own), 3),
        "95 % of own s": round(statistics.quantiles(own, n=20)[-1], 3),
    }


def main() -> None:
    """Read the command line, use the window, keep the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "soak.json")
    parser.add_argument("--here", action="store_true", help="one window, in this process")
    parser.add_argument("--begun", type=float, default=0.0, help="with --here: when all began")
    args = parser.parse_args()
    if args.here:
        run(args.begun, args.minutes, args.seed, Faults(), args.keep)
        return
    args.keep.unlink(missing_ok=True)
    tables = windows(args.minutes, args.seed, args.keep)
    found = tables["faults"]
    write_results("soak", tables | {"faults": found or [{"fault": "none", "times": 0}]})
    if found:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
