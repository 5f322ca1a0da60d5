"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import BinaryIO

from napari_diffseg.errors import OutputError


def check_place(path: Path, *, force: bool = False) -> None:
    """Find out whether a file can be written.

    Parameters
    ----------
    path : Path
        Where it is to stand.
    force : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    OutputError
        The folder is missing or cannot be written to, or there is a file or folder already.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file to write to.")
    if not path.parent.is_dir():
        raise OutputError(f"The folder {path.parent} does not exist; create it first.")
    if path.exists() and not force:
        raise OutputError(f"{path} exists already; choose another name, or overwrite it (--force).")
    try:
        # A try tells more than permission bits, which mean little on network drives.
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OutputError(
            f"The folder {path.parent} cannot be written to ({error.strerror or error}); "
            "choose another."
        ) from error


def followed(path: Path) -> Path:
    """Return where a symbolic link leads, so that what is written does not take its place."""
    return path.resolve() if path.is_symlink() else path


def cannot_write(path: Path, error: OSError) -> OutputError:
    """Say that something cannot be written, and what to do where the disk is full."""
    if error.errno in (ENOSPC, EDQUOT):
        return OutputError(f"{path} cannot be written: the disk is full; free some space.")
    return OutputError(f"{path} cannot be written: {error.strerror or error}.")


@contextmanager
def written_whole(path: Path, *, force: bool = False) -> Iterator[BinaryIO]:
    """Open a file to write to; it gets its name once all is written, and else vanishes.

    A symbolic link stays one: what it leads to is written.

    Parameters
    ----------
    path : Path
        Where it is to stand.
    force : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    OutputError
        As for `check_place`; or the disk is full.
    """
    path = followed(path)
    check_place(path, force=force)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # Again, because another program may have put a file there in the meantime.
        check_place(path, force=force)
        part.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        part.unlink(missing_ok=True)
