from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from napari_diffseg.errors import InputError
from napari_diffseg.image.channels import Channel
from napari_diffseg.image.intensity import (
    IntensityRange,
    ScaledPixels,
    brightness_beside,
    finite_mask,
    measure_range,
)


def normalize(pixels, valid, ranges):
    """The whole image, scaled at once."""
    return ScaledPixels.measure(pixels, valid, ranges)[:, :, :]


def _image(*channels, dtype=np.float32):
    """Channels given as rows: c, 1, x."""
    return np.array(channels, dtype=dtype)[:, np.newaxis]


@pytest.mark.parametrize("dtype", ["?", "u1", "u4", "i8", "f2", "f4", "f8"])
def test_no_mask_where_every_pixel_is_finite(dtype):
    assert finite_mask(np.ones((2, 3, 4), dtype=dtype)) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_pixel_counts_where_all_its_channels_are_finite(bad):
    pixels = np.zeros((2, 3, 4))
    pixels[0, 0, 0] = pixels[1, 2, 3] = bad
    expected = np.ones((3, 4), dtype=bool)
    expected[0, 0] = expected[2, 3] = False
    np.testing.assert_array_equal(finite_mask(pixels), expected)


def test_percentiles_of_each_channel():
    ramp = np.arange(10_001, dtype=np.uint16).reshape(1, 73, 137)
    found = measure_range(np.concatenate([ramp, 2 * ramp]), None, "percentile")
    assert found.low == pytest.approx((10, 20))
    assert found.high == pytest.approx((9990, 19980))


def test_pixels_that_are_not_valid_do_not_count():
    pixels = _image([np.nan, 1, 2, 3, np.inf], [9, 1, 2, 3, 9])
    found = measure_range(pixels, finite_mask(pixels), "percentile")
    assert found == IntensityRange((1.0, 1.0), (3.0, 3.0))


def test_percentiles_of_a_large_image_come_from_a_sample(monkeypatch):
    monkeypatch.setattr("napari_diffseg.image.intensity._MOST_SAMPLES", 1024)
    sizes = []
    percentile = np.percentile

    def spy(values, *rest, **named):
        sizes.append(values.size)
        return percentile(values, *rest, **named)

    monkeypatch.setattr(np, "percentile", spy)
    # Each column of another value: a stride of 64 would see one column only.
    pixels = np.broadcast_to(np.arange(256.0), (1, 256, 256))
    found = measure_range(pixels, None, "percentile")
    assert found.low[0] <= 2
    assert found.high[0] >= 253
    assert max(sizes) <= 1100


def test_minimum_and_maximum_where_the_percentiles_coincide():
    pixels = np.full((1, 100, 100), 7, dtype=np.uint8)
    pixels[0, 5, 5] = 200
    assert measure_range(pixels, None, "percentile") == IntensityRange((7.0,), (200.0,))


@pytest.mark.parametrize("value", [0.0, 5.0, -3.0, 1e20])
def test_one_constant_channel_among_others_becomes_zero(value):
    pixels = _image([value] * 4, [1, 2, 3, 4], dtype=np.float64)
    found = measure_range(pixels, None, "percentile")
    assert found.low[0] == value
    assert found.high[0] > value
    if abs(value) < 1e10:
        assert found.high[0] == value + 1
    scaled = normalize(pixels, None, found)
    np.testing.assert_array_equal(scaled[0], 0)
    assert np.ptp(scaled[1]) == 1


