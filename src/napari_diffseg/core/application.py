"""A trained model on an image that it has not seen, window by window.

The image is gone through in windows of `window_shape` from its first pixel on. Of each, only
the window and some pixels around (`core.pixel_statistics.margin`) are read, and its labels
depend on these and on nothing else: not on how the image is stored, nor on where it is
computed. So memory is bounded, and every machine gives the same labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from napari_diffseg.core.class_head import ClassHead
from napari_diffseg.core.correction import region_share
from napari_diffseg.core.groundwork import REGION_SIZE
from napari_diffseg.core.network import FeatureClusteringNet
from napari_diffseg.core.partition import (
    Partition,
    block_regions,
    count_valid,
    in_order,
    merged_clusters,
)
from napari_diffseg.core.pixel_statistics import PixelStatistics
from napari_diffseg.core.plane import Plane
from napari_diffseg.images.hierarchy import ClusterHierarchy
from napari_diffseg.images.labels import look_up, merge_small_regions
from napari_diffseg.images.pieces import block_shape, window_shape
from napari_diffseg.images.region_graph import RegionGraph
from napari_diffseg.images.regions import Regions
from napari_diffseg.images.windows import Window, inside, size, tiles, whole
from napari_diffseg.params import SegmentationParams

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]
Labels = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, eq=False, slots=True)
class Labelled:
    """The labels of one area, and how sure they are.

    Attributes
    ----------
    labels : ndarray of unsigned int, (y, x) or (z, y, x)
        0 where the image is fill or not finite.
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
    window : tuple of slice
        Where it lies: one for each spatial axis.
    labels : ndarray of unsigned int, (y, x) or (z, y, x)
        0 where the image is fill or not finite.
    areas : dict of int to int
        Pixels of each label that occurs, 0 among them.
    confidence : float
        Mean margin between the two best answers, 0 … 1.
    """

    window: Window
    labels: Labels
    areas: dict[int, int]
    confidence: float

    @property
    def n_labelled(self) -> int:
        """How many pixels have a label; only of these the confidence is the mean."""
        return self.labels.size - self.areas.get(0, 0)


@dataclass(frozen=True, eq=False, slots=True)
class AppliedFrame:
    """Labels of a whole plane or volume, and facts of them.

    Attributes
    ----------
    labels : ndarray of unsigned int, (y, x) or (z, y, x)
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
    """What the windows of an image come to.

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
    """Label an area of an image by the network's clusters.

    Parameters
    ----------
    network : FeatureClusteringNet
        On the device.
    plane : Plane
        The area and what is around it.
    area : tuple of slice
        Of the image.
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
    """Label an area of an image by the classes of a correction.

    Each pixel's probabilities, those of the mean of its region, and these spread to the
    neighbours: what a correction does, without the strokes.

    Parameters
    ----------
    pixels : PixelStatistics
        Of the area and what is around it.
    area : tuple of slice
        Of the image.
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
    blocks = list(tiles(area, block_shape(plane.space)))
    measured = in_order(
        blocks, lambda block, threads: _measure(pixels, head, block, threads), plane.space
    )
    for block, (cut, responses, counts, mean) in zip(blocks, measured, strict=True):
        own[:, *inside(block, area)] = softmax(responses, axis=0)
        areas.append(counts)
        means.append(mean)
        regions[inside(block, area)] = cut + n_before
        n_before += len(counts)
    graph = RegionGraph.build(np.concatenate(areas), pixels.sides(regions, area))
    priors = softmax(np.concatenate(means), axis=1)
    spread = graph.spread(priors, np.full(n_before, -1))
    share = region_share(plane.space)
    mixed = np.moveaxis(spread.astype(np.float32)[regions], -1, 0) * share
    mixed += (1 - share) * own
    valid = None if plane.valid is None else plane.valid[area]
    labels: Labels = look_up(np.array(numbers, dtype), mixed.argmax(axis=0))
    labels = merge_small_regions(labels, min_region_size, valid).astype(dtype)
    if valid is not None:
        labels[~valid] = 0
    return Labelled(labels, _mean_margin(mixed, valid))


def windows_of(shape: Sequence[int]) -> Iterator[Window]:
    """Yield the windows of an image with these spatial axes, row by row."""
    return tiles(whole(shape), window_shape(len(shape)))


def _measure(
    pixels: PixelStatistics, head: ClassHead, block: Window, threads: int
) -> tuple[Regions, Floats, Floats, Floats]:
    """Return the regions of a block, its responses, and of each region size and mean response."""
    plane = pixels.plane
    statistics = pixels.of(block, threads)
    responses = head.responses(statistics)
    n_regions = max(count_valid(plane.valid, block) // REGION_SIZE, 1)
    cut = block_regions(statistics[: pixels.network.n_inputs], plane, n_regions)
    valid = None if plane.valid is None else plane.valid[block]
    return cut, responses, *_region_means(cut, responses, valid)


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
