"""Results to a folder: labels, a mask for each class, objects, and tables, of one shape and size.

What a window, Python and the shell export is written here, so that it is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from math import prod
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_diffseg.errors import InputError, OutputError, Remedy
from napari_diffseg.files import check_place
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.instances.finding import with_classes
from napari_diffseg.instances.measuring import Columns
from napari_diffseg.instances.params import ObjectParams
from napari_diffseg.instances.stacks import (
    HasLabels,
    Size,
    as_pixel_size,
    counts_of,
    frame_letters,
    labels_of,
    measure,
    objects_as,
)
from napari_diffseg.instances.table import csv_steps, summary
from napari_diffseg.io.label_files.frames import LabelFrames, Stopped, check_frames, never, until
from napari_diffseg.io.label_files.label_store import Described

PARTS = ("labels", "masks", "objects", "table")
"""What can be exported."""

ENDINGS = (".ome.tif", ".ome.zarr")
"""Of the files of labels."""

_NOT_IN_NAMES = '\\/:*?"<>|'


def file_name(text: str) -> str:
    """Return a text without what some systems do not allow in the name of a file."""
    return "".join("_" if one in _NOT_IN_NAMES else one for one in text)


@dataclass(frozen=True, eq=False)
class Export:
    """What goes into a folder, which is made in a parent that is there."""

    folder: Path
    name: str  # begins the name of every file
    labels: LabelFrames  # the class of each pixel
    parts: Sequence[str] = PARTS  # of `PARTS`; objects and tables only where they are given
    objects: LabelFrames | None = None
    # Returns what `measure` does; asked once the objects are written.
    table: Callable[[], Columns] | None = None
    is_volume: bool = False  # whether the planes along Z are one frame together
    ending: str = ENDINGS[0]
    force: bool = False
    # Those that there are, of which masks are made; looked for in the labels where empty.
    classes: Sequence[int] = ()
    # Further images of whole numbers, such as strokes, each under its title.
    more: Mapping[str, LabelFrames] = field(default_factory=dict)
    stopped: Stopped = never  # once it is so, `write` raises `Cancelled`

    def standing(self) -> list[Path]:
        """Return the files that would be replaced; goes through the labels for their masks."""
        return [path for path in self.places() if path.exists()]

    def places(self) -> list[Path]:
        """Return the files that are written; goes through the labels for their masks."""
        return [*self._images, *self._tables]

    def place(self, title: str, ending: str = "") -> Path:
        """Return the file for a part."""
        return self.folder / (file_name(f"{self.name} {title}") + (ending or self.ending))

    def write(self) -> Iterator[Path]:
        """Write the files, and yield each once it is there.

        Raises DiffSegError where one is there already (then none is written), or cannot be written.
        """
        if not self.places():
            raise InputError("Nothing is chosen to be exported; choose labels, masks or objects.")
        standing = [path.name for path in self.standing()]
        if standing and not self.force:
            named = ", ".join(standing[:3]) + (", …" if len(standing) > 3 else "")
            raise OutputError(
                f"{self.folder} has {named} already; choose another folder or name.",
                Remedy.OVERWRITE,
            )
        self._make_folder()
        for path in self._tables:
            check_place(path, force=self.force)
        for path in self._images:
            check_frames(path, self.labels.shape, force=self.force)
        for path, frames in self._images.items():
            frames.write(path, force=self.force, stopped=self.stopped)
            yield path
        for path, table in self._tables.items():
            for _ in until(self.stopped, csv_steps(path, table(), force=self.force)):
                pass
            yield path

    @cached_property
    def _images(self) -> dict[Path, LabelFrames]:
        found: dict[Path, LabelFrames] = {}
        if "labels" in self.parts:
            found[self.place("labels")] = self.labels
        if "masks" in self.parts:
            names = self.labels.said.get("names") or {}
            for label in self.classes or self.labels.classes():
                title = f"mask {label} {names.get(label, '')}".strip()
                found[self.place(title)] = self.labels.mask(label)
        if "objects" in self.parts and self.objects is not None:
            found[self.place("objects")] = self.objects
        return found | {self.place(title): frames for title, frames in self.more.items()}

    @property
    def _tables(self) -> dict[Path, Callable[[], Columns]]:
        if "table" not in self.parts or self.table is None:
            return {}
        n_frames = prod(self.labels.shape[: -3 if self.is_volume else -2])
        return {
            self.place("objects", ".csv"): lambda: self._measured,
            self.place("summary", ".csv"): lambda: summary(self._measured, n_frames),
        }

    @cached_property
    def _measured(self) -> Columns:
        return {} if self.table is None else self.table()

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{self.folder} cannot be made a folder ({error.strerror or error}); choose "
                "another one."
            ) from error


def export(
    result: HasLabels | ArrayLike,
    folder: str | PathLike[str],
    *,
    name: str = "result",
    parts: Sequence[str] = PARTS,
    image: ArrayLike | None = None,
    axes: str | None = None,
    channel_axis: int | None = None,
    channel_names: Sequence[str] = (),
    pixel_size: Size = None,
    unit: str = "µm",
    class_names: Mapping[int, str] | None = None,
    class_colors: Mapping[int, Sequence[float]] | None = None,
    params: ObjectParams | None = None,
    ending: str = ENDINGS[0],
    force: bool = False,
) -> list[Path]:
    """Write a result to a folder: labels, a 0/1 mask for each class, objects, and tables.

    Parameters
    ----------
    result : Segmentation or array_like of int
        A result, or the class of each pixel: a plane, a volume, or frames of either.
    folder : path-like
        Made where it is missing.
    name : str
        Begins the name of every file.
    parts : sequence of str
        What is written, of ``"labels"``, ``"masks"``, ``"objects"`` and ``"table"``.
    image, channel_axis, channel_names
        What the objects are measured in, as for `measure`.
    axes : str, optional
        Of the labels, as for `objects`.
    pixel_size, unit
        As for `measure`; that of the result's model where None. Written to every file.
    class_names : mapping of int to str, optional
        Names of the classes; those of the result's model where None.
    class_colors : mapping of int to sequence of float, optional
        Red, green, blue and alpha of the classes, each 0 to 1; those of the model where None.
    params : ObjectParams, optional
        How objects are made; by default of every class but the background, as `objects` says.
    ending : str
        ``".ome.tif"`` or ``".ome.zarr"``.
    force : bool
        Whether files that are there may be replaced.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    InputError
        Shapes or axes do not fit, or a part is none.
    OutputError
        A file is there already, or cannot be written.
    """
    _check_parts(parts, ending)
    frames, size = _frames_of(result, axes, pixel_size, unit, class_names, class_colors)
    job = Export(Path(folder), name, frames, parts, ending=ending, force=force)
    if {"objects", "table"} & set(parts):
        counts = counts_of(result, frames.axes)
        told = with_classes(params or ObjectParams(), counts, frames.said.get("names"))
        numbers = objects_as(told, result, frames.axes, None if size is None else size.spacing)
        found = objects_from(frames, partial(_planes_of, numbers), told)
        table = partial(
            measure,
            numbers,
            image,
            axes=frames.axes,
            channel_axis=channel_axis,
            channel_names=channel_names,
            pixel_size=size,
            labels=result,
            classes=told.class_numbers or None,
            class_names=frames.said.get("names"),
        )
        job = replace(job, objects=found, table=table, classes=[one for one in counts if one > 0])
    return list(replace(job, is_volume="Z" in frames.axes).write())


def _frames_of(
    result: HasLabels | ArrayLike,
    axes: str | None,
    pixel_size: Size,
    unit: str,
    class_names: Mapping[int, str] | None,
    class_colors: Mapping[int, Sequence[float]] | None,
) -> tuple[LabelFrames, PixelSize | None]:
    """Return the labels of a result with what it, or the person, says of them; and its size."""
    labels = labels_of(result)
    letters = frame_letters(labels.ndim, axes)
    facts = getattr(getattr(result, "model", None), "facts", None)
    size = as_pixel_size(pixel_size, unit, len(letters.replace("T", "")))
    size = size or getattr(facts, "pixel_size", None)
    names = getattr(facts, "class_names", {}) if class_names is None else class_names
    colors = getattr(facts, "class_colors", {}) if class_colors is None else class_colors
    said: Described = {
        "pixel_size": size,
        "names": dict(names),
        "colors": dict(colors),
        "provenance": result.provenance() if hasattr(result, "provenance") else {},
    }
    planes = partial(_planes_of, labels)
    return LabelFrames(letters, labels.shape, labels.dtype, planes, said), size


def objects_from(labels: LabelFrames, planes: Any, params: ObjectParams) -> LabelFrames:
    """Return objects that were made of labels, with the same size and place."""
    provenance = {**(labels.said.get("provenance") or {}), "objects": params.to_dict()}
    return replace(
        labels,
        dtype=np.dtype(np.uint32),
        planes=planes,
        said={**labels.said, "names": {}, "colors": {}, "provenance": provenance},
    )


def _check_parts(parts: Sequence[str], ending: str) -> None:
    unknown = [one for one in parts if one not in PARTS]
    if unknown:
        raise InputError(f"{unknown[0]!r} cannot be exported; choose of {', '.join(PARTS)}.")
    if ending not in ENDINGS:
        raise InputError(f"The ending is {ending!r}, but must be one of {', '.join(ENDINGS)}.")


def _planes_of(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    yield from array.reshape(-1, *array.shape[-2:])
