from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.draw import disk

from napari_diffseg import InputError, ObjectParams, ParameterError, objects
from napari_diffseg.instances.finding import ObjectFinder, find_objects

PLAIN = ObjectParams(min_size=0, fill_holes=False, split=0)


def discs(shape, *centres, radius=10):
    plane = np.zeros(shape, np.uint8)
    for centre in centres:
        plane[disk(centre, radius, shape=shape)] = 2
    return plane


def test_pieces_of_the_chosen_class_are_numbered_in_the_order_of_their_first_pixel():
    labels = np.array([[1, 0, 2, 0, 1], [1, 0, 2, 0, 1], [3, 3, 3, 3, 1]])
    found = find_objects(labels, ObjectParams(classes="1", min_size=0, split=0))
    assert found.dtype == np.int32
    assert found.tolist() == [[1, 0, 0, 0, 2], [1, 0, 0, 0, 2], [0, 0, 0, 0, 2]]
    every = find_objects(labels, PLAIN)
    assert every.tolist() == [[1, 0, 3, 0, 2], [1, 0, 3, 0, 2], [4, 4, 4, 4, 2]]


def test_a_corner_joins_nothing():
    assert find_objects(np.eye(3, dtype=int), PLAIN).max() == 3


def test_touching_discs_are_cut_where_they_are_narrow():
    labels = discs((40, 60), (20, 20), (20, 37))
    assert find_objects(labels, ObjectParams(split=0)).max() == 1
    found = find_objects(labels, ObjectParams(split=6))
    assert found.max() == 2
    assert (found > 0).sum() == (labels > 0).sum()
    assert found[20, 20] != found[20, 37]
    columns = np.flatnonzero(np.diff(found[20, 20:38]))
    assert abs(columns[0] + 20 - 28) <= 1  # half-way
    assert find_objects(labels, ObjectParams(split=25)).max() == 1


def test_what_touches_and_what_is_dust_is_seen_from_the_image_itself():
    for radius in (5, 20):
        centres = [(2.5 * radius, x * radius) for x in (2, 3.7, 7)]
        labels = discs((5 * radius, 10 * radius), *centres, radius=radius)
        side = radius // 4  # of dust, under 5 % of a disc; that of the larger is a disc itself
        labels[:side, :side] = 2
        found = find_objects(labels, ObjectParams())
        assert found.max() == 3
        assert not found[:side, :side].any()
        assert find_objects(labels, ObjectParams(min_size=0)).max() == 4
    # In a volume the same, in voxels that are no cubes.
    z, y, x = np.mgrid[:12, :40, :60]
    ball = [((z - 6) * 3) ** 2 + (y - 20) ** 2 + (x - c) ** 2 < 100 for c in (20, 37)]
    volume = (ball[0] | ball[1]).astype(np.uint8)
    volume[0, :3, :3] = 1  # 9 voxels, of balls of 1400
    assert find_objects(volume, ObjectParams(), (3, 1, 1)).max() == 2
    assert find_objects(np.ones((9, 9), np.uint8), ObjectParams()).max() == 1


def test_what_touches_another_class_is_never_joined_to_it():
    labels = np.full((20, 60), 2, np.uint8)
    labels[:, 30:] = 3
    labels[::4, 10:50] = 0  # bristles, with many peaks on both sides of the border
    found = find_objects(labels, ObjectParams(split=2, neck=0, min_size=9))
    for number in range(1, found.max() + 1):
        assert len(set(labels[found == number].tolist())) == 1


def test_a_bump_is_no_object():
    labels = discs((60, 80), (30, 30), radius=20)
    labels[disk((30, 54), 10)] = 2  # further than six pixels away, but the neck is wide
    assert find_objects(labels, ObjectParams(split=6)).max() == 1
    assert find_objects(labels, ObjectParams(split=6, neck=100)).max() == 2


def test_a_rod_is_not_cut():
    labels = np.zeros((30, 120), np.uint8)
    labels[10:19, 10:110] = 2
    assert find_objects(labels, ObjectParams(split=6)).max() == 1


def test_classes_that_touch_are_cut_apart_from_each_other():
    labels = discs((40, 60), (20, 20), (20, 37))
    labels[:, :28] *= 2
    found = find_objects(labels, ObjectParams(classes="2,4", split=6))
    assert found.max() == 2
    assert set(np.unique(labels[found == 1])) == {2}
    assert set(np.unique(labels[found == 2])) == {4}


def test_small_ones_are_dropped_and_cutting_makes_none():
    labels = discs((60, 80), (20, 20), (20, 37))
    labels[50:53, 50:53] = 2
    labels[20, 47:52] = 2  # a spike
    assert find_objects(labels, ObjectParams(min_size=9, split=0)).max() == 2
    found = find_objects(labels, ObjectParams(min_size=30, split=2))
    assert np.bincount(found.ravel())[1:].min() >= 30
    # Nothing of a piece that is large enough is lost.
    assert (found > 0).sum() == (labels > 0).sum() - 9


def test_holes_are_filled_but_for_other_chosen_classes():
    labels = discs((40, 40), (20, 20))
    labels[18:23, 18:23] = 3
    filled = find_objects(labels, ObjectParams(classes="2"))
    assert filled[20, 20] == 1
    assert find_objects(labels, ObjectParams(classes="2", fill_holes=False))[20, 20] == 0
    both = find_objects(labels, ObjectParams(classes="2,3"))
    assert both[20, 20] == 2
    assert both.max() == 2


