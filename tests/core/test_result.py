"""Following scribbles from a result, and other things that can be done with it."""

from __future__ import annotations

import json
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest

from napari_diffseg import InputError, ParameterError, SegmentationParams, segment
from napari_diffseg.core.clusters.groundwork import Groundwork


def with_params(base, **changes):
    return replace(base, params=SegmentationParams.from_dict({**base.params.to_dict(), **changes}))


def drain(steps):
    facts = []
    while True:
        try:
            facts.append(next(steps))
        except StopIteration as end:
            return facts, end.value


def share_right(result, scene):
    return (result.labels == scene.wanted).mean()


# --- what labels mean -----------------------------------------------------------------


def test_scribble_k_comes_out_as_label_k(corrected, scene):
    assert set(np.unique(corrected.labels)) == {1, 4, 7}
    assert corrected.n_labels == 3
    assert corrected.only_painted
    assert share_right(corrected, scene) > 0.97
    assert corrected.labels.shape == scene.image.shape


def test_painted_pixels_keep_their_class_against_all_evidence(base, scene, options):
    painted = scene.strokes.copy()
    painted[48, 30] = 7  # one pixel in the middle of another stroke's thing
    painted[6, 20:24] = 4
    painted[70:72, 94:96] = 1
    result = base.correct(painted, options=options)
    np.testing.assert_array_equal(result.labels[painted > 0], painted[painted > 0])
    assert share_right(result, scene) > 0.9


def test_the_numbers_of_the_classes_are_only_names(base, corrected, scene, options):
    """Other numbers, in another order, give the same regions."""
    renamed = np.array([0, 900, 0, 0, 2, 0, 0, 31])[scene.strokes]
    result = base.correct(renamed, options=options)
    expected = np.array([0, 900, 0, 0, 2, 0, 0, 31])[corrected.labels]
    assert (result.labels != expected).mean() < 1e-3
    assert result.labels.dtype == np.uint16


def test_the_result_before_stays_as_it_is(base, scene, options):
    labels = base.labels.copy()
    base.correct(scene.strokes, options=options)
    np.testing.assert_array_equal(base.labels, labels)
    assert base.scribbles is None
    assert base.model.classes is None


def test_the_scribbles_stay_as_they_are(base, scene, options):
    painted = scene.strokes
    base.correct(painted, options=options)
    np.testing.assert_array_equal(painted, scene.strokes)


def test_one_class_alone_leaves_the_other_clusters(base, scene, options):
    stroke = np.where(scene.strokes == 4, 4, 0)
    result = base.correct(stroke, options=options)
    assert not result.only_painted
    found = np.unique(result.labels)
    assert found[0] == 4
    assert len(found) == result.n_labels > 1
    disc = scene.things == 1
    assert (result.labels[disc] == 4).mean() > 0.8
    assert (result.labels[~disc] == 4).mean() < 0.2


def test_unclaimed_clusters_have_the_next_numbers_without_gaps(base, scene, options):
    for painted in (np.where(scene.strokes == 4, 4, 0), np.where(scene.strokes == 1, 1, 0)):
        found = np.unique(base.correct(painted, options=options).labels)
        np.testing.assert_array_equal(found, np.arange(found[0], found[0] + len(found)))


def test_with_several_classes_the_rest_can_stay_too(base, scene, options):
    free = with_params(base, only_painted="no")
    result = free.correct(scene.strokes, options=options)
    found = np.unique(result.labels)
    assert {1, 4, 7} <= set(found)
    assert found[(found != 1) & (found != 4)].min() == 7
    painted = scene.strokes > 0
    np.testing.assert_array_equal(result.labels[painted], scene.strokes[painted])
    assert not result.only_painted


@pytest.mark.parametrize("choice", ["auto", "yes"])
def test_with_two_classes_every_pixel_is_one_of_them(base, scene, options, choice):
    two = np.where(scene.strokes == 7, 0, scene.strokes)
    result = with_params(base, only_painted=choice).correct(two, options=options)
    assert set(np.unique(result.labels)) == {1, 4}


