"""From scribbles to classes, step by step."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diffseg.core.clusters.class_head import DECAY, Examples
from napari_diffseg.core.clusters.correction import (
    CLAIM,
    N_ROUNDS,
    Clusters,
    Painted,
    _fit,
    empty_labels,
    learn,
    unclaimed,
)
from napari_diffseg.image.scribbles import read_scribbles
from napari_diffseg.params import SegmentationParams

UNTIDIED = SegmentationParams(min_region_size=0)


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
    return Clusters(base.model.head, base.model.hierarchy.at_most(n_labels))


@pytest.fixture
def learned(base):
    """Learn the classes of some scribbles, from the clusters that were found without them."""

    def learn_all(images, clusters=None):
        return last_of(learn(images, base.model.head, clusters, 0.5, 1.0))

    return learn_all


def labels_of(image, classes):
    """What the classes say of every pixel; the painted ones are given."""
    labels = empty_labels(image.ground.plane.shape, classes.numbers)
    painted = classes.painted(image.scribbles)
    for window in image.ground.windows:
        best = image.ground.best(window, classes.head, UNTIDIED, painted)
        labels[window] = np.array(classes.numbers)[best]
    return labels


def test_every_round_has_an_answer_for_every_leaf(base, ground, scribbles):
    rounds = list(learn([Painted(ground, scribbles)], base.model.head, None, 0.5, 1.0))
    assert len(rounds) == N_ROUNDS
    (window,) = ground.windows
    for classes in rounds:
        assert classes.numbers == (1, 4, 7)
        regions, answers = ground.answers(window, classes.head, 1.0)
        assert answers.shape == (len(regions.rows), 3)
        np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-2)
        assert answers.min() >= 0


def test_leaves_with_one_painted_class_have_it_for_certain(ground, scribbles, learned):
    classes = learned([Painted(ground, scribbles)])
    (window,) = ground.windows
    regions, answers = ground.answers(window, classes.head, 1.0, classes.painted(scribbles))
    counts = regions.painted(classes.painted(scribbles), 3)
    enough = counts.sum(axis=1) >= 0.2 * regions.graph.areas
    alone = (np.count_nonzero(counts, axis=1) == 1) & enough
    assert alone.sum() > 3
    np.testing.assert_allclose(answers[alone][counts[alone] > 0], 1)


def test_a_painted_area_says_what_a_stroke_says(ground, scene, learned):
    """Painting everything of a thing is allowed."""
    painted = np.where(scene.things == 0, 3, 0)
    painted[44:52, 28:36] = 8
    image = Painted(ground, scribbles_of(painted))
    labels = labels_of(image, learned([image]))
    assert (labels[scene.things == 0] == 3).mean() > 0.95
    assert (labels[scene.things == 1] == 8).mean() > 0.95


# --- what is around -------------------------------------------------------------------


def sides_of(scene):
    """One class on the left, another on the right: kinds that do not differ by themselves."""
    painted = np.zeros(scene.image.shape, np.uint8)
    painted[4::12] = painted[5::12] = painted[6::12] = np.where(np.arange(128) < 64, 1, 4)
    return scribbles_of(painted)


def test_a_wide_classifier_speaks_where_much_is_painted_and_not_explained(
    ground, scribbles, scene, learned
):
    assert learned([Painted(ground, scribbles)]).head.wide is None
    assert learned([Painted(ground, scribbles_of(scene.wanted))]).head.wide is None
    head = learned([Painted(ground, sides_of(scene))]).head
    assert 0 < head.share <= 0.5
    (window,) = ground.windows
    regions = ground.regions(window)
    near, wide = head.of_rows(regions.rows), head.wide.of_rows(regions.wide_rows)
    mixed = (1 - head.share) * near + head.share * wide
    np.testing.assert_allclose(regions.answers(head), mixed)


def test_clusters_that_nobody_painted_do_not_count_as_painted(base, ground, scene, learned):
    head = learned([Painted(ground, stroke_of(scene))], clusters_at(base)).head
    assert head.n_classes > 1
    assert head.wide is None


def test_kinds_that_differ_in_their_surroundings_are_told_apart(ground, base):
    (window,) = ground.windows
    regions = ground.regions(window)
    rng = np.random.default_rng(0)
    n = len(regions.rows)
    side = regions.wide_rows[:, regions.rows.shape[1] :]
    kind = (side[:, 0] > np.median(side[:, 0])).astype(int)
    counts = np.zeros((n, 2))
    told = rng.choice(n, n // 2, replace=False)
    counts[told, kind[told]] = 20
    painted = Examples.painted(regions.wide_rows[told], counts[told], 0.5)
    head = _fit(painted, [], None, DECAY, base.model.head, 0.5)
    right = [
        (found.argmax(axis=1) == kind).mean()
        for found in (head.of_rows(regions.rows), head.wide.of_rows(regions.wide_rows))
    ]
    assert right[1] > right[0]
    assert right[1] > 0.9


# --- clusters that no scribble claims ------------------------------------------------


def stroke_of(scene):
    return scribbles_of(np.where(scene.strokes == 4, 4, 0))


def found_of(clusters, ground):
    (window,) = ground.windows
    regions = ground.regions(window)
    return clusters.of(regions, 1.0)[regions.leaves]


def test_a_scribble_claims_the_cluster_that_it_lies_in(base, ground, scene):
    clusters, stroke = clusters_at(base), stroke_of(scene)
    free = unclaimed([Painted(ground, stroke)], clusters, 1.0)
    met = np.bincount(found_of(clusters, ground)[stroke.painted > 0])
    assert met.argmax() not in free


def test_free_clusters_come_by_falling_area(base, ground, scene):
    clusters = clusters_at(base)
    free = unclaimed([Painted(ground, stroke_of(scene))], clusters, 1.0)
    areas = np.bincount(found_of(clusters, ground).ravel(), minlength=base.params.n_clusters)[free]
    assert (areas > 0).all()
    assert (np.diff(areas) <= 0).all()
    assert len(np.unique(free)) == len(free)


def test_painting_over_everything_claims_every_large_cluster(base, ground):
    everything = scribbles_of(np.ones(ground.plane.shape, int))
    clusters = clusters_at(base)
    free = unclaimed([Painted(ground, everything)], clusters, 1.0)
    shares = np.bincount(found_of(clusters, ground).ravel()) / everything.painted.size
    assert not set(np.flatnonzero(shares > CLAIM)) & set(free.tolist())


def test_free_clusters_get_the_numbers_after_the_largest_painted(base, ground, scene, learned):
    image = Painted(ground, stroke_of(scene))
    clusters = clusters_at(base)
    free = unclaimed([image], clusters, 1.0)
    assert learned([image], clusters).numbers == (4, *range(5, 5 + len(free)))


def test_joined_clusters_are_one(base, ground, scene):
    for n_labels in (1, 2, 3):
        image = Painted(ground, stroke_of(scene))
        assert len(unclaimed([image], clusters_at(base, n_labels), 1.0)) <= n_labels - 1


# --- labels ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "dtype"), [((1, 255), np.uint8), ((256,), np.uint16), ((3, 65536), np.uint32)]
)
def test_labels_hold_their_numbers(numbers, dtype):
    labels = empty_labels((2, 3), numbers)
    assert labels.shape == (2, 3)
    assert labels.dtype == dtype
    assert not labels.any()


def test_small_pieces_join_their_neighbours(base, ground, scene):
    (window,) = ground.windows
    leaves = ground.regions(window).leaves
    own = np.unique(leaves[scene.wanted == 1], return_counts=True)
    speck = own[0][own[1] == own[1][own[1] < 20].max()][0]
    known = np.where((np.arange(leaves.max() + 1) == speck)[:, None], [0, 1], [1, 0])
    for min_size, n_left in ((0, (leaves == speck).sum()), (20, 0)):
        params = SegmentationParams(min_region_size=min_size)
        found = ground.best(window, base.model.head, params, known=known)
        assert (found == 1).sum() == n_left


# --- several images -----------------------------------------------------------------


def halves(ground, scene):
    """Scribbles of class 1 here, of the others on the reference."""
    here = scribbles_of(np.where(scene.strokes == 1, 1, 0))
    there = scribbles_of(np.where(scene.strokes > 1, scene.strokes, 0))
    return Painted(ground, here), Painted(ground, there)


def test_what_is_painted_on_a_reference_counts_here(ground, scene, learned):
    image, reference = halves(ground, scene)
    classes = learned([image, reference])
    assert classes.numbers == (1, 4, 7)
    assert (labels_of(image, classes) == scene.wanted).mean() > 0.9


def test_a_reference_alone_can_be_painted(ground, scene, scribbles, learned):
    image = Painted(ground, type(scribbles).empty(scene.image.shape))
    classes = learned([image, Painted(ground, scribbles)])
    assert (labels_of(image, classes) == scene.wanted).mean() > 0.9


def test_a_scribble_on_a_reference_claims_its_cluster(base, ground, scene, scribbles):
    image = Painted(ground, type(scribbles).empty(scene.image.shape))
    alone = unclaimed([image], clusters_at(base), 1.0)
    claimed = unclaimed([image, Painted(ground, scribbles)], clusters_at(base), 1.0)
    assert set(claimed) < set(alone)
