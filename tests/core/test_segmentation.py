"""Whole runs: what comes in, what comes out, and how a run is stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import dask.array as da
import numpy as np
import pytest
import torch
from skimage.data import astronaut

from napari_diffseg import (
    Command,
    DeviceError,
    InputError,
    OutOfMemoryError,
    ParameterError,
    RunOptions,
    SegmentationParams,
    StopReason,
    TrainingError,
    segment,
    segment_steps,
)
from napari_diffseg.core import region_run

QUICK = SegmentationParams(n_clusters=8, n_iterations=3, min_region_size=4)


def two_regions(height=40, width=48):
    """A bright disc on a dark, noisy ground; (y, x), float64."""
    y, x = np.mgrid[:height, :width]
    disc = (y - height / 2) ** 2 + (x - width / 2) ** 2 < (min(height, width) / 4) ** 2
    noise = np.random.default_rng(0).normal(0, 0.02, (height, width))
    return disc, np.clip(np.where(disc, 0.8, 0.2) + noise, 0, 1)


def adjusted_rand(first, second):
    """Agreement of two labellings of the same pixels: 1 for the same, about 0 for chance."""
    table = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(table, (first.ravel(), second.ravel()), 1)

    def pairs(counts):
        return (counts * (counts - 1) / 2).sum()

    rows, columns = pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    chance = rows * columns / pairs(table.sum())
    return (pairs(table) - chance) / ((rows + columns) / 2 - chance)


def share_nested(finer, coarser):
    """Share of the pixels that have the commonest coarse label of their fine label."""
    table = np.zeros((finer.max() + 1, coarser.max() + 1))
    np.add.at(table, (finer.ravel(), coarser.ravel()), 1)
    return table.max(axis=1).sum() / finer.size


def drain(steps):
    facts = []
    while True:
        try:
            facts.append(next(steps))
        except StopIteration as end:
            return facts, end.value


DISC, FLOATS = two_regions()
BYTES = (FLOATS * 255).astype(np.uint8)
RGB = np.stack([BYTES, 255 - BYTES, BYTES // 2], axis=-1)
NOISE = np.random.default_rng(3).random((9, 9, 9))
READ_ONLY = BYTES.copy()
READ_ONLY.flags.writeable = False

IMAGES = {
    "uint8": (BYTES, None),
    "uint16": (BYTES.astype(np.uint16) * 257, None),
    "uint32": (BYTES.astype(np.uint32) * 70_000, None),
    "int16": (BYTES.astype(np.int16) - 100, None),
    "int64": (BYTES.astype(np.int64) * 10**9, None),
    "bool": (DISC, None),
    "float32": (FLOATS.astype(np.float32), None),
    "float64": (FLOATS * 1e4 - 5e3, None),
    "big endian": (BYTES.astype(">u2"), None),
    "rgb": (RGB, None),
    "stated rgb": (RGB, "YXC"),
    "rgba": (np.dstack([RGB, np.full(DISC.shape, 255, np.uint8)]), None),
    "channels first": (np.moveaxis(RGB, -1, 0), None),
    "channels in the middle": (np.moveaxis(RGB, -1, 1), "YCX"),
    "five channels": (np.stack([BYTES] * 5), None),
    "ome axes": (BYTES[None, None, None], "TCZYX"),
    "not contiguous": (np.repeat(BYTES, 2, axis=1)[:, ::2], None),
    "reversed": (BYTES[::-1, ::-1], None),
    "read-only": (READ_ONLY, None),
    "dask": (da.from_array(BYTES, chunks=13), None),
    "list": (BYTES.tolist(), None),
    "torch": (torch.from_numpy(BYTES.copy()), None),
    "matrix": (BYTES.view(np.matrix), None),
}


@pytest.mark.parametrize("name", IMAGES)
def test_every_kind_of_image_gives_labels_of_its_plane(name):
    image, axes = IMAGES[name]
    result = segment(image, axes=axes, params=QUICK)
    assert result.labels.shape == DISC.shape
    assert result.labels.dtype == np.uint8
    areas = np.bincount(result.labels.ravel())
    assert areas[0] == 0
    assert len(areas) == result.n_labels + 1
    assert (np.diff(areas[1:]) <= 0).all(), "labels count from 1 by falling area"
    assert (np.bincount(result.labels[DISC]).argmax()) != np.bincount(result.labels[~DISC]).argmax()
    assert any("guessed" in note for note in result.notes) == (axes is None)


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (2, 2), (1, 2), (3, 5), (200, 3)])
def test_thin_and_tiny_images(shape):
    image = np.arange(np.prod(shape)).reshape(shape)
    for params in (QUICK, SegmentationParams.paper(n_features=8, n_clusters=8, n_iterations=3)):
        assert segment(image, axes="YX", params=params).labels.shape == shape


@pytest.mark.parametrize("patch_size", [0, 16])
def test_pixels_that_are_not_finite_are_left_out(patch_size):
    image = FLOATS.copy()
    image[:5] = np.nan
    image[20, 20] = -np.inf
    params = SegmentationParams.from_dict({**QUICK.to_dict(), "patch_size": patch_size})
    result = segment(image, params=params)
    np.testing.assert_array_equal(result.labels == 0, ~np.isfinite(image))
    assert any("NaN or infinite" in note for note in result.notes)


@pytest.mark.parametrize("patch_size", [0, 16])
def test_masked_pixels_do_not_teach(patch_size):
    """Whatever hides behind NaN, the rest of the image gets the same labels."""
    params = SegmentationParams.from_dict({**QUICK.to_dict(), "patch_size": patch_size})
    image = FLOATS.copy()
    image[:, :6] = np.nan
    other = image.copy()
    other[:, :6] = np.inf
    np.testing.assert_array_equal(
        segment(image, params=params).labels, segment(other, params=params).labels
    )


def test_the_alpha_channel_is_dropped_and_that_is_said():
    rgba = np.dstack([RGB, np.random.default_rng(1).integers(0, 255, DISC.shape, np.uint8)])
    result = segment(rgba, params=QUICK)
    assert "The alpha channel was dropped." in result.notes
    np.testing.assert_array_equal(result.labels, segment(RGB, params=QUICK).labels)


@pytest.mark.parametrize(
    ("image", "axes", "words"),
    [
        (np.zeros((0, 5)), None, "empty|no pixels"),
        (np.full((9, 9), np.nan), None, "finite|NaN"),
        (np.full((9, 9), 7, np.uint8), None, "7"),
        (np.ones((9, 9, 3)), None, "1"),
        (NOISE, "TYX", "choose a frame"),
        (NOISE[0], "CYX", "CYX"),
        (NOISE[..., :3], "YXQ", "Q"),
        (NOISE[0] + 1j, None, "complex"),
        (np.array([["a", "b"], ["c", "d"]]), None, "str|<U1|text"),
    ],
)
def test_an_unusable_image_is_one_sentence(image, axes, words):
    with pytest.raises(InputError, match=words) as error:
        segment(image, axes=axes, params=QUICK)
    assert "\n" not in str(error.value)


def test_a_device_that_is_not_there():
    with pytest.raises(DeviceError, match="'cuda:7' is not on this machine, which has .*cpu"):
        segment(BYTES, params=QUICK, options=RunOptions(device="cuda:7"))


def test_the_same_seed_gives_the_same_result_and_another_seed_another_start():
    first, second = segment(BYTES, params=PAPER), segment(BYTES, params=PAPER)
    np.testing.assert_array_equal(first.labels, second.labels)
    assert [f.loss for f in first.history] == [f.loss for f in second.history]
    other = segment(BYTES, params=replace(PAPER, seed=1))
    assert [f.loss for f in other.history] != [f.loss for f in first.history]


def test_there_is_no_chance_in_the_default():
    first = segment(PHOTO).labels
    np.testing.assert_array_equal(segment(PHOTO, params=SegmentationParams(seed=1)).labels, first)


def test_a_run_leaves_torch_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    segment(BYTES, params=QUICK, options=RunOptions(threads=1))
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.rand(3), expected)


def test_the_image_is_left_as_it_was():
    image = FLOATS.copy()
    image[3, 3] = np.nan
    before = image.copy()
    segment(image, params=QUICK)
    np.testing.assert_array_equal(image, before)


def test_previews_change_nothing_and_keep_their_numbers():
    options = RunOptions(previews=True, preview_interval=0.0)
    quiet = segment(BYTES, params=QUICK)
    facts, result = drain(segment_steps(BYTES, params=QUICK, options=options))
    np.testing.assert_array_equal(result.labels, quiet.labels)
    previews = [f.labels for f in facts if f.labels is not None]
    assert facts[0].labels is not None, "the first preview comes after the first iteration"
    assert all(p.shape == BYTES.shape and p.min() >= 1 for p in previews)
    assert all(f.labels is None for f in result.history)


@pytest.mark.parametrize("shape", [(30, 1601), (30, 3000), (3001, 2)])
def test_a_preview_of_a_large_image_has_its_shape(shape):
    _, wide = two_regions(*shape)
    facts, result = drain(segment_steps(wide, params=QUICK, options=RunOptions(previews=True)))
    assert facts[0].labels.shape == wide.shape == result.labels.shape
    assert facts[0].labels.min() >= 1


def test_finish_keeps_what_there_is_after_the_iteration_under_way():
    steps = segment_steps(BYTES, params=SegmentationParams(n_iterations=1000))
    next(steps)
    next(steps)
    with pytest.raises(StopIteration) as end:
        steps.send(Command.FINISH)
    result = end.value.value
    assert result.stop_reason is StopReason.FINISHED
    assert len(result.history) == 2
    assert result.labels.shape == BYTES.shape


def test_the_model_gives_its_own_image_the_same_labels():
    result = segment(RGB, params=QUICK)
    np.testing.assert_array_equal(result.model.apply(RGB), result.labels)
    assert result.model.n_channels == 3
    with pytest.raises(InputError, match="are intensities, but the model was trained on colours"):
        result.model.apply(BYTES)


def test_provenance_can_be_written_as_json_and_run_again():
    result = segment(RGB, params=QUICK)
    record = json.loads(json.dumps(result.provenance()))
    again = segment(RGB, params=SegmentationParams.from_dict(record["params"]))
    np.testing.assert_array_equal(again.labels, result.labels)
    assert record["preset"] == "custom"
    assert record["stop_reason"] == result.stop_reason.value
    assert record["axes"] == "YXC"


def test_superpixels_run_from_the_front_door():
    params = SegmentationParams.from_dict(
        {**QUICK.to_dict(), "n_superpixels": 60, "continuity_weight": 0.0}
    )
    assert segment(RGB, params=params).n_labels >= 1


@pytest.mark.parametrize(
    ("raised", "expected", "words"),
    [
        (RuntimeError("shape mismatch\nlong trace"), TrainingError, "shape mismatch"),
        (MemoryError(), OutOfMemoryError, "not enough memory on the machine"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
            OutOfMemoryError,
            "not enough memory on the machine",
        ),
        (torch.OutOfMemoryError("CUDA out of memory"), OutOfMemoryError, "memory on the GPU"),
    ],
)
def test_an_error_inside_torch_becomes_one_of_ours(monkeypatch, raised, expected, words):
    def broken(*_, **__):
        raise raised

    monkeypatch.setattr(region_run, "start_head", broken)
    with pytest.raises(expected, match=words) as error:
        segment(BYTES, params=QUICK)
    assert not isinstance(error.value, RuntimeError)
    assert "\n" not in str(error.value)


PAPER = SegmentationParams.paper(n_features=8, n_clusters=12, n_iterations=4, min_labels=1)
FINE = SegmentationParams(n_clusters=12)
PHOTO = astronaut()[60:140, 180:280]


@pytest.mark.parametrize("params", [FINE, PAPER], ids=["default", "paper"])
def test_fewer_labels_without_training_again(params):
    result = segment(PHOTO, params=params)
    before = result.labels.copy()
    assert result.n_labels >= 4
    for n_labels in (0, 100, 5, 3, 1):
        fewer = result.with_n_labels(n_labels)
        assert 1 <= fewer.n_labels <= (n_labels or params.n_clusters)
        areas = np.bincount(fewer.labels.ravel())
        assert areas[0] == 0
        assert (np.diff(areas[1:]) <= 0).all()
        assert fewer.labels.dtype == np.uint8
        assert fewer.params.n_labels == fewer.model.params.n_labels == n_labels
        np.testing.assert_array_equal(fewer.model.apply(PHOTO), fewer.labels)
        np.testing.assert_array_equal(fewer.with_n_labels(params.n_labels).labels, before)
    np.testing.assert_array_equal(result.labels, before)
    assert result.params is params
    assert result.model.params is params
    np.testing.assert_array_equal(result.model.apply(PHOTO), before)
    assert adjusted_rand(result.with_n_labels(3).labels, result.with_n_labels(0).labels) > 0


@pytest.mark.parametrize("params", [FINE, PAPER], ids=["default", "paper"])
@pytest.mark.parametrize("n_labels", [-1, 2.5, True, 5000])
def test_an_impossible_number_of_labels_is_refused(params, n_labels):
    result = segment(BYTES, params=params)
    with pytest.raises(ParameterError, match="n_labels") as error:
        result.with_n_labels(n_labels)
    assert error.value.field == "n_labels"


@pytest.mark.parametrize(
    "params",
    [pytest.param(FINE, id="default"), pytest.param(PAPER, id="paper")],
)
def test_what_has_one_label_has_one_at_each_lower_number(params):
    result = segment(PHOTO, params=params)
    labels = [result.with_n_labels(n).labels for n in range(12, 0, -1)]
    assert [share_nested(*pair) for pair in pairwise(labels)] == [1.0] * 11


@pytest.mark.slow
def test_a_large_image_is_labelled_block_by_block():
    _, large = two_regions(300, 1100)
    params = QUICK
    facts, result = drain(segment_steps(large, params=params))
    training, labelling = facts[: len(result.history)], facts[len(result.history) :]
    assert [f.labelled for f in training] == [0.0] * len(training)
    shares = [f.labelled for f in labelling]
    assert shares == sorted(set(shares))
    assert 0 < shares[0] < shares[-1] < 1
    assert {f.index for f in labelling} == {result.history[-1].index}
    assert all(f.labels is None for f in labelling)
    np.testing.assert_array_equal(segment(large, params=params).labels, result.labels)
    np.testing.assert_array_equal(result.model.apply(large), result.labels)
    disc, _ = two_regions(300, 1100)
    assert np.bincount(result.labels[disc]).argmax() != np.bincount(result.labels[~disc]).argmax()


def test_a_run_can_be_left_while_a_large_image_is_labelled():
    _, large = two_regions(200, 1100)
    threads = torch.get_num_threads()
    steps = segment_steps(large, params=QUICK)
    for facts in steps:
        if facts.labelled > 0:
            break
    assert 0 < facts.labelled < 1
    steps.close()
    assert torch.get_num_threads() == threads


@pytest.mark.slow
def test_small_objects_in_a_large_dark_image_are_found():
    image = np.zeros((1100, 1100), np.uint16)
    image[150:170, 150:170] = 900
    image[1000:1018, 1010:1028] = 4000
    result = segment(image, params=QUICK)
    assert result.n_labels >= 2
    assert len(result.history) > 1
    assert result.labels[160, 160] != result.labels[600, 600]
    assert result.labels[1009, 1019] != result.labels[600, 600]


@pytest.mark.slow
def test_a_small_valid_block_in_a_large_empty_image():
    image = np.full((1100, 1100), np.nan, np.float32)
    _, block = two_regions(100, 100)
    image[500:600, 500:600] = block
    result = segment(image, params=QUICK)
    np.testing.assert_array_equal(result.labels > 0, np.isfinite(image))
    assert result.labels[550, 550] != result.labels[505, 505]


def padded(image, margin):
    """The image within a margin of NaN, and where it lies there."""
    height, width = image.shape[:2]
    inner = slice(margin, margin + height), slice(margin, margin + width)
    wide = np.full((height + 2 * margin, width + 2 * margin, *image.shape[2:]), np.nan, np.float32)
    wide[inner] = image
    return wide, inner


def test_a_margin_of_nan_leaves_the_labels_about_as_they_are():
    image = astronaut()[:160, 100:300].astype(np.float32)
    wide, inner = padded(image, 150)
    alone, within = segment(image).labels, segment(wide).labels
    assert (within[inner] > 0).all()
    assert np.count_nonzero(within) == within[inner].size
    assert adjusted_rand(alone, within[inner]) >= 0.6


def test_how_wide_a_margin_of_nan_is_does_not_matter():
    image = astronaut()[60:130, 180:260].astype(np.float32)
    labels = []
    for margin in (64, 128):  # multiples of what the features are pooled by
        wide, inner = padded(image, margin)
        labels.append(segment(wide, params=FINE).labels[inner])
    assert adjusted_rand(*labels) > 0.9


@pytest.mark.parametrize(
    ("image", "axes", "rgb"),
    [
        (RGB, None, None),
        (RGB, "YXC", None),
        (RGB, None, False),
        (RGB, "YXC", False),
        (np.moveaxis(RGB, -1, 0), None, None),
        (np.moveaxis(RGB, -1, 0), "CYX", True),
        (np.moveaxis(RGB, -1, 0), "SYX", None),
        (IMAGES["rgba"][0], None, None),
        (RGB[None], None, None),
        (BYTES, None, None),
    ],
)
def test_provenance_is_enough_to_do_the_run_again(image, axes, rgb):
    options = RunOptions(threads=1)
    result = segment(image, axes=axes, rgb=rgb, params=replace(QUICK, seed=4), options=options)
    record = json.loads(json.dumps(result.provenance()))
    again = segment(
        image,
        axes=record["axes"],
        rgb=record["rgb"],
        params=SegmentationParams.from_dict(record["params"]),
        options=RunOptions(device=record["device"], threads=record["threads"]),
    )
    np.testing.assert_array_equal(again.labels, result.labels)
    assert [f.loss for f in again.history] == [f.loss for f in result.history]
    assert {**again.provenance(), "seconds": 0} == {**record, "seconds": 0}


def test_stated_axes_and_guessed_ones_give_the_same():
    guessed, stated = segment(RGB, params=QUICK), segment(RGB, axes="YXC", params=QUICK)
    np.testing.assert_array_equal(stated.labels, guessed.labels)
    assert stated.axes.rgb
    channels = segment(RGB, axes="YXC", rgb=False, params=QUICK)
    assert not channels.axes.rgb
    assert not channels.model.stage.rgb
    assert stated.model.stage.rgb


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"channels": ["DAPI"]}, r"'DAPI' was given as a channel"),
        ({"axes": "ZYX", "spacing": 0.5}, r"spacing of the voxels is \(0\.5\)"),
        ({"axes": "ZYX", "spacing": "0.5"}, r"spacing of the voxels is \(0\.5\)"),
        ({"channels": "DAPI"}, r"'DAPI' was given as a channel"),
        ({"channels": 0}, r"0 was given as a channel"),
    ],
)
def test_what_a_person_may_try_is_told_in_a_sentence(said, sentence):
    image = np.random.default_rng(0).random((8, 20, 20) if "axes" in said else (20, 20))
    with pytest.raises(InputError, match=sentence):
        segment(image, **said)


def test_a_model_of_volumes_knows_the_axes_of_one():
    volume = np.random.default_rng(0).random((12, 24, 24))
    result = segment(volume, axes="ZYX", options=RunOptions(threads=1))
    labels = result.model.apply(volume, options=RunOptions(threads=1))
    np.testing.assert_array_equal(labels, result.labels)
    with pytest.raises(InputError, match="RGB|channels"):
        result.model.apply(np.zeros((40, 50, 3)))


def test_a_result_is_printed_without_its_arrays():
    result = segment(np.random.default_rng(0).random((24, 24)), options=RunOptions(threads=1))
    assert "array(" not in repr(result) + repr(result.model)
    assert len(repr(result)) < 1500