def test_of_one_class_alone_the_rest_is_one_more(base, scene, options):
    stroke = np.where(scene.strokes == 4, 4, 0)
    result = with_params(base, only_painted="yes").correct(stroke, options=options)
    assert set(np.unique(result.labels)) == {4, 5}
    assert ((result.labels == 4) == (scene.things == 1)).mean() > 0.95
    assert not any("Only one class" in note for note in result.notes)


def test_of_one_class_alone_a_note_says_what_to_do(base, scene, options):
    one = base.correct(np.where(scene.strokes == 4, 4, 0), options=options)
    assert any("Only one class is painted" in note for note in one.notes)
    every = base.correct(np.full(scene.image.shape, 3), options=options)
    assert not any("Only one class is painted" in note for note in every.notes), "there is no rest"
    two = one.correct(scene.strokes, options=options)
    assert not any("Only one class" in note for note in two.notes)
    assert not any("Only one class" in note for note in one.without_scribbles().notes)


def test_everything_painted_is_the_result(base, scene, options):
    result = base.correct(scene.wanted, options=options)
    np.testing.assert_array_equal(result.labels, scene.wanted)
    assert [note for note in result.notes if "Every pixel is painted" in note]


def test_everything_painted_with_one_class_is_the_result(base, scene, options):
    everything = np.full(scene.image.shape, 12)
    np.testing.assert_array_equal(base.correct(everything, options=options).labels, everything)


def test_one_pixel_each_is_enough_to_start(base, scene, options):
    dots = np.zeros(scene.image.shape, int)
    dots[5, 5], dots[48, 32], dots[48, 94] = 1, 4, 7
    result = base.correct(dots, options=options)
    assert share_right(result, scene) > 0.85
    assert len([note for note in result.notes if "one painted pixel" in note]) == 3


def test_the_largest_class_leaves_room_for_the_others(base, scene, options):
    result = base.correct(np.where(scene.strokes == 4, 65535, 0), options=options)
    assert result.labels.min() == 65535
    assert result.labels.max() > 65535


# --- strokes one after the other ------------------------------------------------------


def test_the_same_scribbles_again_change_nothing(corrected, scene, options):
    again = corrected.correct(scene.strokes, options=options)
    np.testing.assert_array_equal(again.labels, corrected.labels)
    np.testing.assert_array_equal(again.uncertainty, corrected.uncertainty)


def test_it_does_not_matter_what_was_painted_before(base, scene, options):
    """The window, which follows each stroke, has the labels of the shell, which reads them all."""
    others = np.choose(scene.strokes % 5, [0, 4, 1, 0, 7])
    for only in ("auto", "no"):
        asked = replace(base, params=replace(base.params, only_painted=only))
        at_once = asked.correct(scene.strokes, options=options)
        later = asked.correct(others, options=options)
        for step in (np.where(scene.strokes == 4, 4, 0), scene.strokes):
            later = later.correct(step, options=options)
        np.testing.assert_array_equal(later.labels, at_once.labels)
        np.testing.assert_array_equal(later.classes.head.weights, at_once.classes.head.weights)


def test_the_same_scribbles_give_the_same_result(base, corrected, scene, options):
    again = base.correct(scene.strokes, options=options)
    np.testing.assert_array_equal(again.labels, corrected.labels)
    np.testing.assert_array_equal(again.uncertainty, corrected.uncertainty)


@pytest.mark.parametrize("only_painted", ["auto", "no"])
def test_what_was_painted_before_and_erased_is_forgotten(base, scene, options, only_painted):
    """Undo: only the scribbles that there are count, not how one came to them."""
    first = with_params(base, only_painted=only_painted)
    wrong = np.array([0, 7, 0, 0, 1, 0, 0, 4])[scene.strokes]
    by_way = first.correct(wrong, options=options).correct(scene.strokes, options=options)
    straight = first.correct(scene.strokes, options=options)
    assert (by_way.labels != straight.labels).mean() < 1e-3


