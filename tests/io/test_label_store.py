from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from errno import ENOSPC
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from ome_zarr.io import parse_url
from ome_zarr.reader import Label, Reader
from ome_zarr_models.v05 import Image, ImageLabel

from napari_diffseg.errors import InputError, OutputError
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.io.frames import open_frames
from napari_diffseg.io.label_files.label_store import LabelStore

LABELS = np.random.default_rng(0).integers(0, 5, (2, 2, 40, 30)).astype(np.uint8)  # T Z Y X
LARGE = (np.add.outer(np.arange(2100), np.arange(1100)) // 100 % 7 + 1).astype(np.uint8)
SIZE = PixelSize(0.5, 0.25, "µm", 2.0)
FACTS: dict[str, Any] = {
    "pixel_size": SIZE,
    "t_step": 30.0,
    "names": {2: "cell", 1: "ground"},
    "colors": {1: (0, 0, 0, 0), 2: (1, 0.5, 0, 1)},
    "provenance": {"model": "abc", "params": {"seed": 0}},
}


def create(path: Path, shape: tuple[int, ...] = LABELS.shape, axes: str = "TZYX") -> LabelStore:
    return LabelStore.create(path, axes=axes, shape=shape, dtype=np.uint8, **FACTS)


def fill(store: LabelStore, labels: NDArray[Any], order: Iterator[int] | range) -> None:
    frames = labels.reshape(-1, *labels.shape[-2:])
    for i in order:
        store.write(i, None, frames[i])


def files(path: Path) -> dict[str, bytes]:
    return {
        str(entry.relative_to(path)): entry.read_bytes()
        for entry in path.rglob("*")
        if entry.is_file()
    }


def test_zarr_alone_reads_the_labels(tmp_path: Path) -> None:
    store = create(tmp_path / "a.ome.zarr")
    fill(store, LABELS, range(4))
    array = zarr.open_array(tmp_path / "a.ome.zarr" / "labels" / "diffseg" / "0", mode="r")
    np.testing.assert_array_equal(array[:], LABELS)
    assert array.metadata.dimension_names == ("t", "z", "y", "x")
    group = zarr.open_group(tmp_path / "a.ome.zarr" / "labels" / "diffseg", mode="r")
    assert group.attrs["napari-diffseg"] == FACTS["provenance"]


def test_ome_zarr_reads_labels_scale_units_names_and_colours(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.zarr"
    fill(create(path), LABELS, range(4))
    nodes = list(Reader(parse_url(path))())
    shown = [node for node in nodes if node.data]
    assert len(shown) == 2  # the numbers as an image, and the labels
    for node in shown:
        np.testing.assert_array_equal(np.asarray(node.data[0]), LABELS)
        units = [axis.get("unit") for axis in node.metadata["axes"]]
        assert units == ["second", "micrometer", "micrometer", "micrometer"]
        scale = node.metadata["coordinateTransformations"][0][0]["scale"]
        assert scale == [30.0, 2.0, 0.5, 0.25]
    labels = next(node for node in shown if node.load(Label))
    assert labels.metadata["name"] == "diffseg"
    assert labels.metadata["properties"] == {1: {"name": "ground"}, 2: {"name": "cell"}}
    assert labels.metadata["color"][1] == [0, 0, 0, 0]
    assert labels.metadata["color"][2] == pytest.approx([1, 0.5, 0, 1], abs=0.003)


def test_the_metadata_keep_to_the_standard(tmp_path: Path) -> None:
    store = create(tmp_path / "a.ome.zarr", (2, 1500, 700), "TYX")
    image = Image.from_zarr(zarr.open_group(store.path, mode="r"))
    assert image.labels is not None
    assert image.labels.label_paths == ["diffseg"]
    labels = ImageLabel.from_zarr(zarr.open_group(store.path / "labels/diffseg", mode="r"))
    assert labels.ome_attributes.image_label.colors is not None


def test_our_own_reader_reads_it(tmp_path: Path) -> None:
    fill(create(tmp_path / "a.ome.zarr"), LABELS, range(4))
    for path in (tmp_path / "a.ome.zarr", tmp_path / "a.ome.zarr" / "labels" / "diffseg"):
        stack = open_frames(path)
        assert (stack.axes, stack.pixel_size) == ("TZYX", SIZE)
        assert stack.t_step == 30.0
        np.testing.assert_array_equal(np.asarray(stack.frame(3)), LABELS[1, 1])


def test_a_pyramid_keeps_every_second_pixel(tmp_path: Path) -> None:
    store = create(tmp_path / "a.ome.zarr", LARGE.shape, "YX")
    for top in (0, 1024, 2048):
        for left in (0, 1024):
            window = (slice(top, min(top + 1024, 2100)), slice(left, min(left + 1024, 1100)))
            store.write(0, window, LARGE[window])
    np.testing.assert_array_equal(store.read(0), LARGE)
    window = (slice(1000, 1100), slice(3, 900))
    np.testing.assert_array_equal(store.read(0, window), LARGE[window])
    group = zarr.open_group(store.path / "labels" / "diffseg", mode="r")
    assert sorted(group.array_keys()) == ["0", "1", "2", "3"]
    for level in range(4):
        array = group[str(level)]
        assert isinstance(array, zarr.Array)
        np.testing.assert_array_equal(array[:], LARGE[:: 2**level, :: 2**level])
        # A chunk belongs to one window, at each level.
        assert array.chunks == (1024 >> level, min(1024 >> level, array.shape[1]))


def test_a_small_plane_has_no_pyramid(tmp_path: Path) -> None:
    create(tmp_path / "a.zarr", (2, 512, 512), "TYX")
    assert [
        entry.name for entry in (tmp_path / "a.zarr/labels/diffseg").iterdir() if entry.is_dir()
    ] == ["0"]


def test_bytes_do_not_depend_on_the_order_or_the_number_of_writes(tmp_path: Path) -> None:
    labels = np.stack([LARGE, LARGE[::-1], np.zeros_like(LARGE)])
    first, second, third = (create(tmp_path / name, labels.shape, "TYX") for name in "abc")
    fill(first, labels, range(3))
    fill(second, labels[::-1], range(3))  # other labels at first ...
    second.clear(1)
    fill(second, labels, range(2, -1, -1))
    second.sweep()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: third.write(i, None, labels[i]), range(3)))
    expected = files(first.path)
    assert files(second.path) == files(third.path) == expected
    assert {entry.name for entry in first.path.rglob("*")} == {
        entry.name for entry in second.path.rglob("*")
    }
    for name, content in expected.items():
        if name.endswith("zarr.json"):
            json.loads(content)


