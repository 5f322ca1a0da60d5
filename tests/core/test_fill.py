"""Fill around an image is left out of the statistics, of the training and of the labels."""

from __future__ import annotations

from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import torch

from napari_diffseg import (
    ApplyParams,
    InputError,
    Model,
    Reference,
    SegmentationParams,
    segment,
    segment_steps,
    train,
)
from napari_diffseg.core import blocks
from napari_diffseg.core.training_images import ImageOptions, read_for_training
from napari_diffseg.image import pieces

SHAPE = (240, 260)
PLACE = slice(60, 156), slice(70, 198)
NOTE = "was taken for fill"


@pytest.fixture
def frame(scene):
    """The scene 10,000 above the fill."""
    return framed(scene.image, 10_000)


def framed(picture, offset, value=0):
    pixels = np.full(SHAPE, value, np.uint16)
    pixels[PLACE] = picture * 1000 + offset
    return pixels


def in_frame(array):
    frame = np.zeros(SHAPE, array.dtype)
    frame[PLACE] = array
    return frame


@pytest.fixture
def settings(quick, options):
    return {"axes": "YX", "params": quick, "options": options}


def with_nan(frame):
    return np.where(frame == 0, np.nan, frame.astype(np.float32))


def share_right(labels, scene):
    return (labels[PLACE] == scene.wanted).mean()


@pytest.mark.parametrize("offset", [1500, 10_000])
def test_the_range_is_that_of_the_image_and_strokes_are_followed(scene, settings, offset):
    frame, strokes = framed(scene.image, offset), in_frame(scene.strokes)
    result = segment(frame, scribbles=strokes, **settings)
    assert result.model.fill == 0
    assert result.model.ranges.low[0] >= offset
    assert (result.labels[frame == 0] == 0).all()
    assert (result.labels[frame > 0] > 0).all()
    assert share_right(result.labels, scene) > 0.97
    (note,) = [one for one in result.notes if NOTE in one]
    assert f"The value 0 {NOTE}" in note
    assert str(np.count_nonzero(frame == 0)) in note


def test_fill_is_treated_as_pixels_that_are_not_finite(frame, settings):
    found = segment(frame, **settings)
    stated = segment(frame, fill=0, **settings)
    unknown = segment(with_nan(frame), **settings)
    np.testing.assert_array_equal(found.labels, unknown.labels)
    np.testing.assert_array_equal(found.labels, stated.labels)
    assert "The value 0 is fill" in " ".join(stated.notes)
    assert found.model.checksum == stated.model.checksum
    assert found.provenance()["fill"] == "0"
    np.testing.assert_array_equal(found.uncertainty, unknown.uncertainty)


@pytest.mark.parametrize("fill", [None, "none"])
def test_without_fill_every_pixel_is_image(frame, settings, fill):
    result = segment(frame, fill=fill, **settings)
    assert (result.labels > 0).all()
    assert result.notes == ()
    assert result.model.fill is None
    assert result.provenance()["fill"] == "none"


def test_an_image_without_fill_is_segmented_as_before(scene, settings, base):
    result = segment(scene.image, **settings)
    assert result.model.fill is None
    assert not any("fill" in note for note in result.notes)
    np.testing.assert_array_equal(result.labels, base.labels)


def test_stated_fill_need_not_be_an_extreme(scene, settings):
    frame = framed(scene.image, 1000, value=1400)
    assert segment(frame, **settings).model.fill is None
    result = segment(frame, fill=1400, **settings)
    assert (result.labels[frame == 1400] == 0).all()


def test_bad_fill(frame, settings):
    with pytest.raises(InputError, match="'black' is no fill"):
        segment(frame, fill="black", **settings)
    with pytest.raises(InputError, match="only NaN, infinity or fill"):
        segment(np.full((40, 40), 3, np.uint8), fill=3, **settings)
    result = segment(frame, fill=77, **settings)
    assert "no pixel of this image has it" in " ".join(result.notes)


def test_strokes_on_fill_are_not_learned_from_and_that_is_said(frame, scene, settings):
    strokes = in_frame(scene.strokes)
    strokes[:4] = 5
    result = segment(frame, scribbles=strokes, **settings)
    assert 5 not in result.painted_classes
    assert (result.labels[:4] == 0).all()
    assert "is fill or not finite" in " ".join(result.notes)
    with pytest.raises(InputError, match="Nothing is painted"):
        result.correct((frame == 0).astype(np.uint8))


def test_previews_leave_fill_out(frame, settings):
    options = replace(settings["options"], previews=True, preview_interval=0)
    steps = segment_steps(frame, **{**settings, "options": options})
    seen = next(one.labels for one in steps if one.labels is not None)
    assert (seen[frame == 0] == 0).all()


def test_the_decision_is_that_of_the_region_and_what_is_around_it(frame, scene, settings):
    region = np.zeros(SHAPE, bool)
    region[100:110, 125:140] = True
    lazy = da.from_array(frame, chunks=64)
    for image in (frame, lazy):
        # What is not read of a lazy image is no fill.
        result = segment(image, region=region, **settings)
        assert ((result.labels > 0) == region).all()
    region[40:, :] = True
    whole, part = (segment(one, region=region, **settings) for one in (frame, lazy))
    assert whole.model.fill == part.model.fill == 0
    np.testing.assert_array_equal(whole.labels, part.labels)
    assert whole.notes == part.notes


def read_in_region(image, design):
    region = np.zeros(image.shape, bool)
    region[-260:, -260:] = True
    device, params = torch.device("cpu"), SegmentationParams(design=design)
    return read_for_training([Reference(image, None, region)], ImageOptions(), params, device)


