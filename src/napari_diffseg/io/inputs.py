"""Which images a path names: a file, or those in a folder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from glob import glob
from os import PathLike
from pathlib import Path

from napari_diffseg.errors import InputError
from napari_diffseg.files import is_zarr
from napari_diffseg.io.kinds import not_there

IMAGE_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".svs", ".czi", ".nd2", ".lif")
"""Endings of the files that `list_inputs` takes from a folder, beside zarr folders."""


def list_inputs(path: str | PathLike[str]) -> list[Path]:
    """List the images that a path names.

    A file or a zarr folder itself; of another folder what has a known ending, in natural order:
    ``t2.tif`` before ``t10.tif``; and what is `named_by` a pattern.
    """
    path = Path(path)
    check_there([path])
    if not path.exists():
        return [image for one in named_by(path) for image in list_inputs(one)]
    if not path.is_dir() or is_zarr(path):
        return [path]
    try:
        entries = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    images = [
        entry
        for entry in entries
        if (is_zarr(entry) if entry.is_dir() else entry.suffix.lower() in IMAGE_SUFFIXES)
    ]
    if not images:
        raise InputError(
            f"There is no image in the folder {path}, and folders in it are not looked into; known "
            f"are {', '.join(IMAGE_SUFFIXES)} and zarr folders."
        )
    return sorted(images, key=_natural)


def check_there(paths: Iterable[Path]) -> None:
    """Raise `InputError` for a path that is not there, nor a pattern that names anything."""
    for path in paths:
        if not path.exists() and named_by(path) == [path]:
            raise not_there(path)


def named_by(path: Path) -> list[Path]:
    """Return what a pattern such as ``t*.tif`` names, in natural order, where a shell has left it.

    That of Windows does. A path that is there, or a pattern that names nothing, as it is.
    """
    found = [] if path.exists() else glob(str(path))
    return sorted(map(Path, found), key=_natural) or [path]


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Sort numbers in names by their size."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [(int(part) if part.isdecimal() else -1, part) for part in parts], path.name
