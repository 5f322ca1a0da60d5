"""What files say, checked: that an image and a resolution that are asked for are there."""

from __future__ import annotations

from collections.abc import Sequence

from napari_diffseg.errors import InputError, Remedy

Index = tuple[int | slice, ...]
"""A number, or a slice of step 1, for each axis of a file."""

ALPHA_DROPPED = "The alpha channel was dropped."

_MOST_LISTED = 12


def orientation_notes(orientation: object) -> tuple[str, ...]:
    """Say that programs for photos show an image turned, by its tag (1: as it is stored)."""
    if orientation not in range(2, 9):
        return ()
    return (
        f"The file asks to be shown turned or mirrored (orientation {orientation}); it was read as "
        "its pixels are stored.",
    )


def check_series(series: int, found: Sequence[str], name: str) -> tuple[str, ...]:
    """Refuse an image that a file does not have; return what is to be said of the others."""
    listed = ", ".join(f"{n}: {one}" for n, one in enumerate(found[:_MOST_LISTED]))
    if len(found) > _MOST_LISTED:
        listed += ", …"
    if not 0 <= series < len(found):
        there = "one image" if len(found) == 1 else f"{len(found)} images"
        raise InputError(
            f"{name} has {there} ({listed}), but image {series} is asked for; choose one that "
            "it has.",
            Remedy.CHOOSE_SERIES,
        )
    if len(found) == 1:
        return ()
    return (
        f"{name} holds {len(found)} images ({listed}); image {series} was read; choose the "
        "series for another one.",
    )


def check_level(level: int, n_levels: int, name: str) -> None:
    """Refuse a resolution that a file does not have."""
    if 0 <= level < n_levels:
        return
    there = "one resolution, level 0," if n_levels == 1 else f"levels 0 to {n_levels - 1}"
    raise InputError(f"{name} has {there} but level {level} is asked for; choose one that it has.")


def check_shape_of_level(
    shape: tuple[int, ...], full: tuple[int, ...], axes: str, level: int, name: str
) -> None:
    """Refuse a smaller resolution that cannot be one of the same image."""
    fits = len(shape) == len(full) and all(
        0 < own <= whole if letter in "ZYX" else own == whole
        for letter, own, whole in zip(axes, shape, full, strict=False)
    )
    if not fits:
        raise InputError(
            f"Level {level} of {name} has the shape {shape}, which is no smaller picture of level "
            f"0 with {full} (axes {axes}); read level 0, or write the file again."
        )
