"""What the default network is shown of each pixel: its value and its surroundings.

A 3×3 network that trains for a second learns colours, not textures. So it is given both:
the perceptual value of the pixel itself, its mean at two wider Gaussian scales, and its
standard deviation at three (in volumes, two: what is wide costs a volume most). Everything is
computed window by window with a border of some pixels, so that memory is bounded and a window
gives what the whole image gives. All lengths are in pixels of a plane; along z they are fewer
steps where the planes are farther apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2lab

from napari_diffseg.images.intensity import Pixels
from napari_diffseg.images.space import PLANE, Space
from napari_diffseg.images.windows import Window, grow, inside

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

Source = tuple[Pixels, Mask | None, Mask | None, Sequence[Window]]
"""Scaled pixels of an image, which of them are known, which of these count, and the windows
that are looked at."""

MEAN_SCALES = (2.0, 4.0)
"""Gaussian σ of the local means, in pixels; the pixel's own value comes first."""

_DEVIATION_SCALES = (2.0, 4.0, 8.0)
_TRUNCATE = 3.0  # a Gaussian ends at 3 σ


def deviation_scales(space: Space) -> tuple[float, ...]:
    """Return the Gaussian σ of the local standard deviations, in pixels."""
    return _DEVIATION_SCALES[:-1] if space.is_dense else _DEVIATION_SCALES


def local_radius(space: Space) -> tuple[int, ...]:
    """Return how far along each axis, in pixels, a statistic depends on its surroundings."""
    return gaussian_radius(space, max(MEAN_SCALES + deviation_scales(space)))


def gaussian_radius(space: Space, scale: float) -> tuple[int, ...]:
    """Return where along each axis a Gaussian of this σ, in pixels of a plane, ends."""
    # As scipy rounds it.
    return tuple(int(_TRUNCATE * along + 0.5) for along in space.along(scale))


def n_local_statistics(n_channels: int, space: Space) -> int:
    """Return how many statistics there are of an image with so many channels (d)."""
    return n_channels * (1 + len(MEAN_SCALES)) + len(deviation_scales(space))


_DARK = 0.05  # intensity below which the logarithm is about linear
_LAB_UNIT = 10.0
_LEAST_WEIGHT = np.float32(1e-6)  # far from every pixel that counts there is nothing to average


