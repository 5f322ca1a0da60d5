"""From scribbles to classes: the default's answer to what a person paints.

Stage by stage::

    painted pixels    each says its class
    classifier        fitted to the painted pixels, see `core.class_head`
    regions           its answers spread over the regions, see `images.region_graph`
    classifier        fitted anew, with the regions' own labels as targets beside the
                      painted ones: what the paper's similarity loss does for pixels
    regions           spread again; both a third time
    pixels            each mixes its region's answer with its own; a painted one is given

Clusters that no scribble claims can stay: then each is one more class, learned from the
regions that it has won.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.core.class_head import ClassHead, Examples, fit_head
from napari_diffseg.core.groundwork import Groundwork
from napari_diffseg.core.inference import Window
from napari_diffseg.images.labels import look_up, merge_small_regions, smallest_unsigned_dtype
from napari_diffseg.images.regions import join_votes
from napari_diffseg.images.scribbles import Scribbles

N_ROUNDS = 3
"""How often the classifier is fitted."""

CLAIM = 0.25
"""A cluster is claimed by a scribble that has this share of its pixels there."""

MOST_PAINTED = 1000
"""Painted pixels of each class that are learned from; an even choice of them."""

_REGION_SHARE = 0.7  # of the region's answer in a pixel's

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]
Labels = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, eq=False, slots=True)
class ClassMap:
    """Probability of every class in every region.

    Attributes
    ----------
    head : ClassHead
        The classifier of pixels.
    numbers : tuple of int, (k,)
        Label of each class: of a painted class its own.
    probabilities : ndarray, (regions, k)
    """

    head: ClassHead
    numbers: tuple[int, ...]
    probabilities: Floats

    def window(self, ground: Groundwork, window: Window) -> NDArray[np.float32]:
        """Return the probabilities of the pixels of one window, ``k y x``."""
        own = self.head.of_statistics(ground.statistics(window))
        spread = self.probabilities.astype(np.float32)[ground.regions[window]]
        mixed: NDArray[np.float32] = spread.transpose(2, 0, 1) * np.float32(_REGION_SHARE)
        mixed += np.float32(1 - _REGION_SHARE) * own
        return mixed


def spread_head(ground: Groundwork, head: ClassHead, numbers: tuple[int, ...]) -> ClassMap:
    """Use a classifier on an image without scribbles."""
    priors = head.of_rows(ground.rows)
    nothing = np.full(len(priors), -1)
    return ClassMap(head, numbers, ground.graph.spread(priors, nothing))


def learn(
    ground: Groundwork,
    scribbles: Scribbles,
    clusters: Integers | None,
    weight: float,
    start: ClassHead | None = None,
) -> Iterator[ClassMap]:
    """Learn the classes of some scribbles, round by round.

    Parameters
    ----------
    ground : Groundwork
        Of the image.
    scribbles : Scribbles
        What was painted on it.
    clusters : ndarray of int, (q,), or None
        Which cluster stands for each cluster, where those that no scribble claims stay
        (see `unclaimed`); None where every pixel goes to a painted class.
    weight : float
        Of the scribble loss (ν).
    start : ClassHead, optional
        Classifier to start from; used where it has as many classes.

    Yields
    ------
    ClassMap
        One a round, `N_ROUNDS` in all.
    """
    given = _given(ground.regions, scribbles)
    painted = _painted_rows(ground, scribbles)
    numbers = scribbles.classes
    if clusters is not None:
        free, won = unclaimed(ground, scribbles, clusters)
        painted = painted.and_also(_won_rows(ground, won, len(numbers)))
        numbers += tuple(range(max(numbers) + 1, max(numbers) + 1 + len(free)))
    n_classes = len(numbers)
    examples = Examples.painted(painted.rows, painted.targets, weight)
    head = start if start is not None and start.n_classes == n_classes else None
    learned = examples
    for _ in range(N_ROUNDS):
        head = fit_head(learned, n_classes, ground.scaling, head)
        answers = ground.graph.spread(head.of_rows(ground.rows), given)
        yield ClassMap(head, numbers, answers)
        learned = examples.and_also(_own_labels(ground, answers))


def unclaimed(
    ground: Groundwork, scribbles: Scribbles, clusters: Integers
) -> tuple[Integers, Integers]:
    """Find the clusters that no scribble claims, and the regions that each of them won.

    A scribble claims the cluster that most of its pixels lie in, and every other that has
    `CLAIM` of them.

    Returns
    -------
    free : ndarray of int, (u,)
        Clusters, by falling area.
    won : ndarray of int, (regions,)
        Place in `free` of the cluster that won the region's vote; −1 for a claimed one.
    """
    elected = join_votes(ground.votes, clusters).argmax(axis=1)
    areas = np.bincount(elected, ground.graph.areas, minlength=len(clusters))
    for number in scribbles.classes:
        met = elected[ground.regions[scribbles.painted == number]]
        shares = np.bincount(met, minlength=len(clusters)) / len(met)
        areas[(shares >= CLAIM) | (shares == shares.max())] = 0
    free = np.argsort(-areas, kind="stable")[: np.count_nonzero(areas)]
    place = np.full(len(clusters), -1)
    place[free] = np.arange(len(free))
    return free, place[elected]


def label_windows(
    ground: Groundwork, classes: ClassMap, windows: Iterable[Window], labels: Labels
) -> None:
    """Write the label of every pixel of some windows into the labels ``(y, x)``."""
    numbers = np.array(classes.numbers, labels.dtype)
    for window in windows:
        labels[window] = numbers[classes.window(ground, window).argmax(axis=0)]


def close_gaps(labels: Labels, classes: ClassMap, n_painted: int) -> ClassMap:
    """Number the classes that nobody painted anew, in place, so that those found follow on."""
    numbers = np.array(classes.numbers)
    found = np.isin(numbers, np.unique(labels))
    free = np.arange(len(numbers)) >= n_painted
    order = np.concatenate([np.flatnonzero(free & found), np.flatnonzero(free & ~found)])
    new = numbers.copy()
    new[order] = numbers[n_painted:]
    table = np.arange(numbers.max() + 1, dtype=labels.dtype)
    table[numbers] = new
    labels[...] = look_up(table, labels)
    return replace(classes, numbers=tuple(new.tolist()))


def stamp(labels: Labels, scribbles: Scribbles) -> None:
    """Give painted pixels their class, in place."""
    np.copyto(labels, scribbles.painted, where=scribbles.painted > 0, casting="same_kind")


def empty_labels(shape: tuple[int, int], numbers: tuple[int, ...]) -> Labels:
    """Return labels ``(y, x)`` of 0 that can hold the numbers."""
    return np.zeros(shape, smallest_unsigned_dtype(max(numbers)))


def tidy(
    labels: Labels, min_region_size: int, ground: Groundwork, scribbles: Scribbles | None
) -> Labels:
    """Merge small pieces; then painted pixels keep their class, and masked ones have none."""
    valid = ground.plane.valid
    tidied: Labels = merge_small_regions(labels, min_region_size, valid).astype(labels.dtype)
    if valid is not None:
        tidied[~valid] = 0
    if scribbles is not None:
        stamp(tidied, scribbles)
    return tidied


def _given(regions: Integers, scribbles: Scribbles) -> Integers:
    """Return the class index that most painted pixels of each region have; −1 without any."""
    where = scribbles.painted > 0
    n_regions, n_classes = int(regions.max()) + 1, len(scribbles.classes)
    index = np.searchsorted(scribbles.classes, scribbles.painted[where])
    pairs = regions[where].astype(np.int64) * n_classes + index
    counts = np.bincount(pairs, minlength=n_regions * n_classes).reshape(n_regions, n_classes)
    return np.where(counts.any(axis=1), counts.argmax(axis=1), -1)


def _painted_rows(ground: Groundwork, scribbles: Scribbles) -> Examples:
    places, targets = [], []
    for index, number in enumerate(scribbles.classes):
        y, x = np.nonzero(scribbles.painted == number)
        chosen = np.linspace(0, len(y) - 1, min(len(y), MOST_PAINTED)).astype(int)
        places.append(np.stack([y[chosen], x[chosen]]))
        targets.append(np.full(len(chosen), index))
    y, x = np.concatenate(places, axis=1)
    classes = np.concatenate(targets)
    return Examples(ground.rows_at((y, x)), classes, np.ones(len(classes)))


def _won_rows(ground: Groundwork, won: Integers, n_before: int) -> Examples:
    """Return the regions that the free clusters won, as examples of classes of their own."""
    free = won >= 0
    return Examples(ground.rows[free], won[free] + n_before, np.ones(int(free.sum())))


def _own_labels(ground: Groundwork, answers: Floats) -> Examples:
    """Return the regions with their own labels: a sure one counts more, and a large one."""
    best = np.partition(answers, -2, axis=1) if answers.shape[1] > 1 else answers
    margin = best[:, -1] - best[:, -2] if answers.shape[1] > 1 else np.ones(len(answers))
    areas = ground.graph.areas
    return Examples(ground.rows, answers.argmax(axis=1), margin * areas / areas.sum())
