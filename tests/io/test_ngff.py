from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from ome_zarr_models.v05 import Image

from napari_diffseg.errors import InputError
from napari_diffseg.image.info import ImageInfo, Placed
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.io import chunks
from napari_diffseg.io.frames import open_frames
from napari_diffseg.io.label_files.writing import write_labels
from napari_diffseg.io.ngff.labels import image_label, multiscales
from napari_diffseg.io.ngff.metadata import read_multiscale
from napari_diffseg.io.reading import read_image

PIXELS = np.random.default_rng(0).integers(0, 4000, (3, 2, 16, 12)).astype(np.uint16)
AXES = [
    {"name": "t", "type": "time", "unit": "millisecond"},
    {"name": "c", "type": "channel"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "nanometer"},
]
SCALE = {"type": "scale", "scale": [500, 1, 0.5, 250]}
IMAGE = {
    "axes": AXES,
    "datasets": [
        {"path": "full", "coordinateTransformations": [SCALE]},
        {"path": "half", "coordinateTransformations": [SCALE]},
    ],
}


def info(image: Mapping[str, Any]) -> ImageInfo:
    """Return what the metadata say of an image."""
    found = read_multiscale({"multiscales": [image]}, "a.zarr")
    return ImageInfo(found.axes, (), np.dtype(np.uint8), placement=found.placement)


def write(path: Path, version: str, image: Any) -> Path:
    """Write an image as other programs do: 0.4 in zarr 2, 0.5 in zarr 3."""
    new = version == "0.5"
    group = zarr.create_group(path, zarr_format=3 if new else 2)
    ome = {"version": version, "multiscales": [image]}
    group.update_attributes(
        {"ome": ome} if new else {"multiscales": [image | {"version": version}]}
    )
    group.create_array("full", data=PIXELS, chunks=(1, 1, 16, 12))
    group.create_array("half", data=PIXELS[..., ::2, ::2])
    return path


@pytest.mark.parametrize(("named", "said"), [("/", None), ("/", "."), (".", "/")])
def test_chunks_that_are_not_called_as_the_metadata_say(
    tmp_path: Path, named: str, said: str | None
) -> None:
    path = tmp_path / "a.zarr"
    group = zarr.create_group(path, zarr_format=2)
    group.update_attributes({"multiscales": [IMAGE]})
    how = {"name": "v2", "separator": named}
    group.create_array("full", data=PIXELS, chunks=(1, 1, 8, 12), chunk_key_encoding=how)
    about = path / "full" / ".zarray"
    known = json.loads(about.read_text())
    known.pop("dimension_separator", None)
    about.write_text(json.dumps(known | ({"dimension_separator": said} if said else {})))
    for opened in (path, path / "full"):
        assert np.array_equal(np.asarray(read_image(opened, axes="TCYX").pixels), PIXELS)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_images_of_other_programs(tmp_path: Path, version: str) -> None:
    stack = open_frames(write(tmp_path / "a.ome.zarr", version, IMAGE))
    assert (stack.axes, stack.shape, stack.frame_axes) == ("TCYX", PIXELS.shape, "CYX")
    assert stack.pixel_size == PixelSize(500, 250, "nm")
    assert (stack.spacing, stack.t_step) == (None, 0.5)
    np.testing.assert_array_equal(np.asarray(stack.frame(2)), PIXELS[2])
    # The array itself is an image too.
    array = open_frames(tmp_path / "a.ome.zarr" / "half", "TCYX")
    np.testing.assert_array_equal(np.asarray(array.frame(1)), PIXELS[1, :, ::2, ::2])


def test_depth_and_a_scale_of_all_levels() -> None:
    image: dict[str, Any] = {
        "axes": [{"name": letter, "unit": "micrometer"} for letter in "zyx"],
        "datasets": [
            {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [4, 1, 1]}]}
        ],
        "coordinateTransformations": [{"type": "scale", "scale": [0.5, 0.25, 0.25]}],
    }
    assert read_multiscale({"multiscales": [image]}, "a.zarr")[:2] == ("0", "ZYX")
    assert info(image).pixel_size == PixelSize(0.25, 0.25, "µm", 2.0)
    assert info(image).spacing == (2, 0.25, 0.25)
    image["datasets"][0].pop("coordinateTransformations")
    size = info(image).pixel_size
    assert size is not None
    assert (size.z, size.z_step) == (0.5, 2)


