"""Frames of a stack: which there are, what they are called, and what is read of them."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel

from napari_diffseg.batch.sinks import make_labels
from napari_diffseg.widgets.batch.frames import FrameSet
from napari_diffseg.widgets.image.axes_reading import AxesSaid, Extent, read_axes
from napari_diffseg.widgets.image.layer_facts import facts_of
from napari_diffseg.widgets.image.sources import describe_source


def stack(shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def describe_frames(layers, dims, axes=None, extent=Extent.PLANE):
    reading = read_axes(facts_of(layers[0]), AxesSaid(axes))
    return FrameSet(tuple(layers), describe_source(layers, dims, reading, extent))


@pytest.fixture
def model():
    return ViewerModel()


def test_frames_of_time_and_depth_are_counted_in_order(model):
    data = stack((2, 3, 8, 9))
    layer = model.add_image(data, axis_labels=("t", "z", "y", "x"))
    model.dims.set_current_step((0, 1), (1, 2))
    frames = describe_frames([layer], model.dims)
    assert (frames.n_frames, frames.lengths, frames.in_view) == (6, (2, 3), 5)
    assert frames.shown.spatial_shape == (8, 9)
    assert frames.name(4) == "T\N{NO-BREAK SPACE}1, Z\N{NO-BREAK SPACE}1"
    for number in range(6):
        assert frames.number(frames.position(number)) == number
        np.testing.assert_array_equal(
            np.asarray(frames.pixels(number)), data.reshape(6, 8, 9)[number]
        )


def test_a_plane_is_one_frame(model):
    layer = model.add_image(stack((8, 9)))
    frames = describe_frames([layer], model.dims)
    assert (frames.n_frames, frames.in_view, frames.name(0)) == (1, 0, "")
    np.testing.assert_array_equal(frames.pixels(0), layer.data)


@pytest.mark.parametrize(
    ("shape", "axes", "rgb", "n_channels", "n_frames", "canvas"),
    [
        ((4, 2, 8, 9), "TCYX", False, 2, 4, (4, 1, 8, 9)),
        ((2, 4, 8, 9), "CZYX", False, 2, 4, (1, 4, 8, 9)),
        ((4, 8, 9, 3), "TYX", True, 3, 4, (4, 8, 9)),
        ((8, 9, 4), "YX", True, 3, 1, (8, 9)),
    ],
)
def test_channels_are_no_frames(model, shape, axes, rgb, n_channels, n_frames, canvas):
    layer = model.add_image(stack(shape) / 1000, rgb=rgb)
    frames = describe_frames([layer], model.dims, axes)
    assert (frames.shown.image_axes.n_channels, frames.n_frames) == (n_channels, n_frames)
    output = np.zeros(frames.shown.canvas.shape, np.uint8)
    assert output.shape == canvas
    for number in range(n_frames):
        window = frames.window(number, (slice(2, 5), slice(0, 4)))
        assert output[window].shape == (3, 4)
        output[window] += 1
    assert output.sum() == 12 * n_frames
    assert output.max() == 1


def test_several_layers_are_channels(model):
    layers = [model.add_image(stack((4, 8, 9)) + k) for k in range(2)]
    frames = describe_frames(layers, model.dims)
    assert (frames.shown.image_axes.n_channels, frames.n_frames) == (2, 4)
    assert np.asarray(frames.pixels(3)).shape == (2, 8, 9)


def test_of_a_lazy_stack_one_frame_is_read(model):
    read = []

    def plane(block_info):
        read.append(block_info[None]["array-location"][0][0])
        return np.zeros((1, 8, 9), np.float32)

    lazy = da.map_blocks(plane, chunks=((1,) * 5, 8, 9), dtype=np.float32, meta=np.empty(0))
    layer = model.add_image(lazy, contrast_limits=(0, 1))
    frames = describe_frames([layer], model.dims)
    read.clear()
    assert np.asarray(frames.pixels(3)).shape == (8, 9)
    assert read == [3]


def test_the_sliders_and_the_frames_agree(model):
    image = model.add_image(stack((5, 8, 9)), scale=(2, 1, 1), translate=(7, 0, 0))
    # The viewer has more axes than the image.
    model.add_image(stack((3, 5, 8, 9)))
    frames = describe_frames([image], model.dims)
    frames.go_to(3, image, model)
    assert model.dims.point[1] == 13
    assert frames.seen_on(image, model.dims) == 3
    assert describe_frames([image], model.dims).in_view == 3
    model.dims.set_point(1, 0)
    assert frames.seen_on(image, model.dims) is None


def test_frames_are_the_same_wherever_the_sliders_stand(model):
    image = model.add_image(stack((5, 8, 9)))
    frames = describe_frames([image], model.dims)
    model.dims.set_current_step(0, 0)
    assert frames.lies_as(describe_frames([image], model.dims))
    image.scale = (1, 2, 2)
    assert not frames.lies_as(describe_frames([image], model.dims))
    image.scale = (1, 1, 1)
    assert frames.lies_as(describe_frames([image], model.dims))
    image.data = image.data + 1
    assert not frames.lies_as(describe_frames([image], model.dims))
    model.dims.order = (1, 0, 2)
    assert not frames.lies_as(describe_frames([image], model.dims))


@pytest.mark.parametrize(
    ("units", "text"),
    [
        (("second", "um", "um"), "0.5 × 0.25 µm"),
        (("second", "nanometer", "nanometer"), "0.5 × 0.25 nm"),
        (("pixel", "pixel", "pixel"), "None"),
        (("second", "um", "nm"), "500 × 0.25 nm"),
        (("second", "um", "pixel"), "None"),
    ],
)
def test_pixels_have_a_size_where_the_layer_says_so(model, units, text):
    layer = model.add_image(stack((5, 8, 9)), scale=(1, 0.5, 0.25), units=units)
    assert str(describe_frames([layer], model.dims).shown.pixel_size) == text


def test_the_folder_of_a_large_output_goes_with_it(monkeypatch, tmp_path):
    monkeypatch.setattr("napari_diffseg.batch.sinks.MOST_IN_MEMORY", 10)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    output = make_labels((3, 1500, 40), (1, 2), np.dtype(np.uint8))
    assert output.chunks == (1, 1024, 40)
    output[1, 1000:1100] = 7
    assert output[:].sum() == 7 * 100 * 40
    assert len(list(tmp_path.iterdir())) == 1
    del output
    assert list(tmp_path.iterdir()) == []
