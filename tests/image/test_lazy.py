"""Several arrays as one, and parts of arrays: the same values as numpy, and nothing read ahead."""

from __future__ import annotations

import pickle

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_diffseg.image.axes import channels_first, resolve_axes
from napari_diffseg.image.lazy import (
    LazyPart,
    LazyStack,
    common_dtype,
    join_channels,
    part_of,
)

S = slice
INDICES = [
    ...,
    0,
    (S(None), 2),
    (1, 2, 2, 2),
    (S(1, None), S(0, 3), S(2, 5), S(None)),
    (..., 1),
    (0, ..., S(1, 3)),
    (S(None), -1, S(None, None, 2)),
    (S(None, None, -1), S(3, None, -2)),
    (S(2, 2),),
]


class Counted:
    """An array that knows how many of its values were read."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.n_read = 0

    def __getitem__(self, index):
        part = self.array[index]
        self.n_read += np.size(part)
        return part


def volume(seed=0, dtype=np.uint16, shape=(4, 6, 5)):
    return np.random.default_rng(seed).integers(0, 250, shape).astype(dtype)


@pytest.mark.parametrize(
    ("dtypes", "common"),
    [
        (("u1",), "u1"),
        (("u1", "u2"), "u2"),
        (("u1", "i1"), "i2"),
        (("u2", "f4"), "f4"),
        (("u1", "f2"), "f2"),
        (("u2", "f2"), "f4"),
        (("i4", "f4"), "f8"),
        (("u1", "u2", "f4"), "f4"),
        (("?", "u1"), "u1"),
        ((">u2", "u1"), "<u2"),
    ],
)
def test_the_common_data_type_keeps_every_value(dtypes, common):
    assert common_dtype(dtypes) == np.dtype(common)
    for dtype in map(np.dtype, dtypes):
        if dtype.kind in "iu":
            ends = np.array([np.iinfo(dtype).min, np.iinfo(dtype).max], dtype)
            assert np.array_equal(ends.astype(common), ends)


@pytest.mark.parametrize("index", INDICES)
def test_a_stack_is_what_numpy_makes_of_it(index):
    arrays = [volume(seed) for seed in range(3)]
    stack, whole = LazyStack(arrays), np.stack(arrays)
    assert (stack.shape, stack.dtype, stack.ndim) == (whole.shape, whole.dtype, 4)
    assert (stack.size, len(stack)) == (whole.size, len(whole))
    expected = whole[index]
    assert np.array_equal(stack[index], expected)
    assert np.shape(stack[index]) == expected.shape
    assert np.array_equal(np.asarray(stack), whole)


@pytest.mark.parametrize("index", INDICES)
def test_a_part_of_a_part_is_what_numpy_makes_of_it(index):
    whole = np.random.default_rng(0).integers(0, 9, (5, 6, 3, 7, 8))
    outer = (S(1, 4), S(None, None, 2), 1, S(6, None, -1))
    part, expected = LazyPart(whole, outer), whole[outer]
    assert (part.shape, part.dtype) == (expected.shape, expected.dtype)
    assert np.array_equal(part[index], expected[index])


def test_values_of_different_types_keep_their_numbers():
    arrays = [volume(0, np.uint8), volume(1, np.uint16) * 200, volume(2, np.float32) / 7]
    stack = LazyStack(arrays)
    assert stack.dtype == np.float32
    for channel, array in zip(np.asarray(stack), arrays, strict=True):
        assert np.array_equal(channel, array)


@pytest.mark.parametrize("kind", ["dask", "zarr", "numpy"])
def test_layers_of_any_kind_become_channels(kind, tmp_path):
    plain = [volume(0), volume(1)]
    if kind == "dask":
        arrays = [da.from_array(one, chunks=2) for one in plain]
    elif kind == "zarr":
        arrays = []
        for number, one in enumerate(plain):
            store = zarr.create_array(
                tmp_path / f"{number}.zarr", shape=one.shape, chunks=(2, 3, 5), dtype=one.dtype
            )
            store[:] = one
            arrays.append(store)
    else:
        arrays = plain
    joined = join_channels(arrays)
    axes = resolve_axes(joined.shape, "CZYX")
    window = (S(1, 3), S(2, 6), S(0, 4))
    read = channels_first(joined, axes, window, [1, 0])
    assert np.array_equal(read, np.stack(plain)[::-1, 1:3, 2:6, 0:4])


def test_only_what_is_asked_for_is_read():
    arrays = [Counted(volume(seed)) for seed in range(3)]
    stack = join_channels(arrays)
    part = part_of(stack, (S(None), 2, S(1, 4)))
    assert part.shape == (3, 3, 5)
    assert [one.n_read for one in arrays] == [0, 0, 0]
    part[2, 0]
    assert [one.n_read for one in arrays] == [0, 0, 5]


def test_a_single_array_stays_what_it_is():
    array = volume()
    assert join_channels([array]) is array


def test_a_part_of_what_is_in_memory_is_a_view_and_of_dask_a_plan():
    array = volume()
    assert np.shares_memory(part_of(array, (1,)), array)
    assert isinstance(part_of(da.from_array(array), (S(0, 2),)), da.Array)


def test_masked_pixels_stay_masked():
    masked = np.ma.masked_less(volume(0, np.float32), 50)
    stack = LazyStack([masked, volume(1, np.float32)])
    assert np.array_equal(np.ma.getmaskarray(stack[0]), masked.mask)
    assert np.array_equal(np.ma.getmaskarray(stack[...])[0], masked.mask)
    assert not np.ma.getmaskarray(stack[...])[1].any()


def test_numpy_is_given_the_type_and_the_copy_that_it_asks_for():
    array = volume()
    part = LazyPart(array, ())
    assert np.asarray(part, dtype=np.float32).dtype == np.float32
    copied = np.array(part, copy=True)
    copied[:] = 0
    assert array.any()


def test_a_stack_can_be_sent_to_another_process():
    stack = pickle.loads(pickle.dumps(LazyStack([volume(0), volume(1)])))
    assert np.array_equal(stack[1], volume(1))


@pytest.mark.parametrize("index", [(0,) * 5, (S(None),) * 5])
def test_too_many_places(index):
    with pytest.raises(IndexError):
        LazyStack([volume(0)])[index]


def test_a_place_beyond_the_end():
    with pytest.raises(IndexError):
        LazyPart(volume(), (S(0, 2), 1))[2]


def test_shapes_that_differ():
    with pytest.raises(ValueError, match="not of one"):
        LazyStack([volume(), volume(shape=(4, 6, 6))])
