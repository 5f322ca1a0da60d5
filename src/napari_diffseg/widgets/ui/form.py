"""Forms made from `napari_diffseg.params`: one field for each of its fields.

A field takes any value, also one out of bounds; it is then coloured, and the form says
what is wrong. Quietly correcting what a person typed would hide the bounds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from magicgui import widgets
from magicgui.widgets.bases import ValueWidget
from psygnal import Signal
from qtpy.QtCore import QEvent, QObject, QSignalBlocker, Qt
from qtpy.QtWidgets import QAbstractSpinBox, QFormLayout, QLabel, QSizePolicy, QWidget

from napari_diffseg.errors import ParameterError
from napari_diffseg.parameters import ParameterSpec, Scalar
from napari_diffseg.params import RunOptions, SegmentationParams

_WRONG = "background-color: #7a2e2e; color: white; border: 1px solid #e5534b;"
# Wide enough to type a number that is out of any bounds.
_WIDEST = 2**40


class ParameterForm:
    """A form for one of the parameter classes."""

    changed = Signal()
    """Emitted once after every change, by a person or by `write`."""

    def __init__(
        self,
        described: type[SegmentationParams] | type[RunOptions],
        skip: Collection[str] = (),
    ) -> None:
        self._described = described
        self._specs = {spec.name: spec for spec in described.specs() if spec.name not in skip}
        self._fields: dict[str, ValueWidget] = {}
        self._guard = _FieldGuard()
        self._native = QWidget()
        rows = self._rows = QFormLayout(self._native)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setHorizontalSpacing(12)
        rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._headings: dict[str, QLabel] = {}
        for spec in self._specs.values():
            if spec.group and spec.group not in self._headings:
                heading = self._headings[spec.group] = QLabel(f"<b>{spec.group}</b>")
                rows.addRow(heading)
            field = self._fields[spec.name] = self._make_field(spec)
            rows.addRow(_label(spec), field.native)
        self._show_what_counts()

    @property
    def native(self) -> QWidget:
        """The Qt widget."""
        return self._native

    @property
    def fields(self) -> Mapping[str, ValueWidget]:
        """The magicgui widget of each parameter."""
        return self._fields

    def values(self) -> dict[str, Scalar]:
        """Return what stands in the fields; text where a number cannot be read."""
        return {name: self._value(spec) for name, spec in self._specs.items()}

    def problems(self) -> dict[str, str]:
        """Return one sentence for each field that cannot be used."""
        wrong = {}
        for name, spec in self._specs.items():
            try:
                spec.check(self._value(spec))
            except ParameterError:
                shown = "empty" if self._shown(spec) == "" else self._shown(spec)
                wrong[name] = f"{spec.title} is {shown}, but must be {spec.range_text}."
        if not wrong:
            # What each field allows by itself, the dataclass may still refuse.
            try:
                self._described.from_dict(self.values())
            except ParameterError as error:
                wrong[error.field] = str(error)
        return wrong

    def write(self, values: Mapping[str, Scalar]) -> None:
        """Fill in values; fields that are not named stay as they are."""
        for name, value in values.items():
            if name in self._fields:
                field = self._fields[name]
                shown = f"{value:g}" if self._is_typed_number(self._specs[name]) else value
                # superqt's spin box takes the focus whenever its text changes.
                with field.changed.blocked(), QSignalBlocker(_typed_in(field.native)):
                    field.value = shown
        self._on_change()

    def _on_change(self) -> None:
        wrong = self.problems()
        for name, field in self._fields.items():
            style = _WRONG if name in wrong else ""
            if field.native.styleSheet() != style:
                field.native.setStyleSheet(style)
            field.tooltip = wrong.get(name) or _tooltip(self._specs[name])
        self._show_what_counts()
        self.changed.emit()

    def _show_what_counts(self) -> None:
        """Hide the fields that change nothing in the chosen design, and headings without fields."""
        chosen = self.values().get("design")
        shown = set()
        for name, spec in self._specs.items():
            counts = spec.design in ("", chosen)
            self._rows.setRowVisible(self._fields[name].native, counts)
            if counts:
                shown.add(spec.group)
        for group, heading in self._headings.items():
            self._rows.setRowVisible(heading, group in shown)

    def _make_field(self, spec: ParameterSpec) -> ValueWidget:
        about = {"name": spec.name, "tooltip": _tooltip(spec)}
        field: ValueWidget
        if spec.choices:
            field = widgets.ComboBox(choices=spec.choices, value=spec.default, **about)
        elif spec.kind is bool:
            field = widgets.CheckBox(value=spec.default, **about)
        elif spec.kind is int:
            field = widgets.SpinBox(value=spec.default, min=-_WIDEST, max=_WIDEST, **about)
        elif spec.kind is float:
            # A text, so that 1e-4 can be typed and 0.1 is not shown as 0.100000.
            field = widgets.LineEdit(value=f"{spec.default:g}", **about)
        else:
            field = widgets.LineEdit(value=spec.default, **about)
        field.changed.connect(self._on_change)
        if spec.kind is int:
            # The value of a spin box stays what it was while its text is no number.
            _typed_in(field.native).textEdited.connect(lambda _: self._on_change())
        field.native.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        field.native.installEventFilter(self._guard)
        # Qt would ask for room for the widest number that the field takes.
        field.native.setMinimumWidth(90)
        field.native.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        return field

    def _value(self, spec: ParameterSpec) -> Scalar:
        shown = self._shown(spec)
        if spec.kind is int:
            return _number(int, shown)
        return _number(float, shown) if self._is_typed_number(spec) else shown

    def _shown(self, spec: ParameterSpec) -> Scalar:
        field = self._fields[spec.name]
        shown: Scalar = field.value if spec.kind is not int else _typed_in(field.native).text()
        return shown

    @staticmethod
    def _is_typed_number(spec: ParameterSpec) -> bool:
        return spec.kind is float and not spec.choices


class _FieldGuard(QObject):
    """Keeps two events from a field.

    The wheel scrolls the dock, rather than change the number under the pointer. Enter
    on a lone minus would raise an error in superqt's spin box.
    """

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if not isinstance(watched, QWidget):
            return False
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        if event.type() == QEvent.Type.KeyPress and isinstance(watched, QAbstractSpinBox):
            is_enter = event.key() in (Qt.Key.Key_Enter, Qt.Key.Key_Return)
            return is_enter and isinstance(_number(int, _typed_in(watched).text()), str)
        return False


def _typed_in(native: QWidget) -> QWidget:
    """Return where a person types: the line within a spin box, or the widget itself."""
    return native.lineEdit() if isinstance(native, QAbstractSpinBox) else native


def _number(kind: type[int] | type[float], text: str) -> int | float | str:
    """Read a number; the text as it is where it is none."""
    try:
        return kind(text)
    except ValueError:
        return text


def _label(spec: ParameterSpec) -> QLabel:
    label = QLabel(f"{spec.title} ({spec.symbol})" if spec.symbol else spec.title)
    if spec.unit:
        label.setText(f"{label.text()}, {spec.unit}")
    label.setToolTip(_tooltip(spec))
    return label


def _tooltip(spec: ParameterSpec) -> str:
    return f"{spec.help}\nAllowed: {spec.range_text}. Default: {spec.default}."
