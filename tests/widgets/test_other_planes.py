"""Which planes of a stack a run learns from besides the one shown: cases without a window."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_diffseg.widgets.image.axes_reading import AxesSaid, read_axes
from napari_diffseg.widgets.image.layer_facts import facts_of
from napari_diffseg.widgets.image.sources import describe_source
from napari_diffseg.widgets.scribbles.other_planes import (
    MOST_OTHERS,
    LearnFrom,
    TrainingContext,
    choose_others,
    most_others,
)
from napari_diffseg.widgets.scribbles.strokes import describe_strokes
from napari_diffseg.widgets.ui import words

pytestmark = pytest.mark.gui


def others_of(pixels, strokes, at, learn_from=LearnFrom.PAINTED, axes=None):
    image, viewer = Image(pixels), ViewerModel()
    viewer.add_layer(image)
    for axis, place in enumerate(at):
        viewer.dims.set_current_step(axis, place)
    source = describe_source([image], viewer.dims, read_axes(facts_of(image), AxesSaid(axes)))
    found = None if strokes is None else describe_strokes(Labels(strokes), source)
    return choose_others(source, found, learn_from)


def numbered(*lengths):
    """Return planes of 4 × 5 pixels, each of which holds its own number."""
    numbers = np.arange(np.prod(lengths)).reshape(*lengths, 1, 1)
    return np.broadcast_to(numbers, (*lengths, 4, 5)).copy()


def strokes_on(shape, *places):
    strokes = np.zeros(shape, np.uint8)
    for number, place in enumerate(places, start=1):
        strokes[place][1, 1:3] = number
    return strokes


def read(others):
    """Return the number of each plane, and the classes that are painted on it."""
    return [
        (int(pixels.max()), None if strokes is None else int(strokes.max()))
        for pixels, strokes in others.read()
    ]


@pytest.mark.parametrize("wrap", [np.asarray, da.from_array], ids=["numpy", "dask"])
def test_painted_planes_but_for_the_one_shown_nearest_first(wrap):
    strokes = strokes_on((9, 4, 5), 0, 4, 6, 8)
    assert read(others_of(wrap(numbered(9)), wrap(strokes), [6])) == [(4, 2), (8, 4), (0, 1)]
    assert read(others_of(wrap(numbered(9)), wrap(strokes), [5])) == [
        (4, 2),
        (6, 3),
        (8, 4),
        (0, 1),
    ]


def test_of_many_painted_planes_the_nearest_are_read():
    strokes = strokes_on((40, 4, 5), *range(40))
    numbers = [number for number, _ in read(others_of(numbered(40), strokes, [20]))]
    assert len(numbers) == MOST_OTHERS
    assert set(numbers) == {*range(14, 27)} - {20}


@pytest.mark.parametrize(
    ("shape", "n_read"), [((512, 512), 12), ((1024, 1024), 4), ((4000, 5000), 3)], ids=str
)
def test_of_large_planes_fewer_are_read(shape, n_read):
    others = others_of(np.broadcast_to(np.uint8(0), (20, *shape)), None, [0])
    assert most_others(others.source) == n_read


def test_start_middle_and_end_are_read_unpainted_too():
    strokes = strokes_on((9, 4, 5), 4, 5)
    others = others_of(numbered(9), strokes, [8], LearnFrom.SPREAD)
    assert read(others) == [(0, None), (4, 1), (5, 2)]
    assert read(others_of(numbered(9), None, [2], LearnFrom.SPREAD)) == [
        (0, None),
        (4, None),
        (8, None),
    ]


def test_start_and_end_are_those_along_the_first_axis():
    others = others_of(numbered(5, 3), None, [2, 1], LearnFrom.SPREAD)
    assert read(others) == [(1, None), (13, None)]
    flat = others_of(numbered(1, 3), None, [0, 1], LearnFrom.SPREAD)
    assert read(flat) == [(0, None), (2, None)]


def test_this_plane_only():
    strokes = strokes_on((9, 4, 5), 0, 4)
    assert read(others_of(numbered(9), strokes, [2], LearnFrom.HERE)) == []


@pytest.mark.parametrize("learn_from", LearnFrom)
def test_a_single_plane_has_no_others(learn_from):
    strokes = strokes_on((4, 5), ())
    others = others_of(np.zeros((4, 5)), strokes, [], learn_from)
    assert others.read() == []
    assert others.context({}) == TrainingContext(LearnFrom.HERE)


def test_along_time_and_depth_each_plane_stands_where_it_is():
    strokes = strokes_on((4, 3, 4, 5), (0, 2), (3, 1))
    assert read(others_of(numbered(4, 3), strokes, [3, 1])) == [(2, 1)]


def test_scribbles_without_the_time_axis_count_at_the_time_shown():
    strokes = strokes_on((3, 4, 5), 0, 2)
    assert read(others_of(numbered(4, 3), strokes, [2, 2])) == [(6, 1)]


def test_scribbles_of_one_plane_are_on_no_other():
    assert read(others_of(numbered(5), strokes_on((4, 5), ()), [2])) == []


def test_channels_are_read_whole():
    pixels = np.moveaxis(np.stack([numbered(4), numbered(4) + 100]), 0, 1)
    others = others_of(pixels, strokes_on((4, 1, 4, 5), (0, 0)), [2, 0], axes="ZCYX")
    ((plane, painted),) = others.read()
    assert plane.shape == (2, 4, 5)
    assert plane[:, 0, 0].tolist() == [0, 100]
    assert painted.shape == (4, 5)


def test_a_lesson_changes_with_strokes_on_other_planes_only():
    strokes = strokes_on((9, 4, 5), 0, 4)
    others = others_of(numbered(9), strokes, [4])
    before = others.context(others.strokes.find_painted())
    strokes[4, 3, 3] = 2
    assert (
        others_of(numbered(9), strokes, [4]).context(describe(others, strokes).find_painted())
        == before
    )
    strokes[0, 3, 3] = 1
    assert others.context(describe(others, strokes).find_painted()) != before


def describe(others, strokes):
    return describe_strokes(Labels(strokes), others.source)


@pytest.mark.parametrize(
    ("n_elsewhere", "is_painted", "said"),
    [
        (None, False, "Strokes on all planes are learned from together."),
        (0, False, "You can paint on several planes: all strokes are learned from together."),
        (2, True, "Strokes on 3 planes are learned from together."),
        (1, False, "This plane has no strokes; it is labelled by those on 1 other plane."),
        (20, True, "Of 21 painted planes, this one and the 12 nearest are learned from together."),
        (20, False, "Of 20 painted planes, the 12 nearest are learned from together."),
    ],
)
def test_what_is_said_of_the_planes(n_elsewhere, is_painted, said):
    assert words.planes_in_words(n_elsewhere, MOST_OTHERS, is_painted=is_painted) == said


@pytest.mark.parametrize(
    ("axes", "shape", "is_movie"),
    [("TYX", (4, 9, 9), True), ("ZYX", (4, 9, 9), False), ("TZYX", (4, 1, 9, 9), True)],
)
def test_those_of_a_movie_are_frames(axes, shape, is_movie):
    source = others_of(np.zeros(shape), None, (0,) * len(shape), axes=axes).source
    assert source.is_movie == is_movie
    said = words.of_frames("Strokes on 3 planes are learned from together.", source.is_movie)
    assert ("3 frames" in said) == is_movie
