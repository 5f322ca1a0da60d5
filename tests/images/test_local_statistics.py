"""Local statistics: a window is what the whole is, and the mask keeps its secret."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diffseg.images.local_statistics import (
    MEAN_SCALES,
    LocalStatistics,
    deviation_scales,
    local_radius,
)
from napari_diffseg.images.space import PLANE

DEVIATION_SCALES = deviation_scales(PLANE)
RADIUS = local_radius(PLANE)[0]

SHAPE = (110, 120)
WHOLE = (slice(0, SHAPE[0]), slice(0, SHAPE[1]))
WINDOWS = [
    (slice(0, 5), slice(0, 7)),
    (slice(10, 43), slice(50, 99)),
    (slice(109, 110), slice(119, 120)),
    (slice(37, 101), slice(3, 117)),
    (slice(60, 61), slice(0, 120)),
]


def noise(n_channels):
    return np.random.default_rng(n_channels).random((n_channels, *SHAPE), dtype=np.float32)


def hole():
    valid = np.ones(SHAPE, bool)
    valid[20:60, 30:70] = False
    return valid


@pytest.mark.parametrize("valid", [None, hole()], ids=["all", "hole"])
@pytest.mark.parametrize(("n_channels", "rgb"), [(1, False), (2, False), (3, False), (3, True)])
def test_a_window_gives_what_the_whole_image_gives_to_the_bit(n_channels, rgb, valid):
    pixels = noise(n_channels)
    stage, statistics = LocalStatistics.measure(pixels, valid, [WHOLE], rgb=rgb)
    whole = stage.window(pixels, valid, WHOLE)
    np.testing.assert_array_equal(statistics[0], whole)
    for window in WINDOWS:
        part = stage.window(pixels, valid, window)
        np.testing.assert_array_equal(part, whole[:, *window])


@pytest.mark.parametrize(("n_channels", "rgb"), [(1, False), (2, False), (3, True), (5, False)])
def test_how_many_statistics_there_are(n_channels, rgb):
    windows = WINDOWS[1:2] * 3
    _, statistics = LocalStatistics.measure(noise(n_channels), None, windows, rgb=rgb)
    # The value and its means for each channel; the deviation is one for all.
    n = n_channels * (1 + len(MEAN_SCALES)) + len(DEVIATION_SCALES)
    assert statistics.shape == (3, n, 33, 49)
    assert statistics.dtype == np.float32


@pytest.mark.parametrize("valid", [None, hole()], ids=["all", "hole"])
def test_the_statistics_of_what_was_measured_have_the_mean_0_and_the_values_the_spread_1(valid):
    _, statistics = LocalStatistics.measure(noise(2), valid, [WHOLE], rgb=False)
    counted = statistics[0][:, np.ones(SHAPE, bool) if valid is None else valid]
    np.testing.assert_allclose(counted.mean(axis=1), 0, atol=1e-4)
    assert counted[:2].var(axis=1).mean() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("n_channels", "rgb"), [(1, False), (3, True)])
def test_what_hides_behind_the_mask_has_no_influence(n_channels, rgb):
    pixels, valid = noise(n_channels), hole()
    other = pixels.copy()
    other[:, ~valid] = 1.0
    stage, statistics = LocalStatistics.measure(pixels, valid, [WHOLE], rgb=rgb)
    other_stage, other_statistics = LocalStatistics.measure(other, valid, [WHOLE], rgb=rgb)
    assert stage == other_stage
    np.testing.assert_array_equal(statistics[0][:, valid], other_statistics[0][:, valid])


def test_a_mask_changes_nothing_far_away_from_it():
    pixels = noise(1)
    valid = np.ones(SHAPE, bool)
    valid[:20] = False
    stage, statistics = LocalStatistics.measure(pixels, None, [WHOLE], rgb=False)
    masked = stage.window(pixels, valid, WHOLE)
    far = slice(20 + RADIUS, None)
    np.testing.assert_allclose(masked[:, far], statistics[0][:, far], atol=1e-4)
    assert np.abs(masked[:, 20:30] - statistics[0][:, 20:30]).max() > 0.01


def test_a_constant_half_has_no_deviation_beside_a_mask():
    # A plain mean over the hole would see an edge there.
    pixels = np.full((1, *SHAPE), 0.4, dtype=np.float32)
    pixels[:, :, 60:] += 0.1 * noise(1)[:, :, 60:]
    valid = np.ones(SHAPE, bool)
    valid[30:80, :20] = False
    pixels[:, ~valid] = 0.9
    stage, _ = LocalStatistics.measure(pixels, valid, [WHOLE], rgb=False)
    deviations = stage.window(pixels, valid, WHOLE)[-len(DEVIATION_SCALES) :, :, :30]
    for deviation in deviations:
        assert np.ptp(deviation[valid[:, :30]]) < 0.02


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (1, 1), (2, 3)])
def test_thin_and_tiny_images(shape):
    pixels = np.random.default_rng(0).random((1, *shape), dtype=np.float32)
    whole = tuple(slice(0, length) for length in shape)
    _, statistics = LocalStatistics.measure(pixels, None, [whole], rgb=False)
    assert statistics.shape == (1, 6, *shape)
    assert np.isfinite(statistics).all()


def test_rgb_is_seen_as_colour_and_other_channels_by_themselves():
    pixels = noise(3)
    seen = {
        rgb: LocalStatistics.measure(pixels, None, [WHOLE], rgb=rgb)[1] for rgb in (False, True)
    }
    assert seen[True].shape == seen[False].shape
    assert not np.allclose(seen[True], seen[False], atol=0.1)
    gray = np.repeat(noise(1), 3, axis=0)
    _, lab = LocalStatistics.measure(gray, None, [WHOLE], rgb=True)
    assert np.abs(lab[0, 1:3]).max() < 0.01 < lab[0, 0].max(), "gray has no a and b"


def test_the_pixels_stay_as_they_were():
    pixels = noise(3)
    before = pixels.copy()
    LocalStatistics.measure(pixels, hole(), [WHOLE], rgb=True)
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("valid", [None, hole()], ids=["all", "hole"])
def test_the_number_of_threads_changes_nothing(valid):
    pixels = noise(3)
    one = LocalStatistics.measure(pixels, valid, WINDOWS[1:2], rgb=True)
    three = LocalStatistics.measure(pixels, valid, WINDOWS[1:2], rgb=True, threads=3)
    assert three[0] == one[0]
    np.testing.assert_array_equal(three[1], one[1])


@pytest.mark.parametrize("rgb", [False, True])
def test_the_colours_alone_are_the_first_statistics(rgb):
    pixels = noise(3)
    stage, _ = LocalStatistics.measure(pixels, None, [WHOLE], rgb=rgb)
    rows, columns = slice(5, 30), slice(7, 40)
    statistics = stage.window(pixels, None, (rows, columns))
    np.testing.assert_array_equal(stage.colors(pixels, (rows, columns)), statistics[:3])
