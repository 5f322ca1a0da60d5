"""What the default sees: the same in every window, for any number of channels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from time import sleep

import numpy as np
import pytest
import torch
from skimage.data import astronaut

from napari_diffseg.core.features import network
from napari_diffseg.core.features.extraction import N_COMPONENTS, Features
from napari_diffseg.core.features.pyramid import GRID, HALO, KeptPlanes, Seen
from napari_diffseg.core.features.weights import shipped_network
from napari_diffseg.image.space import PLANE, Space

CPU = torch.device("cpu")


def measured(pixels, valid=None, rgb=False, space=PLANE, weights=None):
    weights = weights or (1.0,) * len(pixels)
    stage, (inputs,) = Features.measure(
        [(pixels, valid)], rgb=rgb, weights=weights, space=space, device=CPU
    )
    return stage, inputs


def rows_of(stage, inputs):
    """Inputs of every pixel by itself, ``(z) y x d``."""
    shape = inputs.slope.shape
    alone = np.arange(inputs.slope.size, dtype=np.int32).reshape(shape)
    return stage.rows_of(inputs, alone, None).reshape(*shape, -1)


def assert_alike(stage, found, whole, window):
    np.testing.assert_allclose(rows_of(stage, found), rows_of(stage, whole)[window], atol=2e-4)
    np.testing.assert_allclose(found.seen.edges, whole.seen.edges[window], atol=2e-4)
    inner = (slice(9, -9),) * 2  # slopes are told by the window's own pixels
    np.testing.assert_allclose(found.slope[inner], whole.slope[window][inner], atol=2e-4)


def picture(height=300, width=420):
    return np.moveaxis(astronaut()[:height, :width], -1, 0).astype(np.float32) / 255


@pytest.mark.parametrize("n_channels", [1, 2, 3, 5])
def test_any_number_of_channels(n_channels):
    pixels = np.random.default_rng(0).random((n_channels, 40, 50), np.float32)
    stage, inputs = measured(pixels)
    rows, edges = rows_of(stage, inputs), inputs.seen.edges
    assert rows.shape == (40, 50, N_COMPONENTS + n_channels)
    assert stage.n_inputs == N_COMPONENTS + n_channels
    assert np.isfinite(rows).all()
    assert 0 <= edges.min() <= edges.max() <= 1


def test_features_and_colours_have_the_variance_that_is_meant():
    variances = rows_of(*measured(picture(), rgb=True)).var(axis=(0, 1))
    assert variances[:N_COMPONENTS].sum() == pytest.approx(1, abs=0.15)
    assert variances[N_COMPONENTS:].sum() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("n_rows", [8, 50, 1000])
def test_a_window_gives_what_the_whole_image_gives(monkeypatch, n_rows):
    """However many rows the network takes at a time."""
    monkeypatch.setattr(network, "_STRIP_PIXELS", n_rows * 400)
    pixels = picture()
    stage, whole = measured(pixels, rgb=True)
    for window in ((slice(0, 50), slice(30, 90)), (slice(200, 300), slice(300, 420))):
        found = stage.window(pixels, window, CPU)
        assert_alike(stage, found, whole, window)


def test_a_part_on_the_grid_gives_what_the_whole_image_gives():
    pixels = np.random.default_rng(0).random((1, 1200, 64), np.float32)
    stage, _ = measured(pixels[:, :128])
    window = (slice(600, 700), slice(0, 64))
    whole = stage.window(pixels, window, CPU)
    start = 600 // GRID * GRID - HALO
    part = stage.window(pixels[:, start:1150], (slice(600 - start, 700 - start), window[1]), CPU)
    assert_alike(stage, part, whole, (slice(None),) * 2)


@pytest.mark.parametrize("n_rows", [8, 1000])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (48, 80), (160, 32)])
@torch.inference_mode()
def test_what_is_convolved_and_then_enlarged_is_the_same(monkeypatch, height, width, n_rows):
    monkeypatch.setattr(network, "_STRIP_PIXELS", n_rows * width)
    monkeypatch.setattr(network, "_LEAST_FOLDED", 0)
    folded, seen = shipped_network(CPU), torch.rand(1, 3, height, width)
    plain = deepcopy(folded)
    for block in plain.up:
        assert block.folded is not None
        block.folded = None
    seen = seen.contiguous(memory_format=torch.channels_last)
    for found, expected in zip(folded(seen), plain(seen), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_the_network_says_of_a_part_what_it_says_of_the_whole():
    seen = torch.rand(1, 3, 160, 208).contiguous(memory_format=torch.channels_last)
    whole = shipped_network(CPU)(seen)
    for y, x in (
        (slice(70, 93), slice(64, 65)),
        (slice(0, 40), slice(31, 208)),
        (slice(155, 160), slice(0, 9)),
    ):
        for found, expected in zip(shipped_network(CPU)(seen, (y, x)), whole, strict=True):
            torch.testing.assert_close(found, expected[:, :, y, x], rtol=0, atol=1e-5)


def test_brightness_and_contrast_of_the_whole_change_nothing():
    """The stage is measured on the image, so that units say nothing."""
    pixels = picture()[:1]
    once, scaled = (rows_of(*measured(one)) for one in (pixels, pixels * 0.5 + 0.2))
    np.testing.assert_allclose(scaled, once, atol=2e-3)


def test_a_channel_with_more_weight_says_more():
    rng = np.random.default_rng(0)
    pixels = rng.random((2, 64, 64), np.float32)
    shares = []
    for weight in (1.0, 4.0):
        rows = rows_of(*measured(pixels, weights=(weight, 1.0)))
        colours = rows[..., N_COMPONENTS:].var(axis=(0, 1))
        shares.append(colours[0] / colours.sum())
    assert shares[1] > shares[0] + 0.2


def test_pixels_that_do_not_count_are_not_measured():
    pixels = picture()[:1].copy()
    valid = np.ones(pixels.shape[1:], bool)
    valid[:, 200:] = False
    changed = pixels.copy()
    changed[:, :, 300:] = 0.5
    one, _ = measured(pixels, valid)
    other, _ = measured(changed, valid)
    assert (one.means, one.spread, one.low, one.high) == (
        other.means,
        other.spread,
        other.low,
        other.high,
    )


def test_a_constant_image_is_seen_too():
    stage, inputs = measured(np.full((1, 32, 32), 0.5, np.float32))
    assert np.isfinite(rows_of(stage, inputs)).all()
    assert np.isfinite(stage.strength(inputs)).all()


def test_near_planes_are_smoothed_and_far_ones_are_seen_alone():
    rng = np.random.default_rng(0)
    volume = rng.random((1, 6, 32, 32), np.float32)
    far, alone = measured(volume, space=Space(3, 20))
    near, smooth = measured(volume, space=Space(3, 1))
    rough, even = (np.diff(rows_of(*one), axis=0).std() for one in ((far, alone), (near, smooth)))
    assert even < 0.5 * rough
    window = (slice(2, 4), slice(0, 32), slice(0, 32))
    for stage, whole in ((far, alone), (near, smooth)):
        found = stage.window(volume, window, CPU)
        some, every = rows_of(stage, found), rows_of(stage, whole)
        np.testing.assert_allclose(some, every[window], atol=1e-3)
        np.testing.assert_allclose(found.seen.edges, whole.seen.edges[window], atol=1e-3)


def test_loading_the_network_leaves_torchs_numbers_alone():
    shipped_network.cache_clear()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    shipped_network(CPU)
    assert torch.equal(torch.rand(3), expected)


def test_threads_share_the_planes_that_they_look_at():
    kept, looked = KeptPlanes(), []

    def look_at(z):
        looked.append(z)
        sleep(0.01)
        return Seen([], np.full(1, z))

    with ThreadPoolExecutor(3) as pool:
        windows = [pool.submit(kept.look, range(first, first + 9), look_at) for first in (0, 0, 2)]
    for first, window in zip((0, 0, 2), windows, strict=True):
        assert [int(one.edges[0]) for one in window.result()] == list(range(first, first + 9))
    assert sorted(looked) == list(range(11))
    part = kept.starting_at(2)
    assert part.look([0], look_at)[0].edges[0] == 2


def test_a_plane_that_could_not_be_looked_at_is_tried_again():
    kept = KeptPlanes()

    def fail(z):
        raise MemoryError

    with pytest.raises(MemoryError):
        kept.look([3], fail)
    assert kept.look([3], lambda z: Seen([], np.full(1, z)))[0].edges[0] == 3
