"""What is to be done: which frames of which files go where, by which model.

Two runs with the same plan write the same bytes. The plan is kept beside the output, so
that a run that was cut short is only ever finished with what it was begun with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_diffseg.errors import DiffSegError
from napari_diffseg.image.info import Placed
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.io.kinds import name_of
from napari_diffseg.io.label_files.writing import PNG, TIFF, ZARR

PICTURES = (*PNG, ".jpg", ".jpeg")
"""Endings of pictures; those that lose pixels are read, never written."""

JOURNAL_NAME = ".napari-diffseg"
"""Where the journal of a folder lies, within it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What a worker is given: one frame, or one `window` of a large one (None: all).

    It is frame `frame` of the file `path`, of the shape stored there, and goes to frame `position`
    of the output `target`; `index` is its number in the plan.
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
    """One output and the frames that go into it, counted through its files; `t_step` in seconds.

    `frame_shape` is that of the input, with channels; `axes`, `shape` and `spatial` (``"ZYX"``
    where frames are volumes) of the labels. A frame is done in `n_windows` units, 1 as a whole.
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
    """What a run is to do: one target, or one for each readable file of a folder.

    `output` is what was asked for; `unreadable` files and why; `facts` all that makes the labels,
    in values that JSON can hold; `plates` among the inputs, what each becomes, and `notes` on them.
    """

    output: Path
    targets: tuple[Target, ...]
    unreadable: tuple[tuple[str, DiffSegError], ...]
    facts: dict[str, Any]
    plates: tuple[tuple[Path, Path], ...] = ()
    notes: tuple[str, ...] = ()

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
        "channels": "the channels that it looks at",
        "inputs": "the inputs",
        "frames": "the choice of frames",
        "axes": "the axes",
        "level": "the resolution",
        "series": "the choice of the image",
        "params": "how the model is applied",
    }
    return [word for key, word in words.items() if mine.get(key) != stored.get(key)]
