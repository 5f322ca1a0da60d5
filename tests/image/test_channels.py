from __future__ import annotations

import pytest

from napari_diffseg.errors import InputError
from napari_diffseg.image.channels import Channel, find_channels

TWO = (Channel(0, "DAPI"), Channel(1, "GFP"))


@pytest.mark.parametrize(
    ("known", "n_source", "names", "places"),
    [
        (TWO, 2, ["DAPI", "GFP"], [0, 1]),
        (TWO, 2, ["GFP", "DAPI"], [1, 0]),
        (TWO, 2, ["RFP", "gfp ", "Dapi"], [2, 1]),
        # The second of three channels was left out; whatever stands there is not looked at.
        ((Channel(0, "DAPI"), Channel(2, "GFP")), 3, ["GFP", "DAPI"], [1, 0]),
        ((Channel(2, "GFP"),), 3, ["DAPI", "RFP", "GFP"], [2]),
        ((Channel(0), Channel(1)), 2, ["a", "b"], [0, 1]),
        ((Channel(0), Channel(1)), 2, ["", ""], [0, 1]),
        ((Channel(0, "DAPI"), Channel(1)), 2, ["x", "DAPI"], [1, 1]),
        ((Channel(0, "cells"),), 1, ["other cells"], [0]),
    ],
)
def test_a_model_finds_its_channels(
    known: tuple[Channel, ...], n_source: int, names: list[str], places: list[int]
) -> None:
    found, note = find_channels(known, n_source, names, "cells.tif")
    assert [one.index for one in found] == places
    assert [one.name for one in found] == [one.name for one in known]
    assert note == ""


def test_channels_of_other_names_are_taken_in_order_and_that_is_said() -> None:
    found, note = find_channels(TWO, 2, ["Hoechst", "YFP"], "cells.tif")
    assert found == TWO
    assert "'Hoechst' for 'DAPI', 'YFP' for 'GFP'" in note


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["DAPI", "RFP"], "the channel 'GFP', which cells.tif lacks .it has 'DAPI', 'RFP'"),
        (["GFP"], "the channel 'DAPI'"),
        (
            ["a", "b", "c"],
            "cells.tif has 3 channels, .* trained on 2 channels .it looks at DAPI, GFP",
        ),
        ([""], "cells.tif has 1"),
    ],
)
def test_a_channel_that_is_missing_is_named(names: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        find_channels(TWO, 2, names, "cells.tif")
