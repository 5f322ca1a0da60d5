"""What inference finds in an image: each pixel's cluster, and the regions that vote.

The image is gone through in blocks, so that the memory is bounded; a region ends at the edge
of its block. The blocks of a volume are computed several at a time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_diffseg.core.device import thread_limit
from napari_diffseg.core.inference import response_map
from napari_diffseg.core.network import FeatureClusteringNet
from napari_diffseg.core.plane import Plane
from napari_diffseg.core.steps import result_of
from napari_diffseg.images.hierarchy import ClusterHierarchy
from napari_diffseg.images.labels import look_up, merge_small_regions
from napari_diffseg.images.pieces import block_shape
from napari_diffseg.images.regions import (
    Regions,
    count_votes,
    cut_into_regions,
    join_votes,
    norm_steps,
    unit_steps,
)
from napari_diffseg.images.space import Space
from napari_diffseg.images.windows import Shape, Window, inside, size, tiles, whole
from napari_diffseg.params import SegmentationParams

_CONTRAST_WEIGHT = 0.7  # of the local deviations beside the colours, where regions merge
_BLUR = 1.3  # Gaussian σ of the colours before their steps are taken, in pixels
_MARGIN_STEP = 8  # pixels; how sure a whole image is can be told from a few of them

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Clusters = NDArray[np.integer]
Found = TypeVar("Found")


@dataclass(frozen=True, eq=False, slots=True)
class Partition:
    """Clusters of an image and, for the default, its regions and their votes.

    Attributes
    ----------
    clusters : ndarray of int16, (y, x) or (z, y, x)
        Cluster indices, 0 … q−1.
    valid : ndarray of bool, or None
        Pixels that count; None where all do.
    regions : ndarray of int32, or None
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
        """Run the network over an image; see `find_steps`."""
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
        """Run the network over an image, block by block.

        Parameters
        ----------
        network : FeatureClusteringNet
            With its statistics set; on the device.
        plane : Plane
        device : torch.device
        region_size : int
            Mean size of a region in pixels; 0 for no regions.
        area : tuple of slice, optional
            The window that is wanted; all where None.

        Yields
        ------
        float
            Share of the area that is done, between two blocks.

        Returns
        -------
        Partition
            Of the area.
        """
        area = whole(plane.shape) if area is None else area
        clusters = np.empty(size(area), np.int16)
        regions = np.empty(size(area), np.int32) if region_size else None
        votes: list[NDArray[np.int32]] = []
        margins: list[NDArray[np.float32]] = []
        n_before = 0
        windows = list(tiles(area, block_shape(plane.space)))
        blocks = in_order(
            windows,
            lambda window, threads: _find_block(
                network, plane, device, region_size, window, threads
            ),
            plane.space,
        )
        for number, (window, block) in enumerate(zip(windows, blocks, strict=True)):
            if number > 0:
                yield number / len(windows)
            place = inside(window, area)
            clusters[place] = block.clusters
            if regions is None or block.regions is None or block.votes is None:
                margins.append(block.margins)
                continue
            votes.append(block.votes)
            regions[place] = block.regions + n_before
            n_before += len(block.votes)
        valid = None if plane.valid is None else plane.valid[area]
        if regions is None:
            sampled = np.concatenate(margins)
            return cls(clusters, valid, margin=float(sampled.mean()) if sampled.size else 0.0)
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


@dataclass(frozen=True, eq=False, slots=True)
class _Block:
    """What is found in one block."""

    clusters: Clusters
    margins: NDArray[np.float32]
    regions: Regions | None = None
    votes: NDArray[np.int32] | None = None


