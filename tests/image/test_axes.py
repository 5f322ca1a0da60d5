from __future__ import annotations

import re

import dask
import dask.array as da
import numpy as np
import pytest
import torch

from napari_diffseg.errors import InputError
from napari_diffseg.image.axes import ImageAxes, as_array, channels_first, resolve_axes

GUESSES = [
    # shape, axes, rgb, n_channels
    ((64, 48), "YX", False, 1),
    ((1, 1), "YX", False, 1),
    ((1, 50), "YX", False, 1),
    ((50, 1), "YX", False, 1),
    ((3, 50), "YX", False, 1),
    ((64, 48, 3), "YXC", True, 3),
    ((64, 48, 4), "YXC", True, 3),
    ((1, 50, 3), "YXC", True, 3),
    ((1, 1, 3), "YXC", True, 3),
    ((64, 48, 1), "YXC", False, 1),
    ((64, 48, 2), "YXC", False, 2),
    ((64, 48, 10), "YXC", False, 10),
    ((3, 64, 48), "CYX", False, 3),
    ((5, 15, 15), "CYX", False, 5),
    ((64, 2, 48), "YCX", False, 2),
    ((1, 64, 48), "TYX", False, 1),
    ((1, 64, 48, 3), "TYXC", True, 3),
    ((1, 1, 64, 48), "TCYX", False, 1),
    ((1, 2, 64, 48), "TCYX", False, 2),
    ((1, 1, 1, 64, 48), "TCZYX", False, 1),
    ((1, 1, 2, 64, 48), "TZCYX", False, 2),
]


@pytest.mark.parametrize(("shape", "axes", "rgb", "n_channels"), GUESSES)
def test_axes_are_guessed_from_the_shape(shape, axes, rgb, n_channels):
    found = resolve_axes(shape)
    assert found == ImageAxes(axes, shape, guessed=True, rgb=rgb)
    assert found.n_channels == n_channels


@pytest.mark.parametrize(
    "shape",
    [
        (64, 64, 64),
        (11, 512, 512),  # more than 10 entries: channels or planes
        (5, 14, 14),  # not much shorter than the others
        (2, 3, 64, 48),
        (8, 64, 48, 3),
        (1, 1, 1, 1, 64, 48),
    ],
)
def test_what_cannot_be_guessed_has_to_be_stated(shape):
    with pytest.raises(InputError, match=r"axes"):
        resolve_axes(shape)


STATED = [
    # axes, shape, letters, rgb, n_channels, channel_axis
    ("YX", (64, 48), "YX", False, 1, None),
    ("xy", (64, 48), "XY", False, 1, None),
    (" yx ", (64, 48), "YX", False, 1, None),
    ("cyx", (3, 64, 48), "CYX", False, 3, 0),
    ("YCX", (64, 12, 48), "YCX", False, 12, 1),
    ("YXC", (64, 48, 4), "YXC", True, 3, 2),
    ("YXC", (64, 48, 3), "YXC", True, 3, 2),
    ("XYC", (64, 48, 3), "XYC", True, 3, 2),
    ("YXC", (64, 48, 5), "YXC", False, 5, 2),
    ("TYXC", (1, 64, 48, 3), "TYXC", True, 3, 3),
    ("YCX", (64, 3, 48), "YCX", False, 3, 1),
    ("YXS", (64, 48, 3), "YXC", True, 3, 2),
    ("YXS", (64, 48, 4), "YXC", True, 3, 2),
    ("SYX", (3, 64, 48), "CYX", True, 3, 0),
    ("YXS", (64, 48, 2), "YXC", False, 2, 2),
    ("CYX", (1, 64, 48), "CYX", False, 1, 0),
    ("ZYX", (1, 64, 48), "ZYX", False, 1, None),
    ("TCZYX", (1, 2, 1, 64, 48), "TCZYX", False, 2, 1),
    ("CYX", (64, 2, 48), "CYX", False, 64, 0),  # what is stated is believed
]


@pytest.mark.parametrize(("axes", "shape", "letters", "rgb", "n_channels", "channel_axis"), STATED)
def test_axes_are_stated(axes, shape, letters, rgb, n_channels, channel_axis):
    found = resolve_axes(shape, axes)
    assert found == ImageAxes(letters, shape, guessed=False, rgb=rgb)
    assert found.n_channels == n_channels
    assert found.channel_axis == channel_axis


