from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from napari_diffseg.errors import InputError
from napari_diffseg.sample_data.time_lapse import TimeLapse, simulated_time_lapse


@pytest.fixture(scope="module")
def movie() -> TimeLapse:
    return simulated_time_lapse()


def frames_of(movie: TimeLapse, track: int) -> np.ndarray:
    return np.flatnonzero((movie.tracks == track).any(axis=(1, 2)))


def all_tracks(movie: TimeLapse) -> range:
    return range(1, int(movie.tracks.max()) + 1)


def test_image_and_tracks(movie: TimeLapse) -> None:
    assert movie.image.shape == movie.tracks.shape == (24, 192, 192)
    assert movie.image.dtype == movie.tracks.dtype == np.uint16
    for image, tracks in zip(movie.image, movie.tracks, strict=True):
        assert np.median(image[tracks > 0]) > 1.3 * np.median(image[tracks == 0])
    assert movie.image.max() < np.iinfo(np.uint16).max


def test_a_track_is_one_nucleus_that_moves_on(movie: TimeLapse) -> None:
    for track in all_tracks(movie):
        frames = frames_of(movie, track)
        assert frames.size == np.ptp(frames) + 1  # without gaps
        masks = movie.tracks[frames] == track
        assert all(ndimage.label(mask, np.ones((3, 3)))[1] == 1 for mask in masks)
        assert all((one & after).any() for one, after in pairwise(masks))
    moved = [
        np.hypot(*np.subtract(*(ndimage.center_of_mass(movie.tracks[t] == track) for t in (0, 9))))
        for track in all_tracks(movie)
        if {0, 9} <= set(frames_of(movie, track))
    ]
    assert max(moved) > 5


def test_a_mother_leaves_two_daughters_in_her_place(movie: TimeLapse) -> None:
    mothers = set(movie.parents.values())
    assert len(mothers) >= 3
    assert set(movie.parents) == set(all_tracks(movie)) - set(np.unique(movie.tracks[0]))
    for mother in mothers:
        daughters = [track for track, parent in movie.parents.items() if parent == mother]
        assert len(daughters) == 2
        last = frames_of(movie, mother)[-1]
        reach = ndimage.binary_dilation(movie.tracks[last] == mother, iterations=8)
        for daughter in daughters:
            assert frames_of(movie, daughter)[0] == last + 1
            assert (movie.tracks[last + 1][reach] == daughter).any()


def test_tracks_that_do_not_end_in_a_division_last_to_the_end(movie: TimeLapse) -> None:
    for track in set(all_tracks(movie)) - set(movie.parents.values()):
        assert frames_of(movie, track)[-1] == len(movie.tracks) - 1


def test_light_bleaches() -> None:
    movie = simulated_time_lapse((24, 96, 96), n_cells=4, seed=3)
    above = [
        np.median(movie.image[t][movie.tracks[t] > 0])
        - np.median(movie.image[t][movie.tracks[t] == 0])
        for t in (0, -1)
    ]
    assert above[1] < 0.85 * above[0]


def test_seed() -> None:
    first, again, other = (simulated_time_lapse((4, 80, 90), 3, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.tracks, again.tracks)
    assert first.parents == again.parents
    assert (first.image != other.image).any()


def test_empty_field() -> None:
    movie = simulated_time_lapse((3, 30, 40), n_cells=0)
    assert not movie.tracks.any()
    assert movie.image.std() > 0
    assert movie.parents == {}


@pytest.mark.parametrize(
    ("shape", "n_cells", "message"),
    [
        ((4, 40, 40), 50, "cells fit"),
        ((0, 40, 40), 1, "shape"),
        ((40, 40), 1, "shape"),
        ((4, 40, 40), -1, "n_cells"),
        ((4, 40, 40), 2000, "n_cells"),
    ],
)
def test_what_cannot_be(shape: tuple[int, ...], n_cells: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        simulated_time_lapse(shape, n_cells)  # type: ignore[arg-type]
