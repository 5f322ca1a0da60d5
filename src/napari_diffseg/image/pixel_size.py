"""How large a pixel, or a voxel, is in the object."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from napari_diffseg.errors import InputError
from napari_diffseg.image.units import MICROMETRES, converted, is_size


@dataclass(frozen=True, slots=True)
class PixelSize:
    """Size of a pixel or voxel in the object.

    `z` is the distance of neighbouring planes, None where it is not known, or of a single plane;
    `unit` is that of all, one of `MICROMETRES`.
    """

    y: float
    x: float
    unit: str
    z: float | None = None

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
        if self.z is not None and not is_size(self.z):
            raise InputError(
                f"The planes are {self.z} {self.unit} apart, but the distance must be positive."
            )

    @property
    def per_metre(self) -> tuple[float, float]:
        """Pixels per metre along y and x."""
        unit = MICROMETRES[self.unit]
        return 1e6 / (self.y * unit), 1e6 / (self.x * unit)

    @property
    def spacing(self) -> tuple[float, float, float] | None:
        """Distances of neighbouring voxels along z, y and x; None where z is not known."""
        return None if self.z is None else (self.z, self.y, self.x)

    @property
    def z_step(self) -> float | None:
        """Distance of neighbouring planes in pixels (mean of y and x); None where not known."""
        return None if self.z is None else self.z / ((self.y + self.x) / 2)

    @property
    def plane(self) -> Self:
        """The size of the same pixel in a single plane: without z."""
        return replace(self, z=None)

    def times(self, *, z: float = 1.0, y: float = 1.0, x: float = 1.0) -> Self:
        """Return the size of pixels that are so many times longer along each axis."""
        depth = None if self.z is None else self.z * z
        return replace(self, y=self.y * y, x=self.x * x, z=depth)

    def __str__(self) -> str:
        sizes = [self.y, self.x] if self.z is None else [self.z, self.y, self.x]
        return " × ".join(f"{size:.6g}" for size in sizes) + f" {self.unit}"


Length = tuple[float | None, str | None]
"""A number, and the unit of `PixelSize` that it is in; None for what is not known."""


def in_one_unit(y: Length, x: Length, z: Length = (None, None)) -> PixelSize | None:
    """Join sizes with their units; the unit of x is kept.

    Returns None where y or x is not known; without z where that is not known.
    """
    width, unit = x
    if width is None or unit is None:
        return None
    height, depth = (
        None if value is None or own is None else converted(value, own, unit)
        for value, own in (y, z)
    )
    return None if height is None else PixelSize(height, width, unit, depth)