def test_what_is_not_finite_far_from_the_region_changes_nothing():
    """Running sums and convolutions would carry it into the region."""
    image = np.random.default_rng(0).normal(0, 1, (1500, 1500)).astype(np.float32)
    wanted = read_in_region(image, "pretrained")
    image[5:20, 5:20], image[5:20, -200:] = np.nan, np.inf
    for given in (image, da.from_array(image, chunks=512)):
        found = read_in_region(given, "pretrained")
        assert found.places == wanted.places
        everywhere = (slice(None),) * 3
        np.testing.assert_array_equal(
            found.planes[0].pixels[everywhere], wanted.planes[0].pixels[everywhere]
        )


def test_the_published_design_sees_the_whole_image_in_memory_or_not():
    image = np.random.default_rng(0).normal(0, 1, (1100, 1100)).astype(np.float32)
    image[5:20, 5:20] = np.nan
    lazy = da.from_array(image, chunks=512)
    held, read = (read_in_region(one, "published").sample.inputs for one in (image, lazy))
    assert held.isfinite().all()
    assert held.equal(read)


# --- models -------------------------------------------------------------------------


@pytest.mark.parametrize("is_painted", [False, True])
def test_a_model_leaves_the_same_value_out_of_every_window(
    frame, scene, settings, options, monkeypatch, is_painted
):
    strokes = in_frame(scene.strokes) if is_painted else None
    result = segment(frame, scribbles=strokes, **settings)
    model = Model.from_bytes(result.model.to_bytes())
    assert model.fill == 0
    assert model.checksum == result.model.checksum
    assert "0 is fill" in model.card()
    other = np.roll(frame, (-50, 40), axis=(0, 1))
    other[120, 140] = 0  # one pixel, within the picture
    whole = model.apply(other, axes="YX", options=options)
    monkeypatch.setitem(pieces.WINDOW, 2, (64, 64))
    parts = np.zeros_like(whole)
    for part in model.apply_windows(da.from_array(other, chunks=50), axes="YX", options=options):
        parts[part.window] = part.labels
        # Some lie in the fill altogether.
        assert part.areas.get(0, 0) == np.count_nonzero(other[part.window] == 0)
    assert ((parts == 0) == (other == 0)).all()
    assert ((whole == 0) == (other == 0)).all()


def test_a_model_that_knows_no_fill_takes_every_pixel_for_image(frame, settings, options):
    model = segment(frame, fill=None, **settings).model
    assert "fill" not in model.card().split("## Labels")[0]
    assert (Model.from_bytes(model.to_bytes()).apply(frame, axes="YX", options=options) > 0).all()


@pytest.mark.parametrize("adapt_steps", [0, 2])
def test_the_intensities_of_a_frame_are_those_of_its_picture(frame, settings, options, adapt_steps):
    model = segment(frame, **settings).model
    dimmer = np.where(frame > 0, frame - 6000, 0).astype(np.uint16)
    params = ApplyParams(intensities="frame", adapt_steps=adapt_steps)
    labels = model.apply(dimmer, axes="YX", params=params, options=options)
    assert ((labels == 0) == (frame == 0)).all()
    assert len(np.unique(labels[frame > 0])) > 1


def test_whether_values_are_known_is_told_by_the_picture_alone(scene, settings, options):
    frame = framed(scene.image, 1000, value=65535)
    model = segment(frame, **settings).model
    assert model.fill == 65535
    far = np.pad(frame, ((0, 1500), (0, 1500)), constant_values=65535)
    labels = model.apply(far, axes="YX", options=options)
    assert (labels[: SHAPE[0], : SHAPE[1]] > 0).sum() == scene.image.size


def test_images_that_are_learned_from_together_have_one_fill(frame, scene, settings):
    plain = framed(scene.image, 10_000)[PLACE]
    blank = np.zeros_like(frame)
    model = train([frame, plain, blank], **settings)
    assert model.fill == 0
    assert train([frame, plain], fill=None, **settings).fill is None
    result = segment(plain, references=[Reference(frame)], **settings)
    assert result.model.fill == 0
    assert "no pixel of this image has it" in " ".join(result.notes)


def test_blocks_of_a_large_lazy_image_that_are_fill_are_not_learned_from(
    scene, settings, monkeypatch
):
    monkeypatch.setattr(blocks, "LARGE", 1000)
    monkeypatch.setattr(blocks, "block_shape", lambda space: (64, 64))
    pixels = np.zeros((512, 512), np.uint16)
    pixels[:, 224:352] = np.tile(scene.image, (6, 1))[:512] * 1000 + 10_000
    model = train([da.from_array(pixels, chunks=64)], **settings)
    assert model.fill == 0
    assert model.ranges.low[0] > 9_000
    assert train([da.from_array(pixels, chunks=64)], fill=None, **settings).fill is None


def test_volumes_have_fill_too(options, quick):
    rng = np.random.default_rng(0)
    volume = np.zeros((10, 72, 80), np.uint16)
    volume[2:8, 10:60, 12:70] = 5000 + rng.normal(200, 20, (6, 50, 58))
    volume[3:7, 20:40, 20:45] += 900
    settings = {"axes": "ZYX", "spacing": (1, 1, 1), "params": quick, "options": options}
    result = segment(volume, **settings)
    assert result.model.fill == 0
    assert ((result.labels > 0) == (volume > 0)).all()
    labels = result.model.apply(volume[::-1], axes="ZYX", options=options)
    assert ((labels > 0) == (volume[::-1] > 0)).all()
