"""What the classifier of painted classes is shown of each pixel, window by window.

Three kinds, one after the other: what the network sees (`images.local_statistics`), wider
and sharper statistics (`images.structure`), and what the network makes of it, the softmax
of its responses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_diffseg.core.inference import LEAST_READ, response_map
from napari_diffseg.core.network import FeatureClusteringNet, farthest_planes
from napari_diffseg.core.plane import HeldInputs, Plane
from napari_diffseg.images.local_statistics import local_radius
from napari_diffseg.images.pairs import neighbours
from napari_diffseg.images.pieces import block_shape
from napari_diffseg.images.region_graph import Side
from napari_diffseg.images.regions import Regions, norm_steps
from napari_diffseg.images.space import Space
from napari_diffseg.images.structure import (
    n_structure_statistics,
    structure_radius,
    structure_statistics,
)
from napari_diffseg.images.windows import Shape, Window, grow, inside, size, tiles

_BLUR = 0.7  # Gaussian σ of the colours before their steps are taken, in pixels
_BLUR_RADIUS = 3


def statistics_reach(space: Space) -> tuple[int, ...]:
    """Return how far along each axis, in pixels, a statistic depends on the inputs around.

    Those that the network sees count too.
    """
    radius = structure_radius(space)
    if space.is_volume:
        # Across planes a network of many blocks looks farther than the widest statistic.
        return (max(radius[0], farthest_planes(space)), *radius[1:])
    return tuple(max(one, LEAST_READ) for one in radius)


Floats = NDArray[np.float32]


def margin(space: Space) -> Shape:
    """Return how many pixels around a window, along each axis, its labels depend on."""
    both = zip(statistics_reach(space), local_radius(space), strict=True)
    return tuple(wide + local for wide, local in both)


@dataclass(frozen=True, eq=False, slots=True)
class PixelStatistics:
    """Computes the statistics of the windows of an image.

    Attributes
    ----------
    network : FeatureClusteringNet
        The trained one, on the device.
    plane : Plane
        The image, with the first stage of the default.
    rgb : bool
        Whether the image is red, green, blue.
    device : torch.device
        Where the network is.
    """

    network: FeatureClusteringNet
    plane: Plane
    rgb: bool
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def n_statistics(self) -> int:
        """How many statistics there are of a pixel (d)."""
        n_structure = n_structure_statistics(self.plane.n_colors, self.plane.space)
        return self.network.n_inputs + n_structure + self.network.n_clusters

    def of(self, window: Window, threads: int = 0) -> Floats:
        """Return the statistics of a window, ``d (z) y x``; 0 threads: torch's number."""
        space = self.plane.space
        if self.plane.is_blank(window):
            return np.zeros((self.n_statistics, *size(window)), np.float32)
        near = grow(window, statistics_reach(space), self.plane.shape)
        inputs = self.plane.inputs(near, threads)
        place = inside(window, near)
        # No further than they depend on it: the filters cost by the pixel.
        close = grow(window, structure_radius(space), self.plane.shape)
        structure = structure_statistics(
            inputs[: self.plane.n_colors, *inside(close, near)],
            rgb=self.rgb,
            threads=threads or torch.get_num_threads(),
            space=space,
        )
        source = HeldInputs(self.plane.shape, near, inputs)
        response = response_map(self.network, source, window, self.device)
        # In memory the clusters of a pixel lie side by side: several times faster so.
        shares = response.movedim(0, -1).softmax(dim=-1).movedim(-1, 0).cpu().numpy()
        n_inputs, n_shares = len(inputs), len(shares)
        statistics = np.empty((n_inputs + len(structure) + n_shares, *size(window)), np.float32)
        statistics[:n_inputs] = inputs[:, *place]
        statistics[n_inputs:-n_shares] = structure[:, *inside(window, close)]
        statistics[-n_shares:] = shares
        return statistics

    def sides(self, regions: Regions, area: Window) -> Iterator[Side]:
        """Yield, block by block, the regions on both sides of every step, and the step.

        Parameters
        ----------
        regions : ndarray of int, (y, x) or (z, y, x)
            Of the area.
        area : tuple of slice
            Of the image.

        Notes
        -----
        The step is a slope: across planes that are far apart it is divided by the distance.
        A border between planes is one pixel large, one within them as high as planes are
        apart; and what spreads has as far to go as the planes are apart. So a border
        between planes weighs 1 / distance², beside one within them.
        """
        space = self.plane.space
        reach = tuple(min(_BLUR_RADIUS, max(one, 1)) + 1 for one in space.reach(_BLUR_RADIUS))
        for window in tiles(area, block_shape(space)):
            if self.plane.is_blank(window):
                continue
            # One row and one column more, for the steps across the seams.
            wider = tuple(
                slice(side.start, min(side.stop + 1, limits.stop))
                for side, limits in zip(window, area, strict=True)
            )
            near = grow(window, reach, self.plane.shape)
            smooth = gaussian_filter(
                self.plane.colors(near),
                space.along(_BLUR),
                axes=tuple(range(1, 1 + space.n_axes)),
                radius=tuple(one - 1 for one in reach),
            )
            steps = norm_steps(smooth[:, *inside(wider, near)])
            here = regions[inside(wider, area)]
            for place, step in enumerate(steps):
                axis = here.ndim - 1 - place
                # Along the other axes no further than the window.
                own = tuple(
                    slice(None) if other == axis else slice(length)
                    for other, length in enumerate(size(window))
                )
                before, after = neighbours(here[own], axis)
                distance = space.steps[axis]
                yield before, after, step[own] / np.float32(distance), distance**-2
