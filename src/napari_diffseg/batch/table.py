"""The facts of all frames as a table: one row for each label of each frame."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from napari_diffseg.batch.journal import FrameFacts
from napari_diffseg.errors import OutputError
from napari_diffseg.files import check_place, written_whole
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.image.units import MICROMETRES

COLUMNS = ("file", "frame", "label", "name", "area_px", "area_um2", "confidence")
"""Name of the file; frame of it, from 0; label and name of the class; area in pixels and in
µm², where the file says how large a pixel is; mean confidence of the frame, 0 … 1."""

VOLUME_COLUMNS = (*COLUMNS[:4], "volume_vx", "volume_um3", COLUMNS[-1])
"""The same of volumes: in voxels and in µm³, where the file says how far planes are apart."""


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """A frame that was done.

    Attributes
    ----------
    file : str
        Name of the file that it comes from.
    frame : int
        Which frame of it, from 0.
    facts : FrameFacts
        Areas and confidence, or why it failed.
    pixel_size : PixelSize or None
    """

    file: str
    frame: int
    facts: FrameFacts
    pixel_size: PixelSize | None = None


def check_table(path: Path, taken: Set[Path], *, force: bool) -> None:
    """Find out before a run whether a table can be written.

    Parameters
    ----------
    path : Path
    taken : set of Path
        What it must not replace: the images and the labels.
    force : bool
        Whether another file that is there may be replaced.

    Raises
    ------
    OutputError
        It cannot be written there.
    """
    if path.resolve() in taken:
        raise OutputError(
            f"{path} is an image or the labels themselves; choose another name for the table."
        )
    check_place(path, force=force)


def write_table(
    path: Path,
    records: Iterable[FrameRecord],
    names: Mapping[int, str],
    labels: Iterable[int],
    *,
    volumes: bool = False,
) -> None:
    """Write the table as CSV; a file that is there is replaced.

    Parameters
    ----------
    path : Path
    records : iterable of FrameRecord
        Those that failed are left out.
    names : mapping of int to str
        Names of the classes that have one.
    labels : iterable of int
        Labels that a frame can have; one that it has not got a row too, with an area of 0.
    volumes : bool
        Whether frames are volumes.
    """
    labels = sorted(labels)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(VOLUME_COLUMNS if volumes else COLUMNS)
    for record in records:
        if record.facts.failed is None:
            rows.writerows(_rows(record, names, labels, _pixel(record.pixel_size, volumes)))
    with written_whole(path, force=True) as file:
        file.write(text.getvalue().encode())


def _pixel(size: PixelSize | None, volumes: bool) -> float | None:
    """Return the area of a pixel in µm², or the volume of a voxel in µm³; None if not known."""
    if size is None or (volumes and size.z is None):
        return None
    unit = MICROMETRES[size.unit]
    area = size.y * size.x * unit**2
    return area * size.z * unit if volumes and size.z is not None else area


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