@pytest.mark.parametrize("unit", [None, "pixel", "parsec", 5])
def test_without_a_known_unit_there_is_no_size(unit: object) -> None:
    image = {
        "axes": [{"name": letter, "unit": unit} for letter in "yx"],
        "datasets": [
            {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [4, 1]}]}
        ],
    }
    found = info(image)
    assert (found.axes, found.pixel_size, found.spacing, found.t_step) == ("YX", None, None, None)


def test_axes_of_older_versions() -> None:
    image: dict[str, Any] = {"datasets": [{"path": "0"}]}
    assert read_multiscale({"multiscales": [image]}, "a.zarr").axes == "TCZYX"
    image["axes"] = ["z", "y", "x"]
    assert read_multiscale({"multiscales": [image]}, "a.zarr").axes == "ZYX"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        pytest.param({"axes": "tcyx"}, "no list", id="axes as text"),
        pytest.param({"axes": []}, "no list", id="no axes"),
        pytest.param({"axes": [{"name": "t"}, {"name": 5}]}, "5 is no axis", id="axis as number"),
        pytest.param({"axes": [{"name": "y"}, {"name": "y"}]}, "twice", id="axis twice"),
        pytest.param({"axes": [{"name": "t"}, {"name": "y"}]}, "no X", id="no x"),
        pytest.param({"axes": AXES[1:]}, "scale", id="fewer axes than the scale has"),
        pytest.param({"datasets": []}, "pixels", id="no datasets"),
        pytest.param({"datasets": [{"path": 5}]}, "pixels", id="path as number"),
        pytest.param({"datasets": {"path": "full"}}, "pixels", id="datasets as mapping"),
        pytest.param({"datasets": [{"path": "nowhere"}]}, "no array", id="no such array"),
        pytest.param({"datasets": [{"path": "../full"}]}, "damaged", id="a path that leads out"),
        pytest.param(
            {"axes": AXES[2:], "datasets": [{"path": "full"}]}, "has 4", id="axes of another array"
        ),
        pytest.param({"coordinateTransformations": 5}, "no list", id="transformations as number"),
        pytest.param({"coordinateTransformations": [5]}, "else", id="a transformation as number"),
        *(
            pytest.param(
                {"coordinateTransformations": [{"type": "scale", "scale": scale}]},
                "scale",
                id=f"scale {scale}",
            )
            for scale in (5, [1, 1], [1, 1, 0, 1], [1, 1, "1", 1], [1, 1, None, 1])
        ),
    ],
)
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_metadata_that_make_no_sense(
    tmp_path: Path, version: str, change: dict[str, Any], match: str
) -> None:
    path = write(tmp_path / "a.ome.zarr", version, deepcopy(IMAGE) | change)
    with pytest.raises(InputError, match=match) as caught:
        open_frames(path)
    message = str(caught.value)
    assert "a.ome.zarr" in message
    assert message.endswith(".")
    assert "\n" not in message


@pytest.mark.parametrize("multiscales", [5, [], [5], {}, "text"])
def test_multiscales_that_list_no_image(multiscales: object) -> None:
    with pytest.raises(InputError, match="lists no image"):
        read_multiscale({"multiscales": multiscales}, "a.zarr")


def test_groups_without_an_image(tmp_path: Path) -> None:
    zarr.create_group(tmp_path / "a.zarr").create_array("0", data=PIXELS)
    with pytest.raises(InputError, match="no OME-Zarr image at its top"):
        open_frames(tmp_path / "a.zarr")
    (tmp_path / "b.zarr").mkdir()
    (tmp_path / "b.zarr" / "zarr.json").write_text("{")
    with pytest.raises(InputError, match=r"b\.zarr is truncated or damaged"):
        open_frames(tmp_path / "b.zarr")


def test_the_first_of_several_images(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=2)
    group.update_attributes({"bioformats2raw.layout": 3})
    write(tmp_path / "a.zarr" / "0", "0.4", IMAGE)
    stack = open_frames(tmp_path / "a.zarr")
    assert stack.axes == "TCYX"
    assert stack.notes == ()
    write(tmp_path / "a.zarr" / "1", "0.4", IMAGE)
    (note,) = open_frames(tmp_path / "a.zarr", series=1).notes
    assert "holds 2 images" in note
    assert "image 1 was read" in note
    with pytest.raises(InputError, match=r"2 images .* image 2 is asked for"):
        open_frames(tmp_path / "a.zarr", series=2)


