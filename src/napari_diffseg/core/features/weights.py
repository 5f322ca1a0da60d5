"""The weights that are shipped: the same network for every image."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from torch import Tensor, nn

from napari_diffseg.core.features.network import FeatureNet
from napari_diffseg.memory import keep_freed_memory


@cache
def features_digest() -> str:
    """Return the SHA-256 of the shipped weights: models of other weights see otherwise."""
    return hashlib.sha256(_weights()).hexdigest()


def _weights() -> bytes:
    return files("napari_diffseg.core.features").joinpath("features.safetensors").read_bytes()


@cache
def _reduced_head() -> tuple[Tensor, Tensor]:
    """Return the last layer ``(r + 1, 17)``, bias last, and the axes ``(32, r)`` it is told in.

    Features are a product of 16 channels and a bias, and so lie in a space of r = 17 axes: in
    these they are as long, and half as many numbers to enlarge and to take means of.
    """
    known = load(_weights())
    head = torch.cat([known["head.weight"].flatten(1), known["head.bias"][:, None]], 1).double()
    axes, features = torch.linalg.qr(head[:-1])
    return torch.cat([features, head[-1:]]).float(), axes.float()


def feature_basis() -> NDArray[np.float32]:
    """Return the axes ``(32, r)`` in which the shipped network tells its features."""
    basis: NDArray[np.float32] = _reduced_head()[1].numpy()
    return basis


@cache
def shipped_network(device: torch.device) -> FeatureNet:
    """Load the network with its weights from the package, in few axes; once a device."""
    # Layers without values take none of torch's random numbers, which belong to the caller.
    with torch.device("meta"):
        network = FeatureNet()
    known = {name: value.float() for name, value in load(_weights()).items()}
    network.load_state_dict(known, strict=False, assign=True)
    head = _reduced_head()[0]
    network.head.weight = nn.Parameter(head[:, :-1, None, None].contiguous())
    network.head.bias = nn.Parameter(head[:, -1].contiguous())
    network.eval()
    network.fold(is_cpu=device.type == "cpu")
    keep_freed_memory()
    placed: FeatureNet = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed
