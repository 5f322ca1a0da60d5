"""How large a pixel is in the object."""

from __future__ import annotations

import math
from dataclasses import dataclass

from napari_diffseg.errors import InputError

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


@dataclass(frozen=True, slots=True)
class PixelSize:
    """Size of a pixel in the object.

    Attributes
    ----------
    y, x : float
        Height and width of a pixel; positive.
    unit : str
        Unit of both: ``"m"``, ``"cm"``, ``"mm"``, ``"µm"``, ``"nm"``, ``"Å"``,
        ``"pm"`` or ``"in"``.

    Raises
    ------
    InputError
        A size is not a positive number, or the unit is none of these.
    """

    y: float
    x: float
    unit: str

    def __post_init__(self) -> None:
        if self.unit not in MICROMETRES:
            raise InputError(
                f"The unit of the pixel size is {self.unit!r}, but must be one of "
                f"{', '.join(MICROMETRES)}."
            )
        if not (is_size(self.y) and is_size(self.x)):
            raise InputError(
                f"The pixel size is {self.y} × {self.x} {self.unit}, but both must be positive."
            )

    @property
    def per_metre(self) -> tuple[float, float]:
        """Pixels per metre along y and x."""
        unit = MICROMETRES[self.unit]
        return 1e6 / (self.y * unit), 1e6 / (self.x * unit)

    def __str__(self) -> str:
        return f"{self.y:.6g} × {self.x:.6g} {self.unit}"


def is_size(value: float) -> bool:
    """Whether a number can be a length."""
    return math.isfinite(value) and value > 0
