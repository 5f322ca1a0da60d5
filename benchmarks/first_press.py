"""How long the first press takes in a process that has done nothing: ``make bench-first-press``.

A napari with a 512×512 RGB image and the dock widget is opened anew for each run; after a second
Segment is pressed. The clock runs from there to the first labels on the image and to the result;
the longest block of the window is counted from the moment when the dock opens. Beside it stands
what napari blocks the window for by itself, when it is given its first labels without the dock.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

from benchmarks.machine import write_results


def press(pause_before: float) -> dict[str, float]:
    """Open, press, wait for the result; seconds."""
    import napari  # noqa: TID251

    from benchmarks.live import Heart, pause, wait

    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(1300, 860)
    viewer.open_sample("napari-diffseg", "immunohistochemistry")
    pause(1.0)
    heart = Heart()
    start = time.perf_counter()
    dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
    pause(0.05)
    opened = time.perf_counter() - start
    heart.reset()
    pause(pause_before)
    waiting, waiting_cpu = heart.longest, heart.longest_cpu
    heart.reset()
    pressed, used = time.perf_counter(), time.process_time()
    dock.segment_button.click()
    results = dock.results

    def is_shown() -> bool:
        layer = results.finished or results.running
        return layer is not None and bool(layer.layer.data.any())

    wait(is_shown)
    shown = time.perf_counter() - pressed
    wait(lambda: results.segmentation is not None and not dock.session.is_busy)
    finished, used = time.perf_counter() - pressed, time.process_time() - used
    viewer.close()
    return {
        "dock opens": opened,
        "first labels": shown,
        "result": finished,
        "result, processor": used,
        "blocked before the press": waiting,
        "blocked before the press, processor": waiting_cpu,
        "blocked after it": heart.longest,
        "blocked after it, processor": heart.longest_cpu,
    }


def napari_alone() -> dict[str, float]:
    """Add the first Labels layers of a process without the dock: the same blocks, seconds."""
    import napari  # noqa: TID251
    import numpy as np
    from skimage.data import immunohistochemistry

    from benchmarks.live import Heart, pause

    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(1300, 860)
    viewer.add_image(immunohistochemistry(), rgb=True)
    pause(2.0)
    heart, found = Heart(), {}
    for which in ("first", "second"):
        heart.reset()
        viewer.add_labels(np.zeros((512, 512), np.uint8))
        pause(1.0)
        found[f"napari alone, blocked by its {which} Labels layer"] = heart.longest
        found[f"napari alone, blocked by its {which}, processor"] = heart.longest_cpu
    viewer.close()
    return found


def _in_new_process(command: list[str]) -> dict[str, float]:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    facts: dict[str, float] = json.loads(done.stdout)
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.first_press", description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds from dock to press")
    parser.add_argument("--once", action="store_true", help="in this process, as JSON")
    parser.add_argument("--control", action="store_true", help="with --once: napari alone")
    parser.add_argument("--keep", default="first_press", metavar="NAME", help="results/NAME.md")
    args = parser.parse_args()
    if args.once:
        print(json.dumps(napari_alone() if args.control else press(args.pause)))
        return
    command = [sys.executable, "-m", "benchmarks.first_press", "--once", "--pause", str(args.pause)]
    runs = [
        _in_new_process(command) | _in_new_process([*command, "--control"])
        for _ in range(args.runs)
    ]
    rows = [
        {
            "seconds": name,
            "median": round(statistics.median(run[name] for run in runs), 3),
            "longest": round(max(run[name] for run in runs), 3),
        }
        for name in runs[0]
    ]
    write_results(args.keep, {"the first press": rows})


if __name__ == "__main__":
    main()
