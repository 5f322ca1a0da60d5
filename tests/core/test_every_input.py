"""Every kind of image a microscope makes: axes × data type × backing × preset, and odd ones."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_diffseg import InputError, SegmentationParams, segment
from tests.core.conftest import ONE_THREAD

SHAPES = {
    "YX": (17, 21),
    "XY": (21, 17),
    "CYX": (2, 17, 21),
    "YXC": (17, 21, 3),
    "YCX": (17, 2, 21),
    "ZYX": (5, 17, 21),
    "XYZ": (21, 17, 5),
    "CZYX": (2, 5, 17, 21),
    "ZYXC": (4, 17, 21, 3),
    "TCZYX": (1, 2, 3, 17, 21),
    "XCTZY": (21, 2, 1, 3, 17),
}
DTYPES = ("u1", ">u2", "i8", "f4", "f8 with holes", "bool")
BACKINGS = ("numpy", "read-only memory map", "dask", "zarr", "masked", "every second pixel")
PRESETS = {
    "default": SegmentationParams(n_clusters=4),
    "paper": SegmentationParams.paper(n_iterations=1, n_features=3, n_clusters=4),
}


def picture(shape, dtype):
    """A bright half on dark ground, with noise."""
    random = np.random.default_rng(0)
    values = random.random(shape)
    values[tuple(slice(max(length // 2, 1)) for length in shape)] += 2
    if dtype == "bool":
        return values > 1
    if dtype == "i8":
        # Steps that float32 cannot tell apart.
        return (2**40 + values * 1000).astype("i8")
    if dtype == "f8 with holes":
        values[(0,) * len(shape)] = np.nan
        values[(-1,) * len(shape)] = np.inf
        return values
    return (values * (80 if dtype == "u1" else 1000)).astype(dtype)


def backed(array, backing, folder):
    if backing == "read-only memory map":
        np.save(folder / "image.npy", array)
        return np.load(folder / "image.npy", mmap_mode="r")
    if backing == "dask":
        return da.from_array(array, chunks=tuple(max(length // 2, 1) for length in array.shape))
    if backing == "zarr":
        return zarr.array(array.astype(array.dtype.newbyteorder("=")))
    if backing == "masked":
        mask = np.zeros(array.shape, bool)
        mask[tuple(slice(1, 3) for _ in array.shape)] = True
        return np.ma.masked_array(array, mask)
    if backing == "every second pixel":
        return np.repeat(array, 2, axis=-1)[..., ::2]
    return array


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("backing", BACKINGS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axes", SHAPES)
def test_every_image_gets_its_labels(axes, dtype, backing, preset, tmp_path):
    array = picture(SHAPES[axes], dtype)
    image = backed(array, backing, tmp_path)
    before = np.array(array, copy=True)
    result = segment(
        image, axes=axes, spacing=(2, 1, 1), params=PRESETS[preset], options=ONE_THREAD
    )
    is_volume = "Z" in axes
    order = "ZYX" if is_volume else "YX"
    assert result.labels.shape == tuple(SHAPES[axes][axes.index(letter)] for letter in order)
    counted = np.isfinite(array) if array.dtype.kind == "f" else np.ones(array.shape, bool)
    if backing == "masked":
        counted &= ~image.mask
    others = tuple(at for at, letter in enumerate(axes) if letter not in order)
    left = [letter for letter in axes if letter in order]
    expected = counted.all(axis=others).transpose([left.index(letter) for letter in order])
    np.testing.assert_array_equal(result.labels > 0, expected)
    np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("shape", [(1, 2, 2), (2, 1, 3), (3, 3, 1), (2, 2), (1, 5), (3, 1)])
def test_images_smaller_than_the_network_sees(shape, preset):
    image = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    axes = "ZYX"[-len(shape) :]
    result = segment(
        image, axes=axes, spacing=(1, 1, 1), params=PRESETS[preset], options=ONE_THREAD
    )
    assert result.labels.all()


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("axes", ["CYX", "CZYX"])
def test_one_constant_channel_does_not_matter(axes, preset):
    image = picture(SHAPES[axes], "u2")
    image[1] = 7
    result = segment(
        image, axes=axes, spacing=(2, 1, 1), params=PRESETS[preset], options=ONE_THREAD
    )
    assert result.labels.all()


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
    image = picture((5, 17, 21), "u2")
    with pytest.raises(InputError, match="shape"):
        segment(image, axes="ZYX", scribbles=np.ones((17, 21), int))
