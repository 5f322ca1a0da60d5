"""Scribbles followed from a result: what the network sees stays, the classes are learned."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_diffseg.core.clusters.correction import (
    N_ROUNDS,
    ClassMap,
    Clusters,
    Painted,
    close_gaps,
    empty_labels,
    learn,
    painted_classes,
    stamp,
)
from napari_diffseg.core.clusters.groundwork import Groundwork
from napari_diffseg.core.device import readable_torch_errors, thread_limit
from napari_diffseg.core.generators import undisturbed
from napari_diffseg.core.published.training import Command, Iteration
from napari_diffseg.errors import InputError
from napari_diffseg.image.arrays import Labels
from napari_diffseg.image.scribbles import Scribbles
from napari_diffseg.image.windows import Window
from napari_diffseg.params import RunOptions, SegmentationParams

if TYPE_CHECKING:
    from napari_diffseg.core.result import Segmentation

_ONE_CLASS = (
    "Only one class is painted, and the rest has labels of its own; paint the background too, or "
    "make one class of the rest ('Everything else is background', only_painted='yes')."
)


def closed_set(params: SegmentationParams, classes: Sequence[int]) -> bool:
    """Whether every pixel goes to one of these painted classes.

    Raises InputError where it should, but one class alone is painted and the design has no rest.
    """
    n_classes = len(classes)
    if params.only_painted == "yes" and n_classes == 1 and params.design == "published":
        raise InputError(
            f"Only class {classes[0]} is painted, and every pixel would get it; paint "
            "a second class, or set only_painted to 'auto'."
        )
    return n_classes > 1 and params.only_painted != "no"


@undisturbed
def follow_steps(
    before: Segmentation,
    scribbles: Scribbles,
    *,
    view: Window | None = None,
    options: RunOptions,
    with_labels: bool = True,
) -> Generator[Iteration, Command | None, Segmentation]:
    """Learn the classes of scribbles, and label; see `Segmentation.correct_steps`.

    Without labels, which a model of a closed set does not depend on, those of before stay.
    """
    start = time.perf_counter()
    if before.model.params != before.params:
        # Asked for anew with another number of labels: the model must know it too.
        before = replace(before, model=replace(before.model, params=before.params))
    images = (Painted(before.ground, scribbles), *before.references)
    numbers = painted_classes(images)
    with readable_torch_errors(), thread_limit(options.threads):
        facts, classes = yield from _learned(before, images, numbers, start)
        labels = before.labels
        if with_labels:
            labels = yield from _labelled(before, classes, scribbles, view, facts)
            classes = close_gaps(labels, classes, len(numbers))
        threads = torch.get_num_threads()
    notes = (*without_notes(before.notes, before.scribbles), *scribbles.notes)
    is_open = len(numbers) == 1 and before.params.only_painted == "auto"
    if is_open and not scribbles.painted.all():
        notes += (_ONE_CLASS,)
    followed = replace(
        before,
        labels=labels,
        model=replace(before.model, classes=(classes.head, classes.numbers)),
        notes=notes,
        seconds=time.perf_counter() - start,
        threads=threads,
        scribbles=scribbles,
        classes=classes,
    )
    return followed.with_provenance()


def _learned(
    before: Segmentation, images: Sequence[Painted], numbers: tuple[int, ...], start: float
) -> Generator[Iteration, Command | None, tuple[Iteration, ClassMap]]:
    """Fit the classes, round by round; returns the last facts, and the classes."""
    params, found = before.params, before.model.clusters
    clusters = None if closed_set(params, numbers) else Clusters(found, before.model.standing)
    rounds = learn(
        images,
        found,
        clusters,
        params.scribble_weight,
        params.continuity_weight,
        rest_is_one=params.only_painted == "yes",
    )
    for index, classes in enumerate(rounds, start=1):
        facts = Iteration(
            index=index,
            n_iterations=N_ROUNDS,
            loss=classes.head.loss,
            similarity=0.0,
            continuity=0.0,
            n_clusters=len(classes.numbers),
            seconds=time.perf_counter() - start,
        )
        yield facts
    return facts, classes


def _labelled(
    before: Segmentation,
    classes: ClassMap,
    scribbles: Scribbles,
    view: Window | None,
    facts: Iteration,
) -> Generator[Iteration, Command | None, Labels]:
    """Label the image by its classes, what the person sees first."""
    ground = before.ground
    labels = empty_labels(ground.plane.shape, classes.numbers)
    given = classes.painted(scribbles)
    table = np.array(classes.numbers, labels.dtype)
    best = partial(ground.best, head=classes.head, params=before.params, painted=given)
    seen, rest = _seen_first(ground, view)
    for windows in (seen, rest):
        if rest and windows is rest:
            yield replace(facts, labels=_with_windows(before.labels, labels, seen, scribbles))
        for done in ground.in_turn(best, windows):
            if done is None:
                yield facts
            else:
                labels[done[0]] = table[done[1]]
    if ground.plane.valid is not None:
        labels[~ground.plane.valid] = 0
    stamp(labels, scribbles)
    return labels


def _seen_first(ground: Groundwork, view: Window | None) -> tuple[list[Window], list[Window]]:
    """Divide the blocks into those that the person sees and the rest."""
    if view is None:
        return ground.windows, []

    def is_seen(window: Window) -> bool:
        sides = zip(window, view, strict=True)
        return all(side.start < seen.stop and seen.start < side.stop for side, seen in sides)

    seen = [window for window in ground.windows if is_seen(window)]
    return seen, [window for window in ground.windows if not is_seen(window)]


def _with_windows(
    old: Labels, new: Labels, windows: Sequence[Window], scribbles: Scribbles
) -> Labels:
    """Return old labels, but for some windows that are new."""
    mixed = old.astype(np.promote_types(old.dtype, new.dtype))
    for window in windows:
        mixed[window] = new[window]
    stamp(mixed, scribbles)
    return mixed


def without_notes(notes: tuple[str, ...], scribbles: Scribbles | None) -> tuple[str, ...]:
    """Return the notes but for those of earlier scribbles."""
    old = () if scribbles is None else (*scribbles.notes, _ONE_CLASS)
    return tuple(note for note in notes if note not in old)
