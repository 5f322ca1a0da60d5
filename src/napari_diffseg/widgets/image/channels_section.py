"""The section of the dock about channels: which count, how much, and their intensities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QDoubleSpinBox, QLabel, QLineEdit, QVBoxLayout, QWidget

from napari_diffseg.errors import InputError
from napari_diffseg.image.channels import CHANNEL_NUMBERS, Channel, ChannelSpec
from napari_diffseg.widgets.image.channel_sources import (
    ChannelEntry,
    ChannelSelection,
    ChannelSetting,
    ChannelWish,
    IntensityRule,
    are_layers,
    fitting_layers,
    list_channels,
)
from napari_diffseg.widgets.ui.controls import (
    MUTED,
    WRONG,
    Chooser,
    Sentence,
    beside,
    guard_wheel,
    restyle,
    stack,
)

if TYPE_CHECKING:
    from napari.layers import Image

    _Key = tuple[Image, int]  # What tells a row from others: its layer, and its place there

MOST_ROWS = 16
"""So many channels are listed at most; the others count as they are."""

_MOST, _STEP = 10.0, 0.1  # of a number, in fields that are narrow
_RULES = (
    "Which intensities become 0 and 1 for the network.\n\n"
    "percentiles: the 0.1 and the 99.9 percentile of the image.\n"
    "as displayed: the contrast limits of the layer.\n"
    "from – to: what you type; an empty field is measured."
)


class _Number(QDoubleSpinBox):
    """A number of a channel; the wheel scrolls the dock, not what is under the pointer."""

    def __init__(self, spec: ChannelSpec) -> None:
        super().__init__()
        self.plain = float(getattr(Channel(0), spec.sets[0]))
        low, high = spec.bounds or (0, 0)
        most = min(high, _MOST)
        self.is_share = spec.is_share
        self.setSingleStep(_STEP)
        self.setDecimals(1)
        self.setRange(low if spec.is_share else low + _STEP, most)
        self.setValue(self.plain)
        self.setPrefix(spec.symbol)
        # napari's buttons on both sides would take more room than the number.
        self.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.setStyleSheet("QDoubleSpinBox { padding: 2px 4px; min-width: 30px; }")
        self.setFixedWidth(46)
        guard_wheel(self)
        off = "; 0 switches it off" if spec.is_share else ""
        about = f"{spec.help[0].upper()}{spec.help[1:]}"
        self.setToolTip(
            f"{about}, {self.minimum():g} to {most:g}{off}. Type it, or use the arrow keys."
        )


class ChannelRow(QWidget):
    """One channel: on or off, its name, its weight, its intensities; `changed` by a person."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._displayed = (0.0, 1.0)
        self.box, self.name = QCheckBox(), QLineEdit()
        self.numbers = {spec.sets[0]: _Number(spec) for spec in CHANNEL_NUMBERS}
        self.rule = Chooser([(rule.value, rule) for rule in IntensityRule], tooltip=_RULES)
        self.low, self.high = QLineEdit(), QLineEdit()
        self._ends = QWidget()
        self._lay_out()
        self.box.toggled.connect(lambda _: self._on_change())
        for number in self.numbers.values():
            number.valueChanged.connect(lambda _: self._on_change())
        self.rule.changed.connect(self._on_rule)
        for line in (self.name, self.low, self.high):
            line.textEdited.connect(lambda _: self._on_change())

    def setting(self) -> ChannelSetting:
        """Return what the row says."""
        rule, low, high = self.rule.chosen(), None, None
        if rule is IntensityRule.TYPED:
            low, high = self._number(self.low), self._number(self.high)
        name = "" if self.name.isReadOnly() else self.name.text()
        values = {name: number.value() for name, number in self.numbers.items()}
        numbers = {name: one for name, one in values.items() if one != self.numbers[name].plain}
        return ChannelSetting(self.box.isChecked(), name, numbers, rule, low, high)

    @property
    def counts(self) -> bool:
        """Whether the channel is looked at."""
        return self.box.isChecked() and all(number.value() for number in self.numbers.values())

    def write(self, setting: ChannelSetting) -> None:
        """Say what a setting says, as a person does."""
        if not self.name.isReadOnly():
            self.name.setText(setting.name)
        for name, number in self.numbers.items():
            number.setValue(setting.numbers.get(name, number.plain))
        self.rule.choose(setting.rule)
        for end, value in ((self.low, setting.low), (self.high, setting.high)):
            end.setText("" if value is None else repr(value))
        self.box.setChecked(setting.is_on)
        self._on_change()

    def show_entry(self, entry: ChannelEntry, *, is_alone: bool) -> None:
        """Show which channel it is; of the only one, there is nothing to switch off or weigh."""
        self._displayed = entry.displayed
        self.name.setReadOnly(not entry.can_be_named)
        self.name.setFrame(entry.can_be_named)
        restyle(self.name, "" if entry.can_be_named else "background: transparent;")
        self.name.setPlaceholderText(entry.title)
        self.name.setToolTip(entry.name or "Type a name, by which a model knows the channel again.")
        if entry.name and self.name.text() != entry.name:
            self.name.setText(entry.name)
            self.name.setCursorPosition(0)
        self.box.setVisible(not is_alone)
        shares = [number for number in self.numbers.values() if number.is_share]
        for number in shares:
            number.setVisible(not is_alone)
        if is_alone:
            # What cannot be seen must not switch it off.
            for number in shares:
                with QSignalBlocker(number):
                    number.setValue(number.plain)
            self.tick(on=True)

    def tick(self, *, on: bool) -> None:
        """Switch the channel on or off, without a signal."""
        with QSignalBlocker(self.box):
            self.box.setChecked(on)
        self._apply_style()

    def _on_rule(self) -> None:
        if self.rule.chosen() is IntensityRule.TYPED and not (self.low.text() or self.high.text()):
            # Something to start from.
            for end, value in zip((self.low, self.high), self._displayed, strict=True):
                end.setText(f"{value:.6g}")
        self._on_change()

    def _on_change(self) -> None:
        self._apply_style()
        self.changed.emit()

    def _apply_style(self) -> None:
        """Show what matters in the row as it stands."""
        is_on = self.box.isChecked()
        for field in (*self.numbers.values(), self.rule, self.low, self.high):
            field.setEnabled(is_on)
        self._ends.setVisible(is_on and self.rule.chosen() is IntensityRule.TYPED)
        for end in (self.low, self.high):
            restyle(end, "" if _is_number(end.text()) else WRONG)

    def _number(self, end: QLineEdit) -> float | None:
        text = end.text().strip()
        if not _is_number(text):
            name = self.name.text() or self.name.placeholderText()
            raise InputError(
                f"The intensities of {name!r} go from {self.low.text()!r} to "
                f"{self.high.text()!r}, but both must be numbers, or empty to be measured."
            )
        return float(text) if text else None

    def _lay_out(self) -> None:
        self.box.setChecked(True)
        self.box.setToolTip("Whether the channel counts.")
        self.rule.setFixedWidth(130)
        self.name.setMinimumWidth(40)
        for end, what in ((self.low, "0"), (self.high, "1")):
            end.setPlaceholderText("measured")
            end.setToolTip(f"The intensity that becomes {what}, in the image's own unit.")
        ends = beside(QLabel("from"), self.low, QLabel("to"), self.high, widest=1)
        ends.setContentsMargins(24, 0, 0, 0)
        ends.setStretch(3, 1)
        self._ends.setLayout(ends)
        line = beside(self.box, self.name, *self.numbers.values(), self.rule, widest=1)
        stack(self, line, self._ends)
        self._apply_style()


