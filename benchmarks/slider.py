"""How soon the objects follow *Split touching* in the real dock: ``python -m benchmarks.slider``.

A plane of 2048² with about 3,000 objects. The clock runs from the moment when the number is another
one to the moment when napari has drawn the other objects. The first cut of all is the longest.
"""

from __future__ import annotations

import argparse
import statistics
import time

import napari  # noqa: TID251
import numpy as np

from benchmarks.live import Heart, pause, wait
from benchmarks.machine import write_results
from benchmarks.objects import crowd

SPLITS = (8, 5, 12, 6, 9, 7, 10)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.slider", description=__doc__)
    parser.add_argument("--keep", default="slider", metavar="NAME", help="results/NAME.json, .md")
    options = parser.parse_args()
    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(1300, 860)
    plane = crowd()
    viewer.add_image(np.where(plane, 900, 100).astype(np.uint16), name="cells")
    viewer.add_labels(plane + np.uint8(1), name="classes")
    dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")[1]
    pause(1)
    dock.objects_fold.expand()
    dock.objects_form.combo.setCurrentText("classes")
    found: list[float] = []
    dock.objects.found.connect(lambda *_: found.append(time.perf_counter()))
    canvas = viewer.window._qt_viewer.canvas.native
    heart, rows = Heart(), []
    for split in SPLITS:
        found.clear()
        heart.reset()
        start = time.perf_counter()
        if rows:
            dock.objects_form.split.box.setValue(split)
        else:
            dock.objects_form.make_button.click()
        wait(lambda: bool(found))
        canvas.repaint()
        rows.append((time.perf_counter() - start, heart.longest_cpu))
        pause(0.5)
    n_objects = int(dock.objects.layer.layer.data.max())
    drawn, blocked = zip(*rows, strict=True)
    table = [
        {"what": what, "s until drawn": round(until, 3), "s blocked": round(longest, 3)}
        for what, until, longest in (
            ("Make objects", drawn[0], blocked[0]),
            ("Split touching moved, median", statistics.median(drawn[1:]), max(blocked[1:])),
            ("Split touching moved, longest", max(drawn[1:]), max(blocked[1:])),
        )
    ]
    write_results(options.keep, {f"2048², {n_objects} objects": table})
    viewer.close()


if __name__ == "__main__":
    main()
