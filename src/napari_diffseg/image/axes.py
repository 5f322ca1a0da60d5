"""Axes of an image: any order in, ``c y x`` or ``c z y x`` inside.

Axes are stated by the caller or guessed from the shape, once, at the door. The
answer, an `ImageAxes`, can be shown to a person before anything is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.errors import InputError, count_in_words
from napari_diffseg.image.windows import Window

_LETTERS = "TCZYX"

# An axis is guessed to hold channels where it has at most so many entries ...
_MOST_GUESSED_CHANNELS = 10
# ... and each of the other two is at least so many times longer.
_MUCH_SMALLER = 3


@dataclass(frozen=True, slots=True)
class ImageAxes:
    """What each axis of an image means.

    One letter of ``T C Z Y X`` for each axis of the array, in its order. `guessed`: from the shape;
    `rgb`: the 3 or 4 channels are red, green, blue (and alpha).
    """

    axes: str
    shape: tuple[int, ...]
    guessed: bool
    rgb: bool

    @property
    def channel_axis(self) -> int | None:
        """Position of the channel axis, or None where the image has none."""
        return self.axes.index("C") if "C" in self.axes else None

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is alpha, which is no part of the picture."""
        return self.rgb and self._length("C") == 4

    @property
    def n_channels(self) -> int:
        """Number of channels (c), alpha not counted."""
        if "C" not in self.axes:
            return 1
        return self._length("C") - int(self.has_alpha)

    @property
    def spatial(self) -> str:
        """``"ZYX"`` for a volume, of more than one plane; else ``"YX"``."""
        return "ZYX" if "Z" in self.axes and self._length("Z") > 1 else "YX"

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """Length of each spatial axis: ``(y, x)`` or ``(z, y, x)``."""
        return tuple(self._length(letter) for letter in self.spatial)

    def of_plane(self) -> ImageAxes:
        """Return the axes of one plane of a volume."""
        at = self.axes.index("Z")
        shape = self.shape[:at] + self.shape[at + 1 :]
        return replace(self, axes=self.axes.replace("Z", ""), shape=shape)

    def describe(self) -> str:
        """Say the axes in words, e.g. ``"Z 51 · Y 120 · X 122 · 3 channels (RGB)"``."""
        channels = "one channel" if self.n_channels == 1 else f"{self.n_channels} channels"
        if self.has_alpha:
            channels += " (RGB, alpha dropped)"
        elif self.rgb:
            channels += " (RGB)"
        lengths = [f"{letter} {self._length(letter)}" for letter in self.spatial]
        return " · ".join([*lengths, channels])

    def _length(self, letter: str) -> int:
        return self.shape[self.axes.index(letter)]


def as_array(image: Any) -> Any:
    """Return what was given as an image as something that has a shape and numpy can read.

    Of what is lazy nothing is read. Raises `InputError` for the name of a file, and for no image.
    """
    if isinstance(image, str | bytes | PathLike):
        raise InputError(
            f"{str(image)!r} is the name of a file, but the pixels of an image were expected; read "
            "the file first, such as with skimage.io.imread or tifffile.imread, or use the command "
            "napari-diffseg."
        )
    if hasattr(image, "detach"):  # a tensor of torch, which may be on a GPU or learned
        return np.asarray(image.detach().cpu())
    if hasattr(image, "shape"):
        return image
    try:
        return np.asarray(image)
    except ValueError as error:
        raise InputError(
            "The image has rows of different lengths; give an array, whose rows are all alike."
        ) from error


def resolve_axes(
    shape: Sequence[int], axes: str | None = None, *, rgb: bool | None = None
) -> ImageAxes:
    """Find out what each axis of an image means.

    Stated letters in any case and order, ``S`` (samples, as in TIFF) counting as C; 3 or 4 channels
    are RGB(A) where they stand last or are called S. Without, what `guess_letters` says.
    """
    if any(length != length for length in shape):  # NaN
        raise InputError(
            "The array does not know how long its axes are (its chunks are of unknown sizes); call "
            "its method compute_chunk_sizes() before."
        )
    lengths = tuple(int(length) for length in shape)
    if len(lengths) < 2:
        raise InputError(
            f"The image has the shape {lengths}, but an image needs the axes Y and X; "
            "give an array with at least 2 axes."
        )
    if 0 in lengths:
        raise InputError(
            f"The image is empty (its shape is {lengths}); give an image with at least one pixel."
        )
    if axes is None:
        return _guess(lengths, rgb)
    return _read_stated(lengths, axes, rgb)


def is_in_memory(array: Any) -> bool:
    """Whether nothing of an array has to be read from disk, or computed."""
    return isinstance(array, np.ndarray) and not isinstance(array, np.memmap)


def channels_first(
    array: Any,
    axes: ImageAxes,
    window: Window | None = None,
    channels: Sequence[int] | None = None,
) -> NDArray[Any]:
    """Bring an image into the order ``c y x``, or ``c z y x``; alpha is dropped.

    Of a lazy array only the window and the channels that are wanted are read. May be a view of
    `array`, so do not write to it.
    """
    source = as_array(array)
    if tuple(source.shape) != axes.shape:
        raise InputError(
            f"The image has the shape {tuple(source.shape)}, but its axes {axes.axes} were "
            f"read for the shape {axes.shape}; read the axes of this image again."
        )
    spatial = axes.spatial
    places = window or (slice(None),) * len(spatial)
    wanted: dict[str, slice] = dict(zip(spatial, places, strict=True))
    picked = list(range(axes.n_channels) if channels is None else channels)
    # The span of the channels in one piece, as every kind of array can be asked for.
    wanted["C"] = slice(min(picked), max(picked) + 1)
    index = tuple(wanted.get(letter, 0) for letter in axes.axes)
    pixels = _numbers(source[index])
    _check_read(pixels.shape, axes.shape, index)
    left = [letter for letter in axes.axes if letter in "C" + spatial]
    if "C" not in left:
        pixels, left = pixels[np.newaxis], ["C", *left]
    ordered = pixels.transpose([left.index(letter) for letter in "C" + spatial])
    if picked != list(range(picked[0], picked[-1] + 1)):
        ordered = ordered[[one - min(picked) for one in picked]]
    return ordered.astype(ordered.dtype.newbyteorder("="), copy=False)


def check_real(dtype: np.dtype[Any]) -> None:
    """Raise `InputError` where pixels of this type are no real numbers."""
    if dtype.kind not in "buif":
        raise InputError(
            f"The pixels are of the type {dtype}, but must be real numbers; "
            "convert the image to an integer or a floating-point type."
        )


def _numbers(source: Any) -> NDArray[Any]:
    """Read pixels; those that are masked are NaN."""
    pixels = np.asanyarray(source)
    check_real(pixels.dtype)
    if isinstance(pixels, np.ma.MaskedArray) and pixels.mask.any():
        wide = np.promote_types(pixels.dtype, np.float32)
        return np.ma.filled(pixels.astype(wide), np.nan)
    return np.asarray(pixels)


def _check_read(
    found: tuple[int, ...], shape: tuple[int, ...], index: tuple[int | slice, ...]
) -> None:
    """Refuse a lazy array whose parts are not as large as it says."""
    asked = tuple(
        len(range(length)[one])
        for length, one in zip(shape, index, strict=True)
        if isinstance(one, slice)
    )
    if found != asked:
        raise InputError(
            f"The array says that its shape is {shape}, but where {asked} pixels were asked for it "
            f"gives {found}; make it anew, with the shape that its chunks have."
        )


def _read_stated(shape: tuple[int, ...], axes: str, rgb: bool | None) -> ImageAxes:
    """Check stated axes against the shape."""
    letters = read_letters(axes)
    if len(letters) != len(shape):
        raise InputError(
            f"The axes {axes!r} name {len(letters)} axes, but the image has {len(shape)} "
            f"(its shape is {shape}); give one letter for each."
        )
    lengths = dict(zip(letters, shape, strict=True))
    if lengths.get("T", 1) > 1:
        raise InputError(
            f"The image has {lengths['T']} frames (T), where one is asked; choose a frame, or "
            "train a model on some frames and apply it to all."
        )
    n_channels = lengths.get("C", 1)
    if rgb and n_channels not in (3, 4):
        raise InputError(
            f"The image is said to be RGB, but its axes {axes!r} give it "
            f"{count_in_words(n_channels, 'channel')} instead of 3 or 4; "
            "state other axes, or say that it is not RGB."
        )
    if rgb is None:
        last = letters[-1] == "C" or "S" in axes.upper()
        rgb = last and n_channels in (3, 4)
    return ImageAxes(letters, shape, guessed=False, rgb=rgb)


