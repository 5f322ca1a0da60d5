"""Colours: unlike each other, kept from result to result, and those of the strokes."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diffseg.widgets.ui.colors import FEWEST, Coloring, distinct_colors, scribble_colors

pytestmark = pytest.mark.gui


def color(coloring, label):
    return tuple(np.asarray(coloring.colormap.colors)[label])


@pytest.mark.parametrize("number", [2, 32, 100])
def test_every_label_has_a_colour_of_its_own_and_more_labels_change_none(number):
    colors = np.asarray(distinct_colors(number).colors)
    assert len(np.unique(colors, axis=0)) == len(colors) == max(number, FEWEST) + 1
    np.testing.assert_array_equal(colors[: FEWEST + 1], np.asarray(distinct_colors(2).colors))


def test_strokes_have_the_same_colours_in_another_order():
    strokes = {tuple(c) for c in np.asarray(scribble_colors(8).colors)}
    assert strokes == {tuple(c) for c in np.asarray(distinct_colors(8).colors)}


def test_regions_keep_their_colours_when_their_numbers_change():
    coloring = Coloring(8)
    shown = np.repeat([1, 2, 3], [5, 4, 3])
    before = {label: color(coloring, label) for label in (1, 2, 3)}
    coloring.keep(shown, np.repeat([2, 3, 1], [5, 4, 3]))
    assert [color(coloring, n) for n in (2, 3, 1)] == [before[n] for n in (1, 2, 3)]


def test_a_painted_class_has_the_colour_of_its_strokes_and_no_other_label_has_it():
    coloring, strokes = Coloring(8), np.asarray(scribble_colors(8).colors)
    assert coloring.fix({1: strokes[1], 4: strokes[4]})
    assert not coloring.fix({1: strokes[1], 4: strokes[4]})
    coloring.keep(np.repeat([2, 3], 6), np.repeat([1, 2], 6))
    assert color(coloring, 1) == tuple(strokes[1])
    assert color(coloring, 4) == tuple(strokes[4])
    assert len(np.unique(np.asarray(coloring.colormap.colors), axis=0)) == FEWEST + 1


def test_a_colour_that_a_person_has_chosen_is_taken_over():
    coloring = Coloring(8)
    mine = np.array([0.11, 0.22, 0.33, 1.0])
    coloring.fix({2: mine})
    coloring.keep(np.ones(5, int), np.ones(5, int))
    np.testing.assert_allclose(color(coloring, 2), mine)


def test_classes_beyond_the_palette_come_round_as_they_do_in_the_scribbles():
    coloring = Coloring(8)
    coloring.fix({700: np.ones(4)})
    coloring.keep(np.ones(5, int), np.full(5, 700))
    np.testing.assert_array_equal(coloring.colormap.colors, distinct_colors(8).colors)
