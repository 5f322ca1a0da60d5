"""What scribbles are learned from, computed once for an image and kept between strokes.

Small regions along the image's boundaries, the graph of their neighbours, and what is known
of each: its local statistics (`images.local_statistics`), its wide ones
(`images.structure`), and what the unsupervised network makes of it, the softmax of its
responses. A stroke then costs little: the classifier is fitted and spread on regions, not
on pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.core.class_head import Scaling
from napari_diffseg.core.network import FeatureClusteringNet
from napari_diffseg.core.partition import block_regions, count_valid, in_order
from napari_diffseg.core.pixel_statistics import PixelStatistics
from napari_diffseg.core.plane import Plane
from napari_diffseg.images.pieces import block_shape
from napari_diffseg.images.region_graph import RegionGraph
from napari_diffseg.images.regions import Regions, count_votes
from napari_diffseg.images.windows import Window, tiles, whole

REGION_SIZE = 100
"""Mean size of the regions that strokes spread over, in pixels."""

_MOST_KEPT = 2**27
"""Numbers (float32) of statistics that are kept; those of a larger image are computed anew."""

_STRUCTURE_SHARE = 0.5  # of the wide statistics' spread: the local ones come first
_RESPONSE_SHARE, _RESPONSE_SHARE_ACROSS = 3.0, 0.1  # of the responses, 0 … 1; of volumes

Floats = NDArray[np.floating[Any]]


class Groundwork:
    """The part of a correction that no stroke changes; each piece computed when first used.

    Parameters
    ----------
    network : FeatureClusteringNet
        The trained one, on the CPU: its responses are among the statistics.
    plane : Plane
        The image, with the first stage of the default.
    rgb : bool
        Whether the image is red, green, blue.
    like : Groundwork, optional
        That of another image, whose scaling of the statistics counts here too; measured on
        this image where None.
    """

    def __init__(
        self,
        network: FeatureClusteringNet,
        plane: Plane,
        *,
        rgb: bool,
        like: Groundwork | None = None,
    ) -> None:
        self.network = network
        self.plane = plane
        self.rgb = rgb
        self._pixels = PixelStatistics(network, plane, rgb)
        self._like = like
        self._kept: dict[tuple[int, ...], NDArray[np.float32]] = {}

    @property
    def windows(self) -> list[Window]:
        """The blocks that the image is gone through in."""
        return list(tiles(whole(self.plane.shape), block_shape(self.plane.space)))

    @property
    def regions(self) -> Regions:
        """Regions ``(y, x)`` or ``(z, y, x)``, from 0."""
        return self._survey.regions

    @property
    def votes(self) -> NDArray[np.int32]:
        """Pixels of each region by cluster, ``(n, q)``."""
        return self._survey.votes

    @property
    def scaling(self) -> Scaling:
        """Mean and spread of the statistics."""
        return self._survey.scaling if self._like is None else self._like.scaling

    @cached_property
    def rows(self) -> Floats:
        """Standardised mean statistics of each region, ``(n, d)``."""
        return self.scaling.scale(self._survey.means)

    @cached_property
    def graph(self) -> RegionGraph:
        """Regions and their neighbours."""
        return RegionGraph.build(
            self._survey.areas, self._pixels.sides(self.regions, whole(self.plane.shape))
        )

    def statistics(self, window: Window, threads: int = 0) -> NDArray[np.float32]:
        """Return the statistics of one of the `windows`, ``d (z) y x``."""
        corner = tuple(side.start for side in window)
        if corner in self._kept:
            return self._kept[corner]
        statistics = self._pixels.of(window, threads)
        if len(statistics) * math.prod(self.plane.shape) <= _MOST_KEPT:
            self._kept[corner] = statistics
        return statistics

    def forget_statistics(self) -> None:
        """Free the memory that the statistics of pixels take; they are computed anew if asked."""
        self._kept.clear()

    def rows_at(self, places: NDArray[np.intp]) -> Floats:
        """Return the standardised statistics of some pixels ``(axes, n)``, as ``(n, d)``."""
        found = np.zeros((places.shape[1], self.rows.shape[1]), np.float32)
        for window in self.windows:
            starts, stops = (
                np.array([[getattr(side, end)] for side in window]) for end in ("start", "stop")
            )
            here = ((places >= starts) & (places < stops)).all(axis=0)
            if here.any():
                found[here] = self.statistics(window)[:, *(places[:, here] - starts)].T
        return self.scaling.scale(found)

    @cached_property
    def _survey(self) -> _Survey:
        """Cut the image into regions and measure them; one pass over the image."""
        regions = np.empty(self.plane.shape, np.int32)
        areas, sums, votes = [], [], []
        total, squares = 0.0, np.zeros(1)
        n_inputs, n_clusters = self.network.n_inputs, self.network.n_clusters
        n_before = 0
        found = in_order(self.windows, self.statistics, self.plane.space)
        for window, statistics in zip(self.windows, found, strict=True):
            valid = None if self.plane.valid is None else self.plane.valid[window]
            n_regions = max(count_valid(self.plane.valid, window) // REGION_SIZE, 1)
            if self.plane.is_blank(window):
                block = np.zeros(statistics.shape[1:], np.int32)
            else:
                block = block_regions(statistics[:n_inputs], self.plane, n_regions)
            clusters = statistics[-n_clusters:].argmax(axis=0)
            votes.append(count_votes(block, clusters, n_clusters, valid))
            areas.append(votes[-1].sum(axis=1))
            counted = slice(None) if valid is None else valid.ravel()
            values = statistics.reshape(len(statistics), -1)[:, counted]
            member, n_found = block.ravel()[counted], len(areas[-1])
            sums.append(np.stack([np.bincount(member, one, n_found) for one in values], axis=1))
            squares = squares + np.einsum("dn,dn->d", values, values)
            total += areas[-1].sum()
            regions[window] = block + n_before
            n_before += len(areas[-1])
        area, added = np.concatenate(areas), np.concatenate(sums)
        mean = added.sum(axis=0, dtype=np.float64) / total
        spread = np.sqrt(np.maximum(squares / total - mean**2, 0))
        return _Survey(
            regions,
            np.concatenate(votes),
            area.astype(np.float64),
            added / np.maximum(area, 1)[:, None],
            self._weighed(mean, spread),
        )

    def _weighed(self, means: Floats, spreads: Floats) -> Scaling:
        """Weigh the kinds of statistics against each other; responses keep their scale."""
        n_responses = self.network.n_clusters
        n_inputs = self.network.n_inputs
        spreads[n_inputs:-n_responses] /= _STRUCTURE_SHARE
        is_dense = self.network.space.is_dense
        spreads[-n_responses:] = 1 / (_RESPONSE_SHARE_ACROSS if is_dense else _RESPONSE_SHARE)
        means[-n_responses:] = 0
        return Scaling.of(means, spreads)


@dataclass(frozen=True, eq=False, slots=True)
class _Survey:
    """Regions of an image and what was measured of them."""

    regions: Regions
    votes: NDArray[np.int32]
    areas: Floats
    means: Floats
    scaling: Scaling
