"""How labels came about: where that stands in the files that this program has written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import tifffile
from PIL import Image

from napari_diffseg._version import __version__
from napari_diffseg.files import is_zarr
from napari_diffseg.io.kinds import DAMAGE

PROVENANCE_KEY = "napari-diffseg"
"""Keyword of the provenance in PNG files (as JSON) and in OME-Zarr."""

NAME = "diffseg"
LABELS = f"labels/{NAME}"
"""Where the labels stand in an OME-Zarr."""


NAMES, COLORS = "class_names", "class_colors"
"""Where the provenance has the names and colours of labels: a mapping of the number as text."""


def with_classes(
    provenance: Mapping[str, Any] | None,
    names: Mapping[int, str] | None,
    colors: Mapping[int, Sequence[float]] | None,
) -> dict[str, Any]:
    """Return the provenance with the names and the colours of labels."""
    more: dict[str, Any] = {}
    if names:
        more[NAMES] = {str(label): name for label, name in names.items()}
    if colors:
        more[COLORS] = {
            str(label): [round(float(part), 6) for part in color] for label, color in colors.items()
        }
    said = dict(provenance or {})
    # So that they are known for labels when they are opened again.
    if not {"software", "program"} & set(said):
        said["software"] = f"napari-diffseg {__version__}"
    return {**said, **more}


def read_provenance(path: Path) -> dict[str, Any] | None:
    """Return what a file of labels says; None where it is missing, damaged, or says nothing."""
    try:
        if is_zarr(path):
            values = json.loads((path / LABELS / "zarr.json").read_text(encoding="utf-8"))
            found = values["attributes"][PROVENANCE_KEY]
        elif path.suffix.lower() == ".png":
            with Image.open(path) as image:
                found = json.loads(image.info[PROVENANCE_KEY])
        else:
            with tifffile.TiffFile(path) as file:
                said = ElementTree.fromstring(file.ome_metadata or "").find(".//{*}Description")
            found = json.loads(said.text or "") if said is not None else None
    except DAMAGE:  # an ElementTree.ParseError is a SyntaxError
        return None
    return found if isinstance(found, dict) else None
