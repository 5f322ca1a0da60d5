"""How axes are read: a table of layers, and what is read of them; no napari."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diffseg.errors import InputError
from napari_diffseg.widgets.image.axes_reading import (
    AxesSaid,
    Extent,
    LayerFacts,
    Origin,
    read_axes,
)
from napari_diffseg.widgets.image.sizes import TypedSize


def facts(*shape, **more):
    n_axes = len(shape)
    known = {
        "dtype": np.dtype(np.uint8),
        "labels": tuple(str(axis - n_axes) for axis in range(n_axes)),
        "units": ("pixel",) * n_axes,
        "scale": (1.0,) * n_axes,
    }
    return LayerFacts(**{"name": "x", "shape": shape, **known, **more})


def labelled(text, *shape, **more):
    return facts(*shape, labels=tuple(text.split()), **more)


UM = {"units": ("second", "micrometer", "micrometer", "micrometer")}


@pytest.mark.parametrize(
    ("layer", "letters", "origin", "extent"),
    [
        (facts(20, 30), "YX", Origin.SHAPE, Extent.PLANE),
        (facts(20, 30, n_colors=3), "YX", Origin.SHAPE, Extent.PLANE),
        (facts(1, 20, 30), "ZYX", Origin.SHAPE, Extent.PLANE),
        (facts(5, 20, 30), "CYX", Origin.GUESS, Extent.PLANE),
        (facts(4, 5, 20, 30), "TZYX", Origin.GUESS, Extent.PLANE),
        (facts(4, 2, 5, 20, 30), "TCZYX", Origin.GUESS, Extent.PLANE),
        (facts(5, 20, 30, n_colors=3), "ZYX", Origin.GUESS, Extent.PLANE),
        (facts(4, 5, 20, 30, n_colors=4), "TZYX", Origin.GUESS, Extent.PLANE),
        (facts(4, 5, 20, 30, n_layers=2), "TZYX", Origin.GUESS, Extent.PLANE),
        (facts(512, 512, 3), "YXC", Origin.GUESS, Extent.PLANE),
        (labelled("z y x", 5, 20, 30), "ZYX", Origin.LABELS, Extent.VOLUME),
        (labelled("z y x", 2, 20, 30), "ZYX", Origin.LABELS, Extent.PLANE),
        (labelled("c y x", 5, 20, 30), "CYX", Origin.LABELS, Extent.PLANE),
        (labelled("Row Column Channel", 20, 30, 5), "YXC", Origin.LABELS, Extent.PLANE),
        (labelled("time y x", 5, 20, 30), "TYX", Origin.LABELS, Extent.PLANE),
        (labelled("t z c y x", 2, 9, 3, 20, 30), "TZCYX", Origin.LABELS, Extent.VOLUME),
        (labelled("x y z c t", 20, 30, 9, 3, 2), "XYZCT", Origin.LABELS, Extent.VOLUME),
        (labelled("foo y x", 5, 20, 30), "ZYX", Origin.GUESS, Extent.PLANE),
        (labelled("z foo bar", 5, 20, 30), "ZYX", Origin.LABELS, Extent.VOLUME),
        (labelled("z z y x", 4, 5, 20, 30), "TZYX", Origin.GUESS, Extent.PLANE),
        (labelled("z ? y x", 4, 5, 20, 30), "ZTYX", Origin.GUESS, Extent.PLANE),
        (labelled("? z y x", 1, 5, 20, 30), "TZYX", Origin.LABELS, Extent.VOLUME),
        (labelled("c y x", 5, 20, 30, n_layers=2), "ZYX", Origin.GUESS, Extent.PLANE),
        (facts(5, 20, 30, noted=tuple("ZYX")), "ZYX", Origin.FILE, Extent.VOLUME),
        (facts(5, 20, 30, noted=("time", "y", "x")), "TYX", Origin.FILE, Extent.PLANE),
        (facts(20, 30, n_colors=3, noted=tuple("YXS")), "YX", Origin.SHAPE, Extent.PLANE),
        (facts(5, 20, 30, noted=tuple("TZCYX")), "CYX", Origin.GUESS, Extent.PLANE),
        (facts(7, 20, 30, noted=tuple("QYX")), "ZYX", Origin.GUESS, Extent.PLANE),
        (facts(4, 5, 20, 30, **UM), "TZYX", Origin.GUESS, Extent.PLANE),
        (facts(5, 20, 30, units=("second", "pixel", "pixel")), "TYX", Origin.UNITS, Extent.PLANE),
        (facts(5, 20, 30, units=("micrometer",) * 3), "ZYX", Origin.GUESS, Extent.PLANE),
    ],
)
def test_what_is_read_without_a_person(layer, letters, origin, extent):
    reading = read_axes(layer)
    assert (reading.letters, reading.origin, reading.extent) == (letters, origin, extent)
    assert bool(reading.question()) == (origin is Origin.GUESS) == (len(reading.choices) > 1)
    # Whatever a person picks is read as that, and asks no more.
    for choice in reading.choices:
        picked = read_axes(layer, AxesSaid(choice))
        assert (picked.letters, picked.origin) == (choice, Origin.PERSON)
        assert picked.question() == ""


@pytest.mark.parametrize(
    ("layer", "choices"),
    [
        (facts(5, 20, 30), ("CYX", "ZYX", "TYX")),
        (facts(7, 20, 30), ("ZYX", "TYX", "CYX")),
        (facts(5, 20, 30, units=("um",) * 3), ("ZYX", "TYX", "CYX")),
        (facts(20, 5, 30), ("YCX", "ZYX", "TYX", "CYX")),
        (facts(5, 20, 30, n_colors=3), ("ZYX", "TYX")),
        (facts(5, 20, 30, n_layers=2), ("ZYX", "TYX")),
        (facts(4, 5, 20, 30), ("TZYX", "CZYX", "ZCYX", "TCYX")),
        (facts(1, 5, 20, 30), ("TCYX", "TZYX", "ZTYX")),
        (facts(512, 512, 3), ("YXC", "ZYX", "TYX", "CYX")),
        (labelled("z y x ?", 4, 20, 30, 3), ("ZYXT", "ZYXC")),
    ],
)
def test_where_it_is_a_guess_a_person_is_offered_the_others(layer, choices):
    assert read_axes(layer).choices == choices


@pytest.mark.parametrize(
    ("layer", "question"),
    [
        (facts(9, 20, 30), "The first axis has no name and is read as Z (planes). Is that right?"),
        (
            facts(5, 20, 30),
            "The first axis has no name and is read as C (channels). Is that right?",
        ),
        (
            facts(1, 9, 20, 30),
            "The second axis has no name and is read as Z (planes). Is that right?",
        ),
        (facts(4, 5, 20, 30), "The axes have no names and are read as T 4 · Z 5. Is that right?"),
        (
            labelled("z y x ?", 4, 20, 30, 3),
            "The fourth axis has no name and is read as T (time). Is that right?",
        ),
    ],
)
def test_the_question(layer, question):
    assert read_axes(layer).question() == question


def test_each_choice_says_what_it_means():
    words = read_axes(facts(4, 9, 20, 30)).lengths_as("TCYX")
    assert words == "T (time) 4 · C (channels) 9 · Y 20 · X 30"


@pytest.mark.parametrize(
    ("layer", "said", "words"),
    [
        (facts(20, 30), None, "Y 20 · X 30, one channel"),
        (facts(20, 30, n_colors=4), None, "Y 20 · X 30, 3 channels (RGB, alpha dropped)"),
        (facts(20, 30, n_colors=4), "YXC", "Y 20 · X 30, 4 channels"),
        (facts(20, 30, n_layers=3), None, "Y 20 · X 30, 3 channels"),
        (facts(3, 20, 30), "cyx", "Y 20 · X 30, 3 channels"),
        (facts(3, 20, 30), "T, Y, X", "T 3 · Y 20 · X 30, one channel"),
        (facts(20, 30, 9, 3, 2), "xyzct", "T 2 · Z 9 · Y 30 · X 20, 3 channels"),
        (
            facts(51, 120, 122, units=("um",) * 3, scale=(3.5, 0.8, 0.8)),
            "ZYX",
            "Z 51 · Y 120 · X 122, one channel, 3.5 × 0.8 × 0.8 µm",
        ),
        (
            facts(51, 120, 122, units=("um", "nm", "nm"), scale=(3.5, 800, 800)),
            "ZYX",
            "Z 51 · Y 120 · X 122, one channel, 3500 × 800 × 800 nm",
        ),
        (
            facts(51, 120, 122, scale=(4, 1, 1)),
            "ZYX",
            "Z 51 · Y 120 · X 122, one channel, voxels of 4 × 1 × 1",
        ),
        (
            facts(9, 120, 122, units=("s", "um", "um"), scale=(30, 0.8, 0.8)),
            None,
            "T 9 · Y 120 · X 122, one channel, 0.8 × 0.8 µm",
        ),
    ],
)
def test_the_axes_in_words(layer, said, words):
    assert read_axes(layer, AxesSaid(said)).describe() == words


@pytest.mark.parametrize(
    ("layer", "said", "sentence"),
    [
        (facts(5, 20, 30), "YX", "name 2 axes, but 'x' has 3"),
        (facts(5, 20, 30), "", "have no Y"),
        (facts(5, 20, 30), "QYX", "unknown letter 'Q'"),
        (facts(5, 20, 30), "YYX", "name Y more than once"),
        (facts(5, 20, 30), "TZY", "have no X"),
        (facts(5, 20, 30, n_colors=3), "CYX", "the channels are the colours already"),
        (facts(5, 20, 30, n_layers=2), "CYX", "the channels are the layers already"),
        (facts(20, 30, n_colors=3), "YXZ", "shows the last axis of 'x' (3 long) as colours"),
    ],
)
def test_what_a_person_says_that_cannot_be(layer, said, sentence):
    with pytest.raises(InputError) as found:
        read_axes(layer, AxesSaid(said))
    assert sentence in str(found.value)
    assert str(found.value).count(". ") == 0, "one sentence"


@pytest.mark.parametrize("layer", [facts(2, 2, 2, 2, 9, 9), facts(2, 2, 2, 9, 9, n_colors=3)])
def test_too_many_axes_to_guess(layer):
    with pytest.raises(InputError, match="has [56] axes; state one letter"):
        read_axes(layer)


def test_colours_that_are_none():
    layer = facts(20, 30, n_colors=3)
    assert read_axes(layer).info.rgb
    reading = read_axes(layer, AxesSaid("YXC"))
    assert (reading.letters, reading.info.rgb, reading.n_channels) == ("YX", False, 3)


def test_labels_and_file_that_contradict_each_other():
    reading = read_axes(labelled("z y x", 5, 20, 30, noted=tuple("TYX")))
    assert reading.letters == "ZYX"
    assert "axis labels say ZYX, but its file TYX; the labels count" in reading.info.notes[0]


@pytest.mark.parametrize(
    ("scale", "units", "said", "z_step", "note"),
    [
        ((4, 1, 1), ("pixel",) * 3, None, 4, ""),
        ((3.5, 0.8, 0.6), ("um",) * 3, None, 5, ""),
        ((-2, 1, 1), ("um",) * 3, None, 2, ""),
        ((1000, 0.5, 0.5), ("nm", "um", "um"), None, 2, ""),
        ((1, 1, 1), ("pixel",) * 3, None, None, "size of the voxels is not known"),
        ((1, 1, 1), ("um",) * 3, None, 1, ""),
        ((1, 1, 1), ("pixel",) * 3, TypedSize("1", "2,5", "px"), 2.5, ""),
        ((4, 1, 1), ("um",) * 3, TypedSize("1", "2.5"), 2.5, ""),
        ((4, 1, 1), ("um",) * 3, TypedSize("0.5"), 8, ""),
        ((1, 1, 1), ("pixel",) * 3, TypedSize("0.5"), None, "distance of the planes is not known"),
        ((2, 1, 1), ("um", "pixel", "pixel"), None, None, "in the unit um, but Y and X in pixel"),
        ((9000, 1, 1), ("nm",) * 3, None, None, "9000 pixels apart, which cannot be"),
        ((np.nan, 1, 1), ("um",) * 3, None, None, "no positive number"),
        ((0, 1, 1), ("um",) * 3, None, None, "no positive number"),
    ],
)
def test_the_distance_of_planes(scale, units, said, z_step, note):
    reading = read_axes(facts(9, 20, 30, scale=scale, units=units), AxesSaid("ZYX", said))
    spacing = reading.info.spacing
    found = None if spacing is None else spacing[0] / np.mean(spacing[1:])
    assert found == pytest.approx(z_step)
    assert note in reading.volume_note
    assert bool(reading.volume_note) == bool(note)