def read_letters(axes: str) -> str:
    """Turn stated axes into known letters, each once, with Y and X among them."""
    stated = axes.strip().upper()
    unknown = [letter for letter in stated if letter not in _LETTERS + "S"]
    if unknown:
        raise InputError(
            f"The axes {axes!r} have the unknown letter {unknown[0]!r}; use T, C, Z, Y and X."
        )
    letters = stated.replace("S", "C")
    for letter in _LETTERS:
        if letters.count(letter) > 1:
            also = " (S counts as C)" if "S" in stated else ""
            raise InputError(
                f"The axes {axes!r} name {letter} more than once{also}; "
                "give every axis a letter of its own."
            )
    for letter in "YX":
        if letter not in letters:
            raise InputError(f"The axes {axes!r} have no {letter}; name both Y and X.")
    return letters


def _guess(shape: tuple[int, ...], rgb: bool | None) -> ImageAxes:
    """Guess the axes from the shape."""
    if rgb and (len(shape) < 3 or shape[-1] not in (3, 4)):
        raise InputError(
            f"The image is said to be RGB, but its last axis is not 3 or 4 long (its shape is "
            f"{shape}); {_state_axes(shape)}, or say that it is not RGB."
        )
    letters = guess_letters(shape, rgb)
    if letters is None:
        raise InputError(
            f"The axes of an image with the shape {shape} cannot be guessed; {_state_axes(shape)}, "
            "or choose one plane of a volume or a time series."
        )
    if len(letters) < len(shape):
        raise InputError(
            f"The image has {len(shape)} axes (its shape is {shape}), where at most 5 are "
            "known; remove axes of length 1."
        )
    colour = rgb is not False and letters.endswith("YXC") and shape[-1] in (3, 4)
    return ImageAxes(letters, shape, guessed=True, rgb=colour)


def guess_letters(shape: tuple[int, ...], rgb: bool | None = None) -> str | None:
    """Return what axes that nobody names are taken for, at every door; None where no guess is safe.

    2 are YX; a last one of 3 or 4 is RGB(A); leading ones of 1 mean nothing; of 3 left one far
    shorter, 10 at most, is C. Z and T never are: a volume is one because somebody said so.
    """
    n_leading = 0
    while len(shape) - n_leading > 3 and shape[n_leading] == 1:
        n_leading += 1
    core = shape[n_leading:]
    colour = rgb is not False and len(core) == 3 and core[-1] in (3, 4)
    letters = "YXC" if colour else _guess_plane(core)
    if letters is None:
        return None
    # Leading axes of length 1 mean nothing; they get the letters that are left.
    free = [letter for letter in "TCZ" if letter not in letters]
    return "".join(free[: len(shape) - len(letters)]) + letters


def _state_axes(shape: tuple[int, ...]) -> str:
    """Say how the axes of an image of a shape can be stated, with letters that fit it."""
    examples = {2: "'YX'", 3: "'CYX' or 'ZYX'", 4: "'CZYX' or 'ZCYX'"}
    if len(shape) == 4 and shape[-1] in (3, 4):
        examples[4] = "'ZYXC'"
    if len(shape) == 5 and 1 in shape:
        place = shape.index(1)
        examples[5] = f"'{'CZYX'[:place]}T{'CZYX'[place:]}'"
    if len(shape) not in examples:
        return "give one frame of it, with the axes C, Z, Y and X at most"
    return f"state its axes with one letter for each, for example {examples[len(shape)]}"


def _guess_plane(core: tuple[int, ...]) -> str | None:
    """Letters of the last axes of `core` that are no RGB; None where no guess is safe."""
    if len(core) == 2 or (len(core) == 3 and core[0] == 1):
        return "YX"
    if len(core) > 3:
        return None
    for position, letters in enumerate(("CYX", "YCX", "YXC")):
        length = core[position]
        others = core[:position] + core[position + 1 :]
        if length <= _MOST_GUESSED_CHANNELS and length * _MUCH_SMALLER <= min(others):
            return letters
    return None