class ChannelsSection(QWidget):
    """One row for each channel: those of one layer, or the layers that lie on one grid.

    `changed` after every change of what is chosen.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[ChannelRow] = []
        self._keys: list[_Key] = []
        self._layers: tuple[Image, ...] = ()
        self._letters = ""
        self.note = Sentence(MUTED)
        self._list = QVBoxLayout()
        self._list.setSpacing(3)
        stack(self, self._list, self.note)

    # --- reading things -------------------------------------------------------------

    def wish(self) -> ChannelWish:
        """Return what stands in the rows."""
        settings, problem = [ChannelSetting()] * self._n_channels(), ""
        try:
            settings[: len(self.rows)] = [row.setting() for row in self.rows]
        except InputError as error:
            problem = str(error)
        return ChannelWish(self._layers, self._letters, tuple(settings), problem)

    def selection(self) -> ChannelSelection:
        """Return what a run is told; raises `InputError` where it cannot be told anything."""
        return self.wish().selection()

    def title(self) -> str:
        """Return the title of the section, e.g. ``"Channels (2 of 3)"``."""
        n_channels = len(self.rows)
        if n_channels < 2:
            return "Intensities"
        n_on = sum(row.counts for row in self.rows)
        return f"Channels ({n_on} of {n_channels})"

    # --- showing things -------------------------------------------------------------

    def offer(self, first: Image | None, others: Sequence[Image], letters: str) -> None:
        """List the channels; what is set stays for those that stay."""
        layers, misfits = fitting_layers(first, others, letters)
        entries = list_channels(layers, letters)[:MOST_ROWS] if layers else ()
        keys = [(layers[0], place) for place in range(len(entries))]
        if layers and are_layers(layers[0], letters):
            layers = layers[:MOST_ROWS]
            keys = [(layer, 0) for layer in layers]
        is_other_image = first is None or not self._layers or self._layers[0] != first
        are_others = keys != self._keys
        is_new = is_other_image or are_others or letters != self._letters
        self._layers, self._letters = layers, letters
        if are_others:
            self._fill(keys)
        for place, (row, entry) in enumerate(zip(self.rows, entries, strict=True)):
            if is_other_image:
                row.tick(on=place == 0 or len(layers) == 1)
            row.show_entry(entry, is_alone=len(entries) == 1)
        self._say(misfits)
        # Who listens offers again; that must come to an end.
        if is_new:
            self.changed.emit()

    def take_up(self, wish: ChannelWish) -> None:
        """Set the channels as they were wished, as far as they are still there."""
        are_layers = len(wish.layers) > 1
        owners = wish.layers if are_layers else wish.layers * len(wish.settings)
        places = [0] * len(owners) if are_layers else range(len(owners))
        keys = zip(owners, places, strict=True)
        known = list(zip(keys, wish.settings, strict=False))
        for key, row in zip(self._keys, self.rows, strict=True):
            setting = next((setting for one, setting in known if one == key), None)
            if setting is not None:
                row.write(setting)

    def tick(self, layer: Image, *, on: bool = True) -> None:
        """Switch a layer on or off, as a person does."""
        for (one, _), row in zip(self._keys, self.rows, strict=True):
            if one == layer:
                row.box.setChecked(on)

    def _fill(self, keys: list[_Key]) -> None:
        before = list(zip(self._keys, self.rows, strict=True))
        kept = [next((row for old, row in before if old == key), None) for key in keys]
        for row in self.rows:
            self._list.removeWidget(row)
            if row not in kept:
                row.hide()
                row.deleteLater()
        self._keys, self.rows = keys, [row or self._new_row() for row in kept]
        for place, (row, was_there) in enumerate(zip(self.rows, kept, strict=True)):
            self._list.addWidget(row)
            if was_there is None:
                # A layer that has just come is no part of what was chosen.
                row.tick(on=place == 0 or keys[place][1] > 0)

    def _new_row(self) -> ChannelRow:
        row = ChannelRow()
        row.changed.connect(self._on_row)
        return row

    def _on_row(self) -> None:
        self._say_of_colours()
        self.changed.emit()

    def _say(self, misfits: dict[str, str]) -> None:
        """Say which images cannot be channels, and why."""
        n_more = self._n_channels() - len(self.rows)
        text = f"{n_more} more channels count as they are." if n_more else ""
        if misfits:
            text = f"Not on the same grid: {', '.join(repr(name) for name in misfits)}."
        self.note.setText(text)
        self.note.setToolTip("\n".join(misfits.values()))
        self._say_of_colours()

    def _say_of_colours(self) -> None:
        if not self._layers or not self._layers[0].rgb:
            return
        try:
            is_picture = self.selection().rgb
        except InputError:
            is_picture = True
        self.note.setText("" if is_picture else "Its colours are taken for channels.")

    def _n_channels(self) -> int:
        return len(list_channels(self._layers, self._letters)) if self._layers else 0


def _is_number(text: str) -> bool:
    """Whether a text is a number, or empty."""
    try:
        return not text.strip() or math.isfinite(float(text))
    except ValueError:
        return False
