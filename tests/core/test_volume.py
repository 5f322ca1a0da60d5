"""Volumes: regions, classes and models in three dimensions."""

from __future__ import annotations

from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import torch

from napari_diffseg import (
    Channel,
    Command,
    InputError,
    Model,
    OutOfMemoryError,
    RunOptions,
    SegmentationParams,
    segment,
    train,
)
from napari_diffseg.core import blocks
from napari_diffseg.core.plane import Plane
from napari_diffseg.core.published.clustering_net import build_network, kernel_depths
from napari_diffseg.core.segmentation import segment_steps
from napari_diffseg.image import pieces
from napari_diffseg.image.axes import resolve_axes
from napari_diffseg.image.pieces import estimate_memory
from napari_diffseg.image.space import Space
from tests.core.conftest import ONE_THREAD, QUICK

SHAPE = (14, 48, 56)
CUBES = (1.0, 1.0, 1.0)


def balls(shape=SHAPE, z_step=1.0):
    """Two bright balls on noisy ground, and where they are."""
    z, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]].astype(float)
    inside = np.zeros(shape, bool)
    for at, radius in (((0.5, 0.3, 0.3), 9), ((0.4, 0.65, 0.7), 11)):
        middle = [share * length for share, length in zip(at, shape, strict=True)]
        away = ((z - middle[0]) * z_step) ** 2 + (y - middle[1]) ** 2 + (x - middle[2]) ** 2
        inside |= away < radius**2
    noise = np.random.default_rng(0).normal(0, 0.08, shape)
    return (0.2 + 0.6 * inside + noise).astype(np.float32), inside


@pytest.fixture(scope="module")
def found():
    image, _ = balls()
    return segment(image, axes="ZYX", spacing=CUBES, params=QUICK, options=ONE_THREAD)


def iou(labels, inside):
    """Of the foreground, where each label goes to the side that holds most of it."""
    chosen = [n for n in np.unique(labels) if inside[labels == n].mean() > 0.5]
    ours = np.isin(labels, chosen)
    return (ours & inside).sum() / (ours | inside).sum()


def test_a_volume_falls_apart_into_what_is_in_it(found):
    _, inside = balls()
    assert found.labels.shape == SHAPE
    assert iou(found.with_n_labels(4).labels, inside) > 0.85
    assert found.axes.spatial == "ZYX"
    assert found.uncertainty.shape == SHAPE


def test_the_same_seed_gives_the_same_volume(found):
    image, _ = balls()
    again = segment(image, axes="ZYX", spacing=(2, 2, 2), params=QUICK, options=ONE_THREAD)
    np.testing.assert_array_equal(again.labels, found.labels)  # only the ratio counts


def test_several_threads_give_the_labels_of_one():
    image, _ = balls((14, 48, 300))
    one, two = (
        segment(image, axes="ZYX", spacing=CUBES, params=QUICK, options=RunOptions(threads=n))
        for n in (1, 2)
    )
    assert (one.labels == two.labels).mean() > 0.999


@pytest.mark.parametrize("axes", ["ZYX", "XZY", "YXZ"])
def test_the_order_of_the_axes_is_brought_to_one(found, axes):
    image, _ = balls()
    turned = image.transpose(["ZYX".index(letter) for letter in axes])
    result = segment(turned, axes=axes, spacing=CUBES, params=QUICK, options=ONE_THREAD)
    np.testing.assert_array_equal(result.labels, found.labels)


def test_strokes_on_two_planes_label_the_volume():
    image, inside = balls()
    painted = np.zeros(SHAPE, np.uint8)
    painted[6, 10:18, 16] = 5
    painted[4, 44:47, 5:50] = 2
    result = segment(
        image, axes="ZYX", spacing=CUBES, scribbles=painted, params=QUICK, options=ONE_THREAD
    )
    assert set(np.unique(result.labels)) == {2, 5}
    assert ((result.labels == 5) == inside).mean() > 0.95
    np.testing.assert_array_equal(result.labels[painted > 0], painted[painted > 0])
    more = painted.copy()
    more[10, 2:6, 2:50] = 2
    assert ((result.correct(more).labels == 5) == inside).mean() > 0.95


