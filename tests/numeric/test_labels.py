from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import label

from napari_diffseg.numeric.labels import (
    LabelNumbers,
    merge_small_regions,
    number_by_area,
    smallest_unsigned_dtype,
)


def _map(*rows):
    """A cluster map drawn as text; '.' is an invalid pixel."""
    letters = np.array([list(row) for row in rows])
    valid = letters != "."
    return np.where(valid, letters, "0").astype(np.int64), valid


@pytest.mark.parametrize(
    ("n", "dtype"),
    [(0, "u1"), (1, "u1"), (255, "u1"), (256, "u2"), (65535, "u2"), (65536, "u4"), (2**32, "u8")],
)
def test_smallest_unsigned_dtype(n, dtype):
    assert smallest_unsigned_dtype(n) == np.dtype(dtype)


def test_labels_count_from_1_by_falling_area():
    clusters, _ = _map("5522", "5552", "5507")
    labels, numbers = number_by_area(clusters, 8)
    np.testing.assert_array_equal(labels, _map("1122", "1112", "1134")[0])
    assert labels.dtype == np.uint8
    assert numbers.dtype == np.uint16
    # Clusters 0 and 7 have one pixel each: the smaller index first; the rest is not in use.
    np.testing.assert_array_equal(numbers, [3, 5, 2, 6, 7, 1, 8, 4])


def test_invalid_pixels_are_0_and_do_not_count():
    clusters, valid = _map("....1", "2211.", "22...")
    labels, numbers = number_by_area(clusters, 3, valid)
    np.testing.assert_array_equal(labels, _map("00002", "11220", "11000")[0])
    np.testing.assert_array_equal(numbers, [3, 2, 1])


def test_more_than_255_labels_need_16_bits():
    clusters = np.arange(300).reshape(20, 15)
    labels, _ = number_by_area(clusters, 1024)
    assert labels.dtype == np.uint16
    np.testing.assert_array_equal(labels, clusters + 1)
    # It is the labels in use that count, not the clusters there might be.
    assert number_by_area(clusters % 255, 1024)[0].dtype == np.uint8


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64])
def test_clusters_of_any_integer_type_are_numbered(dtype):
    clusters = np.array([[3, 3, 0]], dtype=dtype)
    clusters.flags.writeable = False
    np.testing.assert_array_equal(number_by_area(clusters, 4)[0], [[1, 1, 2]])


def test_numbers_stay_and_newcomers_follow():
    numbers = LabelNumbers(6)
    np.testing.assert_array_equal(numbers.number(np.array([[4, 4, 4, 2]])), [[1, 1, 1, 2]])
    # 2 is the largest now and 4 is gone: both keep their numbers; 5 and 0 are new.
    np.testing.assert_array_equal(
        numbers.number(np.array([[2, 2, 2, 2, 0, 5, 5]])), [[2, 2, 2, 2, 4, 3, 3]]
    )
    np.testing.assert_array_equal(numbers.number(np.array([[4, 0, 5, 2]])), [[1, 4, 3, 2]])


def test_the_first_numbers_are_those_by_area():
    clusters = np.random.default_rng(0).integers(0, 9, (30, 30))
    numbers = LabelNumbers(12)
    np.testing.assert_array_equal(numbers.number(clusters), number_by_area(clusters, 12)[0])


def test_only_valid_pixels_are_given_numbers():
    numbers = LabelNumbers(3)
    valid = np.array([[True, False, True]])
    np.testing.assert_array_equal(numbers.number(np.array([[1, 2, 1]]), valid), [[1, 0, 1]])
    np.testing.assert_array_equal(numbers.number(np.array([[1, 2]])), [[1, 2]])


def test_labels_keep_their_type_from_preview_to_preview():
    numbers = LabelNumbers(300)
    first = numbers.number(np.zeros((2, 2), dtype=np.int64))
    assert first.dtype == np.uint16
    assert numbers.number(np.arange(300).reshape(20, 15)).dtype == first.dtype


# min_size, before, after
MERGES = {
    "nothing is small": (2, ["1122", "1122"], ["1122", "1122"]),
    "the longest border wins": (
        3,
        ["11111", "12211", "33333", "33333"],
        ["11111", "11111", "33333", "33333"],
    ),
    "borders with several pieces of one cluster are not added up": (
        3,
        ["33333333", "11122111", "44414444", "44414444", "44414444"],
        ["33333333", "11133111", "44414444", "44414444", "44414444"],
    ),
    "on a tie the larger neighbour wins": (2, ["11152222"], ["11122222"]),
    "on a full tie the first neighbour wins": (2, ["1115222"], ["1111222"]),
    "pixels that touch at a corner are not connected": (
        2,
        ["211", "121", "112"],
        ["111", "111", "111"],
    ),
    "a chain ends in the large piece": (4, ["1111234"], ["1111111"]),
    "small pieces can make a large one": (3, ["1111.2233"], ["1111.2222"]),
    "two that are still small together go on": (
        5,
        ["11111", ".23..", ".23.."],
        ["11111", ".11..", ".11.."],
    ),
    "pieces that come to the same cluster count as one": (
        5,
        [".2322222", ".23.....", ".55555.."],
        [".2222222", ".22.....", ".55555.."],
    ),
    "a column": (2, ["1", "1", "2", "3", "3", "3"], ["1", "1", "3", "3", "3", "3"]),
    "a piece that is alone stays": (9, ["11", "11"], ["11", "11"]),
    "invalid pixels are nobody's neighbour": (
        3,
        ["2.11", "..11", "3.11"],
        ["2.11", "..11", "3.11"],
    ),
    "only invalid pixels": (3, ["..", ".."], ["..", ".."]),
    "one pixel": (50, ["1"], ["1"]),
}


