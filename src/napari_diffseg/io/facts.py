"""What an image file says of its image, the pixels aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_diffseg.errors import InputError
from napari_diffseg.images.pixel_size import PixelSize

Spacing = tuple[float, float, float]
"""Distances of neighbouring voxels along z, y and x, in one unit, whatever it is."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an image file says of its image.

    Attributes
    ----------
    axes : str or None
        One letter of T C Z Y X per array axis; None where the file does not say.
    shape : tuple of int
        Shape of the array.
    dtype : dtype
        Type of the pixels, in the native byte order.
    rgb : bool or None
        Whether the channels are colours; None where the file does not say.
    pixel_size : PixelSize or None
        Of a pixel, and how far planes are apart; None where the file has none, or only a
        resolution for screen or print.
    spacing : tuple of 3 floats, or None
        Distances of voxels along z, y and x, which some files say without a unit; None where
        the file does not say.
    t_step : float or None
        Seconds from frame to frame; None where not known.
    channel_names : tuple of str
        One a channel, ``""`` where it has none; empty where no channel has one.
    n_levels : int
        How many resolutions of the image the file has.
    notes : tuple of str
        Sentences that the person should read, e.g. that other images were left out.
    """

    axes: str | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    rgb: bool | None
    pixel_size: PixelSize | None = None
    spacing: Spacing | None = None
    t_step: float | None = None
    channel_names: tuple[str, ...] = ()
    n_levels: int = 1
    notes: tuple[str, ...] = ()


def check_level(level: int, n_levels: int, name: str) -> None:
    """Refuse a resolution that a file does not have.

    Parameters
    ----------
    level : int
        0 is the full resolution.
    n_levels : int
        How many the file has.
    name : str
        Of the file, for the error.

    Raises
    ------
    InputError
        There is no such level.
    """
    if 0 <= level < n_levels:
        return
    there = "one resolution, level 0," if n_levels == 1 else f"levels 0 to {n_levels - 1}"
    raise InputError(f"{name} has {there} but level {level} is asked for; choose one that it has.")


def check_shape_of_level(
    shape: tuple[int, ...], full: tuple[int, ...], axes: str, level: int, name: str
) -> None:
    """Refuse a smaller resolution that cannot be one of the same image.

    Parameters
    ----------
    shape, full : tuple of int
        Of the level, and of level 0.
    axes : str
        One letter for each axis of level 0.
    level : int
    name : str
        Of the file, for the error.

    Raises
    ------
    InputError
        It has other axes, more pixels, or other times or channels.
    """
    fits = len(shape) == len(full) and all(
        0 < own <= whole if letter in "ZYX" else own == whole
        for letter, own, whole in zip(axes, shape, full, strict=False)
    )
    if not fits:
        raise InputError(
            f"Level {level} of {name} has the shape {shape}, which is no smaller picture of level "
            f"0 with {full} (axes {axes}); read level 0, or write the file again."
        )
