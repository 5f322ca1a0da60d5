"""Make the pictures of docs/objects.md, in a real napari window.

xvfb-run python scripts/objects_pictures.py
"""

from __future__ import annotations

from typing import Any

import numpy as np
from napari_window import Window
from qtpy.QtWidgets import QScrollArea

SIZE = (1180, 900)
N_NUCLEI = 5
"""Nuclei with a stroke."""


def main() -> None:
    """Paint, segment, make objects, measure."""
    window = Window(SIZE)
    image, truth = window.open_sample("simulated_nuclei")
    window.viewer.layers.selection.active = image
    dock = window.open_dock()
    dock.scribbles.new_button.click()
    scribbles = dock.section.layer
    for number, name in ((1, "background"), (2, "nucleus")):
        dock.section.name(number, name)
    paint(scribbles, truth.data)
    scribbles.mode = "pan_zoom"
    window.segment()
    window.photograph("objects-classes")
    scribbles.visible = False
    dock.objects_fold.expand()
    dock.objects_form.make_button.click()
    wait_for_objects(window)
    show(dock, dock.objects_form)
    window.photograph("objects-objects")
    dock.measure_fold.expand()
    wait_for_objects(window)
    show(dock, dock.measure_form)
    table = dock.measuring.table
    entry = int(np.argmax(table[next(name for name in table if name.startswith("area"))]))
    dock.measure_form.table.mark(entry)
    dock.measuring.go_to(entry)
    window.photograph("objects-measure")
    print(dock.objects_form.count.text(), truth.data.max())
    window.close()


def paint(layer: Any, truth: Any) -> None:
    """Paint a stroke on some nuclei, and three on the background."""
    layer.mode = "paint"
    layer.brush_size = 7
    largest = np.argsort(np.bincount(truth.ravel())[1:])[::-1][: 2 * N_NUCLEI : 2] + 1
    middles = [np.argwhere(truth == number).mean(axis=0) for number in largest]
    half = np.array((0, 6))
    on_nuclei = [(middle - half, middle + half) for middle in middles]
    for number, strokes in ((1, dark_places(truth)), (2, on_nuclei)):
        for first, last in strokes:
            with layer.block_history():
                for share in np.linspace(0, 1, 20):
                    layer.paint(np.add(first, share * np.subtract(last, first)), number)


def dark_places(truth: Any) -> list[Any]:
    """Return strokes in the widest gaps between nuclei."""
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(np.pad(truth == 0, 1))[1:-1, 1:-1]
    strokes, half = [], np.array((0, 15))
    for _ in range(3):
        middle = np.array(np.unravel_index(int(depth.argmax()), depth.shape))
        strokes.append((middle - half, middle + half))
        y, x = middle
        depth[max(y - 100, 0) : y + 100, max(x - 100, 0) : x + 100] = 0
    return strokes


def wait_for_objects(window: Window) -> None:
    """Let the answers of the threads arrive."""
    window.wait(3)


def show(dock: Any, part: Any) -> None:
    """Scroll the dock until a section is in view."""
    area = dock.findChild(QScrollArea)
    bar = area.verticalScrollBar()
    bar.setValue(bar.maximum())
    place = part.mapTo(area.widget(), part.rect().topLeft()).y()
    bar.setValue(min(place - 60, bar.maximum()))


if __name__ == "__main__":
    main()
