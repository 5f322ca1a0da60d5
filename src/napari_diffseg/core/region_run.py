"""A run of the default: shipped features, clusters learned on leaves, labels window by window."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.core.clusters.class_head import ClassHead
from napari_diffseg.core.clusters.clustering import hierarchy_of, learn_clusters, start_head
from napari_diffseg.core.clusters.groundwork import Groundwork, cluster_steps
from napari_diffseg.core.features.region_map import RegionMap
from napari_diffseg.core.following import follow_steps
from napari_diffseg.core.published.training import Command, Iteration, StopReason
from napari_diffseg.core.result import Segmentation
from napari_diffseg.core.run_state import PreviewPlane, Run
from napari_diffseg.image.arrays import Floats, Labels
from napari_diffseg.numeric.labels import LabelNumbers


def region_run(run: Run) -> Generator[Iteration, Command | None, Segmentation]:
    """Find clusters without scribbles; then, where something is painted, the classes."""
    classes, params, painted = run.reading.classes, run.params, run.reading.painted[0]
    result = yield from _unsupervised(run, with_labels=not run.closed_set)
    if not classes:
        return replace(result.with_n_labels(params.n_labels), seconds=run.seconds)
    with_labels = run.with_labels or not run.closed_set
    steps = follow_steps(result, painted, options=run.options, with_labels=with_labels)
    return replace((yield from steps), seconds=run.seconds)


def _unsupervised(
    run: Run, *, with_labels: bool
) -> Generator[Iteration, Command | None, Segmentation]:
    params = run.params
    maps = [one for found in run.reading.maps for one in found]
    numbers = LabelNumbers(params.n_clusters)
    head = start_head(maps, params.n_clusters)
    history: list[Iteration] = []
    stop_reason = StopReason.ITERATIONS
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
        labels = None
        if preview is not None:
            labels = preview(head, answers)
        command = yield facts if labels is None else replace(facts, labels=labels)
        if command is Command.FINISH:
            stop_reason = StopReason.FINISHED
            break
    grounds = _grounds(run)
    clusters = None
    if with_labels:
        known = answers[0] if grounds[0].is_known else None
        clusters = yield from run.labelled(cluster_steps(grounds[0], head, params, known), facts)
    valid, present = run.plane.valid, None
    if clusters is not None:
        counted = clusters if valid is None else clusters[valid]
        present = np.bincount(counted.ravel(), minlength=head.n_classes) > 0
    hierarchy = hierarchy_of(maps, answers, present, rgb=run.reading.axes.rgb)
    return run.result(
        np.zeros(run.plane.shape, np.uint8),
        run.model(head=head, hierarchy=hierarchy, numbers=np.arange(1, head.n_classes + 1)),
        grounds,
        history=history,
        stop_reason=stop_reason,
        clusters=clusters,
        previewed=numbers,
    )


def _grounds(run: Run) -> list[Groundwork]:
    """Return the images as labelling uses them; what was learned from is not cut again."""
    grounds = []
    for plane, found in zip(run.reading.planes, run.reading.maps, strict=True):
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
