"""How much memory a program can still have, what is said where that is too little, what is kept."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from napari_diffseg.errors import OutOfMemoryError

_PROC, _GROUPS = Path("/proc"), Path("/sys/fs/cgroup")
_GIGA, _ALL = 1e9, 2**62

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT = 32 * 2**20
"""Bytes: the most that glibc comes to by itself."""


def free_memory() -> int | None:
    """Return how many bytes this program can still have, swap included; None where nobody says.

    Of the machine, or of the group of processes (a container, a job of a cluster) that it is in.
    """
    machine = _of_machine()
    if machine is None:
        return None
    free, swap = machine
    return min([free + swap, *(left + min(more, swap) for left, more in _of_groups())])


def in_words(n_bytes: int) -> str:
    """Return a number of bytes in words."""
    return f"{n_bytes / _GIGA:.1f} GB" if n_bytes >= _GIGA / 10 else f"{n_bytes / 1e6:.0f} MB"


def check_memory(needed: int, what: str, way_out: str) -> None:
    """Refuse what needs more bytes than there are, before it is begun."""
    free = free_memory()
    if free is not None and needed > free:
        raise OutOfMemoryError(
            f"{what} takes about {in_words(needed)} of memory, and {in_words(free)} are free; "
            f"{way_out}, or close other programs."
        )


def as_many_as_fit(wanted: int, each: int, beside: int = 0) -> int:
    """Return how many things of so many bytes each fit into memory; one at least."""
    free = free_memory() if wanted > 1 else None
    return wanted if free is None else max(min(wanted, (free - beside) // each), 1)


def keep_freed_memory() -> None:
    """Have glibc keep blocks of up to 32 MiB that are given back; elsewhere do nothing.

    Otherwise they go back to the system, and are fetched anew, page by page, for the next frame:
    glibc comes to keep them by chance, and in dask's workers not at all, which are begun with
    ``MALLOC_TRIM_THRESHOLD_`` set; there a frame took twice as long.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEPT)
        mallopt(_M_TRIM_THRESHOLD, 2 * _KEPT)


def _of_machine() -> tuple[int, int] | None:
    """Return what is free of memory and of swap; None where nobody says."""
    try:
        lines = (_PROC / "meminfo").read_text(encoding="ascii").splitlines()
        said = {
            key: int(value.split()[0]) * 1024 for key, _, value in (x.partition(":") for x in lines)
        }
        return said["MemAvailable"], said["SwapFree"]
    except (OSError, ValueError, LookupError):
        if find_spec("psutil") is None:  # napari brings it, the shell alone does not
            return None
    import psutil

    return int(psutil.virtual_memory().available), int(psutil.swap_memory().free)


def _of_groups() -> Iterator[tuple[int, int]]:
    """Yield what each group that this process is in leaves of its memory, and of swap."""
    try:
        lines = (_PROC / "self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        number, kinds, path = line.split(":", 2)
        if number == "0":
            yield from _of_group(_GROUPS, path, ("memory.max", "memory.current", "inactive_file"))
        elif "memory" in kinds.split(","):
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            yield from _of_group(_GROUPS / "memory", path, files)


def _of_group(root: Path, path: str, files: tuple[str, str, str]) -> Iterator[tuple[int, int]]:
    """Yield the same of a group and of those that it is within, of which a container sees one."""
    limit_file, used_file, cached = files
    inner = Path(path.lstrip("/"))
    for group in dict.fromkeys([*(root / one for one in (inner, *inner.parents)), root]):
        limit, used = _number(group / limit_file), _number(group / used_file)
        if limit is None or used is None:
            continue
        # What is kept of files is given back when somebody wants the room.
        used -= _stat(group / "memory.stat").get(cached, 0)
        yield max(limit - used, 0), _swap_of(group)


def _swap_of(group: Path) -> int:
    """Return how much swap a group may still take: all that there is where nobody sets a limit."""
    file = group / "memory.swap.max"
    if not file.exists():
        return 0
    most = _number(file)
    return _ALL if most is None else max(most - (_number(group / "memory.swap.current") or 0), 0)


def _number(file: Path) -> int | None:
    """Return the number in a file; None where there is none, or no limit."""
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _stat(file: Path) -> dict[str, int]:
    try:
        lines = (line.split() for line in file.read_text(encoding="ascii").splitlines())
        return {key: int(value) for key, value in lines}
    except (OSError, ValueError):
        return {}
