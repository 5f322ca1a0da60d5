"""What the numbers in a TIFF file stand for, and how they are compressed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from napari_diffseg.io.frames import open_frames
from napari_diffseg.io.reading import read_class_numbers, read_image

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (24, 30), np.uint8)
RGB = RNG.integers(0, 256, (24, 30, 3), np.uint8)
ORDER = RNG.permutation(256)


def palette(colors: NDArray[Any], path: Path) -> Path:
    """Write the numbers of `GRAY` with a palette, (256, 3) of uint8."""
    picture = Image.fromarray(GRAY).convert("P")
    picture.putdata(GRAY.ravel().tolist())
    picture.putpalette(colors.astype(np.uint8).ravel().tolist())
    picture.save(path)
    return path


def parts_agree(path: Path, image: Any) -> None:
    """Check that parts of a frame are those of the whole, also where samples are left out."""
    stack = open_frames(path)
    frame = stack.frame(0)
    whole = np.asarray(image.pixels)
    assert (stack.axes, frame.shape, frame.dtype) == (image.axes, whole.shape, whole.dtype)
    keys: list[Any] = [(slice(3, 9), slice(5, 11)), (4, slice(2, 20)), ...]
    if whole.ndim == 3 and image.axes.endswith("C"):
        keys += [(slice(3, 9), slice(5, 11), slice(1, 3)), (slice(3, 9), 7, 1), (..., 1)]
    for key in keys:
        np.testing.assert_array_equal(frame[key], whole[key])


def test_a_palette_of_colours_is_colours_in_tiff_and_png(tmp_path: Path) -> None:
    colors = RNG.integers(0, 256, (256, 3))
    tiff = read_image(palette(colors, tmp_path / "a.tif"))
    png = read_image(palette(colors, tmp_path / "a.png"))
    np.testing.assert_array_equal(tiff.pixels, colors[GRAY])
    np.testing.assert_array_equal(png.pixels, tiff.pixels)
    assert (tiff.axes, tiff.rgb, tiff.notes) == ("YXC", True, ())
    parts_agree(tmp_path / "a.tif", tiff)


def test_a_stack_with_a_palette(tmp_path: Path) -> None:
    colors = np.zeros((3, 256), np.uint16)
    colors[RNG.integers(0, 3, 256), np.arange(256)] = 256 * np.arange(256)
    frames = RNG.integers(0, 256, (3, 24, 30), np.uint8)
    path = tmp_path / "a.ome.tif"
    about: dict[str, Any] = {"photometric": "palette", "colormap": colors}
    tifffile.imwrite(path, frames, ome=True, metadata={"axes": "TYX"}, compression="zlib", **about)
    stack = open_frames(path)
    assert (stack.axes, stack.shape) == ("TYXC", (3, 24, 30, 3))
    shown = (colors >> 8).T[frames]
    np.testing.assert_array_equal(stack.frame(2)[3:9, :, :2], shown[2, 3:9, :, :2])


@pytest.mark.parametrize("hue", [(1, 1, 1), (0, 1, 0), (1, 0, 0.5)])
def test_a_palette_that_shows_intensities_leaves_them(tmp_path: Path, hue: Any) -> None:
    image = read_image(palette(np.arange(256)[:, None] * np.array(hue), tmp_path / "a.tif"))
    np.testing.assert_array_equal(image.pixels, GRAY)
    assert image.axes == "YX"


def test_look_up_tables_of_imagej_are_for_display(tmp_path: Path) -> None:
    table = RNG.permutation(256 * 256)[: 3 * 256].astype(np.uint16).reshape(3, 256)
    about: dict[str, Any] = {"photometric": "palette", "colormap": table, "metadata": None}
    text = "ImageJ=1.53t\nimages=1\n"
    tifffile.imwrite(tmp_path / "a.tif", GRAY, description=text, **about)
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels, GRAY)
    assert "in which ImageJ shows the file were left aside" in image.notes[0]


def test_class_numbers_are_not_those_of_colours(tmp_path: Path) -> None:
    path = palette(RNG.integers(0, 256, (256, 3)), tmp_path / "a.tif")
    np.testing.assert_array_equal(read_class_numbers(path).pixels, GRAY)
    inverted = tmp_path / "b.tif"
    tifffile.imwrite(inverted, GRAY, photometric="miniswhite")
    np.testing.assert_array_equal(read_class_numbers(inverted).pixels, GRAY)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_white_that_is_0(tmp_path: Path, dtype: Any, compression: Any, byteorder: str) -> None:
    pixels = GRAY.astype(dtype) * (np.iinfo(dtype).max // 255)
    about: dict[str, Any] = {"photometric": "miniswhite", "byteorder": byteorder}
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression=compression, **about)
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels, np.iinfo(dtype).max - pixels)
    assert image.pixels.dtype == dtype
    parts_agree(tmp_path / "a.tif", image)


def test_numbers_that_have_no_white_are_left_and_said(tmp_path: Path) -> None:
    pixels = GRAY.astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite")
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels, pixels)
    assert "0 for white" in image.notes[0]


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_other_colours_become_red_green_and_blue(
    tmp_path: Path, mode: str, compression: str
) -> None:
    picture = Image.fromarray(RGB).convert(mode)
    if mode == "YCbCr":  # pillow itself subsamples
        about: dict[str, Any] = {"photometric": 6, "subsampling": (1, 1)}
        kind = None if compression == "raw" else "lzw"
        tifffile.imwrite(tmp_path / "a.tif", np.asarray(picture), compression=kind, **about)
    else:
        picture.save(tmp_path / "a.tif", compression=compression)
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels, np.asarray(picture.convert("RGB")))
    assert (image.axes, image.rgb, image.notes) == ("YXC", True, ())
    parts_agree(tmp_path / "a.tif", image)


def test_cielab_becomes_red_green_and_blue(tmp_path: Path) -> None:
    smooth = np.stack(np.broadcast_arrays(*np.ogrid[40:200:24j, 60:220:30j], 128), -1)
    rgb = Image.fromarray(smooth.astype(np.uint8))
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = ImageCms.profileToProfile(rgb, *profiles, outputMode="LAB")
    assert lab is not None
    lab.save(tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.pages[0].photometric == tifffile.PHOTOMETRIC.CIELAB
    image = read_image(tmp_path / "a.tif")
    # 8 bits of a and b are coarse where it is dark.
    assert np.abs(image.pixels.astype(int) - np.asarray(rgb)).mean() < 2
    assert image.rgb
    parts_agree(tmp_path / "a.tif", image)


def test_colours_that_are_not_known_are_said(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="icclab")
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels, RGB)
    assert not image.rgb
    assert "stored as ICCLAB (uint8)" in image.notes[0]
    assert "each channel by itself" in image.notes[0]


def test_samples_beside_colours_and_gray(tmp_path: Path) -> None:
    five = np.dstack([RGB, GRAY, GRAY])
    about: dict[str, Any] = {"planarconfig": "contig", "metadata": None}
    cases = [
        ("rgb", np.dstack([RGB, GRAY]), ["unspecified"], "YXC", True, "taken for alpha"),
        ("rgb", np.dstack([RGB, GRAY]), ["unassalpha"], "YXC", True, ""),
        ("rgb", five, ["unspecified"] * 2, "YXC", False, "the 5 channels"),
        ("minisblack", np.dstack([GRAY, GRAY[::-1]]), ["unassalpha"], "YX", False, "alpha"),
        ("minisblack", np.dstack([GRAY, GRAY[::-1]]), ["unspecified"], "YXC", False, ""),
    ]
    for number, (kind, pixels, extra, axes, rgb, note) in enumerate(cases):
        path = tmp_path / f"{number}.tif"
        tifffile.imwrite(path, pixels, photometric=kind, extrasamples=extra, **about)
        image = read_image(path)
        assert (image.axes, image.rgb) == (axes, rgb)
        assert note in " ".join(image.notes)
        assert bool(note) == bool(image.notes)
        np.testing.assert_array_equal(image.pixels, pixels if axes == "YXC" else GRAY)
        parts_agree(path, image)


def test_jpeg_in_other_colours(tmp_path: Path) -> None:
    smooth = np.stack(np.broadcast_arrays(*np.ogrid[40:200:24j, 60:220:30j], 128), -1)
    picture = Image.fromarray(smooth.astype(np.uint8))
    picture.convert("CMYK").save(tmp_path / "a.jpg", quality=100, subsampling=0)
    image = read_image(tmp_path / "a.jpg")
    assert image.rgb
    assert np.abs(image.pixels.astype(int) - np.asarray(picture)).max() < 8


@pytest.mark.parametrize(
    "codec", ["lzw", "zlib", "adobe_deflate", "zstd", "packbits", "lzma", "webp", "jpeg2000"]
)
def test_compressions_without_loss(tmp_path: Path, codec: str) -> None:
    about: dict[str, Any] = {"compression": codec, "photometric": "rgb"}
    if codec == "jpeg2000":
        about["compressionargs"] = {"reversible": True}
    if codec == "webp":
        about["compressionargs"] = {"lossless": True}
    tifffile.imwrite(tmp_path / "a.tif", RGB, **about)
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels, RGB)
    parts_agree(tmp_path / "a.tif", image)


@pytest.mark.parametrize("pixels", [GRAY, RGB], ids=["gray", "RGB"])
def test_jpeg_within_tiff(tmp_path: Path, pixels: NDArray[Any]) -> None:
    smooth = np.zeros_like(pixels) + np.linspace(0, 200, 24, dtype=np.uint8).reshape(
        -1, *[1] * (pixels.ndim - 1)
    )
    Image.fromarray(smooth).save(tmp_path / "a.tif", compression="jpeg", quality=100)
    image = read_image(tmp_path / "a.tif")
    assert np.abs(image.pixels.astype(int) - smooth).max() < 6
    parts_agree(tmp_path / "a.tif", image)


@pytest.mark.parametrize("codec", ["group3", "group4", "tiff_ccitt"])
def test_faxes_are_black_and_white_as_pillow_sees_them(tmp_path: Path, codec: str) -> None:
    bits = np.kron(RNG.integers(0, 2, (3, 4)), np.ones((8, 8))).astype(bool)
    Image.fromarray(bits).save(tmp_path / "a.tif", compression=codec)
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels.astype(bool), bits)
    np.testing.assert_array_equal(read_class_numbers(tmp_path / "a.tif").pixels.astype(bool), bits)


def test_slides_of_aperio_in_ycbcr(tmp_path: Path) -> None:
    """Their compression says that the three samples are YCbCr, while the file calls them RGB."""
    picture = Image.fromarray(RGB).convert("YCbCr")
    about: dict[str, Any] = {"compression": "jpeg2000", "compressionargs": {"reversible": True}}
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.asarray(picture), photometric="rgb", **about)
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tif.pages[0].tags["Compression"].overwrite(33003)
    image = read_image(path)
    assert image.rgb
    np.testing.assert_array_equal(image.pixels, np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize(
    ("shape", "axes", "read", "rgb"),
    [
        ((2, 3, 24, 30), "ZCYX", "ZCYX", True),
        ((2, 24, 30, 3), "ZYXC", "ZYXC", True),
        ((3, 24, 30), "CYX", "CYX", True),
        ((3, 24, 30), "ZYX", "ZYX", False),
        ((4, 24, 30), "TYX", "TYX", False),
        ((5, 3, 24, 30), "TZYX", "TZYX", False),
    ],
)
@pytest.mark.filterwarnings("ignore")  # tifffile guesses colours where nobody states them
def test_axes_that_a_python_program_names_go_before_its_guess_of_colours(
    tmp_path: Path, shape: tuple[int, ...], axes: str, read: str, rgb: bool
) -> None:
    """Three or four planes of 8 bits become the samples of a colour, whatever axes are named."""
    pixels = RNG.integers(0, 256, shape, np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, metadata={"axes": axes})
    with tifffile.TiffFile(path) as tif:
        assert tif.pages[0].photometric == tifffile.PHOTOMETRIC.RGB
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, pixels)
    assert (image.axes, image.rgb, image.notes) == (read, rgb, ())
    stack = open_frames(path)
    assert (stack.axes, stack.shape) == (read, shape)
    np.testing.assert_array_equal(stack.frame(0)[...], pixels[(0,) * len(stack.leading)])


@pytest.mark.parametrize(("mode", "kind"), [("CMYK", "separated"), ("LAB", "cielab")])
def test_colours_in_planes_are_those_of_pixels(tmp_path: Path, mode: str, kind: str) -> None:
    samples = RNG.integers(0, 256, (24, 30, len(mode) if mode == "CMYK" else 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric=kind, planarconfig="contig")
    planes = np.moveaxis(samples, -1, 0)
    tifffile.imwrite(tmp_path / "b.tif", planes, photometric=kind, planarconfig="separate")
    one, other = read_image(tmp_path / "a.tif"), read_image(tmp_path / "b.tif")
    np.testing.assert_array_equal(np.moveaxis(other.pixels, 0, -1), one.pixels)
    assert (other.axes, other.rgb, other.notes) == ("CYX", True, ())


def test_a_palette_with_alpha(tmp_path: Path) -> None:
    picture = Image.fromarray(RGB).convert("PA")
    picture.save(tmp_path / "a.tif")
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels, np.asarray(picture.convert("RGB")))
    assert (image.axes, image.rgb, image.notes) == (
        "YXC",
        True,
        ("The alpha channel was dropped.",),
    )
    parts_agree(tmp_path / "a.tif", image)
    numbers = read_class_numbers(tmp_path / "a.tif")
    np.testing.assert_array_equal(numbers.pixels, np.asarray(picture)[..., 0])


def test_alpha_beside_white_that_is_0_is_not_turned(tmp_path: Path) -> None:
    both = RNG.integers(0, 256, (24, 30, 2), np.uint8)
    about: dict[str, Any] = {"planarconfig": "contig", "extrasamples": ["unassalpha"]}
    tifffile.imwrite(tmp_path / "a.tif", both, photometric="miniswhite", **about)
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels, 255 - both[..., 0])
    assert image.notes == ("The alpha channel was dropped.",)
    parts_agree(tmp_path / "a.tif", image)