@dataclass(frozen=True, slots=True)
class LocalStatistics:
    """The first, fixed stage of the default: pixels ``c (z) y x`` → statistics ``d (z) y x``.

    Measured once on the training image and kept, so that the same surroundings give the
    same statistics in every image.

    Attributes
    ----------
    rgb : bool
        Whether the channels are red, green, blue: then they become CIE Lab, else the
        logarithm of the intensity.
    means : tuple of float, (c,)
        Mean of each perceptual channel.
    spread : float
        Root mean variance of the channels. One for all: a channel with little contrast
        stays quiet.
    centres : tuple of float, (d,)
        Mean of each statistic; the result has mean 0.
    space : Space
        Planes or volumes.
    weights : tuple of float, (c,)
        How much the contrast of each channel counts; empty where all count alike.
    """

    rgb: bool
    means: tuple[float, ...]
    spread: float
    centres: tuple[float, ...]
    space: Space = PLANE
    weights: tuple[float, ...] = ()

    @classmethod
    def measure(
        cls,
        pixels: Pixels,
        valid: Mask | None,
        windows: Sequence[Window],
        *,
        rgb: bool,
        threads: int = 1,
        space: Space = PLANE,
        weights: tuple[float, ...] = (),
    ) -> tuple[Self, Floats]:
        """Measure the stage on windows of the training image.

        Parameters
        ----------
        pixels : ndarray of float32, (c, y, x), or ScaledPixels
            Intensities, 0 … 1.
        valid : ndarray of bool, (y, x), or None
            Pixels that count; all where None.
        windows : sequence of tuple of slice
            All of one size; only these are looked at.
        rgb : bool
            Whether the channels are red, green, blue.
        threads : int
            How many threads compute.
        space : Space
        weights : tuple of float
            One a channel, or none.

        Returns
        -------
        stage : LocalStatistics
        statistics : ndarray of float32, (b, d, y, x)
            What the stage makes of the windows.
        """
        stage, (statistics,) = cls.measure_all(
            [(pixels, valid, valid, windows)],
            rgb=rgb,
            threads=threads,
            space=space,
            weights=weights,
        )
        return stage, statistics

    @classmethod
    def measure_all(
        cls,
        sources: Sequence[Source],
        *,
        rgb: bool,
        threads: int = 1,
        space: Space = PLANE,
        weights: tuple[float, ...] = (),
    ) -> tuple[Self, list[Floats]]:
        """Measure the stage on windows of several images, all of which count alike.

        Parameters
        ----------
        sources : sequence of (pixels, known, counted, windows)
            For each image its pixels, those that statistics are made of, those that means and
            spread are measured on, and its windows.
        rgb, threads, space, weights
            As for `measure`.

        Returns
        -------
        stage : LocalStatistics
        statistics : list of ndarray of float32, (b, d, y, x)
            For each image what the stage makes of its windows.
        """
        around = [
            [_around(pixels, window, rgb, space) for window in windows]
            for pixels, *_, windows in sources
        ]
        rows = np.concatenate(
            [
                _counted(
                    wide[:, *inside(window, near)], None if counted is None else counted[window]
                )
                for (*_, counted, windows), wides in zip(sources, around, strict=True)
                for window, (near, wide) in zip(windows, wides, strict=True)
            ],
            axis=1,
        )
        means = rows.mean(axis=1, dtype=np.float64)
        spread = float(np.sqrt(rows.var(axis=1, dtype=np.float64).mean())) or 1.0
        nothing = (0.0,) * n_local_statistics(len(means), space)
        stage = cls(rgb, tuple(means.tolist()), spread, nothing, space, weights)
        found = [
            np.stack(
                [
                    stage._of_perceptual(wide, near, known, window, threads)
                    for window, (near, wide) in zip(windows, wides, strict=True)
                ]
            )
            for (_, known, _, windows), wides in zip(sources, around, strict=True)
        ]
        seen = [
            _counted(one, None if counted is None else counted[window])
            for (*_, counted, windows), statistics in zip(sources, found, strict=True)
            for window, one in zip(windows, statistics, strict=True)
        ]
        centres = np.concatenate(seen, axis=1).mean(axis=1, dtype=np.float64)
        for statistics in found:
            statistics -= _along_channels(centres.astype(np.float32), space)
        return replace(stage, centres=tuple(centres.tolist())), found

    def window(
        self, pixels: Pixels, valid: Mask | None, window: Window, threads: int = 1
    ) -> Floats:
        """Return the statistics of one window of an image.

        Parameters
        ----------
        pixels : ndarray of float32, (c, y, x), or ScaledPixels
            The whole image; no more is read than the window and what it depends on.
        valid : ndarray of bool, (y, x), or None
            Pixels that count in the means and deviations around; all where None.
        window : tuple of slice
            Within the image.
        threads : int
            How many threads compute.

        Returns
        -------
        ndarray of float32, (d, y, x)
            The same, to the bit, as that window of the whole image's statistics.
        """
        near, around = _around(pixels, window, self.rgb, self.space)
        return self._of_perceptual(around, near, valid, window, threads)

    def colors(self, pixels: Pixels, window: Window) -> Floats:
        """Return the pixels' own channels only, ``c y x``: the first statistics of `window`."""
        scaled = self._scaled(_perceptual(pixels[:, *window], self.rgb))
        centred: Floats = scaled - self._centres(len(scaled))
        return centred

    @property
    def n_contrasts(self) -> int:
        """How many of the statistics, the last ones, are local deviations."""
        return len(deviation_scales(self.space))

    def _centres(self, n: int | None = None) -> Floats:
        return _along_channels(np.array(self.centres[:n], dtype=np.float32), self.space)

    def _scaled(self, perceptual: Floats) -> Floats:
        means = _along_channels(np.array(self.means), self.space)
        scaled: Floats = ((perceptual - means) / self.spread).astype(np.float32)
        if self.weights:
            scaled *= _along_channels(np.array(self.weights, np.float32), self.space)
        return scaled

    def _of_perceptual(
        self, around: Floats, near: Window, valid: Mask | None, window: Window, threads: int
    ) -> Floats:
        """Return the statistics of a window from the perceptual channels near it."""
        scaled = self._scaled(around)
        known = None if valid is None else valid[near]
        inner = _statistics(scaled, known, threads, self.space, inside(window, near))
        centred: Floats = np.subtract(inner, self._centres(), out=inner)
        return centred


