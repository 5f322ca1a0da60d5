"""Make the pictures of docs/objects.md, docs/export.md and docs/sizes.md, in a real napari window.

xvfb-run python scripts/objects_pictures.py
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np
import tifffile
from napari_window import Window
from qtpy.QtWidgets import QFileDialog, QScrollArea

from napari_diffseg.sample_data.layers import simulated_field

SIZE = (1180, 900)
N_NUCLEI = 5
"""Nuclei with a stroke."""


def main() -> None:
    """Count clicks without a stroke; then paint, segment, make objects, measure, export."""
    count_clicks()
    count_over_time()
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
    dock.objects_fold.collapse()
    dock.measure_fold.collapse()
    dock.export_fold.expand()
    for box in dock.export_form.boxes.values():
        box.setChecked(True)
    with TemporaryDirectory() as folder:
        dock.exporting.export(Path(folder) / "out")
        wait_for_objects(window)
        print(dock.export_form.status.text(), sorted(os.listdir(Path(folder) / "out")))
    dock.export_form.say("")
    show(dock, dock.export_form)
    window.photograph("export-section")
    print(dock.objects_form.count.text(), truth.data.max())
    window.close()


def count_clicks() -> None:
    """Go from a calibrated TIFF, as napari itself opens it, to a CSV file; print the clicks."""
    image, truth = (layer[0] for layer in simulated_field()[:2])
    clicks = ["Layers", "Segment ▸ Segment"]

    def click(button: Any, name: str) -> None:
        clicks.append(name)
        button.click()
        window.wait(0.2)

    with TemporaryDirectory() as folder:
        path, table = Path(folder) / "nuclei.tif", str(Path(folder) / "nuclei.csv")
        said = {"unit": "um"}
        tifffile.imwrite(path, image, imagej=True, resolution=(1 / 0.325,) * 2, metadata=said)
        window = Window(SIZE)
        window.viewer.open(str(path), plugin="napari")
        dock = window.open_dock()
        window.photograph("sizes-file")
        click(dock.segment_button, "Segment")
        window.wait_for_end()
        click(dock.objects_fold.toggleButton(), "▸ Objects")
        click(dock.objects_form.make_button, "Make objects")
        wait_for_objects(window)
        click(dock.measure_fold.toggleButton(), "▸ Measure")
        wait_for_objects(window)
        with mock.patch.object(QFileDialog, "getSaveFileName", return_value=(table, "")):
            click(dock.measure_form.save_button, "Save CSV …")
        clicks.append("Save")
        show(dock, dock.measure_form)
        dock.measure_form.say("Saved: nuclei.csv")
        window.photograph("objects-clicks")
        n_rows = len(Path(table).read_text(encoding="utf-8").splitlines()) - 1
        print(f"{len(clicks)} clicks: {', '.join(clicks)}; {n_rows} of {truth.max()} nuclei")
        window.close()


def count_over_time() -> None:
    """Make objects of all frames of a movie, and look at their number over time."""
    window = Window(SIZE)
    image, *_, truth = window.open_sample("simulated_movie")
    classes = window.viewer.add_labels(
        (truth.data > 0).astype(np.uint8) * 2,
        name="classes",
        scale=image.scale,
        units=image.units,
        axis_labels=image.axis_labels,
    )
    window.viewer.layers.remove(truth)
    window.viewer.layers.selection.active = image
    dock = window.open_dock()
    dock.objects_fold.expand()
    dock.objects_form.combo.setCurrentText(classes.name)
    dock.objects_form.make_button.click()
    wait_for_objects(window)
    dock.objects_fold.collapse()
    dock.measure_fold.expand()
    wait_for_objects(window)
    dock.measure_form.plot.clicked.emit(len(image.data) // 2)
    window.wait(0.5)
    show(dock, dock.measure_form)
    window.photograph("objects-movie")
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
