"""What the forms of the dock are made of: texts, choosers, sections that fold, rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QEvent, QObject, QSignalBlocker, Qt, QTimer, Signal
from qtpy.QtGui import (
    QColor,
    QHelpEvent,
    QIcon,
    QPainter,
    QPaintEvent,
    QPixmap,
    QResizeEvent,
)
from qtpy.QtWidgets import (
    QBoxLayout,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLayout,
    QProgressBar,
    QScrollArea,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QToolTip,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

MUTED = "color: #8f959e;"
RED = "color: #e5605a;"
AMBER = "color: #d9a441;"
"""Of warnings only; what is as it should be is muted."""
WRONG = "border: 1px solid #e5534b;"
"""Of a field in which something stands that cannot be."""

TITLE_WIDTH = 80
"""Of what stands before a control in a row of its own, so that such rows stand in line."""

_EDGE = 10
"""So many pixels are left around what is scrolled to."""

_ARROW = 46
"""Width of what a chooser has beside its title."""

_TALLEST = (1 << 24) - 1
"""The height that Qt gives to widgets that may have any."""


def restyle(widget: QWidget, style: str) -> None:
    """Give a control a style sheet, where it has another: Qt lays out all below it anew."""
    if widget.styleSheet() != style:
        widget.setStyleSheet(style)


def fit_height(label: QLabel, least: int = 0) -> None:
    """Give a label with wrapped text the height of its lines; a scroll area would cut them off."""
    # The height that it had to have before would count, and it would never be lower again.
    label.setMinimumHeight(0)
    label.setMinimumHeight(max(label.heightForWidth(label.width()), least))


class Sentence(QLabel):
    """A text that can be copied and takes as many lines as it needs; an empty one takes no room.

    A scroll area would give it too few lines by itself.
    """

    def __init__(self, style: str = "", text: str = "") -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setStyleSheet(style)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setText(text)

    def say(self, text: str, style: str = "") -> None:
        """Show a text in a style."""
        restyle(self, style)
        self.setText(text)

    def setText(self, text: str | None) -> None:
        """Show a text."""
        super().setText(text)
        # Without a parent it would be a window of its own.
        if not text or self.parent() is not None:
            self.setVisible(bool(text))
        self._fit()

    def event(self, event: QEvent | None) -> bool:
        """Be seen in the place that it has been given, where there is a text."""
        is_placed = event is not None and event.type() == QEvent.Type.ParentChange
        if is_placed and self.parent() is not None:
            self.setVisible(bool(self.text()))
        return super().event(event)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Take other lines at another width."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        fit_height(self)


class Status(Sentence):
    """What came of what a person did; red where something is wrong, else in its style."""

    def __init__(self, style: str = MUTED) -> None:
        super().__init__()
        self._style = style

    def tell(self, text: str, *, wrong: bool = False) -> None:
        """Say it."""
        self.say(text, RED if wrong else self._style)

    def answer(self, text: str, *, wrong: bool = False) -> None:
        """Say what came of the press of a button; the dock scrolls there."""
        self.tell(text, wrong=wrong)
        QTimer.singleShot(0, self._come_into_view)  # once it has its place

    def _come_into_view(self) -> None:
        above = self.parentWidget()
        while above is not None and not isinstance(above, QScrollArea):
            above = above.parentWidget()
        if above is not None and self.isVisibleTo(above):
            above.ensureWidgetVisible(self, 0, _EDGE)


class Chooser(QComboBox):
    """Choose one of what is on offer, which is known by ``==`` and never by its title.

    napari hands out proxies of layers, and a layer may be renamed: the chooser of magicgui goes
    by the title, and would take the first layer instead.
    """

    changed = Signal()
    """Emitted after every change of the choice, but for what `offer` changes."""

    def __init__(self, items: Sequence[tuple[str, Any]] = (), *, tooltip: str = "") -> None:
        super().__init__()
        narrow(self)
        self.setToolTip(tooltip)
        self._items: list[Any] = []
        self.offer(items)
        self.currentIndexChanged.connect(lambda _: self.changed.emit())

    def offer(self, items: Sequence[tuple[str, Any]], empty: str = "") -> bool:
        """Offer these by title; keep the choice, if it is still there, else take the first.

        Returns whether the choice is another one now; where there is none, `empty` is shown.
        """
        before = self.chosen()
        self._items = [item for _, item in items]
        titles = [title for title, _ in items] or [empty]
        if titles != [self.itemText(row) for row in range(self.count())]:
            with QSignalBlocker(self):
                self.clear()
                self.addItems(titles)
        with QSignalBlocker(self):
            self.setEnabled(bool(items))
            self.setCurrentIndex(self._row_of(before))
        # None may be a proxy, of which only == is known.
        return not bool(before == self.chosen())

    def chosen(self) -> Any:
        """Return what is chosen; None where nothing is on offer."""
        row = self.currentIndex()
        return self._items[row] if 0 <= row < len(self._items) else None

    def choose(self, item: Any) -> None:
        """Choose as a person does; what is not on offer gives the first."""
        self.setCurrentIndex(self._row_of(item))

    def items(self) -> list[Any]:
        """Return what is on offer."""
        return list(self._items)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw a long title without its middle, where Qt would cut off its end."""
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        room, middle = self.width() - _ARROW, Qt.TextElideMode.ElideMiddle
        option.currentText = self.fontMetrics().elidedText(option.currentText, middle, room)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def showPopup(self) -> None:
        """Show the list, as wide as its titles are."""
        view = self.view()
        if view is not None:
            view.setMinimumWidth(view.sizeHintForColumn(0) + 2 * _EDGE)
        super().showPopup()

    def event(self, event: QEvent | None) -> bool:
        """Say the whole title in the tooltip."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            title = self.currentText() if self.isEnabled() else ""
            text = "\n".join(filter(None, (title, self.toolTip())))
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)

    def _row_of(self, item: Any) -> int:
        return next((row for row, one in enumerate(self._items) if bool(one == item)), 0)


class WheelGuard(QObject):
    """Lets the wheel scroll the dock, rather than change the field under the pointer."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Keep the wheel from a field into which nobody has clicked."""
        if event is None or event.type() != QEvent.Type.Wheel:
            return False
        if not isinstance(watched, QWidget) or watched.hasFocus():
            return False
        event.ignore()
        return True


