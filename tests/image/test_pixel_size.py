from __future__ import annotations

import pytest

from napari_diffseg.errors import InputError
from napari_diffseg.image.pixel_size import PixelSize

VOXEL = PixelSize(0.5, 0.25, "µm", 1.5)


def test_a_voxel_says_how_far_planes_are_apart() -> None:
    assert VOXEL.spacing == (1.5, 0.5, 0.25)
    assert VOXEL.z_step == 4  # in pixels of 0.375 µm
    assert str(VOXEL) == "1.5 × 0.5 × 0.25 µm"


def test_a_plane_has_none() -> None:
    assert (VOXEL.plane.spacing, VOXEL.plane.z_step) == (None, None)
    assert str(VOXEL.plane) == "0.5 × 0.25 µm"
    assert VOXEL.plane == PixelSize(0.5, 0.25, "µm")


def test_coarser() -> None:
    assert VOXEL.times(y=2, x=2) == PixelSize(1, 0.5, "µm", 1.5)
    assert VOXEL.times(z=2).z == 3
    assert VOXEL.plane.times(z=2).z is None


@pytest.mark.parametrize("z", [0, -1, float("nan"), float("inf")])
def test_planes_are_apart(z: float) -> None:
    with pytest.raises(InputError, match="must be positive"):
        PixelSize(1, 1, "µm", z)
