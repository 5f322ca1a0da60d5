"""A run of the published design: a network trained from random weights on the image itself."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_diffseg.core.clusters.correction import Painted
from napari_diffseg.core.clusters.groundwork import Groundwork
from napari_diffseg.core.model.application import Labels
from napari_diffseg.core.published.inference import calibrate, cluster_steps, find_clusters
from napari_diffseg.core.published.network import FeatureClusteringNet, build_network
from napari_diffseg.core.published.training import Command, Iteration, TrainingResult, train
from napari_diffseg.core.result import (
    Segmentation,
    goes_only_to_painted,
    label_clusters,
    label_painted_clusters,
)
from napari_diffseg.core.run import PreviewPlane, Run
from napari_diffseg.core.sampling import Sample
from napari_diffseg.errors import ParameterError
from napari_diffseg.image.windows import whole
from napari_diffseg.numeric.hierarchy import ClusterHierarchy
from napari_diffseg.numeric.labels import Clusters, LabelNumbers, look_up, merge_small_regions
from napari_diffseg.params import SegmentationParams

_NEVER = -1e4
"""Response of a cluster that is not to win."""


def network_run(run: Run) -> Generator[Iteration, Command | None, Segmentation]:
    """Train with the published losses (Kim et al. 2020, Sec. III), label, and number."""
    sample = run.reading.sample
    if sample is None:
        raise ValueError("a run of the published design was asked for")
    classes = run.reading.classes
    params = run.params
    _check_clusters(params, classes)
    numbers = LabelNumbers(params.n_clusters, given=classes)
    generator = torch.Generator().manual_seed(params.seed)
    network = build_network(sample.inputs.shape[1], params, generator, run.plane.space)
    # As in the published program: no fewer labels than there are painted classes.
    floor = replace(params, min_labels=len(classes)) if classes else params
    trained = yield from _train(run, network, floor, sample, generator, numbers)
    found = calibrate(network, sample.inputs, sample.valid)
    only_painted = bool(classes) and goes_only_to_painted(params, classes)
    if only_painted:
        _silence(network, len(classes))
    clusters = yield from _find(run, network, trained.history[-1])
    if not classes:
        hierarchy = sample.hierarchy(found, params.n_clusters)
        standing = hierarchy.at_most(params.n_labels)
        labels, of_clusters = label_clusters(clusters, standing, run.plane.valid)
        return _result(run, network, trained, clusters, numbers, labels, hierarchy, of_clusters)
    hierarchy = ClusterHierarchy.none(params.n_clusters)  # painted classes never join
    scribbles = run.reading.painted[0]
    labels, painted = label_painted_clusters(
        clusters, run.plane.valid, params.n_clusters, scribbles, classes
    )
    if only_painted:
        painted[len(classes) :] = classes[0]  # never come out
    result = _result(run, network, trained, clusters, numbers, labels, hierarchy, painted)
    notes = (*result.notes, *scribbles.notes)
    return replace(result, scribbles=scribbles, notes=notes).with_provenance()


def _check_clusters(params: SegmentationParams, classes: tuple[int, ...]) -> None:
    if len(classes) > params.n_clusters:
        raise ParameterError(
            "n_clusters",
            f"{len(classes)} classes are painted, but the network has {params.n_clusters} "
            "clusters; set n_clusters to as many at least.",
        )


def _train(
    run: Run,
    network: FeatureClusteringNet,
    params: SegmentationParams,
    sample: Sample,
    generator: torch.Generator,
    numbers: LabelNumbers,
) -> Generator[Iteration, Command | None, TrainingResult]:
    network.to(run.device)
    return train(
        network,
        sample,
        params,
        generator,
        preview=_previews(run, network, numbers) if run.options.previews else None,
        preview_interval=run.options.preview_interval,
        start=run.start,
    )


def _find(
    run: Run, network: FeatureClusteringNet, last: Iteration
) -> Generator[Iteration, Command | None, Clusters]:
    """Find the clusters; how much is done is told as facts of the last iteration."""
    steps = cluster_steps(network, run.plane, run.device, whole(run.plane.shape))
    while True:
        try:
            share = next(steps)
        except StopIteration as end:
            network.to("cpu")
            found: Clusters = end.value[0]
            return merge_small_regions(found, run.params.min_region_size, run.plane.valid)
        yield replace(last, labelled=share, seconds=run.seconds)


def _result(
    run: Run,
    network: FeatureClusteringNet,
    trained: TrainingResult,
    clusters: Clusters,
    numbers: LabelNumbers,
    labels: Labels,
    hierarchy: ClusterHierarchy,
    of_clusters: NDArray[np.integer[Any]],
) -> Segmentation:
    reading = run.reading
    grounds = [Groundwork(plane, run.device) for plane in reading.planes]
    result = Segmentation(
        labels=labels,
        history=trained.history,
        params=run.params,
        stop_reason=trained.stop_reason,
        model=run.model(network=network, hierarchy=hierarchy, numbers=of_clusters),
        axes=reading.axes,
        notes=reading.notes,
        seconds=run.seconds,
        device=str(run.device),
        threads=torch.get_num_threads(),
        clusters=clusters,
        previewed=tuple(numbers.numbers.tolist()),
        ground=grounds[0],
        references=tuple(
            Painted(*both) for both in zip(grounds[1:], reading.painted[1:], strict=True)
        ),
    )
    return result.with_provenance()


@torch.no_grad()
def _silence(network: FeatureClusteringNet, n_kept: int) -> None:
    """Let only the first clusters win."""
    network.normalization.weight[n_kept:] = 0
    network.normalization.bias[n_kept:] = _NEVER


def _previews(
    run: Run, network: FeatureClusteringNet, numbers: LabelNumbers
) -> Callable[[], Labels]:
    """Return what makes a preview: labels of every n-th pixel, by the network as it is."""
    source, params = PreviewPlane.of(run), run.params
    small, area = source.small, source.area
    valid = None if small.valid is None else small.valid[area]

    def preview() -> Labels:
        clusters, _ = find_clusters(network, small, run.device, area)
        inputs = small.inputs(area)
        flat = inputs.reshape(len(inputs), -1)
        hierarchy = ClusterHierarchy.of_pixels(flat, clusters.ravel(), params.n_clusters)
        merged = look_up(hierarchy.at_most(params.n_labels).astype(np.int16), clusters)
        smallest = source.smallest_piece(params.min_region_size)
        return source.enlarged(numbers.number(merge_small_regions(merged, smallest, valid), valid))

    return preview
