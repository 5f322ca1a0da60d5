from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_diffseg.sample_data.strokes import strokes_on_plane, strokes_on_stack


def halves_and_a_line() -> np.ndarray:
    """Class 1 on the left, 2 on the right, a line of class 7 between them; nothing on top."""
    classes = np.ones((60, 60), np.uint16)
    classes[:, 30:] = 2
    classes[:, 30] = 7
    classes[:5] = 0
    return classes


def test_every_class_is_painted_where_it_is() -> None:
    classes = halves_and_a_line()
    painted = strokes_on_plane(classes, 3, np.random.default_rng(0))
    assert np.unique(painted).tolist() == [0, 1, 2, 7]
    assert (painted == classes)[painted > 0].all()
    assert (painted > 0).mean() < 0.2


def test_strokes_keep_off_the_edges_where_there_is_room() -> None:
    classes = halves_and_a_line()
    painted = strokes_on_plane(classes, 5, np.random.default_rng(0))
    inner = ndimage.binary_erosion(classes == 1, border_value=1)
    assert inner[painted == 1].all()


def test_a_class_of_one_pixel_is_painted() -> None:
    classes = np.zeros((9, 9), np.uint8)
    classes[4, 4] = 3
    painted = strokes_on_plane(classes, 2, np.random.default_rng(0))
    np.testing.assert_array_equal(painted, classes)


def test_a_stack_is_painted_on_the_planes_that_were_asked_for() -> None:
    classes = np.stack([halves_and_a_line()] * 5)
    painted = strokes_on_stack(classes, (1, 4), n_strokes=2, seed=0)
    assert np.flatnonzero(painted.any(axis=(1, 2))).tolist() == [1, 4]
    assert (painted[1] != painted[4]).any()


def test_seed() -> None:
    classes = np.stack([halves_and_a_line()] * 2)
    first, again, other = (strokes_on_stack(classes, (0,), 2, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
