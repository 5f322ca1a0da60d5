"""Labels layers → strokes: which plane of them, whether they fit, and how they are seen."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_diffseg.errors import InputError
from napari_diffseg.image.arrays import checksum
from napari_diffseg.widgets.image.axes_reading import AxesSaid, read_axes
from napari_diffseg.widgets.image.layer_facts import facts_of
from napari_diffseg.widgets.image.sources import describe_source
from napari_diffseg.widgets.scribbles.strokes import (
    describe_strokes,
    scribble_layers,
    sensible_brush,
    visible_part,
)

pytestmark = pytest.mark.gui


def source_of(image, *, z=None, axes=None):
    viewer = ViewerModel()
    viewer.add_layer(image)
    if z is not None:
        viewer.dims.set_current_step(0, z)
    return describe_source([image], viewer.dims, read_axes(facts_of(image), AxesSaid(axes)))


def painted(*shape, dtype=np.uint8):
    return (np.arange(np.prod(shape)) % 3).reshape(shape).astype(dtype)


@pytest.mark.parametrize(
    ("image", "axes", "strokes", "plane"),
    [
        (Image(np.zeros((20, 30))), None, painted(20, 30), lambda p: p),
        (Image(np.zeros((20, 30, 3), np.uint8), rgb=True), None, painted(20, 30), lambda p: p),
        (Image(np.zeros((5, 20, 30))), None, painted(20, 30), lambda p: p),
        (Image(np.zeros((5, 20, 30))), None, painted(5, 20, 30), lambda p: p[3]),
        (Image(np.zeros((4, 20, 30))), "CYX", painted(1, 20, 30), lambda p: p[0]),
        (Image(np.zeros((4, 20, 30))), "CYX", painted(4, 20, 30), lambda p: p.max(axis=0)),
        (Image(np.zeros((4, 20, 30))), "CYX", painted(20, 30), lambda p: p),
    ],
    ids=["YX", "RGB", "ZYX, a plane", "ZYX, a stack", "CYX, new", "CYX, whole", "CYX, a plane"],
)
@pytest.mark.parametrize("wrap", [np.asarray, da.from_array], ids=["numpy", "dask"])
def test_the_strokes_of_the_displayed_plane(image, axes, strokes, plane, wrap):
    source = source_of(image, z=3 if image.ndim == 3 else None, axes=axes)
    found = describe_strokes(Labels(wrap(strokes)), source)
    np.testing.assert_array_equal(found.read(), plane(strokes))
    assert found.is_in_memory == (wrap is np.asarray)


@pytest.mark.parametrize("wrap", [np.asarray, da.from_array], ids=["numpy", "dask"])
def test_the_painted_planes_of_a_stack(wrap):
    source = source_of(Image(np.zeros((5, 20, 30))), z=3, axes="ZYX")
    strokes = np.zeros((5, 20, 30), np.uint8)
    strokes[1, 2, 3:9], strokes[3, 4, 5], strokes[3, 9, 9] = 4, 2, 7
    found = describe_strokes(Labels(wrap(strokes)), source)
    assert found.position == (3,)
    planes = found.find_painted()
    assert {at: plane.classes for at, plane in planes.items()} == {(1,): (4,), (3,): (2, 7)}
    np.testing.assert_array_equal(found.at((1,)).read(), strokes[1])
    assert planes[3,].checksum == checksum(strokes[3])


def test_a_plane_of_scribbles_is_no_stack():
    source = source_of(Image(np.zeros((5, 20, 30))), z=3)
    found = describe_strokes(Labels(painted(20, 30)), source)
    assert (found.stack, found.position, found.missing) == ((), (), 1)


def test_planes_of_one_stack_span_the_same():
    layer = Labels(painted(5, 20, 30))
    image = Image(np.zeros((5, 20, 30)))
    one, two = (describe_strokes(layer, source_of(image, z=z)) for z in (1, 4))
    assert one.spans_the_same(two)
    other = describe_strokes(Labels(painted(5, 20, 30)), source_of(image, z=1))
    assert not one.spans_the_same(other)


def test_of_multiscale_labels_the_finest_level_counts():
    strokes = painted(64, 64)
    layer = Labels([strokes, strokes[::2, ::2]], multiscale=True)
    found = describe_strokes(layer, source_of(Image(np.zeros((64, 64)))))
    np.testing.assert_array_equal(found.read(), strokes)


def test_the_strokes_are_a_copy():
    layer = Labels(painted(20, 30))
    found = describe_strokes(layer, source_of(Image(np.zeros((20, 30))))).read()
    layer.data[:] = 9
    assert found.max() == 2


@pytest.mark.parametrize(
    ("image", "strokes"),
    [
        (np.zeros((20, 30)), painted(30, 20)),
        (np.zeros((20, 30)), painted(2, 20, 30)),
        (np.zeros((5, 20, 30)), painted(4, 20, 30)),
    ],
)
def test_another_shape_is_one_sentence(image, strokes):
    with pytest.raises(InputError, match="but the image 'i' is .*; choose others, or none"):
        describe_strokes(Labels(strokes, name="s"), source_of(Image(image, name="i")))


@pytest.mark.parametrize(
    "place",
    [
        {"scale": (2, 1)},
        {"translate": (0, 4)},
        {"rotate": 20},
        {"affine": np.diag([1.0, 3.0, 1.0])},
    ],
    ids=["scale", "translate", "rotate", "affine"],
)
def test_scribbles_that_lie_elsewhere_are_one_sentence(place):
    source = source_of(Image(np.zeros((20, 30)), name="i"))
    with pytest.raises(InputError, match="'s' do not lie on 'i': their scale or position"):
        describe_strokes(Labels(painted(20, 30), name="s", **place), source)


def test_scribbles_on_one_plane_do_not_count_on_another():
    stack = Image(np.zeros((5, 20, 30)))
    layer = Labels(painted(1, 20, 30), translate=(3, 0, 0))
    assert describe_strokes(layer, source_of(stack, z=3, axes="ZYX")).read().max() == 2
    with pytest.raises(InputError, match="do not lie on"):
        describe_strokes(layer, source_of(stack, z=1, axes="ZYX"))


def test_a_scaled_and_turned_image_has_fitting_scribbles():
    place = {"scale": (0.5, 0.25), "translate": (7, 8), "rotate": 30}
    source = source_of(Image(np.zeros((20, 30)), **place))
    assert describe_strokes(Labels(painted(20, 30), **place), source).read().shape == (20, 30)
    made = Labels(np.zeros(source.canvas.shape, np.uint8), **source.canvas.transform)
    assert describe_strokes(made, source).read().shape == (20, 30)


def test_the_checksum_tells_strokes_apart():
    strokes = painted(20, 30)
    other = strokes.copy()
    other[3, 4] += 1
    assert checksum(strokes) == checksum(strokes.copy())
    assert checksum(strokes) != checksum(other)


@pytest.mark.parametrize(
    ("corners", "view"),
    [
        ([[0, 0], [19, 29]], None),
        ([[0, 0], [0, 0]], None),
        ([[5, 6], [10, 20]], (slice(5, 11), slice(6, 21))),
        ([[-3, 6], [10, 99]], (slice(0, 11), slice(6, 30))),
    ],
    ids=["all", "never drawn", "a part", "beyond the edge"],
)
def test_what_the_window_shows(corners, view):
    layer = Labels(painted(20, 30))
    layer.corner_pixels = np.array(corners)
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((20, 30)))
    assert visible_part(layer, source_of(image), viewer.dims) == view


@pytest.mark.parametrize(
    ("shape", "scale", "zoom", "brush"),
    [
        ((512, 512), 1, 1.5, 8),
        ((512, 512), 0.5, 3.0, 8),
        ((16, 16), 1, 40, 1),
        ((4000, 4000), 1, 0.01, 160),
    ],
)
def test_a_brush_suits_image_and_zoom(shape, scale, zoom, brush):
    image = Image(np.zeros(shape, np.uint8), scale=(scale, scale))
    assert sensible_brush(source_of(image), zoom) == brush


def test_labels_layers_are_offered_topmost_first():
    viewer = ViewerModel()
    for name in ("a", "b"):
        viewer.add_layer(Labels(painted(4, 4), name=name))
    viewer.add_layer(Image(np.zeros((4, 4))))
    assert [layer.name for layer in scribble_layers(viewer)] == ["b", "a"]
