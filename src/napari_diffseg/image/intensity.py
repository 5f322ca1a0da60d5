"""Intensity: which pixels count, which range they span, and one scale for all.

Images come in as ``c y x`` or ``c z y x`` of any real type and leave as float32 between
about 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.errors import InputError, Remedy
from napari_diffseg.image.channels import Channel
from napari_diffseg.image.fill import fill_mask

_PERCENTILES = (0.1, 99.9)

# Percentiles are taken from about so many pixels of a channel, so that the cost of the
# sort does not grow with the image.
_MOST_SAMPLES = 1 << 20

# Pixels scaled at a time: bounds the float64 copies that normalizing needs.
_BLOCK_PIXELS = 1 << 18

_MOST_LOOKED_AT = 1 << 16  # pixels by which the range of another image is told
_NEARLY_ALL = 0.9
_FAR = 4  # so many times darker or brighter than the training images is worth a word
_LEAST_SHARE = 0.1  # of the known range, that a data type must hold

# Tails beyond the percentiles are kept, but one hot pixel must not dominate a convolution.
_LOWEST, _HIGHEST = -1.0, 2.0


@dataclass(frozen=True, slots=True)
class IntensityRange:
    """Range of intensities that becomes 0 to 1, of each channel."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    def __getitem__(self, channels: slice) -> Self:
        """Return those of some channels."""
        return type(self)(*(getattr(self, one.name)[channels] for one in fields(self)))


_WIDEST_FILLED = 2  # bytes; 8-bit values in a 64-bit array would all be about 0


def finite_mask(pixels: NDArray[Any], fill: float | None = None) -> NDArray[np.bool_] | None:
    """Find the pixels that are finite in every channel, and no fill.

    Of ``c (z) y x`` a mask ``(z) y x``; None where that is all of them.
    """
    filled = fill_mask(pixels, fill)
    if pixels.dtype.kind != "f":
        return None if filled is None else ~filled
    valid = np.isfinite(pixels[0])
    for channel in pixels[1:]:
        valid &= np.isfinite(channel)
    if filled is not None:
        valid &= ~filled
    return None if valid.all() else valid


def measure_range(
    pixels: NDArray[Any], valid: NDArray[np.bool_] | None, how: str, *, rgb: bool = False
) -> IntensityRange:
    """Measure the intensities that become 0 to 1, by channel; one range for all three of RGB.

    "percentile" (0.1 to 99.9; so no hue of RGB changes), or "dtype": the type's range, but of wider
    integers than 16 bits, hardly ever filled, the values', as of floats (0 to 1 if they lie in it).
    """
    if valid is not None and not valid.any():
        raise InputError(
            "The image has no finite pixel, only NaN, infinity or fill; choose another image or "
            "plane, or state another fill."
        )
    extrema = [_extrema(_counted(channel, valid)) for channel in pixels]
    if all(low == high for low, high in extrema):
        values = ", ".join(f"{low:g}" for low, _ in extrema)
        said = f"the value {values}" if len(extrema) == 1 else f"the same values ({values})"
        raise InputError(
            f"Every pixel has {said}, so there is nothing to segment; "
            "choose another image or plane."
        )
    if how == "dtype":
        low, high = _dtype_range(pixels.dtype, extrema)
        return IntensityRange((low,) * len(pixels), (high,) * len(pixels))
    ranges = [
        _percentile_range(channel, valid, *ends)
        for channel, ends in zip(pixels, extrema, strict=True)
    ]
    # From the lowest to the highest percentile of the three.
    if rgb:
        # The range of an empty colour is made up, and must not widen that of the others.
        real = [r for r, (low, high) in zip(ranges, extrema, strict=True) if low < high]
        ranges = [(min(low for low, _ in real), max(high for _, high in real))] * len(ranges)
    return IntensityRange(tuple(low for low, _ in ranges), tuple(high for _, high in ranges))


def stated_range(ranges: IntensityRange, channels: Sequence[Channel]) -> IntensityRange:
    """Return ranges with what a person has said of them in place of what was measured."""
    low, high = [], []
    for channel, *measured in zip(channels, ranges.low, ranges.high, strict=True):
        said = (channel.low, channel.high)
        ends = [m if s is None else s for s, m in zip(said, measured, strict=True)]
        if ends[0] >= ends[1]:
            raise InputError(
                f"The intensities of {channel.title} would go from {ends[0]:g} to {ends[1]:g}; "
                "state both ends, the lower one first."
            )
        low.append(float(ends[0]))
        high.append(float(ends[1]))
    return IntensityRange(tuple(low), tuple(high))


def check_known_range(
    pixels: NDArray[Any], ranges: IntensityRange, known_dtype: str, fill: float | None = None
) -> None:
    """Refuse an image whose values are so far from those that are known that they say nothing.

    Nearly all lie far above the range; or, of another data type than that of the training, far
    below: a dark image of the same type is not refused, for a frame may be dark.
    """
    dtype = pixels.dtype
    for channel, low, high in zip(pixels, ranges.low, ranges.high, strict=True):
        values = _some_values(channel, fill)
        if values.size == 0:
            continue
        is_above = np.count_nonzero(values > high + (high - low)) > _NEARLY_ALL * values.size
        is_below = values.max() < low + _LEAST_SHARE * (high - low)
        if is_above or (is_below and dtype.name != known_dtype):
            raise InputError(
                f"The image is {dtype.name} with values from {values.min():g} to {values.max():g}, "
                f"but the model was trained on {known_dtype} from {low:g} to {high:g}; convert "
                "the image, or let each frame have its own intensities.",
                Remedy.OWN_INTENSITIES,
            )


