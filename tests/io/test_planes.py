"""TIFF files of which not all planes are there, or in which two programs had their say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from napari_diffseg.errors import InputError
from napari_diffseg.io.frames import open_frames
from napari_diffseg.io.reading import read_image

PLANES = np.random.default_rng(0).integers(0, 256, (12, 20, 24), np.uint8)
UUID = "urn:uuid:11111111-1111-1111-1111-111111111111"
OTHER = "urn:uuid:2222222{}-2222-2222-2222-222222222222"


def ome_xml(data: str, order: str = "XYZCT", names: tuple[str, ...] = (), **sizes: int) -> str:
    size = {"C": 1, "Z": 1, "T": 1} | sizes
    named = [f' Name="{names[c]}"' if names else "" for c in range(size["C"])]
    channels = "".join(f'<Channel ID="C:{c}"{name}/>' for c, name in enumerate(named))
    lengths = " ".join(f'Size{letter}="{length}"' for letter, length in size.items())
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{UUID}">'
        f'<Image ID="I:0"><Pixels ID="P:0" DimensionOrder="{order}" Type="uint8" SizeX="24" '
        f'SizeY="20" {lengths} PhysicalSizeX="0.5" PhysicalSizeY="0.5" PhysicalSizeZ="2" '
        f'TimeIncrement="3">{channels}{data}</Pixels></Image></OME>'
    )


def one(ifd: int, **first: int) -> str:
    places = " ".join(f'First{axis}="{number}"' for axis, number in first.items())
    return f'<TiffData IFD="{ifd}" {places} PlaneCount="1"/>'


def away(name: str, number: int, **first: int) -> str:
    return one(0, **first).replace(
        "/>", f'><UUID FileName="{name}">{OTHER.format(number)}</UUID></TiffData>'
    )


def write(path: Path, planes: NDArray[Any], xml: str, second: str | None = None) -> Path:
    """Write pages with this OME-XML; a second description is that of another program."""
    with tifffile.TiffWriter(path) as writer:
        for i, plane in enumerate(planes):
            writer.write(
                plane,
                photometric="minisblack",
                contiguous=False,
                metadata=None,
                description=xml.encode() if i == 0 else None,
                extratags=[(271, "s", 0, second, True)] if second and i == 0 else [],
            )
    if second:  # tifffile writes one description only: the tag Make becomes the second one
        content = bytearray(path.read_bytes())
        start = int.from_bytes(content[4:8], "little")
        for tag in range(int.from_bytes(content[start : start + 2], "little")):
            at = start + 2 + 12 * tag
            if content[at : at + 2] == (271).to_bytes(2, "little"):
                content[at : at + 2] = (270).to_bytes(2, "little")
        path.write_bytes(content)
    return path


def test_ome_and_imagej_in_one_file(tmp_path: Path) -> None:
    text = "ImageJ=1.52a\nimages=2\nchannels=2\nslices=1\nframes=1\nhyperstack=true\n"
    data = '<TiffData IFD="0" PlaneCount="2"/>'
    path = write(tmp_path / "mm.ome.tif", PLANES[:2], ome_xml(data, C=2), text)
    image = read_image(path)
    assert (image.axes, image.notes) == ("CYX", ())
    np.testing.assert_array_equal(image.pixels, PLANES[:2])


def test_a_whole_list_of_planes_is_whole_though_the_chain_of_pages_is_not(tmp_path: Path) -> None:
    data = '<TiffData IFD="0" PlaneCount="2"/>'
    path = write(tmp_path / "a.ome.tif", PLANES[:2], ome_xml(data, C=2))
    with tifffile.TiffFile(path) as tif:
        last = tif.pages[-1].offset
    content = bytearray(path.read_bytes())
    n_tags = int.from_bytes(content[last : last + 2], "little")
    end = last + 2 + 12 * n_tags
    content[end : end + 4] = (len(content) + 8).to_bytes(4, "little")
    path.write_bytes(content)
    np.testing.assert_array_equal(read_image(path).pixels, PLANES[:2])


CASES = [
    pytest.param(
        {"T": 6}, [one(i, T=i) for i in range(4)], 4, "TYX", [0, 1, 2, 3], r"4 of the 6.*0 to 3",
        id="stopped in time",
    ),
    pytest.param(
        {"Z": 6}, [one(i, Z=i) for i in range(5)], 5, "ZYX", [0, 1, 2, 3, 4], r"5 of the 6.*0 to 4",
        id="stopped in depth",
    ),
    pytest.param(
        {"Z": 6}, [one(i, Z=z) for i, z in enumerate((0, 2, 3, 4))], 4, "ZYX", [1, 2, 3],
        r"planes \(Z\) 2 to 4", id="a hole in depth",
    ),
    pytest.param(
        {"T": 6}, [one(i, T=t) for i, t in enumerate((0, 1, 4))], 3, "TYX", [0, 1, 2],
        r"time points \(T\) 0 to 1, 4", id="a hole in time",
    ),
    pytest.param(
        {"T": 3, "Z": 3}, [one(i, T=i // 3, Z=i % 3) for i in range(7)], 7, "TZYX", range(6),
        r"7 of the 9.*\(T\) 0 to 1", id="stopped within a time point",
    ),
    pytest.param(
        {"C": 3}, [one(i, C=c) for i, c in enumerate((0, 2))], 2, "CYX", [0, 1],
        r"channels \(C\) 0, 2", id="a channel is missing",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("sizes", "data", "n", "axes", "kept", "match"), CASES)
def test_what_is_there_of_an_incomplete_set(
    tmp_path: Path, sizes: dict[str, int], data: list[str], n: int, axes: str, kept: Any, match: str
) -> None:
    path = write(tmp_path / "a.ome.tif", PLANES[:n], ome_xml("".join(data), **sizes))
    image, stack = read_image(path), open_frames(path)
    assert image.axes == stack.axes == axes
    pixels = np.asarray(image.pixels)
    np.testing.assert_array_equal(pixels.reshape(-1, 20, 24), PLANES[list(kept)])
    (note,) = image.notes
    assert stack.notes == image.notes
    assert re.search(match, note)
    frames = [np.asarray(stack.frame(i)) for i in range(stack.n_frames)]
    np.testing.assert_array_equal(np.stack(frames).reshape(pixels.shape), pixels)


def test_sizes_of_what_is_there(tmp_path: Path) -> None:
    data = "".join(one(i, C=c) for i, c in enumerate((0, 2)))
    path = write(tmp_path / "c.ome.tif", PLANES[:2], ome_xml(data, names=("a", "b", "c"), C=3))
    assert open_frames(path).channel_names == ("a", "c")
    for times, step in (((0, 1), 3.0), ((0, 2), None)):
        data = "".join(one(i, T=t) for i, t in enumerate(times))
        path = write(tmp_path / f"{times}.ome.tif", PLANES[:2], ome_xml(data, T=4))
        assert open_frames(path).t_step == step


def test_a_file_of_a_set_names_those_that_are_missing(tmp_path: Path) -> None:
    data = away("t0.ome.tif", 0, T=0) + one(0, T=1) + away("t2.ome.tif", 2, T=2)
    path = write(tmp_path / "renamed.ome.tif", PLANES[:1], ome_xml(data, T=3))
    image = read_image(path)
    assert image.axes == "YX"
    np.testing.assert_array_equal(image.pixels, PLANES[0])
    (note,) = image.notes
    assert "renamed.ome.tif holds 1 of the 3 planes" in note
    assert "not beside it: t0.ome.tif, t2.ome.tif" in note
    assert "time points (T) 1" in note


def test_a_set_of_files_is_read_with_those_that_are_there(tmp_path: Path) -> None:
    names = [f"t{i}.ome.tif" for i in range(3)]
    for number, name in enumerate(names):
        data = "".join(away(names[i], i, T=i) for i in range(3))
        xml = ome_xml(data, T=3).replace(UUID, OTHER.format(number))
        write(tmp_path / name, PLANES[number : number + 1], xml)
    whole = read_image(tmp_path / "t1.ome.tif")
    assert whole.notes == ()
    np.testing.assert_array_equal(whole.pixels, PLANES[:3])
    (tmp_path / "t0.ome.tif").unlink()
    rest = read_image(tmp_path / "t1.ome.tif")
    np.testing.assert_array_equal(rest.pixels, PLANES[1:3])
    assert "not beside it: t0.ome.tif)" in rest.notes[0]


def test_planes_without_any_order_are_refused(tmp_path: Path) -> None:
    data = "".join(one(i, T=i, Z=i) for i in range(3))
    path = write(tmp_path / "a.ome.tif", PLANES[:3], ome_xml(data, T=3, Z=3))
    with pytest.raises(InputError, match=r"holds 3 of the 9 planes .* of no time point"):
        read_image(path)


def test_an_imagej_stack_that_was_stopped(tmp_path: Path) -> None:
    path = tmp_path / "ij.tif"
    text = "ImageJ=1.53t\nimages=12\nchannels=2\nslices=1\nframes=6\nhyperstack=true\n"
    tifffile.imwrite(path, PLANES[:7], description=text, metadata=None, photometric="minisblack")
    image = read_image(path)
    assert image.axes == "TCYX"
    np.testing.assert_array_equal(image.pixels.reshape(6, 20, 24), PLANES[:6])
    assert "holds 7 of the 12 planes" in image.notes[0]
    assert "(T) 0 to 2" in image.notes[0]


def test_a_pyramid_of_which_planes_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "p.ome.tif"
    xml = ome_xml("".join(one(i, Z=i) for i in range(3)), Z=4)
    with tifffile.TiffWriter(path) as writer:
        for i, plane in enumerate(PLANES[:3]):
            about = {"metadata": None, "photometric": "minisblack", "contiguous": False}
            text = xml.encode() if i == 0 else None
            writer.write(plane, subifds=1, description=text, **about)
            writer.write(plane[::2, ::2], subfiletype=1, **about)
    half = read_image(path, level=1)
    np.testing.assert_array_equal(half.pixels, PLANES[:3, ::2, ::2])
    assert half.spacing == (2, 1, 1)


def test_a_file_whose_metadata_are_elsewhere_says_so(tmp_path: Path) -> None:
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'<BinaryOnly MetadataFile="all.companion.ome" UUID="{UUID}"/></OME>'
    )
    path = write(tmp_path / "part.ome.tif", PLANES[:1], xml)
    (note,) = read_image(path).notes
    assert "all.companion.ome describes, which is missing" in note


def test_one_of_several_images(tmp_path: Path) -> None:
    path = tmp_path / "two.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(PLANES[0], metadata={"axes": "YX", "name": "left"})
        writer.write(PLANES[1, :10], metadata={"axes": "YX"})
    first, second = read_image(path), read_image(path, series=1)
    np.testing.assert_array_equal(second.pixels, PLANES[1, :10])
    np.testing.assert_array_equal(open_frames(path, series=1).frame(0), PLANES[1, :10])
    assert "holds 2 images" in first.notes[0]
    assert "20 × 24" in first.notes[0]
    assert "image 1 was read; choose the series for another one." in second.notes[0]
    with pytest.raises(InputError, match=r"2 images .*image 2 is asked for"):
        read_image(path, series=2)
    single = tmp_path / "one.tif"
    tifffile.imwrite(single, PLANES[0])
    with pytest.raises(InputError, match="one image .*image 1 is asked for"):
        open_frames(single, series=1)


def test_sizes_are_those_of_the_image_that_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "two.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for size in (0.5, 0.25):
            about = {f"PhysicalSize{axis}": size for axis in "XY"}
            writer.write(PLANES[0], metadata={"axes": "YX"} | about)
    sizes = [read_image(path, series=series).pixel_size for series in range(2)]
    assert [size and (size.y, size.unit) for size in sizes] == [(0.5, "µm"), (0.25, "µm")]


def test_the_scale_of_a_slide(tmp_path: Path) -> None:
    path, slide = tmp_path / "a.svs", np.zeros((64, 64, 3), np.uint8)
    text = "Aperio Image Library v12.0\r\n64x64 (16x16) JPEG|AppMag = 20|MPP = 0.4990|Left = 25.6"
    with tifffile.TiffWriter(path) as writer:
        about = {"photometric": "rgb", "metadata": None}
        writer.write(slide, tile=(16, 16), description=text, **about)
        writer.write(slide[::4, ::4], description=text, **about)
        writer.write(slide[::2, ::2], tile=(16, 16), description=text, **about)
    full, half = read_image(path), read_image(path, level=1)
    assert full.pixel_size is not None
    assert half.pixel_size is not None
    assert (full.pixel_size.y, full.pixel_size.x, full.pixel_size.unit) == (0.499, 0.499, "µm")
    assert half.pixel_size.y == pytest.approx(0.998)
