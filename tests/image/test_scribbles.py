"""Scribbles at the door: what is taken, what is refused, and in which words."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from napari_diffseg.errors import InputError
from napari_diffseg.image.scribbles import LARGEST_CLASS, read_scribbles

SHAPE = (6, 8)
PAINTED = np.zeros(SHAPE, np.uint8)
PAINTED[1, 1:4] = 7
PAINTED[4, 2:7] = 2

FORMS = {
    "uint8": PAINTED,
    "int8": PAINTED.astype(np.int8),
    "uint16": PAINTED.astype(np.uint16),
    "big endian": PAINTED.astype(">u4"),
    "int32": PAINTED.astype(np.int32),
    "uint64": PAINTED.astype(np.uint64),
    "whole floats": PAINTED.astype(np.float32),
    "list": PAINTED.tolist(),
    "dask": da.from_array(PAINTED, chunks=3),
    "one plane of a stack": PAINTED[None],
    "one channel": PAINTED[..., None],
    "view": np.repeat(PAINTED, 2, axis=1)[:, ::2],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_class_numbers_is_one(form):
    scribbles = read_scribbles(FORMS[form], SHAPE, None)
    np.testing.assert_array_equal(scribbles.painted, PAINTED)
    assert scribbles.painted.dtype == np.uint16
    assert scribbles.classes == (2, 7)
    assert scribbles.notes == ()


def test_what_is_given_stays_as_it_is():
    given = PAINTED.astype(np.uint16)
    valid = np.ones(SHAPE, bool)
    valid[1] = False
    read_scribbles(given, SHAPE, valid)
    np.testing.assert_array_equal(given, PAINTED)


def test_a_mask_is_class_1():
    assert read_scribbles(PAINTED > 0, SHAPE, None).classes == (1,)


def test_the_largest_class_there_can_be():
    largest = np.where(PAINTED == 7, LARGEST_CLASS, 0)
    assert read_scribbles(largest, SHAPE, None).classes == (65535,)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (PAINTED[:-1], "shape 5 × 8, but the image has 6 × 8"),
        (PAINTED.T, "shape 8 × 6, but the image has 6 × 8"),
        (np.stack([PAINTED] * 3, axis=-1), "shape 6 × 8 × 3, but the image has 6 × 8"),
        (np.zeros((0, 8), int), "shape 0 × 8"),
        (np.where(PAINTED == 7, -3, 0), "value -3, but a class is a number from 1"),
        (PAINTED * 0.5, "no whole numbers"),
        (np.full(SHAPE, np.nan), "no whole numbers"),
        (np.where(PAINTED, np.inf, 0.0), "class inf, but 65535 is the largest"),
        (np.where(PAINTED == 7, 65536, 0), "class 65536, but 65535 is the largest"),
        (PAINTED.astype(np.uint64) << np.uint64(60), "65535 is the largest"),
        (PAINTED.astype(complex), "data type complex128, but whole numbers were expected"),
        (PAINTED.astype(str), "whole numbers were expected"),
        (PAINTED.astype(object), "data type object"),
        (np.zeros(SHAPE, int), "Nothing is painted"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(given, words):
    with pytest.raises(InputError, match=words) as error:
        read_scribbles(given, SHAPE, None)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")


def test_strokes_where_the_image_is_not_finite_do_not_count_and_that_is_said():
    valid = np.ones(SHAPE, bool)
    valid[:, 3:] = False
    scribbles = read_scribbles(PAINTED, SHAPE, valid)
    np.testing.assert_array_equal(scribbles.painted, np.where(valid, PAINTED, 0))
    assert len([note for note in scribbles.notes if note.startswith("5 painted pixels")]) == 1


def test_a_class_that_is_painted_only_where_the_image_is_not_finite_is_none():
    valid = np.ones(SHAPE, bool)
    valid[1] = False
    assert read_scribbles(PAINTED, SHAPE, valid).classes == (2,)
    valid[4] = False
    with pytest.raises(InputError, match="Nothing is painted"):
        read_scribbles(PAINTED, SHAPE, valid)


def test_a_class_with_one_pixel_is_taken_and_that_is_said():
    dot = np.where(PAINTED == 2, 2, 0)
    dot[0, 0] = 9
    scribbles = read_scribbles(dot, SHAPE, None)
    assert scribbles.classes == (2, 9)
    assert [note for note in scribbles.notes if "Class 9" in note and "one painted pixel" in note]
    assert not [note for note in scribbles.notes if "Class 2" in note]


def test_everything_painted_is_taken_and_that_is_said():
    scribbles = read_scribbles(PAINTED + 1, SHAPE, None)
    assert scribbles.classes == (1, 3, 8)
    assert [note for note in scribbles.notes if "Every pixel is painted" in note]


@pytest.mark.parametrize("shape", [(1, 8), (6, 1), (1, 1)])
def test_a_thin_image_may_have_one_more_axis_too(shape):
    given = np.zeros(shape, int)
    given[-1, -1] = 3
    for form in (given, given[None], given[..., None]):
        np.testing.assert_array_equal(read_scribbles(form, shape, None).painted, given)


@pytest.mark.parametrize("form", [[[1, 2], [3]], None, "strokes.png"])
def test_what_is_no_array_of_numbers_is_said_in_a_sentence(form):
    with pytest.raises(InputError, match="whole numbers|different lengths"):
        read_scribbles(form, SHAPE, None)
