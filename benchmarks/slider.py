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
    first, others = rows[0], rows[1:]
    table = [
        {"what": "Make objects", "s until drawn": round(first[0], 2), "s blocked": first[1]},
        {
            "what": "Split touching moved, median",
            "s until drawn": round(statistics.median(one[0] for one in others), 3),
            "s blocked": round(max(one[1] for one in others), 3),
        },
        {
            "what": "Split touching moved, longest",
            "s until drawn": round(max(one[0] for one in others), 3),
            "s blocked": round(max(one[1] for one in others), 3),
        },
    ]
    table[0]["s blocked"] = round(first[1], 3)
    write_results(options.keep, {f"2048², {n_objects} objects": table})
    viewer.close()


if __name__ == "__main__":
    main()
