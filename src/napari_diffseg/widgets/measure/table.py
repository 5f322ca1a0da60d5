"""A table of measurements that can be sorted by every column; a row leads to its object.

napari has a table of features since 0.6.3, but it shows whatever layer is active, one frame of
it, and does not move the view.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QAbstractTableModel, QItemSelectionModel, QModelIndex, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QTableView

from napari_diffseg.instances.table import in_words

_HEIGHT = 220
_BESIDE = 14  # pixels beside the longest word of a name

_LOOKED_AT = 50
"""Rows that tell how wide the columns are."""


class TableModel(QAbstractTableModel):
    """Columns, as `napari_diffseg.measure` returns them, in the order of one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.table: Mapping[str, NDArray[Any]] = {}
        self._order: NDArray[np.intp] = np.zeros(0, np.intp)
        self._sorted_by = -1, Qt.SortOrder.AscendingOrder

    def show(self, table: Mapping[str, NDArray[Any]]) -> None:
        """Show another table, in the order in which the last one was."""
        self.beginResetModel()
        self.table = table
        self._sort()
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return how many rows there are."""
        return 0 if parent is not None and parent.isValid() else int(self._order.size)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Return how many columns there are."""
        return 0 if parent is not None and parent.isValid() else len(self.table)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a cell shows."""
        column = list(self.table.values())[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            [value] = column[self._order[[index.row()]]].tolist()
            return f"{value:.5g}" if isinstance(value, float) else in_words(value)
        if role == Qt.ItemDataRole.TextAlignmentRole and column.dtype != object:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return the name of a column, its words below each other: the dock is narrow."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        name = list(self.table)[section]
        if role == Qt.ItemDataRole.ToolTipRole:
            return name
        return name.replace("_", "\n") if role == Qt.ItemDataRole.DisplayRole else None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort the rows by a column."""
        self.layoutAboutToBeChanged.emit()
        self._sorted_by = column, order
        self._sort()
        self.layoutChanged.emit()

    def entry(self, row: int) -> int:
        """Return which entry of the columns a row shows."""
        return int(self._order[row])

    def row_of(self, entry: int) -> int:
        """Return the row that shows an entry."""
        return int(np.flatnonzero(self._order == entry)[0])

    def _sort(self) -> None:
        columns = list(self.table.values())
        n_rows = columns[0].size if columns else 0
        column, order = self._sorted_by
        self._order = np.arange(n_rows)
        if 0 <= column < len(columns):
            self._order = np.argsort(columns[column], kind="stable")
            if order == Qt.SortOrder.DescendingOrder:
                self._order = self._order[::-1]


class MeasureTable(QTableView):
    """Shows measurements; a click on a row is a click on its object."""

    picked = Signal(int)
    """Emitted with the entry of the table that a person chose."""

    def __init__(self) -> None:
        super().__init__()
        self._model = TableModel()
        self.setModel(self._model)
        self.setSortingEnabled(True)
        self.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        # Of a thousand rows, as Qt does it, that takes a third of a second.
        self.horizontalHeader().setResizeContentsPrecision(_LOOKED_AT)
        self.verticalHeader().setVisible(False)
        self.verticalHeader().setDefaultSectionSize(20)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setMinimumHeight(_HEIGHT)
        self.setAccessibleName("Measurements of the objects")
        self.clicked.connect(lambda index: self.picked.emit(self._model.entry(index.row())))

    @property
    def table(self) -> Mapping[str, NDArray[Any]]:
        """The measurements."""
        return self._model.table

    def show_table(self, table: Mapping[str, NDArray[Any]]) -> None:
        """Show other measurements."""
        is_new = list(table) != list(self.table)
        self._model.show(table)
        width = self.horizontalHeader().fontMetrics().horizontalAdvance
        for column, name in enumerate(table):
            if is_new:  # Qt would leave room for an arrow as high as all the words of the name
                longest = max(map(width, name.split("_"))) + _BESIDE
                self.setColumnWidth(column, max(self.sizeHintForColumn(column), longest))
            self.setColumnHidden(column, name in _said_elsewhere(table))

    def mark(self, entry: int) -> None:
        """Select the row of an entry and bring it into view."""
        shown = next(n for n in range(len(self.table)) if not self.isColumnHidden(n))
        index = self._model.index(self._model.row_of(entry), shown)
        flags = QItemSelectionModel.SelectionFlag
        self.selectionModel().select(index, flags.ClearAndSelect | flags.Rows)
        self.scrollTo(index, QAbstractItemView.ScrollHint.PositionAtCenter)


def _said_elsewhere(table: Mapping[str, NDArray[Any]]) -> set[str]:
    """Return the columns that say nothing here; what is saved has them all."""
    hidden = set()
    if "frame" in table and not table["frame"].any():
        hidden.add("frame")
    if "class_name" in table:
        # The number, or the name: the dock is narrow.
        hidden.add("class" if all(table["class_name"].tolist()) else "class_name")
    return hidden