def test_what_is_not_written_or_was_cleared_is_zero(tmp_path: Path) -> None:
    store = create(tmp_path / "a.zarr")
    fill(store, LABELS, range(2))
    store.clear(1)
    assert store.read(1).max() == store.read(3).max() == 0
    np.testing.assert_array_equal(store.read(0), LABELS[0, 0])
    assert (store.axes, store.shape, store.dtype) == ("TZYX", LABELS.shape, np.uint8)
    assert (store.n_frames, store.frame_shape) == (4, (40, 30))


def test_a_store_travels_to_other_processes(tmp_path: Path) -> None:
    store = create(tmp_path / "a.zarr")
    sent = pickle.dumps(store)
    assert len(sent) < 500
    pickle.loads(sent).write(2, None, LABELS[1, 0])
    np.testing.assert_array_equal(LabelStore.open(store.path).read(2), LABELS[1, 0])


WRITER = """
import sys
import numpy as np
from napari_diffseg.io.label_files.label_store import LabelStore

store = LabelStore.open(sys.argv[1])
for i in range(store.n_frames):
    store.write(i, None, np.full(store.frame_shape, i % 250 + 1, np.uint8))
    print(i, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_writer_leaves_whole_chunks_only(tmp_path: Path) -> None:
    store = create(tmp_path / "a.zarr", (2000, 600, 600), "TYX")
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(store.path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    for line in writer.stdout:
        if int(line) >= 5:
            break
    time.sleep(0.013)
    writer.send_signal(signal.SIGKILL)
    done = int(([line, *writer.stdout.read().split()])[-1])
    writer.stdout.close()
    writer.wait()
    (store.path / "labels/diffseg/0/c/7").mkdir(parents=True, exist_ok=True)
    (store.path / "labels/diffseg/0/c/7/0.1234.partial").write_bytes(b"half of a chunk")
    store.sweep()
    assert not list(store.path.rglob("*.partial"))
    for i in range(done + 3):
        found = set(np.unique(store.read(i)))
        assert found == {i % 250 + 1} or (i > done and found == {0})


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    opened = Path.open

    def refuse(self: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if "w" in mode:
            raise OSError(ENOSPC, os.strerror(ENOSPC))
        return opened(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    yield
    monkeypatch.undo()


def test_a_full_disk_while_writing(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    store = create(tmp_path / "a.zarr")
    request.getfixturevalue("full_disk")
    with pytest.raises(OutputError, match=r"^.*a\.zarr cannot be written: the disk is full.*\.$"):
        fill(store, LABELS, range(1))


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_nothing_of_a_new_store(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="the disk is full"):
        create(tmp_path / "a.zarr")
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    create(tmp_path / "a.zarr")
    with pytest.raises(OutputError, match="exists already"):
        create(tmp_path / "a.zarr")


@pytest.mark.parametrize(
    ("axes", "shape", "dtype", "match"),
    [
        ("TCYX", (1, 2, 3, 4), np.uint8, "'TCYX'"),
        ("YXT", (1, 2, 3), np.uint8, "'YXT'"),
        ("TYX", (3, 4), np.uint8, "shape"),
        ("TYX", (0, 3, 4), np.uint8, "shape"),
        ("YX", (3, 4), np.int32, "unsigned"),
    ],
)
def test_stores_that_cannot_be(
    tmp_path: Path, axes: str, shape: tuple[int, ...], dtype: Any, match: str
) -> None:
    with pytest.raises(InputError, match=match):
        LabelStore.create(tmp_path / "a.zarr", axes=axes, shape=shape, dtype=dtype)
    assert not list(tmp_path.iterdir())


def test_windows_and_labels_that_do_not_fit(tmp_path: Path) -> None:
    store = create(tmp_path / "a.zarr", (2, *LARGE.shape), "TYX")
    whole = (slice(0, 2100), slice(0, 1100))
    for window in [
        (slice(512, 1024), whole[1]),
        (slice(0, 1000), whole[1]),
        (whole[0], slice(0, 1101)),
        (whole[0], slice(1024, 1024)),
    ]:
        with pytest.raises(InputError, match="multiples of 1024"):
            store.write(0, window, LARGE)
    for labels in (LARGE[1:], LARGE.astype(np.int64), LARGE.astype(np.uint16)):
        with pytest.raises(InputError, match="are expected"):
            store.write(0, whole, labels)
    for i in (-1, 2):
        with pytest.raises(InputError, match=f"no frame {i} "):
            store.write(i, whole, LARGE)


def test_folders_that_are_no_store(tmp_path: Path) -> None:
    zarr.create_group(tmp_path / "b.zarr")
    zarr.create_group(tmp_path / "c.zarr").create_group("labels/diffseg")
    for name in ("a.zarr", "b.zarr", "c.zarr"):
        with pytest.raises(InputError, match="holds no labels"):
            LabelStore.open(tmp_path / name)


def test_chunks_that_no_store_of_ours_has_are_not_asked_for(tmp_path: Path) -> None:
    store = create(tmp_path / "labels.ome.zarr")
    path = tmp_path / "labels.ome.zarr" / "labels" / "diffseg" / "0" / "zarr.json"
    facts = json.loads(path.read_text())
    facts["chunk_grid"]["configuration"]["chunk_shape"][-1] = 2**31 - 1
    path.write_text(json.dumps(facts))
    with pytest.raises(InputError, match="holds no labels that can be read"):
        LabelStore.open(store.path)


def test_a_damaged_frame(tmp_path: Path) -> None:
    store = create(tmp_path / "a.zarr")
    fill(store, LABELS, range(4))
    (store.path / "labels/diffseg/0/c/1/0/0/0").write_bytes(b"no chunk")
    np.testing.assert_array_equal(store.read(1), LABELS[0, 1])
    with pytest.raises(InputError, match="Frame 2 of .* is damaged"):
        store.read(2)
