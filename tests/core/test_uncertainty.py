"""How unsure a result is, and where to paint next."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_diffseg import SegmentationParams, segment
from napari_diffseg.core.clusters.groundwork import Groundwork
from napari_diffseg.core.doubt import most_uncertain_region
from napari_diffseg.errors import TrainingError

RUNS = {
    "default": {},
    "published": {"design": "published", "n_features": 8, "n_iterations": 3},
}


def with_changes(params, changes):
    return SegmentationParams.from_dict({**params.to_dict(), **changes})


@pytest.mark.parametrize("painted", [False, True], ids=["unpainted", "painted"])
@pytest.mark.parametrize("run", RUNS)
def test_it_is_between_0_and_1_for_every_pixel(scene, quick, options, run, painted):
    result = segment(
        scene.image,
        scribbles=scene.strokes if painted else None,
        axes="YX",
        params=with_changes(quick, RUNS[run]),
        options=options,
    )
    unsure = result.uncertainty
    assert unsure.shape == scene.image.shape
    assert unsure.dtype == np.float32
    assert np.isfinite(unsure).all()
    assert unsure.min() >= 0
    assert unsure.max() <= 1
    assert np.ptp(unsure) > 0
    assert result.uncertainty is unsure, "computed once"


@pytest.mark.parametrize("painted", [False, True], ids=["unpainted", "painted"])
@pytest.mark.parametrize("run", RUNS)
def test_pixels_that_are_not_finite_are_not_in_doubt(scene, quick, options, run, painted):
    image = scene.image.copy()
    image[20:30, :50] = np.nan
    result = segment(
        image,
        scribbles=scene.strokes if painted else None,
        axes="YX",
        params=with_changes(quick, RUNS[run]),
        options=options,
    )
    assert (result.uncertainty[20:30, :50] == 0).all()
    assert np.isfinite(result.uncertainty).all()


def test_errors_of_torch_do_not_leave_it(corrected, monkeypatch):
    def fail(*_):
        raise RuntimeError("torch says so")

    result = replace(corrected)
    monkeypatch.setattr(Groundwork, "answers", fail)
    with pytest.raises(TrainingError, match="torch says so"):
        _ = result.uncertainty


def test_it_is_higher_where_things_meet(corrected, scene):
    y, x = np.nonzero(np.diff(scene.things, axis=1)[:-1] | np.diff(scene.things, axis=0)[:, :-1])
    unsure = corrected.uncertainty
    # A leaf has one answer: the pixels on both sides of a border are in leaves on either side.
    assert unsure[y, x].mean() > unsure.mean()


def test_where_it_is_high_there_are_more_errors(scene, quick, options):
    """With few strokes on a noisy image: that is what it is read for."""
    noise = np.random.default_rng(5).normal(0, 0.15, scene.image.shape)
    painted = np.zeros(scene.image.shape, int)
    painted[5, 10:20], painted[48, 30:34], painted[40:44, 94] = 1, 4, 7
    result = segment(
        (scene.image + noise).astype(np.float32),
        scribbles=painted,
        axes="YX",
        params=quick,
        options=options,
    )
    wrong = result.labels != scene.wanted
    doubtful = result.uncertainty > np.median(result.uncertainty)
    assert wrong[doubtful].mean() > wrong[~doubtful].mean()


def test_a_clean_image_of_two_values_leaves_no_doubt():
    image = np.zeros((128, 128), np.uint8)
    image[30:90, 40:100] = 200
    result = segment(image)
    assert result.n_labels == 2
    inner = np.s_[34:86, 44:96]
    assert result.uncertainty[inner].max() < 0.01
    assert result.uncertainty[:20].max() < 0.01


def test_painted_pixels_are_surer_than_the_rest(corrected, scene):
    unsure = corrected.uncertainty
    assert unsure[scene.strokes > 0].max() < 0.5
    assert unsure[scene.strokes > 0].mean() < unsure.mean()


def test_one_class_alone_leaves_no_doubt_where_nothing_else_is(scene, base, options):
    everything = np.full(scene.image.shape, 3)
    unsure = base.correct(everything, options=options).uncertainty
    assert np.isfinite(unsure).all()


def test_a_stroke_there_makes_the_place_surer(base, scene, options):
    first = np.where(scene.strokes == 7, 0, scene.strokes)
    before = base.correct(first, options=options)
    after = before.correct(scene.strokes, options=options)
    place = scene.strokes == 7
    assert after.uncertainty[place].mean() <= before.uncertainty[place].mean() + 1e-3


def test_the_most_uncertain_region_lies_where_the_doubt_is():
    unsure = np.zeros((400, 600), np.float32)
    unsure[310:360, 80:130] = 0.9
    unsure[5, 5] = 1.0
    rows, columns = most_uncertain_region(unsure)
    middle = (rows.start + rows.stop) / 2, (columns.start + columns.stop) / 2
    assert 300 < middle[0] < 370
    assert 70 < middle[1] < 140


def test_what_is_painted_already_is_not_shown_again():
    unsure = np.zeros((400, 600), np.float32)
    unsure[310:360, 80:130] = 0.9
    unsure[20:70, 400:450] = 0.5
    painted = np.zeros(unsure.shape, int)
    painted[300:370, 70:140] = 2
    rows, columns = most_uncertain_region(unsure, painted)
    assert rows.start < 70
    assert columns.stop > 400


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 2), (20, 30), (1000, 1200)])
@pytest.mark.parametrize("corner", [(0, 0), (-1, -1)])
def test_the_region_lies_within_the_image(shape, corner):
    unsure = np.zeros(shape, np.float32)
    unsure[corner] = 1
    rows, columns = most_uncertain_region(unsure)
    assert 0 <= rows.start < rows.stop <= shape[0]
    assert 0 <= columns.start < columns.stop <= shape[1]
    assert unsure[rows, columns].max() == 1


def test_nothing_in_doubt_gives_no_region():
    unsure = np.full((50, 60), 0.001, np.float32)
    assert most_uncertain_region(unsure) is None
    unsure[:10] = 0.9
    assert most_uncertain_region(unsure, (unsure > 0).astype(int)) is None


def test_regions_that_were_seen_come_again_once_nothing_else_is_left():
    unsure = np.zeros((400, 600), np.float32)
    unsure[310:360, 80:130] = 0.9
    unsure[20:70, 400:450] = 0.5
    first = most_uncertain_region(unsure)
    assert first is not None
    second = most_uncertain_region(unsure, seen=[first])
    assert second is not None
    assert second[1].start > 300
    seen = [first, second, (slice(0, 400), slice(0, 600))]
    assert most_uncertain_region(unsure, seen=seen) == first
