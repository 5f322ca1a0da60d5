"""Plates of wells of fields: every field is labelled, and the labels are a plate again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from ome_zarr_models.v05.hcs import HCS
from ome_zarr_models.v05.well import Well

from napari_diffseg import Model
from napari_diffseg.batch.plan import JOURNAL_NAME
from napari_diffseg.batch.planning import make_plan
from napari_diffseg.batch.run import apply_stack
from napari_diffseg.errors import InputError, OutputError
from napari_diffseg.io.frames import open_frames
from napari_diffseg.io.label_files.label_store import LabelStore
from tests.batch.conftest import apply, contents, leftovers

FIELDS = ("A/1/0", "A/1/1", "B/2/0")
STEPS = [
    {"type": "scale", "scale": [0.5, 0.5]},
    {"type": "translation", "translation": [10.0, 20.0]},
]


def write_plate(path: Path, frames: np.ndarray) -> Path:
    """Write a plate of two wells as other programs do (0.4): fields 0 and 1, and field 0."""
    plate = zarr.create_group(path, zarr_format=2)
    wells = [
        {"path": well, "rowIndex": row, "columnIndex": row}
        for row, well in enumerate(("A/1", "B/2", "C/3"))  # nothing was imaged in the third
    ]
    said: dict[str, Any] = {"version": "0.4", "name": "screen", "field_count": 2, "wells": wells}
    said["rows"] = [{"name": letter} for letter in "ABC"]
    said["columns"] = [{"name": number} for number in "123"]
    said["acquisitions"] = [{"id": 0, "name": "first"}]
    plate.attrs["plate"] = said
    for frame, field in zip(frames, FIELDS, strict=False):
        well, _, name = field.rpartition("/")
        group = plate.require_group(well)
        others = group.attrs.asdict().get("well", {}).get("images", [])
        images = [*others, {"path": name, "acquisition": 0}]
        group.attrs["well"] = {"version": "0.4", "images": images}
        image = group.create_group(name)
        image.create_array("0", data=frame)
        axes = [{"name": one, "type": "space", "unit": "micrometer"} for one in "yx"]
        dataset = {"path": "0", "coordinateTransformations": STEPS}
        image.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": [dataset]}]
    return path


@pytest.fixture
def plate(frames: np.ndarray, tmp_path: Path) -> Path:
    return write_plate(tmp_path / "screen.zarr", frames)


def test_all_fields_of_a_plate_become_a_plate(
    model: Model, frames: np.ndarray, plate: Path, tmp_path: Path
) -> None:
    out = tmp_path / "labels.ome.zarr"
    report = apply(model, plate, out)
    assert (report.done, report.failed) == (3, ())
    for frame, field in zip(frames, FIELDS, strict=False):
        labels = LabelStore.open(out / field).array[:]
        np.testing.assert_array_equal(labels, model.apply(frame, axes="YX"))
        placed = open_frames(out / field).placement
        assert placed["Y"] == (0.5, 10, "micrometer")
        assert placed["X"] == (0.5, 20, "micrometer")
    written = zarr.open_group(out, mode="r")
    HCS.from_zarr(written)
    Well.from_zarr(zarr.open_group(out / "A" / "1", mode="r"))
    said = zarr.open_group(plate, mode="r").attrs["plate"]
    plate_said = written.attrs["ome"]["plate"]
    for key in ("rows", "columns", "acquisitions", "name", "field_count"):
        assert plate_said[key] == said[key]
    assert plate_said["wells"] == said["wells"][:2]
    images = zarr.open_group(out / "A" / "1", mode="r").attrs["ome"]["well"]["images"]
    assert images == [{"path": "0", "acquisition": 0}, {"path": "1", "acquisition": 0}]
    assert leftovers(tmp_path) == [str(Path("screen.zarr", name)) for name in leftovers(plate)]


def test_a_plate_that_was_stopped_is_finished_to_the_byte(
    model: Model, plate: Path, tmp_path: Path
) -> None:
    apply(model, plate, tmp_path / "whole.ome.zarr")
    out = tmp_path / "out" / "whole.ome.zarr"
    out.parent.mkdir()
    steps = apply_stack(model, plate, out, workers=1)
    next(steps)
    assert next(steps).name == "screen.zarr/A/1/0"
    steps.close()
    assert (out / JOURNAL_NAME).is_dir()
    with pytest.raises(OutputError, match="was not finished"):
        apply(model, plate, out)
    assert apply(model, plate, out, resume=True).done == 3
    assert contents(out) == contents(tmp_path / "whole.ome.zarr")
    assert "nothing to do" in apply(model, plate, out, resume=True).notes[0]
    with pytest.raises(OutputError, match="exists already"):
        apply(model, plate, out)
    assert apply(model, plate, out, force=True).done == 3
    assert contents(out) == contents(tmp_path / "whole.ome.zarr")


def test_a_field_that_cannot_be_read_is_named_and_left_out(
    model: Model, plate: Path, tmp_path: Path
) -> None:
    (plate / "A" / "1" / "1" / ".zattrs").write_text("{")
    report = apply(model, plate, tmp_path / "labels.zarr")
    assert report.done == 2
    ((name, _),) = report.failed
    assert name == "screen.zarr/A/1/1"
    well = zarr.open_group(tmp_path / "labels.zarr" / "A" / "1", mode="r")
    assert [one["path"] for one in well.attrs["ome"]["well"]["images"]] == ["0"]


def test_a_well_and_a_plate_that_are_damaged_stop_nobody(
    model: Model, plate: Path, tmp_path: Path
) -> None:
    (plate / "A" / "1" / ".zattrs").write_text("{")
    report = apply(model, plate, tmp_path / "labels.zarr")
    assert (report.done, [name for name, _ in report.failed]) == (1, ["screen.zarr/A/1"])
    HCS.from_zarr(zarr.open_group(tmp_path / "labels.zarr", mode="r"))
    broken = tmp_path / "broken.zarr"
    zarr.create_group(broken, zarr_format=2)
    (broken / ".zattrs").write_text("{")
    report = apply(model, [broken, plate], tmp_path / "out")
    assert "broken.zarr" in [name for name, _ in report.failed]


def test_plates_and_images_into_a_folder(
    model: Model, frames: np.ndarray, plate: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.move(plate, folder / plate.name)
    write_plate(folder / "second.zarr", frames)
    assert apply(model, folder, tmp_path / "out").done == 6
    for name in ("screen.ome.zarr", "second.ome.zarr"):
        HCS.from_zarr(zarr.open_group(tmp_path / "out" / name, mode="r"))


def test_where_the_labels_of_a_plate_cannot_go(
    model: Model, frames: np.ndarray, movie: Path, plate: Path, tmp_path: Path
) -> None:
    second = write_plate(tmp_path / "second.zarr", frames)
    for inputs, name in (
        (plate, "o.ome.tif"),
        ([plate, second], "o.ome.zarr"),
        ([plate, movie], "o.ome.zarr"),
    ):
        with pytest.raises(OutputError, match=r"is a plate, and .* cannot hold its labels"):
            make_plan(model, inputs, tmp_path / name)
    zarr.create_group(tmp_path / "other.zarr")
    with pytest.raises(OutputError, match="is no plate"):
        make_plan(model, plate, tmp_path / "other.zarr")
    for place in (plate, plate / "labels.zarr"):
        with pytest.raises(OutputError, match=r"image itself|lies within|is no plate"):
            make_plan(model, plate, place)


def test_what_a_plate_and_a_well_are_is_said_with_a_field_that_is_there(
    frames: np.ndarray, plate: Path, tmp_path: Path
) -> None:
    shutil.rmtree(plate / "A" / "1" / "0")
    with pytest.raises(InputError, match=r"a plate of 2 fields: name one.*'apply'") as caught:
        open_frames(plate)
    assert str(plate / "A/1/1") in str(caught.value)
    with pytest.raises(InputError, match="it is a well: name a field in it") as caught:
        open_frames(plate / "A" / "1")
    assert str(plate / "A/1/1") in str(caught.value)
    assert open_frames(plate / "A" / "1" / "1").frame_shape == frames.shape[1:]
    with pytest.raises(InputError, match=r"name an image or an array in it, for example .*A"):
        open_frames(plate / "A")
    empty = write_plate(tmp_path / "empty.zarr", frames[:0])
    with pytest.raises(InputError, match="of none of them is an image there"):
        open_frames(empty)
    zarr.create_group(tmp_path / "nothing.zarr")
    with pytest.raises(InputError, match="nor an array"):
        open_frames(tmp_path / "nothing.zarr")


def test_fields_that_a_well_lists_and_lacks_are_named(
    model: Model, plate: Path, tmp_path: Path
) -> None:
    assert apply(model, plate, tmp_path / "whole.ome.zarr").notes == ()
    shutil.rmtree(plate / "A" / "1" / "0")
    (note,) = apply(model, plate, tmp_path / "rest.ome.zarr").notes
    assert "the 2 that are there; not in it: A/1/0." in note


def test_a_plate_that_goes_away_in_mid_run_is_finished_when_it_is_back(
    model: Model, plate: Path, tmp_path: Path
) -> None:
    apply(model, plate, tmp_path / "whole.ome.zarr")
    steps = apply_stack(model, plate, tmp_path / "out.ome.zarr", workers=1)
    for _ in range(3):
        next(steps)
    away = plate.rename(tmp_path / "away.zarr")
    with pytest.raises(InputError, match=r"screen\.zarr does not exist; check the name"):
        for _ in steps:
            pass
    assert not (tmp_path / "out.ome.zarr/zarr.json").exists()
    away.rename(plate)
    report = apply(model, plate, tmp_path / "out.ome.zarr", resume=True)
    assert report.failed == ()
    assert contents(tmp_path / "out.ome.zarr") == contents(tmp_path / "whole.ome.zarr")
    assert leftovers(tmp_path / "out.ome.zarr") == []
