"""Which planes of a TIFF file are there: of a stopped acquisition, or one file of a set."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_diffseg.errors import InputError
from napari_diffseg.io.tiff.ome_xml import OmeFacts

Page = Any
"""A page of tifffile, or None where one is missing."""

_WORDS = {"T": "time points (T)", "Z": "planes (Z)", "C": "channels (C)"}
_LISTED = ("ome", "imagej", "mmstack")
"""Kinds of files that list their planes: where all of them are there, the file is whole."""
_FALLBACKS = ("uniform", "generic")
"""What tifffile calls files that it cannot bring into the order that their metadata say."""
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Present:
    """The planes of an image that are there."""

    series: tifffile.TiffPageSeries
    kept: dict[str, list[int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def present_planes(
    tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, ome: OmeFacts, path: Path
) -> Present:
    """Leave out what is missing of an image, along whole axes.

    Time points, or planes along Z, or channels that are complete stay, whichever leaves most; of
    planes along Z those in one piece, for others are not equally far apart.
    """
    pages, letters, lengths = _expected(tif, series)
    _check_pieces(series)
    if None not in pages:
        if series.kind not in _LISTED:
            _check_chain(tif)
        return Present(series)
    _check_chain(tif)
    there = np.array([page is not None for page in pages]).reshape(lengths)
    said = _counted(there, ome.missing(path), path)
    entries = _complete(there, letters)
    if entries is None:
        raise InputError(
            f"{said}, but of no time point, plane along Z or channel all are there; copy the "
            "missing ones beside it, or save the image again."
        )
    kept = {
        letter: found.tolist()
        for letter, found, length in zip(letters, entries, lengths, strict=True)
        if len(found) < length
    }
    read = " and ".join(f"{_words(letter)} {_ranges(kept[letter])}" for letter in kept)
    places = np.arange(there.size).reshape(lengths)[np.ix_(*entries)]
    return Present(_cut(series, pages, letters, places), kept, (f"{said}; what was read: {read}.",))


def _counted(there: NDArray[np.bool_], missing: list[str], path: Path) -> str:
    """Say how many planes there are, and which files are not."""
    said = f"{path.name} holds {there.sum()} of the {there.size} planes that its metadata list"
    if not missing:
        return said
    more = ", …" if len(missing) > _MOST_NAMED else ""
    return f"{said} (not beside it: {', '.join(missing[:_MOST_NAMED])}{more})"


def _words(letter: str) -> str:
    return _WORDS.get(letter, f"entries of {letter}")


def _expected(
    tif: tifffile.TiffFile, series: tifffile.TiffPageSeries
) -> tuple[list[Page], str, tuple[int, ...]]:
    """Return the planes that there should be, None for a missing one, and the axes of these."""
    pages = list(series.pages)
    if tif.is_imagej and series.kind in _FALLBACKS and len(tif.series) == 1:
        found = _expected_by_imagej(tif, pages)
        if found is not None:
            return found
    n_inner = len(series.keyframe.shape)
    lengths = tuple(series.shape[: len(series.shape) - n_inner])
    if None in pages and prod(lengths) != len(pages):
        raise tifffile.TiffFileError("planes are missing")
    return pages, series.axes[: len(lengths)], lengths


def _expected_by_imagej(
    tif: tifffile.TiffFile, pages: list[Page]
) -> tuple[list[Page], str, tuple[int, ...]] | None:
    """Return what ImageJ says of planes that are fewer than it says; None where they are not."""
    said = tif.imagej_metadata or {}
    sizes = {"T": said.get("frames", 1), "Z": said.get("slices", 1), "C": said.get("channels", 1)}
    letters = "".join(letter for letter, size in sizes.items() if size > 1)
    lengths = tuple(int(sizes[letter]) for letter in letters)
    missing = prod(lengths) - len(pages)
    if (
        len(pages) == 1 and missing > 0
    ):  # ImageJ can put all planes behind one page: then bytes are missing
        raise tifffile.TiffFileError("fewer planes than ImageJ wrote")
    return (pages + [None] * missing, letters, lengths) if missing > 0 else None


def _cut(
    series: tifffile.TiffPageSeries,
    pages: list[Page],
    letters: str,
    places: NDArray[np.intp],
) -> tifffile.TiffPageSeries:
    """Make an image of some of the planes of another one, at all of its resolutions."""
    levels = [
        tifffile.TiffPageSeries(
            [(pages if number == 0 else list(level.pages))[place] for place in places.ravel()],
            (*places.shape, *level.keyframe.shape),
            level.dtype,
            letters + level.keyframe.axes,
            parent=level.parent,
            name=level.name,
            kind=level.kind,
            multifile=level.is_multifile,
        )
        for number, level in enumerate(series.levels)
    ]
    levels[0].levels = levels
    return levels[0]


def _complete(there: NDArray[np.bool_], letters: str) -> list[NDArray[np.intp]] | None:
    """Return entries of each axis of which every plane is there; None where there are none."""
    axes = range(there.ndim)
    entries = [np.flatnonzero(there.any(axis=tuple(set(axes) - {axis}))) for axis in axes]
    block = there[np.ix_(*entries)]
    if not block.all():
        whole = [np.flatnonzero(block.all(axis=tuple(set(axes) - {axis}))) for axis in axes]
        # The number of planes that are left; of equal ones time is cut first.
        left = [len(found) * block.size // block.shape[axis] for axis, found in enumerate(whole)]
        best = max(axes, key=lambda axis: (left[axis], "CZT".find(letters[axis])))
        if left[best] == 0:
            return None
        entries[best] = entries[best][whole[best]]
    if "Z" in letters:
        depth = letters.index("Z")
        steps = np.flatnonzero(np.diff(entries[depth]) > 1) + 1
        entries[depth] = max(np.split(entries[depth], steps), key=len)
    return entries


def _ranges(numbers: list[int]) -> str:
    """Say numbers in order in words: ``"0 to 3, 5"``."""
    pieces = np.split(np.array(numbers), np.flatnonzero(np.diff(numbers) > 1) + 1)
    shown = [str(one[0]) if len(one) == 1 else f"{one[0]} to {one[-1]}" for one in pieces]
    return ", ".join(shown)


def _check_pieces(series: tifffile.TiffPageSeries) -> None:
    """Raise where a page lists fewer strips or tiles than it has: tifffile reads 0 for these."""
    for level in series.levels:
        page = level.keyframe
        if len(page.dataoffsets) < prod(page.chunked):
            raise tifffile.TiffFileError("strips or tiles are missing")


def _check_chain(tif: tifffile.TiffFile) -> None:
    """Raise where the file ends before its last page: tifffile reads what is left, and logs it."""
    last, layout = tif.pages[-1], tif.tiff
    file = tif.filehandle
    file.seek(last.offset)
    (n_tags,) = struct.unpack(layout.tagnoformat, file.read(layout.tagnosize))
    file.seek(last.offset + layout.tagnosize + n_tags * layout.tagsize)
    (next_offset,) = struct.unpack(layout.offsetformat, file.read(layout.offsetsize))
    if next_offset != 0:
        raise tifffile.TiffFileError("the last pages are missing")