@pytest.mark.parametrize(
    ("shape", "axes", "reason"),
    [
        ((64, 48), "YQ", "unknown letter 'Q'"),
        ((64, 48), "Y X", "unknown letter ' '"),
        ((64, 48, 3), "YXX", "X more than once"),
        ((2, 64, 48, 3), "CYXS", "S counts as C"),
        ((64, 48), "CYX", "name 3 axes, but the image has 2"),
        ((64, 48), "", "no Y"),
        ((64, 48), "YC", "no X"),
        ((64, 48), "CX", "no Y"),
        ((5, 64, 48), "TYX", "5 frames .T., where one is asked"),
        ((2, 5, 64, 48), "TZYX", "2 frames .T., where one is asked"),
        ((0, 48), None, "is empty"),
        ((64, 48, 0), "YXC", "is empty"),
        ((64,), None, "at least 2 axes"),
        ((), None, "at least 2 axes"),
    ],
)
def test_bad_axes_get_one_clear_sentence(shape, axes, reason):
    with pytest.raises(InputError, match=reason) as caught:
        resolve_axes(shape, axes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "axes", "rgb", "letters", "n_channels"),
    [
        ((64, 48, 3), None, False, None, None),
        ((30, 48, 3), None, False, "YXC", 3),
        ((30, 48, 4), None, False, "YXC", 4),
        ((30, 48, 4), None, True, "YXC", 3),
        ((30, 48, 4), "YXC", True, "YXC", 3),
        ((30, 48, 4), "YXS", False, "YXC", 4),
        ((4, 30, 48), "CYX", True, "CYX", 3),
    ],
)
def test_the_caller_may_know_whether_it_is_rgb(shape, axes, rgb, letters, n_channels):
    found = resolve_axes(shape, axes, rgb=rgb)
    assert found.rgb is rgb
    assert found.n_channels == (n_channels or 3)
    assert found.axes == (letters or "YXC")


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((64, 48), None), ((3, 64, 48), None), ((64, 48, 2), "YXC"), ((64, 48), "YX")],
)
def test_rgb_needs_3_or_4_channels(shape, axes):
    with pytest.raises(InputError, match="said to be RGB"):
        resolve_axes(shape, axes, rgb=True)


@pytest.mark.parametrize(
    ("shape", "axes", "words"),
    [
        ((512, 300), None, "Y 512 · X 300 · one channel"),
        ((300, 512), "XY", "Y 512 · X 300 · one channel"),
        ((512, 300, 3), None, "Y 512 · X 300 · 3 channels (RGB)"),
        ((512, 300, 4), None, "Y 512 · X 300 · 3 channels (RGB, alpha dropped)"),
        ((5, 512, 300), None, "Y 512 · X 300 · 5 channels"),
        ((1, 512, 300), "CYX", "Y 512 · X 300 · one channel"),
    ],
)
def test_axes_are_said_in_words(shape, axes, words):
    assert resolve_axes(shape, axes).describe() == words


@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        ("YX", (5, 7)),
        ("XY", (7, 5)),
        ("CYX", (2, 5, 7)),
        ("YCX", (5, 2, 7)),
        ("YXC", (5, 7, 2)),
        ("XYC", (7, 5, 2)),
        ("XCY", (7, 2, 5)),
        ("TCZYX", (1, 2, 1, 5, 7)),
        ("ZYXTC", (1, 5, 7, 1, 2)),
        ("YX", (5, 1)),
        ("YX", (1, 1)),
    ],
)
def test_any_order_becomes_channels_first(axes, shape):
    lengths = dict(zip(axes, shape, strict=True))
    array = np.arange(np.prod(shape)).reshape(shape)
    found = channels_first(array, resolve_axes(shape, axes))
    assert found.shape == (lengths.get("C", 1), lengths["Y"], lengths["X"])
    place = {"C": found.shape[0] - 1, "Y": found.shape[1] - 1, "X": 0}
    expected = array[tuple(place.get(letter, 0) for letter in axes)]
    assert found[place["C"], place["Y"], place["X"]] == expected


def test_alpha_is_dropped():
    image = np.arange(5 * 7 * 4, dtype=np.uint8).reshape(5, 7, 4)
    axes = resolve_axes(image.shape)
    assert axes.has_alpha
    np.testing.assert_array_equal(channels_first(image, axes), np.moveaxis(image[..., :3], -1, 0))


@pytest.mark.parametrize(
    "dtype", ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"]
)
def test_every_real_type_is_kept(dtype):
    image = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    found = channels_first(image, resolve_axes(image.shape))
    assert found.dtype == image.dtype
    np.testing.assert_array_equal(found[0], image)


