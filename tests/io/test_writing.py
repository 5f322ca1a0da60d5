from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from errno import ENOSPC
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_diffseg import files
from napari_diffseg.errors import InputError, OutputError
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.io.frames import open_frames
from napari_diffseg.io.label_files import writing
from napari_diffseg.io.label_files.writing import (
    SUFFIXES,
    check_output,
    write_label_stack,
    write_labels,
)
from napari_diffseg.io.reading import read_image

LABELS = (np.arange(20 * 30) % 7).astype(np.uint8).reshape(20, 30)
SIZE = PixelSize(y=0.5, x=0.25, unit="µm")
PROVENANCE = {
    "program": "napari-diffseg",
    "params": {"continuity_weight": 1.0, "seed": 0},
    "µ": "<&>",
}


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".PNG", ".OME.TIF"])
def test_labels_and_pixel_size_read_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"labels{suffix}"
    write_labels(path, LABELS, pixel_size=SIZE, provenance=PROVENANCE)
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, LABELS)
    assert image.pixels.dtype == LABELS.dtype
    assert image.axes == "YX"
    assert image.pixel_size is not None
    assert (image.pixel_size.y, image.pixel_size.x) == pytest.approx((0.5, 0.25), rel=1e-6)
    assert image.pixel_size.unit == "µm"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_other_programs_read_the_ome_tiff(tmp_path: Path) -> None:
    path = tmp_path / "labels.ome.tif"
    write_labels(path, LABELS, pixel_size=PixelSize(500, 250, "nm"), provenance=PROVENANCE)
    with tifffile.TiffFile(path) as tif:
        assert tif.ome_metadata is not None
        root = ElementTree.fromstring(tif.ome_metadata)
        tags = tif.pages[0].tags
        assert tags["ResolutionUnit"].value == tifffile.RESUNIT.CENTIMETER
        wide, high = (tags[name].value for name in ("XResolution", "YResolution"))
        assert (wide[0] / wide[1], high[0] / high[1]) == pytest.approx((40000, 20000))
    pixels = root.find(".//{*}Pixels")
    assert pixels is not None
    assert (pixels.get("PhysicalSizeY"), pixels.get("PhysicalSizeYUnit")) == ("500", "nm")
    description = root.findtext(".//{*}Description")
    assert description is not None
    assert json.loads(description) == PROVENANCE


def test_other_programs_read_the_png(tmp_path: Path) -> None:
    path = tmp_path / "labels.png"
    write_labels(path, LABELS, pixel_size=SIZE, provenance=PROVENANCE)
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), LABELS)
        assert image.info["dpi"] == pytest.approx((101600, 50800))
        assert json.loads(image.info["napari-diffseg"]) == PROVENANCE


@pytest.mark.parametrize("name", ["labels.tif", "labels.png"])
def test_nothing_is_written_that_was_not_given(tmp_path: Path, name: str) -> None:
    write_labels(tmp_path / name, LABELS)
    assert read_image(tmp_path / name).pixel_size is None


@pytest.mark.parametrize(
    ("labels", "name", "dtype"),
    [
        (LABELS.astype(np.uint32), "labels.png", np.uint8),
        (LABELS.astype(np.uint16) * 100, "labels.png", np.uint16),
        (LABELS.astype(np.uint32) * 100_000, "labels.tif", np.uint32),
        (LABELS[:, ::2], "labels.tif", np.uint8),
        (LABELS[:1, :1], "labels.png", np.uint8),
    ],
)
def test_dtypes_and_layouts(
    tmp_path: Path, labels: NDArray[Any], name: str, dtype: type[np.unsignedinteger]
) -> None:
    write_labels(tmp_path / name, labels)
    found = read_image(tmp_path / name).pixels
    np.testing.assert_array_equal(found, labels)
    assert found.dtype == dtype


def test_pixel_too_large_for_png_is_left_out(tmp_path: Path) -> None:
    write_labels(tmp_path / "labels.png", LABELS, pixel_size=PixelSize(5, 5, "m"))
    assert read_image(tmp_path / "labels.png").pixel_size is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS.astype(int), "unsigned"),
        (LABELS.astype(float), "unsigned"),
        (LABELS[None, None], "2D or 3D"),
        (LABELS[:0], "not empty"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, labels: NDArray[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_labels(tmp_path / "labels.tif", labels)
    assert list(tmp_path.iterdir()) == []


def test_too_many_labels_for_png(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="65535"):
        write_labels(tmp_path / "labels.png", LABELS.astype(np.uint32) * 100_000)
    assert list(tmp_path.iterdir()) == []


def existing(folder: Path) -> Path:
    (folder / "there.tif").write_bytes(b"precious")
    return folder / "there.tif"


def folder_named_as_file(folder: Path) -> Path:
    (folder / "folder.tif").mkdir()
    return folder / "folder.tif"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (existing, "exists already"),
        (folder_named_as_file, "is a folder"),
        (lambda folder: folder / "none" / "labels.tif", "does not exist"),
        (lambda folder: folder / "labels.jpg", "ending"),
        (lambda folder: folder / "labels", "ending"),
    ],
)
def test_outputs_that_are_refused(
    tmp_path: Path, make: Callable[[Path], Path], message: str
) -> None:
    path = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError, match=message) as caught:
        check_output(path)
    assert str(path.parent) in str(caught.value)
    with pytest.raises(OutputError, match=message):
        write_labels(path, LABELS)
    assert sorted(tmp_path.rglob("*")) == before