@pytest.mark.parametrize(
    "size", [None, PixelSize(0.5, 250, "nm"), PixelSize(1, 2, "Å"), PixelSize(1, 2, "µm", 3)]
)
def test_what_is_written_is_read_back(size: PixelSize | None) -> None:
    written = multiscales("TZYX", ["0", "1"], name="a", pixel_size=size, t_step=0.1)
    found = read_multiscale({"multiscales": written}, "a.zarr")
    assert (found.array, found.axes, found.n_levels) == ("0", "TZYX", 2)
    assert (info(written[0]).pixel_size, info(written[0]).t_step) == (size, 0.1)
    first, second = (
        dataset["coordinateTransformations"][0]["scale"] for dataset in written[0]["datasets"]
    )
    assert second == [first[0], first[1], 2 * first[2], 2 * first[3]]


def test_names_and_colours_are_of_the_same_labels() -> None:
    described = image_label({2: "cell", 1: "ground"}, {2: (1, 0.5, 0, 1), 3: (0, 0, 1, 0)})
    colors = {entry["label-value"]: entry["rgba"] for entry in described["colors"]}
    names = {entry["label-value"]: entry.get("name") for entry in described["properties"]}
    assert colors == {1: [128, 128, 128, 255], 2: [255, 128, 0, 255], 3: [0, 0, 255, 0]}
    assert names == {1: "ground", 2: "cell", 3: None}
    assert set(image_label({}, {})) == {"source"}
    for wrong in ((1, 0, 0), (2, 0, 0, 1), (float("nan"), 0, 0, 1)):
        with pytest.raises(InputError, match="colour"):
            image_label({}, {1: wrong})


# --- axes by type, and what a person says ------------------------------------------


def axis(name: str, kind: str | None = None) -> dict[str, str]:
    return {"name": name} | ({"type": kind} if kind else {})


SPACE = [axis("y", "space"), axis("x", "space")]


@pytest.mark.parametrize(
    ("axes", "letters"),
    [
        ([axis("channel", "channel"), *SPACE], "CYX"),
        ([axis("frame", "time"), axis("ch", "channel"), *SPACE], "TCYX"),
        ([axis("depth", "space"), axis("row", "space"), axis("col", "space")], "ZYX"),
        ([axis("x", "space"), axis("c", "channel"), axis("y", "space")], "XCY"),
        ([axis("t", "channel"), *SPACE], "CYX"),
        ([axis("Time"), axis("Channel"), axis("Y"), axis("X")], "TCYX"),
        ([axis("c", "array"), *SPACE], "CYX"),
    ],
)
def test_axes_are_known_by_their_type(axes: Any, letters: str) -> None:
    image = {"axes": axes, "datasets": [{"path": "0"}]}
    assert read_multiscale({"multiscales": [image]}, "a.zarr").axes == letters


