"""Layers → arrays: which plane is taken, along which axes, and where its result stands."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_diffseg.errors import InputError
from napari_diffseg.widgets.image import sources
from napari_diffseg.widgets.image.axes_reading import AxesSaid, Extent, read_axes
from napari_diffseg.widgets.image.layer_facts import facts_of, read_layer
from napari_diffseg.widgets.image.level import find_levels
from napari_diffseg.widgets.segment.result_layer import ResultLayer

pytestmark = pytest.mark.gui


def model(*layers):
    viewer = ViewerModel()
    for layer in layers:
        viewer.add_layer(layer)
    return viewer


def describe_source(layers, dims, axes=None, **more):
    reading = read_axes(facts_of(layers[0]), AxesSaid(axes))
    return sources.describe_source(layers, dims, reading, **more)


def pixels(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 255, shape).astype(dtype)


@pytest.mark.parametrize(
    ("shape", "options", "axes", "read_shape", "read_axes", "words"),
    [
        ((20, 30), {}, None, (20, 30), "YX", "Y 20 · X 30 · one channel"),
        ((20, 30, 3), {"rgb": True}, None, (20, 30, 3), "YXC", "3 channels (RGB)"),
        ((20, 30, 4), {"rgb": True}, None, (20, 30, 4), "YXC", "alpha dropped"),
        ((15, 20, 30), {}, None, (20, 30), "YX", "one channel"),
        ((5, 20, 30), {}, "CYX", (5, 20, 30), "CYX", "5 channels"),
        ((4, 2, 5, 20, 30), {}, None, (2, 20, 30), "CYX", "2 channels"),
        ((5, 20, 30, 3), {"rgb": True}, None, (20, 30, 3), "YXC", "3 channels (RGB)"),
    ],
)
def test_what_is_read(shape, options, axes, read_shape, read_axes, words):
    layer = Image(pixels(*shape), **options)
    source = describe_source([layer], model(layer).dims, axes)
    assert source.read().shape == read_shape
    assert source.axes == read_axes
    assert words in source.image_axes.describe()


def test_the_displayed_plane_is_taken_and_said():
    layer = Image(pixels(4, 6, 20, 30), scale=(1, 2, 0.5, 0.5), translate=(0, 10, 0, 0))
    viewer = model(layer)
    viewer.dims.set_current_step(0, 3)
    viewer.dims.set_current_step(1, 2)
    source = describe_source([layer], viewer.dims)
    np.testing.assert_array_equal(source.read(), layer.data[3, 2])
    note = source.notes[0].replace(sources.NO_BREAK, " ")
    assert note == "Only the displayed plane is segmented: T 3 of 0–3, Z 2 of 0–5."
    assert source.placement.shape == (1, 1, 20, 30)
    np.testing.assert_allclose(source.placement.transform["translate"], (3, 14, 0, 0))


def test_a_layer_with_fewer_axes_than_the_viewer():
    stack, flat = Image(pixels(6, 20, 30)), Image(pixels(20, 30))
    viewer = model(stack, flat)
    viewer.dims.set_current_step(0, 4)
    source = describe_source([flat], viewer.dims)
    assert source.read().shape == (20, 30)
    assert source.notes == ()


def test_the_view_is_turned():
    layer = Image(pixels(6, 20, 30), axis_labels=("z", "y", "x"))
    viewer = model(layer)
    viewer.dims.order = (1, 0, 2)
    viewer.dims.set_current_step(1, 7)
    source = describe_source([layer], viewer.dims)
    np.testing.assert_array_equal(source.read(), layer.data[:, 7])
    assert source.placement.shape == (6, 1, 30)
    assert any("shows Z and X" in note for note in source.notes)


def test_the_view_is_mirrored_along_the_diagonal():
    layer = Image(pixels(20, 30))
    viewer = model(layer)
    viewer.dims.order = (1, 0)
    source = describe_source([layer], viewer.dims)
    assert source.read().shape == (20, 30)
    assert source.notes == ()


def test_in_3d_the_plane_is_that_of_the_slider():
    layer = Image(pixels(6, 20, 30), axis_labels=("z", "y", "x"))
    viewer = model(layer)
    viewer.dims.set_current_step(0, 4)
    viewer.dims.ndisplay = 3
    source = describe_source([layer], viewer.dims)
    np.testing.assert_array_equal(source.read(), layer.data[4])


def test_the_result_of_channels_is_seen_from_each_of_them():
    layer = Image(pixels(3, 20, 30), scale=(2, 1, 1))
    viewer = model(layer)
    source = describe_source([layer], viewer.dims, "CYX")
    labels = viewer.add_labels(
        np.ones(source.placement.shape, np.uint8), **source.placement.transform
    )
    for channel in range(3):
        position = layer.data_to_world((channel, 5, 5))
        np.testing.assert_allclose(np.round(labels.world_to_data(position)), (0, 5, 5))
    assert viewer.dims.nsteps[0] == 3


@pytest.mark.parametrize("axes", [None, "CYX"])
def test_the_result_lies_on_the_image(axes):
    """Every pixel of the result has the world position of its pixel of the image."""
    layer = Image(
        pixels(3, 20, 30),
        scale=(2, 0.5, 0.25),
        translate=(1, 2, 3),
        rotate=(0, 0, 30),
        shear=(0, 0, 0.2),
        affine=np.array([[1, 0, 0, 5], [0, 1, 0.1, 6], [0, 0, 2, 7], [0, 0, 0, 1]]),
        units=("s", "µm", "µm"),
        axis_labels=("t", "y", "x") if axes is None else ("c", "y", "x"),
    )
    viewer = model(layer)
    source = describe_source([layer], viewer.dims, axes)
    result = ResultLayer(viewer, source, 4)
    (labels,) = (one for one in viewer.layers if result.is_layer(one))
    plane = 1 if axes else int(np.round(layer.world_to_data(viewer.dims.point))[0])
    for y, x in [(0, 0), (19, 0), (7, 29)]:
        np.testing.assert_allclose(
            labels.data_to_world((0, y, x)), layer.data_to_world((plane, y, x)), atol=1e-9
        )
    assert labels.units == layer.units
    assert labels.axis_labels == layer.axis_labels


def test_a_level_of_a_multiscale_image_lies_where_it_should():
    layer = Image([pixels(2, 40, 60), pixels(2, 20, 30)], multiscale=True, scale=(1, 0.5, 0.5))
    viewer = model(layer)
    assert describe_source([layer], viewer.dims, "ZYX").read().shape == (40, 60)
    source = describe_source([layer], viewer.dims, "ZYX", level=find_levels([layer], "ZYX")[1])
    assert source.read().shape == (20, 30)
    labels = viewer.add_labels(
        np.ones(source.placement.shape, np.uint8), **source.placement.transform
    )
    # The middle of a large pixel is the middle of its four small ones.
    np.testing.assert_allclose(labels.data_to_world((0, 0, 0))[1:], (0.25, 0.25))
    np.testing.assert_allclose(labels.scale[1:], (1, 1))


def test_lazy_data_are_read_only_when_the_run_reads_them():
    dask = pytest.importorskip("dask.array")
    reads = []

    def block(block_info=None):
        reads.append(block_info)
        return np.ones((1, 20, 30), np.uint8)

    data = dask.map_blocks(block, chunks=((1,) * 6, (20,), (30,)), dtype=np.uint8, meta=np.empty(0))
    layer = Image(data, contrast_limits=(0, 1))
    viewer = model(layer)
    before = len(reads)
    source = describe_source([layer], viewer.dims, "ZYX")
    assert len(reads) == before
    assert source.read().shape == (20, 30)
    assert len(reads) == before + 1


def test_layers_are_stacked_as_channels():
    one, two = Image(pixels(20, 30), name="one"), Image(pixels(20, 30, dtype=np.uint16), name="two")
    source = describe_source([one, two], model(one, two).dims)
    assert source.axes == "CYX"
    assert source.read().shape == (2, 20, 30)
    assert source.layer_names == ("one", "two")


def test_no_layer_is_a_clear_sentence():
    with pytest.raises(InputError, match="There is no image yet"):
        read_layer(None)


@pytest.mark.parametrize(
    ("shape", "options", "sentence"),
    [
        ((9, 9), {}, "'one' is 20 × 30 and 'two' is 9 × 9"),
        ((20, 30, 3), {"rgb": True}, "'two' is a colour image"),
    ],
)
def test_channels_that_do_not_fit(shape, options, sentence):
    one, two = Image(pixels(20, 30), name="one"), Image(pixels(*shape), name="two", **options)
    with pytest.raises(InputError, match=sentence):
        describe_source([one, two], model(one, two).dims)


def test_two_colour_images_are_no_channels():
    one, two = (Image(pixels(20, 30, 3), name=name, rgb=True) for name in ("one", "two"))
    with pytest.raises(InputError, match="colour image"):
        describe_source([one, two], model(one, two).dims)


@pytest.mark.parametrize(
    "options",
    [
        {"scale": (2, 1)},
        {"translate": (0, 3)},
        {"rotate": 90},
        {"shear": (0.5,)},
    ],
    ids=lambda options: next(iter(options)),
)
def test_channels_that_lie_elsewhere_are_refused(options):
    one = Image(pixels(20, 30), name="one")
    two = Image(pixels(20, 30), name="two", **options)
    with pytest.raises(InputError, match="'two' does not lie where 'one' lies"):
        describe_source([one, two], ViewerModel().dims)


def test_channels_in_other_units_are_refused():
    one, two = (
        Image(pixels(20, 30), name=name, units=(unit, unit))
        for name, unit in (("one", "um"), ("two", "nm"))
    )
    with pytest.raises(InputError, match="'two' and 'one' do not belong together: their units"):
        describe_source([one, two], ViewerModel().dims)


def test_channels_that_lie_together_elsewhere_are_taken():
    options = {"scale": (0.1, 0.2), "translate": (300, -5), "rotate": 30, "units": ("nm", "nm")}
    one, two = (Image(pixels(20, 30), name=name, **options) for name in ("one", "two"))
    assert describe_source([one, two], model(one, two).dims).axes == "CYX"


def test_channels_of_different_data_types_are_noted():
    one, two = Image(pixels(20, 30), name="one"), Image(pixels(20, 30, dtype=np.uint16), name="two")
    (note,) = describe_source([one, two], model(one, two).dims).notes
    assert "uint16, uint8" in note
    assert describe_source([one, one], model(one, two).dims).notes == ()


@pytest.mark.parametrize(
    ("axes", "sentence"),
    [
        ("YX", "name 2 axes"),
        ("AYX", "unknown letter 'A'"),
        ("YYX", "name Y more than once"),
        ("TZY", "have no X"),
        ("YXC", "channel axis as if it were space"),
    ],
)
def test_stated_axes_that_do_not_fit(axes, sentence):
    layer = Image(pixels(5, 20, 30))
    with pytest.raises(InputError, match=sentence):
        describe_source([layer], model(layer).dims, axes)


def test_channels_stated_twice():
    layer = Image(pixels(5, 20, 30, 3), rgb=True)
    with pytest.raises(InputError, match="colours already"):
        describe_source([layer], model(layer).dims, "CYX")


def test_the_slider_stands_beside_the_image():
    short, long = Image(pixels(3, 20, 30), name="short"), Image(pixels(9, 20, 30))
    viewer = model(short, long)
    viewer.dims.set_current_step(0, 7)
    with pytest.raises(InputError, match="'short' ends at Z 2"):
        describe_source([short], viewer.dims, "ZYX")


def test_an_axis_that_the_layer_does_not_have_is_displayed():
    flat, stack = Image(pixels(20, 30)), Image(pixels(9, 20, 30))
    viewer = model(flat, stack)
    viewer.dims.order = (1, 0, 2)
    with pytest.raises(InputError, match="does not have"):
        describe_source([flat], viewer.dims)


def test_a_discarded_result_is_gone_and_twice_does_no_harm():
    layer = Image(pixels(20, 30), name="cells")
    viewer = model(layer)
    result = ResultLayer(viewer, describe_source([layer], viewer.dims), 4)
    assert len(viewer.layers) == 2
    result.discard()
    result.discard()
    assert list(viewer.layers) == [layer]


@pytest.mark.parametrize("n_labels", [2, 8, 32, 100, 300, 1024])
def test_each_label_has_a_colour_of_its_own(n_labels):
    layer = Image(pixels(20, 30), name="cells")
    viewer = model(layer)
    ResultLayer(viewer, describe_source([layer], viewer.dims), n_labels)
    colors = {tuple(viewer.layers[-1].get_color(n)) for n in range(1, n_labels + 1)}
    assert len(colors) == n_labels


def seen(labels_layer):
    """The colour of each pixel, as one number."""
    colors = [labels_layer.get_color(n) for n in range(int(labels_layer.data.max()) + 1)]
    codes = np.array(
        [0 if c is None else int((c * 255).astype(int) @ (1, 256, 65536, 0)) for c in colors]
    )
    return codes[labels_layer.data]


def result_of(labels):
    return SimpleNamespace(labels=labels, notes=(), provenance=dict)


@pytest.fixture
def striped():
    """A result layer with a preview of six stripes; the layer, and the stripes."""
    layer = Image(pixels(20, 30), name="cells")
    viewer = model(layer)
    result = ResultLayer(viewer, describe_source([layer], viewer.dims), 9)
    stripes = np.repeat(np.arange(1, 7, dtype=np.uint8), 5)[None].repeat(20, axis=0)
    result.show_preview(stripes)
    return result, viewer.layers[-1], stripes


def test_other_numbers_keep_the_colours_of_the_preview(striped):
    result, labels, stripes = striped
    before = seen(labels)
    result.complete(result_of(np.array([0, 6, 3, 2, 1, 4, 5], np.uint8)[stripes]))
    np.testing.assert_array_equal(seen(labels), before)


def test_what_is_merged_takes_the_colour_of_its_largest_part(striped):
    result, labels, stripes = striped
    stripes[:, :8] = 1
    result.complete(result_of(stripes))
    before = seen(labels)
    # 1 is larger than 2, 5 and 6 stay alone, and all the numbers are others.
    result.complete(result_of(np.array([0, 4, 4, 3, 3, 2, 1], np.uint8)[stripes]))
    merged = seen(labels)
    np.testing.assert_array_equal(merged[:, :10], before[0, 0])
    np.testing.assert_array_equal(merged[:, 20:], before[:, 20:])
    assert len(np.unique(merged)) == 4
    # Split again: the largest parts keep the colour.
    result.complete(result_of(stripes))
    split = seen(labels)
    np.testing.assert_array_equal(split[:, :8], before[0, 0])
    np.testing.assert_array_equal(split[:, 20:], before[:, 20:])
    assert len(np.unique(split)) == 6


def test_a_label_that_is_out_of_range_does_no_harm(striped):
    result, labels, stripes = striped
    labels.data = np.where(stripes == 2, 200, stripes).astype(np.uint8)
    result.complete(result_of(stripes))
    np.testing.assert_array_equal(labels.data, stripes)


# --- volumes ----------------------------------------------------------------------------


def numbered(axes, lengths):
    """Voxels that tell where they are: 10000 t + 1000 c + 100 z + 10 y + x."""
    places = dict(zip(axes, np.indices([lengths[one] for one in axes]), strict=True))
    steps = {"T": 10_000, "C": 1000, "Z": 100, "Y": 10, "X": 1}
    return sum(steps[one] * places[one] for one in axes)


LENGTHS = {"T": 2, "C": 3, "Z": 4, "Y": 5, "X": 6}


@pytest.mark.parametrize(
    "axes",
    ["ZYX", "TZYX", "CZYX", "ZCYX", "ZYXC", "TZCYX", "TCZYX", "CTZYX", "XYZ", "XCZTY", "YXZT"],
)
@pytest.mark.parametrize("ndisplay", [2, 3])
def test_a_volume_is_taken_whole_whatever_the_view(axes, ndisplay):
    data = numbered(axes, LENGTHS)
    layer = Image(data, axis_labels=tuple(axes.lower()), contrast_limits=(0, 1))
    viewer = model(layer)
    viewer.dims.ndisplay = ndisplay
    viewer.dims.set_current_step(axes.index("Z"), 3)
    if "T" in axes:
        viewer.dims.set_current_step(axes.index("T"), 1)
    for order in (viewer.dims.order, viewer.dims.order[::-1]):
        viewer.dims.order = order
        source = describe_source([layer], viewer.dims, extent=Extent.VOLUME)
        assert source.is_volume
        assert source.spatial_shape == (4, 5, 6)
        assert source.look_at == 3
        where = source.image_axes
        assert where.spatial_shape == (4, 5, 6)
        assert where.n_channels == (3 if "C" in axes else 1)
        volume = source.read()
        assert volume.min() == (10_000 if "T" in axes else 0)
        assert volume.size == 4 * 5 * 6 * where.n_channels
        # What comes out in the order z y x goes back to where the voxels are.
        labels = numbered("ZYX", LENGTHS)
        placed = source.in_place(labels)
        assert placed.shape == source.placement.shape
        np.testing.assert_array_equal(source.from_place(placed), labels)
        there = np.broadcast_to(placed, [1 if a == "T" else LENGTHS[a] for a in axes])
        seen = np.take(data, [1], axis=axes.index("T")) if "T" in axes else data
        np.testing.assert_array_equal(there, seen % 1000)


def test_a_volume_lies_where_its_layer_lies():
    place = {
        "scale": (30, 3, 0.5, 0.5),
        "translate": (0, 7, 8, 9),
        "units": ("s", "um", "um", "um"),
    }
    layer = Image(pixels(3, 5, 20, 30), axis_labels=("t", "z", "y", "x"), **place)
    viewer = model(layer)
    viewer.dims.set_current_step(0, 2)
    source = describe_source([layer], viewer.dims, extent=Extent.VOLUME)
    result = ResultLayer(viewer, source, 4)
    (labels,) = (one for one in viewer.layers if result.is_layer(one))
    assert labels.data.shape == (1, 5, 20, 30)
    np.testing.assert_allclose(
        labels.data_to_world((0, 4, 3, 2)), layer.data_to_world((2, 4, 3, 2))
    )
    assert (labels.units, labels.axis_labels) == (layer.units, layer.axis_labels)
    assert source.spacing == (3, 0.5, 0.5)
    assert str(source.pixel_size) == "3 × 0.5 × 0.5 µm"
    (note,) = source.notes
    expected = "Only the volume of the displayed time point is segmented: T 2 of 0–2."
    assert note.replace(sources.NO_BREAK, " ") == expected


@pytest.mark.parametrize(
    ("factor", "scale", "spacing"),
    [(1, (4, 1, 1), (2, 1, 1)), (1, (1, 1, 1), (1, 2, 2)), (2, (4, 1, 1), (4, 1, 1))],
    ids=["planes kept", "size unknown", "planes halved too"],
)
def test_the_spacing_of_a_level(factor, scale, spacing):
    fine, coarse = pixels(8, 40, 60), pixels(8 // factor, 20, 30)
    layer = Image([fine, coarse], multiscale=True, scale=scale)
    level = find_levels([layer], "ZYX")[1]
    source = describe_source([layer], model(layer).dims, "ZYX", extent=Extent.VOLUME, level=level)
    z, y, x = source.spacing
    np.testing.assert_allclose((z / x, y / x), np.array(spacing[:2]) / spacing[2])


def test_previews_of_a_volume_leave_other_planes_alone():
    layer = Image(pixels(4, 8, 9), axis_labels=("z", "x", "y"))
    viewer = model(layer)
    source = describe_source([layer], viewer.dims, extent=Extent.VOLUME)
    result = ResultLayer(viewer, source, 4)
    labels = np.ones((4, 9, 8), np.uint8)
    result.show_preview(labels)
    labels = np.zeros((4, 9, 8), np.uint8)
    labels[2, 3] = 3
    result.show_preview(labels)
    shown = source.from_place(result.layer.data)
    assert shown[2].max() == 3
    assert shown[2].min() == 0
    assert (shown[[0, 1, 3]] == 1).all()


def test_a_stack_of_one_plane_has_no_volume():
    layer = Image(pixels(1, 20, 30), axis_labels=("z", "y", "x"))
    source = describe_source([layer], model(layer).dims, extent=Extent.VOLUME)
    assert not source.is_volume
    assert source.read().shape == (20, 30)