def test_what_is_in_view_is_labelled_first(found, monkeypatch):
    monkeypatch.setitem(pieces.WINDOW, 3, (16, 24, 24))
    image, _ = balls()
    result = segment(image, axes="ZYX", spacing=CUBES, params=QUICK, options=ONE_THREAD)
    painted = np.zeros(SHAPE, np.uint8)
    painted[6, 10:18, 16] = 1
    painted[4, 44:47, 5:50] = 2
    view = (slice(6, 7), slice(0, 20), slice(0, 20))
    steps = list(result.correct_steps(painted, view=view))
    early = [one.labels for one in steps if one.labels is not None]
    assert len(early) == 1
    assert early[0].shape == SHAPE


@pytest.mark.parametrize("look_at", [None, 0, 9, 99])
def test_a_preview_shows_the_plane_that_is_looked_at(look_at):
    image, _ = balls()
    options = RunOptions(threads=1, previews=True, preview_interval=0)
    steps = segment_steps(
        image, axes="ZYX", spacing=CUBES, look_at=look_at, params=QUICK, options=options
    )
    labels = next(steps).labels
    seen = SHAPE[0] // 2 if look_at is None else min(look_at, SHAPE[0] - 1)
    assert labels.shape == SHAPE
    assert labels[seen].all()
    with pytest.raises(StopIteration) as end:
        finish(steps)
    assert end.value.value.labels.all()


def finish(steps):
    """Stop after this iteration, and go on to the end."""
    steps.send(Command.FINISH)
    while True:
        next(steps)


def test_a_model_of_volumes_is_saved_and_applied(found, tmp_path):
    image, _ = balls()
    found.model.save(tmp_path / "balls.safetensors")
    model = Model.load(tmp_path / "balls.safetensors")
    assert (model.n_spatial, model.spatial, model.z_step) == (3, "ZYX", 1.0)
    labels = model.apply(image, axes="ZYX", options=ONE_THREAD)
    assert (labels == found.labels).mean() > 0.95
    assert "Volumes" in model.card()
    with pytest.raises(InputError, match="trained on volumes"):
        model.apply(image[0], axes="YX")


def test_a_model_of_planes_refuses_a_volume():
    image, _ = balls()
    model = train([image[6]], params=QUICK, options=ONE_THREAD)
    with pytest.raises(InputError, match="trained on planes"):
        model.apply(image, axes="ZYX")


def test_the_windows_of_a_volume_are_those_of_any_storage(monkeypatch):
    monkeypatch.setitem(pieces.WINDOW, 3, (8, 32, 32))
    image, _ = balls()
    painted = np.zeros(SHAPE, np.uint8)
    painted[6, 10:18, 16] = 1
    painted[4, 44:47, 5:50] = 2
    model = train(
        [image], scribbles=[painted], axes="ZYX", spacing=CUBES, params=QUICK, options=ONE_THREAD
    )
    held = model.apply(image, axes="ZYX", options=ONE_THREAD)
    lazy = da.from_array(image, chunks=(5, 17, 30))
    np.testing.assert_array_equal(model.apply(lazy, axes="ZYX", options=ONE_THREAD), held)
    n_windows = sum(1 for _ in model.apply_windows(image, axes="ZYX", options=ONE_THREAD))
    assert n_windows == 2 * 2 * 2


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("z_step", [1.0, 4.0])
def test_the_model_of_a_run_gives_the_labels_of_the_run(monkeypatch, z_step, threads):
    """Whatever the windows: small pieces where they meet join others in the same way."""
    monkeypatch.setitem(pieces.WINDOW, 3, (8, 32, 32))
    monkeypatch.setitem(pieces._SPREAD, 3, (2, 8, 8))
    image, _ = balls((20, 70, 60))
    image += np.random.default_rng(1).normal(0, 0.25, image.shape).astype(np.float32)
    region = np.zeros(image.shape, bool)
    region[2:15, 10:60, 5:50] = True
    how = {"axes": "ZYX", "options": RunOptions(threads=threads)}
    for where, n_labels in ((None, 5), (region, 0)):
        params = SegmentationParams(n_labels=n_labels)
        spacing = (z_step, 1, 1)
        found = segment(image, spacing=spacing, region=where, params=params, **how)
        labels = found.model.apply(image, region=where, **how)
        np.testing.assert_array_equal(labels, found.labels)