def _along_channels(values: NDArray[Any], space: Space) -> NDArray[Any]:
    """Shape one value for each channel so that it meets the pixels ``c (z) y x``."""
    return values.reshape(-1, *(1,) * space.n_axes)


def _around(pixels: Pixels, window: Window, rgb: bool, space: Space) -> tuple[Window, Floats]:
    """Return what is near a window, as far as its statistics depend on it, and where that is."""
    near = grow(window, local_radius(space), pixels.shape[1:])
    return near, _perceptual(pixels[:, *near], rgb)


def _perceptual(pixels: Floats, rgb: bool) -> Floats:
    """Bring intensities to a scale on which equal steps look about equal."""
    if rgb:
        lab: Floats = rgb2lab(np.clip(pixels, 0, 1), channel_axis=0)
        return lab / np.float32(_LAB_UNIT)
    logarithm: Floats = np.log1p(np.clip(pixels, 0, 1.5) / np.float32(_DARK))
    return logarithm


def _statistics(
    scaled: Floats, valid: Mask | None, threads: int, space: Space, place: Window
) -> Floats:
    """Stack the value, its local means, and its local deviation over all channels, of a place."""
    deviations = deviation_scales(space)
    scales = sorted({*MEAN_SCALES, *deviations})
    if valid is None:
        values, squares = scaled, (scaled**2).sum(axis=0, keepdims=True)
        weights = None
    else:
        # Normalised convolution: the weights of the pixels that count add up to 1.
        weights = valid.astype(np.float32)[None]
        values = scaled * weights
        squares = (scaled**2 * weights).sum(axis=0, keepdims=True)
    wanted = [(values, scale) for scale in scales]
    wanted += [(squares, scale) for scale in deviations]
    if weights is not None:
        wanted += [(weights, scale) for scale in scales]
    found = [one[:, *place] for one in _smooth_all(wanted, threads, space)]
    local = dict(zip(scales, found, strict=False))
    local_squares = dict(zip(deviations, found[len(scales) :], strict=False))
    if weights is not None:
        known = dict(zip(scales, found[-len(scales) :], strict=True))
        local = {scale: local[scale] / (known[scale] + _LEAST_WEIGHT) for scale in scales}
        local_squares = {
            scale: local_squares[scale] / (known[scale] + _LEAST_WEIGHT) for scale in deviations
        }
    variances = [
        np.maximum(local_squares[scale] - (local[scale] ** 2).sum(axis=0, keepdims=True), 0)
        for scale in deviations
    ]
    means = [local[scale] for scale in MEAN_SCALES]
    own = scaled[:, *place]
    return np.concatenate([own, *means, *(np.sqrt(variance) for variance in variances)])


def _smooth_all(wanted: Sequence[tuple[Floats, float]], threads: int, space: Space) -> list[Floats]:
    """Smooth channels at scales, several at a time: scipy's filters leave Python free."""
    if threads <= 1:
        return [smooth(channels, scale, space) for channels, scale in wanted]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda one: smooth(one[0], one[1], space), wanted))


def smooth(channels: Floats, scale: float, space: Space) -> Floats:
    """Smooth channels ``c (z) y x`` by a Gaussian of a σ in pixels of a plane."""
    axes = tuple(range(1, channels.ndim))
    smoothed: Floats = gaussian_filter(channels, space.along(scale), axes=axes, truncate=_TRUNCATE)
    return smoothed


def _counted(channels: Floats, counted: Mask | None) -> Floats:
    """Return the pixels that count, in one row for each channel."""
    return channels.reshape(len(channels), -1) if counted is None else channels[:, counted]