def test_those_at_the_border_are_dropped():
    labels = discs((40, 60), (5, 20), (20, 40))
    found = find_objects(labels, ObjectParams(clear_border=True))
    assert found.max() == 1
    assert found[20, 40] == 1


def test_outlines_are_smoothed():
    labels = discs((60, 60), (30, 30), radius=15)
    labels[30, 40:58] = 2  # a hair
    found = find_objects(labels, ObjectParams(smooth=4))
    assert found[30, 55] == 0
    assert abs((found > 0).sum() - np.pi * 15**2) < 0.05 * np.pi * 15**2


def test_a_volume_is_cut_with_its_spacing():
    z, y, x = np.mgrid[:12, :40, :60]
    ball = [((z - 6) * 3) ** 2 + (y - 20) ** 2 + (x - c) ** 2 < 100 for c in (20, 37)]
    labels = (ball[0] | ball[1]).astype(np.uint8)
    found = find_objects(labels, ObjectParams(split=6), spacing=(3, 1, 1))
    assert found.max() == 2
    assert found[6, 20, 20] != found[6, 20, 37]


def test_a_result_knows_how_far_its_planes_are_apart():
    z, y, x = np.mgrid[:12, :40, :60]
    ball = [((z - 6) * 3) ** 2 + (y - 20) ** 2 + (x - c) ** 2 < 100 for c in (20, 37)]
    labels = (ball[0] | ball[1]).astype(np.uint8)
    result = SimpleNamespace(labels=labels, model=SimpleNamespace(z_step=3.0))
    expected = objects(labels, spacing=(3, 1, 1), smooth=6)
    assert not np.array_equal(expected, objects(labels, smooth=6))
    np.testing.assert_array_equal(objects(result, smooth=6), expected)


def test_a_finder_gives_the_same_as_the_function_whatever_was_asked_before():
    rng = np.random.default_rng(0)
    labels = discs((80, 80), *rng.uniform(0, 80, (14, 2)), radius=8)
    finder = ObjectFinder(labels)
    for params in (
        ObjectParams(split=4),
        ObjectParams(split=8, min_size=200),
        ObjectParams(split=4, smooth=2),
        ObjectParams(split=4, classes="1"),
        ObjectParams(split=4),
    ):
        assert np.array_equal(finder.find(params), find_objects(labels, params))


@settings(max_examples=150, deadline=None)
@given(
    labels=arrays(
        np.uint8, array_shapes(min_dims=2, max_dims=3, max_side=9), elements=st.integers(0, 3)
    ),
    classes=st.sampled_from(["", "1", "2,3", "7"]),
    split=st.sampled_from([-1.0, 0.0, 1.0, 2.5]),
    neck=st.sampled_from([0, 75, 100]),
    min_size=st.integers(-1, 6),
    fill_holes=st.booleans(),
    clear_border=st.booleans(),
    smooth=st.sampled_from([0.0, 1.5]),
)
def test_clean_up_invents_nothing(labels, smooth, **told):
    params = ObjectParams(smooth=smooth, **told)
    found = find_objects(labels, params)
    sizes = np.bincount(found.ravel())
    assert (sizes[1:] > 0).all()  # numbered without gaps
    chosen = params.class_numbers or (1, 2, 3)
    if not smooth:
        assert (sizes[1:] >= params.min_size).all()
        if not params.fill_holes:
            assert np.isin(labels[found > 0], chosen).all()
        if not params.fill_holes and not params.clear_border and 0 <= params.min_size < 2:
            assert (found > 0).sum() == np.isin(labels, chosen).sum()
    before = 0
    for number in range(1, sizes.size):
        own = set(labels[found == number].tolist()) & set(chosen)
        # Of one class, which it has a pixel of at least, and by rising class.
        if params.split == 0 or not (params.fill_holes or smooth):
            assert len(own) == 1
            assert min(own) >= before
            before = min(own)
    assert set(np.unique(find_objects(labels, PLAIN) > 0)) <= {False, True}


def test_what_is_no_label_image_is_refused():
    with pytest.raises(InputError, match="whole numbers"):
        find_objects(np.full((4, 4), 0.5), PLAIN)
    with pytest.raises(InputError, match="plane or a volume"):
        find_objects(np.zeros((2, 2, 4, 4), int), PLAIN)
    with pytest.raises(ParameterError, match="numbers from 1 on"):
        ObjectParams(classes="0,2")
    with pytest.raises(ParameterError, match="numbers from 1 on"):
        ObjectParams(classes="nuclei")
    with pytest.raises(InputError, match="state their axes"):
        objects(np.zeros((2, 4, 4), int), axes="CYX")


def test_classes_can_be_a_number_or_several():
    labels = discs((40, 60), (20, 20), (20, 47))
    labels[0, 0] = 1
    assert objects(labels, 2).max() == 2
    assert objects(labels, [1, 2], min_size=0).max() == 3
    assert objects(labels, np.int64(1), min_size=0).max() == 1
    assert objects(labels > 0, min_size=2).max() == 2


def test_classes_are_numbers_however_they_are_written():
    labels = np.zeros((40, 40), np.uint8)
    labels[5:15, 5:15], labels[25:35, 25:35] = 2, 3
    assert objects(labels, "2,3").max() == objects(labels, [2, 3]).max() == 2
    assert objects(labels, np.array([2.0, 3.0])).max() == 2
    with pytest.raises(ParameterError, match="must be numbers from 1 on"):
        objects(labels, "nucleus")