def test_a_run_on_threads_is_stopped_between_windows(monkeypatch):
    monkeypatch.setitem(pieces.WINDOW, 3, (8, 32, 32))
    image, _ = balls((20, 70, 60))
    steps = segment_steps(image, axes="ZYX", spacing=CUBES, options=RunOptions(threads=2))
    for facts in steps:
        if facts.labelled > 0:
            break
    steps.close()
    assert segment(image, axes="ZYX", spacing=CUBES, options=ONE_THREAD).n_labels > 1


def test_an_error_on_a_thread_is_that_of_the_run(monkeypatch):
    def fail(*_):
        raise RuntimeError("can't allocate memory: 1 byte")

    monkeypatch.setitem(pieces.WINDOW, 3, (8, 32, 32))
    monkeypatch.setattr(Plane, "regions", fail)
    image, _ = balls()
    with pytest.raises(OutOfMemoryError, match="not enough memory on the machine"):
        segment(image, axes="ZYX", spacing=CUBES, params=QUICK, options=RunOptions(threads=2))


def test_supervoxels_refine_the_published_design():
    image, _ = balls((8, 32, 40))
    params = SegmentationParams.paper(
        n_iterations=4, n_features=8, n_clusters=8, n_superpixels=40, compactness=1.0
    )
    result = segment(image, axes="ZYX", spacing=CUBES, params=params, options=ONE_THREAD)
    assert result.labels.shape == image.shape
    assert len(result.history) >= 1


def test_the_published_design_learns_scribbles_on_a_volume():
    image, inside = balls((8, 32, 40))
    painted = np.zeros(image.shape, np.uint8)
    painted[4][inside[4]] = 3
    painted[4, :3] = 1
    params = SegmentationParams.paper(n_iterations=6, n_features=8, n_clusters=8)
    result = segment(
        image, axes="ZYX", spacing=CUBES, scribbles=painted, params=params, options=ONE_THREAD
    )
    assert {1, 3} <= set(np.unique(result.labels))


