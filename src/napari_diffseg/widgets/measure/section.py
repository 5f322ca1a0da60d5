"""Measurements in the dock: joins the form, the objects, and the table."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.errors import count_in_words
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.instances.measuring import Columns
from napari_diffseg.instances.scale import scale_of
from napari_diffseg.instances.table import csv_steps, join, summary
from napari_diffseg.widgets.objects.label_source import LabelSource
from napari_diffseg.widgets.scribbles.class_names import names_in
from napari_diffseg.widgets.tasks.worker import LatestAnswer
from napari_diffseg.widgets.ui.notices import tell
from napari_diffseg.widgets.ui.preferences import ask_for_file

if TYPE_CHECKING:
    import napari

    from napari_diffseg.widgets.measure.form import MeasureForm
    from napari_diffseg.widgets.objects.section import ObjectsSection

_FILES = "Tables (*.csv)"
_NOTHING = "Make objects first; they are listed here."
_STOPPED = "Stopped{}. Close and open Measure to measure anew."
_LOOKING_MODES = ("pan_zoom", "pick", "transform")


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked: these objects, measured so."""

    numbers: NDArray[Any]
    size: PixelSize | None
    classes: tuple[int, ...]
    class_names: dict[int, str]


class MeasureSection:
    """The measurements of the newest objects, as far as somebody looks at them."""

    def __init__(
        self,
        viewer: napari.Viewer,
        form: MeasureForm,
        objects: ObjectsSection,
        is_open: Callable[[], bool],
    ) -> None:
        self._viewer, self._form, self._objects, self._is_open = viewer, form, objects, is_open
        self._measured_in: PixelSize | None = None
        self._asked_in: PixelSize | None = None
        self._answers = LatestAnswer(_measure, self._on_measured, partial(tell, form.say))
        self._writes = LatestAnswer(_write, self._on_written, partial(tell, form.answer))
        self._writes.hold(self)
        form.wait.follow(self._answers)
        form.wait.follow(self._writes)
        form.wait.stopped.connect(self._on_stopped)
        objects.found.connect(self.look)
        form.plot.clicked.connect(self.go_to_frame)
        form.table.picked.connect(self.go_to)
        form.save_button.clicked.connect(lambda: self._ask_and_save(self.save, ".csv"))
        form.summary_button.clicked.connect(
            lambda: self._ask_and_save(self.save_summary, " summary.csv")
        )
        viewer.mouse_drag_callbacks.append(self._on_click)
        viewer.dims.events.current_step.connect(self._on_view)
        form.say(_NOTHING)

    @property
    def table(self) -> Columns:
        """The measurements; empty where there are none."""
        return dict(self._form.table.table)

    def look(self) -> None:
        """Measure the objects that there are now, if the section is open."""
        objects, form = self._objects, self._form
        source, layer, params = objects.source, objects.layer, objects.params
        if source is None or layer is None or params is None:
            self._answers.hold(None)
            form.table.show_table({})
            form.plot.setVisible(False)
            form.allow_saving(False)
            form.about.say("")
            form.say(_NOTHING)
            return
        size = objects.sizes.now(source.shown).pixel_size
        form.show_size(size, is_volume=source.shown.is_volume)
        if not self._is_open():
            return
        self._asked_in = size
        self._answers.hold(source)
        form.say("Measuring …")
        names = names_in(layer.classes.features)
        self._answers.ask(_Question(layer.data, size, params.class_numbers, names))

    def refresh(self) -> None:
        """Measure again where the pixels are known to be of another size now."""
        source = self._objects.source
        if source is None or not self._is_open() or not self.table:
            return
        if self._objects.sizes.now(source.shown).pixel_size != self._asked_in:
            self.look()

    def go_to_frame(self, number: int) -> None:
        """Let the sliders show a frame."""
        layer, source = self._objects.layer, self._objects.source
        if layer is not None and source is not None and layer.is_there and source.lengths:
            source.frames.go_to(number, layer.layer, self._viewer)

    def go_to(self, entry: int) -> None:
        """Bring the object of an entry of the table to the middle of the view."""
        layer, source, table = self._objects.layer, self._objects.source, self._form.table.table
        if layer is None or source is None or not layer.is_there:
            return
        place = self._place(entry)
        point = source.point(int(table["frame"][entry]), *place)
        layer.look_at(point, int(table["object"][entry]))

    def save(self, path: Path) -> None:
        """Write the table; a file that is there is replaced."""
        self._write(path, lambda table: table)

    def save_summary(self, path: Path) -> None:
        """Write count and areas of each class and frame; a file that is there is replaced."""
        source = self._objects.source
        n_frames = None if source is None else source.n_frames
        self._write(path, lambda table: summary(table, n_frames))

    def close(self) -> None:
        """Hear of nothing any more."""
        self._form.wait.release()
        self._answers.hold(None)
        self._writes.hold(None)
        if self._on_click in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._on_click)
            self._viewer.dims.events.current_step.disconnect(self._on_view)

    # --- pieces of the above ------------------------------------------------------------

    def _place(self, entry: int) -> list[float]:
        """Return the centre of an object in pixels."""
        source, table = self._objects.source, self._form.table.table
        letters = "yx" if source is None else source.letters.lower()
        named = [name for name in table if name.startswith("centroid_")]
        size = self._measured_in if named[0].endswith("_um") else None
        steps = scale_of(len(letters), size).steps
        return [float(table[n][entry]) / step for n, step in zip(named, steps, strict=True)]

    def _on_stopped(self) -> None:
        self._form.say(_STOPPED.format("; what is listed is as it was" if self.table else ""))

    def _on_measured(self, answer: tuple[Columns, PixelSize | None]) -> None:
        table, size = answer
        layer = self._objects.layer
        if layer is None or not layer.is_there:
            return
        self._measured_in = size
        self._form.table.show_table(table)
        self._form.allow_saving(True)
        n_rows = table["object"].size
        self._form.say(f"{count_in_words(n_rows, 'row')}; click one to go there.")
        self._show_features()
        self._show_plot(table)

    def _show_plot(self, table: Columns) -> None:
        layer, source = self._objects.layer, self._objects.source
        if layer is None or source is None:
            return
        classes = layer.classes
        kinds = set(table["class"].tolist()) if "class" in table else set()
        colors = {kind: np.asarray(classes.get_color(kind)) for kind in kinds if kind > 0}
        self._form.plot.show_objects(
            table, source.n_frames, colors, names_in(classes.features), "Frame {}".format
        )
        self._form.plot.mark(source.frame_at(layer.layer, self._viewer.dims))

    def _show_features(self) -> None:
        """Let the layer tell of the objects of the frame in view."""
        layer, source, table = self._objects.layer, self._objects.source, self.table
        if layer is None or source is None or not table:
            return
        rows = table["frame"] == source.frame_at(layer.layer, self._viewer.dims)
        layer.show_features({name: column[rows] for name, column in table.items()})

    def _on_view(self, event: Any = None) -> None:
        source = self._objects.source
        layer = self._objects.layer
        if source is not None and layer is not None and source.n_frames > 1:
            self._show_features()
            self._form.plot.mark(source.frame_at(layer.layer, self._viewer.dims))

    def _on_click(self, viewer: Any, event: Any) -> None:
        """Mark the row of the object under the pointer, unless somebody paints."""
        layer, source, table = self._objects.layer, self._objects.source, self._form.table.table
        active = viewer.layers.selection.active
        if layer is None or source is None or not table or not layer.is_there:
            return
        if (
            not layer.layer.visible
            or str(getattr(active, "mode", "pan_zoom")) not in _LOOKING_MODES
        ):
            return
        number = layer.object_at(event.position, event.view_direction, event.dims_displayed)
        frame = source.frame_at(layer.layer, viewer.dims)
        found = np.flatnonzero((table["object"] == number) & (table["frame"] == frame))
        if number and found.size:
            self._form.table.mark(int(found[0]))
            layer.layer.selected_label = number

    def _ask_and_save(self, save: Callable[[Path], None], ending: str) -> None:
        layer = self._objects.layer
        name = "objects" if layer is None else str(layer.layer.name).replace("/", "_")
        path = ask_for_file(self._form, "Save the table", name + ending, _FILES)
        if path:
            save(Path(path))

    def _write(self, path: Path, what: Callable[[Columns], Columns]) -> None:
        self._form.answer("Writing …")
        self._writes.ask((path, self.table, what))

    def _on_written(self, path: Path) -> None:
        self._form.answer(f"Saved: {path}")


def _measure(
    source: LabelSource, question: _Question
) -> Generator[float, None, tuple[Columns, PixelSize | None]]:
    numbers, size = question.numbers, question.size
    tables = []
    for table in source.measure(numbers, size, question.classes, question.class_names):
        tables.append(table)
        yield len(tables) / source.n_frames
    return join(tables), size


def _write(
    section: MeasureSection, question: tuple[Path, Columns, Callable[[Columns], Columns]]
) -> Generator[float, None, Path]:
    path, table, what = question
    yield from csv_steps(path, what(table), force=True)
    return path