def test_a_stroke_more_is_followed(base, scene, options):
    two = np.where(scene.strokes == 7, 0, scene.strokes)
    first = base.correct(two, options=options)
    second = first.correct(scene.strokes, options=options)
    assert share_right(second, scene) > 0.97 > share_right(first, scene)
    assert second.history
    assert first.labels.max() == 4


def test_notes_of_earlier_scribbles_go(base, scene, options):
    dot = np.zeros(scene.image.shape, int)
    dot[5, 5], dot[48, 30:34] = 2, 3
    first = base.correct(dot, options=options)
    assert any("Class 2" in note for note in first.notes)
    second = first.correct(scene.strokes, options=options)
    assert not any("Class 2" in note for note in second.notes)
    assert [note for note in second.notes if note in base.notes] == list(base.notes)


def test_scribbles_that_lie_in_chunks(base, corrected, scene, options):
    chunks = da.from_array(scene.strokes, chunks=(40, 50))
    np.testing.assert_array_equal(base.correct(chunks, options=options).labels, corrected.labels)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda strokes: strokes[:-1], "shape"),
        (lambda strokes: strokes * 0, "Nothing is painted"),
        (lambda strokes: -strokes.astype(int), "value -7"),
        (lambda strokes: strokes * 0.5, "whole numbers"),
        (lambda strokes: strokes.astype(int) * 10_000, "65535 is the largest"),
    ],
)
def test_scribbles_that_cannot_be_used_are_one_sentence(base, scene, options, bad, words):
    with pytest.raises(InputError, match=words) as error:
        base.correct(bad(scene.strokes), options=options)
    assert "\n" not in str(error.value)


def test_strokes_on_pixels_that_are_not_finite(scene, quick, options):
    image = scene.image.copy()
    image[:, :40] = np.nan
    base = segment(image, axes="YX", params=quick, options=options)
    result = base.correct(scene.strokes, options=options)
    assert not result.labels[:, :40].any()
    assert set(np.unique(result.labels[:, 40:])) == {1, 7}, "4 lay there alone"
    assert [note for note in result.notes if "painted pixels lie outside" in note]


# --- views and blocks -----------------------------------------------------------------


VIEWS = {
    "corner": (slice(0, 100), slice(0, 100)),
    "far corner": (slice(560, 600), slice(650, 700)),
    "across the seams": (slice(500, 520), slice(505, 530)),
    "whole": (slice(0, 600), slice(0, 700)),
    "beyond the image": (slice(-50, 90), slice(600, 900)),
}


@pytest.fixture(scope="module")
def large_strokes(large_scene):
    return large_scene.strokes


@pytest.fixture(scope="module")
def large_corrected(large_base, large_strokes):
    return large_base.correct(large_strokes)


@pytest.mark.slow
def test_strokes_reach_through_every_block(large_corrected, large_scene):
    assert (large_corrected.labels == large_scene.wanted).mean() > 0.97


@pytest.mark.slow
@pytest.mark.parametrize("place", VIEWS)
def test_the_view_comes_first_and_changes_nothing_in_the_end(
    large_base, large_corrected, large_strokes, options, place
):
    view = VIEWS[place]
    facts, result = drain(large_base.correct_steps(large_strokes, view=view, options=options))
    np.testing.assert_array_equal(result.labels, large_corrected.labels)
    previews = [step.labels for step in facts if step.labels is not None]
    if place in ("whole", "across the seams"):
        assert previews == []
        return
    (preview,) = previews
    assert preview.shape == result.labels.shape
    inner = tuple(slice(max(side.start, 0), side.stop) for side in view)
    assert (preview[inner] == result.labels[inner]).mean() > 0.99
    np.testing.assert_array_equal(preview[-1, 0], large_base.labels[-1, 0])


