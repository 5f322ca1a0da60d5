"""Large volumes for timing: noise of their own, tiled zarrs, convolutions that are bare."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import zarr

from benchmarks.volume_scale import large_volume, write_zarr


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
