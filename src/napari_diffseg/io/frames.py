"""Frames of images that need not fit into memory: planes along time and depth, one at a time.

A `FrameStack` knows what its files say and opens them when pixels are wanted; it is small,
and can be sent to another process. Every process keeps a few of the files open.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.errors import InputError
from napari_diffseg.images.axes import resolve_axes
from napari_diffseg.images.pixel_size import PixelSize
from napari_diffseg.io.facts import ImageFacts
from napari_diffseg.io.kinds import DAMAGE, damaged, first_line, is_zarr, too_large
from napari_diffseg.io.lazy_frame import LazyFrame, Region
from napari_diffseg.io.sources import Source, open_source

IMAGE_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
"""Endings of the files that `list_inputs` takes from a folder, beside zarr folders."""


@dataclass(frozen=True, slots=True)
class FrameStack:
    """The frames of one file, or of several files that follow each other in time.

    Attributes
    ----------
    paths : tuple of Path
        The files: one, or one for each entry of T.
    axes : str
        One letter of T C Z Y X for each axis of the whole, in the order of the file;
        that of several files begins with T.
    shape : tuple of int
        Length of each axis.
    dtype : dtype
        Type of the pixels, in the native byte order.
    rgb : bool or None
        Whether the channels are colours; None where no file says.
    file_axes : str
        Axes of each file: `axes`, but where there are several files.
    file_shape : tuple of int
        Shape of each file.
    pixel_size : PixelSize or None
        None where no file says.
    z_step : float or None
        Distance of two planes, in the unit of `pixel_size`.
    t_step : float or None
        Seconds from frame to frame.
    notes : tuple of str
        Sentences that the person should read.
    """

    paths: tuple[Path, ...]
    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    rgb: bool | None
    file_axes: str
    file_shape: tuple[int, ...]
    pixel_size: PixelSize | None = None
    z_step: float | None = None
    t_step: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The file, or the first of several."""
        return self.paths[0]

    @property
    def leading(self) -> str:
        """The axes along which there are frames: those of T and Z, in the order of the file."""
        return "".join(letter for letter in self.axes if letter in "TZ")

    @property
    def leading_shape(self) -> tuple[int, ...]:
        """Lengths of the `leading` axes."""
        return tuple(self._length(letter) for letter in self.leading)

    @property
    def n_frames(self) -> int:
        """How many frames there are; 1 for a plane."""
        return int(np.prod(self.leading_shape, dtype=np.int64))

    @property
    def frame_axes(self) -> str:
        """The axes of a frame: Y, X and C where there are channels, in the order of the file."""
        return "".join(letter for letter in self.axes if letter not in "TZ")

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Lengths of the `frame_axes`."""
        return tuple(self._length(letter) for letter in self.frame_axes)

    @property
    def plane_shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        return self._length("Y"), self._length("X")

    def __len__(self) -> int:
        return self.n_frames

    def frame(self, i: int) -> LazyFrame:
        """Return a frame, of which nothing has been read yet.

        Parameters
        ----------
        i : int
            From 0 on, in C order over the `leading` axes.

        Raises
        ------
        InputError
            There are fewer frames. A frame that is damaged raises when it is read.
        """
        if not 0 <= i < self.n_frames:
            raise InputError(
                f"There is no frame {i} in {self.path}, which has {self.n_frames} (the first is "
                "0); choose another."
            )
        return LazyFrame(self, i)

    def file_of(self, i: int) -> Path:
        """Return the file that a frame is in."""
        return self.paths[self._position(i).get("T", 0) if len(self.paths) > 1 else 0]

    def name_of(self, i: int) -> str:
        """Say in words which frame it is, e.g. ``"frame 7 of cells.tif"``."""
        path = self.file_of(i)
        n_in_file = self.n_frames // len(self.paths)
        return path.name if n_in_file == 1 else f"frame {i % n_in_file} of {path.name}"

    def reads_whole(self, i: int) -> bool:
        """Whether reading a part of a frame costs as much as reading all of it."""
        y, x = (self.file_axes.index(letter) for letter in "YX")
        return self._source(self.file_of(i)).reads_whole((y, x))

    def read(self, i: int, region: Region) -> NDArray[Any]:
        """Read a part of a frame.

        Parameters
        ----------
        i : int
            The frame.
        region : tuple of slice
            One slice of step 1 for each of the `frame_axes`.

        Returns
        -------
        ndarray
            As many axes as the frame has, in the native byte order.

        Raises
        ------
        InputError
            The frame cannot be read, or its file is not the one that it was.
        OutOfMemoryError
            The part does not fit into memory.
        """
        path = self.file_of(i)
        where: dict[str, int | slice] = dict(self._position(i))
        if len(self.paths) > 1:
            where["T"] = 0
        where |= zip(self.frame_axes, region, strict=True)
        source = self._source(path)
        try:
            return source.read(tuple(where[letter] for letter in self.file_axes))
        except MemoryError as error:
            raise too_large(path) from error
        except DAMAGE as error:
            raise self._damaged(i, error) from error

    def _source(self, path: Path) -> Source:
        source = open_source(path)
        facts = source.facts
        if (facts.shape, facts.dtype) != (self.file_shape, self.dtype):
            raise _other_shape(path, facts, self.file_shape, self.dtype)
        return source

    def _position(self, i: int) -> dict[str, int]:
        numbers = np.unravel_index(i, self.leading_shape) if self.leading else ()
        return dict(zip(self.leading, (int(number) for number in numbers), strict=True))

    def _length(self, letter: str) -> int:
        return self.shape[self.axes.index(letter)]

    def _damaged(self, i: int, error: Exception) -> InputError:
        path = self.file_of(i)
        if self.n_frames == len(self.paths) or "imagecodecs" in str(error):
            return damaged(path, error)
        return InputError(
            f"{self.name_of(i).capitalize()} in {path.parent} is damaged ({first_line(error)}); "
            "copy or save the file again."
        )


def open_frames(
    path: str | PathLike[str], axes: str | None = None, n_channels: int | None = None
) -> FrameStack:
    """Open an image of any number of frames; its pixels are not read.

    Parameters
    ----------
    path : path-like
        An OME-Zarr image, a zarr array, or a TIFF, OME-TIFF, PNG or JPEG file.
    axes : str, optional
        One letter of T C Z Y X for each axis. What the file says where None, or else a
        guess from the shape: a plane, channels, or the planes of a nameless stack (T).
    n_channels : int, optional
        How many channels are expected; it decides a guess between channels and frames.

    Raises
    ------
    InputError
        The file is missing, of another kind, truncated or damaged; its metadata make no
        sense; or its axes are not known, or not those that are stated.
    """
    path = Path(path)
    facts = open_source(path).facts
    letters, notes = _axes(path, facts, axes, n_channels)
    return FrameStack(
        (path,),
        letters,
        facts.shape,
        facts.dtype,
        facts.rgb,
        letters,
        facts.shape,
        facts.pixel_size,
        facts.z_step,
        facts.t_step,
        (*facts.notes, *notes),
    )


def open_series(
    paths: Sequence[str | PathLike[str]],
    axes: str | None = None,
    n_channels: int | None = None,
) -> FrameStack:
    """Open several files of one shape as entries of T; their pixels are not read.

    Parameters
    ----------
    paths : sequence of path-like
        In the order of time. One path is opened as by `open_frames`.
    axes : str, optional
        Axes of each file, as for `open_frames`.
    n_channels : int, optional
        As for `open_frames`.

    Returns
    -------
    FrameStack
        A file that cannot be opened is let pass: its frames raise when they are read.

    Raises
    ------
    InputError
        There is no file; one is missing; all are damaged; they have several times
        themselves; or one has another shape or type than the first.
    """
    files = tuple(Path(path) for path in paths)
    if len(files) == 1:
        return open_frames(files[0], axes, n_channels)
    first: FrameStack | None = None
    broken: InputError | None = None
    for path in files:
        if not path.exists():
            raise InputError(f"{path} does not exist; check the name of the file.")
        try:
            facts = open_source(path).facts
        except InputError as error:
            broken = broken or error
            continue
        if first is None:
            first = open_frames(path, axes, n_channels)
        elif (facts.shape, facts.dtype) != (first.shape, first.dtype):
            raise _other_shape(path, facts, first.shape, first.dtype)
    if first is None:
        raise broken or InputError("There are no files in the series; name two or more.")
    return _joined(first, files)


def list_inputs(path: str | PathLike[str]) -> list[Path]:
    """List the images that a path names.

    Parameters
    ----------
    path : path-like
        A file or a zarr folder, which is returned as it is; or a folder, of which the
        images of known endings and the zarr folders are returned, hidden ones left out.

    Returns
    -------
    list of Path
        In natural order: ``t2.tif`` before ``t10.tif``.

    Raises
    ------
    InputError
        There is nothing of this name, or no image in the folder.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; check the name of the file or folder.")
    if not path.is_dir() or is_zarr(path):
        return [path]
    try:
        entries = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    images = [
        entry
        for entry in entries
        if (is_zarr(entry) if entry.is_dir() else entry.suffix.lower() in IMAGE_SUFFIXES)
    ]
    if not images:
        raise InputError(
            f"There is no image in the folder {path}; known are {', '.join(IMAGE_SUFFIXES)} and "
            "zarr folders."
        )
    return sorted(images, key=_natural)


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Sort numbers in names by their size."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [(int(part) if part.isdecimal() else -1, part) for part in parts], path.name


