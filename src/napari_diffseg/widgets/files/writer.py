"""npe2 writers of a Labels layer: OME-TIFF and OME-Zarr that keep size, place, time and classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari.utils.notifications import show_info

from napari_diffseg.widgets.files.labels import labels_of


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Labels layer, given as napari does, and return what was written.

    The ending of the path tells the format; napari has asked before it overwrites. Raises a
    `DiffSegError` where it cannot be written there, or cannot be kept in such a file.
    """
    labels, notes = labels_of(data, attributes)
    labels.write(Path(path), force=True)
    for note in notes:
        show_info(note)
    return [path]
