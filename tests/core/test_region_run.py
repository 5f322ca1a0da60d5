"""The run of the default: what is seen before it is done."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_diffseg import segment, segment_steps


@pytest.fixture
def wide(scene):
    """A scene of which a first look sees every second pixel along each axis."""
    return np.kron(scene.image, np.ones((3, 3), np.float32))


def looks(image, options, **told):
    options = replace(options, previews=True)
    return [
        one for one in segment_steps(image, axes="YX", options=options, **told) if one.index == 0
    ]


def test_a_first_look_comes_before_the_first_iteration(wide, options):
    steps = segment_steps(wide, axes="YX", options=replace(options, previews=True))
    first, second = next(steps), next(steps)
    assert (first.index, second.index) == (0, 1)
    assert first.labels.shape == wide.shape
    assert first.labels.min() >= 1
    assert first.seconds < second.seconds


def test_a_first_look_changes_nothing(wide, options):
    quiet = segment(wide, axes="YX", options=options)
    seen = segment(wide, axes="YX", options=replace(options, previews=True))
    np.testing.assert_array_equal(seen.labels, quiet.labels)
    assert [one.index for one in seen.history] == [1]


def test_what_does_not_count_has_no_label_in_it(wide, options):
    holed = wide.copy()
    holed[:90] = np.nan
    (look,) = looks(holed, options)
    assert (look.labels[:90] == 0).all()
    assert (look.labels[92:] > 0).all()


def test_where_a_look_would_see_all_or_next_to_nothing_there_is_none(scene, wide, options):
    assert not looks(scene.image, options)
    region = np.zeros(wide.shape, bool)
    region[40:60, 40:60] = True
    assert not looks(wide, options, region=region)