def test_force_replaces_a_file_but_no_folder(tmp_path: Path) -> None:
    path = existing(tmp_path)
    check_output(path, force=True)
    assert path.read_bytes() == b"precious"
    write_labels(path, LABELS, force=True)
    np.testing.assert_array_equal(read_image(path).pixels, LABELS)
    with pytest.raises(OutputError, match="is a folder"):
        check_output(folder_named_as_file(tmp_path), force=True)


def test_folder_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.tempfile, "TemporaryFile", refuse)
    with pytest.raises(OutputError, match="Permission denied"):
        check_output(tmp_path / "labels.tif")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("name", ["labels.tif", "labels.png"])
def test_a_failed_write_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException
) -> None:
    path = tmp_path / name
    path.write_bytes(b"precious")

    def fail(file: Any, *args: object, **kwargs: object) -> None:
        file.write(b"half of it")
        raise error

    monkeypatch.setattr(writing.tifffile, "imwrite", fail)
    monkeypatch.setattr(Image.Image, "save", lambda self, file, **options: fail(file))
    expected = OutputError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        write_labels(path, LABELS, force=True)
    assert path.read_bytes() == b"precious"
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_file_that_appears_during_the_write_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "labels.tif"
    imwrite = tifffile.imwrite

    def write_beside(*args: Any, **kwargs: Any) -> None:
        imwrite(*args, **kwargs)
        path.write_bytes(b"precious")

    monkeypatch.setattr(writing.tifffile, "imwrite", write_beside)
    with pytest.raises(OutputError, match="exists already"):
        write_labels(path, LABELS)
    assert path.read_bytes() == b"precious"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


# --- what runs that were killed have left ------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
from napari_diffseg import files

path, moment = Path(sys.argv[1]), sys.argv[2]
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if path.suffix == ".zarr":
    with files.placed_whole(path, force=True) as part:
        part.mkdir()
        (part / "zarr.json").write_text("{}")
        (part.parent / f".{part.name}.12345678.part").mkdir()
        if moment == "between the old and the new":
            Path.replace = die
        else:
            die()
else:
    with files.written_whole(path, force=True) as file:
        file.write(b"half of it")
        die()
