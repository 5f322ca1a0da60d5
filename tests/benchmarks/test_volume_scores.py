"""Scores of volumes: flicker, sides, walls, forests that know how far planes are apart."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.baselines.volumes import features_2d, features_3d, forest, kmeans, otsu
from benchmarks.datasets import class_iou
from benchmarks.volumes import (
    ALONE,
    AS_VOLUME,
    BY_PLANE,
    PAINTED,
    UNSUPERVISED,
    bar_rows,
    flicker,
    otsu_with_sides,
    scored_sides,
    sides,
)
from benchmarks.volumes_data import Volume, VoxelSize, inside_walls


def volume_of(instances: np.ndarray, pixels: np.ndarray | None = None, z: float = 1.0) -> Volume:
    """A volume whose foreground is every instance, as bright as its number if not given."""
    pixels = instances.astype(np.float32) if pixels is None else pixels
    voxels = VoxelSize((z, 1.0, 1.0), "µm", "a test")
    return Volume("test", pixels, instances, instances > 0, voxels, "all instances")


@pytest.fixture
def balls() -> Volume:
    """Two bright balls in noise."""
    z, y, x = np.mgrid[:12, :40, :48]
    instances = np.zeros(z.shape, np.uint8)
    instances[np.sqrt(4 * (z - 6.0) ** 2 + (y - 20) ** 2 + (x - 14) ** 2) < 10] = 1
    instances[np.sqrt(4 * (z - 6.0) ** 2 + (y - 20) ** 2 + (x - 36) ** 2) < 8] = 2
    noise = np.random.default_rng(0).normal(0, 10, z.shape)
    return volume_of(instances, (100 + 60 * (instances > 0) + noise).astype(np.uint16), z=2)


def test_only_changes_where_the_truth_stays_are_flicker() -> None:
    instances = np.array([[[1, 1, 1, 0]], [[1, 2, 1, 0]]])
    volume = volume_of(instances)
    assert flicker(np.array([[[5, 5, 5, 5]], [[5, 6, 5, 5]]]), volume) == 0
    assert flicker(np.array([[[5, 5, 5, 5]], [[5, 5, 6, 5]]]), volume) == pytest.approx(1 / 3)


def test_a_change_from_cell_to_wall_of_the_same_instance_is_no_flicker() -> None:
    volume = Volume(
        "test",
        np.zeros((2, 1, 2)),
        np.ones((2, 1, 2), int),
        np.array([[[True, True]], [[True, False]]]),
        VoxelSize((1, 1, 1), "µm", "a test"),
        "some",
    )
    assert flicker(np.array([[[1, 1]], [[1, 2]]]), volume) == 0


def test_labels_go_to_the_side_that_holds_most_of_them() -> None:
    labels = np.array([1, 1, 1, 2, 2, 2])
    foreground = np.array([1, 1, 0, 1, 0, 0], bool)
    np.testing.assert_array_equal(sides(labels, foreground), [2, 2, 2, 1, 1, 1])


def test_planes_on_their_own_have_sides_of_their_own() -> None:
    labels = np.array([[[1, 1, 2]], [[2, 2, 1]]])
    volume = volume_of(np.array([[[1, 1, 0]], [[1, 1, 0]]]))
    np.testing.assert_array_equal(scored_sides(ALONE, labels, volume), volume.truth)
    assert (scored_sides(BY_PLANE, labels, volume) != volume.truth).any()


def test_walls_are_as_thick_as_said_along_every_axis() -> None:
    instances = np.ones((9, 24, 6), int)
    instances[:, 12:] = 2
    foreground = inside_walls(instances, (3.0, 1.0, 1.0), 2.0)
    np.testing.assert_array_equal(np.flatnonzero(~foreground[4, :, 3]), range(9, 15))
    flat = np.ones((9, 6, 6), int)
    flat[5:] = 2
    foreground = inside_walls(flat, (3.0, 1.0, 1.0), 2.0)
    np.testing.assert_array_equal(np.flatnonzero(~foreground[:, 3, 3]), [4, 5])


def test_strokes_are_on_the_chosen_planes_alone(balls: Volume) -> None:
    painted = balls.painted(seed=0)
    assert set(np.flatnonzero(painted.any(axis=(1, 2)))) == set(balls.chosen_planes)
    on = painted > 0
    np.testing.assert_array_equal(painted[on], balls.truth[on])


@pytest.mark.parametrize("features", [features_2d, features_3d])
def test_a_forest_finds_what_is_bright(balls: Volume, features) -> None:
    labels = forest(balls, balls.painted(seed=0), features, 2)
    assert class_iou(labels, balls.truth, 2) > 0.6


def test_planes_that_are_far_apart_do_not_mix() -> None:
    pixels = np.zeros((3, 24, 24))
    pixels[1, 8:16, 8:16] = 100
    near, far = (volume_of(np.ones(pixels.shape, int), pixels, z) for z in (1.0, 40.0))
    smoothed = [
        features_3d(one, 4).reshape(*pixels.shape, -1)[0, 12, 12, 11] for one in (near, far)
    ]
    assert smoothed[0] > 0.1
    assert smoothed[1] == 0


def test_clusters_of_a_volume_have_its_shape(balls: Volume) -> None:
    for method in (otsu, kmeans):
        (labels,) = method(balls, [3])
        assert labels.shape == balls.pixels.shape


@pytest.mark.parametrize("dark", [False, True])
def test_otsu_takes_its_sides_from_the_strokes(balls: Volume, dark: bool) -> None:
    pixels = 255 - balls.pixels if dark else balls.pixels
    volume = volume_of(balls.instances, pixels, z=2)
    labels = otsu_with_sides(volume, volume.painted(seed=0))
    assert class_iou(labels, volume.truth, 2) > 0.9


def test_the_bar_names_the_best_of_the_others() -> None:
    def row(method: str, score: str, flickers: str) -> dict[str, str]:
        common = {"volume": "vol_gala", "method": method, "flicker": flickers}
        return {**common, "mean": score, "IoU, both sides": score}

    rows = [row(AS_VOLUME, "0.8", "0.1"), row(BY_PLANE, "0.7", "0.4"), row("Otsu", "0.75", "0.2")]
    for compared in bar_rows({UNSUPERVISED: rows, PAINTED: rows}):
        assert compared["best other"] == "0.75 (Otsu)"
        assert compared["flicker / that of plane by plane"] == "0.25"
    assert bar_rows({UNSUPERVISED: rows[1:], PAINTED: rows[1:]}) == []
