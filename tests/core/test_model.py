"""What a correction leaves behind for other images."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diffseg import InputError, SegmentationParams, segment


def test_on_the_same_image_it_gives_the_same_but_near_strokes(corrected, scene, options):
    labels = corrected.model.apply(scene.image, axes="YX", options=options)
    assert labels.dtype == corrected.labels.dtype
    away = np.ones(labels.shape, bool)
    for y, x in np.argwhere(scene.strokes):
        away[max(y - 15, 0) : y + 16, max(x - 15, 0) : x + 16] = False
    assert (labels[away] == corrected.labels[away]).mean() > 0.99
    assert (labels == corrected.labels).mean() > 0.97


def test_on_another_image_the_classes_keep_their_numbers(corrected, scene, options):
    turned, wanted = scene.image[::-1, ::-1].copy(), scene.wanted[::-1, ::-1]
    labels = corrected.model.apply(turned, axes="YX", options=options)
    assert (labels == wanted).mean() > 0.95


def test_on_a_larger_image_and_on_a_part(corrected, scene, options):
    wide = np.tile(scene.image, (1, 5))
    labels = corrected.model.apply(wide, axes="YX", options=options)
    assert (labels == np.tile(scene.wanted, (1, 5))).mean() > 0.93
    part = corrected.model.apply(scene.image[20:76, 10:60], axes="YX", options=options)
    assert (part == scene.wanted[20:76, 10:60]).mean() > 0.93


def test_pixels_that_are_not_finite_have_no_label(corrected, scene, options):
    image = scene.image.copy()
    image[:10] = np.nan
    labels = corrected.model.apply(image, axes="YX", options=options)
    np.testing.assert_array_equal(labels == 0, np.isnan(image))


def test_the_model_before_the_correction_has_no_classes(base, corrected, scene, options):
    labels = base.model.apply(scene.image, axes="YX", options=options)
    assert (labels == base.labels).mean() > 0.99
    assert corrected.model.network is base.model.network


def test_unclaimed_clusters_are_found_again_too(base, scene, options):
    result = base.correct(np.where(scene.strokes == 4, 4, 0), options=options)
    labels = result.model.apply(scene.image, axes="YX", options=options)
    assert (labels == result.labels).mean() > 0.9


def test_other_channels_are_refused(corrected, scene, options):
    with pytest.raises(InputError, match="trained on 1"):
        corrected.model.apply(np.stack([scene.image] * 2), axes="CYX", options=options)


@pytest.mark.parametrize("only_painted", ["yes", "no"])
def test_the_published_design_keeps_the_painted_numbers(scene, options, only_painted):
    params = SegmentationParams.paper(
        n_iterations=5, n_features=12, n_clusters=12, only_painted=only_painted
    )
    image = (scene.image.clip(0, 1) * 255).astype(np.uint8)
    result = segment(image, scribbles=scene.strokes, axes="YX", params=params, options=options)
    labels = result.model.apply(image, axes="YX", options=options)
    free = scene.strokes == 0
    np.testing.assert_array_equal(labels[free], result.labels[free])
    if only_painted == "yes":
        assert set(np.unique(labels)) <= {1, 4, 7}
