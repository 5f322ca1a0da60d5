"""Units of length and time as files and people spell them: the one table of each."""

from __future__ import annotations

import math

MICROMETRES = {
    "m": 1e6,
    "cm": 1e4,
    "mm": 1e3,
    "µm": 1.0,
    "nm": 1e-3,
    "Å": 1e-4,
    "pm": 1e-6,
    "in": 25400.0,
}
"""Unit of length, as OME-XML spells it → micrometres."""

_SPELLINGS = {
    "meter": "m",
    "metre": "m",
    "centimeter": "cm",
    "centimetre": "cm",
    "millimeter": "mm",
    "millimetre": "mm",
    "um": "µm",
    "μm": "µm",  # the Greek letter; the key to the table above has the micro sign
    "\\u00b5m": "µm",  # ImageJ writes the escape itself, in six letters
    "micron": "µm",
    "micrometer": "µm",
    "micrometre": "µm",
    "nanometer": "nm",
    "nanometre": "nm",
    "å": "Å",
    "\u212b": "Å",  # the Ångström sign
    "angstrom": "Å",
    "picometer": "pm",
    "picometre": "pm",
    "inch": "in",
    "inches": "in",
}

_SECONDS = {
    "day": 86400.0,
    "d": 86400.0,
    "hour": 3600.0,
    "h": 3600.0,
    "minute": 60.0,
    "min": 60.0,
    "second": 1.0,
    "s": 1.0,
    "sec": 1.0,
    "millisecond": 1e-3,
    "ms": 1e-3,
    "msec": 1e-3,
    "microsecond": 1e-6,
    "µs": 1e-6,
    "us": 1e-6,
    "nanosecond": 1e-9,
    "ns": 1e-9,
}


def parse_unit(text: object) -> str | None:
    """Return the unit of length as OME-XML spells it, or None where `text` names none."""
    if not isinstance(text, str):
        return None
    word = text.strip().strip("\0")
    if word in MICROMETRES:
        return word
    word = word.lower()
    one = _SPELLINGS.get(word) or _SPELLINGS.get(word.removesuffix("s"))
    return word if one is None and word in MICROMETRES else one


def converted(length: float, unit: str, other: str) -> float:
    """Return a length in another unit, both of which are in `MICROMETRES`."""
    return length if unit == other else length * MICROMETRES[unit] / MICROMETRES[other]


def seconds(value: object, unit: object) -> float | None:
    """Return a time in seconds; None where it is no positive number or has no known unit."""
    step = positive(value)
    word = unit.strip().lower() if isinstance(unit, str) else ""
    length = _SECONDS.get(word) or _SECONDS.get(word.removesuffix("s"))
    return None if step is None or length is None else step * length


def positive(value: object) -> float | None:
    """Return a positive number, or the one that a text holds; None for everything else."""
    found = number(value)
    return found if found is not None and is_size(found) else None


def number(value: object) -> float | None:
    """Return a finite number, or the one that a text holds; None for everything else.

    Some programs write numbers as the country does in which they run: with a decimal comma.
    """
    if not isinstance(value, int | float | str):
        return None
    try:
        found = float(value.replace(",", ".") if isinstance(value, str) else value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def is_size(value: float) -> bool:
    """Whether a number can be a length."""
    return math.isfinite(value) and value > 0
