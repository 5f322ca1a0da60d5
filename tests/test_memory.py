"""How much memory a program can still have, in a machine, a container, a job of a cluster."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile
import zarr

from napari_diffseg import cli, memory
from napari_diffseg.errors import OutOfMemoryError
from napari_diffseg.io import kinds
from napari_diffseg.io.reading import read_class_numbers, read_image

GIGA = 2**30


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 8 GiB of memory and 2 of swap that are free, and no groups."""
    said = {
        "proc/meminfo": f"MemTotal: 1 kB\nMemAvailable: {8 * 2**20} kB\nSwapFree: {2 * 2**20} kB\n",
        "proc/self/cgroup": "1:cpu:/\n",
    }
    monkeypatch.setattr(memory, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path / "groups")
    write(tmp_path, said)
    return tmp_path


def write(root: Path, files: dict[str, object]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(str(text))


def test_of_this_machine() -> None:
    most = psutil.virtual_memory().total + psutil.swap_memory().total
    assert 0 < (memory.free_memory() or 0) <= most


def test_memory_and_swap(machine: Path) -> None:
    assert memory.free_memory() == 10 * GIGA


@pytest.mark.parametrize(
    ("swap", "free"),
    [
        ({}, 2),
        ({"memory.swap.max": GIGA, "memory.swap.current": 0}, 3),
        ({"memory.swap.max": "max"}, 4),
    ],
)
def test_a_group_of_today(machine: Path, swap: dict[str, object], free: int) -> None:
    """Its limit counts, or that of one that it is within; what is kept of files is room."""
    write(machine, {"proc/self/cgroup": "0::/user/job\n"})
    write(machine / "groups/user/job", {"memory.max": "max", "memory.current": 7})
    group = {"memory.max": 4 * GIGA, "memory.current": 3 * GIGA, **swap}
    write(machine / "groups/user", group | {"memory.stat": f"anon 1\ninactive_file {GIGA}\n"})
    assert memory.free_memory() == free * GIGA


def test_a_group_of_before(machine: Path) -> None:
    """In a container its path is not there: its own files are at the top."""
    write(machine, {"proc/self/cgroup": "4:memory:/docker/abc\n0::/\n"})
    files = {"memory.limit_in_bytes": GIGA, "memory.usage_in_bytes": GIGA // 4}
    write(machine / "groups/memory", files)
    assert memory.free_memory() == GIGA * 3 // 4


def test_where_nobody_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    monkeypatch.setattr(memory, "find_spec", lambda name: None)
    assert memory.free_memory() is None
    memory.check_memory(2**60, "It", "wait")


@pytest.mark.parametrize("kind", ["tif", "png", "zarr"])
def test_an_image_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path, pixels = tmp_path / f"a.{kind}", np.ones((40, 50), np.uint8)
    if kind == "zarr":
        zarr.create_array(path, data=pixels)
    else:
        tifffile.imwrite(path, pixels, compression="zlib") if kind == "tif" else _png(path, pixels)
    monkeypatch.setattr(kinds, "_SMALL", 100)
    monkeypatch.setattr(memory, "free_memory", lambda: 1000)
    with pytest.raises(
        OutOfMemoryError, match=r"takes about 0 MB of memory, and 0 MB are free; crop"
    ):
        read_class_numbers(path)
    if kind == "zarr":
        assert read_image(path).pixels[:3, :3].sum() == 9


def _png(path: Path, pixels: np.ndarray) -> None:
    from PIL import Image

    Image.fromarray(pixels).save(path)


def test_a_run_is_refused_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((40, 50), np.uint8))
    monkeypatch.setattr(memory, "free_memory", lambda: 10**8)
    code = cli.main(["segment", str(path), "-o", str(tmp_path / "o.tif")])
    said = capsys.readouterr().err
    assert code == 1
    assert "takes about 0.3 GB of memory, and 0.1 GB are free; name a part of it (--region)" in said
    assert not (tmp_path / "o.tif").exists()
