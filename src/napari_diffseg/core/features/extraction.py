"""What the default sees of each pixel: features of a network that saw simulated images, and colour.

Stage by stage (``c`` channels, ``s`` scales)::

    colours      c (z) y x   CIE Lab of RGB, else the intensity between its percentiles
    components   3 y x       principal components of the colours: one pass, any number of channels
    features     s·32 y x    of the image at full, half and quarter size, each of unit length
    inputs       d (z) y x   principal components of the features; the colours; and, as the last,
                             how sure the network is that something ends at the pixel

Volumes are seen plane by plane; where planes are near, their features are smoothed along z.
Everything is computed tile by tile, each with as much around as it depends on, on one grid for
the whole image: so a window gives what the whole image gives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from skimage.color import rgb2lab
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_diffseg.core.features.network import N_CHANNELS, N_FEATURES, STRIDE, FeatureNet
from napari_diffseg.image.intensity import Pixels
from napari_diffseg.image.space import PLANE, Space
from napari_diffseg.image.windows import Shape, Window, grow, inside, size, tiles, whole
from napari_diffseg.numeric.leaves import color_slope

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

SCALES = (1, 2, 4)
GRID = STRIDE * max(SCALES)
"""Tiles begin at multiples of this many pixels, so that pooling lies alike in all of them."""

HALO = 128 * max(SCALES)
"""Pixels around a tile that its features depend on; at each scale as many as it sees."""

N_COMPONENTS = 24
"""Principal components of the features that are kept: as good as all 96."""

_TILE = 768
_COLOR_WEIGHT, _GRAY_WEIGHT = 1.0, 0.5  # of the colours beside the features
_LAB_UNIT = 100.0
_CLIPPED = (-0.2, 1.5)  # of intensities, 0 … 1 between their percentiles
_DARK, _LEAST_GAMMA = 0.35, 0.5  # the median that intensities get by their power, if it is lower
_BELOW, _ABOVE = -0.2, 1.2  # of the first component, as in the simulated images
_LEVELS = (0.5, 99.5)
_SMOOTHING = 1.5  # Gaussian σ of the features along z, in pixels
_EDGE_SHARE = 0.5  # of the network's edges in the strength of a boundary; the rest is colour
_LEAST_MEASURED = 1000  # where there are so many
_MOST_MEASURED = 60_000  # pixels that the components of the features are measured on


@dataclass(frozen=True, eq=False, slots=True)
class Features:
    """The fixed stage of the default, as measured on the training images.

    Attributes
    ----------
    rgb : bool
        Whether the channels are red, green, blue.
    means : tuple of float, (c,)
        Mean of each colour channel.
    weights : tuple of float, (c,)
        How much the contrast of each channel counts.
    gammas : tuple of float, (c,)
        Power of the intensities of each channel, below 1 where most of the image is dark.
    axes : ndarray, (c, 1 to 3)
        Principal components of the colours.
    low, high : float
        Percentiles of the first component, which become 0 and 1.
    spread : float
        Root of the total variance of the colours, which becomes 1.
    centres : ndarray, (96,)
        Mean of each feature.
    projection : ndarray, (p, 96)
        Principal components of the features, of total variance 1.
    slope, edge : float
        Mean slope of the colours and mean edge: each is 1 in the strength of a boundary.
    space : Space
    """

    rgb: bool
    means: tuple[float, ...]
    weights: tuple[float, ...]
    gammas: tuple[float, ...]
    axes: Floats
    low: float
    high: float
    spread: float
    centres: Floats
    projection: Floats
    slope: float
    edge: float
    space: Space = PLANE

    @classmethod
    def measure(
        cls,
        samples: Sequence[tuple[Pixels, Mask | None]],
        *,
        rgb: bool,
        weights: Sequence[float],
        space: Space,
        device: torch.device,
    ) -> tuple[Self, list[Floats]]:
        """Measure the stage on samples of the training images.

        Parameters
        ----------
        samples : sequence of (pixels, valid)
            ``c (z) y x``, 0 … 1, and which of them count, ``(z) y x``; None where all do.
        rgb, weights, space
            See the attributes.
        device : torch.device
            Where the network runs.

        Returns
        -------
        stage : Features
        inputs : list of ndarray of float32, (d + 1, y, x) or (d + 1, z, y, x)
            What the stage makes of each sample.
        """
        gammas = _gammas(samples, rgb)
        colors = [
            _colors(pixels[:, *whole(pixels.shape[1:])], rgb, gammas) for pixels, _ in samples
        ]
        counted = np.concatenate(
            [
                one.reshape(len(one), -1) if valid is None else one[:, valid]
                for one, (_, valid) in zip(colors, samples, strict=True)
            ],
            axis=1,
        )
        stage = _of_colors(cls, counted, rgb, tuple(weights), gammas, space)
        seen = [list(stage._see(one, whole(one.shape[1:]), device)) for one in colors]
        valids = [valid for _, valid in samples]
        n_pixels = sum(one[0].size for one in colors)
        some = _some_of(seen, valids, max(int((n_pixels / _MOST_MEASURED) ** 0.5), 1))
        stage = _with_projection(stage, some)
        inputs = [
            stage._join(tiles_of, one, one.shape[1:])
            for tiles_of, one in zip(seen, colors, strict=True)
        ]
        p, weight = len(stage.projection), np.float32(stage._color_weight)
        slopes = [color_slope(one[p:-1] / weight, space) for one in inputs]
        edges = [one[-1] for one in inputs]
        stage = replace(stage, slope=_mean(slopes, valids), edge=_mean(edges, valids))
        return stage, inputs

    @property
    def n_inputs(self) -> int:
        """How many inputs a cluster is told by (d): features and colours."""
        return len(self.projection) + len(self.means)

    def window(self, pixels: Pixels, window: Window, device: torch.device) -> Floats:
        """Return the inputs of a window of an image, ``d + 1 (z) y x``.

        Parameters
        ----------
        pixels : ndarray of float32, (c, y, x) or (c, z, y, x), or ScaledPixels
            The image, or a part of it that begins at multiples of `GRID` pixels.
        window : tuple of slice
        device : torch.device
        """
        across = (halo(self.space)[0], 0, 0)[-len(window) :] if self.space.is_volume else 0
        thicker = grow(window, across, pixels.shape[1:])
        around = _around(thicker, pixels.shape[1:], max(SCALES))
        colors = _colors(pixels[:, *around], self.rgb, self.gammas)
        place = inside(thicker, around)
        inputs = self._join(self._see(colors, place, device), colors[:, *place], size(thicker))
        return inputs[:, *inside(window, thicker)]

    def strength(self, inputs: Floats) -> Floats:
        """Return how strong the boundary at each pixel is, ``(z) y x``; 1 on average.

        Parameters
        ----------
        inputs : ndarray of float32, (d + 1, y, x) or (d + 1, z, y, x)
        """
        n_features = len(self.projection)
        slope = color_slope(inputs[n_features:-1] / np.float32(self._color_weight), self.space)
        strength: Floats = (1 - _EDGE_SHARE) / self.slope * slope
        strength += np.float32(_EDGE_SHARE / self.edge) * inputs[-1]
        return strength

    @property
    def _color_weight(self) -> float:
        return _GRAY_WEIGHT if len(self.means) == 1 else _COLOR_WEIGHT

    def _scaled(self, colors: Floats) -> Floats:
        """Centre colours, weigh them, and bring them to a total variance of 1."""
        means, weights = (_along(one, colors) for one in (self.means, self.weights))
        scaled: Floats = (colors - means) * (weights / np.float32(self.spread))
        return scaled

    def _components(self, colors: Floats) -> Floats:
        """Return what the network is shown, ``3 (z) y x``."""
        turned = np.tensordot(self.axes.T, self._scaled(colors), 1)
        shown = np.zeros((N_CHANNELS, *colors.shape[1:]), np.float32)
        shown[: len(turned)] = turned / np.float32(self.high - self.low)
        shown[0] -= np.float32(self.low / (self.high - self.low))
        shown[0].clip(_BELOW, _ABOVE, out=shown[0])
        shown[1:].clip(-1, 1, out=shown[1:])
        return shown

    def _see(self, colors: Floats, place: Window, device: torch.device) -> Iterator[_SeenTile]:
        """Yield what the network sees of a place in a part of an image, tile by tile."""
        shown = self._components(colors)
        network = shipped_network(device)
        for tile in tiles(place[-2:], _TILE):
            to = inside(tile, place[-2:])
            if not self.space.is_volume:
                yield _see_tile(network, shown, tile, to, device)
                continue
            for z in range(place[0].start, place[0].stop):
                at = (z - place[0].start, *to)
                yield _see_tile(network, shown[:, z], tile, at, device)

    def _join(self, seen: Iterable[_SeenTile], colors: Floats, shape: Shape) -> Floats:
        """Put the inputs together, and smooth them along z where planes are near."""
        p = len(self.projection)
        inputs = np.empty((self.n_inputs + 1, *shape), np.float32)
        for tile in seen:
            to: Any = (slice(None), *tile.place)
            tile.project(self.projection, inputs[:p][to])
            inputs[-1][to[1:]] = tile.edges.numpy()
        inputs[:p] -= _along((self.projection @ self.centres).tolist(), inputs)
        inputs[p:-1] = self._scaled(colors) * np.float32(self._color_weight)
        if self.space.is_dense:
            sigma = self.space.along(_SMOOTHING)[0]
            gaussian_filter1d(inputs, sigma, axis=1, output=inputs, truncate=3.0)
        return inputs


@dataclass(frozen=True, eq=False, slots=True)
class _SeenTile:
    """What the network sees of one tile.

    Attributes
    ----------
    place : tuple of (int or slice)
        Where the tile lies in what is asked for; of volumes with its plane.
    maps : list of (Tensor, tuple of slice)
        For each scale the features ``1 32 y x`` at that scale, and where the tile lies in them,
        in pixels of the image.
    edges : Tensor, y x
    """

    place: tuple[Any, ...]
    maps: list[tuple[Tensor, Window]]
    edges: Tensor

    @torch.no_grad()
    def project(self, projection: Floats, out: Floats) -> None:
        """Write the components ``p y x`` of the features; before they are enlarged, for speed."""
        written = torch.from_numpy(out)
        for number, ((features, place), scale) in enumerate(zip(self.maps, SCALES, strict=True)):
            own = projection[:, number * N_FEATURES : (number + 1) * N_FEATURES]
            weights = torch.from_numpy(np.ascontiguousarray(own)).to(features.device)
            found = functional.conv2d(features, weights[:, :, None, None])
            if scale > 1:
                found = functional.interpolate(
                    found, scale_factor=scale, mode="bilinear", align_corners=False
                )
            at: Any = (0, slice(None), *place)
            part = found[at].cpu()
            if number == 0:
                written.copy_(part)
            else:
                written += part

    def some(self, step: int, valid: Mask | None) -> Floats:
        """Return the features of every n-th counted pixel along each axis, ``(96, n)``."""
        height, width = self.edges.shape
        rows, columns = (np.arange(step // 2, n, step) for n in (height, width))
        found = [
            features[0][:, (place[0].start + rows) // scale][
                :, :, (place[1].start + columns) // scale
            ]
            for (features, place), scale in zip(self.maps, SCALES, strict=True)
        ]
        flat = torch.cat(found).flatten(1).cpu().numpy()
        if valid is None:
            return flat
        counted = valid[self.place][rows][:, columns].ravel()
        chosen: Floats = flat[:, counted]
        return chosen


def _some_of(
    seen: Sequence[Sequence[_SeenTile]], valids: Sequence[Mask | None], step: int
) -> Floats:
    """Return the features of every n-th counted pixel of all samples; of all where few count."""
    found = [
        tile.some(step, valid)
        for tiles_of, valid in zip(seen, valids, strict=True)
        for tile in tiles_of
    ]
    some: Floats = np.concatenate(found, axis=1)
    if some.shape[1] < _LEAST_MEASURED and step > 1:
        return _some_of(seen, valids, 1)
    return some


def halo(space: Space) -> Shape:
    """Return how far along each axis, in pixels, inputs depend on their surroundings."""
    across = int(3.0 * space.along(_SMOOTHING)[0] + 0.5) if space.is_dense else 0
    return (across, HALO + GRID, HALO + GRID)[-space.n_axes :]


@cache
def features_digest() -> str:
    """Return the SHA-256 of the shipped weights: models of other weights see otherwise."""
    return hashlib.sha256(_weights()).hexdigest()


def _weights() -> bytes:
    return files("napari_diffseg.core.features").joinpath("features.safetensors").read_bytes()


@cache
def shipped_network(device: torch.device) -> FeatureNet:
    """Load the network with its weights from the package; once a device."""
    from safetensors.torch import load

    with torch.random.fork_rng(devices=()):  # torch fills new layers from the caller's numbers
        network = FeatureNet().float()  # whatever torch's default is at this moment
    known = {name: value.float() for name, value in load(_weights()).items()}
    network.load_state_dict(known, strict=False)
    network.eval()
    for block in (*network.down, *network.up):
        for place in (0, 3):  # a convolution and the batch norm that follows it become one
            block[place] = fuse_conv_bn_eval(block[place], block[place + 1])
            block[place + 1] = nn.Identity()
    placed: FeatureNet = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed


@torch.no_grad()
def _see_tile(
    network: FeatureNet, shown: Floats, tile: Window, to: tuple[Any, ...], device: torch.device
) -> _SeenTile:
    """Look at a tile of components ``3 y x``, at all scales."""
    maps: list[tuple[Tensor, Window]] = []
    edges = torch.zeros(0)
    for scale in SCALES:
        around = _around(tile, shown.shape[1:], scale)
        part = torch.from_numpy(np.ascontiguousarray(shown[:, *around]))[None].to(device)
        missing = [-length % (STRIDE * scale) for length in part.shape[-2:]]
        part = functional.pad(part, (0, missing[1], 0, missing[0]), mode="replicate")
        seen = functional.avg_pool2d(part, scale) if scale > 1 else part
        found, logits = network(seen.contiguous(memory_format=torch.channels_last))
        place = inside(tile, around)
        maps.append((functional.normalize(found, dim=1), place))
        if scale == 1:
            edges = logits[0, 0, *place].sigmoid().cpu()
    return _SeenTile(to, maps, edges)


def _around(window: Window, shape: Sequence[int], scale: int) -> Window:
    """Return a window with what its features at a scale depend on, on the grid; z as it is."""
    grid, reach = STRIDE * scale, HALO // max(SCALES) * scale
    plane = tuple(
        slice(
            max(side.start - reach, 0) // grid * grid,
            min(-(-(side.stop + reach) // grid) * grid, length),
        )
        for side, length in zip(window[-2:], shape[-2:], strict=True)
    )
    return (*window[:-2], *plane)


def _colors(pixels: Floats, rgb: bool, gammas: Sequence[float]) -> Floats:
    """Bring intensities to a scale on which equal steps look about equal."""
    if rgb:
        lab: Floats = rgb2lab(np.clip(pixels, 0, 1), channel_axis=0)
        return lab / np.float32(_LAB_UNIT)
    clipped: Floats = np.clip(pixels, *_CLIPPED)
    for channel, gamma in zip(clipped, gammas, strict=True):
        if gamma != 1:
            np.copyto(channel, np.sign(channel) * np.abs(channel) ** np.float32(gamma))
    return clipped


def _gammas(samples: Sequence[tuple[Pixels, Mask | None]], rgb: bool) -> tuple[float, ...]:
    """Choose a power for each channel: where most of the image is dark, steps there count more.

    As photons are counted: on the square root of their number noise is the same everywhere.
    """
    n_channels = samples[0][0].shape[0]
    if rgb:
        return (1.0,) * n_channels
    share = max(_MOST_MEASURED // len(samples), 1)
    some = [_some(pixels[:, *whole(pixels.shape[1:])], valid, share) for pixels, valid in samples]
    medians = np.median(np.concatenate(some, axis=1), axis=1).clip(1e-3, 1 - 1e-3)
    powers = np.log(_DARK) / np.log(medians)
    return tuple(powers.clip(_LEAST_GAMMA, 1.0).tolist())


def _along(values: Sequence[float], colors: Floats) -> Floats:
    return np.array(values, np.float32).reshape(-1, *(1,) * (colors.ndim - 1))


def _of_colors(
    cls: type[Features],
    colors: Floats,
    rgb: bool,
    weights: tuple[float, ...],
    gammas: tuple[float, ...],
    space: Space,
) -> Any:
    """Measure the colours ``(c, n)``: mean, spread, principal components and their range."""
    means = colors.mean(axis=1, dtype=np.float64)
    scaled = (colors - means[:, None]) * np.array(weights)[:, None]
    spread = float(np.sqrt((scaled**2).mean(axis=1).sum())) or 1.0
    scaled /= spread
    values, vectors = np.linalg.eigh(scaled @ scaled.T / scaled.shape[1])
    axes = vectors[:, np.argsort(-values, kind="stable")[:N_CHANNELS]]
    # Of the two directions of each the one in which its largest channel rises.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    low, high = np.percentile(axes[:, 0] @ scaled, _LEVELS)
    nothing = np.zeros(0, np.float32)
    return cls(
        rgb=rgb,
        means=tuple(means.tolist()),
        weights=weights,
        gammas=gammas,
        axes=axes.astype(np.float32),
        low=float(low),
        high=float(max(high, low + 1e-3)),
        spread=spread,
        centres=nothing,
        projection=nothing,
        slope=1.0,
        edge=1.0,
        space=space,
    )


def _with_projection(stage: Any, features: Floats) -> Any:
    """Measure the features ``(96, n)``: their mean and principal components."""
    centres = features.mean(axis=1, dtype=np.float64)
    apart = features - centres[:, None]
    values, vectors = np.linalg.eigh(apart @ apart.T / apart.shape[1])
    axes = vectors[:, ::-1][:, :N_COMPONENTS]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    unit = float(np.sqrt(max(values.sum(), 1e-6)))
    projection = (axes.T / unit).astype(np.float32)
    return replace(stage, centres=centres.astype(np.float32), projection=projection)


def _some(features: Floats, valid: Mask | None, n: int) -> Floats:
    """Return an even choice of the counted pixels, ``(96, n)``."""
    flat = features.reshape(len(features), -1)
    places = np.arange(flat.shape[1]) if valid is None else np.flatnonzero(valid)
    chosen = places[np.linspace(0, len(places) - 1, min(n, len(places))).astype(int)]
    return flat[:, chosen]


def _mean(images: Sequence[Floats], valids: Sequence[Mask | None]) -> float:
    counted = [
        image.ravel() if valid is None else image[valid]
        for image, valid in zip(images, valids, strict=True)
    ]
    total = sum(float(one.sum(dtype=np.float64)) for one in counted)
    return max(total / sum(one.size for one in counted), 1e-6)
