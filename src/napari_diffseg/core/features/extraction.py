"""What the default sees of each pixel: features of a network that saw simulated images, and colour.

Stage by stage (``c`` channels, ``s`` scales)::

    colours      c (z) y x   CIE Lab of RGB, else the intensity between its percentiles
    components   3 y x       principal components of the colours: one pass, any number of channels
    features     s·32 y x    of the image at full, half and quarter size, each of unit length
    inputs       n d         principal components of the features, colours: means of regions
    edges        (z) y x     how sure the network is that something ends at the pixel

Volumes are seen plane by plane; where planes are near, their features are smoothed along z.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from napari_diffseg.core.device import each_of, threads_for
from napari_diffseg.core.features.colors import (
    Samples,
    colors_of,
    components,
    find_gammas,
    measure_colors,
)
from napari_diffseg.core.features.network import N_CHANNELS
from napari_diffseg.core.features.pyramid import (
    GRID,
    HALO,
    SCALES,
    KeptPlanes,
    Seen,
    see,
    surroundings,
    together,
)
from napari_diffseg.core.features.weights import feature_basis
from napari_diffseg.core.gpu import regions
from napari_diffseg.core.gpu.arrays import (
    Array,
    clip,
    in_memory,
    joined,
    like,
    mean,
    on,
    total,
    turned,
)
from napari_diffseg.core.gpu.pixels import slope_of
from napari_diffseg.image.arrays import Mask
from napari_diffseg.image.intensity import Pixels
from napari_diffseg.image.space import PLANE, Space
from napari_diffseg.image.windows import Shape, Window, grow, inside, size, whole
from napari_diffseg.numeric.leaves import color_slope, leaf_means

Floats = NDArray[np.float32]

N_COMPONENTS = 24
"""Principal components of the features that are kept: as good as all 96."""

_COLOR_WEIGHT, _GRAY_WEIGHT = 1.0, 0.5  # of the colours beside the features
_BELOW, _ABOVE = -0.2, 1.2  # of the first component, as in the simulated images
_SMOOTHING = 1.5  # Gaussian σ of the inputs along z, in pixels
_EDGE_SHARE = 0.5  # of the network's edges in the strength of a boundary; the rest is colour
_LEAST_MEASURED = 1000  # where there are so many
_SEEN_TOGETHER = 1 << 16  # pixels of planes that are looked at at a time
_MOST_MEASURED = 60_000  # pixels that the components of the features are measured on


@dataclass(frozen=True, eq=False, slots=True)
class Inputs:
    """What the default sees of each pixel ``(z) y x`` of a part of an image."""

    seen: Seen
    colors: Array  # c (z) y x, scaled
    slope: Array  # of the colours


@dataclass(frozen=True, eq=False, slots=True)
class Features:
    """The fixed stage of the default, as measured on the training images of c channels."""

    rgb: bool  # whether the channels are red, green, blue
    means: tuple[float, ...]  # of each colour channel
    weights: tuple[float, ...]  # how much the contrast of each channel counts
    gammas: tuple[float, ...]  # power of each channel's intensities, below 1 where most is dark
    axes: Floats  # (c, 1 to 3), principal components of the colours
    low: float  # percentiles of the first component, which become 0 and 1
    high: float
    spread: float  # root of the total variance of the colours, which becomes 1
    centres: Floats  # (96), mean of each feature
    projection: Floats  # (p, 96), principal components of the features, of total variance 1
    # Means of the colours' slope and of the edges: each is 1 in the strength of a boundary.
    slope: float
    edge: float
    space: Space = PLANE

    @classmethod
    def measure(
        cls,
        samples: Samples,
        *,
        rgb: bool,
        weights: Sequence[float],
        space: Space,
        device: torch.device,
    ) -> tuple[Self, list[Inputs]]:
        """Measure the stage on samples of the training images; return what it makes of each.

        A sample is its pixels, ``c (z) y x``, 0 … 1, and which of them count, ``(z) y x``; None
        where all do. The network runs on the device.
        """
        gammas, valids = find_gammas(samples, rgb), [valid for _, valid in samples]
        colors = [
            colors_of(on(device, pixels[:, *whole(pixels.shape[1:])]), rgb, gammas)
            for pixels, _ in samples
        ]
        nothing = np.zeros(0, np.float32)
        stage = cls(
            rgb=rgb,
            weights=tuple(map(float, weights)),
            gammas=gammas,
            centres=nothing,
            projection=nothing,
            slope=1.0,
            edge=1.0,
            space=space,
            **measure_colors(colors, valids, weights, N_CHANNELS),
        )
        measuring = stage

        def look(found: Array) -> tuple[list[Seen], Array]:
            return measuring._look(lambda place: found[:, *place], found.shape[1:], device)

        n_threads = threads_for(device, colors[0].shape[1:], len(colors[0]))
        looked = each_of(look, colors, n_threads)
        n_pixels = sum(math.prod(one.shape[1:]) for one in colors)
        step = max(int((n_pixels / _MOST_MEASURED) ** 0.5), 1)
        stage = stage._with_projection(_some_of([planes for planes, _ in looked], valids, step))
        inputs = [stage._inputs(*one) for one in looked]
        slope = _mean([one.slope for one in inputs], valids)
        edge = _mean([one.seen.edges for one in inputs], valids)
        return replace(stage, slope=slope, edge=edge), inputs

    @property
    def n_inputs(self) -> int:
        """How many inputs a cluster is told by (d): features and colours."""
        return len(self.projection) + len(self.means)

    def window(
        self,
        pixels: Pixels,
        window: Window,
        device: torch.device,
        kept: KeptPlanes | None = None,
    ) -> Inputs:
        """Return the inputs of a window of an image ``c (z) y x``.

        The pixels may be a part of the image that begins at multiples of `GRID`. Where planes are
        `kept`, they are looked at whole.
        """

        def colors(place: Window) -> Array:
            return colors_of(on(device, pixels[:, *place]), self.rgb, self.gammas)

        across = (halo(self.space)[0], 0, 0) if self.space.is_volume else 0
        thicker = grow(window, across, pixels.shape[1:])
        found = self._look(colors, pixels.shape[1:], device, thicker, kept)
        return self._inputs(*found, inside(window, thicker)[0])

    def _look(
        self,
        colors: Callable[[Window], Array],
        shape: Shape,
        device: torch.device,
        window: Window | None = None,
        kept: KeptPlanes | None = None,
    ) -> tuple[list[Seen], Array]:
        """Look at each plane of a window; its scaled colours come along."""
        window = window or whole(shape)
        if not self.space.is_volume:
            around = surroundings(window, shape, max(SCALES))
            scaled, place = self._scaled(colors(around)), inside(window, around)
            return see(self._components(scaled)[:, None], place, device), scaled[:, *place]
        place = window[1:] if kept is None else whole(shape[1:])
        around = surroundings(place, shape[1:], max(SCALES))

        def look(z: int, n: int = 1) -> list[Seen]:
            shown = self._components(self._scaled(colors((slice(z, z + n), *around))))
            return see(shown, inside(place, around), device, in_short=True)

        first, last = window[0].start, window[0].stop
        if kept is None:  # small planes several at a time
            n = max(_SEEN_TOGETHER // math.prod(size(around)), 1)
            parts = (look(z, min(n, last - z)) for z in range(first, last, n))
            planes = list(chain.from_iterable(parts))
        else:
            every = kept.look(range(first, last), lambda z: look(z)[0])
            planes = [one.within(window[1:]) for one in every]
        return planes, self._scaled(colors(window))

    def rows_of(self, inputs: Inputs, leaves: Array, valid: Mask | None) -> Floats:
        """Return the mean inputs ``(n, d)`` of the counted pixels of each leaf."""
        is_tensor = isinstance(leaves, Tensor)

        def parts(window: Window) -> list[Array]:
            colors = inputs.colors[:, *window]
            colors = colors.movedim(0, -1) if is_tensor else np.moveaxis(colors, 0, -1)
            return [*(one.enlarged(window) for one in inputs.seen.maps), colors]

        means = (regions.leaf_means if is_tensor else leaf_means)(leaves, parts, valid)
        own = np.split(self.projection, len(SCALES), axis=1)
        axes = np.concatenate([one @ feature_basis() for one in own], axis=1).T
        features = means[:, : len(axes)] @ axes - self.projection @ self.centres
        colors = means[:, len(axes) :] * np.float32(self._color_weight)
        return np.concatenate([features, colors], axis=1)

    def strength(self, inputs: Inputs) -> Array:
        """Return how strong the boundary at each pixel is, ``(z) y x``; 1 on average."""
        strength = ((1 - _EDGE_SHARE) / self.slope) * inputs.slope
        strength += (_EDGE_SHARE / self.edge) * inputs.seen.edges
        return strength

    @property
    def _color_weight(self) -> float:
        return _GRAY_WEIGHT if len(self.means) == 1 else _COLOR_WEIGHT

    def _scaled(self, colors: Array) -> Array:
        """Centre colours, weigh them, and bring them to a total variance of 1."""
        means, weights = (_along(one, colors) for one in (self.means, self.weights))
        return (colors - means) * (weights / self.spread)

    def _components(self, scaled: Array) -> Array:
        """Return what the network is shown, ``3 (z) y x``."""
        told = turned(self.axes.T, scaled)
        nothing = np.zeros((N_CHANNELS - len(told), *scaled.shape[1:]), np.float32)
        told /= self.high - self.low
        told[0] -= self.low / (self.high - self.low)
        shown = joined([told, like(nothing, told)])
        clip(shown[0], _BELOW, _ABOVE)
        clip(shown[1:], -1, 1)
        return shown

    def _with_projection(self, features: Array) -> Self:
        """Measure the features ``(n, 96)``: their mean and principal components."""
        centres = mean(features, axis=0)
        apart = features - like(centres.astype(np.float32), features)
        covariance = in_memory(apart.T @ apart / len(apart)).astype(np.float64)
        axes, variance = components(covariance)
        projection = axes[:, :N_COMPONENTS].T / np.sqrt(max(variance, 1e-6))
        return replace(
            self,
            centres=centres.astype(np.float32),
            projection=projection.astype(np.float32),
        )

    def _inputs(self, planes: Sequence[Seen], scaled: Array, kept: slice = slice(None)) -> Inputs:
        """Put planes together, smoothed along z where they are near; some are kept."""
        seen = planes[0]
        if self.space.is_volume:
            weights = np.eye(len(planes), dtype=np.float32)
            if self.space.is_dense:
                sigma = self.space.along(_SMOOTHING)[0]
                gaussian_filter1d(weights, sigma, axis=0, output=weights, truncate=3.0)
            seen = together(planes, weights[kept])
            scaled = turned(weights[kept], scaled, 1).swapaxes(0, 1)
        slope = slope_of if isinstance(scaled, Tensor) else color_slope
        return Inputs(seen, scaled, slope(scaled, self.space))


def _some_of(samples: Sequence[Sequence[Seen]], valids: Sequence[Mask | None], step: int) -> Array:
    """Return the features of every n-th counted pixel of all samples; of all where few count."""
    found = []
    for planes, valid in zip(samples, valids, strict=True):
        counted = (
            [None] * len(planes) if valid is None else valid.reshape(len(planes), *valid.shape[-2:])
        )
        found += [one.some(step, some) for one, some in zip(planes, counted, strict=True)]
    some = joined(found)
    if len(some) < _LEAST_MEASURED and step > 1:
        return _some_of(samples, valids, 1)
    return some


def halo(space: Space) -> Shape:
    """Return how far along each axis, in pixels, inputs depend on their surroundings."""
    across = int(3.0 * space.along(_SMOOTHING)[0] + 0.5) if space.is_dense else 0
    return (across, HALO + GRID, HALO + GRID)[-space.n_axes :]


def _along(values: Sequence[float], colors: Array) -> Array:
    return like(np.array(values, np.float32).reshape(-1, *(1,) * (colors.ndim - 1)), colors)


def _mean(images: Sequence[Array], valids: Sequence[Mask | None]) -> float:
    counted = [
        image.ravel() if valid is None else image[like(valid, image)]
        for image, valid in zip(images, valids, strict=True)
    ]
    return max(sum(map(total, counted)) / sum(map(len, counted)), 1e-6)
