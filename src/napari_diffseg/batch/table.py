"""The facts of all frames as a table: one row for each label of each frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_diffseg.batch.facts import FrameFacts
from napari_diffseg.errors import OutputError
from napari_diffseg.files import check_place
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.image.units import MICROMETRES
from napari_diffseg.instances.table import write_csv

COLUMNS = ("file", "frame", "label", "name", "area_px", "area_um2", "confidence")
"""Name of the file; frame of it, from 0; label and name of the class; area in pixels and in
µm², the latter only where a file says how large a pixel is; mean confidence of the frame, 0 … 1."""

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


def write_table(
    path: Path,
    records: Iterable[FrameRecord],
    names: Mapping[int, str],
    labels: Iterable[int],
    *,
    volumes: bool = False,
) -> None:
    """Write the table as CSV; a file that is there is replaced.

    Frames that failed are left out; a label that a frame has not got has a row too, with an area
    of 0.
    """
    labels = sorted(labels)
    done = [record for record in records if record.facts.failed is None]
    pixels = [_pixel(record.pixel_size, volumes) for record in done]
    rows = [
        row
        for record, pixel in zip(done, pixels, strict=True)
        for row in _rows(record, names, labels, pixel)
    ]
    columns = VOLUME_COLUMNS if volumes else COLUMNS
    table = {name: np.array([row[i] for row in rows], object) for i, name in enumerate(columns)}
    if not any(pixels):
        # A column without a number would look like one that went wrong.
        table = {name: column for name, column in table.items() if "_um" not in name}
    write_csv(path, table, force=True)


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