@pytest.mark.parametrize("how", ["percentile", "dtype"])
@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.full((1, 4, 4), 5, dtype=np.uint8), "Every pixel has the value 5"),
        (np.full((1, 4, 4), 0.5), "Every pixel has the value 0.5"),
        (np.zeros((1, 4, 4), dtype=bool), "Every pixel has the value 0"),
        (np.full((1, 1, 1), 9, dtype=np.int32), "Every pixel has the value 9"),
        (_image([1, 1], [2, 2], [3, 3]), r"Every pixel has the same values \(1, 2, 3\)"),
        (_image([1, np.nan, 1]), "Every pixel has the value 1"),
        (_image([np.nan, np.nan]), "no finite pixel"),
        (_image([np.nan, 1], [2, np.inf]), "no finite pixel"),
    ],
)
def test_nothing_to_segment(pixels, words, how):
    with pytest.raises(InputError, match=words):
        measure_range(pixels, finite_mask(pixels), how)


@pytest.mark.parametrize(
    ("dtype", "values", "low", "high"),
    [
        ("?", [0, 1], 0, 1),
        ("u1", [3, 100], 0, 255),
        ("u2", [3, 100], 0, 65535),
        ("u4", [3, 100], 3, 100),  # wider than 16 bits: hardly ever filled
        ("i1", [3, 100], 0, 127),
        ("i2", [-5, 100], -5, 32767),
        ("i4", [3, 100], 3, 100),
        ("u8", [3, 100], 3, 100),
        ("i8", [-3, 100], -3, 100),
        ("f4", [0.25, 0.75], 0, 1),
        ("f8", [0, 1], 0, 1),
        ("f4", [0, 2], 0, 2),
        ("f4", [-0.5, 0.5], -0.5, 0.5),
        ("f2", [10, 20], 10, 20),
    ],
)
def test_range_of_the_data_type(dtype, values, low, high):
    pixels = _image(values, dtype=dtype)
    assert measure_range(pixels, None, "dtype") == IntensityRange((low,), (high,))


def test_range_of_the_data_type_is_one_for_all_channels():
    pixels = _image([10, 20, 20], [0, 5, 40], [7, 7, 7])
    assert measure_range(pixels, None, "dtype") == IntensityRange((0.0,) * 3, (40.0,) * 3)


def test_low_becomes_0_and_high_becomes_1_and_tails_stay_within_bounds():
    pixels = _image([-1e6, 5, 10, 15, 20, 25, 1e6])
    scaled = normalize(pixels, None, IntensityRange((10.0,), (20.0,)))
    np.testing.assert_allclose(scaled[0, 0], [-1, -0.5, 0, 0.5, 1, 1.5, 2])


def test_uint8_over_its_data_type_is_the_published_scaling():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    scaled = normalize(pixels, None, measure_range(pixels, None, "dtype"))
    np.testing.assert_array_equal(scaled, pixels.astype(np.float32) / np.float32(255))


def test_pixels_that_are_not_valid_get_the_mean_of_their_channel():
    pixels = _image([0, np.nan, 10, 5], [4, 8, np.inf, 0])
    scaled = normalize(pixels, finite_mask(pixels), IntensityRange((0.0, 0.0), (10.0, 8.0)))
    np.testing.assert_allclose(scaled[0, 0], [0, 0.25, 0.25, 0.5])
    np.testing.assert_allclose(scaled[1, 0], [0.5, 0.25, 0.25, 0])


