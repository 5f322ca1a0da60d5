"""Simulated images, and some steps of learning from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from napari_diffseg.core.features.network import FIRST_LAYER, FeatureNet
from pretraining.images import simulate_images
from pretraining.scenes import N_CLASSES
from pretraining.train import contrastive_loss, load_start, main


def test_images_come_with_classes_and_the_edges_of_things():
    torch.manual_seed(0)
    images, classes, edges = simulate_images(6, 64, "cpu")
    assert images.shape == (6, 3, 64, 64)
    assert torch.isfinite(images).all()
    assert images[:, 0].min() >= -0.2
    assert images[:, 0].max() <= 1.2
    assert images[:, 1:].abs().max() <= 1
    assert 0 <= classes.min() <= classes.max() < N_CLASSES
    apart = classes[:, 1:] != classes[:, :-1]
    assert (edges[:, 1:] & edges[:, :-1])[apart].all()
    assert 0 < edges.float().mean() < 0.6


def test_some_images_have_colours_and_some_have_none():
    torch.manual_seed(1)
    images, _, _ = simulate_images(24, 32, "cpu")
    colourful = images[:, 1].flatten(1).std(dim=1) > 0
    assert 4 < colourful.sum() < 22


def test_the_same_seed_gives_the_same_images():
    made = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        made.append(simulate_images(2, 32, "cpu")[0])
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_features_that_tell_the_classes_apart_have_the_lower_loss():
    torch.manual_seed(0)
    classes = torch.randint(0, 3, (2, 24, 24))
    told = torch.nn.functional.one_hot(classes, 3).movedim(-1, 1).float()
    assert contrastive_loss(told, classes) < contrastive_loss(torch.rand_like(told), classes)


def test_some_steps_lower_the_loss_and_write_the_weights(tmp_path, capsys):
    path = tmp_path / "features.safetensors"
    main([str(path), "--steps", "12", "--batch", "4", "--side", "32", "--device", "cpu"])
    assert "step 12" in capsys.readouterr().out
    weights = load_file(path)
    net = FeatureNet()
    assert set(weights) <= set(net.state_dict())
    assert all(np.isfinite(value).all() for value in weights.values())
    assert path.stat().st_size < 1_000_000


def test_training_goes_on_from_weights_of_fewer_channels(tmp_path):
    from safetensors.torch import save_file

    torch.manual_seed(0)
    known = {name: value.clone() for name, value in FeatureNet().state_dict().items()}
    known[FIRST_LAYER] = known[FIRST_LAYER][:, :1].contiguous()
    floats = {name: value for name, value in known.items() if value.is_floating_point()}
    save_file(floats, tmp_path / "one.safetensors")
    net = FeatureNet()
    load_start(net, str(tmp_path / "one.safetensors"))
    first = net.state_dict()[FIRST_LAYER]
    assert torch.equal(first[:, :1], known[FIRST_LAYER])
    assert (first[:, 1:] == 0).all()


@pytest.mark.parametrize("side", [16, 48])
def test_the_network_keeps_the_resolution(side):
    features, edges = FeatureNet().eval()(torch.rand(1, 3, side, side))
    assert features.shape == (1, 32, side, side)
    assert edges.shape == (1, 1, side, side)
