"""From scribbles to classes: the default's answer to what a person paints.

Stage by stage::

    painted pixels    each says the class of its leaf (`numeric.leaves`)
    classifier        fitted to the painted leaves, see `core.class_head`
    leaves            its answers spread over the leaves, see `numeric.region_graph`
    classifier        fitted anew, with the leaves' own labels as targets beside the painted
                      ones: what the paper's similarity loss does for pixels
    leaves            spread again; both a third time

Clusters that no scribble claims can stay: then each is one more class, learned from the
leaves that it has won.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from napari_diffseg.core.clusters.class_head import (
    DECAY,
    ClassHead,
    Examples,
    fit_head,
    mean_surprise,
    together,
)
from napari_diffseg.core.clusters.groundwork import Groundwork
from napari_diffseg.core.features.region_map import RegionMap
from napari_diffseg.image.arrays import Floats, Integers, Labels
from napari_diffseg.image.scribbles import Scribbles, classes_of
from napari_diffseg.image.windows import inside
from napari_diffseg.numeric.labels import look_up, smallest_unsigned_dtype

N_ROUNDS = 3
"""How often the classifier is fitted."""

CLAIM = 0.25
"""A cluster is claimed by a scribble that has this share of its pixels there."""

_WIDE_SHARE = 0.5  # the most that the classifier of surroundings says
_MUCH_PAINTED = (50, 250)  # painted leaves: up to so many it says nothing, then ever more
_UNEXPLAINED = (0.05, 0.25)  # mean −log p of what is painted, by the other classifier: likewise
_FIRMER = 4.0  # how much more it is to follow the strokes
_MOST_LEARNED = 30_000  # leaves whose own labels are learned from; an even choice of them


@dataclass(frozen=True, eq=False, slots=True)
class ClassMap:
    """A classifier of painted classes, and what it says."""

    head: ClassHead
    numbers: tuple[int, ...]  # label of each class: of a painted class its own

    def painted(self, scribbles: Scribbles) -> Integers:
        """Return the index of the class that is painted on each pixel; −1 for none."""
        return painted_indices(scribbles, self.numbers)


@dataclass(frozen=True, eq=False, slots=True)
class Painted:
    """One image, and what is painted on it; perhaps nothing."""

    ground: Groundwork
    scribbles: Scribbles


@dataclass(frozen=True, eq=False, slots=True)
class Clusters:
    """What was found without scribbles."""

    head: ClassHead
    standing: Integers  # (q), which cluster stands for each cluster

    def of(self, regions: RegionMap, smoothness: float) -> Integers:
        """Return the cluster of each leaf."""
        found: Integers = self.standing[regions.spread(self.head, smoothness).argmax(axis=1)]
        return found


def painted_classes(images: Iterable[Painted]) -> tuple[int, ...]:
    """Return the classes that are painted on any of some images, ascending."""
    return classes_of(one.scribbles for one in images)


def painted_indices(scribbles: Scribbles, numbers: Sequence[int]) -> Integers:
    """Return the place among the numbers of what is painted on each pixel; −1 for nothing."""
    places = np.full(int(max(*numbers, *scribbles.classes, 0, 0)) + 1, -1, np.int16)
    places[list(numbers)] = np.arange(len(numbers))
    places[0] = -1
    return look_up(places, scribbles.painted)


def learn(
    images: Sequence[Painted],
    found: ClassHead,
    clusters: Clusters | None,
    weight: float,
    smoothness: float,
    *,
    rest_is_one: bool = False,
) -> Iterator[ClassMap]:
    """Learn the classes of some scribbles (weight: ν, smoothness: μ), `N_ROUNDS` in all.

    The first image is the one to label. Clusters that no scribble claims stay where they are given,
    as one class together if the rest is one. Nothing of an earlier correction is taken over: the
    same strokes give the same classes, whatever was painted before.
    """
    numbers = painted_classes(images)
    free = np.zeros(0, int) if clusters is None else unclaimed(images, clusters, smoothness)
    if clusters is not None and rest_is_one and free.size:
        together_as = np.where(np.isin(clusters.standing, free), free[:1], clusters.standing)
        clusters, free = replace(clusters, standing=together_as), free[:1]
    n_painted = len(numbers)
    last = max(numbers)
    every = (*numbers, *range(last + 1, last + 1 + len(free)))
    maps, counts = _told(images, numbers, clusters, free, smoothness)
    met = np.concatenate(counts)
    n_told = np.count_nonzero(met[:, :n_painted].any(axis=1))
    most = float(np.interp(n_told, _MUCH_PAINTED, (0, _WIDE_SHARE)))
    rows = np.concatenate(
        [one.seen(most > 0)[own.any(axis=1)] for one, own in zip(maps, counts, strict=True)]
    )
    painted = Examples.painted(rows, met[met.any(axis=1)], weight)
    # What is painted on several images says more, and needs to be held back less.
    decay = DECAY / max(sum(bool(one.scribbles.classes) for one in images), 1)
    head: ClassHead | None = None
    own: list[Examples] = []
    for number in range(N_ROUNDS):
        head = _fit(painted, own, head, decay, found, most, images[0].ground.device)
        yield ClassMap(head, every)
        if number + 1 < N_ROUNDS:
            own = _own_labels(maps, counts, n_painted, head, smoothness, most > 0)


def _told(
    images: Sequence[Painted],
    numbers: Sequence[int],
    clusters: Clusters | None,
    free: Integers,
    smoothness: float,
) -> tuple[list[RegionMap], list[Floats]]:
    """Return the leaves of all windows, and how many pixels of each are told each class."""
    n_painted = len(numbers)
    maps, counts = [], []
    for image in images:
        classes = painted_indices(image.scribbles, numbers)
        for window, regions in filter(None, image.ground.in_turn(image.ground.regions)):
            here = classes[image.ground.near(window)]
            met = regions.painted(here, n_painted + len(free)).astype(float)
            if clusters is not None and image is images[0]:
                won = clusters.of(regions, smoothness)
                for place, cluster in enumerate(free, start=n_painted):
                    met[:, place] = np.where(won == cluster, regions.graph.areas, 0)
            maps.append(regions)
            counts.append(met)
    return maps, counts


def _fit(
    painted: Examples,
    own: Sequence[Examples],
    start: ClassHead | None,
    decay: float,
    found: ClassHead,
    most: float,
    device: torch.device | None = None,
) -> ClassHead:
    """Fit a classifier of leaves; where it cannot explain the strokes, a wide and firmer one too.

    The wide one has at most the share `most`: what is around leaves tells kinds apart that look
    alike, as the inside of a gland and the gaps beside it; where leaves say it all, it would blur.
    """
    n_inputs = len(found.weights) - 1
    every = together([painted, *own])
    near = replace(every, rows=every.rows[:, :n_inputs])
    head = fit_head(near, start, decay, found, device)
    surprise = mean_surprise(head, replace(painted, rows=painted.rows[:, :n_inputs]))
    share = float(np.interp(surprise, _UNEXPLAINED, (0, most)))
    if share == 0:
        return head
    firm = together([replace(painted, weights=_FIRMER * painted.weights), *own])
    before = None if start is None else start.wide
    wide = fit_head(firm, before, decay / _FIRMER, found, device)
    return replace(head, wide=wide, share=share)


def unclaimed(images: Sequence[Painted], clusters: Clusters, smoothness: float) -> Integers:
    """Find the clusters that no scribble claims, by falling area in the first image.

    A scribble claims the cluster that most of its pixels lie in, and every other that has
    `CLAIM` of them; on any of the images.
    """
    numbers = painted_classes(images)
    q = len(clusters.standing)
    areas, met = np.zeros(q), np.zeros((len(numbers), q))
    for image in images:
        classes = painted_indices(image.scribbles, numbers)
        for window, regions in filter(None, image.ground.in_turn(image.ground.regions)):
            near = image.ground.near(window)
            found = clusters.of(regions, smoothness)[regions.leaves[inside(window, near)]]
            if image is images[0]:
                valid = image.ground.plane.valid
                counted = found.ravel() if valid is None else found[valid[window]]
                areas += np.bincount(counted, minlength=q)
            here = classes[window]
            np.add.at(met, (here[here >= 0], found[here >= 0]), 1)
    shares = met / np.maximum(met.sum(axis=1, keepdims=True), 1)
    claimed = (shares >= CLAIM) | ((shares == shares.max(axis=1, keepdims=True)) & (shares > 0))
    areas[claimed.any(axis=0)] = 0
    return np.argsort(-areas, kind="stable")[: np.count_nonzero(areas)]


def _own_labels(
    maps: Sequence[RegionMap],
    counts: Sequence[Floats],
    n_painted: int,
    head: ClassHead,
    smoothness: float,
    wide: bool,
) -> list[Examples]:
    """Return leaves with their own labels: a sure one counts more, and a large one."""
    total = sum(float(one.graph.areas.sum()) for one in maps)
    found = []
    for regions, met in zip(maps, counts, strict=True):
        answers = regions.spread(head, smoothness, regions.given_by(met[:, :n_painted]))
        targets = np.eye(head.n_classes)[answers.argmax(axis=1)]
        weights = margins(answers) * regions.graph.areas / total
        step = -(-len(weights) * len(maps) // _MOST_LEARNED)
        some = slice(None, None, step)
        rows = regions.seen(wide)
        found.append(Examples(rows[some], targets[some], weights[some] * step))
    return found


def margins(answers: Floats) -> Floats:
    """Return how much more probable the best class is than the next, ``(n, k)`` → ``(n,)``."""
    if answers.shape[1] == 1:
        return np.ones(len(answers))
    best = np.partition(answers, -2, axis=1)
    margin: Floats = best[:, -1] - best[:, -2]
    return margin


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
