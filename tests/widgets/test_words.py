"""Words that a person reads in the dock."""

from __future__ import annotations

import pytest

from napari_diffseg.widgets.ui.words import duration_in_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (125, "2 min 05 s"),
        (3541, "59 min 01 s"),
        (3600, "1 h 00 min"),
        (11220, "3 h 07 min"),
    ],
)
def test_durations_have_no_more_digits_than_matter(seconds, words):
    assert duration_in_words(seconds) == words
