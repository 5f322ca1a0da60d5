from __future__ import annotations

import numpy as np
import pytest

from napari_diffseg.errors import InputError
from napari_diffseg.image.info import ImageInfo, Placed, placed_by
from napari_diffseg.image.pixel_size import PixelSize


def info(axes: str | None, **placement: Placed) -> ImageInfo:
    n_axes = 3 if axes is None else len(axes)
    return ImageInfo(axes, (4,) * n_axes, np.dtype(np.uint8), placement=placement)


def test_sizes_are_told_in_the_unit_of_x() -> None:
    known = info(
        "TZYX",
        T=Placed(-500, 0, "ms"),
        Z=Placed(-2, 7, "micron"),
        Y=Placed(500, 0, "nanometer"),
        X=Placed(0.5, 0, "um"),
    )
    assert known.pixel_size == PixelSize(0.5, 0.5, "µm", 2)
    assert (known.spacing, known.t_step) == ((2, 0.5, 0.5), 0.5)


@pytest.mark.parametrize(
    ("z", "y", "unit", "spacing"),
    [
        (4, 1, None, (4, 1, 1)),
        (1, 1, None, None),  # what is written where nobody knows
        (1, 1, "µm", (1, 1, 1)),
        (4, 1, "furlong", (4, 1, 1)),
        (None, 1, "µm", None),
        (4, None, "µm", None),
    ],
)
def test_distances_of_voxels(z: float, y: float, unit: str | None, spacing: object) -> None:
    steps = {"Z": z, "Y": y, "X": 1.0}
    placed = {one: Placed(step, 0, unit) for one, step in steps.items() if step is not None}
    assert info("ZYX", **placed).spacing == spacing


def test_of_other_units_there_is_no_spacing() -> None:
    mixed = info("ZYX", Z=Placed(2, 0, "furlong"), Y=Placed(1, 0, "µm"), X=Placed(1, 0, "µm"))
    assert (mixed.spacing, mixed.pixel_size) == (None, PixelSize(1, 1, "µm"))


def test_a_person_may_call_y_what_the_file_calls_x() -> None:
    size = PixelSize(0.5, 0.25, "µm", 2)
    known = ImageInfo("ZYX", (4, 4, 4), np.dtype(np.uint8), placement=placed_by(size))
    assert known.pixel_size == size
    assert known.stated("zxy").pixel_size == PixelSize(0.25, 0.5, "µm", 2)
    assert known.stated("TYX").pixel_size == size.plane
    assert known.coarser((4, 2, 2), {"Y": 2, "X": 2}).pixel_size == PixelSize(1, 0.5, "µm", 2)


def test_axes_that_make_no_sense_are_stated_or_refused() -> None:
    problem = InputError("The axes make no sense.")
    broken = ImageInfo(None, (4, 4), np.dtype(np.uint8), problem=problem)
    with pytest.raises(InputError, match="make no sense"):
        broken.stated(None)
    assert broken.stated("YX").problem is None