"""


def killed(path: Path, moment: str = "half done") -> list[str]:
    """Kill a process that writes; return what it has left hidden."""
    program = subprocess.run([sys.executable, "-c", KILLED, path, moment], check=False)
    assert program.returncode == -signal.SIGKILL
    return sorted(entry.name for entry in path.parent.glob(".*"))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_a_killed_run_has_left_goes_with_the_next(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a[1]{suffix}"
    assert len(killed(path)) >= 2
    assert len(killed(path)) >= 2
    assert not path.exists()
    write_labels(path, LABELS)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("suffix", [".ome.zarr", ".ome.tif"])
def test_what_a_run_is_writing_at_this_moment_stays(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    killed(path)
    opened = files.placed_whole if "zarr" in suffix else files.written_whole

    def write_twice_at_once() -> None:
        with opened(path, force=False) as part:
            if "zarr" in suffix:
                part.mkdir()
            mine = sorted(entry.name for entry in tmp_path.glob(".*"))
            assert len(mine) == 2
            write_labels(path, LABELS)
            assert sorted(entry.name for entry in tmp_path.glob(".*")) == mine

    with pytest.raises(OutputError, match="exists already"):
        write_twice_at_once()
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    np.testing.assert_array_equal(read_image(path).pixels, LABELS)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_store_that_had_to_make_room_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.zarr"
    write_labels(path, LABELS)
    assert any(name.endswith(".old") for name in killed(path, "between the old and the new"))
    assert not path.exists()
    with pytest.raises(OutputError, match="exists already"):
        check_output(path)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    np.testing.assert_array_equal(read_image(path).pixels, LABELS)


# --- many frames -------------------------------------------------------------------

STACK = (np.arange(3 * 2 * 20 * 30) % 11).astype(np.uint8).reshape(3, 2, 20, 30)
FRAMES = STACK.reshape(-1, 20, 30)


def write_stack(path: Path, frames: Any = FRAMES, **changes: Any) -> None:
    options: dict[str, Any] = {
        "shape": STACK.shape,
        "axes": "TZYX",
        "dtype": np.uint8,
        "pixel_size": replace(SIZE, z=2.0),
        "t_step": 30.0,
        "provenance": PROVENANCE,
    }
    write_label_stack(path, frames, **(options | changes))


def test_a_stack_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "labels.ome.tif"
    write_stack(path, iter(FRAMES))
    stack = open_frames(path)
    assert (stack.axes, stack.shape, stack.dtype) == ("TZYX", STACK.shape, np.uint8)
    assert stack.pixel_size == replace(SIZE, z=2.0)
    assert stack.t_step == 30.0
    np.testing.assert_array_equal(read_image(path).pixels, STACK)
    with tifffile.TiffFile(path) as tif:
        assert tif.ome_metadata is not None
        description = ElementTree.fromstring(tif.ome_metadata).findtext(".//{*}Description")
    assert json.loads(description or "") == PROVENANCE
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_labels_of_a_smaller_type_fit(tmp_path: Path) -> None:
    path = tmp_path / "labels.tif"
    write_stack(path, dtype=np.uint16, pixel_size=None, t_step=None, provenance=None)
    image = read_image(path)
    assert (image.pixels.dtype, image.pixel_size) == (np.uint16, None)
    np.testing.assert_array_equal(image.pixels, STACK)


def test_one_frame_is_held_at_a_time(tmp_path: Path) -> None:
    alive = [0]

    class Frame(np.ndarray):
        def __del__(self) -> None:
            alive[0] -= 1

    def frames() -> Iterator[NDArray[Any]]:
        for plane in np.tile(FRAMES, (20, 1, 1)):
            frame = np.ndarray.__new__(Frame, plane.shape, plane.dtype)
            frame[...] = plane
            alive[0] += 1
            assert alive[0] <= 3
            yield frame

    write_stack(tmp_path / "labels.tif", frames(), shape=(60, 2, 20, 30))


@pytest.mark.parametrize("name", ["labels.ome.tif", "labels.png"])
def test_the_same_labels_are_the_same_bytes(tmp_path: Path, name: str) -> None:
    (tmp_path / "a").mkdir()
    for path in (tmp_path / name, tmp_path / "a" / name):
        write_labels(path, LABELS, pixel_size=SIZE, provenance=PROVENANCE)
    assert (tmp_path / name).read_bytes() == (tmp_path / "a" / name).read_bytes()


def test_the_same_stack_is_the_same_bytes(tmp_path: Path) -> None:
    first, second, other = (tmp_path / f"{name}.tif" for name in "abc")
    write_stack(first)
    write_stack(second)
    write_stack(other, provenance=PROVENANCE | {"seed": 1})
    assert first.read_bytes() == second.read_bytes()
    uuids = set()
    for path in (first, other):
        with tifffile.TiffFile(path) as tif:
            uuids.add(ElementTree.fromstring(tif.ome_metadata or "").get("UUID"))
    assert len(uuids) == 2


@pytest.mark.parametrize(
    ("frames", "changes", "match"),
    [
        (FRAMES[:5], {}, "There are 5 frames"),
        (np.tile(FRAMES, (2, 1, 1)), {}, "more than 6 frames"),
        ([STACK[0, 0]] * 5 + [STACK[0, 0, 1:]], {}, "Frame 5 has the shape"),
        ([STACK[0, 0].astype(np.uint16)] * 6, {}, "uint16"),
        ([], {"axes": "TYX"}, "'TYX'"),
        ([], {"axes": "YXTZ"}, "'YXTZ'"),
        ([], {"dtype": np.int16}, "int16"),
        ([], {"shape": (0, 2, 20, 30)}, "0, 2"),
    ],
)
def test_frames_that_do_not_fit(
    tmp_path: Path, frames: Any, changes: dict[str, Any], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        write_stack(tmp_path / "labels.tif", frames, **changes)
    assert not list(tmp_path.iterdir())


def test_a_stack_goes_where_it_may(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"\.ome\.tif"):
        write_stack(tmp_path / "labels.png")
    write_stack(tmp_path / "labels.tif")
    with pytest.raises(OutputError, match="exists already"):
        write_stack(tmp_path / "labels.tif")
    write_stack(tmp_path / "labels.tif", force=True)


@pytest.mark.parametrize("error", [OSError(ENOSPC, os.strerror(ENOSPC)), KeyboardInterrupt()])
def test_a_stack_that_fails_leaves_everything_as_it_was(
    tmp_path: Path, error: BaseException
) -> None:
    path = tmp_path / "labels.tif"
    path.write_bytes(b"precious")

    def frames() -> Iterator[NDArray[Any]]:
        yield STACK[0, 0]
        raise error

    expected = OutputError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        write_stack(path, frames(), force=True)
    if isinstance(error, OSError):
        assert str(caught.value) == f"{path} cannot be written: the disk is full; free some space."
    assert path.read_bytes() == b"precious"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["labels.ome.tif", "labels.ome.zarr"])
def test_a_program_that_ends_before_all_is_written_leaves_what_was_there(
    tmp_path: Path, name: str
) -> None:
    place = tmp_path / name
    write_labels(place, LABELS)
    written = files.placed_whole if name.endswith("zarr") else files.written_whole

    def end() -> None:
        with written(place, force=True):
            assert len(list(tmp_path.iterdir())) > 1
            files.forsake()
            assert list(tmp_path.iterdir()) == [place]

    with pytest.raises(OutputError):
        end()
    assert list(tmp_path.iterdir()) == [place]
    np.testing.assert_array_equal(read_image(place).pixels, LABELS)
