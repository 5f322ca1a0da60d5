"""Counts and areas of each class over the frames; a click goes to a frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen

from napari_diffseg.batch.facts import Record
from napari_diffseg.instances.measuring import Columns
from napari_diffseg.instances.table import summary
from napari_diffseg.widgets.batch.area_plot import BLUE, GREY, AreaPlot

_UNITS = {"um2": "µm²", "um3": "µm³", "px": "pixels", "vx": "voxels"}


def record_of(table: Columns, n_frames: int) -> tuple[Record, str]:
    """Return what a plot shows of a table of measurements, and in which unit.

    In place of shares (n, 2 k) are the objects of each class, then their mean area or volume; NaN
    where there are none.
    """
    rows = summary(table, n_frames)
    mean = next(name for name in rows if name.startswith("mean_"))
    kinds = np.unique(rows["class"]).tolist() if "class" in rows else [1]
    record = Record(n_frames, tuple(kinds))
    columns = [rows[name].reshape(n_frames, -1) for name in ("count", mean)]
    record.done[:], record.confidence[:] = True, 0
    record.shares = np.hstack(columns).astype(np.float64)
    return record, _UNITS[mean.rpartition("_")[2]]


class ObjectPlot(AreaPlot):
    """Counts above, mean areas below, frames from left to right."""

    def __init__(self) -> None:
        super().__init__()
        self._unit = ""
        self.setAccessibleName("Number of objects and mean area of each class, per frame")

    def show_objects(
        self,
        table: Columns,
        n_frames: int,
        colors: Mapping[int, NDArray[Any]],
        names: Mapping[int, str],
        frame_name: Callable[[int], str],
    ) -> None:
        """Show a table; of a single frame there is nothing to show."""
        self.setVisible(n_frames > 1 and bool(table))
        if n_frames > 1 and table:
            record, self._unit = record_of(table, n_frames)
            self.show_record(record, colors, names, frame_name)

    def describe(self, number: int) -> str:
        """Return what is known of a frame, in words."""
        record = self._record
        if record is None:
            return ""
        counts, areas = np.split(record.shares[number], 2)
        lines = [self._frame_name(number)]
        for kind, count, area in zip(record.labels, counts, areas, strict=True):
            size = f", {area:.4g} {self._unit} each" if count else ""
            lines.append(f"{self._names.get(kind, kind)}: {count:.0f}{size}")
        return "\n".join(lines)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw both plots."""
        record = self._record
        if record is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = painter.font()
        font.setPointSizeF(max(font.pointSizeF() * 0.85, 6))
        painter.setFont(font)
        shares, _, places = self._points()
        titles = "Objects", f"Mean size ({self._unit})"
        panels = self._panels()
        for panel, title, values in zip(panels, titles, np.split(shares, 2, axis=1), strict=True):
            highest = float(np.nanmax(values)) if np.isfinite(values).any() else 1.0
            highest = highest or 1.0
            self._draw_frame(painter, panel, title, {1.0: f"{highest:.4g}", 0.0: "0"})
            for column, kind in enumerate(record.labels):
                color = self._colors.get(kind, GREY)
                self._draw_line(painter, panel, places, values[:, column] / highest, QColor(color))
        self._draw_frame_numbers(painter, panels[1])
        if self._current is not None:
            painter.setPen(QPen(BLUE, 1.5))
            x = self.x_of(self._current)
            painter.drawLine(QPointF(x, panels[0].top()), QPointF(x, panels[1].bottom()))
        painter.end()
