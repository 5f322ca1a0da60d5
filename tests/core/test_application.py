"""A model on images that it has not seen: the same label for the same pixel, however it lies."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from napari_diffseg import ApplyParams, InputError, SegmentationParams, segment
from napari_diffseg.core.features.pyramid import GRID, HALO
from napari_diffseg.core.model.adaptation import adapted
from napari_diffseg.core.model.application import reading_window, windows_of
from napari_diffseg.image import pieces
from napari_diffseg.image.space import PLANE
from napari_diffseg.image.windows import whole

MARGIN = HALO + GRID + pieces.spread_margin(2)[0]


@pytest.fixture(params=["classes", "clusters", "published"])
def model(request, corrected, base, scene, options):
    if request.param == "classes":
        return corrected.model
    if request.param == "clusters":
        return base.model
    params = SegmentationParams.paper(n_iterations=2, n_features=6, n_clusters=6)
    return segment(scene.image, axes="YX", params=params, options=options).model


class Watched:
    """A lazy image that tells what was read of it."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.ndim = array, array.shape, array.dtype, array.ndim
        self.read = []

    def __getitem__(self, index):
        part = self.array[index]
        self.read.append(part.size)
        return part


@pytest.mark.slow
def test_the_windows_are_the_image_and_read_no_more_than_their_surroundings(
    model, large_scene, options, monkeypatch
):
    whole = model.apply(large_scene.image, axes="YX", options=options)
    monkeypatch.setitem(pieces.WINDOW, 2, (256, 256))
    lazy = Watched(large_scene.image)
    labels = np.zeros(lazy.shape, model.label_dtype)
    times = np.zeros(lazy.shape, int)
    for part in model.apply_windows(lazy, axes="YX", options=options):
        labels[part.window] = part.labels
        times[part.window] += 1
        assert sum(part.areas.values()) == part.labels.size
        assert 0 <= part.confidence <= 1
    assert (times == 1).all()
    look, *reads = lazy.read  # the first is a look at the intensities
    assert look <= 1024**2
    assert len(reads) == 9
    assert max(reads) <= (256 + 2 * MARGIN) ** 2
    # What lies beyond the margin is felt in next to no pixel.
    assert (labels != whole).mean() < 2e-3


def test_the_labels_do_not_depend_on_how_the_image_is_stored(model, scene, options):
    image = scene.image
    expected = model.apply(image, axes="YX", options=options)
    stored = (
        (da.from_array(image, chunks=(17, 31)), "YX"),
        (np.asfortranarray(image), "YX"),
        (image.T, "XY"),
        (image[None, None], "TZYX"),
        (image.astype(">f4"), "YX"),
    )
    for array, axes in stored:
        labels = model.apply(array, axes=axes, options=options)
        np.testing.assert_array_equal(labels, expected, err_msg=axes)


def test_surroundings_beyond_the_margin_change_no_label(model, large_scene, options, monkeypatch):
    monkeypatch.setitem(pieces.WINDOW, 2, (256, 256))
    image = large_scene.image[:, 300:500].copy()
    before = model.apply(image, axes="YX", options=options)
    image[256 + MARGIN :] = 7.0
    after = model.apply(image, axes="YX", options=options)
    np.testing.assert_array_equal(after[:256], before[:256])


def test_a_frame_comes_with_its_areas_and_how_sure_it_is(model, scene, options):
    image = scene.image.copy()
    image[:7, :9] = np.nan
    frame = model.apply_frame(image, axes="YX", options=options)
    values, counts = np.unique(frame.labels, return_counts=True)
    assert frame.areas == dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert frame.areas[0] == 63
    assert list(frame.areas) == sorted(frame.areas)
    assert set(frame.areas) <= {0, *model.labels}
    assert 0.05 < frame.confidence <= 1


