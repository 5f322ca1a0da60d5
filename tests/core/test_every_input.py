"""Every kind of image a microscope makes: what holds the same pixels gets the same labels."""

from __future__ import annotations

from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_diffseg import InputError, SegmentationParams, segment
from tests.core.conftest import ONE_THREAD

PLAIN = {"YX": (19, 23), "CYX": (2, 19, 23), "ZYX": (5, 19, 23), "CZYX": (2, 4, 19, 23)}
"""The orders that the library itself works in, and a shape of each."""
ORDERS = {
    "YX": ("XY", "TYX", "YXT"),
    "CYX": ("YXC", "YCX", "XYC", "XTCY"),
    "ZYX": ("XYZ", "YZX", "ZXY", "TZYX"),
    "CZYX": ("ZYXC", "ZCYX", "XCZY", "TCZYX", "XCTZY"),
}
PRESETS = {
    "default": SegmentationParams(n_clusters=4),
    "paper": SegmentationParams.paper(n_iterations=2, n_features=3, n_clusters=4),
}
each_preset = pytest.mark.parametrize("preset", PRESETS)


def picture(axes):
    """Whole numbers from 0 to 127, which every type of data can hold: a bright block in noise."""
    random = np.random.default_rng(0)
    values = random.integers(0, 40, PLAIN[axes])
    values[..., 4:12, 5:15] += 80
    values.flat[:2] = 0, 127
    return values


def labels_of(image, axes, params):
    """Segment; what was given stays as it was."""
    before = np.array(image, copy=True)
    result = segment(image, axes=axes, spacing=(2, 1, 1), params=params, options=ONE_THREAD)
    np.testing.assert_array_equal(np.array(image), before)
    assert result.n_labels > 1
    return result.labels


@pytest.fixture(scope="module")
def plain():
    """Labels ``(z,) y x`` of the pictures as arrays in memory, by axes and preset."""
    known = {}

    def labels(axes, preset):
        if (axes, preset) not in known:
            known[axes, preset] = labels_of(picture(axes), axes, PRESETS[preset])
            assert known[axes, preset].min() == 1
        return known[axes, preset]

    return labels


def read_only_memory_map(array, folder):
    np.save(folder / "image.npy", array)
    return np.load(folder / "image.npy", mmap_mode="r")