@pytest.mark.parametrize("how", ["percentile", "dtype"])
@pytest.mark.parametrize("shape", [(1, 5, 7), (3, 5, 7), (2, 1, 40), (2, 40, 1), (1, 1, 2)])
@pytest.mark.parametrize("dtype", ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i8", "f2", "f4", "f8"])
def test_every_type_and_shape_is_scaled(dtype, shape, how):
    ramp = np.arange(np.prod(shape))
    pixels = (ramp % 2 if dtype == "?" else ramp).astype(dtype).reshape(shape)
    before = pixels.copy()
    scaled = normalize(pixels, None, measure_range(pixels, None, how))
    assert scaled.dtype == np.float32
    assert scaled.shape == shape
    assert scaled.flags.c_contiguous
    assert scaled.min() >= -1
    assert scaled.max() <= 2
    assert np.ptp(scaled) > 0
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize(
    "values",
    [
        np.array([2**31, 2**31 + 1, 2**31 + 2], dtype=np.uint32),
        np.array([1e9, 1e9 + 1, 1e9 + 2]),
        np.array([-1.7e308, 0, 1.7e308]),
        np.array([0, 5e-324, 1e-323]),
    ],
    ids=["large integers", "large offset", "widest range", "narrowest range"],
)
def test_extreme_values_keep_their_differences(values):
    pixels = values.reshape(1, 1, 3)
    scaled = normalize(pixels, None, measure_range(pixels, None, "percentile"))
    np.testing.assert_allclose(scaled[0, 0], [0, 0.5, 1])


def test_views_and_read_only_images_are_scaled():
    image = np.arange(6 * 8 * 2, dtype=np.uint8).reshape(6, 8, 2)
    image.flags.writeable = False
    pixels = np.moveaxis(image, -1, 0)[:, ::2, ::-1]
    found = measure_range(pixels, None, "percentile")
    np.testing.assert_array_equal(
        normalize(pixels, None, found), normalize(pixels.copy(), None, found)
    )


def test_an_image_of_many_blocks_is_scaled_like_a_small_one(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 4000, (2, 37, 11)).astype(np.uint16)
    ranges = IntensityRange((5.0, 7.0), (3000.0, 3500.0))
    whole = normalize(pixels, None, ranges)
    monkeypatch.setattr("napari_diffseg.image.intensity._BLOCK_PIXELS", 33)
    np.testing.assert_array_equal(normalize(pixels, None, ranges), whole)


def test_scaling_needs_little_memory_beyond_its_result():
    pixels = np.zeros((3, 1024, 1024), dtype=np.uint16)
    pixels[:, ::2] = 9
    tracemalloc.start()
    scaled = normalize(pixels, None, measure_range(pixels, None, "dtype"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.7 * scaled.nbytes


@pytest.mark.parametrize("masked", [False, True])
def test_a_window_is_scaled_like_the_whole(masked):
    pixels = np.random.default_rng(1).normal(50, 20, (3, 30, 40)).astype(np.float32)
    if masked:
        pixels[1, 4:9, 10:30] = np.nan
    scaled = ScaledPixels.measure(
        pixels, finite_mask(pixels), IntensityRange((0.0, 10.0, 20.0), (90.0, 80.0, 70.0))
    )
    whole = scaled[:, :, :]
    assert scaled.shape == whole.shape == pixels.shape
    assert np.isfinite(whole).all()
    for place in (np.s_[:, 3:12, 5:40], np.s_[1:, ::4, 1::3], np.s_[2:3, 29:, :1]):
        np.testing.assert_array_equal(scaled[place], whole[place])


@pytest.mark.parametrize(
    ("factor", "expected"),
    [(1, ""), (0.5, ""), (2, ""), (0.2, "darker"), (5, "brighter"), (0, "darker")],
)
def test_an_image_far_from_the_known_range_is_told(factor, expected):
    ramp = np.linspace(0, 1000, 64 * 64, dtype=np.float32).reshape(1, 64, 64)
    known = IntensityRange((0.0,), (1000.0,))
    assert brightness_beside(ramp * factor, known, [Channel(0)]) == expected
    # A range that a person has stated says nothing of the images of the training.
    assert brightness_beside(ramp * factor, known, [Channel(0, high=1000.0)]) == ""


def test_pixels_that_do_not_count_do_not_make_an_image_dark():
    pixels = np.full((1, 64, 64), 5.0, np.float32)
    pixels[0, :2] = 900
    pixels[0, 2:] = 0
    known = IntensityRange((0.0,), (1000.0,))
    pixels[0, 2:32], pixels[0, 32:] = np.nan, 0
    assert brightness_beside(pixels, known, [Channel(0)], fill=0) == ""
    assert brightness_beside(np.full_like(pixels, np.nan), known, [Channel(0)]) == ""
