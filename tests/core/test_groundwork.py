"""What scribbles are learned from: the same however the image is gone through."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_diffseg import segment
from napari_diffseg.core import groundwork as groundwork_module
from napari_diffseg.core.groundwork import Groundwork


@pytest.fixture(scope="module")
def large(large_base):
    return large_base.ground


def test_the_windows_cover_the_image_once(large, large_scene):
    seen = np.zeros(large_scene.image.shape, int)
    for window in large.windows:
        seen[window] += 1
    assert len(large.windows) > 1
    assert (seen == 1).all()


def test_every_pixel_has_a_region_and_every_region_pixels(large, large_scene):
    regions = large.regions
    assert regions.shape == large_scene.image.shape
    areas = np.bincount(regions.ravel())
    assert areas.min() > 0
    np.testing.assert_array_equal(large.graph.areas, areas)
    assert len(large.rows) == len(areas)


def test_the_graph_has_every_border_of_the_image_also_across_blocks(large):
    regions = large.regions
    n_sides = (np.diff(regions, axis=0) != 0).sum() + (np.diff(regions, axis=1) != 0).sum()
    assert large.graph.border.sum() == n_sides
    seam = regions[:, 511], regions[:, 512]
    pairs = set(zip(large.graph.first.tolist(), large.graph.second.tolist(), strict=True))
    assert {(min(a, b), max(a, b)) for a, b in zip(*map(np.ndarray.tolist, seam), strict=True)} <= (
        pairs
    )


def test_the_rows_of_the_regions_are_their_mean_statistics_standardised(base):
    ground = base.ground
    (window,) = ground.windows
    statistics, regions = ground.statistics(window), ground.regions
    expected = ground.scaling.scale(statistics[:, regions == 5].mean(axis=1))
    np.testing.assert_allclose(ground.rows[5], expected, atol=1e-3)


def test_the_statistics_at_pixels_of_several_windows(large):
    places = np.array([[3, 599, 511, 512, 40], [690, 2, 512, 511, 40]])
    found = large.rows_at(places)
    for row, y, x in zip(found, *places, strict=True):
        window = next(
            (rows, columns)
            for rows, columns in large.windows
            if rows.start <= y < rows.stop and columns.start <= x < columns.stop
        )
        pixel = large.statistics(window)[:, y - window[0].start, x - window[1].start]
        np.testing.assert_allclose(row, large.scaling.scale(pixel), atol=1e-4)


def test_statistics_do_not_tell_of_the_block(large):
    """At a seam they go on as everywhere: no step that the image has not."""
    left, right = large.windows[0], large.windows[1]
    beside = np.concatenate(
        [large.statistics(left)[:, 20:60, -8:], large.statistics(right)[:, 20:60, :8]], axis=2
    )
    steps = np.abs(np.diff(beside, axis=2)).mean(axis=1)
    seam, others = steps[:, 7], np.delete(steps, 7, axis=1).max(axis=1)
    assert (seam <= 2 * others + 1e-5).all()


def test_statistics_that_are_not_kept_are_computed_anew_and_the_same(
    large_base, large_scene, options, monkeypatch
):
    kept = large_base.ground
    monkeypatch.setattr(groundwork_module, "_MOST_KEPT", 0)
    fresh = Groundwork(kept.network, kept.plane, rgb=False)
    window = kept.windows[0]
    assert kept.statistics(window) is kept.statistics(window)
    assert fresh.statistics(window) is not fresh.statistics(window)
    np.testing.assert_array_equal(fresh.statistics(window), kept.statistics(window))
    np.testing.assert_allclose(fresh.rows, kept.rows, atol=1e-6)


def test_the_scaling_of_another_image_is_used_where_it_is_given(base):
    ground = base.ground
    brighter = replace(ground.plane, pixels=ground.plane.pixels[:, :, :] * 2, known_inputs=None)
    own = Groundwork(ground.network, brighter, rgb=False)
    other = Groundwork(ground.network, brighter, rgb=False, like=ground)
    assert other.scaling is ground.scaling
    assert not np.allclose(own.scaling.means, ground.scaling.means)


def test_pixels_that_are_not_finite_do_not_count(scene, quick, options):
    image = scene.image.copy()
    image[:30] = np.nan
    ground = segment(image, axes="YX", params=quick, options=options).ground
    assert ground.graph.areas.sum() == np.isfinite(image).sum()
    assert np.isfinite(ground.rows).all()
    other = image.copy()
    other[:30] = np.inf
    again = segment(other, axes="YX", params=quick, options=options).ground
    np.testing.assert_array_equal(again.rows, ground.rows)
