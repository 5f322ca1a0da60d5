from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_diffseg.errors import InputError
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.image.units import parse_unit
from napari_diffseg.io.frames import open_frames
from napari_diffseg.io.reading import read_image
from napari_diffseg.io.resolution import from_imagej, from_microscope, from_resolution
from napari_diffseg.io.tiff.ome_xml import read_ome_xml
from tests.io.vendor_files import write_lsm


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("µm", "µm"),
        ("\u03bcm", "µm"),
        ("\\u00B5m", "µm"),
        ("micron", "µm"),
        ("um\0", "µm"),
        (" Microns ", "µm"),
        ("nm", "nm"),
        ("mm", "mm"),
        ("Å", "Å"),
        ("\u212b", "Å"),
        ("inch", "in"),
        ("inches", "in"),
        ("micrometers", "µm"),
        ("Nanometers", "nm"),
        ("angstroms", "Å"),
        ("MM", "mm"),
        ("pixel", None),
        ("pixels", None),
        ("", None),
        (None, None),
        (3, None),
        ("parsec", None),
    ],
)
def test_units_are_spelt_as_in_ome_xml(text: object, unit: str | None) -> None:
    assert parse_unit(text) == unit


@pytest.mark.parametrize(
    ("y", "x", "unit"),
    [(0, 1, "µm"), (1, -1, "µm"), (float("nan"), 1, "µm"), (1, float("inf"), "µm"), (1, 1, "px")],
)
def test_a_pixel_has_a_positive_size_in_a_known_unit(y: float, x: float, unit: str) -> None:
    with pytest.raises(InputError, match="must be"):
        PixelSize(y, x, unit)


def test_pixels_per_metre() -> None:
    assert PixelSize(y=0.5, x=0.25, unit="µm").per_metre == (2e6, 4e6)
    assert PixelSize(y=1, x=1, unit="mm").per_metre == (1e3, 1e3)


@pytest.mark.parametrize(
    ("per_y", "per_x", "unit", "expected"),
    [
        pytest.param(20000, 40000, "cm", (0.5, 0.25), id="microscope, cm"),
        pytest.param(50800, 50800, "in", (0.5, 0.5), id="microscope, inch"),
        pytest.param(508, 508, "in", (50, 50), id="stereo microscope"),
        pytest.param(2, 2, "µm", (0.5, 0.5), id="per µm"),
        pytest.param(72, 72, "in", None, id="screen"),
        pytest.param(96, 96, "in", None, id="another screen"),
        pytest.param(72.009, 72.009, "in", None, id="screen, rounded by PNG"),
        pytest.param(118.11, 118.11, "cm", None, id="300 dpi in cm"),
        pytest.param(300, 300, "in", None, id="printer"),
        pytest.param(200, 100, "in", None, id="fax"),
        pytest.param(1, 1, "cm", None, id="placeholder"),
        pytest.param(0, 0, "in", None, id="nothing"),
        pytest.param(1e4, 0, "cm", None, id="half of it"),
    ],
)
def test_resolution(
    per_y: float, per_x: float, unit: str, expected: tuple[float, float] | None
) -> None:
    size = from_resolution(per_y, per_x, unit)
    if expected is None:
        assert size is None
    else:
        assert size is not None
        assert (size.y, size.x, size.unit) == (*map(pytest.approx, expected), "µm")


def ome_xml(attributes: str) -> str:
    namespace = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    return f'<OME xmlns="{namespace}"><Image><Pixels {attributes}/></Image></OME>'


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        (ome_xml('PhysicalSizeX="0.25" PhysicalSizeY="0.5"'), PixelSize(0.5, 0.25, "µm")),
        (
            ome_xml(
                'PhysicalSizeX="250" PhysicalSizeXUnit="nm" '
                'PhysicalSizeY="500" PhysicalSizeYUnit="nm"'
            ),
            PixelSize(500, 250, "nm"),
        ),
        (
            ome_xml('PhysicalSizeX="2" PhysicalSizeY="4000" PhysicalSizeYUnit="nm"'),
            PixelSize(4, 2, "µm"),
        ),
        (ome_xml('PhysicalSizeX="0,25" PhysicalSizeY="0.5"'), PixelSize(0.5, 0.25, "µm")),
        (ome_xml('PhysicalSizeX="0.25"'), None),
        (ome_xml('PhysicalSizeX="0" PhysicalSizeY="0"'), None),
        (ome_xml('PhysicalSizeX="one" PhysicalSizeY="1"'), None),
        (ome_xml('PhysicalSizeX="1" PhysicalSizeY="1" PhysicalSizeXUnit="pixel"'), None),
        ("<OME/>", None),
        ("<OME", None),
    ],
)
def test_ome_xml(xml: str, expected: PixelSize | None) -> None:
    assert read_ome_xml(xml).pixel_size == expected


def test_imagej() -> None:
    assert from_imagej({"unit": "micron"}, 2, 4) == PixelSize(0.5, 0.25, "µm")
    assert from_imagej({"unit": "mm", "yunit": "um"}, 2, 4) == PixelSize(0.0005, 0.25, "mm")
    assert from_imagej({"unit": "pixel"}, 2, 4) is None
    assert from_imagej({}, 2, 4) is None
    assert from_imagej({"unit": "micron"}, 0, 4) is None
    assert from_imagej({"unit": "inch"}, 1000, 1000) == PixelSize(0.001, 0.001, "in")


@pytest.mark.parametrize(("unit", "per"), [("inch", 72), ("inches", 300), ("cm", 118.11)])
def test_imagej_takes_resolutions_for_print_over_as_sizes(unit: str, per: float) -> None:
    assert from_imagej({"unit": unit, "spacing": 1.5}, per, per) is None


@pytest.mark.parametrize(
    "said",
    [
        {"spacing": -1.5},  # from the top to the bottom
        {"spacing": "1,5"},  # written where numbers have a comma
        {"axes": "X,Y,Z", "scales": "0.5,0.5,1.5", "units": "um,um,um"},  # ImageJ2
    ],
)
def test_how_far_planes_of_imagej_are_apart(said: dict[str, object]) -> None:
    assert from_imagej({"unit": "um", **said}, 2, 2) == PixelSize(0.5, 0.5, "µm", 1.5)


def test_planes_of_a_picture_for_print_have_no_distance(tmp_path: Path) -> None:
    path = tmp_path / "scanned.tif"
    metadata = {"axes": "ZYX", "unit": "inch", "spacing": 2.0}
    pixels = np.zeros((3, 4, 5), np.uint8)
    tifffile.imwrite(path, pixels, imagej=True, metadata=metadata, resolution=(300, 300))
    assert read_image(path).placement == {}


@pytest.mark.parametrize("n_channels", [3, 4])
def test_an_lsm_file(tmp_path: Path, n_channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (2, 3, n_channels, 20, 24), np.uint8)
    path = write_lsm(tmp_path / "a.lsm", pixels, (0.25e-6, 0.5e-6, 2e-6), 30.0)
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, pixels)
    assert (image.axes, image.rgb, image.notes) == ("TZCYX", False, ())
    assert image.pixel_size is not None
    sizes = (image.pixel_size.z, image.pixel_size.y, image.pixel_size.x, image.t_step)
    assert sizes == pytest.approx((2, 0.5, 0.25, 30))
    stack = open_frames(path, volumes=True)
    np.testing.assert_array_equal(stack.frame(1)[:, 2, 3:9], pixels[1, :, 2, 3:9])


NOTHING = dict.fromkeys(("lsm", "stk", "micromanager", "sem", "sis", "fei"))


@pytest.mark.parametrize(
    ("kind", "said", "size", "step"),
    [
        (
            "stk",
            {
                "XCalibration": 0.25,
                "YCalibration": 0.5,
                "CalibrationUnits": "um",
                "ZDistance": np.array([2.0, 2.0, 2.0]),
                "TimeCreated": np.array([1000, 31000, 61000]),
            },
            PixelSize(0.5, 0.25, "µm", 2.0),
            30.0,
        ),
        ("stk", {"XCalibration": 1, "YCalibration": 1, "CalibrationUnits": "pixel"}, None, None),
        (
            "micromanager",
            {"Summary": {"PixelSize_um": 0.25, "z-step_um": 2, "Interval_ms": 500}},
            PixelSize(0.25, 0.25, "µm", 2.0),
            0.5,
        ),
        ("micromanager", {"Summary": {"PixelSize_um": 0, "Interval_ms": 0}}, None, None),
        ("micromanager", {"IndexMap": []}, None, None),
        ("sem", {"ap_pixel_size": ("Pixel Size", 250.0, "nm")}, PixelSize(0.25, 0.25, "µm"), None),
        ("sem", {"": ()}, None, None),
        ("sis", {"pixelsizex": 0.25e-6, "pixelsizey": 0.5e-6}, PixelSize(0.5, 0.25, "µm"), None),
        (
            "fei",
            {"Scan": {"PixelWidth": 1e-9, "PixelHeight": 2e-9}},
            PixelSize(2e-3, 1e-3, "µm"),
            None,
        ),
        ("fei", {}, None, None),
    ],
)
def test_what_programs_of_microscopes_say(
    kind: str, said: Any, size: PixelSize | None, step: float | None
) -> None:
    facts = {f"{one}_metadata": value for one, value in (NOTHING | {kind: said}).items()}
    found, t_step = from_microscope(SimpleNamespace(**facts))
    assert t_step == step
    if size is None or found is None:
        assert found == size
    else:
        assert (found.y, found.x, found.unit) == pytest.approx((size.y, size.x, "µm"))
        assert (found.z or 0) == pytest.approx(size.z or 0)
