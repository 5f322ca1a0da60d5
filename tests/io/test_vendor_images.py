"""Files of microscopes, read by bioio where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_diffseg.errors import InputError
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.io import vendor_images
from napari_diffseg.io.frames import open_frames
from napari_diffseg.io.inputs import list_inputs
from napari_diffseg.io.reading import read_image

# What these packages warn of is no concern of ours.
pytestmark = pytest.mark.filterwarnings("ignore")

PIXELS = np.random.default_rng(0).integers(0, 4000, (3, 2, 4, 20, 24), np.uint16)


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"ZISRAWFILE", "CZI"), (b"\xda\xce\xbe\x0a", "ND2"), (b"\x70\0\0\0", "LIF")],
)
def test_a_file_that_needs_more_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, kind: str
) -> None:
    path = tmp_path / f"a.{kind.lower()}"
    path.write_bytes(content + bytes(100))
    assert list_inputs(tmp_path) == [path]
    monkeypatch.setattr(vendor_images, "find_spec", lambda name: None)
    sentence = rf"is a {kind} file.*pip install 'napari-diffseg\[bioio\]', or save .* OME-TIFF\.$"
    for read in (open_frames, read_image):
        with pytest.raises(InputError, match=sentence):
            read(path)


def write_czi(path: Path, pixels: np.ndarray, **more: Any) -> Path:
    """Write ``t c z y x``, or the same with samples behind."""
    czi = pytest.importorskip("pylibCZIrw.czi", reason="needs 'napari-diffseg[bioio]'")
    pytest.importorskip("bioio_czi", reason="needs 'napari-diffseg[bioio]'")
    with czi.create_czi(str(path), exist_ok=True) as document:
        for t, c, z in np.ndindex(pixels.shape[:3]):
            plane = pixels[t, c, z]
            data = plane if plane.ndim == 3 else plane[..., None]
            document.write(data=data, plane={"T": t, "C": c, "Z": z})
        document.write_metadata("a", **more)
    return path


def test_a_czi_file(tmp_path: Path) -> None:
    path = write_czi(
        tmp_path / "a.czi",
        PIXELS,
        channel_names={0: "DAPI", 1: "GFP"},
        scale_x=0.25e-6,
        scale_y=0.5e-6,
        scale_z=2e-6,
    )
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, PIXELS)
    assert (image.axes, image.rgb, image.notes) == ("TCZYX", False, ())
    assert image.pixel_size == PixelSize(0.5, 0.25, "µm", 2)
    stack = open_frames(path, volumes=True)
    assert (stack.n_frames, stack.frame_axes) == (3, "CZYX")
    assert stack.channel_names == ("DAPI", "GFP")
    frame = stack.frame(1)
    np.testing.assert_array_equal(frame[1, 2:4, 3:9, ::2], PIXELS[1, 1, 2:4, 3:9, ::2])
    assert frame.dtype == PIXELS.dtype


def test_scenes_and_what_is_not_there(tmp_path: Path) -> None:
    """No library writes scenes into files of microscopes; those of an OME-TIFF go the same way."""
    pytest.importorskip("bioio_ome_tiff", reason="needs bioio-ome-tiff")
    pytest.importorskip("bioio_czi", reason="needs 'napari-diffseg[bioio]'")
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for planes in (PIXELS[0, 0], PIXELS[0, 1, :3]):
            writer.write(planes, metadata={"axes": "ZYX"}, photometric="minisblack")
    first, second = (vendor_images.VendorSource(path, "CZI", 0, series) for series in range(2))
    np.testing.assert_array_equal(first.whole(), PIXELS[0, 0])
    np.testing.assert_array_equal(second.whole(), PIXELS[0, 1, :3])
    np.testing.assert_array_equal(second.read((1, slice(2, 9), 4)), PIXELS[0, 1, 1, 2:9, 4])
    assert first.facts.axes == second.facts.axes == "ZYX"
    assert first.facts.pixel_size is None
    assert "holds 2 images" in first.facts.notes[0]
    for more in ({"series": 2}, {"level": 9}):
        with pytest.raises(InputError, match="asked for"):
            vendor_images.VendorSource(path, "CZI", **more)


def test_colours_of_a_czi_file(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (1, 1, 1, 20, 24, 3), np.uint8)
    image = read_image(write_czi(tmp_path / "a.czi", rgb))
    assert (image.axes, image.rgb) == ("YXC", True)
    # The library itself writes blue first.
    np.testing.assert_array_equal(image.pixels, rgb[0, 0, 0, ..., ::-1])


def test_a_damaged_czi_file(tmp_path: Path) -> None:
    path = write_czi(tmp_path / "a.czi", PIXELS)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match="truncated or damaged"):
        read_image(path)
