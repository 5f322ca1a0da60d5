"""What inference finds in an image: each pixel's cluster, and the regions that vote.

The image is gone through in blocks of `BLOCK` pixels, so that the memory is bounded; a
region ends at the edge of its block.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_diffseg.core.inference import response_map
from napari_diffseg.core.network import FeatureClusteringNet
from napari_diffseg.core.plane import Plane
from napari_diffseg.core.steps import result_of
from napari_diffseg.images.hierarchy import ClusterHierarchy
from napari_diffseg.images.labels import look_up, merge_small_regions
from napari_diffseg.images.local_statistics import DEVIATION_SCALES
from napari_diffseg.images.regions import (
    Regions,
    count_votes,
    cut_into_regions,
    join_votes,
    norm_steps,
    unit_steps,
)
from napari_diffseg.images.windows import Window, inside, size, tiles, whole
from napari_diffseg.params import SegmentationParams

BLOCK = 512
"""Side of a block, in pixels."""

_CONTRAST_WEIGHT = 0.7  # of the local deviations beside the colours, where regions merge
_BLUR = 1.3  # Gaussian σ of the colours before their steps are taken, in pixels
_MARGIN_STEP = 8  # pixels; how sure a whole image is can be told from a few of them

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Clusters = NDArray[np.integer]


@dataclass(frozen=True, eq=False, slots=True)
class Partition:
    """Clusters of an image and, for the default, its regions and their votes.

    Attributes
    ----------
    clusters : ndarray of int16, (y, x)
        Cluster indices, 0 … q−1.
    valid : ndarray of bool, (y, x), or None
        Pixels that count; None where all do.
    regions : ndarray of int32, (y, x), or None
        Connected regions, from 0; None where every pixel stands for itself.
    votes : ndarray of int32, (regions, q), or None
        Pixels of each region by cluster.
    margin : float or None
        Without regions: mean difference between the two highest softmax responses.
    """

    clusters: Clusters
    valid: Mask | None
    regions: Regions | None = None
    votes: NDArray[np.int32] | None = None
    margin: float | None = None

    @classmethod
    def find(
        cls,
        network: FeatureClusteringNet,
        plane: Plane,
        device: torch.device,
        region_size: int,
        area: Window | None = None,
    ) -> Self:
        """Run the network over a plane; see `find_steps`."""
        return result_of(cls.find_steps(network, plane, device, region_size, area))

    @classmethod
    def find_steps(
        cls,
        network: FeatureClusteringNet,
        plane: Plane,
        device: torch.device,
        region_size: int,
        area: Window | None = None,
    ) -> Generator[float, None, Self]:
        """Run the network over a plane, block by block.

        Parameters
        ----------
        network : FeatureClusteringNet
            With its statistics set; on the device.
        plane : Plane
        device : torch.device
        region_size : int
            Mean area of a region in pixels; 0 for no regions.
        area : (slice, slice), optional
            The window of the plane that is wanted; the whole plane where None.

        Yields
        ------
        float
            Share of the area that is done, between two blocks.

        Returns
        -------
        Partition
            Of the area; ``y x`` are its rows and columns.
        """
        area = whole(plane.shape) if area is None else area
        clusters = np.empty(size(area), np.int16)
        regions = np.empty(size(area), np.int32) if region_size else None
        votes: list[NDArray[np.int32]] = []
        margins: list[NDArray[np.float32]] = []
        n_before = 0
        blocks = list(tiles(area, BLOCK))
        for number, window in enumerate(blocks):
            if number > 0:
                yield number / len(blocks)
            source = plane.around(window, network.radius)
            response = response_map(network, source, window, device)
            place = inside(window, area)
            clusters[place] = response.argmax(dim=0).to(torch.int16).cpu().numpy()
            if regions is None:
                margins.append(_margins(response))
                continue
            n_regions = max(count_valid(plane.valid, window) // region_size, 1)
            n_colors = plane.pixels.shape[0]
            block = block_regions(source.inputs(*window), n_colors, n_regions)
            valid = None if plane.valid is None else plane.valid[window]
            votes.append(count_votes(block, clusters[place], network.n_clusters, valid))
            regions[place] = block + n_before
            n_before += len(votes[-1])
        valid = None if plane.valid is None else plane.valid[area]
        if regions is None:
            return cls(clusters, valid, margin=float(np.concatenate(margins).mean()))
        return cls(clusters, valid, regions, np.concatenate(votes))

    def mean_margin(self, representatives: NDArray[np.int64]) -> float:
        """Return how sure the clusters are: the mean margin of the votes, or of the responses.

        Parameters
        ----------
        representatives : ndarray of int, (q,)
            The cluster that stands for each cluster.
        """
        if self.votes is None:
            return self.margin or 0.0
        votes = join_votes(self.votes, representatives)
        best = np.partition(votes, -2, axis=1)[:, -2:]
        n_pixels = int(votes.sum())
        return float((best[:, 1] - best[:, 0]).sum() / n_pixels) if n_pixels else 0.0

    def clusters_for(self, representatives: NDArray[np.int64], min_region_size: int) -> Clusters:
        """Return the clusters ``(y, x)`` after merging, voting and tidying up.

        Parameters
        ----------
        representatives : ndarray of int, (q,)
            The cluster that stands for each cluster.
        min_region_size : int
            Smaller connected pieces join a neighbour, pixels.
        """
        if self.regions is None or self.votes is None:
            merged = look_up(representatives.astype(np.int16), self.clusters)
        else:
            standing = np.unique(representatives)
            together = [self.votes[:, representatives == one].sum(axis=1) for one in standing]
            elected = standing[np.argmax(together, axis=0)]
            merged = look_up(elected.astype(np.int16), self.regions)
        return merge_small_regions(merged, min_region_size, self.valid)


def _margins(response: torch.Tensor) -> NDArray[np.float32]:
    """Return the margins between the two highest responses, of every so manieth pixel."""
    few = response[:, ::_MARGIN_STEP, ::_MARGIN_STEP].softmax(dim=0)
    best = few.topk(2, dim=0).values
    margins: NDArray[np.float32] = (best[0] - best[1]).flatten().cpu().numpy()
    return margins


def merged_clusters(
    partition: Partition, hierarchy: ClusterHierarchy, params: SegmentationParams
) -> Clusters:
    """Return the clusters ``(y, x)`` that are left at the wanted number of labels."""
    representatives = hierarchy.at_most(params.n_labels)
    return partition.clusters_for(representatives, params.min_region_size)


def count_valid(valid: Mask | None, window: Window) -> int:
    """Count the valid pixels of a window."""
    if valid is None:
        height, width = size(window)
        return height * width
    return int(np.count_nonzero(valid[window]))


def block_regions(inputs: Floats, n_colors: int, n_regions: int) -> Regions:
    """Cut one block into regions by the steps of its colours.

    Parameters
    ----------
    inputs : ndarray of float32, (d, y, x)
        What the network sees: the pixel's own channels first, its deviations last.
    n_colors : int
        How many of the inputs are the pixel's own channels.
    n_regions : int
        How many regions are wanted.

    Returns
    -------
    ndarray of int32, (y, x)
        Regions from 0. They do not depend on the training, and so not on its seed.
    """
    colors = inputs[:n_colors]
    contrasts = _CONTRAST_WEIGHT * inputs[-len(DEVIATION_SCALES) : -1]
    steps = unit_steps(norm_steps(gaussian_filter(colors, _BLUR, axes=(1, 2))))
    return cut_into_regions(np.concatenate([colors, contrasts]), steps, n_regions)