def scaled(scale: Any, translation: Any = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
    if translation is not None:
        found.append({"type": "translation", "translation": translation})
    return found


def write_one(path: Path, pixels: Any, axes: Any, steps: Any, **more: Any) -> Path:
    group = zarr.create_group(path, zarr_format=2)
    group.create_array("0", data=pixels)
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
    group.update_attributes({"multiscales": [image | more]})
    return path


def test_what_a_person_states_comes_before_the_metadata(tmp_path: Path) -> None:
    axes = [axis("q", "phase"), axis("y", "space"), axis("x", "space")]
    path = write_one(tmp_path / "a.zarr", PIXELS[0], axes, scaled([1, 2, 3]))
    for read in (open_frames, read_image):
        with pytest.raises(InputError, match=r"'q' is no axis .* are wrong, state them\.$"):
            read(path)
    assert open_frames(path, "TYX").axes == "TYX"
    image = read_image(path, axes="CYX")
    assert (image.axes, image.placement["X"].step) == ("CYX", 3)
    with pytest.raises(InputError, match="name 2 axes, but the image has 3"):
        open_frames(path, "YX")


def test_scale_and_translation_of_both_levels_are_joined() -> None:
    steps = scaled([-0.5, 2], [100, 200])
    image = {"axes": SPACE, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
    image["coordinateTransformations"] = scaled([2, 2], [1, 0])
    found = read_multiscale({"multiscales": [image]}, "a.zarr")
    assert found.placement == {"Y": (-1, 201, None), "X": (4, 400, None)}


def test_labels_lie_where_the_image_lies(tmp_path: Path) -> None:
    axes = [one | {"unit": "micrometer"} for one in SPACE]
    path = write_one(tmp_path / "a.zarr", PIXELS[0, 0], axes, scaled([-0.5, 0.25], [100, 200]))
    image = read_image(path)
    assert image.pixel_size == PixelSize(0.5, 0.25, "µm")
    labels = np.ones(image.pixels.shape, np.uint8)
    write_labels(
        tmp_path / "o.ome.zarr", labels, pixel_size=image.pixel_size, placement=image.placement
    )
    for folder in (tmp_path / "o.ome.zarr", tmp_path / "o.ome.zarr" / "labels" / "diffseg"):
        written = zarr.open_group(folder, mode="r").attrs["ome"]["multiscales"][0]
        assert written["datasets"][0]["coordinateTransformations"] == scaled(
            [-0.5, 0.25], [100, 200]
        )
        Image.from_zarr(zarr.open_group(folder, mode="r"))


def test_starts_are_brought_to_the_unit_of_the_labels() -> None:
    placed = {
        "T": Placed(500, 1500, "millisecond"),
        "Y": Placed(250, 1000, "nanometer"),
        "X": Placed(250, 2000, "furlong"),
    }
    (written,) = multiscales(
        "TYX", ["0"], name="a", pixel_size=PixelSize(0.25, 0.25, "µm"), t_step=0.5, placement=placed
    )
    assert written["datasets"][0]["coordinateTransformations"] == scaled(
        [0.5, 0.25, 0.25], [1.5, 1.0, 0.0]
    )


def test_a_scale_without_a_unit_is_kept() -> None:
    placed = {"Y": Placed(0.5, 0, None), "X": Placed(-0.5, 7, None)}
    (written,) = multiscales("YX", ["0", "1"], name="a", pixel_size=None, placement=placed)
    steps = [one["coordinateTransformations"] for one in written["datasets"]]
    assert steps == [scaled([0.5, -0.5], [0, 7]), scaled([1, -1], [0, 7])]
    assert "unit" not in written["axes"][0]


@pytest.mark.parametrize(
    "wrong", [scaled([1, 0]), scaled([1, float("inf")]), scaled([1, 1], [1]), scaled([1, 1], "a")]
)
def test_places_that_make_no_sense(wrong: Any) -> None:
    image = {"axes": SPACE, "datasets": [{"path": "0", "coordinateTransformations": wrong}]}
    with pytest.raises(InputError, match="not one number for each axis"):
        read_multiscale({"multiscales": [image]}, "a.zarr")


def test_several_images_in_one_group(tmp_path: Path) -> None:
    path = write_one(tmp_path / "a.zarr", PIXELS[0, 0], SPACE, scaled([1, 1]))
    group = zarr.open_group(path, mode="r+")
    group.create_array("other", data=PIXELS[0, 1])
    second = {"name": "second", "axes": SPACE, "datasets": [{"path": "other"}]}
    group.update_attributes({"multiscales": [*group.attrs["multiscales"], second]})
    image = read_image(path, series=1)
    np.testing.assert_array_equal(image.pixels, PIXELS[0, 1])
    assert "1: second" in image.notes[0]


@pytest.mark.parametrize(
    "where",
    [
        (slice(None), slice(None), slice(None), slice(None)),
        (1, slice(None), slice(5, 33), slice(2, 39, 3)),
        (slice(None), 0, slice(38, None, -2), slice(31, 3, -1)),
        (slice(0, 0), slice(None), slice(None), 7),
    ],
)
def test_many_small_chunks_are_read_some_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: tuple[int | slice, ...]
) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (3, 2, 40, 41)).astype(np.uint8)
    zarr.create_array(tmp_path / "a.zarr", data=pixels, chunks=(1, 2, 3, 4))
    monkeypatch.setattr(chunks, "_MOST_CHUNKS", 7)
    most = 0
    whole = zarr.Array.__getitem__

    def read(array: Any, part: Any) -> Any:
        nonlocal most
        found = whole(array, part)
        most = max(most, found.size)
        return found

    monkeypatch.setattr(zarr.Array, "__getitem__", read)
    found = read_image(tmp_path / "a.zarr").pixels[where]
    np.testing.assert_array_equal(found, pixels[where])
    # Not more than the chunks that are read at a time, and what of these is not wanted.
    assert most <= 7 * 24


@pytest.mark.parametrize("dtype", ["str", "M8[s]"])
def test_an_array_of_no_numbers(tmp_path: Path, dtype: str) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=(4, 4), dtype=dtype)
    with pytest.raises(InputError, match=r"holds values of the type .* an image is of numbers"):
        read_image(tmp_path / "a.zarr")
