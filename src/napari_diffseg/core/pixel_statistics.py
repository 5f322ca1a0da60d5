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
from napari_diffseg.core.network import FeatureClusteringNet
from napari_diffseg.core.plane import HeldInputs, Plane
from napari_diffseg.images.region_graph import Side
from napari_diffseg.images.regions import Regions, norm_steps
from napari_diffseg.images.structure import STRUCTURE_RADIUS, structure_statistics
from napari_diffseg.images.windows import Window, grow, inside, size, tiles

REACH = max(STRUCTURE_RADIUS, LEAST_READ)
"""How far, in pixels, a statistic depends on the inputs around: those of the network too."""

_BLUR = 0.7  # Gaussian σ of the colours before their steps are taken, in pixels
_BLUR_RADIUS = 3

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False, slots=True)
class PixelStatistics:
    """Computes the statistics of the windows of a plane.

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
    def n_colors(self) -> int:
        """How many of the inputs are the pixel's own perceptual channels; they come first."""
        return int(self.plane.pixels.shape[0])

    def of(self, window: Window) -> Floats:
        """Return the statistics of a window, ``d y x``."""
        near = grow(window, REACH, self.plane.shape)
        inputs = self.plane.inputs(*near)
        place = inside(window, near)
        # No further than they depend on it: the filters cost by the pixel.
        close = grow(window, STRUCTURE_RADIUS, self.plane.shape)
        structure = structure_statistics(
            inputs[: self.n_colors, *inside(close, near)],
            rgb=self.rgb,
            threads=torch.get_num_threads(),
        )
        source = HeldInputs(self.plane.shape, (near[0].start, near[1].start), inputs)
        response = response_map(self.network, source, window, self.device)
        # In memory the clusters of a pixel lie side by side: several times faster so.
        shares = response.permute(1, 2, 0).softmax(dim=-1).permute(2, 0, 1).cpu().numpy()
        n_inputs, n_shares = len(inputs), len(shares)
        statistics = np.empty((n_inputs + len(structure) + n_shares, *size(window)), np.float32)
        statistics[:n_inputs] = inputs[:, *place]
        statistics[n_inputs:-n_shares] = structure[:, *inside(window, close)]
        statistics[-n_shares:] = shares
        return statistics

    def sides(self, regions: Regions, area: Window, side: int) -> Iterator[Side]:
        """Yield, block by block, the regions on both sides of every step, and the step.

        Parameters
        ----------
        regions : ndarray of int, (y, x)
            Of the area.
        area : (slice, slice)
            Rows and columns of the plane.
        side : int
            Of a block, pixels.
        """
        for window in tiles(area, side):
            rows, columns = window
            # One row and one column more, for the steps across the seams.
            wider = (
                slice(rows.start, min(rows.stop + 1, area[0].stop)),
                slice(columns.start, min(columns.stop + 1, area[1].stop)),
            )
            near = grow(window, _BLUR_RADIUS + 1, self.plane.shape)
            smooth = gaussian_filter(
                self.plane.colors(*near), _BLUR, axes=(1, 2), radius=_BLUR_RADIUS
            )
            height, width = size(window)
            along_x, along_y = norm_steps(smooth[:, *inside(wider, near)])
            here = regions[inside(wider, area)]
            yield here[:height, :-1], here[:height, 1:], along_x[:height]
            yield here[:-1, :width], here[1:, :width], along_y[:, :width]
