"""The statistics that scribbles are learned from: what they see, and how far."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diffseg.images.space import PLANE
from napari_diffseg.images.structure import structure_radius, structure_statistics

STRUCTURE_RADIUS = structure_radius(PLANE)[0]


def noise(shape, n_channels=1, seed=0):
    return np.random.default_rng(seed).random((n_channels, *shape)).astype(np.float32)


@pytest.mark.parametrize(("n_channels", "rgb"), [(1, False), (3, True), (3, False), (5, False)])
def test_every_pixel_has_finite_statistics_of_one_number(n_channels, rgb):
    statistics = structure_statistics(noise((40, 30), n_channels), rgb=rgb)
    assert statistics.dtype == np.float32
    assert statistics.shape[1:] == (40, 30)
    assert np.isfinite(statistics).all()
    other = structure_statistics(noise((9, 50), n_channels), rgb=rgb)
    assert len(other) == len(statistics)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 2)])
def test_tiny_windows(shape):
    statistics = structure_statistics(noise(shape), rgb=False)
    assert statistics.shape[1:] == shape
    assert np.isfinite(statistics).all()


def test_the_number_of_threads_changes_nothing():
    channels = noise((50, 60), 3)
    np.testing.assert_array_equal(
        structure_statistics(channels, rgb=True, threads=1),
        structure_statistics(channels, rgb=True, threads=4),
    )


def test_a_statistic_depends_on_no_pixel_beyond_the_radius():
    side = 2 * STRUCTURE_RADIUS + 21
    channels = noise((side, side), 3)
    whole = structure_statistics(channels, rgb=True)
    far = channels.copy()
    middle = slice(10, side - 10)
    far[:, :10] = 0
    far[:, :, side - 10 :] = 1
    changed = structure_statistics(far, rgb=True)
    core = slice(STRUCTURE_RADIUS + 10, side - STRUCTURE_RADIUS - 10)
    np.testing.assert_array_equal(changed[:, core, core], whole[:, core, core])
    assert not np.array_equal(changed[:, middle, middle], whole[:, middle, middle])


def test_a_window_with_the_radius_around_it_is_as_good_as_the_image():
    shape = (3 * STRUCTURE_RADIUS + 40, 2 * STRUCTURE_RADIUS + 20)
    channels = noise(shape)
    whole = structure_statistics(channels, rgb=False)
    top, height = STRUCTURE_RADIUS + 5, 20
    near = channels[:, top - STRUCTURE_RADIUS : top + height + STRUCTURE_RADIUS]
    part = structure_statistics(near, rgb=False)
    np.testing.assert_allclose(
        part[:, STRUCTURE_RADIUS : STRUCTURE_RADIUS + height],
        whole[:, top : top + height],
        atol=1e-5,
    )


def test_an_image_that_is_turned_has_its_statistics_turned():
    """None of them prefers a direction: a membrane is one whichever way it runs."""
    channels = noise((48, 37), 3)
    turned = np.ascontiguousarray(np.rot90(channels, axes=(1, 2)))
    np.testing.assert_allclose(
        structure_statistics(turned, rgb=True),
        np.rot90(structure_statistics(channels, rgb=True), axes=(1, 2)),
        atol=2e-5,
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_a_line_stands_out_from_a_step_and_from_plain_ground(sign):
    """Bright lines and dark ones, apart from the edge of something large."""
    image = np.full((1, 80, 120), 0.5, np.float32)
    image[:, :, 29:31] += np.float32(sign * 0.3)
    image[:, :, 90:] += np.float32(sign * 0.3)
    statistics = structure_statistics(image, rgb=False)[:, 40]
    spread = np.maximum(np.ptp(statistics, axis=1), 1e-6)
    line, step = statistics[:, 29:31].mean(axis=1), statistics[:, 85:95]
    ground = statistics[:, 58:62]
    apart = np.minimum(
        np.abs(line[:, None] - step).min(axis=1), np.abs(line[:, None] - ground).min(axis=1)
    )
    assert (apart / spread).max() > 0.3


def test_lines_are_told_dark_from_bright():
    image = np.full((1, 60, 90), 0.5, np.float32)
    image[:, :, 20:22] += 0.3
    image[:, :, 70:72] -= 0.3
    statistics = structure_statistics(image, rgb=False)[:, 30]
    apart = np.abs(statistics[:, 20:22].mean(axis=1) - statistics[:, 70:72].mean(axis=1))
    assert (apart / np.maximum(np.ptp(statistics, axis=1), 1e-6)).max() > 0.5


def test_texture_stands_out_from_flat_ground_of_the_same_mean():
    image = np.full((1, 96, 160), 0.5, np.float32)
    y, x = np.mgrid[:96, :80]
    image[:, :, 80:] += np.where((y + x) % 2, 0.2, -0.2).astype(np.float32)
    statistics = structure_statistics(image, rgb=False)
    left, right = statistics[:, 48, 10:30].mean(axis=1), statistics[:, 48, 130:150].mean(axis=1)
    spread = np.maximum(np.ptp(statistics.reshape(len(statistics), -1), axis=1), 1e-6)
    assert (np.abs(left - right) / spread).max() > 0.5


def test_of_colours_the_lightness_is_the_brightness():
    """The other two channels of RGB have no structure of their own, only means."""
    channels = noise((40, 40), 3)
    grey = channels.copy()
    grey[1:] = 0
    same = np.isclose(
        structure_statistics(channels, rgb=True), structure_statistics(grey, rgb=True)
    ).all(axis=(1, 2))
    assert 0 < same.sum() < len(same)
