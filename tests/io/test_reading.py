from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from numpy.typing import NDArray
from PIL import Image, ImageFile

from napari_diffseg.errors import InputError, OutOfMemoryError
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.io.frames import open_frames
from napari_diffseg.io.reading import read_class_numbers, read_image

GRAY = np.random.default_rng(0).integers(0, 250, (32, 24), dtype=np.uint8)
RGB = np.random.default_rng(1).integers(0, 250, (32, 24, 3), dtype=np.uint8)
PLANES = np.random.default_rng(2).integers(0, 250, (3, 32, 24), dtype=np.uint8)


# --- TIFF --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pixels", "how", "axes", "rgb"),
    [
        pytest.param(GRAY, {}, "YX", False, id="gray"),
        pytest.param(GRAY.astype(">u2"), {"byteorder": ">"}, "YX", False, id="big-endian"),
        pytest.param(GRAY.astype(np.float32), {"bigtiff": True}, "YX", False, id="BigTIFF float"),
        pytest.param(RGB, {}, "YXC", True, id="RGB"),
        pytest.param(
            PLANES, {"photometric": "rgb", "planarconfig": "separate"}, "CYX", True, id="RGB planes"
        ),
        pytest.param(PLANES, {"photometric": "minisblack"}, None, None, id="nameless stack"),
        pytest.param(
            PLANES, {"ome": True, "metadata": {"axes": "CYX"}}, "CYX", False, id="OME channels"
        ),
        pytest.param(
            PLANES, {"ome": True, "metadata": {"axes": "ZYX"}}, "ZYX", False, id="OME volume"
        ),
        pytest.param(
            PLANES, {"imagej": True, "metadata": {"axes": "CYX"}}, "CYX", False, id="ImageJ"
        ),
        pytest.param(
            RGB, {"tile": (16, 16), "compression": "zlib"}, "YXC", True, id="compressed tiles"
        ),
    ],
)
def test_tiff_pixels_and_axes(
    tmp_path: Path, pixels: NDArray[Any], how: dict[str, Any], axes: str | None, rgb: bool | None
) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, pixels, **how)
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, pixels)
    assert (image.axes, image.rgb, image.path, image.notes) == (axes, rgb, path, ())


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        pytest.param(
            {
                "ome": True,
                "resolution": (20, 20),  # another size: the XML counts
                "resolutionunit": "CENTIMETER",
                "metadata": {
                    "axes": "YX",
                    "PhysicalSizeX": 250,
                    "PhysicalSizeXUnit": "nm",
                    "PhysicalSizeY": 500,
                    "PhysicalSizeYUnit": "nm",
                },
            },
            PixelSize(500, 250, "nm"),
            id="OME",
        ),
        pytest.param(
            {"imagej": True, "resolution": (4, 2), "metadata": {"unit": "um"}},
            PixelSize(0.5, 0.25, "µm"),
            id="ImageJ",
        ),
        pytest.param(
            {"imagej": True, "resolution": (4, 2), "metadata": {"unit": "pixel"}},
            None,
            id="ImageJ without unit",
        ),
        pytest.param(
            {"resolution": (40000, 20000), "resolutionunit": "CENTIMETER"},
            PixelSize(0.5, 0.25, "µm"),
            id="tags, cm",
        ),
        pytest.param(
            {"resolution": (4, 2), "resolutionunit": "NONE"}, None, id="tags without unit"
        ),
        pytest.param({"resolution": (72, 72), "resolutionunit": "INCH"}, None, id="72 dpi"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_tiff_pixel_size(tmp_path: Path, how: dict[str, Any], expected: PixelSize | None) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, GRAY, **how)
    assert read_image(path).pixel_size == expected


def test_tiff_written_by_pillow_without_unit_has_no_pixel_size(tmp_path: Path) -> None:
    Image.fromarray(GRAY).save(tmp_path / "image.tif")
    assert read_image(tmp_path / "image.tif").pixel_size is None


