"""How labels came about, read back from the files that this program has written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import tifffile
from PIL import Image

from napari_diffseg.io.kinds import DAMAGE, is_zarr
from napari_diffseg.io.label_files.layout import metadata_file
from napari_diffseg.io.label_files.writing import PROVENANCE_KEY


def read_provenance(path: Path) -> dict[str, Any] | None:
    """Return what a file of labels says of how it came about.

    Parameters
    ----------
    path : Path
        An OME-Zarr, OME-TIFF or PNG of labels.

    Returns
    -------
    dict or None
        None where the file is missing, is damaged, or says nothing.
    """
    try:
        if is_zarr(path):
            values = json.loads(metadata_file(path).read_text(encoding="utf-8"))
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
