"""What is known of frames that a model was applied to: of one, of all, and of a run under way."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from napari_diffseg.errors import DiffSegError, InputError, OutputError, Remedy
from napari_diffseg.files import check_place
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.instances.scale import scale_of
from napari_diffseg.instances.table import write_csv

if TYPE_CHECKING:
    from napari_diffseg.core.model.model import Model


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """What is known of a frame or window: `areas`, pixels of each label (0: fill, not finite).

    `confidence` is the mean margin of the two best answers over labelled pixels, 0 … 1; `failed`
    why there are no labels; `brightness` ``"darker"`` or ``"brighter"`` by far than in training.
    """

    areas: dict[int, int] = field(default_factory=dict)
    confidence: float = 0.0
    failed: str | None = None
    brightness: str = ""
    remedies: tuple[str, ...] = ()  # names of the ways out, where it failed

    @classmethod
    def of_error(cls, error: DiffSegError) -> Self:
        """Return what is known of a frame that has no labels."""
        return cls(failed=str(error), remedies=tuple(one.name for one in error.remedies))

    @property
    def error(self) -> InputError | None:
        """Why there are no labels."""
        if self.failed is None:
            return None
        return InputError(self.failed, *(Remedy[name] for name in self.remedies))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return what is known of a frame by all of its windows, in their order."""
        from napari_diffseg.core.model.application import Tally

        if len(parts) == 1:
            return parts[0]
        failed = next((part for part in parts if part.failed is not None), None)
        if failed is not None:
            return cls(failed=failed.failed, remedies=failed.remedies)
        tally = Tally()
        for part in parts:
            tally.add(part)
        return cls(tally.sorted_areas, tally.confidence, brightness=tally.brightness)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come, in units (frames, or windows of them); `earlier` ones by runs before.

    `name`, `frame` (its number in the run) and `facts` are of the frame just done; the latter two
    are None where more of it is to come. `seconds` count from the beginning of this run.
    """

    done: int
    total: int
    units_done: int
    units: int
    earlier: int = 0
    seconds: float = 0.0
    name: str = ""
    frame: int | None = None
    facts: FrameFacts | None = None

    @property
    def rate(self) -> float:
        """Units a second in this run; 0 where none is done."""
        return (self.units_done - self.earlier) / self.seconds if self.seconds else 0.0


class Record:
    """A row for each of n frames, written by a run, read by a window: `done` (n) have their labels.

    `shares` (n, k) of the frame that each label covers, mean `confidence` (n), 0 … 1: NaN where not
    known; why frames `failed`; `brightness` of those far from the training images.
    """

    def __init__(self, n_frames: int, labels: tuple[int, ...]) -> None:
        self.labels = labels
        self.done = np.zeros(n_frames, bool)
        self.shares = np.full((n_frames, len(labels)), np.nan, np.float32)
        self.confidence = np.full(n_frames, np.nan, np.float32)
        self.failed: dict[int, str] = {}
        self.brightness: dict[int, str] = {}

    @property
    def n_done(self) -> int:
        """How many frames have their labels."""
        return int(np.count_nonzero(self.done))

    def add(self, number: int, facts: FrameFacts) -> None:
        """Take down a frame: that it is done, or failed."""
        if facts.failed is not None:
            self.failed[number] = facts.failed
            return
        whole = max(sum(facts.areas.values()), 1)
        self.shares[number] = [facts.areas.get(label, 0) / whole for label in self.labels]
        self.confidence[number] = facts.confidence
        if facts.brightness:
            self.brightness[number] = facts.brightness
        self.keep(number)

    def keep(self, number: int) -> None:
        """Take down a frame that has its labels already, of which nothing more is known."""
        self.failed.pop(number, None)
        # Last, because the window looks here first.
        self.done[number] = True


def brightness_notes(found: Sequence[tuple[str, str]], way_out: str) -> list[str]:
    """Say which frames are far darker, and which far brighter, than the images of the training.

    `found`: the name of each frame, and which it is, if any; `way_out`: what a door offers to do.
    """
    notes = []
    for kind in ("darker", "brighter"):
        names = [name for name, own in found if own == kind]
        if names:
            are = f"and {len(names) - 1} more are" if len(names) > 1 else "is"
            notes.append(
                f"{names[0] or 'The image'} {are} far {kind} than the images that the model was "
                f"trained on; look at the labels, or {way_out}."
            )
    return notes


# --- as a table: one row for each label of each frame ---------------------------------

COLUMNS = ("file", "frame", "label", "name", "area_px", "area_um2", "confidence")
"""Name of the file; frame of it, from 0; label and name of the class; area in pixels and in
µm², the latter where a file says how large a pixel is; mean confidence of the frame, 0 … 1."""

VOLUME_COLUMNS = (*COLUMNS[:4], "volume_vx", "volume_um3", COLUMNS[-1])
"""The same of volumes: in voxels and in µm³, where the file says how far planes are apart."""


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """A frame that was done: the name of its file, which frame of it, and what is known."""

    file: str
    frame: int
    facts: FrameFacts
    pixel_size: PixelSize | None = None


def check_table(path: Path, taken: Set[Path], *, force: bool) -> None:
    """Refuse, before a run, a table that would replace an image or labels, or cannot be written."""
    if path.resolve() in taken:
        raise OutputError(
            f"{path} is an image or the labels themselves; choose another name for the table."
        )
    check_place(path, force=force)


def write_table(path: Path, records: Iterable[FrameRecord], model: Model) -> None:
    """Write the table as CSV in place of one that is there, without frames that failed.

    A label that a frame has not got has a row too, with an area of 0.
    """
    names, labels, volumes = model.facts.class_names, model.labels, model.n_spatial == 3
    done = [
        (one, _pixel(one.pixel_size, model.n_spatial))
        for one in records
        if one.facts.failed is None
    ]
    rows = [row for one, pixel in done for row in _rows(one, names, labels, pixel)]
    columns = VOLUME_COLUMNS if volumes else COLUMNS
    table = {name: np.array([row[i] for row in rows], object) for i, name in enumerate(columns)}
    if not any(pixel for _, pixel in done):
        # A column without a number would look like one that went wrong.
        table = {name: column for name, column in table.items() if "_um" not in name}
    write_csv(path, table, force=True)


def _pixel(size: PixelSize | None, n_axes: int) -> float | None:
    """Return the area of a pixel in µm², or the volume of a voxel in µm³; None if not known."""
    scale = scale_of(n_axes, size)
    return math.prod(scale.steps) if scale.is_known else None


def _rows(
    record: FrameRecord, names: Mapping[int, str], labels: Iterable[int], pixel: float | None
) -> Iterable[tuple[object, ...]]:
    for label in labels:
        area = record.facts.areas.get(label, 0)
        yield (
            record.file,
            record.frame,
            label,
            names.get(label, ""),
            area,
            "" if pixel is None else f"{area * pixel:.10g}",
            f"{record.facts.confidence:.6f}",
        )
