"""Where models are kept: a file by its name and its bytes; loads no torch."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from napari_diffseg.errors import ModelFileError, OutputError
from napari_diffseg.files import check_place, written_whole

SUFFIX = ".safetensors"
"""Ending of a model file."""

_LARGEST = 1 << 30  # bytes; a model has some hundred thousand


def check_model_place(path: Path, *, force: bool = False) -> None:
    """Find out before a run whether its model can be written; see `Model.save`."""
    _check_ending(path)
    check_place(path, force=force)


def write_model(data: bytes, path: str | PathLike[str], *, force: bool = False) -> None:
    """Write the bytes of a model; see `Model.save`."""
    path = Path(path)
    _check_ending(path)
    with written_whole(path, force=force) as file:
        file.write(data)


def read_model(path: str | PathLike[str]) -> bytes:
    """Read the bytes of a model, not yet looked at; see `Model.load`."""
    path = Path(path)
    try:
        if path.is_dir():
            raise ModelFileError(f"{path} is a folder, but a model file was expected.")
        if path.exists() and not path.is_file():  # to read it might wait for ever
            raise ModelFileError(f"{path} is a pipe or a device; name a model file.")
        if path.stat().st_size > _LARGEST:
            raise ModelFileError(f"{path} is too large for a model of this program; choose one.")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ModelFileError(f"{path} does not exist; check the name of the model.") from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}.") from error


def _check_ending(path: Path) -> None:
    if path.suffix.lower() != SUFFIX:
        raise OutputError(f"{path} has another ending than {SUFFIX}; name the model so.")
