"""Levels of pyramids: how much they are shrunk, which is chosen, where they lie."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_diffseg.errors import InputError
from napari_diffseg.widgets.image.layer_facts import arrays_of
from napari_diffseg.widgets.image.level import (
    Level,
    carry_labels,
    find_levels,
    level_title,
    preview_level,
    suggest_level,
)
from napari_diffseg.widgets.region.placement import place

pytestmark = pytest.mark.gui


class Empty:
    """An array of any size, of which nothing is ever held."""

    dtype = np.dtype(np.uint8)

    def __init__(self, *shape):
        self.shape, self.ndim, self.size = shape, len(shape), int(np.prod(shape))

    def __getitem__(self, index):
        pytest.fail("A level was read.")


def pyramid(*shapes, name="slide", **options):
    layer = Image([np.zeros(shape, np.uint8) for shape in shapes], multiscale=True, **options)
    layer.name = name
    return layer


def levels(*shapes, ndim=2):
    factors = [tuple(a / b for a, b in zip(shapes[0], shape, strict=True)) for shape in shapes]
    both = zip(shapes, factors, strict=True)
    return tuple(Level(number, *one) for number, one in enumerate(both))


@pytest.mark.parametrize(
    ("letters", "shapes", "factors"),
    [
        ("YX", [(64, 48), (32, 24), (16, 12)], [(1, 1), (2, 2), (4, 4)]),
        ("YX", [(65, 49), (33, 25), (17, 13)], [(1, 1), (2, 2), (4, 4)]),
        ("YX", [(65, 49), (32, 24), (16, 12)], [(1, 1), (2, 2), (4, 4)]),
        ("YX", [(64, 48), (16, 12)], [(1, 1), (4, 4)]),
        # The short axis says little; the long one tells.
        ("YX", [(100, 10), (13, 2)], [(1, 1), (8, 8)]),
        ("YX", [(90, 60), (60, 40)], [(1, 1), (1.5, 1.5)]),
        ("ZYX", [(9, 64, 64), (9, 32, 32)], [(1, 1, 1), (1, 2, 2)]),
        ("ZYX", [(9, 64, 64), (5, 32, 32)], [(1, 1, 1), (2, 2, 2)]),
        ("ZYX", [(3, 64, 64), (1, 16, 16)], [(1, 1, 1), (3, 4, 4)]),
        ("CYX", [(3, 64, 64), (3, 32, 32)], [(1, 1, 1), (1, 2, 2)]),
        ("YX", [(64, 64), (64, 64), (32, 32)], [(1, 1), (2, 2)]),
    ],
)
def test_by_how_much_levels_are_shrunk(letters, shapes, factors):
    found = find_levels([pyramid(*shapes)], letters)
    assert [level.factors for level in found] == factors


def test_a_layer_of_one_resolution_has_one_level():
    layer = Image(np.zeros((5, 20, 30)), name="cells")
    (level,) = find_levels([layer], "ZYX")
    assert level == Level(0, (5, 20, 30), (1.0, 1.0, 1.0))
    assert arrays_of(layer)[level.number] is layer.data


def test_the_colours_are_no_axis():
    layer = pyramid((64, 48, 3), (32, 24, 3), rgb=True)
    found = find_levels([layer], "YX")
    assert [level.shape for level in found] == [(64, 48), (32, 24)]
    assert arrays_of(layer)[found[1].number].shape == (32, 24, 3)


def test_several_layers_have_the_levels_that_all_of_them_have():
    one, two = pyramid((64, 64), (32, 32), (16, 16)), pyramid((64, 64), (32, 32), (8, 8))
    assert [level.number for level in find_levels([one, two], "YX")] == [0, 1]
    plain = Image(np.zeros((64, 64)))
    assert [level.number for level in find_levels([one, plain], "YX")] == [0]


@pytest.mark.parametrize(
    ("letters", "shapes", "said"),
    [
        ("YX", [(64, 64), (32, 32), (48, 16)], "Y is 48 long in its level 2 and 32"),
        ("YX", [(64, 64), (32, 16)], "level 1 is 32 × 16 pixels of 64 × 64, so Y and X"),
        ("ZYX", [(4, 64, 64), (32, 32)], "level 1 has 2 axes, but the full resolution has 3"),
        ("CYX", [(4, 64, 64), (2, 32, 32)], "C is 2 long in its level 1 and 4"),
        ("TYX", [(4, 64, 64), (2, 32, 32)], "T is 2 long"),
    ],
)
def test_a_pyramid_whose_levels_do_not_match(letters, shapes, said):
    layer = pyramid(shapes[0], name="slide")
    # napari itself takes some of these, and breaks on others.
    fake = type("Layer", (), {"multiscale": True, "rgb": False, "name": "slide"})()
    fake.ndim, fake.data = layer.ndim, [Empty(*shape) for shape in shapes]
    with pytest.raises(InputError, match=said) as error:
        find_levels([fake], letters)
    assert "'slide'" in str(error.value)


@pytest.mark.parametrize(
    ("shapes", "spatial", "number"),
    [
        ([(512, 512)], (0, 1), 0),
        ([(2048, 2048), (1024, 1024)], (0, 1), 0),
        ([(8192, 8192), (4096, 4096), (2048, 2048), (1024, 1024)], (0, 1), 2),
        ([(9000, 9000), (4500, 4500)], (0, 1), 1),
        # Plane by plane the number of planes does not matter; as a volume it does.
        ([(999, 2048, 2048), (999, 1024, 1024), (999, 128, 128)], (1, 2), 0),
        ([(999, 2048, 2048), (999, 1024, 1024), (999, 128, 128)], (0, 1, 2), 2),
        ([(128, 512, 512), (128, 256, 256)], (0, 1, 2), 0),
    ],
)
def test_the_level_that_is_suggested(shapes, spatial, number):
    assert suggest_level(levels(*shapes), spatial).number == number


@pytest.mark.parametrize(
    ("sides", "chosen", "number"),
    [
        ([2048, 256], 0, None),
        ([8192, 1024, 512, 256, 128], 0, 3),
        ([8192, 4096, 256], 1, 2),
        ([8192, 2048, 256], 1, None),
        ([8192, 4096, 1024], 0, 2),
        ([8192, 4096], 1, None),
    ],
)
def test_the_level_of_the_first_look(sides, chosen, number):
    every = levels(*[(side, side) for side in sides])
    preview = preview_level(every, (0, 1), every[chosen])
    assert (None if preview is None else preview.number) == number


@pytest.mark.parametrize(
    ("level", "spatial", "title"),
    [
        (Level(0, (4096, 4096), (1, 1)), (0, 1), "full, 4096 × 4096"),
        (Level(1, (2048, 2048), (2, 2)), (0, 1), "1/2, 2048 × 2048"),
        (Level(1, (9, 51, 30, 40), (1, 1, 1.5, 1.5)), (1, 2, 3), "1/1.5, 51 × 30 × 40"),
        (Level(2, (9, 51, 30, 40), (1, 1, 16, 16)), (2, 3), "1/16, 30 × 40"),
    ],
)
def test_what_a_level_is_called(level, spatial, title):
    assert level_title(level, spatial) == title


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_a_pixel_of_a_level_lies_in_the_middle_of_its_block(factor):
    layer = Image(np.zeros((24, 36)), scale=(0.5, 0.2), translate=(7, -3), rotate=20)
    (level,) = [Level(1, (24 // factor, 36 // factor), (factor, factor))]
    _, placement = place(layer, level.shape, np.array(level.factors, float), -1, {})
    for row, column in [(0, 0), (3, 5)]:
        block = np.mgrid[
            row * factor : (row + 1) * factor, column * factor : (column + 1) * factor
        ].reshape(2, -1)
        middle = np.mean([layer.data_to_world(one) for one in block.T], axis=0)
        assert np.allclose(placement.to_world((row, column)), middle)


@pytest.mark.parametrize("factor", [2, 3, 8])
def test_labels_are_carried_to_the_full_resolution_and_back(factor):
    coarse = np.random.default_rng(0).integers(0, 9, (7, 5)).astype(np.uint8)
    small = Level(1, (7, 5), (factor, factor))
    full = Level(0, (7 * factor - 1, 5 * factor), (1, 1))
    carried = carry_labels(coarse, small, full, (0, 1))
    assert np.array_equal(carried, np.kron(coarse, np.ones((factor, factor), int))[: full.shape[0]])
    assert carried.dtype == coarse.dtype
    assert np.array_equal(carry_labels(carried, full, small, (0, 1)), coarse)


def test_labels_of_planes_are_carried_along_some_axes_only():
    labels = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    small = Level(1, (9, 3, 2, 2), (1, 1, 2, 2))
    full = Level(0, (9, 3, 4, 4), (1, 1, 1, 1))
    carried = carry_labels(labels, small, full, (1, 2, 3))
    assert np.array_equal(carried, labels.repeat(2, axis=1).repeat(2, axis=2))
