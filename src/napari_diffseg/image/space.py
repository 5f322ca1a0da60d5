"""The spatial axes of an image, and how far its planes are apart.

Everything that has a size in space (a Gaussian, a kernel, a halo, a block) is stated in
pixels, the distance of neighbours along y and x; here it becomes one number for each axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from napari_diffseg.errors import InputError

_LOOSE = 8.0  # pixels between planes
FARTHEST = 100.0
"""Planes that are said to be farther apart than so many pixels, or nearer, are not believed."""

ALIKE = 0.05
"""Distances of planes that differ by a smaller share are the same."""

TAKEN_FOR_CUBES = "How far the planes are apart is not known; voxels were taken for cubes."
"""What is said of a volume without a spacing."""


@dataclass(frozen=True, slots=True)
class Space:
    """The space that an image lies in.

    2 axes for planes, 3 for volumes; `z_step` is the distance of planes in pixels, 1 for cubes.
    """

    n_axes: int = 2
    z_step: float = 1.0

    @property
    def is_volume(self) -> bool:
        """Whether it has planes."""
        return self.n_axes == 3

    @property
    def is_dense(self) -> bool:
        """Whether there are planes near enough for one to tell what lies in the next."""
        return self.is_volume and self.z_step < _LOOSE

    @property
    def letters(self) -> str:
        """``"YX"`` or ``"ZYX"``."""
        return "ZYX"[-self.n_axes :]

    @property
    def steps(self) -> tuple[float, ...]:
        """Distance of neighbours along each axis, in pixels."""
        return (self.z_step, 1.0, 1.0)[-self.n_axes :]

    def along(self, length: float) -> tuple[float, ...]:
        """Return a length in pixels in steps of each axis; none across planes too far apart."""
        across = (length / self.z_step if self.is_dense else 0.0,)
        return (*across, length, length)[-self.n_axes :]


PLANE = Space()
"""The space of planes."""


def space_of(spatial: str, spacing: Sequence[float] | None) -> Space:
    """Return the space of an image.

    `spacing` along z, y and x in any one unit does not count of a plane; cubes where None.
    """
    if spatial == "YX":
        return PLANE
    if spacing is None:
        return Space(3)
    try:
        distances = [float(one) for one in spacing]
    except (TypeError, ValueError):
        distances = []
    if len(distances) != 3 or not all(0 < one < float("inf") for one in distances):
        said = ", ".join(f"{one:g}" for one in distances) if distances else spacing
        raise InputError(
            f"The spacing of the voxels is ({said}), but three positive numbers were expected; "
            "give the distances along z, y and x, such as 1, 0.25, 0.25."
        )
    z, y, x = distances
    z_step = z / ((y + x) / 2)
    if not 1 / FARTHEST <= z_step <= FARTHEST:
        raise InputError(
            f"The planes are {z_step:g} times as far apart as the pixels, which cannot be; check "
            "the spacing, or segment the stack plane by plane."
        )
    return Space(3, z_step)