def _joined(first: FrameStack, files: tuple[Path, ...]) -> FrameStack:
    """Make a series of the first of its files that can be read."""
    if "T" not in first.axes:
        letters, shape = first.axes, first.shape
    else:
        time = first.axes.index("T")
        if first.shape[time] > 1:
            raise InputError(
                f"{first.path} has {first.shape[time]} time points itself, so several such files "
                "are no series of frames; apply to each of them, or state other axes."
            )
        letters = first.axes.replace("T", "")
        shape = first.shape[:time] + first.shape[time + 1 :]
    return replace(first, paths=files, axes="T" + letters, shape=(len(files), *shape))


def _axes(
    path: Path, facts: ImageFacts, stated: str | None, n_channels: int | None
) -> tuple[str, tuple[str, ...]]:
    """Return the axes of a file, and a note where they were guessed."""
    axes = stated or facts.axes
    notes: tuple[str, ...] = ()
    if axes is None and len(facts.shape) == 3:
        axes, note = _guess_of_three(path, facts, n_channels)
        if note is None:
            return axes, ()
        notes = (note,)
    lengths = facts.shape
    if axes is not None and len(axes.strip()) == len(lengths):
        # A frame is one entry of T and Z, and has axes that an image can have.
        lengths = tuple(
            min(length, 1) if letter in "TZ" else length
            for letter, length in zip(axes.strip().upper(), lengths, strict=True)
        )
    try:
        return resolve_axes(lengths, axes, rgb=facts.rgb if stated is None else None).axes, notes
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _guess_of_three(
    path: Path, facts: ImageFacts, n_channels: int | None
) -> tuple[str, str | None]:
    """Guess the three axes of a file: channels, or frames; with what a person should know."""
    try:
        guess = resolve_axes(facts.shape, rgb=facts.rgb)
    except InputError:
        return "TYX", f"{path.name} does not name its first axis; it was taken for time (T)."
    if guess.rgb or guess.axes[0] != "C":
        return guess.axes, None
    found = guess.n_channels
    if n_channels == 1 < found:
        note = f"{path.name} does not name its axes; the first ({found}) was taken for time (T)."
        return "TYX", note
    note = (
        f"{path.name} does not name its axes; the first ({found}) was taken for channels. If it is "
        "time, state the axes TYX."
    )
    return guess.axes, note


def _other_shape(
    path: Path, facts: ImageFacts, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> InputError:
    return InputError(
        f"{path} has the shape {facts.shape} and the type {facts.dtype}, but the frames of this "
        f"stack have {shape} and {dtype}; leave the file out, or bring it to the same shape."
    )
