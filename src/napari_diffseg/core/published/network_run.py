"""A run of the published design: a network trained from random weights on the image itself."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace

import numpy as np
import torch

from napari_diffseg.core.clusters.correction import stamp
from napari_diffseg.core.clusters.groundwork import Groundwork
from napari_diffseg.core.published.clustering_net import FeatureClusteringNet, build_network
from napari_diffseg.core.published.inference import calibrate, cluster_steps, find_clusters
from napari_diffseg.core.published.sample import Sample
from napari_diffseg.core.published.training import Command, Iteration, TrainingResult, train
from napari_diffseg.core.result import Segmentation
from napari_diffseg.core.run_state import PreviewPlane, Run
from napari_diffseg.errors import ParameterError
from napari_diffseg.image.arrays import Integers, Labels
from napari_diffseg.image.windows import whole
from napari_diffseg.numeric.hierarchy import ClusterHierarchy
from napari_diffseg.numeric.labels import (
    LabelNumbers,
    look_up,
    merge_small_regions,
    number_by_area,
    number_labels,
    smallest_unsigned_dtype,
)

_NEVER = -1e4
"""Response of a cluster that is not to win."""


def network_run(run: Run) -> Generator[Iteration, Command | None, Segmentation]:
    """Train with the published losses (Kim et al. 2020, Sec. III), label, and number."""
    classes, params, is_closed = run.reading.classes, run.params, run.closed_set
    _check_clusters(params.n_clusters, classes)
    numbers = LabelNumbers(params.n_clusters, given=classes)
    network, sample, trained = yield from _trained(run, numbers)
    found = calibrate(network, sample.inputs, sample.valid)
    if is_closed:
        _silence(network, len(classes))
    clusters = yield from _clusters(run, network, trained.history[-1])
    if classes:
        hierarchy = ClusterHierarchy.none(params.n_clusters)  # painted classes never join
        labels, of_clusters = _label_painted(run, clusters)
    else:
        hierarchy = sample.hierarchy(found, params.n_clusters)
        standing = hierarchy.at_most(params.n_labels)
        valid = run.plane.valid
        labels, of_clusters = number_by_area(clusters, params.n_clusters, valid, standing)
    result = run.result(
        labels,
        run.model(network=network, hierarchy=hierarchy, numbers=of_clusters),
        [Groundwork(plane, run.device) for plane in run.reading.planes],
        history=trained.history,
        stop_reason=trained.stop_reason,
        clusters=clusters,
    )
    if classes:
        scribbles = run.reading.painted[0]
        result = replace(result, scribbles=scribbles, notes=(*result.notes, *scribbles.notes))
    return result.with_provenance()


def _check_clusters(n_clusters: int, classes: tuple[int, ...]) -> None:
    if len(classes) > n_clusters:
        raise ParameterError(
            "n_clusters",
            f"{len(classes)} classes are painted, but the network has {n_clusters} "
            "clusters; set n_clusters to as many at least.",
        )


def _trained(
    run: Run, numbers: LabelNumbers
) -> Generator[Iteration, Command | None, tuple[FeatureClusteringNet, Sample, TrainingResult]]:
    """Build a network, and train it on the sample."""
    sample, params = run.reading.sample, run.params
    if sample is None:
        raise ValueError("a run of the published design was asked for")
    generator = torch.Generator().manual_seed(params.seed)
    network = build_network(sample.inputs.shape[1], params, generator, run.plane.space)
    network.to(run.device)
    # As in the published program: no fewer labels than there are painted classes.
    floor = len(run.reading.classes) or params.min_labels
    trained = yield from train(
        network,
        sample,
        replace(params, min_labels=floor),
        generator,
        preview=_previews(run, network, numbers) if run.options.previews else None,
        preview_interval=run.options.preview_interval,
        start=run.start,
    )
    return network, sample, trained


def _clusters(
    run: Run, network: FeatureClusteringNet, last: Iteration
) -> Generator[Iteration, Command | None, Integers]:
    """Find the cluster of every pixel; of none where labels are not wanted nor counted."""
    plane = run.plane
    clusters: Integers = np.zeros(plane.shape, np.int16)
    if run.with_labels or not run.closed_set:
        shares = cluster_steps(network, plane, run.device, whole(plane.shape))
        found, _ = yield from run.labelled(shares, last)
        clusters = merge_small_regions(found, run.params.min_region_size, plane.valid)
    network.to("cpu")
    return clusters


def _label_painted(run: Run, clusters: Integers) -> tuple[Labels, Integers]:
    """Return the labels, and that of each cluster: the first ones are the painted classes.

    The others are numbered by falling area; of a closed set they never come out.
    """
    classes, valid = run.reading.classes, run.plane.valid
    n_painted, n_clusters = len(classes), run.params.n_clusters
    numbers = np.full(n_clusters, classes[0], np.int64)
    numbers[:n_painted] = classes
    if not run.closed_set:
        _, by_area = number_by_area(clusters, n_clusters, valid)
        others = np.argsort(by_area[n_painted:], kind="stable")
        numbers[n_painted + others] = max(classes) + 1 + np.arange(len(others))
    dtype = smallest_unsigned_dtype(int(numbers[np.unique(clusters)].max()))
    labels = number_labels(numbers.astype(dtype), clusters, valid)
    stamp(labels, run.reading.painted[0])
    return labels, numbers


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