def _read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


class _Lazy:
    """Like a zarr array: a shape and slices, nothing else; notes what was asked for."""

    def __init__(self, array):
        self._array = array
        self.shape = array.shape
        self.n_loaded = 0

    def __getitem__(self, index):
        part = self._array[index]
        self.n_loaded += part.size
        return part


@pytest.mark.parametrize(
    "wrap",
    [
        np.asarray,
        np.asfortranarray,
        _read_only,
        lambda array: np.repeat(np.repeat(array, 2, 0), 2, 1)[::2, ::2],
        lambda array: array[::-1, ::-1].copy()[::-1, ::-1],
        lambda array: array.astype(">u2"),
        lambda array: array.astype("<u2"),
        lambda array: da.from_array(array, chunks=(3, 4, 2)),
        _Lazy,
    ],
    ids=["plain", "fortran", "read-only", "strided", "reversed", "big", "little", "dask", "lazy"],
)
def test_every_kind_of_array_is_read_and_left_alone(wrap):
    values = np.arange(6 * 8 * 3, dtype=np.uint16).reshape(6, 8, 3)
    image = wrap(values.copy())
    found = channels_first(image, resolve_axes(image.shape))
    np.testing.assert_array_equal(found, np.moveaxis(values, -1, 0))
    assert type(found) is np.ndarray
    assert found.dtype.isnative
    np.testing.assert_array_equal(np.asarray(image[:]), values)


def test_of_a_lazy_array_only_what_is_needed_is_loaded():
    image = _Lazy(np.zeros((6, 8, 4)))
    channels_first(image, resolve_axes(image.shape))
    assert image.n_loaded == 6 * 8 * 3


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), dtype=complex),
        np.full((4, 4), None),
        np.full((4, 4), "a"),
        np.zeros((4, 4), dtype="M8[s]"),
        da.zeros((4, 4), dtype=complex),
    ],
    ids=["complex", "object", "text", "time", "dask complex"],
)
def test_pixels_must_be_real_numbers(image):
    with pytest.raises(InputError, match="real numbers"):
        channels_first(image, resolve_axes(image.shape))


def test_axes_of_another_image_are_refused():
    with pytest.raises(InputError, match="read for the shape"):
        channels_first(np.zeros((4, 5)), resolve_axes((5, 4)))


def test_an_array_that_does_not_know_its_shape():
    pixels = np.arange(600.0).reshape(20, 30)
    lazy = da.from_array(pixels)
    lazy = lazy[lazy[:, 0] > 100]
    with pytest.raises(InputError, match=r"chunks are of unknown sizes.*compute_chunk_sizes\(\)"):
        resolve_axes(lazy.shape)
    assert resolve_axes(lazy.compute_chunk_sizes().shape).shape == (16, 30)


@pytest.mark.parametrize(
    "shape", [(9, 17, 21), (4, 5, 30, 40), (5, 30, 40, 3), (6, 4, 30, 40), (5, 6, 1, 30, 40)]
)
def test_axes_that_are_given_as_an_example_can_be_stated(shape):
    with pytest.raises(InputError, match="cannot be guessed") as caught:
        resolve_axes(shape)
    examples = re.findall("'([TCZYX]+)'", str(caught.value))
    assert examples
    for example in examples:
        assert resolve_axes(shape, example).axes == example


def test_more_axes_than_can_be_stated_call_for_a_frame():
    with pytest.raises(InputError, match="give one frame of it"):
        resolve_axes((5, 6, 7, 30, 40))


@pytest.mark.parametrize("is_learned", [False, True])
def test_a_tensor_of_torch_is_an_array(is_learned: bool) -> None:
    pixels = np.arange(12, dtype=np.float32).reshape(3, 4)
    array = as_array(torch.from_numpy(pixels).requires_grad_(is_learned))
    assert array.dtype == np.float32
    assert np.array_equal(channels_first(array, resolve_axes(array.shape)), pixels[None])


def test_rows_of_different_lengths_are_no_image() -> None:
    with pytest.raises(InputError, match="rows of different lengths"):
        as_array([[1, 2], [3]])


def test_a_lazy_array_that_gives_less_than_it_says() -> None:
    plane = dask.delayed(np.zeros)((7, 6))
    lazy = da.from_delayed(plane, shape=(8, 6), dtype=float)
    with pytest.raises(InputError, match=r"its shape is \(8, 6\).* gives \(7, 6\)"):
        channels_first(lazy, resolve_axes(lazy.shape))
