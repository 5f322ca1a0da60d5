"""A first look at a pyramid: labels of a coarse level on the pixels of the fine one."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_diffseg.params import RunOptions, SegmentationParams
from napari_diffseg.widgets.image.axes_reading import Extent, read_axes
from napari_diffseg.widgets.image.first_look import FirstLook, look_first
from napari_diffseg.widgets.image.layer_facts import facts_of
from napari_diffseg.widgets.image.level import find_levels
from napari_diffseg.widgets.image.sources import describe_source

pytestmark = pytest.mark.gui

OPTIONS = RunOptions(device="cpu", threads=1, previews=True)


class Unread:
    """A level that is known by its shape only."""

    dtype = np.dtype(np.uint8)

    def __init__(self, *shape):
        self.shape, self.ndim = shape, len(shape)

    def __getitem__(self, index):
        pytest.fail("The fine level was read.")


def halves(*shape):
    rng = np.random.default_rng(0)
    pixels = rng.integers(20, 60, shape)
    pixels[..., shape[-1] // 2 :] += 150
    return pixels.astype(np.uint8)


def look_at(coarse, factor, extent=Extent.PLANE):
    shape = (*coarse.shape[:-2], *(factor * n for n in coarse.shape[-2:]))
    layer = Image(coarse, name="slide")
    viewer = ViewerModel()
    viewer.add_layer(layer)
    fake = type("Layer", (), {"multiscale": True, "rgb": False, "name": "slide"})()
    fake.ndim, fake.data = layer.ndim, [Unread(*shape), coarse]
    reading = read_axes(facts_of(layer))
    full, small = find_levels([fake], reading.letters)
    source = describe_source([layer], viewer.dims, reading, extent)
    return FirstLook(source, small, full)


def test_the_fine_level_gets_the_labels_of_the_coarse_one():
    look = look_at(halves(48, 64), 16)
    facts = look_first(look, SegmentationParams(), OPTIONS)
    assert facts.labels.shape == (48 * 16, 64 * 16)
    left, right = facts.labels[:, : 28 * 16], facts.labels[:, 36 * 16 :]
    assert np.bincount(left.ravel()).argmax() != np.bincount(right.ravel()).argmax()


def test_nothing_is_shown_outside_of_the_region():
    look = look_at(halves(48, 64), 2)
    mask = np.zeros((96, 128), bool)
    mask[10:50, 20:100] = True
    labels = look_first(look, SegmentationParams(), OPTIONS, mask).labels
    assert np.array_equal(labels > 0, mask)


def test_a_coarse_level_of_one_value_shows_nothing():
    look = look_at(np.full((48, 64), 7, np.uint8), 2)
    assert look_first(look, SegmentationParams(), OPTIONS) is None
