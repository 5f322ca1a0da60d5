"""The leaves of a whole image, window by window, computed once and kept between strokes.

Each window is cut together with a margin around it, from which labels spread into it: what is
found within a window does not tell where it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
import torch

from napari_diffseg.core.clusters.class_head import ClassHead
from napari_diffseg.core.device import in_turn, threads_for
from napari_diffseg.core.features.pyramid import KeptPlanes
from napari_diffseg.core.features.region_map import RegionMap
from napari_diffseg.core.plane import Plane
from napari_diffseg.image.arrays import Floats, Integers
from napari_diffseg.image.pieces import spread_margin, window_shape
from napari_diffseg.image.windows import Window, grow, inside, tiles, whole
from napari_diffseg.params import SegmentationParams

_MOST_KEPT = 16 * 1024 * 1024
"""Pixels whose leaves are kept; the windows of a larger image are cut anew when asked for."""

Found = TypeVar("Found")


class Groundwork:
    """The part of labelling an image that no stroke changes; each window made when first used.

    `known` are the leaves of the whole image, where it is one window and they are known already.
    """

    def __init__(self, plane: Plane, device: torch.device, known: RegionMap | None = None) -> None:
        self.plane = plane
        self.device = device
        self._kept: dict[tuple[int, ...], RegionMap] = {}
        self._seen = KeptPlanes.of(plane.shape)
        if known is not None and len(self.windows) == 1:
            self._kept[self._corner(self.windows[0])] = known

    @property
    def is_known(self) -> bool:
        """Whether the image is one window, whose leaves are known."""
        return len(self.windows) == 1 and bool(self._kept)

    @property
    def windows(self) -> list[Window]:
        """The windows that the image is gone through in; those with nothing to label left out."""
        shape = self.plane.shape
        every = tiles(whole(shape), window_shape(shape))
        return [window for window in every if not self.plane.is_blank(window)]

    def near(self, window: Window) -> Window:
        """Return a window with the margin from which labels spread into it."""
        return grow(window, spread_margin(len(window)), self.plane.shape)

    def regions(self, window: Window) -> RegionMap:
        """Return the leaves of a window and its margin."""
        corner = self._corner(window)
        if corner in self._kept:
            return self._kept[corner]
        plane = replace(self.plane, kept=self._seen)
        found = plane.regions(self.near(window), self.device)
        if window == self.windows[-1]:  # nobody asks for these planes soon
            self._seen = KeptPlanes.of(plane.shape)
        if np.prod(self.plane.shape) <= _MOST_KEPT:
            self._kept[corner] = found
        return found

    def answers(
        self, window: Window, head: ClassHead, smoothness: float, painted: Integers | None = None
    ) -> tuple[RegionMap, Floats]:
        """Return the leaves around a window, and the probabilities ``(n, k)`` of each.

        Where something is painted, its index of class for each pixel of the image; −1 for none.
        """
        regions = self.regions(window)
        given = None
        if painted is not None:
            given = regions.given(painted[self.near(window)], head.n_classes)
        return regions, regions.spread(head, smoothness, given)

    def best(
        self,
        window: Window,
        head: ClassHead,
        params: SegmentationParams,
        painted: Integers | None = None,
        known: Floats | None = None,
    ) -> Integers:
        """Return the most probable class of each pixel of a window, its index.

        Small pieces join their neighbours, as far as these lie around the window: as where a model
        is applied, which sees no more. The answers ``(n, k)`` may be known already.
        """
        near, valid = self.near(window), self.plane.valid
        if known is None:  # not cut twice: the leaves of large images are not kept
            regions, known = self.answers(window, head, params.continuity_weight, painted)
        else:
            regions = self.regions(window)
        counted = None if valid is None else valid[near]
        return regions.best(known, params.min_region_size, counted)[inside(window, near)]

    def in_turn(
        self, work: Callable[[Window], Found], windows: Sequence[Window] | None = None
    ) -> Iterator[tuple[Window, Found] | None]:
        """Do work on each window, of volumes several at a time; None now and then, as `in_turn`."""
        windows = self.windows if windows is None else windows
        n_colors = self.plane.pixels.shape[0]
        n_threads = threads_for(self.device, self.plane.shape, n_colors) if len(windows) > 1 else 1
        waiting = iter(windows)
        for found in in_turn((partial(work, window) for window in windows), n_threads):
            yield None if found is None else (next(waiting), found)

    @staticmethod
    def _corner(window: Window) -> tuple[int, ...]:
        return tuple(side.start for side in window)


def cluster_steps(
    ground: Groundwork, head: ClassHead, params: SegmentationParams, known: Floats | None = None
) -> Generator[float, None, Integers]:
    """Find the cluster of every pixel, int16 from 0, window by window; small pieces join.

    Yields the share of the image that is done. The answers ``(n, q)`` for an image of one window
    may be known already.
    """
    clusters = np.zeros(ground.plane.shape, np.int16)
    n_windows, n_done = len(ground.windows), 0
    for done in ground.in_turn(partial(ground.best, head=head, params=params, known=known)):
        if done is not None:
            window, found = done
            clusters[window] = found
            n_done += 1
        if n_done < n_windows:
            yield n_done / n_windows
    return clusters
