"""Whole runs with scribbles: `segment(image, scribbles=…)`, both designs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from napari_diffseg import (
    Command,
    InputError,
    ParameterError,
    RunOptions,
    SegmentationParams,
    StopReason,
    segment,
    segment_steps,
)
from napari_diffseg.core import region_run
from napari_diffseg.core.published import network_run
from napari_diffseg.core.published.losses import IGNORED
from napari_diffseg.core.published.sample import Sample

PAPER = SegmentationParams.paper(n_iterations=5, n_features=12, n_clusters=12)


def changed(params, **changes):
    return SegmentationParams.from_dict({**params.to_dict(), **changes})


@pytest.fixture(params=["default", "paper"])
def params(request, quick):
    return quick if request.param == "default" else PAPER


def run(scene, params, options, scribbles=None, image=None, **more):
    return segment(
        scene.image if image is None else image,
        scribbles=scene.strokes if scribbles is None else scribbles,
        params=params,
        options=options,
        **more,
    )


# --- both designs ---------------------------------------------------------------------


def test_labels_are_the_painted_numbers_and_painted_pixels_keep_theirs(scene, params, options):
    result = run(scene, params, options)
    assert {1, 4, 7} <= set(np.unique(result.labels))
    painted = scene.strokes > 0
    np.testing.assert_array_equal(result.labels[painted], scene.strokes[painted])
    assert result.labels.min() >= 1
    assert result.scribbles.classes == (1, 4, 7)
    assert result.n_labels == len(np.unique(result.labels))


def test_what_no_scribble_claims_has_the_next_numbers(scene, params, options):
    stroke = np.where(scene.strokes == 7, 7, 0)
    result = run(scene, changed(params, only_painted="no"), options, stroke)
    found = np.unique(result.labels)
    others = found[found > 7]
    assert len(others) > 0
    np.testing.assert_array_equal(others, np.arange(8, 8 + len(others)))


def test_every_pixel_has_a_painted_class_where_that_is_wanted(scene, params, options):
    result = run(scene, changed(params, only_painted="yes"), options)
    assert set(np.unique(result.labels)) == {1, 4, 7}
    assert result.only_painted


def test_the_same_run_twice_is_the_same(scene, params, options):
    first, second = run(scene, params, options), run(scene, params, options)
    np.testing.assert_array_equal(first.labels, second.labels)
    assert [step.loss for step in first.history] == [step.loss for step in second.history]


def test_one_class_alone_for_every_pixel_is_refused_before_training_a_network(
    scene, options, monkeypatch
):
    monkeypatch.setattr(network_run, "train", None)
    stroke = np.where(scene.strokes == 4, 4, 0)
    with pytest.raises(InputError, match="Only class 4"):
        run(scene, changed(PAPER, only_painted="yes"), options, stroke)


def test_scribbles_that_cannot_be_used_are_refused_before_training(
    scene, params, options, monkeypatch
):
    monkeypatch.setattr(region_run, "start_head", None)
    monkeypatch.setattr(network_run, "train", None)
    for bad in (scene.strokes.T, scene.strokes * 0, scene.strokes * 0.3):
        with pytest.raises(InputError):
            run(scene, params, options, bad)


def test_one_class_alone(scene, params, options):
    stroke = np.where(scene.strokes == 4, 4, 0)
    result = run(scene, params, options, stroke)
    assert result.labels.min() == 4
    assert (result.labels[stroke > 0] == 4).all()
    assert result.n_labels > 1


def test_everything_painted(scene, params, options):
    result = run(scene, params, options, scene.wanted)
    np.testing.assert_array_equal(result.labels, scene.wanted)
    assert all(np.isfinite(step.loss) for step in result.history)
    network, classes = result.model.network, result.model.classes
    learned = network.state_dict().values() if network is not None else [classes[0].weights]
    assert all(np.isfinite(np.asarray(weights)).all() for weights in learned)


def test_class_numbers_beyond_8_bits(scene, params, options):
    result = run(scene, params, options, scene.strokes.astype(np.uint16) * 9000)
    assert {9000, 36000, 63000} <= set(np.unique(result.labels))
    assert result.labels.max() < 65536
    assert result.labels.dtype == np.uint16


def test_strokes_where_the_image_is_not_finite(scene, params, options):
    image = scene.image.copy()
    image[:20] = np.nan
    result = run(scene, params, options, image=image)
    assert result.scribbles.classes == (4, 7)
    assert not result.labels[:20].any()
    assert result.labels[20:].min() == 4
    assert [note for note in result.notes if "painted pixels lie outside" in note]


def test_nothing_painted_where_the_image_is_finite(scene, params, options):
    image = scene.image.copy()
    image[:20] = np.nan
    with pytest.raises(InputError, match="Nothing is painted"):
        run(scene, params, options, np.where(scene.strokes == 1, 1, 0), image=image)


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (2, 2), (1, 2), (3, 5), (200, 3)])
def test_thin_and_tiny_images(params, options, shape):
    image = np.arange(np.prod(shape), dtype=float).reshape(shape)
    painted = np.zeros(shape, int)
    painted.flat[0], painted.flat[-1] = 3, 1
    result = segment(image, scribbles=painted, axes="YX", params=params, options=options)
    assert result.labels.flat[0] == 3
    assert result.labels.flat[-1] == 1
    assert np.isfinite(result.uncertainty).all()


def colours(scene):
    return np.stack([scene.image, 1 - scene.image, scene.image / 2], axis=-1)


def test_colours_with_and_without_alpha(scene, params, options):
    rgb = (colours(scene).clip(0, 1) * 255).astype(np.uint8)
    plain = run(scene, params, options, image=rgb)
    with_alpha = run(scene, params, options, image=np.dstack([rgb, np.full_like(rgb[..., 0], 255)]))
    np.testing.assert_array_equal(plain.labels, with_alpha.labels)
    assert (plain.labels[scene.strokes > 0] == scene.strokes[scene.strokes > 0]).all()


@pytest.mark.parametrize(("axes", "n_channels"), [("CYX", 2), ("CYX", 5), ("YXC", 6)])
def test_several_channels(scene, params, options, axes, n_channels):
    planes = np.stack([scene.image + index / 9 for index in range(n_channels)])
    image = planes if axes == "CYX" else np.moveaxis(planes, 0, -1)
    result = run(scene, params, options, image=image, axes=axes)
    assert result.labels.shape == scene.image.shape
    assert {1, 4, 7} <= set(np.unique(result.labels))


def test_stated_axes_turn_the_image_and_the_scribbles_lie_as_the_labels(scene, params, options):
    result = run(scene, params, options, image=scene.image.T, axes="XY")
    assert result.labels.shape == scene.strokes.shape
    painted = scene.strokes > 0
    np.testing.assert_array_equal(result.labels[painted], scene.strokes[painted])


def test_previews_and_result_have_the_painted_numbers(scene, params):
    options = RunOptions(threads=1, device="cpu", previews=True, preview_interval=0)
    steps = segment_steps(scene.image, scribbles=scene.strokes, params=params, options=options)
    previews = []
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            result = end.value
            break
        if step.labels is not None:
            previews.append(step.labels)
            assert step.labels.shape == scene.image.shape
    assert previews
    assert {1, 4, 7} <= set(np.unique(result.labels))
    if params.design == "published":
        # Clusters of painted classes have their numbers, all others the next ones.
        assert all(np.isin(shown, [1, 4, 7, *range(8, 99)]).all() for shown in previews)
        assert {1, 4} <= set(np.unique(previews[-1]))


def test_finish_ends_the_training_and_the_scribbles_are_followed(scene, params, options):
    steps = segment_steps(
        scene.image,
        scribbles=scene.strokes,
        params=changed(params, n_iterations=50, only_painted="yes"),
        options=options,
    )
    next(steps)
    command = Command.FINISH
    while True:
        try:
            steps.send(command)
        except StopIteration as end:
            result = end.value
            break
        command = None
    assert result.stop_reason is StopReason.FINISHED
    assert set(np.unique(result.labels)) == {1, 4, 7}


def test_provenance_is_json(scene, params, options):
    result = run(scene, params, options)
    said = json.loads(json.dumps(result.provenance()))
    assert said["painted_classes"] == "1 4 7"
    assert said["painted_pixels"] == np.count_nonzero(scene.strokes)
    assert said["iterations"] <= params.n_iterations
    assert said["params"] == params.to_dict()


def test_the_image_and_the_scribbles_are_left_as_they_were(scene, params, options):
    image, painted = scene.image.copy(), scene.strokes.astype(np.uint16)
    image[3, 3] = np.nan
    before = image.copy(), painted.copy()
    run(scene, params, options, painted, image=image)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(painted, before[1])


@pytest.mark.parametrize(
    "changes",
    [
        {"n_superpixels": 60},
        {"n_superpixels": 60, "only_painted": "yes"},
        {"min_region_size": 0},
        {"min_region_size": 50},
        {"patch_size": 16},
        {"patch_size": 16, "n_superpixels": 60},
        {"patch_size": 0},
        {"n_labels": 2},
        {"n_blocks": 1, "n_features": 1, "n_clusters": 3},
        {"intensity": "dtype"},
        {"scribble_weight": 0.0},
        {"scribble_weight": 1000.0},
        {"continuity_weight": 0.0, "learning_rate": 0.01, "momentum": 0.0, "seed": 9},
    ],
)
def test_with_other_parameters(scene, params, options, changes):
    result = run(scene, changed(params, **changes), options)
    painted = scene.strokes > 0
    np.testing.assert_array_equal(result.labels[painted], scene.strokes[painted])
    assert np.isfinite(result.uncertainty).all()
    assert all(np.isfinite(step.loss) for step in result.history)


# --- the published design -------------------------------------------------------------


def test_the_paper_preset_trains_with_the_scribbles(scene, options):
    result = run(scene, PAPER, options)
    assert all(step.scribble > 0 for step in result.history)
    assert result.history[-1].scribble < result.history[0].scribble
    assert all(
        step.loss
        == pytest.approx(step.similarity + 5.0 * step.continuity + 0.5 * step.scribble, rel=1e-5)
        for step in result.history
    )
    assert result.classes is None
    assert not result.can_be_corrected


def test_more_classes_than_clusters_are_refused(scene, options):
    with pytest.raises(ParameterError, match="3 classes are painted") as error:
        run(scene, changed(PAPER, n_clusters=2), options)
    assert error.value.field == "n_clusters"


def test_no_fewer_labels_than_painted_classes(scene, options):
    """Min labels is the number of painted classes, whatever the parameter says."""
    floor_of_many = run(scene, changed(PAPER, min_labels=12), options)
    assert len(floor_of_many.history) == 5
    assert floor_of_many.stop_reason is StopReason.ITERATIONS
    assert floor_of_many.params.min_labels == 12
    as_few_as_classes = run(scene, changed(PAPER, n_clusters=3), options)
    assert as_few_as_classes.stop_reason is StopReason.MIN_LABELS


def test_the_paper_preset_cannot_be_corrected_and_says_what_to_do(scene, options):
    with pytest.raises(InputError, match="run segment with the scribbles"):
        run(scene, PAPER, options).correct(scene.strokes, options=options)


def test_labels_of_the_paper_preset_are_not_joined_afterwards(scene, options):
    with pytest.raises(ParameterError, match="never merged"):
        run(scene, PAPER, options).with_n_labels(2)


def test_patches_that_show_a_stroke_are_seen_in_an_image_of_any_size(large_scene, options):
    """What is painted must teach, wherever in the image it lies."""
    painted = np.zeros(large_scene.image.shape, int)
    painted[590, 5:40], painted[590, 660:695] = 1, 3
    params = changed(PAPER, patch_size=32, n_clusters=8, n_features=4, n_iterations=3)
    result = segment(large_scene.image, scribbles=painted, params=params, options=options)
    assert any(step.scribble > 0 for step in result.history)


def test_unpainted_pixels_of_a_sample():
    inputs = torch.zeros(1, 1, 1, 3)
    painted = torch.tensor([[[IGNORED, 0, IGNORED]]])
    valid = torch.tensor([[[True, True, False]]])
    assert Sample(inputs).unpainted is None
    assert Sample(inputs, valid).unpainted is valid
    assert Sample(inputs, painted=painted).unpainted.tolist() == [[[True, False, True]]]
    assert Sample(inputs, valid, painted=painted).unpainted.tolist() == [[[True, False, False]]]


def test_patches_carry_what_is_painted_on_them():
    painted = torch.arange(20).reshape(1, 4, 5)
    sample = Sample(torch.zeros(1, 2, 4, 5), painted=painted)
    patches = sample.crop([(0, 1, 2), (0, 0, 0)], (2, 3))
    assert patches.painted.tolist() == [[[7, 8, 9], [12, 13, 14]], [[0, 1, 2], [5, 6, 7]]]


# --- the default ----------------------------------------------------------------------


def test_scribbles_at_once_and_afterwards_are_the_same(scene, base, corrected, quick, options):
    at_once = run(scene, quick, options)
    np.testing.assert_array_equal(at_once.labels, corrected.labels)
    assert len(at_once.history) == len(base.history) == len(corrected.history)


def test_the_painted_classes_follow_the_things(scene, quick, options):
    result = run(scene, quick, options)
    for number in (1, 4, 7):
        thing = scene.wanted == number
        assert (result.labels[thing] == number).mean() > 0.9
        assert (result.labels[~thing] == number).mean() < 0.1


def test_corrections_go_on_from_a_run_with_scribbles(scene, corrected, quick, options):
    two = np.where(scene.strokes == 7, 0, scene.strokes)
    result = run(scene, quick, options, two).correct(scene.strokes, options=options)
    assert (result.labels != corrected.labels).mean() < 1e-3
