"""One run at a time for one output; the system gives the lock back when a run is killed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from napari_diffseg.errors import OutputError


@contextmanager
def locked(path: Path, output: Path) -> Iterator[None]:
    """Hold a lock while the block runs.

    Parameters
    ----------
    path : Path
        File of the lock; made if it is missing, and left there.
    output : Path
        What is named in the error.

    Raises
    ------
    OutputError
        Another run holds it, or the file cannot be written.
    """
    try:
        file = path.open("ab")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}.") from error
    with file:
        try:
            _take(file)
        except OSError as error:
            raise OutputError(
                f"Another run is writing {output} at this moment; wait for its end, or stop it."
            ) from error
        yield


def is_locked(path: Path) -> bool:
    """Whether another run holds a lock, whose file is there."""
    with path.open("ab") as file:
        try:
            _take(file)
        except OSError:
            return True
    return False


if sys.platform == "win32":
    import msvcrt

    def _take(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
