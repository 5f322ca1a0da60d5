"""A trained model on an image that it has not seen, window by window.

The image is gone through in windows of `image.pieces.window_shape` from its first pixel on. Of
each, only the window and what it depends on are read, and its labels depend on these and on
nothing else: not on how the image is stored, nor on where it is computed. So memory is bounded,
and every machine gives the same labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

from napari_diffseg.core.clusters.class_head import ClassHead
from napari_diffseg.core.doubt import joined_margins
from napari_diffseg.core.features.extraction import halo
from napari_diffseg.core.features.pyramid import GRID
from napari_diffseg.core.plane import Plane
from napari_diffseg.core.published.clustering_net import FeatureClusteringNet
from napari_diffseg.core.published.inference import find_clusters
from napari_diffseg.image.arrays import Integers, Labels
from napari_diffseg.image.pieces import spread_margin, window_shape
from napari_diffseg.image.space import Space
from napari_diffseg.image.windows import Shape, Window, grow, inside, tiles, whole
from napari_diffseg.numeric.hierarchy import ClusterHierarchy
from napari_diffseg.numeric.labels import look_up, merge_small_regions, number_labels
from napari_diffseg.params import SegmentationParams


@dataclass(frozen=True, eq=False, slots=True)
class Labelled:
    """The labels ``(z) y x`` of one area, 0 where fill or not finite, and how sure they are."""

    labels: Labels
    confidence: float  # mean margin between the two best answers, 0 … 1


@dataclass(frozen=True, eq=False, slots=True)
class AppliedWindow:
    """Labels ``(z) y x`` of one window of an image; 0 where it is fill or not finite."""

    window: Window  # a slice for each spatial axis
    labels: Labels
    areas: dict[int, int]  # pixels of each label that occurs, 0 among them
    confidence: float  # mean margin between the two best answers, 0 … 1
    # "darker" or "brighter" where the image is so by far than the training images.
    brightness: str = ""


@dataclass(frozen=True, eq=False, slots=True)
class AppliedFrame:
    """Labels ``(z) y x`` of a whole plane or volume, and facts of them."""

    labels: Labels
    areas: dict[int, int]  # pixels of each label that occurs, 0 among them
    confidence: float  # mean margin between the two best answers, 0 … 1


class _Counted(Protocol):
    """What is known of a window, or of a whole frame."""

    @property
    def areas(self) -> Mapping[int, int]: ...
    @property
    def confidence(self) -> float: ...
    @property
    def brightness(self) -> str: ...


@dataclass(eq=False, slots=True)
class Tally:
    """What the windows of an image come to: pixels of each label, 0 among them, and the rest."""

    areas: dict[int, int] = field(default_factory=dict)
    n_labelled: int = 0
    brightness: str = ""
    _margin: float = 0.0

    def add(self, part: _Counted) -> None:
        """Count one more window."""
        for number, area in part.areas.items():
            self.areas[number] = self.areas.get(number, 0) + area
        # Only of pixels that have a label the confidence is the mean.
        n_labelled = sum(part.areas.values()) - part.areas.get(0, 0)
        self._margin += part.confidence * n_labelled
        self.n_labelled += n_labelled
        self.brightness = self.brightness or part.brightness

    @property
    def sorted_areas(self) -> dict[int, int]:
        """The areas, by ascending label."""
        return dict(sorted(self.areas.items()))

    @property
    def confidence(self) -> float:
        """Mean margin between the two best answers over labelled pixels, 0 … 1."""
        return self._margin / max(self.n_labelled, 1)


def windows_of(shape: Shape) -> Iterator[Window]:
    """Yield the windows of an image with these spatial axes, row by row."""
    return tiles(whole(shape), window_shape(shape))


def reading_window(window: Window, shape: Sequence[int], space: Space) -> Window:
    """Return what has to be read for the labels of a window, beginning on the grid of features."""
    reach = tuple(a + b for a, b in zip(spread_margin(len(window)), halo(space), strict=True))
    *depth, rows, columns = grow(window, reach, shape)
    on_grid = (slice(side.start // GRID * GRID, side.stop) for side in (rows, columns))
    return (*depth, *on_grid)


def label_by_network(
    network: FeatureClusteringNet,
    plane: Plane,
    area: Window,
    device: torch.device,
    hierarchy: ClusterHierarchy,
    numbers: Labels,
    params: SegmentationParams,
) -> Labelled:
    """Label an area of an image by the clusters of a network of the published design.

    The plane holds the area and what is around it; the numbers ``(q,)`` are the clusters' labels.
    """
    clusters, margin = find_clusters(network, plane, device, area)
    merged = look_up(hierarchy.at_most(params.n_labels).astype(np.int16), clusters)
    valid = None if plane.valid is None else plane.valid[area]
    tidied = merge_small_regions(merged, params.min_region_size, valid)
    return Labelled(number_labels(numbers, tidied, valid), margin)


def label_by_regions(
    plane: Plane,
    area: Window,
    device: torch.device,
    head: ClassHead,
    standing: Integers,
    numbers: Labels,
    params: SegmentationParams,
) -> Labelled:
    """Label an area of an image by a classifier of its leaves, of clusters or of classes.

    The plane holds the area and what it depends on. For each class: which one stands for it, and
    its label, both ``(k,)``.
    """
    near = grow(area, spread_margin(len(area)), plane.shape)
    regions = plane.regions(near, device)
    answers = regions.spread(head, params.continuity_weight)
    valid = None if plane.valid is None else plane.valid[near]
    here = inside(area, near)
    tidied = regions.best(answers, params.min_region_size, valid)[here]
    sure = joined_margins(answers, standing).astype(np.float32)[regions.leaves[here]]
    counted = sure if valid is None else sure[valid[here]]
    confidence = float(counted.mean(dtype=np.float64)) if counted.size else 0.0
    counts = None if valid is None else valid[here]
    return Labelled(number_labels(numbers[standing], tidied, counts), confidence)
