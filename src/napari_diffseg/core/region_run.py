"""A run of the default: shipped features, clusters learned on leaves, labels window by window."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.core.clusters.class_head import ClassHead
from napari_diffseg.core.clusters.clustering import hierarchy_of, learn_clusters, start_head
from napari_diffseg.core.clusters.groundwork import Groundwork, cluster_steps
from napari_diffseg.core.device import each_of, threads_for
from napari_diffseg.core.features.extraction import Features
from napari_diffseg.core.features.region_map import RegionMap
from napari_diffseg.core.following import follow_steps
from napari_diffseg.core.plane import Plane
from napari_diffseg.core.published.training import Command, Iteration, StopReason
from napari_diffseg.core.result import Segmentation
from napari_diffseg.core.run_state import PreviewPlane, Run
from napari_diffseg.image.arrays import Floats, Labels
from napari_diffseg.image.windows import Window, whole
from napari_diffseg.numeric.labels import LabelNumbers

_FIRST_LOOK_SIDE = 192
_LEAST_LOOKED_AT = 1000  # pixels


def region_run(run: Run) -> Generator[Iteration, Command | None, Segmentation]:
    """Find clusters without scribbles; then, where something is painted, the classes."""
    classes, params, painted = run.reading.classes, run.params, run.reading.painted[0]
    result = yield from _unsupervised(run, with_labels=not run.closed_set)
    if not classes:
        return replace(result.with_n_labels(params.n_labels), seconds=run.seconds)
    with_labels = run.with_labels or not run.closed_set
    steps = follow_steps(result, painted, options=run.options, with_labels=with_labels)
    return replace((yield from steps), seconds=run.seconds)


@dataclass(frozen=True, eq=False, slots=True)
class _Found:
    """The classifier of clusters, its answers on the leaves of each map, and how it was learned."""

    head: ClassHead
    answers: list[Floats]
    history: tuple[Iteration, ...]
    stop_reason: StopReason


def _unsupervised(
    run: Run, *, with_labels: bool
) -> Generator[Iteration, Command | None, Segmentation]:
    # What nobody painted would flash up in the colours of classes.
    look = _first_look(run) if run.options.previews and not run.reading.classes else None
    if look is not None:
        yield look
    run, maps_of = _measured(run)
    maps = [one for found in maps_of for one in found]
    numbers = LabelNumbers(run.params.n_clusters)
    found = yield from _learned(run, maps, numbers)
    head, grounds, valid = found.head, _grounds(run, maps_of), run.plane.valid
    clusters = present = None
    if with_labels:
        known = found.answers[0] if grounds[0].is_known else None
        shares = cluster_steps(grounds[0], head, run.params, known)
        clusters = yield from run.labelled(shares, found.history[-1])
        counted = clusters if valid is None else clusters[valid]
        present = np.bincount(counted.ravel(), minlength=head.n_classes) > 0
    hierarchy = hierarchy_of(maps, found.answers, present, rgb=run.reading.axes.rgb)
    return run.result(
        np.zeros(run.plane.shape, np.uint8),
        run.model(head=head, hierarchy=hierarchy, numbers=np.arange(1, head.n_classes + 1)),
        grounds,
        history=found.history,
        stop_reason=found.stop_reason,
        clusters=clusters,
    )


def _learned(
    run: Run, maps: list[RegionMap], numbers: LabelNumbers
) -> Generator[Iteration, Command | None, _Found]:
    """Find the clusters, round by round."""
    params = run.params
    history: list[Iteration] = []
    stop_reason = StopReason.ITERATIONS
    head = start_head(maps, params.n_clusters, run.device)
    rounds = learn_clusters(maps, head, params.continuity_weight, params.n_iterations - 1)
    preview = _previews(run, maps, numbers) if run.options.previews else None
    for index, (head, answers) in enumerate(rounds, start=1):
        facts = Iteration(
            index=index,
            n_iterations=params.n_iterations,
            loss=head.loss,
            similarity=head.loss,
            continuity=0.0,
            n_clusters=len(np.unique(np.concatenate([one.argmax(axis=1) for one in answers]))),
            seconds=run.seconds,
        )
        history.append(facts)
        labels = None if preview is None else preview(head, answers)
        if (yield replace(facts, labels=labels)) is Command.FINISH:
            stop_reason = StopReason.FINISHED
            break
    return _Found(head, answers, tuple(history), stop_reason)


def _stage_of(
    run: Run, samples: Sequence[tuple[Plane, Window]]
) -> tuple[Features, list[RegionMap]]:
    """Measure the features on parts of images, and cut these into leaves."""
    pixels = [plane.pixels[:, *place] for plane, place in samples]
    valids = [None if plane.valid is None else plane.valid[place] for plane, place in samples]
    stage, inputs = Features.measure(
        list(zip(pixels, valids, strict=True)),
        rgb=run.reading.axes.rgb,
        weights=[one.weight for one in run.reading.channels],
        space=run.plane.space,
        device=run.device,
    )
    n_threads = threads_for(run.device, pixels[0].shape[1:], len(pixels[0]))
    cut = each_of(
        lambda both: RegionMap.of(stage, *both), [*zip(inputs, valids, strict=True)], n_threads
    )
    return stage, cut


def _measured(run: Run) -> tuple[Run, list[list[RegionMap]]]:
    """Return the run with the features of its images, and the leaves of what is learned from."""
    reading = run.reading
    samples = [
        (plane, place)
        for plane, places in zip(reading.planes, reading.places, strict=True)
        for place in places
    ]
    stage, found = _stage_of(run, samples)
    cut = iter(found)
    planes = tuple(replace(plane, stage=stage) for plane in reading.planes)
    maps = [[next(cut) for _ in places] for places in reading.places]
    return replace(run, reading=replace(reading, planes=planes)), maps


def _first_look(run: Run) -> Iteration | None:
    """Segment every n-th pixel by itself, so that there is something to see at once.

    None where these are all pixels, or too few.
    """
    source = PreviewPlane.of(run, _FIRST_LOOK_SIDE)
    seen = source.small.valid
    if source.step == 1 or (seen is not None and np.count_nonzero(seen) < _LEAST_LOOKED_AT):
        return None
    _, (regions,) = _stage_of(run, [(source.small, whole(source.small.shape))])
    head = start_head([regions], run.params.n_clusters, run.device)
    answers = regions.spread(head, run.params.continuity_weight)
    numbers = LabelNumbers(run.params.n_clusters)
    labels = _numbered(run, [regions], [answers], numbers, answers, regions, seen)
    return Iteration(
        index=0,
        n_iterations=run.params.n_iterations,
        loss=0.0,
        similarity=0.0,
        continuity=0.0,
        n_clusters=head.n_classes,
        seconds=run.seconds,
        labels=source.enlarged(labels[source.area]),
    )


def _grounds(run: Run, maps: Sequence[Sequence[RegionMap]]) -> list[Groundwork]:
    """Return the images as labelling uses them; what was learned from is not cut again."""
    grounds = []
    for plane, found in zip(run.reading.planes, maps, strict=True):
        is_whole = len(found) == 1 and found[0].leaves.shape == plane.shape
        grounds.append(Groundwork(plane, run.device, found[0] if is_whole else None))
    return grounds


def _previews(
    run: Run, maps: list[RegionMap], numbers: LabelNumbers
) -> Callable[[ClassHead, list[Floats]], Labels]:
    """Return what makes a preview of a classifier and its answers."""
    if len(maps) == 1 and maps[0].leaves.shape == run.plane.shape:
        valid = run.plane.valid
        return lambda _, answers: _numbered(run, maps, answers, numbers, answers[0], maps[0], valid)
    source = PreviewPlane.of(run)
    regions = source.small.regions(source.area, run.device)
    seen = source.small.valid
    shown = None if seen is None else seen[source.area]

    def preview(head: ClassHead, answers: list[Floats]) -> Labels:
        own = regions.spread(head, run.params.continuity_weight)
        return source.enlarged(_numbered(run, maps, answers, numbers, own, regions, shown))

    return preview


def _numbered(
    run: Run,
    maps: list[RegionMap],
    answers: list[Floats],
    numbers: LabelNumbers,
    own: Floats,
    regions: RegionMap,
    valid: NDArray[np.bool_] | None,
) -> Labels:
    """Return the labels of some leaves, merged to as many as are wanted."""
    hierarchy = hierarchy_of(maps, answers, rgb=run.reading.axes.rgb)
    standing = hierarchy.at_most(run.params.n_labels or hierarchy.n_kinds)
    clusters = standing[own.argmax(axis=1)].astype(np.int16)[regions.leaves]
    return numbers.number(clusters, valid)
