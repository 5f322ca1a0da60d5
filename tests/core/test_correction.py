"""From scribbles to classes, step by step."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diffseg.core.correction import (
    CLAIM,
    N_ROUNDS,
    Painted,
    empty_labels,
    label_windows,
    learn,
    tidy,
    unclaimed,
)
from napari_diffseg.images.scribbles import read_scribbles


def scribbles_of(painted):
    return read_scribbles(painted, painted.shape, None)


def last_of(rounds):
    *_, last = rounds
    return last


@pytest.fixture
def ground(base):
    return base.ground


@pytest.fixture
def scribbles(scene):
    return scribbles_of(scene.strokes)


def clusters_at(base, n_labels=0):
    return base.model.hierarchy.at_most(n_labels)


def test_every_round_has_an_answer_for_every_region(ground, scribbles):
    rounds = list(learn(Painted(ground, scribbles), None, 5.0))
    assert len(rounds) == N_ROUNDS
    for classes in rounds:
        assert classes.numbers == (1, 4, 7)
        assert classes.probabilities.shape == (len(ground.rows), 3)
        np.testing.assert_allclose(classes.probabilities.sum(axis=1), 1, atol=1e-3)
        assert classes.probabilities.min() >= -1e-6


def test_regions_with_one_painted_class_have_it_for_certain(ground, scribbles):
    classes = last_of(learn(Painted(ground, scribbles), None, 5.0))
    for index, number in enumerate(scribbles.classes):
        met = np.unique(ground.regions[scribbles.painted == number])
        alone = [
            region
            for region in met
            if set(scribbles.painted[ground.regions == region]) <= {0, number}
        ]
        np.testing.assert_allclose(classes.probabilities[alone, index], 1)


def test_the_pixels_have_probabilities_too(ground, scribbles):
    classes = last_of(learn(Painted(ground, scribbles), None, 5.0))
    (window,) = ground.windows
    pixels = classes.window(ground, window)
    assert pixels.shape == (3, *scribbles.painted.shape)
    np.testing.assert_allclose(pixels.sum(axis=0), 1, atol=1e-3)


def test_where_the_classifier_starts_from_changes_no_label(ground, scribbles, scene):
    cold = last_of(learn(Painted(ground, scribbles), None, 5.0))
    turned = scribbles_of(np.choose(scene.strokes % 5, [0, 4, 1, 0, 7]))  # other classes
    start = last_of(learn(Painted(ground, turned), None, 5.0)).head
    warm = last_of(learn(Painted(ground, scribbles), None, 5.0, start))
    found = []
    for classes in (cold, warm):
        labels = empty_labels(ground.plane.shape, classes.numbers)
        label_windows(ground, classes, ground.windows, labels)
        found.append(labels)
    assert (found[0] != found[1]).mean() < 1e-3


def test_a_start_with_another_number_of_classes_is_left(ground, scribbles, scene):
    two = scribbles_of(np.where(scene.strokes == 7, 0, scene.strokes))
    start = last_of(learn(Painted(ground, two), None, 5.0)).head
    cold = last_of(learn(Painted(ground, scribbles), None, 5.0))
    np.testing.assert_array_equal(
        last_of(learn(Painted(ground, scribbles), None, 5.0, start)).probabilities,
        cold.probabilities,
    )


def test_many_painted_pixels_say_what_some_of_them_say(ground, scene, base, options):
    """Painting everything of a thing is allowed, and costs no more than a long stroke."""
    painted = np.where(scene.things == 0, 3, 0)
    painted[44:52, 28:36] = 8
    classes = last_of(learn(Painted(ground, scribbles_of(painted)), None, 5.0))
    labels = empty_labels(painted.shape, classes.numbers)
    label_windows(ground, classes, ground.windows, labels)
    assert (labels[scene.things == 0] == 3).mean() > 0.95
    assert (labels[scene.things == 1] == 8).mean() > 0.95


# --- clusters that no scribble claims ------------------------------------------------


def test_a_scribble_claims_the_cluster_that_it_lies_in(base, ground, scene):
    clusters = clusters_at(base)
    stroke = scribbles_of(np.where(scene.strokes == 4, 4, 0))
    free, won = unclaimed(Painted(ground, stroke), clusters)
    assert won.shape == (len(ground.rows),)
    met = np.unique(ground.regions[stroke.painted > 0])
    assert (won[met] == -1).any()
    assert set(won) <= set(range(-1, len(free)))


def test_free_clusters_come_by_falling_area_and_each_has_won_some(base, ground, scene):
    stroke = scribbles_of(np.where(scene.strokes == 4, 4, 0))
    free, won = unclaimed(Painted(ground, stroke), clusters_at(base))
    areas = np.bincount(won[won >= 0], ground.graph.areas[won >= 0], minlength=len(free))
    assert (areas > 0).all()
    assert (np.diff(areas) <= 0).all()
    assert len(np.unique(free)) == len(free)


def test_painting_over_everything_claims_every_large_cluster(base, ground):
    everything = scribbles_of(np.ones(ground.plane.shape, int))
    free, _ = unclaimed(Painted(ground, everything), clusters_at(base))
    shares = (
        np.bincount(base.partition.clusters.ravel(), minlength=base.params.n_clusters)
        / everything.painted.size
    )
    assert not set(np.flatnonzero(shares > 2 * CLAIM)) & set(free.tolist())


def test_free_clusters_get_the_numbers_after_the_largest_painted(base, ground, scene):
    stroke = scribbles_of(np.where(scene.strokes == 4, 4, 0))
    clusters = clusters_at(base)
    free, _ = unclaimed(Painted(ground, stroke), clusters)
    classes = last_of(learn(Painted(ground, stroke), clusters, 5.0))
    assert classes.numbers == (4, *range(5, 5 + len(free)))


def test_joined_clusters_are_one(base, ground, scene):
    stroke = scribbles_of(np.where(scene.strokes == 4, 4, 0))
    for n_labels in (1, 2, 3):
        free, _ = unclaimed(Painted(ground, stroke), clusters_at(base, n_labels))
        assert len(free) < n_labels or n_labels == 1
        assert len(free) <= n_labels - 1


# --- labels ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "dtype"), [((1, 255), np.uint8), ((256,), np.uint16), ((3, 65536), np.uint32)]
)
def test_labels_hold_their_numbers(numbers, dtype):
    labels = empty_labels((2, 3), numbers)
    assert labels.shape == (2, 3)
    assert labels.dtype == dtype
    assert not labels.any()


def test_only_the_windows_that_are_asked_for_are_labelled(large_base, large_scene):
    ground = large_base.ground
    classes = last_of(learn(Painted(ground, scribbles_of(large_scene.strokes)), None, 5.0))
    labels = empty_labels(ground.plane.shape, classes.numbers)
    first = ground.windows[0]
    label_windows(ground, classes, [first], labels)
    assert labels[first].all()
    outside = np.ones(labels.shape, bool)
    outside[first] = False
    assert not labels[outside].any()


def test_small_pieces_join_and_painted_pixels_stay(ground):
    labels = np.ones(ground.plane.shape, np.uint8)
    labels[10, 10] = 4  # a speck that nobody painted
    labels[40:60, 40:60] = 4
    painted = np.zeros(labels.shape, int)
    painted[20, 20] = 4  # a speck that somebody did
    painted[50, 50] = 1
    tidied = tidy(labels, 20, ground, scribbles_of(painted))
    assert tidied[10, 10] == 1
    assert tidied[20, 20] == 4
    assert tidied[50, 50] == 1
    assert (tidied[40:60, 40:60] == 4).sum() == 399
    assert tidied.dtype == labels.dtype


# --- several images -----------------------------------------------------------------


def halves(ground, scene):
    """Scribbles of class 1 here, of the others on the reference."""
    here = scribbles_of(np.where(scene.strokes == 1, 1, 0))
    there = scribbles_of(np.where(scene.strokes > 1, scene.strokes, 0))
    return Painted(ground, here), Painted(ground, there)


def test_what_is_painted_on_a_reference_counts_here(ground, scene):
    image, reference = halves(ground, scene)
    classes = last_of(learn(image, None, 1.5, references=[reference]))
    assert classes.numbers == (1, 4, 7)
    labels = empty_labels(scene.image.shape, classes.numbers)
    label_windows(ground, classes, ground.windows, labels)
    assert (labels == scene.wanted).mean() > 0.9


def test_a_reference_alone_can_be_painted(ground, scene, scribbles):
    image = Painted(ground, type(scribbles).empty(scene.image.shape))
    classes = last_of(learn(image, None, 1.5, references=[Painted(ground, scribbles)]))
    labels = empty_labels(scene.image.shape, classes.numbers)
    label_windows(ground, classes, ground.windows, labels)
    assert (labels == scene.wanted).mean() > 0.9


def test_a_scribble_on_a_reference_claims_its_cluster(base, ground, scene, scribbles):
    image = Painted(ground, type(scribbles).empty(scene.image.shape))
    alone, _ = unclaimed(image, clusters_at(base))
    claimed, _ = unclaimed(image, clusters_at(base), [Painted(ground, scribbles)])
    assert set(claimed) < set(alone)
