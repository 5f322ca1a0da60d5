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

from napari_diffseg.core.inference import Window, response_map, tiles
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
    norm_steps,
    unit_steps,
)
from napari_diffseg.params import SegmentationParams

BLOCK = 512
"""Side of a block, in pixels."""

_CONTRAST_WEIGHT = 0.7  # of the local deviations beside the colours, where regions merge
_BLUR = 1.3  # Gaussian σ of the colours before their steps are taken, in pixels

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
        return result_of(cls.find_steps(network, plane, device, region_size))

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
            source = plane.around(window, network.radius)
            response = response_map(network, source, window, device)
            clusters[window] = response.argmax(dim=0).to(torch.int16).cpu().numpy()
            if regions is None:
                continue
            n_regions = max(count_valid(plane.valid, window) // region_size, 1)
            n_colors = plane.pixels.shape[0]
            block = block_regions(source.inputs(*window), n_colors, n_regions)
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
            merged = look_up(representatives.astype(np.int16), self.clusters)
        else:
            standing = np.unique(representatives)
            together = [self.votes[:, representatives == one].sum(axis=1) for one in standing]
            elected = standing[np.argmax(together, axis=0)]
            merged = look_up(elected.astype(np.int16), self.regions)
        return merge_small_regions(merged, min_region_size, self.valid)


def merged_clusters(
    partition: Partition, hierarchy: ClusterHierarchy, params: SegmentationParams
) -> Clusters:
    """Return the clusters ``(y, x)`` that are left at the wanted number of labels."""
    representatives = hierarchy.at_most(params.n_labels)
    return partition.clusters_for(representatives, params.min_region_size)


def count_valid(valid: Mask | None, window: Window) -> int:
    """Count the valid pixels of a window."""
    rows, columns = window
    if valid is None:
        n_pixels: int = (rows.stop - rows.start) * (columns.stop - columns.start)
        return n_pixels
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
