from __future__ import annotations

import numpy as np

from napari_diffseg import objects
from napari_diffseg.instances.following import Follower


def follow_objects(frames):
    follower = Follower()
    return [follower.follow(frame) for frame in frames]


def row(*numbers):
    return np.array([numbers], np.int32)


def test_what_overlaps_most_keeps_its_number():
    first, second = follow_objects([row(1, 1, 1, 0, 2, 2), row(2, 1, 1, 1, 3, 0)])
    assert first.tolist() == [[1, 1, 1, 0, 2, 2]]
    assert second.tolist() == [[3, 1, 1, 1, 2, 0]]


def test_of_two_daughters_the_larger_keeps_the_number():
    _, second = follow_objects([row(1, 1, 1, 1, 1), row(1, 1, 0, 2, 0)])
    assert second.tolist() == [[1, 1, 0, 2, 0]]


def test_of_two_that_merge_the_larger_keeps_its_number():
    _, second, third = follow_objects([row(1, 0, 2, 2), row(1, 1, 1, 1), row(1, 0, 2, 2)])
    assert second.tolist() == [[2, 2, 2, 2]]
    # A number that is gone is not given again.
    assert third.tolist() == [[3, 0, 2, 2]]


def test_a_gap_is_not_closed():
    *_, third = follow_objects([row(1, 1), row(0, 0), row(1, 1)])
    assert third.tolist() == [[2, 2]]


def test_another_series_follows_none():
    follower = Follower()
    follower.follow(row(1, 0, 2))
    follower.restart()
    assert follower.follow(row(1, 0, 0)).tolist() == [[3, 0, 0]]


def test_objects_of_a_movie_keep_their_numbers():
    labels = np.zeros((6, 30, 60), np.uint8)
    for t in range(6):
        labels[t, 3:13, 2 + 4 * t : 16 + 4 * t] = 2
        labels[t, 18:26, 40 - 5 * t : 50 - 5 * t] = 2
    found = objects(labels, 2, axes="TYX")
    assert found.shape == labels.shape
    upper = [set(np.unique(frame[3:13])) - {0} for frame in found]
    lower = [set(np.unique(frame[18:26])) - {0} for frame in found]
    assert upper == [{1}] * 6
    assert lower == [{2}] * 6
    # Without time it is a volume.
    assert objects(labels, 2, split=0).max() == 2
