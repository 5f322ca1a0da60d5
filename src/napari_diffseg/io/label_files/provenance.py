"""How labels came about: where that stands in the files that this program has written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import tifffile
from PIL import Image

from napari_diffseg.files import is_zarr
from napari_diffseg.io.kinds import DAMAGE

PROVENANCE_KEY = "napari-diffseg"
"""Keyword of the provenance in PNG files (as JSON) and in OME-Zarr."""

NAME = "diffseg"
LABELS = f"labels/{NAME}"
"""Where the labels stand in an OME-Zarr."""


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
