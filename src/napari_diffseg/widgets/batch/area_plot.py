"""A small plot over the frames: how much each class covers, and how sure the labels are.

Drawn by hand: a plot library would be a dependency for two dozen lines.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPalette, QPen, QPolygonF
from qtpy.QtWidgets import QToolTip, QWidget

from napari_diffseg.batch.facts import Record

_HEIGHT = 170
_LEFT, _RIGHT, _TOP, _GAP, _BOTTOM = 38, 8, 16, 18, 18
_AREA_PART = 0.68
"""Of the height, the areas take this part and the confidence the rest."""
_MOST_POINTS = 80
"""Up to so many frames each has a dot of its own."""

_BIN = 2
"""Width of what is drawn of many frames, in pixels."""

_INTERVAL = 0.25
"""At least so many seconds lie between two drawings."""

GREY = QColor("#8f959e")
BLUE = QColor("#4f9be0")


class AreaPlot(QWidget):
    """Areas above, confidence below, frames from left to right; a click goes to a frame."""

    clicked = Signal(int)
    """Emitted with the number of a frame."""

    def __init__(self) -> None:
        super().__init__()
        self._record: Record | None = None
        self._colors: dict[int, QColor] = {}
        self._names: dict[int, str] = {}
        self._frame_name: Callable[[int], str] = str
        self._current: int | None = None
        self._due = 0.0
        self.setFixedHeight(_HEIGHT)
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName("Area of each class and confidence, per frame")

    def show_record(
        self,
        record: Record | None,
        colors: Mapping[int, NDArray[Any]],
        names: Mapping[int, str],
        frame_name: Callable[[int], str],
    ) -> None:
        """Show what is known of these frames from now on; it is read again with every drawing."""
        self._record = record
        self._colors = {number: QColor.fromRgbF(*map(float, c)) for number, c in colors.items()}
        self._names, self._frame_name = dict(names), frame_name
        self.update()

    def shows(self, record: Record) -> bool:
        """Whether this is about these frames."""
        return self._record is record

    def clear(self) -> None:
        """Show nothing, and take no room."""
        self.show_record(None, {}, {}, str)
        self.setVisible(False)

    def draw_news(self, *, at_once: bool = False) -> None:
        """Draw what is new, unless that was done a moment ago."""
        now = time.perf_counter()
        if at_once or now >= self._due:
            self._due = now + _INTERVAL
            self.update()

    def mark(self, number: int | None) -> None:
        """Mark the frame in view."""
        if number != self._current:
            self._current = number
            self.update()

    # --- where things are -------------------------------------------------------------

    def frame_at(self, x: float) -> int | None:
        """Return the frame at a place, counted in pixels from the left."""
        if self._record is None:
            return None
        last = len(self._record.done) - 1
        part = (x - _LEFT) / max(self._width(), 1)
        return int(np.clip(round(part * last), 0, last))

    def x_of(self, number: float) -> float:
        """Return where a frame is, in pixels from the left."""
        last = max(len(self._record.done) - 1, 1) if self._record is not None else 1
        return _LEFT + self._width() * number / last

    def _width(self) -> int:
        return self.width() - _LEFT - _RIGHT

    def _panels(self) -> tuple[QRectF, QRectF]:
        height = self.height() - _TOP - _GAP - _BOTTOM
        areas = QRectF(_LEFT, _TOP, self._width(), height * _AREA_PART)
        below = areas.bottom() + _GAP
        return areas, QRectF(_LEFT, below, self._width(), height * (1 - _AREA_PART))

    # --- what a person does -----------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go to the frame under the pointer."""
        self._go(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Say what is under the pointer; go along where the button is down."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._go(event)
        number = self.frame_at(event.position().x())
        if number is not None:
            QToolTip.showText(event.globalPosition().toPoint(), self.describe(number), self)

    def describe(self, number: int) -> str:
        """Return what is known of a frame, in words."""
        if self._record is None:
            return ""
        name = self._frame_name(number) or "This image"
        if number in self._record.failed:
            return f"{name}: left out. {self._record.failed[number]}"
        if not self._record.done[number]:
            return f"{name}: not done yet"
        confidence = float(self._record.confidence[number])
        if np.isnan(confidence):
            return f"{name}: painted by hand"
        shares = zip(self._record.labels, self._record.shares[number], strict=True)
        lines = [f"{self._names.get(one, one)}: {share:.1%}" for one, share in shares if share > 0]
        return "\n".join([f"{name} · confidence {confidence:.0%}", *lines])

    def _go(self, event: QMouseEvent) -> None:
        number = self.frame_at(event.position().x())
        if number is not None:
            self.clicked.emit(number)

    # --- drawing ----------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw both plots."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = painter.font()
        font.setPointSizeF(max(font.pointSizeF() * 0.85, 6))
        painter.setFont(font)
        areas, sureness = self._panels()
        shares, confidence, places = self._points()
        highest = _round_up(float(np.nanmax(shares)) if np.isfinite(shares).any() else 1.0)
        # On a scale of square roots, so that the small classes are seen beside the large.
        ticks = {1.0: _percent(highest), 0.5: _percent(highest / 4), 0.0: "0%"}
        self._draw_frame(painter, areas, "Share of each class (square-root scale)", ticks)
        self._draw_frame(painter, sureness, "Mean confidence", {1.0: "100%", 0.0: "0%"})
        self._draw_frame_numbers(painter, sureness)
        for column, label in enumerate(self._record.labels if self._record else ()):
            color = self._colors.get(label, GREY)
            self._draw_line(painter, areas, places, np.sqrt(shares[:, column] / highest), color)
        ink = self.palette().color(QPalette.ColorRole.WindowText)
        self._draw_line(painter, sureness, places, confidence, ink)
        if self._current is not None and self._record is not None:
            painter.setPen(QPen(BLUE, 1.5))
            x = self.x_of(self._current)
            painter.drawLine(QPointF(x, areas.top()), QPointF(x, sureness.bottom()))
        painter.end()

    def _points(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return shares ``(n, k)``, confidence ``(n,)`` and places ``(n,)`` to draw."""
        if self._record is None:
            return np.empty((0, 0)), np.empty(0), np.empty(0)
        shares, confidence = self._record.shares, self._record.confidence
        n = len(confidence)
        places = np.arange(n)
        n_bins = max(self._width() // _BIN, 1)
        if n <= self._width():
            return shares, confidence, places
        # More frames than pixels: those that share a bin are drawn as their mean.
        bins = places * n_bins // n
        known = np.isfinite(confidence)
        n_known = np.bincount(bins[known], minlength=n_bins).astype(float)
        n_known[n_known == 0] = np.nan

        def mean(values: NDArray[Any]) -> NDArray[Any]:
            return np.bincount(bins[known], values[known], n_bins) / n_known

        means = np.stack([mean(column) for column in shares.T], axis=1)
        return means, mean(confidence), (np.arange(n_bins) + 0.5) * n / n_bins

    def _draw_frame(
        self, painter: QPainter, panel: QRectF, title: str, ticks: Mapping[float, str]
    ) -> None:
        painter.setPen(QPen(GREY, 1))
        painter.drawText(QPointF(panel.left(), panel.top() - 4), title)
        painter.drawLine(panel.bottomLeft(), panel.bottomRight())
        painter.drawLine(panel.topLeft(), panel.bottomLeft())
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for height, text in ticks.items():
            y = panel.bottom() - height * panel.height()
            painter.drawText(QRectF(0, y - 8, _LEFT - 4, 16), right, text)
            painter.drawLine(QPointF(_LEFT - 3, y), QPointF(_LEFT, y))

    def _draw_frame_numbers(self, painter: QPainter, panel: QRectF) -> None:
        n = len(self._record.done) if self._record is not None else 0
        box = QRectF(panel.left(), panel.bottom() + 2, panel.width(), _BOTTOM - 2)
        painter.setPen(QPen(GREY, 1))
        painter.drawText(box, Qt.AlignmentFlag.AlignLeft, "0")
        painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, "frame")
        painter.drawText(box, Qt.AlignmentFlag.AlignRight, str(max(n - 1, 0)))

    def _draw_line(
        self,
        painter: QPainter,
        panel: QRectF,
        places: NDArray[Any],
        heights: NDArray[Any],
        color: QColor,
    ) -> None:
        """Draw a line through what is known; it breaks where a frame is not."""
        known = np.flatnonzero(np.isfinite(heights))
        if not known.size:
            return
        painter.setPen(QPen(color, 1.6))
        breaks = np.flatnonzero(np.diff(known) > 1) + 1
        for run in np.split(known, breaks):
            points = [
                QPointF(self.x_of(places[i]), panel.bottom() - float(heights[i]) * panel.height())
                for i in run
            ]
            if len(points) > 1:
                painter.drawPolyline(QPolygonF(points))
            if len(points) == 1 or len(places) <= _MOST_POINTS:
                painter.setBrush(color)
                for point in points:
                    painter.drawEllipse(point, 1.6, 1.6)
                painter.setBrush(Qt.BrushStyle.NoBrush)

    def leaveEvent(self, event: QEvent) -> None:
        """Take the words away."""
        QToolTip.hideText()
        super().leaveEvent(event)


def _percent(share: float) -> str:
    return f"{100 * share:g}%"


def _round_up(share: float) -> float:
    """Return the next of 1, 2, 5, 10, 20, 50, 100 %."""
    steps = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    return next((step for step in steps if share <= step), 1.0)