def _find_block(
    network: FeatureClusteringNet,
    plane: Plane,
    device: torch.device,
    region_size: int,
    window: Window,
    threads: int,
) -> _Block:
    if plane.is_blank(window):
        return _blank(size(window), network.n_clusters, region_size)
    source = plane.around(window, network.radius, threads)
    response = response_map(network, source, window, device)
    clusters = response.argmax(dim=0).to(torch.int16).cpu().numpy()
    if not region_size:
        return _Block(clusters, _margins(response))
    n_regions = max(count_valid(plane.valid, window) // region_size, 1)
    regions = block_regions(source.inputs(window), plane, n_regions)
    valid = None if plane.valid is None else plane.valid[window]
    votes = count_votes(regions, clusters, network.n_clusters, valid)
    return _Block(clusters, np.zeros(0, np.float32), regions, votes)


def _blank(shape: Shape, n_clusters: int, region_size: int) -> _Block:
    """Return what a block is whose pixels do not count."""
    clusters = np.zeros(shape, np.int16)
    if not region_size:
        return _Block(clusters, np.zeros(0, np.float32))
    votes = np.zeros((1, n_clusters), np.int32)
    return _Block(clusters, np.zeros(0, np.float32), np.zeros(shape, np.int32), votes)


def in_order(
    windows: Sequence[Window], find: Callable[[Window, int], Found], space: Space
) -> Iterator[Found]:
    """Compute something of each window, in their order; of volumes, several at a time.

    Parameters
    ----------
    windows : sequence of tuple of slice
    find : callable
        Told the window, and how many threads it may use.
    space : Space
        A plane's windows are computed one after the other, each on all threads: a first
        part is there sooner, and filters and convolutions share the work well.
    """
    threads = torch.get_num_threads()
    if not space.is_volume or threads == 1 or len(windows) == 1:
        for window in windows:
            yield find(window, threads)
        return
    # A bounded number at a time, so that memory is bounded too.
    with ThreadPoolExecutor(threads) as pool, thread_limit(1):
        waiting: deque[Future[Found]] = deque()
        for window in windows:
            waiting.append(pool.submit(find, window, 1))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _margins(response: torch.Tensor) -> NDArray[np.float32]:
    """Return the margins between the two highest responses, of every so manieth pixel."""
    few = response[:, ..., ::_MARGIN_STEP, ::_MARGIN_STEP].softmax(dim=0)
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
        return math.prod(size(window))
    return int(np.count_nonzero(valid[window]))


def block_regions(inputs: Floats, plane: Plane, n_regions: int) -> Regions:
    """Cut one block into regions by the steps of its colours.

    Parameters
    ----------
    inputs : ndarray of float32, (d, y, x) or (d, z, y, x)
        What the network sees: the pixel's own channels first, its deviations last.
    plane : Plane
        The image that the block is of.
    n_regions : int
        How many regions are wanted.

    Returns
    -------
    ndarray of int32, (y, x) or (z, y, x)
        Regions from 0. They do not depend on the training, and so not on its seed. Where
        the planes of a volume are too far apart, each lies within one plane.
    """
    space = plane.space
    if space.is_dense or not space.is_volume:
        return _cut(inputs, plane, n_regions, space.along(_BLUR))
    regions = np.empty(inputs.shape[1:], np.int32)
    n_before = 0
    for z in range(inputs.shape[1]):
        cut = _cut(inputs[:, z], plane, max(n_regions // inputs.shape[1], 1), (_BLUR, _BLUR))
        regions[z] = cut + n_before
        n_before += int(cut.max()) + 1
    return regions


def _cut(inputs: Floats, plane: Plane, n_regions: int, blur: tuple[float, ...]) -> Regions:
    colors = inputs[: plane.n_colors]
    # All but the widest. Without a first stage there is none.
    n_inputs = len(inputs)
    contrasts = _CONTRAST_WEIGHT * inputs[n_inputs - plane.n_contrasts : n_inputs - 1]
    smooth = gaussian_filter(colors, blur, axes=tuple(range(1, inputs.ndim)))
    steps = unit_steps(norm_steps(smooth))
    return cut_into_regions(np.concatenate([colors, contrasts]), steps, n_regions)
