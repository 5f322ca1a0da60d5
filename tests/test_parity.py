"""One truth: library, shell and dock give equal labels, areas and confidence for equal input.

Of the dock it is what it runs that is asked, under a viewer without a window: the same functions
read the layers, and the same generators make the labels.
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from napari_diffseg import (
    Channel,
    InputError,
    Model,
    RunOptions,
    SegmentationParams,
    segment,
    train,
)
from napari_diffseg.cli import main
from napari_diffseg.image.fill import Fill
from napari_diffseg.io.reading import read_image

# Before napari is imported: its settings must not be a person's own.
os.environ.setdefault("NAPARI_CONFIG", os.path.join(tempfile.mkdtemp(prefix="napari-"), "s.yaml"))

CPU = RunOptions(device="cpu", threads=1)
SIDE = 48

Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Case:
    """An image, and what a person says of it."""

    name: str
    pixels: NDArray[Any]
    axes: str | None = None
    names: tuple[str, ...] = ()
    spacing: tuple[float, float, float] | None = None
    region: NDArray[np.bool_] | None = None
    strokes: NDArray[np.uint8] | None = None
    fill: Fill = "auto"
    rgb: bool = False

    def __str__(self) -> str:
        return self.name


def scene(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    """Return bright blobs on a darker, noisy ground; the last two axes are y and x."""
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    blobs = ((y // 12 + x // 12) % 2 == 0) & (np.hypot(y % 12 - 6, x % 12 - 6) < 5)
    noise = np.random.default_rng(seed).normal(0, 0.05, shape)
    return (np.where(blobs, 1.0, 0.3) + noise).astype(np.float32)


def channels(n: int) -> NDArray[np.float32]:
    """Return channels that show different things."""
    return np.stack([np.roll(scene(SIDE, SIDE, seed=c), 5 * c, axis=1) * (c + 1) for c in range(n)])


def painted(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return strokes of two classes; some of them at the lower border."""
    strokes = np.zeros(shape, np.uint8)
    strokes[..., 6, 4:9], strokes[..., 6, 13:22] = 1, 2
    strokes[..., -4, 4:9], strokes[..., -4, 30:40] = 3, 2
    return strokes


