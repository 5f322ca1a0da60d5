"""Forms that magicgui makes of `napari_diffseg.params`: one field for each of its fields.

A field takes any value, also one out of bounds; it is then coloured, and the form says
what is wrong. Quietly correcting what a person typed would hide the bounds.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, cast

from magicgui.widgets import create_widget
from magicgui.widgets.bases import ValueWidget
from psygnal import Signal
from qtpy.QtCore import QEvent, QObject, QSignalBlocker, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QAbstractSpinBox, QLabel, QSizePolicy, QWidget

from napari_diffseg.errors import ParameterError
from napari_diffseg.parameters import ParameterSpec, Scalar, SelfDescribing
from napari_diffseg.widgets.ui.controls import WheelGuard, form_rows, restyle

_WRONG = "background-color: #7a2e2e; color: white; border: 1px solid #e5534b;"
# Wide enough to type a number that is out of any bounds.
_WIDEST = 2**40


class ParameterForm:
    """A form for one of the parameter classes, but for the fields that stand elsewhere."""

    changed = Signal()
    """Emitted once after every change, by a person or by `write`."""

    def __init__(self, described: type[SelfDescribing], skip: Collection[str] = ()) -> None:
        self._described = described
        self._specs = {spec.name: spec for spec in described.specs() if spec.name not in skip}
        self._guard = _FieldGuard()
        self.fields: dict[str, ValueWidget[Any]] = {}
        self._headings: dict[str, QLabel] = {}
        # Not a Container of magicgui, of which the fields of several lengths start anywhere.
        self._rows = form_rows()
        for spec in self._specs.values():
            if spec.group and spec.group not in self._headings:
                self._headings[spec.group] = QLabel(f"<b>{spec.group}</b>")
                self._rows.addRow(self._headings[spec.group])
            field = self.fields[spec.name] = self._make_field(spec)
            label = QLabel(_title(spec))
            label.setToolTip(_tooltip(spec))
            self._rows.addRow(label, field.native)
        self.native = QWidget()
        self.native.setLayout(self._rows)
        self._show_what_counts()

    def values(self) -> dict[str, Scalar]:
        """Return what stands in the fields; text where a number cannot be read."""
        return {name: _read(spec, self._shown(spec)) for name, spec in self._specs.items()}

    def problems(self) -> dict[str, str]:
        """Return one sentence for each field that cannot be used."""
        wrong, values = {}, self.values()
        for name, spec in self._specs.items():
            try:
                spec.check(values[name])
            except ParameterError:
                shown = "empty" if self._shown(spec) == "" else self._shown(spec)
                wrong[name] = f"{spec.title} is {shown}, but must be {spec.range_text}."
        if not wrong:
            # What each field allows by itself, the dataclass may still refuse.
            try:
                self._described.from_dict(values)
            except ParameterError as error:
                wrong[error.field] = str(error)
        return wrong

    def write(self, values: Mapping[str, Scalar]) -> None:
        """Fill in values; fields that are not named stay as they are."""
        for name, value in values.items():
            if name in self.fields:
                field, spec = self.fields[name], self._specs[name]
                # superqt's spin box takes the focus whenever its text changes.
                with field.changed.blocked(), QSignalBlocker(_typed_in(field.native)):
                    if spec.kind is int and isinstance(value, str):
                        _typed_in(field.native).setText(value)  # as `values` gave it: no number
                    else:
                        field.value = _written(spec, value)
        self._on_change()

    def reset(self) -> None:
        """Fill in the defaults."""
        self.write({name: spec.default for name, spec in self._specs.items()})

    def _on_change(self) -> None:
        wrong = self.problems()
        for name, field in self.fields.items():
            restyle(field.native, _WRONG if name in wrong else "")
            field.tooltip = wrong.get(name) or _tooltip(self._specs[name])
        self._show_what_counts()
        self.changed.emit()

    def _show_what_counts(self) -> None:
        """Hide the fields that change nothing in the chosen design, and headings without fields."""
        chosen = self.values().get("design")
        shown = set()
        for name, spec in self._specs.items():
            counts = spec.design in ("", chosen)
            self._rows.setRowVisible(self.fields[name].native, counts)
            if counts:
                shown.add(spec.group)
        for group, heading in self._headings.items():
            self._rows.setRowVisible(heading, group in shown)

    def _make_field(self, spec: ParameterSpec) -> ValueWidget[Any]:
        options: dict[str, object] = {"tooltip": _tooltip(spec)}
        if spec.choices:
            options["choices"] = [(spec.title_of(choice), choice) for choice in spec.choices]
        elif spec.kind is int:
            options |= {"min": -_WIDEST, "max": _WIDEST}
        value = _written(spec, spec.default)
        field = cast("ValueWidget[Any]", create_widget(value, name=spec.name, options=options))
        native: QWidget = field.native
        field.changed.connect(self._on_change)
        if spec.kind is int:
            # The value of a spin box stays what it was while its text is no number.
            _typed_in(native).textEdited.connect(lambda _: self._on_change())
        native.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        native.installEventFilter(self._guard)
        # Qt would ask for room for the widest number that the field takes.
        native.setMinimumWidth(90)
        native.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        return field

    def _shown(self, spec: ParameterSpec) -> Scalar:
        field = self.fields[spec.name]
        shown: Scalar = field.value if spec.kind is not int else _typed_in(field.native).text()
        return shown


class _FieldGuard(WheelGuard):
    """Keeps another event from a field: Enter on a lone minus is an error in superqt's spin box."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if isinstance(event, QKeyEvent) and isinstance(watched, QAbstractSpinBox):
            is_enter = event.key() in (Qt.Key.Key_Enter, Qt.Key.Key_Return)
            return is_enter and isinstance(_number(int, _typed_in(watched).text()), str)
        return super().eventFilter(watched, event)


def _typed_in(native: QWidget) -> Any:
    """Return where a person types: the line within a spin box, or the widget itself."""
    return native.lineEdit() if isinstance(native, QAbstractSpinBox) else native


def _written(spec: ParameterSpec, value: Scalar) -> Scalar:
    """Return how a value stands in its field: a decimal as a text, so that 1e-4 can be typed."""
    is_decimal = spec.kind is float and not spec.choices and not isinstance(value, str)
    return f"{value:g}" if is_decimal else value


def _read(spec: ParameterSpec, shown: Scalar) -> Scalar:
    if spec.choices or spec.kind not in (int, float):
        return shown
    return _number(int if spec.kind is int else float, str(shown))


def _number(kind: type[int] | type[float], text: str) -> int | float | str:
    """Read a number, also one with a decimal comma; the text as it is where it is none."""
    try:
        # 1,500 may be a thousand and a half.
        is_comma = kind is float and re.fullmatch(r"-?(0*,\d+|\d+,(\d{1,2}|\d{4,}))", text.strip())
        return kind(text.replace(",", ".") if is_comma else text)
    except ValueError:
        return text


def _title(spec: ParameterSpec) -> str:
    label = f"{spec.title} ({spec.symbol})" if spec.symbol else spec.title
    return f"{label}, {spec.unit}" if spec.unit else label


def _tooltip(spec: ParameterSpec) -> str:
    if spec.choices:
        return f"{spec.about(titled=True)}\nDefault: {spec.title_of(spec.default)}."
    default = spec.default if isinstance(spec.default, str) else f"{spec.default:g}"
    return f"{spec.about()}\nAllowed: {spec.range_text}. Default: {default}."
