"""Large volumes for timing: noise of their own, tiled zarrs, convolutions that are bare."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import zarr

from benchmarks.volume_scale import bare_convolutions, large_volume, write_zarr
from napari_diffseg import SegmentationParams
from napari_diffseg.core.network import build_network
from napari_diffseg.images.space import Space


def test_pieces_of_a_volume_differ() -> None:
    volume = large_volume((40, 256, 512))
    assert volume.shape == (40, 256, 512)
    assert volume.dtype == np.uint16
    left, right = volume[:, :, :256], volume[:, :, 256:]
    assert left.std() > 10
    assert (left != right).mean() > 0.9


def test_a_zarr_repeats_its_block_along_every_axis(tmp_path: Path) -> None:
    block = np.arange(4 * 6 * 8, dtype=np.uint16).reshape(4, 6, 8)
    write_zarr(tmp_path / "a.zarr", block, 2)
    found = zarr.open_array(tmp_path / "a.zarr", mode="r")
    np.testing.assert_array_equal(found[:], np.tile(block, (2, 2, 2)))


def test_bare_convolutions_are_those_of_the_network() -> None:
    params = SegmentationParams(n_clusters=4)
    network = build_network(3, params, torch.Generator().manual_seed(0), Space(3, 1.0))
    called = []
    for layer in network.modules():
        layer.register_forward_hook(lambda layer, *_: called.append(type(layer).__name__))
    bare_convolutions(network, 2)()
    assert called == ["Conv3d"] * 3 * 2
