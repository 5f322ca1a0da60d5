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
from torch import Tensor

from napari_diffseg.core.inference import Window, response_map, tiles
from napari_diffseg.core.network import FeatureClusteringNet
from napari_diffseg.core.plane import Plane
from napari_diffseg.images.hierarchy import ClusterHierarchy
from napari_diffseg.images.labels import merge_small_regions
from napari_diffseg.images.local_statistics import DEVIATION_SCALES
from napari_diffseg.images.regions import (
    Regions,
    Steps,
    count_votes,
    cut_into_regions,
    unit_steps,
)
from napari_diffseg.params import SegmentationParams

BLOCK = 512
"""Side of a block, in pixels."""

_CONTRAST_WEIGHT = 0.7  # of the local deviations beside the colours, where regions merge
_BLUR = 1.0  # Gaussian σ of the colours before their steps are taken, in pixels

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
    """

    clusters: Clusters
    valid: Mask | None
    regions: Regions | None = None
    votes: NDArray[np.int32] | None = None

    @classmethod
    def find(
        cls,
        network: FeatureClusteringNet,
        plane: Plane,
        device: torch.device,
        region_size: int,
    ) -> Self:
        """Run the network over a plane; see `find_steps`."""
        steps = cls.find_steps(network, plane, device, region_size)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                partition: Self = end.value
                return partition

    @classmethod
    def find_steps(
        cls,
        network: FeatureClusteringNet,
        plane: Plane,
        device: torch.device,
        region_size: int,
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

        Yields
        ------
        float
            Share of the plane that is done, between two blocks.

        Returns
        -------
        Partition
        """
        height, width = plane.shape
        clusters = np.empty((height, width), np.int16)
        regions = np.empty((height, width), np.int32) if region_size else None
        votes: list[NDArray[np.int32]] = []
        n_before = 0
        blocks = list(tiles((slice(0, height), slice(0, width)), BLOCK))
        for number, window in enumerate(blocks):
            if number > 0:
                yield number / len(blocks)
            response = response_map(network, plane, window, device)
            clusters[window] = response.argmax(dim=0).to(torch.int16).cpu().numpy()
            if regions is None:
                continue
            block = _block_regions(plane, window, response, region_size)
            valid = None if plane.valid is None else plane.valid[window]
            votes.append(count_votes(block, clusters[window], network.n_clusters, valid))
            regions[window] = block + n_before
            n_before += len(votes[-1])
        return cls(clusters, plane.valid, regions, np.concatenate(votes) if votes else None)

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
            merged = representatives[self.clusters]
        else:
            standing = np.unique(representatives)
            together = [self.votes[:, representatives == one].sum(axis=1) for one in standing]
            elected = standing[np.argmax(together, axis=0)]
            merged = elected[self.regions]
        return merge_small_regions(merged.astype(np.int16), min_region_size, self.valid)


def merged_clusters(
    partition: Partition, hierarchy: ClusterHierarchy, params: SegmentationParams
) -> Clusters:
    """Return the clusters ``(y, x)`` that are left at the wanted number of labels."""
    representatives = hierarchy.at_most(params.n_labels)
    return partition.clusters_for(representatives, params.min_region_size)


def _block_regions(plane: Plane, window: Window, response: Tensor, region_size: int) -> Regions:
    """Cut one block into regions by the steps of its colours and of its response."""
    inputs = plane.inputs(*window)
    n_colors = plane.pixels.shape[0]
    colors = inputs[:n_colors]
    contrasts = _CONTRAST_WEIGHT * inputs[-len(DEVIATION_SCALES) : -1]
    smooth = gaussian_filter(colors, _BLUR, axes=(1, 2))
    seen = unit_steps(_norm_steps(smooth))
    felt = unit_steps(_response_steps(response))
    steps = (seen[0] + felt[0], seen[1] + felt[1])
    n_counted = colors[0].size if plane.valid is None else int(plane.valid[window].sum())
    n_regions = max(n_counted // region_size, 1)
    return cut_into_regions(np.concatenate([colors, contrasts]), steps, n_regions)


def _norm_steps(channels: Floats) -> Steps:
    """Euclidean length of the differences along x and along y."""
    along_x, along_y = np.diff(channels, axis=2), np.diff(channels, axis=1)
    return np.sqrt((along_x**2).sum(axis=0)), np.sqrt((along_y**2).sum(axis=0))


def _response_steps(response: Tensor) -> Steps:
    """Mean over the clusters of the differences' size: what the continuity loss sums up."""
    along_x, along_y = (response.diff(dim=dim).abs().mean(dim=0) for dim in (2, 1))
    return along_x.cpu().numpy(), along_y.cpu().numpy()
