from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_diffseg.errors import InputError, OutputError
from napari_diffseg.io import writing
from napari_diffseg.io.pixel_size import PixelSize
from napari_diffseg.io.reading import read_image
from napari_diffseg.io.writing import SUFFIXES, check_output, write_labels

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
        (LABELS[None], "2D"),
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

    monkeypatch.setattr(writing.tempfile, "TemporaryFile", refuse)
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
