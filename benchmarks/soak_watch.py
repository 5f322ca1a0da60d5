"""What a soak listens to: faults, where the window's thread stands, what is alive."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
import time
import traceback
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import napari  # noqa: TID251
from napari._qt.qt_main_window import _QtMainWindow  # noqa: TID251
from napari.layers import Layer  # noqa: TID251
from napari.utils.events import EventEmitter  # noqa: TID251
from napari.utils.notifications import notification_manager  # noqa: TID251
from qtpy.QtCore import QEvent, QtMsgType, qInstallMessageHandler  # noqa: TID251
from qtpy.QtWidgets import QApplication  # noqa: TID251

from benchmarks.live import Heart
from benchmarks.machine import resident_memory_mb

LONG = 0.05
"""Seconds of its own after which the window's thread is said to be blocked."""

OURS, ASKED, OTHERS = "the dock's", "napari's, asked by the dock", "others'"
"""Whose code the window's thread is in: the dock's own, and what that calls of numpy and Qt; what
the dock has napari do, such as a new layer; all the rest, Qt's painting of the dock included."""
_PACKAGES = "napari_diffseg", "napari"

_LAYERS = "layers"

_NO_SWITCH = 10.0
"""Seconds for which no other thread gets its turn."""


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
        self._hear_threads()

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

    def _hear_threads(self) -> None:
        """An event of napari that the dock emits off the window's thread is a fault.

        napari does so by itself: its status bar copies the list of layers in a thread.
        """
        window_thread, emit = threading.get_ident(), EventEmitter.__call__

        def emitted(emitter: EventEmitter, *args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != window_thread:
                text = "".join(traceback.format_stack())
                if "napari_diffseg" in text:
                    name = emitter.default_args["type"]
                    self.add(f"{name} was emitted off the window's thread", text)
            return emit(emitter, *args, **kwargs)

        EventEmitter.__call__ = emitted

    def _qt(self, kind: QtMsgType, _context: Any, message: str) -> None:
        if kind in (QtMsgType.QtCriticalMsg, QtMsgType.QtFatalMsg):
            self.add(f"Qt: {message}")


class Watch(threading.Thread):
    """Looks where the window's thread is while it does not answer."""

    def __init__(self, heart: Heart) -> None:
        super().__init__(daemon=True)
        self.heart = heart
        self.window_thread = threading.get_ident()
        self._seen: dict[float, Counter[tuple[str, str]]] = {}
        self._event = ""
        self._collecting = False
        gc.callbacks.append(self._on_garbage)

    def reset(self) -> None:
        self._seen = {}

    def told(self) -> dict[str, Any]:
        """Return where the thread was in the block that had most time of its own, and in whose."""
        seen = self._seen.get(self.heart.longest_since, Counter())
        n_looks, whose, places = sum(seen.values()), Counter[str](), Counter[str]()
        for (who, at), n in seen.items():
            whose[who] += n
            places[at] += n
        return {
            **{who: round(n / n_looks, 2) for who, n in whose.items()},
            "where": "; ".join(f"{n / n_looks:.0%} {at}" for at, n in places.most_common(2)),
        }

    def note_events(self) -> None:
        """Know what napari's window hands to Qt: there the thread is out of Python's sight."""
        handle = _QtMainWindow.event

        def noted(window: _QtMainWindow, event: QEvent) -> bool:
            before, self._event = self._event, event.type().name
            try:
                return bool(handle(window, event))
            finally:
                self._event = before

        _QtMainWindow.event = noted

    def run(self) -> None:
        while True:
            time.sleep(0.01)
            since = self.heart.since
            if time.perf_counter() - since > LONG:
                self._seen.setdefault(since, Counter())[self._place()] += 1

    def _on_garbage(self, phase: str, _facts: dict[str, int]) -> None:
        if threading.get_ident() == self.window_thread:
            self._collecting = phase == "start"

    def _place(self) -> tuple[str, str]:
        """Return whose code the thread is in, `OURS`, `ASKED` or `OTHERS`, and where."""
        # The other thread must not go on meanwhile, and its frames with it: the program would die.
        interval = sys.getswitchinterval()
        sys.setswitchinterval(_NO_SWITCH)
        frame = sys._current_frames().get(self.window_thread)
        frames: list[FrameType] = []
        while frame is not None:
            frames.append(frame)
            frame = frame.f_back
        sys.setswitchinterval(interval)
        if not frames:
            return OTHERS, "the end"
        (ours, our_depth), (theirs, depth) = (_called(frames, one) for one in _PACKAGES)
        whose = OTHERS if not ours else OURS if our_depth < depth else ASKED
        if self._collecting:
            return whose, "collecting garbage"
        deepest = f"{Path(frames[0].f_code.co_filename).name}:{frames[0].f_code.co_name}"
        at = " < ".join(dict.fromkeys(one for one in (deepest, theirs, ours) if one))
        return whose, f"{at} ({self._event})" if self._event else at


def _called(frames: list[FrameType], package: str) -> tuple[str, int]:
    """Return the innermost function of a package in a stack, innermost first, and how deep."""
    for depth, frame in enumerate(frames):
        file = Path(frame.f_code.co_filename)
        if package in file.parts:
            return f"{file.name}:{frame.f_code.co_name}", depth
    return "", len(frames)


def alive(viewer: napari.Viewer) -> dict[str, Any]:
    """Return memory, threads and how many objects there are of what could be kept by mistake.

    Errors that were raised, of whomever, are kept with the frames they went through, and all that
    stood in these: by napari in the list of what it has told, by Python as the last one. They are
    let go first, and what was alive by them alone is told apart.
    """
    before, _ = _counted()
    _forget_frames()
    kinds, others = _counted()
    return {
        "memory MB": round(resident_memory_mb()),
        "of it in use MB": _in_use_mb(),
        "threads": threading.active_count(),
        "threads of the system": len(list(Path("/proc/self/task").iterdir())),
        "widgets": len(QApplication.allWidgets()),
        "objects of Python": others,
        "layers alive, in the list": f"{kinds[_LAYERS]}, {len(viewer.layers)}",
        "docks alive": kinds["SegmentDock"],
        "results alive": kinds["Segmentation"],
        "layers, docks by kept errors alone": ", ".join(
            str(before[kind] - kinds[kind]) for kind in (_LAYERS, "SegmentDock")
        ),
    }


def _counted() -> tuple[Counter[str], int]:
    """Return how many objects of each kind there are, layers of all kinds together, and of any."""
    gc.collect()
    kinds: Counter[str] = Counter()
    for one in gc.get_objects():
        kinds[type(one).__name__] += 1
    n_objects = sum(kinds.values())
    kinds[_LAYERS] = sum(issubclass(type(one), Layer) for one in gc.get_objects())
    return kinds, n_objects


def _forget_frames() -> None:
    """Let go of the frames of every error that is kept."""
    for name in ("last_type", "last_value", "last_traceback"):
        vars(sys).pop(name, None)
    for told in notification_manager.records:
        error = getattr(told, "exception", None)
        while error is not None:
            error.__traceback__ = None
            error = error.__cause__ or error.__context__


def _in_use_mb() -> int:
    """Return the memory that is left when what the allocator holds on to is given back."""
    ctypes.CDLL(None).malloc_trim(0)
    return round(resident_memory_mb())
