"""The classifier of painted classes."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diffseg.core.clusters.class_head import Examples, fit_head, together


def two_groups(n_first=40, n_second=40, seed=0):
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.normal(-1, 0.5, (n_first, 2)), rng.normal(1, 0.5, (n_second, 2))])
    return rows, np.repeat([0, 1], [n_first, n_second])


def shown(rows, targets, weight, n_classes=2):
    return Examples.painted(rows, np.eye(n_classes)[targets], weight)


def fitted(rows, targets, n_classes=2, weight=5.0, start=None):
    return fit_head(shown(rows, targets, weight, n_classes), start)


def test_it_learns_what_it_is_shown():
    rows, targets = two_groups()
    head = fitted(rows, targets)
    probabilities = head.of_rows(rows)
    assert head.n_classes == 2
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (probabilities.argmax(axis=1) == targets).mean() > 0.95


def test_every_class_counts_alike_however_much_of_it_is_painted():
    rows, targets = two_groups(20, 2000)
    few = fitted(rows, targets)
    middle = few.of_rows(np.zeros((1, 2)))[0]
    assert middle[0] == pytest.approx(0.5, abs=0.15)
    examples = shown(rows, targets, 5.0)
    np.testing.assert_allclose(examples.weights @ examples.targets, 2.5)


def test_the_same_rows_painted_twice_say_the_same():
    rows, targets = two_groups()
    once, twice = fitted(rows, targets), fitted(np.tile(rows, (2, 1)), np.tile(targets, 2))
    np.testing.assert_allclose(once.of_rows(rows), twice.of_rows(rows), atol=1e-3)


def test_where_it_starts_does_not_matter():
    rows, targets = two_groups()
    cold = fitted(rows, targets)
    other_way = fitted(rows, 1 - targets)
    warm = fitted(rows, targets, start=other_way)
    np.testing.assert_allclose(warm.of_rows(rows), cold.of_rows(rows), atol=1e-3)
    assert warm.loss == pytest.approx(cold.loss, rel=1e-4)


def test_it_is_the_minimum():
    """Moved a little any way, the weights are no better."""
    rows, targets = two_groups()
    head = fitted(rows, targets)
    examples = shown(rows, targets, 5.0)

    def reached(weights):
        start = type(head)(weights, 0.0)
        probabilities = start.of_rows(rows)[np.arange(len(rows)), targets]
        return -(examples.weights * np.log(probabilities)).sum()

    rng = np.random.default_rng(0)
    surprise = reached(head.weights)
    assert surprise <= head.loss
    decay = head.loss - surprise
    for _ in range(20):
        moved = head.weights + rng.normal(0, 0.05, head.weights.shape)
        grown = (moved[:-1] ** 2).sum() / (head.weights[:-1] ** 2).sum()
        assert reached(moved) + decay * grown >= head.loss - 1e-6


def test_more_weight_follows_the_examples_more():
    rows, targets = two_groups()
    weak, strong = fitted(rows, targets, weight=0.1), fitted(rows, targets, weight=50.0)
    own = np.arange(len(rows)), targets
    assert strong.of_rows(rows)[own].mean() > weak.of_rows(rows)[own].mean()


def test_weight_0_says_nothing():
    rows, targets = two_groups()
    np.testing.assert_allclose(fitted(rows, targets, weight=0.0).of_rows(rows), 0.5, atol=1e-6)


def test_one_class_is_certain():
    rows, _ = two_groups()
    head = fitted(rows, np.zeros(len(rows), int), n_classes=1)
    np.testing.assert_array_equal(head.of_rows(rows), 1)


def test_a_class_without_examples_is_never_the_best():
    rows, targets = two_groups()
    assert set(fitted(rows, targets, n_classes=3).of_rows(rows).argmax(axis=1)) == {0, 1}


def test_one_row_of_each_class_is_enough():
    rows = np.array([[-1.0, 0.0], [1.0, 0.0]])
    head = fitted(rows, np.array([1, 0]))
    assert head.of_rows(rows).argmax(axis=1).tolist() == [1, 0]


def test_more_examples_are_joined():
    rows, targets = two_groups(5, 5)
    own = shown(rows, targets, 1.0)
    both = together([own, Examples(rows + 9, np.eye(2)[targets], np.full(10, 0.5))])
    assert len(both.rows) == len(both.targets) == len(both.weights) == 20
    np.testing.assert_array_equal(both.rows[10:], rows + 9)
    assert len(own.rows) == 10


def test_a_row_can_be_of_several_classes_in_part():
    rows = np.zeros((1, 2))
    head = fit_head(Examples(rows, np.array([[0.3, 0.7]]), np.ones(1)), decay=0.0)
    np.testing.assert_allclose(head.of_rows(rows), [[0.3, 0.7]], atol=1e-2)


def test_rows_far_away_have_finite_answers():
    rows, targets = two_groups()
    far = fitted(rows, targets).of_rows(np.array([[1e6, -1e6], [1e6, 1e6]]))
    assert np.isfinite(far).all()