@pytest.mark.parametrize(("min_size", "before", "after"), MERGES.values(), ids=MERGES.keys())
def test_small_pieces_join_a_neighbour(min_size, before, after):
    clusters, valid = _map(*before)
    expected, _ = _map(*after)
    merged = merge_small_regions(clusters, min_size, valid)
    np.testing.assert_array_equal(merged, expected)
    if valid.all():
        np.testing.assert_array_equal(merge_small_regions(clusters, min_size), expected)


@pytest.mark.parametrize("min_size", [0, 1])
def test_every_piece_is_kept_where_none_can_be_small(min_size):
    clusters, _ = _map("123", "321")
    merged = merge_small_regions(clusters, min_size)
    np.testing.assert_array_equal(merged, clusters)
    assert merged is not clusters


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_the_type_is_kept_and_the_input_left_alone(dtype):
    clusters = np.array([[1, 1, 0, 255 % 128]], dtype=dtype)[:, ::-1]
    clusters.flags.writeable = False
    before = clusters.copy()
    merged = merge_small_regions(clusters, 2)
    assert merged.dtype == dtype
    np.testing.assert_array_equal(merged, 1)
    np.testing.assert_array_equal(clusters, before)


@pytest.mark.parametrize("value", [-1, 7])
def test_invalid_pixels_keep_their_value(value):
    clusters = np.array([[1, 1, 1, 2, 5]])
    clusters[0, 4] = value
    valid = np.array([[True, True, True, True, False]])
    np.testing.assert_array_equal(merge_small_regions(clusters, 2, valid), [[1, 1, 1, 1, value]])


def _random_maps():
    rng = np.random.default_rng(0)
    yield "noise of 2", rng.integers(0, 2, (40, 50)), 12, None
    yield "noise of 48", rng.integers(0, 48, (40, 50)), 12, None
    yield "noise, all small", rng.integers(0, 48, (10, 10)), 1000, None
    yield "noise with invalid pixels", rng.integers(0, 6, (40, 50)), 12, rng.random((40, 50)) > 0.3
    yield "blocks and noise", np.kron(rng.integers(0, 5, (6, 6)), np.ones((8, 8), int)), 30, None
    yield "checkerboard", np.indices((20, 21)).sum(axis=0) % 2, 5, None
    yield "all different", np.arange(600).reshape(20, 30), 7, None
    yield "a line, all different", np.arange(300).reshape(1, 300), 50, None
    yield "a column of 2", rng.integers(0, 2, (300, 1)), 5, None


@pytest.mark.parametrize(
    ("clusters", "min_size", "valid"),
    [pytest.param(*case, id=name) for name, *case in _random_maps()],
)
def test_no_small_piece_with_a_neighbour_is_left(clusters, min_size, valid):
    valid = np.ones(clusters.shape, dtype=bool) if valid is None else valid
    merged = merge_small_regions(clusters, min_size, valid)

    def size_of_piece(values):
        pieces = label(np.where(valid, values, -1), background=-1, connectivity=1)
        return np.bincount(pieces.ravel())[pieces]

    # A piece may be small only where it fills its island of valid pixels.
    islands = label(valid, connectivity=1)
    alone = size_of_piece(merged) == np.bincount(islands.ravel())[islands]
    assert np.all((size_of_piece(merged) >= min_size) | alone | ~valid)
    # What was large, and what is not valid, is as it was.
    unchanged = (size_of_piece(clusters) >= min_size) | ~valid
    np.testing.assert_array_equal(merged[unchanged], clusters[unchanged])
    assert set(np.unique(merged[valid])) <= set(np.unique(clusters[valid]))


def test_merging_twice_changes_nothing_more():
    clusters = np.random.default_rng(1).integers(0, 4, (60, 60))
    once = merge_small_regions(clusters, 20)
    np.testing.assert_array_equal(merge_small_regions(once, 20), once)


@pytest.mark.parametrize("band", [1, 120, 400])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("n_clusters", [2, 5])
def test_a_large_image_is_tidied_up_and_numbered_like_a_small_one(
    monkeypatch, n_clusters, masked, band
):
    rng = np.random.default_rng(n_clusters)
    clusters = np.kron(rng.integers(0, n_clusters, (30, 20)), np.ones((2, 3), int))
    clusters[rng.random(clusters.shape) < 0.1] = 0
    valid = rng.random(clusters.shape) > 0.1 if masked else None
    merged = merge_small_regions(clusters, 15, valid)
    labels, numbers = number_by_area(clusters, n_clusters, valid)
    monkeypatch.setattr("napari_diffseg.numeric.labels._BAND_PIXELS", band)
    np.testing.assert_array_equal(merge_small_regions(clusters, 15, valid), merged)
    found = number_by_area(clusters, n_clusters, valid)
    np.testing.assert_array_equal(found[0], labels)
    np.testing.assert_array_equal(found[1], numbers)


@pytest.mark.parametrize("band", [1, 60, 1000])
def test_a_piece_that_winds_across_bands_is_one(monkeypatch, band):
    monkeypatch.setattr("napari_diffseg.numeric.labels._BAND_PIXELS", band)
    comb = np.zeros((12, 13), int)
    comb[:, ::2] = 1  # teeth that meet in the last row only
    comb[-1] = 1
    merged = merge_small_regions(comb, 30)
    np.testing.assert_array_equal(merged, 1)
