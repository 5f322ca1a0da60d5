"""Frames of images that need not fit into memory: planes or volumes, one at a time.

A `FrameStack` knows what its files say and opens them when pixels are wanted; it is small,
and can be sent to another process. Every process keeps a few of the files open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.errors import InputError, first_line
from napari_diffseg.image.info import ImageInfo
from napari_diffseg.io.frame_axes import frame_axes
from napari_diffseg.io.kinds import (
    DAMAGE,
    check_fits,
    damaged,
    name_of,
    not_there,
    too_large,
)
from napari_diffseg.io.lazy_frame import LazyFrame
from napari_diffseg.io.sources import Source, open_source


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameStack(ImageInfo):
    """The frames of one file, or of several files that follow each other in time.

    Its `axes` and `shape` are those of the whole: of several files they begin with T.
    """

    paths: tuple[Path, ...]
    axes: str
    file_axes: str
    file_shape: tuple[int, ...]
    volumes: bool = False
    level: int = 0
    series: int = 0
    numbers: bool = False

    @property
    def path(self) -> Path:
        """The file, or the first of several."""
        return self.paths[0]

    @property
    def spatial(self) -> str:
        """The spatial axes of a frame: ``"ZYX"`` for volumes of several planes, else ``"YX"``."""
        is_volume = self.volumes and "Z" in self.axes and self._length("Z") > 1
        return "ZYX" if is_volume else "YX"

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """Lengths of the `spatial` axes."""
        return tuple(self._length(letter) for letter in self.spatial)

    @property
    def leading(self) -> str:
        """The axes along which there are frames: those of T and Z, in the order of the file."""
        return "".join(
            letter for letter in self.axes if letter in "TZ" and letter not in self.spatial
        )

    @property
    def leading_shape(self) -> tuple[int, ...]:
        """Lengths of the `leading` axes."""
        return tuple(self._length(letter) for letter in self.leading)

    @property
    def labels_axes(self) -> str:
        """The axes of labels of all frames, in C order of the frames."""
        return self.leading + self.spatial

    @property
    def labels_shape(self) -> tuple[int, ...]:
        """Shape of labels of all frames."""
        return self.leading_shape + self.spatial_shape

    @property
    def n_frames(self) -> int:
        """How many frames there are; 1 for a plane, or one volume."""
        return int(np.prod(self.leading_shape, dtype=np.int64))

    @property
    def frame_axes(self) -> str:
        """The axes of a frame: the spatial ones, and C where there are channels, as in the file."""
        return "".join(letter for letter in self.axes if letter not in self.leading)

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Lengths of the `frame_axes`."""
        return tuple(self._length(letter) for letter in self.frame_axes)

    def __len__(self) -> int:
        return self.n_frames

    def frame(self, i: int) -> LazyFrame:
        """Return a frame, of which nothing has been read yet.

        From 0 on, in C order over the `leading` axes. One that is damaged raises when it is read.
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
        name = name_of(path)
        return name if n_in_file == 1 else f"frame {i % n_in_file} of {name}"

    def reads_whole(self, i: int) -> bool:
        """Whether reading a part of a frame costs as much as reading all of it."""
        spatial = tuple(self.file_axes.index(letter) for letter in self.spatial)
        return self._source(self.file_of(i)).reads_whole(spatial)

    def read(self, i: int, region: tuple[slice, ...]) -> NDArray[Any]:
        """Read a part of a frame.

        `region` has a slice of step 1 for each of the `frame_axes`; so many axes has what is
        returned.
        """
        path = self.file_of(i)
        where: dict[str, int | slice] = dict(self._position(i))
        if len(self.paths) > 1:
            where["T"] = 0
        where |= zip(self.frame_axes, region, strict=True)
        source = self._source(path)
        check_fits(path, (one.stop - one.start for one in region), self.dtype)
        try:
            return source.read(tuple(where[letter] for letter in self.file_axes))
        except MemoryError as error:
            raise too_large(path) from error
        except DAMAGE as error:
            raise self._damaged(i, error) from error

    def _source(self, path: Path) -> Source:
        source = open_source(path, self.level, self.series, self.file_axes, numbers=self.numbers)
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
    path: str | PathLike[str],
    axes: str | None = None,
    n_channels: int | None = None,
    *,
    volumes: bool = False,
    level: int = 0,
    series: int = 0,
    numbers: bool = False,
) -> FrameStack:
    """Open an image of any number of frames; its pixels are not read.

    Axes that neither a person nor the file says are guessed: `n_channels` decides between channels
    and frames (T), and Z never is. `volumes`: the entries of Z are one frame together; `numbers`
    as for `new_source`.
    """
    path = Path(path)
    facts = open_source(path, level, series, axes, numbers=numbers).facts
    letters, notes = frame_axes(path, facts, axes, n_channels)
    known = facts.along(letters)
    return FrameStack(
        **{one.name: getattr(known, one.name) for one in fields(known) if one.name != "notes"},
        notes=(*facts.notes, *notes),
        paths=(path,),
        file_axes=letters,
        file_shape=facts.shape,
        volumes=volumes,
        level=level,
        series=series,
        numbers=numbers,
    )


def open_series(
    paths: Sequence[str | PathLike[str]],
    axes: str | None = None,
    n_channels: int | None = None,
    *,
    volumes: bool = False,
    level: int = 0,
    series: int = 0,
) -> FrameStack:
    """Open several files of one shape as entries of T; their pixels are not read.

    One path is opened as by `open_frames`. A file that cannot be opened is let pass: its frames
    raise when they are read.
    """
    files = tuple(Path(path) for path in paths)
    opened = partial(
        open_frames, axes=axes, n_channels=n_channels, volumes=volumes, level=level, series=series
    )
    if len(files) == 1:
        return opened(files[0])
    first: FrameStack | None = None
    broken: InputError | None = None
    for path in files:
        if not path.exists():
            raise not_there(path)
        try:
            facts = open_source(path, level, series, axes).facts
        except InputError as error:
            broken = broken or error
            continue
        if first is None:
            first = opened(path)
        elif (facts.shape, facts.dtype) != (first.shape, first.dtype):
            raise _other_shape(path, facts, first.shape, first.dtype)
    if first is None:
        raise broken or InputError("There are no files in the series; name two or more.")
    return _joined(first, files)


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


def _other_shape(
    path: Path, facts: ImageInfo, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> InputError:
    return InputError(
        f"{path} has the shape {facts.shape} and the type {facts.dtype}, but the frames of this "
        f"stack have {shape} and {dtype}; leave the file out, or bring it to the same shape."
    )