def test_a_small_picture_that_stands_first_is_not_the_image(tmp_path: Path) -> None:
    path = tmp_path / "camera.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(GRAY[::4, ::4], subfiletype=1, metadata=None)
        writer.write(GRAY, metadata=None)
    assert np.array_equal(read_image(path).pixels, GRAY)
    small = read_image(path, series=1)
    assert np.array_equal(small.pixels, GRAY[::4, ::4])
    assert "0: 32 × 24, 1: 8 × 6" in small.notes[0]


def test_first_of_several_images_is_read_and_said(tmp_path: Path) -> None:
    path = tmp_path / "two.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(GRAY, metadata=None)
        writer.write(RGB, metadata=None)
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, GRAY)
    assert "2 images" in image.notes[0]


# --- PNG and JPEG ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        pytest.param(Image.fromarray(GRAY), GRAY, id="gray"),
        pytest.param(Image.fromarray(RGB), RGB, id="RGB"),
        pytest.param(
            Image.fromarray(GRAY.astype(np.uint16) * 200), GRAY.astype(np.uint16) * 200, id="16 bit"
        ),
        pytest.param(Image.fromarray(GRAY > 99), GRAY > 99, id="1 bit"),
        pytest.param(Image.fromarray(np.dstack([RGB, GRAY])), np.dstack([RGB, GRAY]), id="RGBA"),
        pytest.param(Image.fromarray(GRAY).convert("LA"), GRAY, id="gray with alpha"),
        pytest.param(
            Image.fromarray(GRAY // 64).convert("P"), np.dstack([GRAY // 64] * 3), id="palette"
        ),
    ],
)
def test_png(tmp_path: Path, picture: Image.Image, expected: NDArray[Any]) -> None:
    path = tmp_path / "image.png"
    picture.save(path)
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, expected)
    assert image.pixels.dtype == expected.dtype
    assert (image.axes, image.rgb) == (("YX", False) if expected.ndim == 2 else ("YXC", True))


def test_dropped_alpha_of_a_gray_png_is_said(tmp_path: Path) -> None:
    Image.fromarray(GRAY).convert("LA").save(tmp_path / "image.png")
    assert read_image(tmp_path / "image.png").notes == ("The alpha channel was dropped.",)


def test_colours_of_16_bits_are_read_with_8_and_said(tmp_path: Path) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    rows = b"".join(b"\0" + row.tobytes() for row in (RGB.astype(np.uint16) * 256).astype(">u2"))
    header = struct.pack(">IIBBBBB", 24, 32, 16, 2, 0, 0, 0)
    path = tmp_path / "deep.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, RGB)
    assert "16 bits" in image.notes[0]


def test_jpeg_is_known_by_its_bytes(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(32), np.arange(24)).astype(np.uint8) * 4
    path = tmp_path / "image.png"
    Image.fromarray(smooth).save(path, format="JPEG", quality=95)
    image = read_image(path)
    np.testing.assert_allclose(image.pixels.astype(int), smooth, atol=8)
    assert image.axes == "YX"


@pytest.mark.parametrize(
    ("name", "dpi", "expected"),
    [
        ("image.png", (101600, 50800), (0.5, 0.25)),
        ("image.png", (72, 72), None),
        ("image.png", None, None),
        ("image.jpg", (72, 72), None),
        ("image.jpg", (96, 96), None),
        ("image.jpg", (25400, 25400), (1.0, 1.0)),
        ("image.jpg", None, None),
    ],
)
def test_resolution_of_pictures(
    tmp_path: Path,
    name: str,
    dpi: tuple[float, float] | None,
    expected: tuple[float, float] | None,
) -> None:
    path = tmp_path / name
    Image.fromarray(RGB).save(path, **({} if dpi is None else {"dpi": dpi}))
    size = read_image(path).pixel_size
    if expected is None:
        assert size is None
    else:
        assert size is not None
        # pillow gives x first; PNG counts whole pixels per metre.
        assert (size.y, size.x) == pytest.approx((expected[0], expected[1]), rel=1e-3)
        assert size.unit == "µm"


# --- bad files ---------------------------------------------------------------------


