from __future__ import annotations

import pytest

from napari_diffseg.io.ngff.pyramid import CHUNKS, levels_of


def test_planes_shrink_along_y_and_x() -> None:
    levels = levels_of((7, 2100, 1100), "YX")
    assert [level.shape for level in levels] == [
        (7, 2100, 1100),
        (7, 1050, 550),
        (7, 525, 275),
        (7, 263, 138),
    ]
    assert [level.chunks for level in levels] == [
        (1, 1024, 1024),
        (1, 512, 512),
        (1, 256, 256),
        (1, 128, 128),
    ]


def test_cubes_shrink_along_all_axes() -> None:
    levels = levels_of((3, 600, 2000, 1100), "ZYX")
    assert [level.steps for level in levels] == [(1, k, k, k) for k in (1, 2, 4)]
    assert [level.chunks for level in levels] == [
        (1, 16, 256, 256),
        (1, 8, 128, 128),
        (1, 4, 64, 64),
    ]


def test_planes_far_apart_are_left_out_last() -> None:
    levels = levels_of((100, 4000, 4000), "ZYX", z_step=4)
    assert [level.steps for level in levels] == [
        (1, 1, 1),
        (1, 2, 2),
        (1, 4, 4),
        (2, 8, 8),
    ]
    close = levels_of((4000, 300, 300), "ZYX", z_step=0.25)
    assert [level.steps for level in close] == [(1, 1, 1), (2, 1, 1), (4, 1, 1), (8, 2, 2)]


def test_a_small_frame_has_one_array() -> None:
    assert len(levels_of((512, 512), "YX")) == 1
    assert len(levels_of((9, 512, 512, 512), "ZYX")) == 1


@pytest.mark.parametrize("z_step", [0.01, 0.3, 1, 7, 100])
def test_a_chunk_belongs_to_one_window_in_every_array(z_step: float) -> None:
    for level in levels_of((10_000, 90_000, 3000), "ZYX", z_step):
        for side, step, chunk, length in zip(
            CHUNKS["ZYX"], level.steps, level.chunks, level.shape, strict=True
        ):
            assert side % step == 0
            assert chunk == min(side // step, length)