def brightness_beside(
    pixels: NDArray[Any],
    ranges: IntensityRange,
    channels: Sequence[Channel],
    fill: float | None = None,
) -> str:
    """Say ``"darker"`` or ``"brighter"`` of an image ``c y x`` that is far from a measured range.

    That is: its own brightest values reach less than a quarter of the range, or more than four
    times as far; empty where no channel is. A range that a person has stated says nothing.
    """
    for channel, known, low, high in zip(pixels, channels, ranges.low, ranges.high, strict=True):
        values = _some_values(channel, fill)
        if values.size == 0 or (known.low, known.high) != (None, None):
            continue
        reach = (float(np.percentile(values, _PERCENTILES[1])) - low) / (high - low)
        if reach < 1 / _FAR:
            return "darker"
        if reach > _FAR:
            return "brighter"
    return ""


def _some_values(channel: NDArray[Any], fill: float | None) -> NDArray[np.float64]:
    """Return a sample of the pixels of a channel that are finite and no fill."""
    step = -(-channel.size // _MOST_LOOKED_AT)
    values = channel.reshape(-1)[:: step | 1].astype(np.float64)
    if channel.dtype.kind == "f":
        values = values[np.isfinite(values)]
    return values if fill is None else values[values != fill]


@dataclass(frozen=True, eq=False, slots=True)
class ScaledPixels:
    """An image whose channels are scaled where they are looked at: range → 0 to 1.

    Indexed like an array ``c (z) y x`` of float32, by a slice for each axis; so that of a large
    image no second, wider copy is held.
    """

    raw: NDArray[Any]
    valid: NDArray[np.bool_] | None
    ranges: IntensityRange
    fill: tuple[float, ...]

    @classmethod
    def measure(
        cls, raw: NDArray[Any], valid: NDArray[np.bool_] | None, ranges: IntensityRange
    ) -> Self:
        """Measure what pixels that are not valid get, for an image ``c y x``."""
        fill = [0.0] * len(raw)
        if valid is not None:
            n_valid = max(int(np.count_nonzero(valid)), 1)
            for index, rows, scaled in _scaled_blocks(raw, ranges):
                # As float32, as which they will be seen.
                seen = scaled.astype(np.float32)
                fill[index] += float(seen.sum(dtype=np.float64, where=valid[rows])) / n_valid
        return cls(raw, valid, ranges, tuple(fill))

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of channels, and the length of each spatial axis."""
        return self.raw.shape

    def __getitem__(self, place: tuple[slice, ...]) -> NDArray[np.float32]:
        channels, *window = place
        raw = self.raw[place]
        scaled = np.empty(raw.shape, dtype=np.float32)
        for index, rows, block in _scaled_blocks(raw, self.ranges[channels]):
            scaled[index, rows] = block
        if self.valid is not None:
            left_out = ~self.valid[*window]
            for channel, mean in zip(scaled, self.fill[channels], strict=True):
                channel[left_out] = mean
        return scaled


Pixels = NDArray[np.float32] | ScaledPixels
"""Scaled intensities ``c y x``: an array, or a view that scales them as they are looked at."""


def _scaled_blocks(
    raw: NDArray[Any], ranges: IntensityRange
) -> Iterator[tuple[int, slice, NDArray[np.float64]]]:
    """Scale some rows (or planes) of a channel at a time; yields channel, rows and values."""
    n_rows = max(1, _BLOCK_PIXELS // max(math.prod(raw.shape[2:]), 1))
    for index, (low, high) in enumerate(zip(ranges.low, ranges.high, strict=True)):
        for start in range(0, raw.shape[1], n_rows):
            rows = slice(start, start + n_rows)
            yield index, rows, _scale(raw[index, rows], low, high)


def _scale(block: NDArray[Any], low: float, high: float) -> NDArray[np.float64]:
    # In float64: float32 would lose the differences of large 32-bit integers.
    values = block.astype(np.float64)
    # NaN and infinity are replaced by the caller; finite values may overflow, then clip.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isinf(high - low):
            values, low, high = values / 2, low / 2, high / 2
        values -= low
        values /= high - low
    return np.clip(values, _LOWEST, _HIGHEST, out=values)


def _counted(channel: NDArray[Any], valid: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Return the pixels of a channel that count, in one row."""
    return channel.reshape(-1) if valid is None else channel[valid]


def _extrema(values: NDArray[Any]) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _percentile_range(
    channel: NDArray[Any], valid: NDArray[np.bool_] | None, lowest: float, highest: float
) -> tuple[float, float]:
    if lowest == highest:
        # One flat channel among others: it becomes 0. The next float counts where a step
        # of 1 is lost in rounding.
        return lowest, max(lowest + 1.0, float(np.nextafter(lowest, np.inf)))
    values = _counted(channel, valid)
    step = -(-values.size // _MOST_SAMPLES)
    if step > 1:
        # An odd step visits every column of an image whose width is a power of 2.
        values = values[:: step | 1]
    # Values that occur in the image: interpolated ones could overflow.
    low, high = np.percentile(values.astype(np.float64), _PERCENTILES, method="nearest")
    return (float(low), float(high)) if low < high else (lowest, highest)


def _dtype_range(dtype: np.dtype[Any], extrema: list[tuple[float, float]]) -> tuple[float, float]:
    lowest = min(low for low, _ in extrema)
    highest = max(high for _, high in extrema)
    if dtype.kind == "b":
        return 0.0, 1.0
    if dtype.kind == "f" and lowest >= 0.0 and highest <= 1.0:
        return 0.0, 1.0
    if dtype.kind == "f" or dtype.itemsize > _WIDEST_FILLED:
        return lowest, highest
    return min(0.0, lowest), float(np.iinfo(dtype).max)
