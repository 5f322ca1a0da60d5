"""A folder for zarr that is never made again once it was moved or removed."""

from __future__ import annotations

import asyncio
import secrets
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zarr.core.buffer import Buffer
    from zarr.storage import LocalStore


def lasting_folder(path: Path) -> LocalStore:
    """Return a store of a folder that is there.

    Whoever writes after the folder has gone gets a `FileNotFoundError`: zarr's own would make it
    again, and what leads to it, so that a late writer litters a place that others have tidied.
    """
    return _store_class()(path)


@cache
def _store_class() -> type[LocalStore]:
    from zarr.abc.store import Store
    from zarr.storage import LocalStore

    class LastingFolder(LocalStore):
        async def _open(self, **how: Any) -> None:
            if not self.root.is_dir():
                raise FileNotFoundError(f"{self.root} does not exist")
            await Store._open(self, **how)

        async def set(self, key: str, value: Buffer) -> None:
            await asyncio.to_thread(self.set_sync, key, value)

        def set_sync(self, key: str, value: Buffer) -> None:
            path, content = self.root / key, value.to_bytes()
            try:
                _write(path, content)
            except FileNotFoundError:
                _make_folders(self.root, key)
                _write(path, content)

    return LastingFolder


def _write(path: Path, content: bytes) -> None:
    """Write a file beside its place, and move it there."""
    part = path.with_suffix(f".{secrets.token_hex(8)}.partial")
    try:
        with part.open("wb") as file:
            file.write(content)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _make_folders(root: Path, key: str) -> None:
    """Make what leads to a key, one by one: where the root has gone, none is made."""
    for name in key.split("/")[:-1]:
        root /= name
        root.mkdir(exist_ok=True)
