"""Plates of wells of fields, as OME-Zarr (NGFF) has them: found, named, and written for labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_diffseg.errors import InputError, count_in_words
from napari_diffseg.files import cannot_write, is_zarr
from napari_diffseg.io.kinds import DAMAGE, damaged
from napari_diffseg.io.ngff.labels import VERSION
from napari_diffseg.io.ngff.metadata import ome_attributes

if TYPE_CHECKING:
    import zarr


_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Plate:
    """A plate, and where each of its fields that are there lies, such as ``"A/1/0"``, by well.

    `missing`: the fields that its wells list, and that are not there. Of a well that is not there
    nothing may have been taken.
    """

    path: Path
    fields: tuple[str, ...]
    missing: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of what is missing."""
        if not self.missing:
            return ()
        more = ", …" if len(self.missing) > _MOST_NAMED else ""
        return (
            f"{self.path.name} lists more fields than the {len(self.fields)} that are there; not "
            f"in it: {', '.join(self.missing[:_MOST_NAMED])}{more}.",
        )


def find_plate(path: Path) -> Plate | None:
    """Return the plate that a folder holds; None where it holds something else, or is damaged.

    A well that is damaged counts as a field, so that whoever opens that says so.
    """
    try:
        plate = _attributes(path).get("plate") if is_zarr(path) else None
    except InputError:
        return None
    if not isinstance(plate, Mapping):
        return None
    wells, fields, missing = _paths(plate.get("wells")), list[str](), list[str]()
    for well in wells:
        try:
            for field in (f"{well}/{name}" for name in _listed(path / well)):
                (fields if is_zarr(path / field) else missing).append(field)
        except InputError:
            fields.append(well)
    if not fields:
        raise InputError(
            f"{path} is a plate of {len(wells)} wells, but of none of them is an image there; copy "
            "it again, or name an image."
        )
    return Plate(path, tuple(fields), tuple(missing))


def what_is_in(path: Path, group: zarr.Group) -> str:
    """Say what a group without an image holds, and what can be named in place of it."""
    plate = find_plate(path)
    if plate is not None:
        return (
            f"it is a plate of {count_in_words(len(plate.fields), 'field')}: name one, for example "
            f"{path / plate.fields[0]}, or label all with 'apply'"
        )
    found = _fields(path) or sorted(name for name, _ in group.members())
    if not found:
        return "nor an array; name another file"
    what = "it is a well: name a field" if _fields(path) else "name an image or an array"
    return f"{what} in it, for example {path / found[0]}"


def write_plate(source: Path, output: Path, fields: Iterable[str]) -> None:
    """Write what makes a plate of the labels of fields of `source`, which lie there already."""
    import zarr

    wells: dict[str, list[str]] = {}
    for field in fields:
        well, _, name = field.rpartition("/")
        wells.setdefault(well, []).append(name)
    plate: dict[str, Any] = deepcopy(dict(_attributes(source)["plate"]))
    plate["wells"] = [one for one in plate["wells"] if one["path"] in wells]
    groups: dict[Path, dict[str, Any]] = {}
    for path, names in wells.items():
        said: dict[str, Any] = deepcopy(dict(_attributes(source / path)["well"]))
        said["images"] = [one for one in said["images"] if one["path"] in names]
        rows = list(Path(path).parents)[:-1]
        groups |= {output / row: {} for row in rows}
        groups[output / path] = {"ome": {"version": VERSION, "well": said | {"version": VERSION}}}
    # Last of all, for with this it is a plate to whoever looks.
    groups[output] = {"ome": {"version": VERSION, "plate": plate | {"version": VERSION}}}
    try:
        for place, attributes in groups.items():
            group = zarr.open_group(place, mode="a", zarr_format=3, attributes=attributes)
            if group.attrs.asdict() != attributes:
                group.update_attributes(attributes)
    except OSError as error:
        raise cannot_write(output, error) from error


def _fields(well: Path) -> Sequence[str]:
    """Return the images of a well that are there."""
    return [name for name in _listed(well) if is_zarr(well / name)]


def _listed(well: Path) -> Sequence[str]:
    """Return the images of a well."""
    said = _attributes(well).get("well") if is_zarr(well) else None
    return _paths(said.get("images")) if isinstance(said, Mapping) else []


def _paths(listed: object) -> list[str]:
    """Return the paths in a list of wells or images, as far as it is one."""
    entries = listed if isinstance(listed, Sequence) and not isinstance(listed, str) else []
    found = [one.get("path") for one in entries if isinstance(one, Mapping)]
    return [path for path in found if isinstance(path, str)]


def _attributes(path: Path) -> Mapping[str, Any]:
    import zarr

    try:
        node = zarr.open(path, mode="r")
        return ome_attributes(node.attrs.asdict())
    except DAMAGE as error:
        raise damaged(path, error) from error
