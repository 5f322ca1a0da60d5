"""Inference: statistics are those of the sample, and tiles cannot be seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_diffseg.core.plane import Plane
from napari_diffseg.core.published.clustering_net import FeatureClusteringNet
from napari_diffseg.core.published.inference import calibrate, find_clusters, response_map
from napari_diffseg.image import pieces


@pytest.fixture
def network():
    torch.manual_seed(3)
    return FeatureClusteringNet(2, 12, 10, 3)


@pytest.fixture
def pixels():
    return torch.rand(1, 2, 61, 83, generator=torch.Generator().manual_seed(1))


def test_calibrated_evaluation_mode_gives_what_training_mode_gives(network, pixels):
    with torch.no_grad():
        expected = network.train()(pixels)
        calibrate(network, pixels)
        assert not network.training
        torch.testing.assert_close(network(pixels), expected, rtol=1e-4, atol=1e-5)


def test_calibration_leaves_the_weights_alone(network, pixels):
    before = [weight.clone() for weight in network.parameters()]
    calibrate(network, pixels)
    for weight, old in zip(network.parameters(), before, strict=True):
        assert torch.equal(weight, old)


CPU = torch.device("cpu")


@pytest.mark.parametrize("tile", [7, 16, 40, 61, 1000])
def test_clusters_do_not_depend_on_the_tile(network, pixels, tile):
    everything = (slice(0, 61), slice(0, 83))
    plane = Plane(pixels[0].numpy(), None, None)
    expected = calibrate(network, pixels)[0]
    untiled = response_map(network, plane, everything, CPU, tile=10_000).argmax(dim=0)
    assert len(untiled.unique()) > 3
    assert (untiled == expected).float().mean() > 0.999, "training and evaluation mode agree"
    tiled = response_map(network, plane, everything, CPU, tile).argmax(dim=0)
    assert torch.equal(tiled, untiled)
    part = response_map(network, plane, (slice(9, 30), slice(50, 83)), CPU, tile).argmax(dim=0)
    assert torch.equal(part, untiled[9:30, 50:])


def test_clusters_come_block_by_block_with_their_margin(network, pixels, monkeypatch):
    everything = (slice(0, 61), slice(0, 83))
    calibrate(network, pixels)
    plane = Plane(pixels[0].numpy(), None, None)
    whole, margin = find_clusters(network, plane, CPU, everything)
    monkeypatch.setitem(pieces._BLOCK, 2, (32, 32))
    blocks, same = find_clusters(network, plane, CPU, everything)
    np.testing.assert_array_equal(blocks, whole)
    assert same == pytest.approx(margin, abs=0.02)
    assert 0 < margin < 1


def test_a_response_depends_on_nothing_beyond_the_radius(network, pixels):
    calibrate(network, pixels)
    changed = pixels.clone()
    changed[..., 30, 40] += 5
    with torch.no_grad():
        moved = (network(pixels) != network(changed)).any(dim=1)[0].nonzero()
    assert network.radius == (3, 3)
    assert (moved.amax(0) - torch.tensor([30, 40])).tolist() == [3, 3]
    assert (torch.tensor([30, 40]) - moved.amin(0)).tolist() == [3, 3]


@pytest.mark.parametrize("tile", [64, 128, 200, 226])
def test_the_response_map_in_tiles_is_that_of_the_whole_to_the_bit(tile):
    # Two channels: torch rounds a convolution of a single one by the size of the tile.
    image = np.random.default_rng(0).random((2, 230, 210), dtype=np.float32)
    everything = (slice(0, 230), slice(0, 210))
    torch.manual_seed(3)
    network = FeatureClusteringNet(2, 32, 32, 2)
    calibrate(network, torch.from_numpy(image[None]))
    plane = Plane(image, None, None)
    untiled = response_map(network, plane, everything, CPU, tile=230)
    assert torch.equal(response_map(network, plane, everything, CPU, tile), untiled)
    for window in ((slice(50, 180), slice(100, 210)), (slice(227, 230), slice(0, 7))):
        found = response_map(network, plane, window, CPU, tile)
        torch.testing.assert_close(found, untiled[:, *window], rtol=1e-4, atol=1e-4)


def test_statistics_are_those_of_the_valid_pixels(network, pixels):
    valid = torch.rand(1, 61, 83, generator=torch.Generator().manual_seed(2)) > 0.4
    calibrate(network, pixels, valid)
    first = network.blocks[0]
    with torch.no_grad():
        arriving = first[1](first[0](pixels))[0][:, valid[0]].double()
    norm = first[2]
    torch.testing.assert_close(norm.running_mean.double(), arriving.mean(dim=1), rtol=1e-5, atol=0)
    expected = arriving.var(dim=1, correction=0)
    torch.testing.assert_close(norm.running_var.double(), expected, rtol=1e-5, atol=1e-12)
