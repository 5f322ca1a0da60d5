"""How soon the result follows the brush: ``python -m benchmarks.live``.

In a real napari window (under Xvfb where there is no display) the dock widget is opened on a
512×512 RGB image, *Live* is ticked, and strokes are painted through napari's own calls. The
clock starts when the brush lifts, and the pause that the dock waits for counts in.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import napari  # noqa: TID251
import numpy as np
from qtpy.QtCore import QEventLoop, QTimer  # noqa: TID251

from benchmarks.machine import write_results

LONGEST = 600.0
"""Seconds after which the benchmark gives up."""
N_CLASSES = 3
POINTS = 12  # a stroke is so many positions of the mouse …
MOVE = 0.016  # … so many seconds apart


class Heart:
    """A timer in the thread of the window: its longest gap is the longest block."""

    def __init__(self) -> None:
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(5)
        self.reset()

    def reset(self) -> None:
        self.longest = self.longest_cpu = self.longest_since = 0.0
        self._last = time.perf_counter(), time.thread_time()

    @property
    def since(self) -> float:
        """When it has beaten last, by `time.perf_counter`."""
        return self._last[0]

    def _beat(self) -> None:
        now = time.perf_counter(), time.thread_time()
        self.longest = max(self.longest, now[0] - self._last[0])
        # Processor time of this thread alone: what a busy machine does not add to.
        if now[1] - self._last[1] > self.longest_cpu:
            self.longest_cpu, self.longest_since = now[1] - self._last[1], self._last[0]
        self._last = now


def wait(condition: Callable[[], bool]) -> None:
    """Let napari live until something is so."""
    loop, look = QEventLoop(), QTimer()
    end = time.perf_counter() + LONGEST
    look.timeout.connect(lambda: loop.quit() if condition() or time.perf_counter() > end else None)
    look.start(5)
    loop.exec()
    look.stop()
    if not condition():
        raise TimeoutError("The dock has not answered.")


def pause(seconds: float) -> None:
    """Let napari live for a while."""
    end = time.perf_counter() + seconds
    wait(lambda: time.perf_counter() >= end)


def stroke(layer: Any, number: int, generator: np.random.Generator) -> None:
    """Paint a short line as a mouse does: position by position, one item of history."""
    height, width = layer.data.shape
    start = generator.uniform((0.1 * height, 0.1 * width), (0.9 * height, 0.9 * width))
    angle, length = generator.uniform(0, 2 * np.pi), 0.08 * min(height, width)
    end = start + length * np.array([np.sin(angle), np.cos(angle)])
    layer.selected_label = number
    with layer.block_history():
        for share in np.linspace(0, 1, POINTS):
            place = start + share * (end - start)
            layer.paint(np.clip(place, 0, (height - 1, width - 1)), number)
            pause(MOVE)


def measure(dock: Any, heart: Heart, paint: Callable[[], None]) -> dict[str, float]:
    """Paint, and time what follows from the moment when the brush lifts."""
    results = dock.results
    before = results.segmentation
    shown: list[float] = []
    layer = None if results.finished is None else results.finished
    data_before = None if layer is None else layer.layer.data
    paint()
    heart.reset()
    lifted = time.perf_counter()

    def is_settled() -> bool:
        now = results.finished or results.running
        changed = now is not None and (data_before is None or now.layer.data is not data_before)
        if changed and not shown and now.layer.data.any():
            shown.append(time.perf_counter())
        return results.segmentation is not before and not dock.session.is_busy

    wait(is_settled)
    settled = time.perf_counter()
    return {
        "visible": shown[0] - lifted,
        "settled": settled - lifted,
        "blocked": heart.longest,
        "blocked, processor time": heart.longest_cpu,
    }


def run(n_strokes: int, seed: int) -> list[dict[str, Any]]:
    """Return one row for each stroke."""
    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(1300, 860)
    viewer.open_sample("napari-diffseg", "immunohistochemistry")
    dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
    pause(1.0)
    viewer.reset_view()
    dock.scribbles.new_button.click()
    dock.live_box.setChecked(True)
    layer, generator = dock.section.layer, np.random.default_rng(seed)
    pause(1.0)
    heart = Heart()
    rows = []
    for index in range(n_strokes + 1):
        number = index % N_CLASSES + 1
        facts = measure(dock, heart, lambda n=number: stroke(layer, n, generator))
        rows.append({"stroke": index, "class": number, **facts})
        pause(0.3)
    viewer.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.live", description=__doc__)
    parser.add_argument("--strokes", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", default="live", metavar="NAME", help="results/NAME.json, .md")
    args = parser.parse_args()
    first, *rows = run(args.strokes, args.seed)
    columns = [name for name in first if name not in ("stroke", "class")]
    # The first stroke has no result to follow from: a whole run, and a new layer.
    summary = [
        {"what": "first stroke"} | {c: round(first[c], 3) for c in columns},
        {"what": "median"} | {c: round(statistics.median(r[c] for r in rows), 3) for c in columns},
        {"what": "worst"} | {c: round(max(r[c] for r in rows), 3) for c in columns},
    ]
    rounded = [{k: round(v, 3) if isinstance(v, float) else v for k, v in r.items()} for r in rows]
    write_results(args.keep, {"seconds after the brush lifts": summary, "strokes": rounded})


if __name__ == "__main__":
    main()
