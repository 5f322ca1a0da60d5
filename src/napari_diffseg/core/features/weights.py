"""The weights that are shipped: the same network for every image."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_diffseg.core.features.network import FeatureNet


@cache
def features_digest() -> str:
    """Return the SHA-256 of the shipped weights: models of other weights see otherwise."""
    return hashlib.sha256(_weights()).hexdigest()


def _weights() -> bytes:
    return files("napari_diffseg.core.features").joinpath("features.safetensors").read_bytes()


@cache
def shipped_network(device: torch.device) -> FeatureNet:
    """Load the network with its weights from the package; once a device."""
    from safetensors.torch import load

    # Layers without values take none of torch's random numbers, which belong to the caller.
    with torch.device("meta"):
        network = FeatureNet()
    known = {name: value.float() for name, value in load(_weights()).items()}
    network.load_state_dict(known, strict=False, assign=True)
    network.eval()
    for block in (*network.down, *network.up):
        for place in (0, 3):  # a convolution and the batch norm that follows it become one
            block[place] = fuse_conv_bn_eval(block[place], block[place + 1])
            block[place + 1] = nn.Identity()
    placed: FeatureNet = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed
