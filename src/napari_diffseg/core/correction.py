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

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.core.class_head import DECAY, ClassHead, Examples, fit_head, together
from napari_diffseg.core.groundwork import Groundwork
from napari_diffseg.images.labels import look_up, merge_small_regions, smallest_unsigned_dtype
from napari_diffseg.images.regions import join_votes
from napari_diffseg.images.scribbles import Scribbles, classes_of
from napari_diffseg.images.space import Space
from napari_diffseg.images.windows import Window

N_ROUNDS = 3
"""How often the classifier is fitted."""

CLAIM = 0.25
"""A cluster is claimed by a scribble that has this share of its pixels there."""

MOST_PAINTED = 1000
"""Painted pixels of each class that are learned from; an even choice of them."""

_REGION_SHARE, _REGION_SHARE_ACROSS = 0.7, 0.3


def region_share(space: Space) -> np.float32:
    """Return the share of the region's answer in a pixel's.

    It is smaller where regions go across planes: they are larger beside what is thin in them.
    """
    return np.float32(_REGION_SHARE_ACROSS if space.is_dense else _REGION_SHARE)


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
        """Return the probabilities of the pixels of one window, ``k (z) y x``."""
        own = self.head.of_statistics(ground.statistics(window))
        spread = self.probabilities.astype(np.float32)[ground.regions[window]]
        share = region_share(ground.plane.space)
        mixed: NDArray[np.float32] = np.moveaxis(spread, -1, 0) * share
        mixed += (1 - share) * own
        return mixed


@dataclass(frozen=True, eq=False)
class Painted:
    """One image, and what is painted on it; perhaps nothing.

    Attributes
    ----------
    ground : Groundwork
    scribbles : Scribbles
    """

    ground: Groundwork
    scribbles: Scribbles

    @cached_property
    def pixels(self) -> Examples:
        """Painted pixels with their class numbers; an even choice of them."""
        places = [np.zeros((self.scribbles.painted.ndim, 0), np.intp)]
        numbers = [np.zeros(0, int)]
        for number in self.scribbles.classes:
            found = np.stack(np.nonzero(self.scribbles.painted == number))
            n_found = found.shape[1]
            chosen = np.linspace(0, n_found - 1, min(n_found, MOST_PAINTED)).astype(int)
            places.append(found[:, chosen])
            numbers.append(np.full(len(chosen), number))
        classes = np.concatenate(numbers)
        rows = self.ground.rows_at(np.concatenate(places, axis=1))
        return Examples(rows, classes, np.ones(len(classes)))

    def settle(self) -> None:
        """Compute what a reference is asked for in every round, and free the memory it took."""
        _ = self.pixels, self.ground.rows, self.ground.graph
        self.ground.forget_statistics()

    def given(self, classes: tuple[int, ...]) -> Integers:
        """Return the index of the class that most painted pixels of each region have; or −1."""
        where = self.scribbles.painted > 0
        regions = self.ground.regions
        n_regions, n_classes = int(regions.max()) + 1, len(classes)
        index = np.searchsorted(classes, self.scribbles.painted[where])
        pairs = regions[where].astype(np.int64) * n_classes + index
        counts = np.bincount(pairs, minlength=n_regions * n_classes).reshape(n_regions, n_classes)
        return np.where(counts.any(axis=1), counts.argmax(axis=1), -1)


def painted_classes(images: Iterable[Painted]) -> tuple[int, ...]:
    """Return the classes that are painted on any of some images, ascending."""
    return classes_of(one.scribbles for one in images)


def learn(
    image: Painted,
    clusters: Integers | None,
    weight: float,
    start: ClassHead | None = None,
    references: Sequence[Painted] = (),
) -> Iterator[ClassMap]:
    """Learn the classes of some scribbles, round by round.

    Parameters
    ----------
    image : Painted
        The image to label, and what was painted on it.
    clusters : ndarray of int, (q,), or None
        Which cluster stands for each cluster, where those that no scribble claims stay
        (see `unclaimed`); None where every pixel goes to a painted class.
    weight : float
        Of the scribble loss (ν).
    start : ClassHead, optional
        Classifier to start from; used where it has as many classes.
    references : sequence of Painted
        More images to learn from, their statistics scaled as those of the first.

    Yields
    ------
    ClassMap
        Of the image to label; one a round, `N_ROUNDS` in all.
    """
    images = (image, *references)
    numbers = painted_classes(images)
    given = []
    for one in images:
        given.append(one.given(numbers))
        if one is not image:
            one.settle()
    painted = together([one.pixels for one in images])
    # What is painted on several images says more, and needs to be held back less.
    decay = DECAY / max(sum(bool(one.scribbles.classes) for one in images), 1)
    painted = replace(painted, targets=np.searchsorted(numbers, painted.targets))
    ground = image.ground
    if clusters is not None:
        free, won = unclaimed(image, clusters, references)
        painted = together([painted, _won_rows(ground, won, len(numbers))])
        numbers += tuple(range(max(numbers) + 1, max(numbers) + 1 + len(free)))
    n_classes = len(numbers)
    examples = Examples.painted(painted.rows, painted.targets, weight)
    head = start if start is not None and start.n_classes == n_classes else None
    learned = examples
    for _ in range(N_ROUNDS):
        head = fit_head(learned, n_classes, ground.scaling, head, decay)
        answers = [
            one.ground.graph.spread(head.of_rows(one.ground.rows), known)
            for one, known in zip(images, given, strict=True)
        ]
        yield ClassMap(head, numbers, answers[0])
        own = [_own_labels(one.ground, a) for one, a in zip(images, answers, strict=True)]
        # Together they weigh as much as one image does alone.
        learned = together([examples, *(each.weighing(1 / len(own)) for each in own)])


def unclaimed(
    image: Painted, clusters: Integers, references: Sequence[Painted] = ()
) -> tuple[Integers, Integers]:
    """Find the clusters that no scribble claims, and the regions that each of them won.

    A scribble claims the cluster that most of its pixels lie in, and every other that has
    `CLAIM` of them; on the references too.

    Returns
    -------
    free : ndarray of int, (u,)
        Clusters, by falling area in the image.
    won : ndarray of int, (regions,)
        Of the image: place in `free` of the cluster that won the region's vote; −1 for a
        claimed one.
    """
    ground = image.ground
    elected = join_votes(ground.votes, clusters).argmax(axis=1)
    areas = np.bincount(elected, ground.graph.areas, minlength=len(clusters))
    for one in (image, *references):
        winners = join_votes(one.ground.votes, clusters).argmax(axis=1)
        for number in one.scribbles.classes:
            met = winners[one.ground.regions[one.scribbles.painted == number]]
            shares = np.bincount(met, minlength=len(clusters)) / len(met)
            areas[(shares >= CLAIM) | (shares == shares.max())] = 0
    free = np.argsort(-areas, kind="stable")[: np.count_nonzero(areas)]
    place = np.full(len(clusters), -1)
    place[free] = np.arange(len(free))
    return free, place[elected]


def label_windows(
    ground: Groundwork, classes: ClassMap, windows: Iterable[Window], labels: Labels
) -> None:
    """Write the label of every pixel of some windows into the labels."""
    numbers = np.array(classes.numbers, labels.dtype)
    for window in windows:
        if ground.plane.is_blank(window):
            continue
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


def empty_labels(shape: tuple[int, ...], numbers: tuple[int, ...]) -> Labels:
    """Return labels of 0 that can hold the numbers."""
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
