"""What is to be done: which frames of which files go where, by which model.

Two runs with the same plan write the same bytes. The plan is kept beside the output, so
that a run that was cut short is only ever finished with what it was begun with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_diffseg.image.info import Placed
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.io.kinds import name_of

ZARR = (".ome.zarr", ".zarr")
TIFF = (".ome.tif", ".ome.tiff", ".tif", ".tiff")
PNG = (".png",)
PICTURES = (*PNG, ".jpg", ".jpeg")
"""Endings of files; those of `PICTURES` that lose pixels are read, never written."""

JOURNAL_NAME = ".napari-diffseg"
"""Where the journal of a folder lies, within it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What a worker is given: one frame, or one window of a volume.

    Attributes
    ----------
    index : int
        Its number in the plan.
    target, position : int
        Which output it goes to, and in which frame of it.
    path : Path
        File that it lies in.
    frame : int
        Which frame of the file.
    shape : tuple of int
        What the frame must have, as stored.
    window : int or None
        Which window of the frame; None where all of them are meant.
    """

    index: int
    target: int
    position: int
    path: Path
    frame: int
    shape: tuple[int, ...]
    window: int | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Target:
    """One output, and the frames that go into it.

    Attributes
    ----------
    number : int
        Its place in the plan.
    output : Path
        Where it goes.
    paths : tuple of Path
        A file, or the files of a series.
    frames : sequence of int
        Frames of these, counted through, in the order of the output.
    per_path : int
        Frames in each file.
    frame_shape : tuple of int
        Of the input, with its channels.
    axes : str
        Of the labels, e.g. ``"TYX"``.
    shape : tuple of int
        Of the labels.
    spatial : str
        ``"ZYX"`` where frames are volumes, else ``"YX"``.
    n_windows : int
        Units that a frame is done in; 1 where it is done as a whole.
    level, series : int
        Which resolution, and which image, of the files; 0 is the full one, the first.
    pixel_size : PixelSize or None
    t_step : float or None
        Distance of frames in seconds.
    placement : mapping of str to Placed
        Where the pixels lie.
    notes : tuple of str
        Sentences that the person should read.
    """

    number: int
    output: Path
    paths: tuple[Path, ...]
    frames: Sequence[int]
    per_path: int
    frame_shape: tuple[int, ...]
    axes: str
    shape: tuple[int, ...]
    spatial: str = "YX"
    n_windows: int = 1
    level: int = 0
    series: int = 0
    pixel_size: PixelSize | None = None
    t_step: float | None = None
    placement: Mapping[str, Placed] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """``"zarr"``, ``"tiff"`` or ``"png"``; a field of a plate is a folder without an ending."""
        return output_kind(self.output) or "zarr"

    @property
    def n_units(self) -> int:
        """Units of work in all."""
        return len(self.frames) * self.n_windows

    def source(self, position: int) -> tuple[Path, int]:
        """Return the file that a frame of the output comes from, and which frame of it."""
        file, frame = divmod(self.frames[position], self.per_path)
        return self.paths[file], frame

    def name(self, position: int) -> str:
        """Name a frame for a person."""
        path, frame = self.source(position)
        name = name_of(path)
        return name if self.per_path == 1 else f"frame {frame} of {name}"


@dataclass(frozen=True, eq=False, slots=True)
class Plan:
    """What a run is to do.

    Attributes
    ----------
    output : Path
        File or folder, as asked for.
    targets : tuple of Target
        One, or one for each readable file of a folder.
    unreadable : tuple of (str, str)
        Files that cannot be segmented at all, and why.
    facts : dict
        All that makes the labels, in values that JSON can hold.
    plates : tuple of (Path, Path)
        Plates among the inputs, and what each becomes.
    """

    output: Path
    targets: tuple[Target, ...]
    unreadable: tuple[tuple[str, str], ...]
    facts: dict[str, Any]
    plates: tuple[tuple[Path, Path], ...] = ()

    @property
    def is_folder(self) -> bool:
        """Whether each input has an output of its own."""
        return output_kind(self.output) is None or bool(self.plates)

    @property
    def journal(self) -> Path:
        """Folder in which the work is done until the output is whole."""
        if self.is_folder:
            return self.output / JOURNAL_NAME
        return self.output.with_name(f".{self.output.name}.part")

    @property
    def places(self) -> set[Path]:
        """Where the inputs and the outputs lie."""
        inputs = {Path(stamp[0]) for stamp in self.facts["inputs"]}
        return {path.resolve() for path in inputs | {target.output for target in self.targets}}

    @property
    def n_frames(self) -> int:
        """Frames in all."""
        return sum(len(target.frames) for target in self.targets)

    @property
    def n_units(self) -> int:
        """Units of work in all."""
        return sum(target.n_units for target in self.targets)

    def units(self) -> Iterator[Unit]:
        """Yield the units of work, target by target and frame by frame."""
        index = 0
        for target in self.targets:
            windows = [None] if target.n_windows == 1 else range(target.n_windows)
            for position in range(len(target.frames)):
                path, frame = target.source(position)
                for window in windows:
                    yield Unit(
                        index, target.number, position, path, frame, target.frame_shape, window
                    )
                    index += 1


def output_kind(path: Path) -> str | None:
    """Return ``"zarr"``, ``"tiff"`` or ``"png"`` by the ending of a name, or None for a folder."""
    name = path.name.lower()
    for kind, endings in (("zarr", ZARR), ("tiff", TIFF), ("png", PNG)):
        if name.endswith(endings):
            return kind
    return None


def differences(mine: dict[str, Any], stored: dict[str, Any]) -> list[str]:
    """Say in words what differs between the facts of two plans."""
    words = {
        "version": "the version of napari-diffseg",
        "model": "the model",
        "inputs": "the inputs",
        "frames": "the choice of frames",
        "axes": "the axes",
        "level": "the resolution",
        "series": "the choice of the image",
        "params": "how the model is applied",
    }
    return [word for key, word in words.items() if mine.get(key) != stored.get(key)]