@pytest.mark.slow
def test_painted_pixels_have_their_class_in_the_view_at_once(large_base, large_strokes, options):
    painted = large_strokes.copy()
    painted[40, 40], painted[60, 60:63] = 7, 4  # against all evidence
    view = VIEWS["corner"]
    facts, _ = drain(large_base.correct_steps(painted, view=view, options=options))
    (preview,) = [step.labels for step in facts if step.labels is not None]
    seen = painted[view] > 0
    np.testing.assert_array_equal(preview[view][seen], painted[view][seen])


def test_a_view_that_shows_nothing_of_the_image(large_base, large_corrected, large_strokes):
    beside = (slice(2000, 2100), slice(2000, 2100))
    _, result = drain(large_base.correct_steps(large_strokes, view=beside))
    np.testing.assert_array_equal(result.labels, large_corrected.labels)


def test_the_order_of_the_blocks_changes_nothing(
    large_base, large_corrected, large_strokes, options, monkeypatch
):
    kept = large_base.ground
    windows = Groundwork.windows.fget
    monkeypatch.setattr(Groundwork, "windows", property(lambda self: windows(self)[::-1]))
    fresh = replace(large_base, ground=Groundwork(kept.plane, kept.device))
    result = fresh.correct(large_strokes, options=options)
    np.testing.assert_array_equal(result.labels, large_corrected.labels)


def test_closed_in_between_it_leaves_things_as_they_were(base, scene, options):
    labels = base.labels.copy()
    steps = base.correct_steps(scene.strokes, options=options)
    next(steps)
    steps.close()
    np.testing.assert_array_equal(base.labels, labels)
    assert (base.correct(scene.strokes, options=options).labels == scene.wanted).mean() > 0.97


def test_the_steps_tell_how_far_it_is(base, scene, options):
    facts, result = drain(base.correct_steps(scene.strokes, options=options))
    rounds = [step.index for step in facts]
    assert rounds == list(range(1, facts[0].n_iterations + 1))
    assert all(np.isfinite(step.loss) for step in facts)
    assert [step.n_clusters for step in facts] == [3] * len(facts)
    assert result.history == base.history


# --- other numbers of labels ----------------------------------------------------------


def test_unclaimed_clusters_can_be_joined_and_painted_ones_stay(base, scene, options):
    stroke = np.where(scene.strokes == 4, 4, 0)
    result = base.correct(stroke, options=options)
    for n_labels in (2, 3, 5):
        fewer = result.with_n_labels(n_labels)
        assert fewer.n_labels <= n_labels
        assert (fewer.labels[stroke > 0] == 4).all()
        assert fewer.scribbles is not None
        assert fewer.params.n_labels == n_labels
    assert result.with_n_labels(0).n_labels >= result.with_n_labels(3).n_labels
    np.testing.assert_array_equal(
        result.with_n_labels(2).with_n_labels(result.params.n_labels).labels, result.labels
    )


def test_painted_classes_are_never_joined(corrected):
    with pytest.raises(ParameterError, match="painted classes, which are never merged") as error:
        corrected.with_n_labels(2)
    assert error.value.field == "n_labels"


# --- provenance -----------------------------------------------------------------------


def test_provenance_says_what_was_painted(corrected, scene):
    said = json.loads(json.dumps(corrected.provenance()))
    assert said["painted_classes"] == "1 4 7"
    assert said["painted_pixels"] == np.count_nonzero(scene.strokes)
    assert said["n_labels"] == 3
    assert said["params"]["only_painted"] == "auto"


def test_provenance_without_scribbles_says_nothing_of_them(base):
    assert not [key for key in base.provenance() if "paint" in key and key != "params"]


def test_of_one_class_that_covers_everything_nothing_is_left(base, scene, options):
    everything = np.full(scene.image.shape, 3)
    result = with_params(base, only_painted="yes").correct(everything, options=options)
    assert set(np.unique(result.labels)) == {3}


def test_more_labels_than_kinds_is_said(base):
    many = base.with_n_labels(1000)
    assert any("1000 labels were asked for" in note for note in many.notes)
    assert not any("were asked for" in note for note in many.with_n_labels(2).notes)
