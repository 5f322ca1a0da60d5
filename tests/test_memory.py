"""How much memory a program can still have, in a machine, a container, a job of a cluster."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile
import torch
import zarr

from napari_diffseg import cli, memory, segment
from napari_diffseg.core import training_images
from napari_diffseg.core.training_images import ImageOptions, Reference, read_for_training
from napari_diffseg.errors import OutOfMemoryError
from napari_diffseg.io import kinds, reading
from napari_diffseg.io.facts import Index
from napari_diffseg.io.reading import read_class_numbers, read_image
from napari_diffseg.io.tiff.frames import TiffSource
from napari_diffseg.params import SegmentationParams

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
    monkeypatch.setattr(kinds, "SMALL", 100)
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


def test_a_report_of_a_region_is_refused_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It shows the whole image, which must fit; found out only afterwards, the run was for naught.

    A region alone of the same file fits.
    """
    path, out, page = (tmp_path / name for name in ("a.tif", "o.tif", "page.html"))
    pixels = np.random.default_rng(0).integers(0, 99, (64, 1200), np.uint8)
    tifffile.imwrite(path, pixels, compression="zlib", tile=(16, 16))
    monkeypatch.setattr(kinds, "SMALL", 1000)
    monkeypatch.setattr(reading, "SMALL", 1000)
    checked: list[int] = []

    def check(n_bytes: int, *_: str) -> None:
        checked.append(n_bytes)
        if n_bytes >= pixels.size:
            raise OutOfMemoryError("It does not fit.")

    monkeypatch.setattr(kinds, "check_memory", check)
    told = ["segment", str(path), "-o", str(out), "--region", "0:64,0:64", "--threads", "1"]
    assert cli.main([*told, "--report", str(page)]) == 1
    assert "does not fit" in capsys.readouterr().err
    assert checked == [pixels.size]
    assert not out.exists()
    assert cli.main(told) == 0


def test_what_training_holds_on_a_gpu_is_not_looked_for_in_main_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reference = Reference(np.random.default_rng(0).random((1200, 1200), np.float32))
    params = SegmentationParams(design="published")
    monkeypatch.setattr(memory, "free_memory", lambda: 2 * 10**9)
    sampled: list[str] = []

    def sample(*_: object, device: torch.device, **__: object) -> None:
        sampled.append(device.type)

    monkeypatch.setattr(training_images, "_sample", sample)
    with pytest.raises(OutOfMemoryError, match=r"takes about \d+\.\d GB"):
        read_for_training([reference], ImageOptions(), params, torch.device("cpu"))
    read_for_training([reference], ImageOptions(), params, torch.device("cuda"))
    assert sampled == ["cuda"]


@pytest.mark.parametrize("how", ["region", "mask", "planes"])
def test_of_a_huge_file_a_part_is_taken_if_that_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    """A compressed one, too, and what does not fit is refused before any of it is read."""
    path, out, mask = (tmp_path / name for name in ("a.tif", "o.tif", "m.tif"))
    stack = np.random.default_rng(0).integers(0, 99, (4, 64, 1200), np.uint8)
    stack[:, :, 20:40] += 99
    pixels, more = (stack, ["--planes"]) if how == "planes" else (stack[0], ["--region"])
    if how != "planes":
        more += ["0:64,0:64"] if how == "region" else [str(mask)]
        tifffile.imwrite(mask, (np.arange(1200) < 64) * np.ones((64, 1), np.uint8))
    axes = "ZYX" if how == "planes" else "YX"
    tifffile.imwrite(
        path,
        pixels,
        compression="zlib",
        tile=(16, 16),
        metadata={"axes": axes},
        photometric="minisblack",
    )
    monkeypatch.setattr(kinds, "SMALL", 1000)
    monkeypatch.setattr(reading, "SMALL", 1000)
    command = ["segment", str(path), "-o", str(out), "--axes", axes, *more, "--threads", "1"]
    read = Watch(path, monkeypatch)
    monkeypatch.setattr(memory, "free_memory", lambda: 10**8)
    assert cli.main(command) == 1
    said = capsys.readouterr().err
    assert "takes about 0." in said
    assert "0.1 GB are free" in said
    assert read.n_pixels == 0
    assert not out.exists()
    monkeypatch.setattr(memory, "free_memory", lambda: 2 * 10**9)
    assert cli.main([*command, "--n-clusters", "4"]) == 0
    assert tifffile.imread(out).shape == pixels.shape
    assert 0 < read.largest < stack[0].size + (how == "planes")


class Watch:
    """How many pixels are read of a TIFF file."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.n_pixels = self.largest = 0
        read = TiffSource.read

        def watched(source: TiffSource, index: Index) -> np.ndarray:
            found = read(source, index)
            self.n_pixels += found.size
            self.largest = max(self.largest, found.size)
            return found

        whole = TiffSource.whole

        def refused(source: TiffSource) -> np.ndarray:
            assert source._path != path, "all of it was read"
            return whole(source)

        monkeypatch.setattr(TiffSource, "read", watched)
        monkeypatch.setattr(TiffSource, "whole", refused)


def test_an_array_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Huge:
        shape, dtype, ndim = (900, 4000, 4000), np.dtype(np.uint16), 3

        def __getitem__(self, index: object) -> np.ndarray:
            raise AssertionError("it was read")

    monkeypatch.setattr(memory, "free_memory", lambda: 2 * 10**9)
    with pytest.raises(OutOfMemoryError, match=r"This image takes about .* GB of memory, and 2.0"):
        segment(Huge(), axes="ZYX")


REGION = """
import resource, sys
import dask.array as da
import numpy as np
from napari_diffseg import RunOptions, segment

tile = np.random.default_rng(0).integers(0, 99, (1024, 1024), np.uint8)
tile[::64] += 99
for times in (2, 16):
    image = da.tile(da.from_array(tile), (times, times))
    region = np.zeros(image.shape, bool)
    region[-400:-100, -400:-100] = True
    found = segment(image, axes="YX", region=region, options=RunOptions(threads=1))
    assert np.count_nonzero(found.labels) == 300 * 300
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak if sys.platform == "darwin" else 1024 * peak)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="it does not say how much it took")
def test_a_region_of_a_huge_image_takes_the_memory_of_the_region() -> None:
    """And labels of 8 bits: a mask, or the clusters, of all the rest would be more than that."""
    done = subprocess.run(
        [sys.executable, "-c", REGION], capture_output=True, text=True, check=True
    )
    small, large = map(int, done.stdout.split())
    assert large - small < 1.5 * 16384**2


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others keep it, or do not say")
def test_freed_memory_is_kept_where_the_environment_has_it_given_back() -> None:
    # As dask begins its workers.
    program = """
import resource
import numpy as np
from napari_diffseg.memory import keep_freed_memory

def fetched():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

given_back = fetched()
keep_freed_memory()
np.ones(2**20)
print(given_back, fetched())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536", "NUMPY_MADVISE_HUGEPAGE": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    given_back, kept = map(int, done.stdout.split())
    assert kept < given_back / 10
