"""A trained model on an image that it has not seen, window by window.

The plane is gone through in windows of `WINDOW` pixels from its first pixel on. Of each,
only the window and `MARGIN` pixels around are read, and its labels depend on these and on
nothing else: not on how the image is stored, nor on where it is computed. So memory is
bounded, and every machine gives the same labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from napari_diffseg.core.class_head import ClassHead
from napari_diffseg.core.correction import REGION_SHARE
from napari_diffseg.core.groundwork import REGION_SIZE
from napari_diffseg.core.network import FeatureClusteringNet
from napari_diffseg.core.partition import (
    BLOCK,
    Partition,
    block_regions,
    count_valid,
    merged_clusters,
)
from napari_diffseg.core.pixel_statistics import REACH, PixelStatistics
from napari_diffseg.core.plane import Plane
from napari_diffseg.images.hierarchy import ClusterHierarchy
from napari_diffseg.images.labels import look_up, merge_small_regions
from napari_diffseg.images.local_statistics import RADIUS
from napari_diffseg.images.region_graph import RegionGraph
from napari_diffseg.images.windows import Window, inside, size, tiles, whole
from napari_diffseg.params import SegmentationParams

WINDOW = 1024
"""Side of a window, in pixels; regions spread within it."""

MARGIN = REACH + RADIUS
"""Pixels around a window that its labels depend on."""

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]
Labels = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, eq=False, slots=True)
class Labelled:
    """The labels of one area, and how sure they are.

    Attributes
    ----------
    labels : ndarray of unsigned int, (y, x)
        0 where the image is not finite.
    confidence : float
        Mean margin between the two best answers, 0 … 1.
    """

    labels: Labels
    confidence: float


@dataclass(frozen=True, eq=False, slots=True)
class AppliedWindow:
    """Labels of one window of an image.

    Attributes
    ----------
    rows, columns : slice
        Where it lies.
    labels : ndarray of unsigned int, (y, x)
        0 where the image is not finite.
    areas : dict of int to int
        Pixels of each label that occurs, 0 among them.
    confidence : float
        Mean margin between the two best answers, 0 … 1.
    """

    rows: slice
    columns: slice
    labels: Labels
    areas: dict[int, int]
    confidence: float

    @property
    def n_labelled(self) -> int:
        """How many pixels have a label; only of these the confidence is the mean."""
        return self.labels.size - self.areas.get(0, 0)


@dataclass(frozen=True, eq=False, slots=True)
class AppliedFrame:
    """Labels of a whole plane, and facts of them.

    Attributes
    ----------
    labels : ndarray of unsigned int, (y, x)
    areas : dict of int to int
        Pixels of each label that occurs, 0 among them.
    confidence : float
        Mean margin between the two best answers, 0 … 1.
    """

    labels: Labels
    areas: dict[int, int]
    confidence: float


@dataclass(eq=False, slots=True)
class Tally:
    """What the windows of a plane come to.

    Attributes
    ----------
    areas : dict of int to int
        Pixels of each label that has occurred, 0 among them.
    n_labelled : int
        Pixels that have a label.
    """

    areas: dict[int, int] = field(default_factory=dict)
    n_labelled: int = 0
    _margin: float = 0.0

    def add(self, part: AppliedWindow) -> None:
        """Count one more window."""
        for number, area in part.areas.items():
            self.areas[number] = self.areas.get(number, 0) + area
        self._margin += part.confidence * part.n_labelled
        self.n_labelled += part.n_labelled

    @property
    def sorted_areas(self) -> dict[int, int]:
        """The areas, by ascending label."""
        return dict(sorted(self.areas.items()))

    @property
    def confidence(self) -> float:
        """Mean margin between the two best answers over labelled pixels, 0 … 1."""
        return self._margin / max(self.n_labelled, 1)


def label_by_clusters(
    network: FeatureClusteringNet,
    plane: Plane,
    area: Window,
    device: torch.device,
    hierarchy: ClusterHierarchy,
    numbers: Labels,
    params: SegmentationParams,
) -> Labelled:
    """Label an area of a plane by the network's clusters.

    Parameters
    ----------
    network : FeatureClusteringNet
        On the device.
    plane : Plane
        The area and what is around it.
    area : (slice, slice)
        Rows and columns of the plane.
    device : torch.device
    hierarchy : ClusterHierarchy
        Which clusters join.
    numbers : ndarray of unsigned int, (q,)
        Label of each cluster.
    params : SegmentationParams
        Number of labels, size of regions.
    """
    partition = Partition.find(network, plane, device, params.region_size, area)
    clusters = merged_clusters(partition, hierarchy, params)
    labels: Labels = look_up(numbers, clusters)
    if partition.valid is not None:
        labels[~partition.valid] = 0
    representatives = hierarchy.at_most(params.n_labels)
    return Labelled(labels, partition.mean_margin(representatives))


def label_by_classes(
    pixels: PixelStatistics,
    area: Window,
    head: ClassHead,
    numbers: tuple[int, ...],
    dtype: np.dtype[Any],
    min_region_size: int,
) -> Labelled:
    """Label an area of a plane by the classes of a correction.

    Each pixel's probabilities, those of the mean of its region, and these spread to the
    neighbours: what a correction does, without the strokes.

    Parameters
    ----------
    pixels : PixelStatistics
        Of the area and what is around it.
    area : (slice, slice)
        Rows and columns of the plane.
    head : ClassHead
    numbers : tuple of int, (k,)
        Label of each class.
    dtype : dtype
        Of the labels.
    min_region_size : int
        Smaller connected pieces join a neighbour, pixels.
    """
    plane = pixels.plane
    regions = np.empty(size(area), np.int32)
    own = np.empty((head.n_classes, *size(area)), np.float32)
    areas, means = [], []
    n_before = 0
    for block in tiles(area, BLOCK):
        statistics = pixels.of(block)
        responses = head.responses(statistics)
        own[:, *inside(block, area)] = softmax(responses, axis=0)
        n_regions = max(count_valid(plane.valid, block) // REGION_SIZE, 1)
        n_inputs = pixels.network.n_inputs
        cut = block_regions(statistics[:n_inputs], pixels.n_colors, n_regions)
        valid = None if plane.valid is None else plane.valid[block]
        counts, mean = _region_means(cut, responses, valid)
        areas.append(counts)
        means.append(mean)
        regions[inside(block, area)] = cut + n_before
        n_before += len(counts)
    graph = RegionGraph.build(np.concatenate(areas), pixels.sides(regions, area, BLOCK))
    priors = softmax(np.concatenate(means), axis=1)
    spread = graph.spread(priors, np.full(n_before, -1))
    mixed = spread.astype(np.float32)[regions].transpose(2, 0, 1) * np.float32(REGION_SHARE)
    mixed += np.float32(1 - REGION_SHARE) * own
    valid = None if plane.valid is None else plane.valid[area]
    labels: Labels = look_up(np.array(numbers, dtype), mixed.argmax(axis=0))
    labels = merge_small_regions(labels, min_region_size, valid).astype(dtype)
    if valid is not None:
        labels[~valid] = 0
    return Labelled(labels, _mean_margin(mixed, valid))


def windows_of(shape: tuple[int, int]) -> Iterator[Window]:
    """Yield the windows of a plane of this height and width, row by row."""
    return tiles(whole(shape), WINDOW)


def _region_means(
    regions: Integers, responses: Floats, valid: NDArray[np.bool_] | None
) -> tuple[Floats, Floats]:
    """Return the valid pixels of each region, and the mean responses ``(n, k)`` of these."""
    n = int(regions.max()) + 1
    counted = slice(None) if valid is None else valid.ravel()
    member = regions.ravel()[counted]
    areas = np.bincount(member, minlength=n).astype(np.float64)
    flat = responses.reshape(len(responses), -1)
    sums = [np.bincount(member, column[counted], n) for column in flat]
    return areas, np.stack(sums, axis=1) / np.maximum(areas, 1)[:, None]


def _mean_margin(answers: Floats, valid: NDArray[np.bool_] | None) -> float:
    if valid is not None and not valid.any():
        return 0.0
    if len(answers) == 1:
        return 1.0
    best = np.partition(answers, -2, axis=0)[-2:]
    margin = best[1] - best[0]
    return float((margin if valid is None else margin[valid]).mean(dtype=np.float64))