def test_noise_is_less_sure_than_the_scene(corrected, scene, options):
    noise = np.random.default_rng(1).random(scene.image.shape, np.float32)
    sure = corrected.model.apply_frame(scene.image, axes="YX", options=options).confidence
    unsure = corrected.model.apply_frame(noise, axes="YX", options=options).confidence
    assert unsure < sure


# --- the intensities of the frame ------------------------------------------------------


def test_a_bleached_frame_is_read_by_its_own_intensities(corrected, scene, options):
    bleached = (scene.image * 0.2 + 0.05).astype(np.float32)
    share = {
        how: (
            corrected.model.apply(
                bleached, axes="YX", params=ApplyParams(intensities=how), options=options
            )
            == scene.wanted
        ).mean()
        for how in ("trained", "frame")
    }
    assert share["frame"] > 0.95
    assert share["trained"] < share["frame"] - 0.05


def test_on_the_training_image_its_own_intensities_are_those_of_the_training(model, scene, options):
    own = ApplyParams(intensities="frame")
    np.testing.assert_array_equal(
        model.apply(scene.image, axes="YX", params=own, options=options),
        model.apply(scene.image, axes="YX", options=options),
    )


# --- adaptation ------------------------------------------------------------------------


def test_adapting_keeps_the_numbers_and_leaves_the_model_as_it_was(model, scene, options):
    before = model.to_bytes()
    expected = model.apply(scene.image, axes="YX", options=options)
    steps = ApplyParams(adapt_steps=3)
    labels = model.apply(scene.image, axes="YX", params=steps, options=options)
    again = model.apply(scene.image, axes="YX", params=steps, options=options)
    np.testing.assert_array_equal(labels, again)
    assert model.to_bytes() == before
    if model.stage is not None:
        assert (labels == expected).mean() > 0.9


def test_adapting_does_train(base):
    fitted = adapted(base.model, base.ground.plane, 3, torch.device("cpu"))
    assert not np.array_equal(base.model.head.weights, fitted.head.weights)


# --- bad input -------------------------------------------------------------------------


def test_colours_and_channels_are_not_mixed_up(options):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (40, 50, 3), np.uint8)
    params = SegmentationParams(n_clusters=4)
    model = segment(picture, params=params, options=options).model
    with pytest.raises(InputError, match="trained on colours"):
        model.apply(picture.transpose(2, 0, 1), axes="CYX", options=options)
    with pytest.raises(InputError, match="are intensities, but the model was trained on colours"):
        model.apply(picture[..., 0], options=options)


def test_a_stack_is_no_plane(corrected, scene, options):
    with pytest.raises(InputError, match="choose a frame"):
        corrected.model.apply(np.stack([scene.image] * 3), axes="TYX", options=options)


def test_a_frame_that_is_constant_is_labelled_all_the_same(model, scene, options):
    flat = np.full(scene.image.shape, 0.5, np.float32)
    labels = model.apply(flat, axes="YX", options=options)
    assert labels.min() > 0


@pytest.mark.parametrize(
    ("shape", "n_windows"),
    [
        ((1200, 1300), 1),
        ((1300, 1300), 4),
        ((90, 18_000), 1),
        ((51, 120, 122), 2),
        ((51, 400, 400), 8),
    ],
)
def test_a_plane_as_large_as_a_window_with_its_margin_is_one_window(monkeypatch, shape, n_windows):
    monkeypatch.setitem(pieces.WINDOW, 2, (1024, 1024))
    monkeypatch.setattr(pieces, "_AT_ONCE", 1280**2)
    windows = list(windows_of(shape))
    assert len(windows) == n_windows
    if n_windows == 1:
        assert windows == [whole(shape)]


