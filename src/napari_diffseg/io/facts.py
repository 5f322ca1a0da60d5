"""What an image file says of its image, the pixels aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import numpy as np

from napari_diffseg.errors import InputError
from napari_diffseg.image.pixel_size import PixelSize

ALPHA_DROPPED = "The alpha channel was dropped."

_MOST_LISTED = 12

Spacing = tuple[float, float, float]
"""Distances of neighbouring voxels along z, y and x, in one unit, whatever it is."""


class Placed(NamedTuple):
    """Where the pixels lie along an axis, as OME-Zarr says it.

    Attributes
    ----------
    step : float
        From one to the next; negative where they run against the axis.
    start : float
        Of the first.
    unit : str or None
        Name of the unit of both, whatever the file calls it.
    """

    step: float
    start: float
    unit: str | None


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
    placement : mapping of str to Placed
        Where the pixels lie along an axis; empty where the file does not say.
    notes : tuple of str
        Sentences that the person should read, e.g. that other images were left out.
    problem : str
        Why the axes are not known, where more can be said than that nobody names them; it is
        an error unless a person states them.
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
    placement: Mapping[str, Placed] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problem: str = ""

    def along(self, axes: str) -> Self:
        """Return the same facts for other axes, with Y and X among them.

        Where a person calls y what the file calls x, the two lengths change places. What has
        no planes has no distance of planes.
        """
        size, spacing = self.pixel_size, self.spacing
        if _is_turned(axes) != _is_turned(self.axes or "YX"):
            size = size and size.turned
            spacing = spacing and (spacing[0], spacing[2], spacing[1])
        if "Z" not in axes:
            size, spacing = size and size.plane, None
        return replace(self, axes=axes, pixel_size=size, spacing=spacing, problem="")

    def stated(self, axes: str | None) -> Self:
        """Return the same facts with the axes that a person states; unchanged where None.

        Raises
        ------
        InputError
            None are stated, and those of the file cannot be used.
        """
        if axes is None:
            if self.problem:
                raise InputError(self.problem)
            return self
        letters = axes.strip().upper()
        # Axes without these are refused where they are read.
        known = self.along(letters) if {"Y", "X"} <= set(letters) else self
        # Whether channels are colours is known of the file's own axes only.
        return replace(known, axes=letters, rgb=None, problem="")


def _is_turned(axes: str) -> bool:
    return "Y" in axes[axes.find("X") + 1 :] if "X" in axes else False


def check_series(series: int, found: Sequence[str], name: str) -> tuple[str, ...]:
    """Refuse an image that a file does not have; return what is to be said of the others.

    Parameters
    ----------
    series : int
        0 is the first.
    found : sequence of str
        The images of the file in words.
    name : str
        Of the file.

    Raises
    ------
    InputError
        There is no such image.
    """
    listed = ", ".join(f"{n}: {one}" for n, one in enumerate(found[:_MOST_LISTED]))
    if len(found) > _MOST_LISTED:
        listed += ", …"
    if not 0 <= series < len(found):
        there = "one image" if len(found) == 1 else f"{len(found)} images"
        raise InputError(
            f"{name} has {there} ({listed}), but image {series} is asked for (--series); choose "
            "one that it has."
        )
    if len(found) == 1:
        return ()
    return (
        f"{name} holds {len(found)} images ({listed}); image {series} was read: --series chooses "
        "another one.",
    )


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
