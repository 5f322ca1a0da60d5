"""Labels in files, with the names and colours that are said of them: ours, and others' OME-Zarr."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from napari_diffseg.errors import InputError
from napari_diffseg.files import is_zarr
from napari_diffseg.io.kinds import DAMAGE
from napari_diffseg.io.label_files.frames import classes_in
from napari_diffseg.io.label_files.provenance import LABELS, read_provenance
from napari_diffseg.io.ngff.metadata import ome_attributes

PROGRAM = "napari-diffseg"


class KnownLabels(NamedTuple):
    """Labels, and what is said of them; colours are red, green, blue and alpha, each 0 to 1."""

    path: Path  # of their pixels: a file, or a group within an OME-Zarr
    names: dict[int, str]
    colors: dict[int, tuple[float, ...]]
    provenance: Mapping[str, Any]  # how they came about; empty where nobody says


def known_labels(path: Path) -> KnownLabels | None:
    """Return the labels that this program has written to a file; None where it holds others."""
    provenance = read_provenance(path)
    if provenance is None:
        return None
    if is_zarr(path):
        return _labels_in(path / LABELS, provenance)
    said = str(provenance.get("software") or provenance.get("program") or "")
    return KnownLabels(path, *classes_in(provenance), provenance) if said[:14] == PROGRAM else None


def labels_beside(path: Path) -> dict[str, KnownLabels]:
    """Return the labels that an OME-Zarr image has with it, by their name."""
    group = path / "labels"
    if not is_zarr(path) or not is_zarr(group):
        return {}
    listed = _attributes(group).get("labels")
    names = [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
    return {name: _labels_in(group / name, {}) for name in names if is_zarr(group / name)}


def _labels_in(path: Path, provenance: Mapping[str, Any]) -> KnownLabels:
    names, colors = classes_in(provenance)
    said = _attributes(path).get("image-label")
    for one in _listed(said, "properties"):
        if isinstance(one.get("name"), str):
            names.setdefault(one["label-value"], one["name"])
    for one in _listed(said, "colors"):
        rgba = one.get("rgba")
        if isinstance(rgba, list) and len(rgba) == 4 and all(isinstance(n, int) for n in rgba):
            colors.setdefault(one["label-value"], tuple(min(max(n, 0), 255) / 255 for n in rgba))
    return KnownLabels(path, names, colors, provenance)


def _listed(said: object, key: str) -> Iterator[Mapping[str, Any]]:
    """Yield what is said of single labels, as far as it is written as NGFF has it."""
    entries = said.get(key) if isinstance(said, Mapping) else None
    for one in entries if isinstance(entries, list) else []:
        if isinstance(one, Mapping) and isinstance(one.get("label-value"), int):
            yield one


def _attributes(path: Path) -> Mapping[str, Any]:
    import zarr

    try:
        return ome_attributes(zarr.open_group(path, mode="r").attrs.asdict())
    except DAMAGE as error:
        raise InputError(
            f"{path} holds no labels that can be read; copy or write it again."
        ) from error