def test_where_no_pixel_is_finite_there_is_no_label(model, scene, options, monkeypatch):
    """In stitched images whole windows can be empty."""
    monkeypatch.setitem(pieces.WINDOW, 2, (40, 40))
    wide = np.full((96, 128 + MARGIN + 80), np.nan, np.float32)
    wide[:, :128] = scene.image
    found = model.apply_frame(wide, axes="YX", options=options)
    np.testing.assert_array_equal(found.labels == 0, np.isnan(wide))
    alone = model.apply_frame(wide[:, :160], axes="YX", options=options)
    # Only pixels that have a label say how sure it is.
    assert found.confidence == pytest.approx(alone.confidence, abs=0.01)
    nothing = model.apply_frame(np.full((20, 30), np.nan), axes="YX", options=options)
    assert (nothing.areas, nothing.confidence) == ({0: 600}, 0.0)


@pytest.mark.parametrize("n_finite", [0, 1])
def test_adapting_to_next_to_nothing_is_one_sentence(model, options, n_finite):
    image = np.full((20, 30), np.nan, np.float32)
    image.flat[:n_finite] = 0.5
    with pytest.raises(InputError, match=rf"too few finite pixels \({n_finite}\) to adapt"):
        model.apply(image, axes="YX", params=ApplyParams(adapt_steps=2), options=options)


def as_dtype(image, dtype):
    top = np.iinfo(dtype).max
    return (image.clip(0, 1) * top).astype(dtype)


def test_another_data_type_with_other_values_is_refused_but_its_own_range_helps(
    scene, quick, options
):
    told = {"axes": "YX", "options": options}
    small, large = as_dtype(scene.image, np.uint8), as_dtype(scene.image, np.uint16)
    for known, other in ((small, large), (large + np.uint16(2000), small)):
        model = segment(known, params=quick, **told).model
        with pytest.raises(InputError, match=f"was trained on {known.dtype}"):
            model.apply(other, **told)
        own = model.apply(other, params=ApplyParams(intensities="frame"), **told)
        assert len(np.unique(own)) > 2
        same = model.apply(known.astype(np.float32), **told)
        np.testing.assert_array_equal(same, model.apply(known, **told))


def test_values_far_from_those_that_are_known_are_refused(scene, quick, options):
    told = {"axes": "YX", "options": options}
    known = as_dtype(scene.image, np.uint16) // 40 + np.uint16(100)
    model = segment(known, params=quick, **told).model
    for other in (known.astype(np.float32) / known.max(), known * np.uint16(16)):
        with pytest.raises(InputError, match="let each frame have its own intensities"):
            model.apply(other, **told)
    for frame in (known // 4, np.full_like(known, 100)):
        assert (model.apply(frame, **told) > 0).all()


def test_of_the_published_design_only_painted_labels_can_come_out(scene, options):
    params = SegmentationParams.paper(
        n_iterations=3, n_features=6, n_clusters=6, only_painted="yes"
    )
    model = segment(
        scene.image, scribbles=scene.strokes, axes="YX", params=params, options=options
    ).model
    assert model.labels == (1, 4, 7)


@pytest.mark.parametrize("start", [0, 1000, 1024, 5000])
def test_what_is_read_begins_on_the_grid_and_holds_all_that_is_needed(start):
    window = (slice(start, start + 1024), slice(0, 300))
    rows, columns = reading_window(window, (9000, 300), PLANE)
    assert rows.start % GRID == 0
    assert rows.start <= max(start - HALO - pieces.spread_margin(2)[0], 0)
    assert rows.stop >= min(start + 1024 + HALO, 9000)
    assert (columns.start, columns.stop) == (0, 300)


def test_no_seam_where_windows_meet(options):
    """Smooth noise of all sizes has no straight lines, and neither have its labels."""
    noise = np.random.default_rng(0).normal(size=(1100, 400))
    image = sum(gaussian_filter(noise, sigma) * sigma for sigma in (2, 5, 12)).astype(np.float32)
    labels = segment(image, axes="YX", options=options).labels.astype(int)
    changes = (np.diff(labels, axis=0) != 0).mean(axis=1)
    for seam in (511, 1023):
        around = np.r_[changes[seam - 32 : seam], changes[seam + 1 : seam + 33]]
        assert changes[seam] <= 1.5 * np.percentile(around, 95)
