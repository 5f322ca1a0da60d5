"""Dataclasses whose fields describe themselves: titles, help, bounds, paper symbols, once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from numbers import Integral, Real
from typing import Any, Self

from napari_diffseg.errors import ParameterError

Scalar = bool | int | float | str


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """What a form, a command line or a manual needs to know of one field."""

    name: str  # of the field, e.g. "continuity_weight"
    kind: type  # int, float, bool or str
    default: Scalar  # of the class: the default preset
    title: str  # short, for a form
    help: str  # one or two sentences, for a tooltip
    symbol: str = ""  # the paper's, e.g. "μ"
    low: float | None = None  # bounds are inclusive
    high: float | None = None
    choices: tuple[str, ...] = ()  # of a text field
    # What a form calls a choice, or a number that is none, and what it does; in order.
    values: Mapping[Scalar, tuple[str, str]] = field(default_factory=dict)
    group: str = ""  # heading in a form
    unit: str = ""  # "px", "s"
    design: str = ""  # the only one in which it changes something

    @property
    def range_text(self) -> str:
        """The allowed values in words, e.g. ``"1 to 10"`` or ``"'a' or 'b'"``."""
        if self.choices:
            return " or ".join(repr(choice) for choice in self.choices)
        if self.low is not None and self.high is not None:
            return f"{_plain(self.low)} to {_plain(self.high)}"
        if self.low is not None:
            return f"{_plain(self.low)} or more"
        return self.kind.__name__

    def about(self, *, titled: bool = False) -> str:
        """Return the help with what single values do, as they are typed or by their titles."""
        does = [
            f"{title if titled else one}: {what}." for one, (title, what) in self.values.items()
        ]
        return ("\n" if titled else " ").join([self.help, *does])

    def title_of(self, value: Scalar) -> str:
        """Return what a form calls a value."""
        return self.values[value][0] if value in self.values else str(value)

    def check(self, value: object) -> None:
        """Raise `ParameterError` unless `value` is of the kind and within bounds."""
        wrong = f"{self.name} is {value!r}, but must be {self.range_text}"
        if self.kind in (int, float):
            number = Real if self.kind is float else Integral
            if isinstance(value, bool) or not isinstance(value, number):
                word = "a whole number" if self.kind is int else "a number"
                raise ParameterError(self.name, f"{wrong} ({word}).")
            # Written so that NaN, which compares false with everything, is refused too.
            above = self.low is None or float(value) >= self.low
            below = self.high is None or float(value) <= self.high
            if not (above and below):
                raise ParameterError(self.name, f"{wrong}.")
        elif not isinstance(value, self.kind) or (self.choices and value not in self.choices):
            raise ParameterError(self.name, f"{wrong}.")


def _plain(number: float) -> str:
    """Write a bound as a person would: 2147483647, 0.001, 1e-06."""
    return str(int(number)) if number == int(number) else f"{number:g}"


def param(default: Scalar, title: str, help: str, **rest: Any) -> Any:
    """Declare one field; its words and bounds travel in the field's metadata."""
    return field(default=default, metadata={"title": title, "help": help, **rest})


def _spec(entry: Field[Any]) -> ParameterSpec:
    kind = {"int": int, "float": float, "str": str, "bool": bool}[str(entry.type)]
    words: dict[str, Any] = {"default": entry.default, **entry.metadata}
    return ParameterSpec(name=entry.name, kind=kind, **words)


class SelfDescribing:
    """A frozen dataclass whose fields were made by `param`: specs, bounds check, dictionaries."""

    __slots__ = ()

    @classmethod
    def specs(cls) -> Iterator[ParameterSpec]:
        """Yield the description of every field, in order."""
        for entry in fields(cls):  # type: ignore[arg-type]
            yield _spec(entry)

    def __post_init__(self) -> None:
        for spec in self.specs():
            value = getattr(self, spec.name)
            spec.check(value)
            # NumPy's numbers become Python's, which JSON can hold.
            object.__setattr__(self, spec.name, spec.kind(value))

    def to_dict(self) -> dict[str, Scalar]:
        """Return the fields as a plain dictionary that JSON can hold."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(cls, values: Mapping[str, Scalar]) -> Self:
        """Build from a dictionary; an unknown name raises `ParameterError`."""
        known = {spec.name for spec in cls.specs()}
        for name in values:
            if name not in known:
                names = ", ".join(sorted(known))
                raise ParameterError(name, f"{name!r} is no parameter; those are {names}.")
        return cls(**values)
