"""How large a pixel is, in the unit that measurements are given in: µm, or pixels."""

from __future__ import annotations

from dataclasses import dataclass

from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.image.units import MICROMETRES


@dataclass(frozen=True, slots=True)
class Scale:
    """Lengths of a pixel along y and x, or z, y and x, and what columns call their unit.

    They are in µm where that is known; else in pixels, each 1.
    """

    steps: tuple[float, ...]
    is_known: bool

    @property
    def length(self) -> str:
        """Unit of lengths."""
        return "um" if self.is_known else "px"

    @property
    def content(self) -> str:
        """Name of the column of areas or volumes, with its unit."""
        if len(self.steps) == 3:
            return "volume_um3" if self.is_known else "volume_vx"
        return "area_um2" if self.is_known else "area_px"


def scale_of(n_axes: int, size: PixelSize | None) -> Scale:
    """Return the scale of planes (2 axes) or of volumes (3); in pixels where it is not known.

    The volume of a voxel is not known where the distance of planes is not.
    """
    if size is None or (n_axes == 3 and size.z is None):
        return Scale((1.0,) * n_axes, is_known=False)
    unit = MICROMETRES[size.unit]
    sizes = (size.z or 1.0, size.y, size.x)[-n_axes:]
    return Scale(tuple(one * unit for one in sizes), is_known=True)
