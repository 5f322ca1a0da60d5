"""Files and folders that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EDQUOT, ENOSPC
from glob import escape
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from napari_diffseg.errors import OutputError, Remedy

_under_way: dict[str, Path] = {}
"""Places that this program is about to write to, by the tokens of the names beside them."""

ZARR_FILES = ("zarr.json", ".zarray", ".zgroup", ".zattrs")
"""Files at the top of a zarr group or array; .zattrs stands with one of the others."""


def is_zarr(path: Path) -> bool:
    """Whether a folder holds a zarr group or array."""
    return any((path / name).is_file() for name in ZARR_FILES)


_LONGEST = 255 - len("..01234567.part")
"""Bytes that the name of a file can have on most disks, less what is put around it meanwhile."""


def check_name(path: Path) -> None:
    """Refuse a name that is too long for a disk."""
    if len(os.fsencode(path.name)) > _LONGEST:
        raise too_long(path.name)


def too_long(name: str) -> OutputError:
    """Say that a disk takes no such name."""
    return OutputError(f"{name[:30]}… is too long a name for a disk; choose a shorter one.")


def check_place(path: Path, *, force: bool = False) -> None:
    """Refuse a file that cannot be written; one that is there is replaced with `force` only."""
    check_name(path)
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file to write to.")
    if not path.parent.is_dir():
        raise OutputError(f"The folder {path.parent} does not exist; create it first.")
    sweep_beside(path)
    if path.exists() and not force:
        raise exists_already(path)
    try:
        # A try tells more than permission bits, which mean little on network drives.
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OutputError(
            f"The folder {path.parent} cannot be written to ({error.strerror or error}); "
            "choose another."
        ) from error


def check_replaceable(path: Path, *, force: bool) -> None:
    """Refuse to put something in the place of a folder that is there, but of a zarr with `force`.

    Who knows what is in a folder that is no zarr.
    """
    if not is_zarr(path):
        met = "is a folder, but no zarr" if path.is_dir() else "is no zarr, whatever its name says"
        raise OutputError(f"{path} {met}; it is not overwritten: choose another name.")
    if not force:
        raise exists_already(path)


def exists_already(path: Path) -> OutputError:
    """Say that something stands where a result is to go, and may be replaced."""
    return OutputError(f"{path} exists already; choose another name.", Remedy.OVERWRITE)


def stem_of(path: Path) -> str:
    """Return the name of a file or folder without its ending, of which ``.ome.tif`` is one."""
    for ending in (".ome.tif", ".ome.tiff", ".ome.zarr"):
        if path.name.lower().endswith(ending):
            return path.name[: -len(ending)]
    return path.stem


def as_unicode(text: str) -> str:
    """Return a text with names of files in it so that it can be written: odd bytes become ``�``."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def followed(path: Path) -> Path:
    """Return where a symbolic link leads, so that what is written does not take its place."""
    return path.resolve() if path.is_symlink() else path


def cannot_write(path: Path, error: OSError) -> OutputError:
    """Say that something cannot be written, and what to do where the disk is full."""
    if error.errno in (ENOSPC, EDQUOT):
        return OutputError(f"{path} cannot be written: the disk is full; free some space.")
    return OutputError(f"{path} cannot be written: {error.strerror or error}.")


@contextmanager
def made_aside(path: Path, token: str = "") -> Iterator[Path]:
    """Give a name beside a place; what is made there is moved to the place, or vanishes.

    Raises `OutputError` where that cannot be written.
    """
    part = _beside(path, token or secrets.token_hex(4), "part")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        remove_tree(part)


@contextmanager
def written_whole(path: Path, *, force: bool = False) -> Iterator[BinaryIO]:
    """Open a file to write to; it gets its name once all is written, and else vanishes.

    A symbolic link stays one: what it leads to is written. Raises as `check_place`, or full disk.
    """
    path = followed(path)
    check_place(path, force=force)
    with _claimed(path) as token, made_aside(path, token) as part:
        with part.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # Again, because another program may have put a file there in the meantime.
        check_place(path, force=force)


@contextmanager
def placed_whole(path: Path, *, force: bool) -> Iterator[Path]:
    """Give the name of a folder to fill; it gets its own name once it is, and else vanishes.

    A zarr that stands there is gone only once the new one has its place.
    """
    path = followed(path)
    sweep_beside(path)
    with _claimed(path) as token:
        try:
            with made_aside(path, token) as part:
                yield part
                # Only now, because another program may have put something there in the meantime.
                if path.exists():
                    check_replaceable(path, force=force)
                    path.rename(_beside(path, token, "old"))
        finally:
            _settle_old(path, token)


def sweep_beside(path: Path) -> None:
    """Remove what runs that were killed have left beside a place, and no other run's.

    Whoever writes there holds a lock, which the system gives back when a process ends.
    """
    path = followed(path)
    for found in path.parent.glob(f".{escape(path.name)}.{'[0-9a-f]' * 8}.lock"):
        token = found.name.rsplit(".", 2)[1]
        lock = FileLock(found, timeout=0)
        # What is held is left alone, and all of it where the disk knows no locks.
        with suppress(OSError, NotImplementedError), lock:
            _sweep(path, token)


def forsake() -> None:
    """Remove what this program is about to write, for it ends before that is whole."""
    for token, path in list(_under_way.items()):
        with suppress(OSError):
            _sweep(path, token)


def _sweep(path: Path, token: str) -> None:
    """Remove what is beside a place by this token."""
    _settle_old(path, token)
    # Of a store, a part of a part may be left too.
    parts = f".*{escape(path.name)}.{token}.part*"
    for part in path.parent.glob(parts):
        remove_tree(part)
    # By its lock the next run finds what cannot be removed, or is being written.
    if not any(path.parent.glob(parts)):
        remove_tree(_beside(path, token, "lock"))


@contextmanager
def _claimed(path: Path) -> Iterator[str]:
    """Give a token for names beside a place that no other run sweeps away meanwhile."""
    token = secrets.token_hex(4)
    lock = FileLock(_beside(path, token, "lock"), thread_local=False)
    # Where nothing can be made, what is written next says so.
    with suppress(OSError, NotImplementedError):
        lock.acquire()
    _under_way[token] = path
    try:
        yield token
    finally:
        del _under_way[token]
        lock.release()
        remove_tree(Path(lock.lock_file))


def _beside(path: Path, token: str, what: str) -> Path:
    return path.with_name(f".{path.name}.{token}.{what}")


def _settle_old(path: Path, token: str) -> None:
    """Delete what made room for something new, or put it back where that did not come."""
    old = _beside(path, token, "old")
    if path.exists():
        remove_tree(old)
    elif old.exists():
        old.rename(path)


def remove_tree(path: Path) -> None:
    """Delete a file, or a folder with all that is in it, as far as that can be done."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        # Where nothing may be deleted, what went wrong before is what a person should read.
        with suppress(OSError):
            path.unlink()