def upper(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    region = np.zeros(shape, bool)
    region[..., 2:30, 3:40] = True
    return region


PLANE, VOLUME = (SIDE, SIDE), (4, SIDE, SIDE)
PADDED = np.pad(scene(36, 36) + 1, 6)
RGB = np.rint(np.clip(np.moveaxis(channels(3), 0, -1) / 4, 0, 1) * 255).astype(np.uint8)
STEP = (2.0, 0.5, 0.5)

CASES = [
    Case("plane", scene(*PLANE), "YX"),
    Case("strokes", scene(*PLANE), "YX", strokes=painted(PLANE)),
    Case("region", scene(*PLANE), "YX", region=upper(PLANE)),
    Case("strokes outside", scene(*PLANE), "YX", region=upper(PLANE), strokes=painted(PLANE)),
    Case("colours", RGB, "YXC", rgb=True),
    Case("channels", channels(2), "CYX", names=("DAPI", "GFP")),
    Case("channels last", np.moveaxis(channels(2), 0, -1), "YXC"),
    Case("no names", channels(5)),
    Case("fill", PADDED, "YX"),
    Case("stated fill", PADDED, "YX", fill=0),
    Case("no fill", PADDED, "YX", fill=None),
    Case("volume", scene(*VOLUME), "ZYX", spacing=STEP),
    Case("volume in channels", np.stack([scene(*VOLUME)] * 2, 1), "ZCYX", ("A", "B"), STEP),
    Case(
        "volume, strokes outside",
        scene(*VOLUME),
        "ZYX",
        spacing=STEP,
        region=upper(VOLUME),
        strokes=painted(VOLUME),
    ),
]


# --- the three doors ------------------------------------------------------------------------


def by_library(case: Case) -> Model | Any:
    named = [Channel(number, name) for number, name in enumerate(case.names)] or None
    return segment(
        case.pixels,
        axes=case.axes,
        channels=named,
        spacing=case.spacing,
        region=case.region,
        scribbles=case.strokes,
        fill=case.fill,
        options=CPU,
    )


def save(path: Path, pixels: NDArray[Any], case: Case) -> Path:
    """Write an image as an OME-TIFF; one whose axes have no names as a plain TIFF."""
    if case.axes is None or (case.axes == "YXC" and not case.rgb):
        tifffile.imwrite(path, pixels, photometric="minisblack", metadata=None)
        return path
    metadata: dict[str, Any] = {"axes": case.axes.replace("C", "S") if case.rgb else case.axes}
    if case.names:
        metadata["Channel"] = {"Name": list(case.names)}
    if case.spacing:
        for axis, step in zip("ZYX", case.spacing, strict=True):
            metadata |= {f"PhysicalSize{axis}": step, f"PhysicalSize{axis}Unit": "µm"}
    photometric = "rgb" if case.rgb else "minisblack"
    tifffile.imwrite(path, pixels, ome=True, metadata=metadata, photometric=photometric)
    return path


def by_shell(case: Case, folder: Path, *more: str) -> Labels:
    image, told = save(folder / "in.tif", case.pixels, case), []
    if case.axes == "YXC" and not case.rgb:
        told += ["--axes", "YXC"]
    for what, array in (("region", case.region), ("scribbles", case.strokes)):
        if array is not None:
            tifffile.imwrite(
                folder / f"{what}.tif", array.astype(np.uint8), photometric="minisblack"
            )
            told += [f"--{what}", str(folder / f"{what}.tif")]
    if case.fill != "auto":
        told += ["--fill", "none" if case.fill is None else str(case.fill)]
    out = folder / "out.ome.tif"
    options = ["--device", "cpu", "--threads", "1", "--quiet", *more]
    assert main(["segment", str(image), "-o", str(out), *told, *options]) == 0
    return np.asarray(read_image(out).pixels)


def open_layer(case: Case) -> Any:
    """Open an image as a reader would; return how it is read, with the viewer."""
    components = pytest.importorskip("napari.components")
    from napari_diffseg.widgets.image.axes_reading import read_axes
    from napari_diffseg.widgets.image.channel_sources import (
        ChannelSetting,
        list_channels,
        select_channels,
    )
    from napari_diffseg.widgets.image.layer_facts import facts_of
    from napari_diffseg.widgets.image.sources import describe_source

    viewer, told = components.ViewerModel(), {}
    axes = case.axes
    if axes is not None and not case.rgb:
        steps = dict(zip("ZYX", case.spacing or (), strict=False))
        told = {
            "axis_labels": tuple(axes.lower()),
            "scale": [steps.get(letter, 1.0) for letter in axes],
            "units": ["µm" if letter in steps else "pixel" for letter in axes],
        }
    layer = viewer.add_image(case.pixels, rgb=case.rgb, **told)
    if axes == "YXC" and not case.rgb:
        viewer.dims.order = (2, 0, 1)  # else the view shows channels as if they were space
    reading = read_axes(facts_of(layer))
    entries = list_channels([layer], reading.letters)
    names = case.names or [""] * len(entries)
    settings = [ChannelSetting(name=name) for name in names]
    chosen = select_channels([layer], reading.letters, settings)
    source = describe_source(chosen.layers, viewer.dims, reading, reading.extent)
    source = replace(source, rgb=source.rgb and chosen.rgb, channels=chosen.channels)
    return viewer, reading, replace(source, fill=case.fill)


def by_dock(case: Case) -> Labels:
    viewer, _, source = open_layer(case)

    from napari_diffseg.widgets.region.drawn import describe_region
    from napari_diffseg.widgets.region.grid import Grid
    from napari_diffseg.widgets.region.region import RegionKind, RegionWish
    from napari_diffseg.widgets.segment.steps import segmentation_steps

    if case.region is not None:
        scale = viewer.layers[0].scale
        drawn = viewer.add_labels(case.region.astype(np.uint8), scale=scale)
        grid = Grid(source.canvas, source.spatial, (0,) * len(source.canvas.shape))
        wish = RegionWish(RegionKind.INSIDE, drawn)
        source = replace(source, region=describe_region(wish, grid, viewer))
    read_strokes = None if case.strokes is None else lambda: case.strokes
    params = SegmentationParams()
    steps = segmentation_steps(source, params, CPU, read_strokes)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            labels: Labels = end.value.labels
            return labels


@pytest.mark.parametrize("case", CASES, ids=str)
def test_segment_is_the_same_at_every_door(case: Case, tmp_path: Path) -> None:
    expected = by_library(case).labels
    assert expected.max() > 1
    np.testing.assert_array_equal(by_shell(case, tmp_path), expected, "the shell")
    np.testing.assert_array_equal(by_dock(case), expected, "the dock")


# --- a model on other images ----------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Applied:
    """What a model makes of one frame."""

    labels: Labels
    areas: Mapping[int, int]
    confidence: float

    def check_is(self, other: Applied, which: str) -> None:
        np.testing.assert_array_equal(self.labels, other.labels, which)
        # A table has a row for each label of the model, and none for 0.
        assert {k: n for k, n in self.areas.items() if k and n} == {
            k: n for k, n in other.areas.items() if k and n
        }, which
        assert self.confidence == pytest.approx(other.confidence, abs=2e-6), which


APPLIED = [
    (Case("plane", scene(*PLANE), "YX"), Case("plane", scene(*PLANE, seed=1), "YX")),
    (Case("fill", PADDED, "YX"), Case("fill", PADDED[4:, 2:], "YX")),
    (
        Case("channels", channels(2), "CYX", ("DAPI", "GFP")),
        Case("channels exchanged", channels(2)[::-1], "CYX", ("GFP", "DAPI")),
    ),
    (
        Case("channels", channels(2), "CYX", ("DAPI", "GFP")),
        Case("one more channel", channels(3)[[2, 1, 0]], "CYX", ("RFP", "GFP", "DAPI")),
    ),
    (
        Case("channels", channels(2), "CYX", ("DAPI", "GFP")),
        Case("other names", channels(2), "CYX", ("Hoechst", "YFP")),
    ),
    (Case("no names", channels(5)), Case("no names", channels(5) * 1.1)),
    (
        Case("volume", scene(*VOLUME), "ZYX", spacing=STEP),
        Case("volume", scene(*VOLUME, seed=2), "ZYX", spacing=STEP),
    ),
    (Case("colours", RGB, "YXC", rgb=True), Case("colours", RGB[::-1], "YXC", rgb=True)),
]


def apply_by_library(model: Model, case: Case) -> Applied:
    told = model.for_channels(case.names) if case.names else model
    frame = told.apply_frame(case.pixels, axes=case.axes, options=CPU)
    return Applied(frame.labels, frame.areas, frame.confidence)


def apply_by_shell(model: Model, case: Case, folder: Path) -> Applied:
    model.save(folder / "m.safetensors")
    image, out, table = save(folder / "in.tif", case.pixels, case), "out.ome.tif", "t.csv"
    told = ["-o", str(folder / out), "--table", str(folder / table), "--quiet", "--device", "cpu"]
    assert main(["apply", str(folder / "m.safetensors"), str(image), *told]) == 0
    with (folder / table).open(newline="") as file:
        rows = list(csv.DictReader(file))
    content = "volume_vx" if "volume_vx" in rows[0] else "area_px"
    areas = {int(row["label"]): int(row[content]) for row in rows}
    labels = np.asarray(read_image(folder / out).pixels)
    return Applied(labels, areas, float(rows[0]["confidence"]))


def apply_by_dock(model: Model, case: Case) -> Applied:
    from napari_diffseg.params import ApplyParams

    _, _, source = open_layer(case)
    from napari_diffseg.batch.engine import Agenda, apply_frames
    from napari_diffseg.widgets.batch.fit import find_fit
    from napari_diffseg.widgets.batch.frames import FrameSet
    from napari_diffseg.widgets.batch.job import LayerJob

    names = case.names or ("",) * source.image_axes.n_channels
    info = replace(source.info, channel_names=tuple(names))
    frames = FrameSet((), replace(source, channels=None, info=info))
    fit = find_fit(model, frames)
    assert not fit.reason
    job = LayerJob(model, frames, ApplyParams(), CPU, fit.model)
    for _ in apply_frames(job, Agenda(job)):
        pass
    labels = np.asarray(job.sink.array)
    shares = zip(job.record.labels, job.record.shares[0], strict=True)
    areas = {label: round(float(share) * labels.size) for label, share in shares}
    return Applied(labels.reshape(source.spatial_shape), areas, float(job.record.confidence[0]))


@pytest.mark.parametrize("pair", APPLIED, ids=lambda pair: f"{pair[0]}, then {pair[1]}")
def test_a_model_gives_the_same_at_every_door(pair: tuple[Case, Case], tmp_path: Path) -> None:
    first, second = pair
    model = by_library(first).model
    expected = apply_by_library(model, second)
    apply_by_shell(model, second, tmp_path).check_is(expected, "the shell")
    apply_by_dock(model, second).check_is(expected, "the dock")


def test_stains_are_not_exchanged() -> None:
    model = by_library(Case("channels", channels(2), "CYX", ("DAPI", "GFP"))).model
    there = Case("channels exchanged", channels(2)[::-1], "CYX", ("GFP", "DAPI"))
    as_trained = model.apply(channels(2), axes="CYX", options=CPU)
    np.testing.assert_array_equal(apply_by_library(model, there).labels, as_trained)
    assert (model.apply(there.pixels, axes="CYX", options=CPU) != as_trained).any()


def test_train_is_the_same_in_library_and_shell(tmp_path: Path) -> None:
    strokes = painted(PLANE)
    model = train([scene(*PLANE)], scribbles=[strokes], axes="YX", options=CPU)
    image = save(tmp_path / "in.tif", scene(*PLANE), CASES[0])
    tifffile.imwrite(tmp_path / "s.tif", strokes, metadata=None)
    out = tmp_path / "m.safetensors"
    told = ["--scribbles", str(tmp_path / "s.tif"), "--device", "cpu", "--threads", "1", "--quiet"]
    assert main(["train", str(image), "-o", str(out), *told]) == 0
    assert Model.load(out).checksum == model.checksum


@pytest.mark.parametrize("region", [None, upper(VOLUME)], ids=["everywhere", "region"])
@pytest.mark.parametrize("strokes", [None, painted(VOLUME)], ids=["by itself", "strokes outside"])
def test_planes_of_a_volume_are_the_same_in_library_and_shell(
    tmp_path: Path, region: NDArray[np.bool_] | None, strokes: NDArray[np.uint8] | None
) -> None:
    pixels = np.stack([scene(*PLANE, seed=z) for z in range(4)])
    learned = [0, 2, 3] if strokes is None else [0, 1, 2, 3]
    inside = np.ones(VOLUME, bool) if region is None else region
    inside = inside if strokes is None else inside | (strokes > 0)
    model = train(
        [pixels[z] for z in learned],
        scribbles=None if strokes is None else [strokes[z] for z in learned],
        regions=[inside[z] for z in learned],
        axes="YX",
        options=CPU,
    )
    expected = np.stack(
        [model.apply(pixels[z], axes="YX", region=inside[z], options=CPU) for z in range(4)]
    )
    if strokes is not None:
        expected = np.where(strokes > 0, strokes, expected)
        assert (expected[:, -4, 4:9] == 3).all()
    case = Case("planes", pixels, "ZYX", region=region, strokes=strokes)
    found = by_shell(case, tmp_path, "--planes")
    np.testing.assert_array_equal(found, expected)
    assert not found[~inside].any()


@pytest.mark.parametrize("strokes", [None, painted(PLANE)], ids=["by itself", "strokes outside"])
def test_a_region_means_the_same_to_a_run_and_to_its_model(
    strokes: NDArray[np.uint8] | None,
) -> None:
    region, image = upper(PLANE), scene(*PLANE)
    result = segment(image, axes="YX", region=region, scribbles=strokes, options=CPU)
    inside = region if strokes is None else region | (strokes > 0)
    applied = result.model.apply(image, axes="YX", region=inside, options=CPU)
    if strokes is not None:
        applied = np.where(strokes > 0, strokes, applied)
    np.testing.assert_array_equal(applied, result.labels)


@pytest.mark.parametrize("counts", [{0: 9, 1: 50, 2: 20}, {1: 50, 2: 20}, {1: 20, 3: 50}, {4: 9}])
def test_the_dock_ticks_the_classes_that_the_others_take(counts: dict[int, int]) -> None:
    pytest.importorskip("napari")
    from napari_diffseg.instances.finding import with_classes
    from napari_diffseg.instances.params import ObjectParams
    from napari_diffseg.widgets.objects.form import class_facts

    listed = class_facts(counts, {number: np.ones(4) for number in counts}, {})
    ticked = tuple(one.number for one in listed if not one.is_background)
    classes = tuple(number for number in counts if number > 0)
    assert ticked == (with_classes(ObjectParams(), counts).class_numbers or classes)


@pytest.mark.parametrize("name", ["cells.png", Path("cells.png")])
def test_the_name_of_a_file_is_no_image(name: Any) -> None:
    model = by_library(CASES[0]).model
    for use in (segment, model.apply, lambda image: train([image])):
        with pytest.raises(InputError, match=r"'cells.png' is the name of a file.* read the file"):
            use(name)