def ome(path: Path) -> None:
    tifffile.imwrite(path, PLANES, ome=True, metadata={"axes": "CYX"})


def strips(path: Path) -> None:
    tifffile.imwrite(path, RGB, rowsperstrip=4, metadata=None)


def compressed_strips(path: Path) -> None:
    tifffile.imwrite(path, RGB, rowsperstrip=4, compression="zlib")


def tiles(path: Path) -> None:
    tifffile.imwrite(path, RGB, tile=(16, 16))


def imagej(path: Path) -> None:
    tifffile.imwrite(path, PLANES, imagej=True, metadata={"axes": "CYX"})


def pages(path: Path) -> None:
    first, *rest = (Image.fromarray(plane) for plane in PLANES)
    first.save(path, format="TIFF", save_all=True, append_images=rest)


def png(path: Path) -> None:
    Image.fromarray(RGB).save(path, format="PNG")


def jpeg(path: Path) -> None:
    Image.fromarray(RGB).save(path, format="JPEG")


def progressive_jpeg(path: Path) -> None:
    Image.fromarray(RGB).save(path, format="JPEG", progressive=True)


WRITERS = [ome, strips, compressed_strips, tiles, imagej, pages, png, jpeg, progressive_jpeg]


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_a_file_cut_anywhere_is_refused_or_whole(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    path = tmp_path / "image"
    write(path)
    whole = path.read_bytes()
    expected = read_image(path).pixels
    for length in range(8, len(whole), 97):
        path.write_bytes(whole[:length])
        with suppress(InputError):
            # Where it is read, what was cut off was no pixel: padding, or a PNG's end mark.
            np.testing.assert_array_equal(read_image(path).pixels, expected)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"truncated or damaged"):
        read_image(path)


def test_truncation_is_refused_though_pillow_was_told_to_accept_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    path = tmp_path / "half.png"
    png(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="truncated"):
        read_image(path)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.tif", b"", "empty"),
        ("text.png", b"this is no picture at all\n", "no image of a known kind"),
        ("one.png", b"x", "no image of a known kind"),
        ("RoiSet.zip", b"PK\3\4\x14", "ZIP archive; unpack it"),
        ("image.gif", b"GIF89a" + bytes(40), "no image of a known kind"),
        ("header.tif", b"II*\0\x08\0\0\0", "truncated or damaged"),
        ("header.png", b"\x89PNG\r\n\x1a\n", "truncated or damaged"),
        ("header.jpg", b"\xff\xd8\xff\xe0", "truncated or damaged"),
    ],
)
def test_files_that_are_no_images(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_image(tmp_path / "none.tif")
    with pytest.raises(InputError, match="is a folder"):
        read_image(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes that have a name")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.tif")
    with pytest.raises(InputError, match="is a pipe or a device"):
        read_image(tmp_path / "a.tif")


def test_the_file_that_describes_a_set_of_others(tmp_path: Path) -> None:
    xml = '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/"/>'
    (tmp_path / "a.companion.ome").write_text(xml)
    with pytest.raises(InputError, match="describes images whose pixels are in other files"):
        read_image(tmp_path / "a.companion.ome")


def test_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        read_image(tmp_path / "secret.tif")


def test_compression_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object) -> None:
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    tifffile.imwrite(tmp_path / "lzw.tif", GRAY)
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", refuse)
    with pytest.raises(InputError, match=r"compressed in a way .* LZW"):
        read_image(tmp_path / "lzw.tif")


def test_image_larger_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object) -> None:
        raise MemoryError

    tifffile.imwrite(tmp_path / "large.tif", GRAY)
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", refuse)
    with pytest.raises(OutOfMemoryError, match=r"large\.tif"):
        read_image(tmp_path / "large.tif")


def test_picture_with_too_many_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    png(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)  # a warning
    assert read_image(tmp_path / "large.png").pixels.shape == RGB.shape
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # an error: more than twice
    with pytest.raises(InputError, match="too many pixels"):
        read_image(tmp_path / "large.png")