@pytest.mark.parametrize(
    ("z_step", "depths"), [(0.5, (3, 3)), (1, (3, 3)), (3, (1, 3)), (12.5, (1, 1))]
)
def test_the_farther_the_planes_the_fewer_a_kernel_spans(z_step, depths):
    space = Space(3, z_step)
    assert kernel_depths(2, space) == depths
    network = build_network(4, replace(QUICK, n_blocks=2), torch.Generator(), space)
    assert network.radius == (sum(depth // 2 for depth in depths), 2, 2)


def test_planes_too_far_apart_have_leaves_of_their_own():
    image, _ = balls()
    result = segment(image, axes="ZYX", spacing=(20, 1, 1), params=QUICK, options=ONE_THREAD)
    (window,) = result.ground.windows
    leaves = result.ground.regions(window).leaves
    assert not np.intersect1d(leaves[3], leaves[4]).size


@pytest.mark.parametrize("n_planes", [1, 2, 3])
def test_few_planes(n_planes):
    image, _ = balls()
    few = image[4 : 4 + n_planes]
    result = segment(few, axes="ZYX", spacing=(3, 1, 1), params=QUICK, options=ONE_THREAD)
    assert result.labels.shape == (few.shape if n_planes > 1 else few.shape[1:])


def test_without_a_spacing_a_note_says_so(found):
    image, _ = balls((4, 20, 20))
    result = segment(image, axes="ZYX", params=QUICK, options=ONE_THREAD)
    assert any("taken for cubes" in note for note in result.notes)
    assert not any("taken for cubes" in note for note in found.notes)


@pytest.mark.parametrize(
    "spacing", [(0, 1, 1), (1, 1), (-1, 1, 1), (1e9, 1, 1), (float("nan"), 1, 1)]
)
def test_an_impossible_spacing_is_one_sentence(spacing):
    image, _ = balls((4, 20, 20))
    with pytest.raises(InputError, match="spacing"):
        segment(image, axes="ZYX", spacing=spacing, params=QUICK)


# --- channels ---------------------------------------------------------------------------


def two_channels():
    image, inside = balls()
    noise = np.random.default_rng(1).random(SHAPE).astype(np.float32)
    return np.stack([noise, image * 1000]), inside


def test_a_channel_is_left_out_and_the_model_remembers(tmp_path):
    image, inside = two_channels()
    only = (Channel(1, "DAPI"),)
    result = segment(
        image, axes="CZYX", spacing=CUBES, channels=only, params=QUICK, options=ONE_THREAD
    )
    assert iou(result.with_n_labels(4).labels, inside) > 0.85
    result.model.save(tmp_path / "m.safetensors")
    model = Model.load(tmp_path / "m.safetensors")
    assert model.channels == only
    assert model.n_source_channels == 2
    assert "DAPI" in model.card()
    labels = model.apply(image, axes="CZYX", options=ONE_THREAD)
    assert (labels == result.labels).mean() > 0.95
    with pytest.raises(InputError, match="it looks at DAPI"):
        model.apply(image[1], axes="ZYX")


def test_a_weight_draws_the_labels_to_a_channel():
    image, inside = two_channels()
    image[0] *= 1000
    scores = []
    for weight in (0.05, 20.0):
        channels = (Channel(0), Channel(1, weight=weight))
        result = segment(
            image[:, 6], axes="CYX", channels=channels, params=QUICK, options=ONE_THREAD
        )
        scores.append(iou(result.with_n_labels(3).labels, inside[6]))
    assert scores[1] > max(scores[0], 0.8)


def test_stated_intensities_are_those_that_become_0_and_1():
    image, _ = two_channels()
    channels = (Channel(1, low=200.0, high=700.0),)
    result = segment(image[:, 6], axes="CYX", channels=channels, params=QUICK, options=ONE_THREAD)
    assert (result.model.ranges.low, result.model.ranges.high) == ((200.0,), (700.0,))


@pytest.mark.parametrize(
    ("channels", "words"),
    [
        ((), "No channel is switched on"),
        ((Channel(5, "GFP"),), "channel 6 .GFP."),
        ((Channel(0), Channel(0)), "twice"),
        ((Channel(1, high=-1e6),), "state both ends"),
    ],
)
def test_channels_that_cannot_be_are_one_sentence(channels, words):
    image, _ = two_channels()
    with pytest.raises(InputError, match=words):
        segment(image, axes="CZYX", spacing=CUBES, channels=channels, params=QUICK)


def test_colours_stay_together():
    picture = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    with pytest.raises(InputError, match="one picture"):
        segment(picture, channels=(Channel(0),), params=QUICK)


# --- region -----------------------------------------------------------------------------


@pytest.mark.parametrize("n_axes", [2, 3])
def test_outside_the_region_there_is_no_label(n_axes):
    image, _ = balls()
    image = image if n_axes == 3 else image[6]
    region = np.zeros(image.shape, bool)
    region[..., 5:40, 8:50] = True
    result = segment(
        image,
        axes="ZYX"[-n_axes:],
        spacing=CUBES,
        region=region,
        params=QUICK,
        options=ONE_THREAD,
    )
    np.testing.assert_array_equal(result.labels > 0, region)


@pytest.mark.parametrize(
    ("region", "words"),
    [
        (np.zeros((48, 56), bool), "No pixel"),
        (np.ones((3, 3), bool), "region has the shape"),
        ((slice(0, 9), slice(0, 9)), r"of ranges make one: mask = np.zeros\(\(48, 56\)\)"),
    ],
)
def test_a_region_that_cannot_be_is_one_sentence(region, words):
    image, _ = balls()
    with pytest.raises(InputError, match=words):
        segment(image[6], axes="YX", region=region, params=QUICK)


# --- lazy and large ---------------------------------------------------------------------


class Watched:
    """A lazy image that counts what was read of it."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.ndim = array, array.shape, array.dtype, array.ndim
        self.n_read = 0

    def __getitem__(self, index):
        part = self.array[index]
        self.n_read += part.size
        return part


def test_training_reads_blocks_of_a_large_lazy_image(monkeypatch):
    monkeypatch.setattr(blocks, "LARGE", 1000)
    monkeypatch.setattr(blocks, "block_shape", lambda space: (10, 24, 24))
    image, _ = balls((14, 200, 224))
    lazy = Watched(image)
    model = train([lazy], axes="ZYX", spacing=CUBES, params=QUICK, options=ONE_THREAD)
    assert lazy.n_read <= 16 * 10 * 24 * 24
    assert model.spatial == "ZYX"


def test_blocks_lie_around_the_strokes(monkeypatch):
    monkeypatch.setattr(blocks, "LARGE", 1000)
    monkeypatch.setattr(blocks, "block_shape", lambda space: (8, 24, 24))
    image, inside = balls()
    painted = np.zeros(SHAPE, np.uint8)
    painted[6, 10:18, 16] = 3
    painted[4, 44:47, 5:50] = 2
    lazy = Watched(image)
    model = train(
        [lazy], scribbles=[painted], axes="ZYX", spacing=CUBES, params=QUICK, options=ONE_THREAD
    )
    assert model.labels == (2, 3)
    labels = model.apply(image, axes="ZYX", options=ONE_THREAD)
    assert ((labels == 3) == inside).mean() > 0.9
    with pytest.raises(InputError, match="Nothing is painted"):
        train([lazy], scribbles=[np.zeros(SHAPE, np.uint8)], axes="ZYX", params=QUICK)


def test_the_estimate_grows_with_the_image_and_knows_no_less_than_its_labels():
    params = SegmentationParams()
    small, large = (
        estimate_memory(resolve_axes(shape, "ZYX"), np.dtype(np.uint16), params)
        for shape in ((16, 64, 64), (128, 512, 512))
    )
    assert large > small > 0
    assert large > 128 * 512 * 512 * 7


def test_of_a_lazy_image_the_region_and_what_is_around_it_is_read():
    image, _ = balls((4, 100, 2400))
    region = np.zeros(image.shape, bool)
    region[:, 30:90, 60:140] = True
    lazy = Watched(image)
    options = {"axes": "ZYX", "spacing": CUBES, "params": QUICK, "options": ONE_THREAD}
    some = segment(lazy, region=region, **options)
    assert lazy.n_read < image.size / 2
    held = segment(image, region=region, **options)
    # Which windows training sees depends a little on what was read.
    assert (some.labels == held.labels).mean() > 0.9
    np.testing.assert_array_equal(some.labels > 0, region)
    painted = np.zeros(image.shape, np.uint8)
    painted[2, 50:70, 85:100] = 2
    painted[2, 80:88, 62:138] = 1
    followed = some.correct(painted, options=ONE_THREAD)
    np.testing.assert_array_equal(followed.labels > 0, region)
    assert followed.uncertainty[~region].max() == 0


def test_strokes_outside_the_region_are_learned_from():
    image, inside = balls()
    region = np.zeros(SHAPE, bool)
    region[:, 6:26, 6:30] = True
    painted = np.zeros(SHAPE, np.uint8)
    painted[6, 10:18, 16] = 2
    painted[4, 44:47, 5:50] = 1
    result = segment(
        image,
        axes="ZYX",
        spacing=CUBES,
        scribbles=painted,
        region=region,
        params=QUICK,
        options=ONE_THREAD,
    )
    assert set(np.unique(result.labels[region])) == {1, 2}
    assert ((result.labels == 2) == inside)[region].mean() > 0.9
    np.testing.assert_array_equal(result.labels > 0, region | (painted > 0))
