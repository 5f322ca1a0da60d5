"""Models learned from several images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_diffseg import (
    InputError,
    Reference,
    SegmentationParams,
    segment,
    train,
    train_steps,
)
from napari_diffseg.core import following
from napari_diffseg.core.generators import result_of
from napari_diffseg.core.published import network_run

PUBLISHED = SegmentationParams.paper(n_iterations=6, n_features=10, n_clusters=10)


@pytest.fixture
def dark(scene):
    """The same scene, darker than any part of the first."""
    return (scene.image * 0.5 - 0.3).astype(np.float32)


def test_one_image_gives_the_model_of_its_segmentation(base, scene, quick, options):
    model = train([scene.image], axes="YX", params=quick, options=options)
    assert model.checksum == base.model.checksum


@pytest.mark.parametrize("design", ["pretrained", "published"])
def test_a_model_of_painted_classes_is_learned_without_labelling(
    scene, quick, options, monkeypatch, design
):
    params = quick if design == "pretrained" else replace(PUBLISHED, only_painted="yes")
    expected = segment(
        scene.image, scribbles=scene.strokes, axes="YX", params=params, options=options
    )

    def refuse(*args, **keywords):
        raise AssertionError("an image was labelled that nobody sees")

    monkeypatch.setattr(following, "_labelled", refuse)
    monkeypatch.setattr(network_run, "cluster_steps", refuse)
    model = train(
        [scene.image], scribbles=[scene.strokes], axes="YX", params=params, options=options
    )
    assert model.checksum == expected.model.checksum


def test_a_model_of_two_images_knows_both(scene, dark, quick, options):
    told = {"axes": "YX", "params": quick, "options": options}
    scribbles = [scene.strokes, scene.strokes]
    model = train([scene.image, dark], scribbles=scribbles, **told)
    assert model.labels == (1, 4, 7)
    alone = train([scene.image], scribbles=[scene.strokes], **told)
    right = {
        name: (one.apply(dark, axes="YX", options=options) == scene.wanted).mean()
        for name, one in (("both", model), ("alone", alone))
    }
    assert right["both"] > 0.9
    assert right["both"] > right["alone"]
    assert (model.apply(scene.image, axes="YX", options=options) == scene.wanted).mean() > 0.9
    assert model.facts.provenance["reference_images"] == 2


def test_classes_can_be_painted_on_different_images(scene, quick, options):
    one = np.where(scene.strokes == 1, 1, 0)
    others = np.where(scene.strokes > 1, scene.strokes, 0)
    for scribbles in ([one, others], [None, scene.strokes]):
        model = train(
            [scene.image, scene.image[:, ::-1]],
            scribbles=[scribbles[0], None if scribbles[1] is None else scribbles[1][:, ::-1]],
            axes="YX",
            params=quick,
            options=options,
        )
        labels = model.apply(scene.image, axes="YX", options=options)
        assert (labels == scene.wanted).mean() > 0.9


def test_images_of_several_sizes_and_without_scribbles(scene, quick, options):
    model = train(
        [scene.image, scene.image[:40, :50], scene.image[20:]],
        axes="YX",
        params=quick,
        options=options,
    )
    labels = model.apply(scene.image, axes="YX", options=options)
    assert len(np.unique(labels)) > 2


def test_the_intensities_of_all_images_count(scene, dark, quick, options):
    model = train([scene.image, dark], axes="YX", params=quick, options=options)
    assert model.ranges.low[0] < scene.image.min()
    assert model.ranges.high[0] > dark.max()
    (low,), (high,) = model.ranges.low, model.ranges.high
    assert low in dark
    assert high in scene.image


def test_the_order_of_the_references_changes_no_range(scene, dark, quick, options):
    first, second = (
        train(images, axes="YX", params=quick, options=options)
        for images in ([scene.image, dark], [dark, scene.image])
    )
    assert first.ranges == second.ranges


def test_the_published_design_learns_from_all(scene, options):
    image = (scene.image.clip(0, 1) * 255).astype(np.uint8)
    painted = [np.where(scene.strokes == 1, 1, 0), np.where(scene.strokes > 1, scene.strokes, 0)]
    model = train([image, image], scribbles=painted, axes="YX", params=PUBLISHED, options=options)
    assert {1, 4, 7} <= set(model.labels)


def test_segment_labels_its_image_and_keeps_the_references(scene, dark, quick, options):
    result = segment(
        scene.image,
        references=[Reference(dark, scene.strokes)],
        axes="YX",
        params=quick,
        options=options,
    )
    assert result.painted_classes == (1, 4, 7)
    assert result.only_painted
    assert set(np.unique(result.labels)) <= {1, 4, 7}
    further = result.correct(np.where(scene.strokes == 4, 9, 0), options=options)
    assert further.painted_classes == (1, 4, 7, 9)
    assert further.labels[scene.strokes == 4].tolist() == [9] * int((scene.strokes == 4).sum())
    erased = further.correct(np.zeros(scene.image.shape, int), options=options)
    np.testing.assert_array_equal(erased.labels, result.labels)
    assert erased.provenance()["painted_pixels"] == int((scene.strokes > 0).sum())


def test_masked_references_and_superpixels(scene, options):
    holed = scene.image.copy()
    holed[:20] = np.nan
    params = SegmentationParams(
        n_features=4, n_clusters=6, n_iterations=2, n_superpixels=40, min_labels=1
    )
    model = train([scene.image, holed], axes="YX", params=params, options=options)
    assert (model.apply(scene.image, axes="YX", options=options) > 0).all()


def test_steps_come_one_by_one(scene, quick, options):
    steps = train_steps([scene.image] * 2, axes="YX", params=quick, options=options)
    assert next(steps).index == 1
    model = result_of(steps)
    assert model.n_channels == 1


@pytest.mark.parametrize(
    ("images", "scribbles", "sentence"),
    [
        ([], None, "no image"),
        ([np.eye(40)] * 2, [None], "2 images, but 1 scribbles"),
        ([np.eye(40)] * 2, [None, np.zeros((40, 40), int)], "Nothing is painted"),
        ([np.eye(40)] * 2, [None, np.eye(41, dtype=int)], "41 × 41"),
        ([np.zeros((40, 40)), np.zeros((40, 40))], None, "nothing to segment"),
        ([np.eye(40), np.full((40, 40), np.nan)], None, "0 pixels of image 2 are finite"),
    ],
)
def test_bad_input(images, scribbles, sentence, options):
    with pytest.raises(InputError, match=sentence):
        train(images, scribbles=scribbles, options=options)


@pytest.mark.parametrize(
    ("shape", "axes"), [((24, 30), None), ((24, 30, 3), None), ((5, 24, 30), "ZYX")]
)
def test_one_image_in_place_of_a_list(shape, axes, options):
    with pytest.raises(InputError, match=r"a list is expected; write train\(\[image\]\)"):
        train(np.ones(shape, np.uint8), axes=axes, options=options)


def test_images_of_other_channels_are_refused(options):
    gray, picture = np.eye(40, dtype=np.uint8), np.zeros((40, 40, 3), np.uint8)
    with pytest.raises(InputError, match="Image 2 has .*RGB"):
        train([gray, picture], options=options)


def test_whole_images_of_several_sizes_are_refused(scene, options):
    with pytest.raises(InputError, match="several sizes"):
        train([scene.image, scene.image[:50]], axes="YX", params=PUBLISHED, options=options)