def guard_wheel(field: QWidget) -> None:
    """Let the wheel change a field only where a person has clicked into it."""
    field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    field.installEventFilter(WheelGuard(field))


def narrow(combo: QComboBox) -> QComboBox:
    """Let a combobox not grow with its longest entry."""
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    combo.setMinimumContentsLength(10)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return combo


def narrow_combo() -> QComboBox:
    """Return a combobox that does not grow with its longest entry."""
    return narrow(QComboBox())


def thin_bar() -> QProgressBar:
    """Return a bar of progress without a text."""
    bar = QProgressBar()
    bar.setTextVisible(False)
    bar.setStyleSheet("QProgressBar::chunk { background-color: #4f9be0; }")
    bar.setFixedHeight(5)
    return bar


def show_progress(bar: QProgressBar, done: int, total: int) -> None:
    """Show how much is done; 0 of 0 where that is unknown.

    No bar that runs to and fro then: each of its pictures has the whole window drawn anew, canvas
    included, which takes seconds where there is no GPU. Neither one that is painted at once, as Qt
    does it by itself, and the canvas with it.
    """
    bar.setUpdatesEnabled(False)
    bar.setRange(0, max(total, 1))
    bar.setValue(done)
    bar.setUpdatesEnabled(True)


# --- rows and columns -----------------------------------------------------------------------


def stack(owner: QWidget, *parts: QWidget | QLayout | int, spacing: int = 4, edge: int = 0) -> None:
    """Lay out parts below each other; a number is empty room, `edge` that above and below."""
    layout = QVBoxLayout(owner)
    layout.setContentsMargins(0, edge, 0, edge)
    layout.setSpacing(spacing)
    _fill(layout, parts)


def beside(*parts: QWidget | QLayout | int, widest: int = 0) -> QHBoxLayout:
    """Return parts beside each other, of which the one of this number takes the room left."""
    layout = QHBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    _fill(layout, parts)
    layout.setStretch(widest, 1)
    return layout


def _fill(layout: QBoxLayout, parts: Sequence[QWidget | QLayout | int]) -> None:
    for part in parts:
        if isinstance(part, int):
            layout.addSpacing(part)
        elif isinstance(part, QLayout):
            layout.addLayout(part)
        else:
            layout.addWidget(part)


def form_rows(*rows: tuple[str, QWidget]) -> QFormLayout:
    """Return controls below each other, each with its title before it."""
    layout = QFormLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setHorizontalSpacing(12)
    layout.setVerticalSpacing(6)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for title, control in rows:
        layout.addRow(title, control)
    return layout


def titled_row(title: str, *controls: QWidget, owner: QWidget | None = None) -> QWidget:
    """Return controls with what they are called before them; the last takes the room left."""
    row, label = owner or QWidget(), QLabel(title)
    label.setMinimumWidth(TITLE_WIDTH)
    row.setLayout(beside(label, *controls, widest=len(controls)))
    return row


def folded(title: str, content: QWidget) -> QCollapsible:
    """Return a section that opens and closes with a click on its title."""
    section = QCollapsible(title, collapsedIcon=_icon("▸"), expandedIcon=_icon("▾"))
    section.setDuration(0)
    layout = section.layout()
    if layout is not None:
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
    # napari would paint the title of an open section as a pressed button.
    section.toggleButton().setStyleSheet(
        "QPushButton, QPushButton:checked { background-color: transparent; text-align: left; "
        "border: none; padding: 3px 0px; }"
    )
    # The section changes the height of what it holds, which must not be fixed.
    box = QWidget()
    stack(box, content)
    section.setContent(box)
    section.collapse(animate=False)

    def let_grow(is_open: bool) -> None:
        # It would keep the height that it was opened with, whatever is shown in it later.
        if is_open:
            box.setMaximumHeight(_TALLEST)

    section.toggled.connect(let_grow)
    return section


def swatch(color: Any) -> QIcon:
    """Return a small square of a colour (red, green, blue, …), each 0 … 1."""
    pixmap = QPixmap(14, 14)
    pixmap.fill(QColor.fromRgbF(*(float(part) for part in color[:3])))
    return QIcon(pixmap)


def _icon(letter: str) -> QIcon:
    """Draw a letter in a grey that is seen on dark and on light; superqt draws it black."""
    pixmap = QPixmap(32, 32)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    font = painter.font()
    font.setPixelSize(30)
    painter.setFont(font)
    painter.setPen(QColor("#8f959e"))
    painter.drawText(pixmap.rect(), Qt.AlignmentFlag.AlignCenter, letter)
    painter.end()
    return QIcon(pixmap)