BACKINGS = {
    "read-only memory map": read_only_memory_map,
    "dask": lambda array, _: da.from_array(array, chunks=tuple(-(-n // 2) for n in array.shape)),
    "zarr": lambda array, _: zarr.array(array, chunks=tuple(-(-n // 2) for n in array.shape)),
    "masked, nothing left out": lambda array, _: np.ma.masked_array(array, np.zeros(array.shape)),
    "list": lambda array, _: array.tolist(),
    "every second pixel": lambda array, _: np.repeat(array, 2, axis=-1)[..., ::2],
    "columns first": lambda array, _: np.asfortranarray(array),
    "backwards": lambda array, _: array[..., ::-1, ::-1].copy()[..., ::-1, ::-1],
}


@each_preset
@pytest.mark.parametrize("backing", BACKINGS)
def test_it_does_not_matter_what_holds_the_pixels(backing, preset, plain, tmp_path):
    for axes in PLAIN:
        image = BACKINGS[backing](picture(axes), tmp_path)
        np.testing.assert_array_equal(
            labels_of(image, axes, PRESETS[preset]), plain(axes, preset), axes
        )


@each_preset
@pytest.mark.parametrize("axes", PLAIN)
def test_it_does_not_matter_in_which_order_the_axes_come(axes, preset, plain):
    for order in ORDERS[axes]:
        whole = picture(axes) if "T" not in order else picture(axes)[None]
        letters = axes if "T" not in order else f"T{axes}"
        image = whole.transpose([letters.index(letter) for letter in order])
        np.testing.assert_array_equal(
            labels_of(image, order, PRESETS[preset]), plain(axes, preset), order
        )


@each_preset
@pytest.mark.parametrize("axes", ["YX", "CZYX"])
def test_it_does_not_matter_how_the_numbers_are_written(axes, preset):
    """The paper takes integers over the range of their type, so that it is not asked here."""
    params = replace(PRESETS[preset], intensity="percentile")
    expected = labels_of(picture(axes), axes, params)
    for dtype in ("i1", "u1", "<u2", ">u2", ">i4", "u8", "f2", "f4", ">f4", "<f8", ">f8"):
        image = picture(axes).astype(dtype)
        np.testing.assert_array_equal(labels_of(image, axes, params), expected, dtype)


@each_preset
@pytest.mark.parametrize("axes", ["YX", "CZYX"])
def test_it_does_not_matter_what_the_numbers_count(axes, preset):
    """The gain and the black level of a camera; the steps of the last are lost on float32."""
    params = replace(PRESETS[preset], intensity="percentile")
    expected = labels_of(picture(axes), axes, params)
    for dtype, gain, black in (
        ("u2", 256, 0),
        ("f4", 2**-7, 0),
        ("i1", 1, -64),
        ("f8", 2**-20, -3),
        ("i8", 1, 2**40),
    ):
        image = (picture(axes) * gain + black).astype(dtype)
        name = f"{dtype} {gain} {black}"
        np.testing.assert_array_equal(labels_of(image, axes, params), expected, name)


@pytest.mark.parametrize("axes", ["YX", "CZYX"])
def test_the_paper_takes_numbers_over_the_range_of_their_type(axes):
    image = picture(axes)
    expected = labels_of(image.astype("u1"), axes, PRESETS["paper"])
    for other in ((image * 257).astype("u2"), (image * 257).astype(">u2"), image / 255):
        np.testing.assert_array_equal(labels_of(other, axes, PRESETS["paper"]), expected)
    narrow = labels_of(image.astype("u2"), axes, PRESETS["paper"])
    assert not np.array_equal(narrow, expected)


@each_preset
@pytest.mark.parametrize("axes", ["YX", "CZYX"])
def test_yes_and_no_are_1_and_0(axes, preset):
    image = picture(axes) > 60
    expected = labels_of(image.astype("f4"), axes, PRESETS[preset])
    np.testing.assert_array_equal(labels_of(image, axes, PRESETS[preset]), expected)


@each_preset
@pytest.mark.parametrize("axes", PLAIN)
def test_holes_and_what_a_mask_leaves_out_get_no_label(axes, preset):
    image = picture(axes).astype("f8")
    hole = np.zeros(image.shape, bool)
    hole[(slice(1, 3),) * image.ndim] = True
    hole[..., -1, -1] = True
    holed = np.where(hole, np.nan, image)
    holed[..., -1, -1] = np.inf
    labels = labels_of(holed, axes, PRESETS[preset])
    # A pixel that one channel does not know has no label.
    left_out = hole.any(axis=0) if "C" in axes else hole
    np.testing.assert_array_equal(labels == 0, left_out)
    masked = np.ma.masked_array(picture(axes).astype("u2"), hole)
    np.testing.assert_array_equal(labels_of(masked, axes, PRESETS[preset]), labels)


@each_preset
@pytest.mark.parametrize("shape", [(1, 2, 2), (2, 1, 3), (3, 3, 1), (2, 2), (1, 5), (3, 1)])
def test_images_smaller_than_the_network_sees(shape, preset):
    image = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    axes = "ZYX"[-len(shape) :]
    result = segment(
        image, axes=axes, spacing=(1, 1, 1), params=PRESETS[preset], options=ONE_THREAD
    )
    # A volume of one plane is a plane.
    assert result.labels.shape == (shape[1:] if shape[0] == 1 < len(shape) - 1 else shape)
    assert result.labels.all()


@each_preset
@pytest.mark.parametrize("axes", ["CYX", "CZYX"])
def test_one_constant_channel_does_not_matter(axes, preset):
    image = picture(axes)
    image[1] = 7
    assert labels_of(image, axes, PRESETS[preset]).all()


@pytest.mark.parametrize(
    ("image", "axes", "rgb", "words"),
    [
        (np.ones((5, 17, 21)), "ZYX", None, "nothing to segment"),
        (np.full((5, 17, 21), np.nan), "ZYX", None, "finite"),
        (np.ones((2, 5, 17, 21)), "TZYX", None, "choose a frame"),
        (np.ones((9, 17, 21)), None, None, "cannot be guessed"),
        (np.ones((5, 17, 21)), "ZYX", True, "said to be RGB"),
        (np.ones((5, 17, 21, 5)), "ZYXC", True, "said to be RGB"),
        (np.ones((5, 0, 21)), "ZYX", None, "empty"),
        (np.ones((5, 17, 21), complex), "ZYX", None, "real numbers"),
    ],
)
def test_what_cannot_be_is_one_sentence(image, axes, rgb, words):
    with pytest.raises(InputError, match=words) as caught:
        segment(image, axes=axes, rgb=rgb)
    assert str(caught.value).count("\n") == 0


def test_ragged_scribbles_on_a_volume_are_one_sentence():
    with pytest.raises(InputError, match="shape"):
        segment(picture("ZYX"), axes="ZYX", scribbles=np.ones((17, 21), int))
