"""How much time lies between frames, as files say it."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from napari_diffseg.image.pixel_size import is_size

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
    "microsecond": 1e-6,
    "µs": 1e-6,
    "us": 1e-6,
    "nanosecond": 1e-9,
    "ns": 1e-9,
}


def seconds(value: object, unit: object) -> float | None:
    """Return a time in seconds; None where it is no positive number or has no known unit."""
    step = positive(value)
    length = _SECONDS.get(unit.strip().lower()) if isinstance(unit, str) else None
    return None if step is None or length is None else step * length


def positive(value: object) -> float | None:
    """Return a positive number, or the one that a text holds; None for everything else."""
    found = number(value)
    return found if found is not None and is_size(found) else None


def number(value: object) -> float | None:
    """Return a finite number, or the one that a text holds; None for everything else."""
    if not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if isfinite(found) else None


def from_imagej(metadata: Mapping[str, Any]) -> float | None:
    """Read the interval of frames (in s) of an ImageJ TIFF."""
    return seconds(metadata.get("finterval"), metadata.get("tunit", "s"))
