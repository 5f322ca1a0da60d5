"""What runs on a GPU is the same as what runs in memory: here its tensors lie on the processor."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import pdist
from skimage.color import rgb2lab
from skimage.data import astronaut, camera

from napari_diffseg import segment
from napari_diffseg.core.clusters import start
from napari_diffseg.core.clusters.class_head import Examples, fit_head
from napari_diffseg.core.device import own_settings
from napari_diffseg.core.features.colors import colors_of
from napari_diffseg.core.gpu import arrays, pixels, regions, spread
from napari_diffseg.core.gpu.centroids import distances
from napari_diffseg.image.space import PLANE, Space
from napari_diffseg.numeric import leaves as in_numpy
from napari_diffseg.numeric.region_graph import RegionGraph

CPU = torch.device("cpu")


@pytest.fixture
def as_on_gpu(monkeypatch):
    monkeypatch.setattr(arrays, "is_used", lambda device: True)
    monkeypatch.setattr(start, "is_used", lambda device: True)


def smooth(*shape, seed=0, sigma=2):
    return gaussian_filter(np.random.default_rng(seed).random(shape, np.float32), sigma)


def test_only_cuda_has_what_it_takes():
    assert arrays.is_used(torch.device("cuda:0"))
    assert not arrays.is_used(CPU)
    assert not arrays.is_used(torch.device("mps"))


def test_lab_is_that_of_scikit_image():
    rgb = np.random.default_rng(0).random((3, 20, 30), np.float32)
    rgb[:, :2] *= 0.02
    found = pixels.lab_of(torch.from_numpy(rgb)).numpy()
    np.testing.assert_allclose(found, rgb2lab(rgb, channel_axis=0), atol=2e-3)


def test_a_power_keeps_what_is_below_zero():
    channels = smooth(2, 9, 9) - 0.5
    found = colors_of(torch.from_numpy(channels), False, (0.5, 1.0)).numpy()
    np.testing.assert_allclose(found, colors_of(channels, False, (0.5, 1.0)), atol=1e-6)


@pytest.mark.parametrize("space", [PLANE, Space(3), Space(3, 3.0), Space(3, 20.0)])
def test_slope_leaves_borders_and_means_are_the_same(space):
    shape = (30, 40) if space.n_axes == 2 else (5, 18, 20)
    colors, strength = smooth(2, *shape, sigma=1), smooth(*shape, seed=1)
    slope = pixels.slope_of(torch.from_numpy(colors), space).numpy()
    np.testing.assert_allclose(slope, in_numpy.color_slope(colors, space), atol=1e-5)

    leaves = in_numpy.find_leaves(strength, space)
    found = regions.find_leaves(torch.from_numpy(strength), space)
    np.testing.assert_array_equal(found.numpy(), leaves)

    areas = np.bincount(leaves.ravel()).astype(float)
    graph = RegionGraph.build(areas, in_numpy.sides_of(leaves, strength, space))
    sides = in_numpy.sides_of(found, torch.from_numpy(strength), space)
    sums = regions.border_sums(sides, len(areas))
    other = RegionGraph.of_sums(areas, *sums)
    for name in ("first", "second", "border", "strength"):
        np.testing.assert_allclose(getattr(other, name), getattr(graph, name), rtol=1e-5)

    counted = smooth(*shape, seed=2) > 0.5
    np.testing.assert_array_equal(regions.areas_of(found, None), areas)
    rows = np.moveaxis(colors, 0, -1)
    for valid in (None, counted):
        means = in_numpy.leaf_means(leaves, lambda window: [rows[window]], valid)
        on_gpu = regions.leaf_means(
            found, lambda window: [torch.from_numpy(rows[window].copy())], valid
        )
        np.testing.assert_allclose(on_gpu, means, atol=1e-5)


def test_means_of_bands_are_those_of_the_whole(monkeypatch):
    leaves = torch.from_numpy(in_numpy.find_leaves(smooth(40, 50), PLANE))
    rows = torch.from_numpy(smooth(40, 50, 3, sigma=1))
    whole = regions.leaf_means(leaves, lambda window: [rows[window]])
    monkeypatch.setattr(regions, "_BAND_PIXELS", 100)
    np.testing.assert_array_equal(regions.leaf_means(leaves, lambda window: [rows[window]]), whole)


def test_sums_are_the_same_in_any_order():
    values = torch.from_numpy(np.random.default_rng(0).normal(0, 1, 1000))
    sums = [arrays.exact(1, device=CPU) for _ in range(2)]
    arrays.add_at(sums[0], torch.zeros(1000, dtype=torch.long), values)
    arrays.add_at(sums[1], torch.zeros(1000, dtype=torch.long), values.flip(0))
    assert torch.equal(*sums)


def test_a_system_has_the_same_answer():
    leaves = in_numpy.find_leaves(strength := smooth(60, 80), PLANE)
    areas = np.bincount(leaves.ravel()).astype(float)
    graph = RegionGraph.build(areas, in_numpy.sides_of(leaves, strength, PLANE))
    priors = np.random.default_rng(1).dirichlet(np.ones(5), len(areas))
    given = np.full(len(areas), -1)
    given[:3] = 1
    other = RegionGraph.of_sums(
        areas,
        graph.first,
        graph.second,
        graph.border,
        graph.strength * graph.border,
        lambda *args: spread.solve(*args, device=CPU),
    )
    found, wanted = other.spread(priors, given), graph.spread(priors, given)
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    np.testing.assert_allclose(other.around(priors), graph.around(priors), atol=1e-3)


def test_centroids_and_weights_are_the_same(as_on_gpu, monkeypatch):
    rng = np.random.default_rng(0)
    rows, areas = rng.normal(0, 1, (300, 4)), rng.integers(1, 9, 300).astype(float)
    np.testing.assert_allclose(distances(rows, CPU), pdist(rows), rtol=1e-6)
    found = start.find_centroids(rows, areas, 6, CPU)
    examples = Examples(rows, rng.dirichlet(np.ones(3), 300), np.full(300, 1 / 300))
    monkeypatch.setattr("napari_diffseg.core.clusters.class_head.is_used", lambda device: True)
    told = fit_head(examples, device=CPU)
    monkeypatch.undo()
    np.testing.assert_allclose(found, start.find_centroids(rows, areas, 6, CPU), atol=1e-6)
    assert told.loss == pytest.approx(fit_head(examples).loss, rel=1e-6)


def volume():
    noise = gaussian_filter(np.random.default_rng(1).normal(0, 1, (12, 64, 64)), 3)
    return (noise * 3000 + 800).clip(0).astype(np.uint16)


def with_hole():
    image = camera()[::4, ::4].astype(np.float32)
    image[20:60, 30:90] = np.nan
    return image


@pytest.mark.parametrize(
    ("image", "axes"), [(astronaut()[::4, ::4], "YXC"), (with_hole(), "YX"), (volume(), "ZYX")]
)
def test_a_whole_run_has_the_same_labels(image, axes, request):
    alone = segment(image, axes=axes)
    request.getfixturevalue("as_on_gpu")
    found = segment(image, axes=axes)
    assert (found.labels == alone.labels).mean() > 0.999
    assert found.model.apply(image, axes=axes).shape == found.labels.shape


def test_convolutions_keep_their_digits(monkeypatch):
    """TF32, which cuDNN uses unasked, gives other labels."""
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    with own_settings():
        assert not torch.backends.cudnn.allow_tf32
        with own_settings():
            pass
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32