# --- class numbers -----------------------------------------------------------------


NUMBERS = (np.arange(12).reshape(3, 4) % 5).astype(np.uint8)


def _indexed() -> Image.Image:
    picture = Image.fromarray(NUMBERS, mode="P")
    picture.putpalette([0, 0, 0, 255, 0, 0] + [10, 20, 30] * 254)
    return picture


@pytest.mark.parametrize(
    "save",
    [
        lambda path: Image.fromarray(NUMBERS).save(path, format="PNG"),
        lambda path: Image.fromarray(NUMBERS.astype(np.uint16)).save(path, format="PNG"),
        lambda path: _indexed().save(path, format="PNG"),
        lambda path: _indexed().save(path, format="PNG", transparency=0),
        lambda path: _indexed().save(path, format="PNG", bits=4),
        lambda path: _indexed().save(path, format="TIFF"),
        lambda path: tifffile.imwrite(path, NUMBERS.astype(np.int32)),
        lambda path: tifffile.imwrite(path, NUMBERS.astype(np.float32)),
    ],
    ids=["gray", "16 bit", "palette", "transparent", "4 bit", "palette TIFF", "int", "float"],
)
def test_class_numbers_are_read_as_numbers(tmp_path: Path, save: Callable[[Path], None]) -> None:
    path = tmp_path / "numbers"
    save(path)
    np.testing.assert_array_equal(read_class_numbers(path).pixels, NUMBERS)


def test_an_image_with_a_palette_is_still_read_in_colours(tmp_path: Path) -> None:
    _indexed().save(tmp_path / "in.png")
    assert read_image(tmp_path / "in.png").pixels.shape == (3, 4, 3)


@pytest.mark.parametrize(
    ("save", "message"),
    [
        (lambda path: _indexed().convert("RGB").save(path, format="PNG"), "picture in colours"),
        (lambda path: _indexed().convert("RGBA").save(path, format="PNG"), "picture in colours"),
        (lambda path: Image.fromarray(NUMBERS).save(path, format="JPEG"), "only roughly"),
        (lambda path: path.write_bytes(b"text"), "no image of a known kind"),
        (lambda path: None, "does not exist"),
    ],
)
def test_what_holds_no_class_numbers(
    tmp_path: Path, save: Callable[[Path], None], message: str
) -> None:
    path = tmp_path / "numbers"
    save(path)
    with pytest.raises(InputError, match=message) as error:
        read_class_numbers(path)
    assert "\n" not in str(error.value)


def test_a_tiff_that_is_higher_than_its_strips(tmp_path: Path) -> None:
    """A number of the header may not make an image of zeros, nor take the memory for one."""
    tifffile.imwrite(tmp_path / "a.tif", np.ones((24, 24), np.uint8), photometric="minisblack")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as tif:
        tif.pages[0].tags["ImageLength"].overwrite(2_771_224)
    with pytest.raises(InputError, match=r"a\.tif is truncated or damaged"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("shape", [(0, 30), (20, 0), (3, 0, 30)])
def test_an_image_without_pixels_is_refused_at_once(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "empty.zarr"
    zarr.create_array(path, shape=shape, dtype="u1", chunks=(1,) * len(shape))
    for read in (read_image, open_frames, read_class_numbers):
        with pytest.raises(
            InputError, match=r"has no pixels \(its shape is .* save the image again"
        ):
            read(path)


def test_a_tiff_of_no_rows_and_a_hundred_million_columns_is_refused_at_once(
    tmp_path: Path,
) -> None:
    """Its pixels were none, and were read piece by piece: eleven seconds."""
    path = tmp_path / "empty.tif"
    tifffile.imwrite(path, np.ones((20, 30), bool), compression="deflate", rowsperstrip=5)
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages[0].tags["ImageLength"].overwrite(0)
        tif.pages[0].tags["ImageWidth"].overwrite(100_663_296, dtype="I")
    begun = time.process_time()
    with pytest.raises(InputError, match=r"empty\.tif"):
        read_image(path)
    assert time.process_time() - begun < 2
