"""Which channels there are, which count, which layers fit, and where a model finds its own."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_diffseg.errors import InputError
from napari_diffseg.widgets.image.channel_sources import (
    ChannelSetting,
    IntensityRule,
    check_same_grid,
    list_channels,
    misfit,
    select_channels,
)

pytestmark = pytest.mark.gui

ON, OFF = ChannelSetting(), ChannelSetting(is_on=False)
DISPLAYED = ChannelSetting(rule=IntensityRule.DISPLAYED)


def image(*shape, name="cells", dtype=np.uint8, **options):
    return Image(np.zeros(shape, dtype), name=name, **options)


def layers(n=3, **options):
    return [image(20, 30, name=name, **options) for name in ("DAPI", "GFP", "RFP")[:n]]


# --- what there is, and what is chosen ------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "letters", "titles", "can_be_named"),
    [
        ([image(20, 30)], "YX", ["cells"], False),
        (layers(), "YX", ["DAPI", "GFP", "RFP"], False),
        ([image(2, 20, 30)], "CYX", ["channel 1", "channel 2"], True),
        ([image(5, 2, 20, 30)], "ZCYX", ["channel 1", "channel 2"], True),
        ([image(20, 30, 3, rgb=True)], "YX", ["red", "green", "blue"], False),
        ([image(20, 30, 4, rgb=True)], "YX", ["red", "green", "blue"], False),
        ([image(5, 20, 30)], "ZYX", ["cells"], False),
    ],
)
def test_the_channels_that_there_are(given, letters, titles, can_be_named):
    entries = list_channels(given, letters)
    assert [one.title for one in entries] == titles
    assert {one.can_be_named for one in entries} == {can_be_named}


@pytest.mark.parametrize(
    ("given", "letters", "settings", "names", "indices"),
    [
        (layers(), "YX", [ON, OFF, ON], ["DAPI", "RFP"], [0, 1]),
        (layers(), "YX", [OFF, ON, OFF], ["GFP"], [0]),
        (layers(), "YX", [ON, ChannelSetting(numbers={"weight": 0}), ON], ["DAPI", "RFP"], [0, 1]),
        ([image(3, 20, 30)], "CYX", [OFF, ON, ON], ["", ""], [1, 2]),
        ([image(2, 20, 30)], "CYX", [ChannelSetting(name=" nuclei "), ON], ["nuclei", ""], [0, 1]),
        ([image(20, 30, 3, rgb=True)], "YX", [OFF, ON, OFF], ["green"], [1]),
    ],
)
def test_what_a_run_is_told(given, letters, settings, names, indices):
    selection = select_channels(given, letters, settings)
    assert [one.name for one in selection.channels] == names
    assert [one.index for one in selection.channels] == indices
    assert not selection.rgb
    is_stack = len(given) > 1
    assert len(selection.layers) == (len(indices) if is_stack else 1)


def test_a_picture_stays_a_picture_until_it_is_taken_apart():
    picture = image(20, 30, 3, rgb=True)
    whole = select_channels([picture], "YX", [ON, ON, ON])
    assert (whole.rgb, whole.channels) == (True, None)
    for setting in (OFF, DISPLAYED, ChannelSetting(numbers={"weight": 2.0})):
        apart = select_channels([picture], "YX", [ON, ON, setting])
        assert not apart.rgb
        assert apart.channels is not None


@pytest.mark.parametrize(
    ("setting", "ends"),
    [
        (ON, (None, None)),
        (DISPLAYED, (10.0, 90.0)),
        (ChannelSetting(rule=IntensityRule.TYPED, low=3.0, high=7.0), (3.0, 7.0)),
        (ChannelSetting(rule=IntensityRule.TYPED, high=7.0), (None, 7.0)),
        # What was typed does not count while another rule is chosen.
        (ChannelSetting(low=3.0, high=7.0), (None, None)),
    ],
)
def test_intensities(setting, ends):
    layer = image(20, 30, contrast_limits=(10, 90))
    (channel,) = select_channels([layer], "YX", [setting]).channels
    assert (channel.low, channel.high) == ends


def test_weights_go_along():
    (one, two) = select_channels(
        layers(2), "YX", [ChannelSetting(numbers={"weight": 2.5}), ON]
    ).channels
    assert (one.weight, two.weight) == (2.5, 1.0)


def test_nothing_is_on():
    with pytest.raises(InputError, match="No channel is switched on"):
        select_channels(layers(), "YX", [OFF, OFF, ChannelSetting(numbers={"weight": 0})])


def test_an_upside_down_range_names_the_channel():
    setting = ChannelSetting(rule=IntensityRule.TYPED, low=9.0, high=3.0)
    with pytest.raises(InputError, match="GFP"):
        select_channels(layers(), "YX", [ON, setting, ON])


# --- which layers fit -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scale": (2, 2)}, "scale is 2 × 2 and 1 × 1"),
        ({"translate": (0, 3)}, "translate is 0 × 3 and 0 × 0"),
        ({"rotate": 30}, "rotated"),
        ({"units": ("nm", "nm")}, "units are"),
        ({"axis_labels": ("z", "y")}, "axes are"),
    ],
)
def test_layers_that_do_not_lie_on_one_grid(options, said):
    first = image(20, 30, units=("um", "um"), axis_labels=("y", "x"))
    other = Image(np.zeros((20, 30)), name="other", **{"units": ("um", "um"), **options})
    with pytest.raises(InputError, match=said) as error:
        check_same_grid([first, other])
    assert "'other'" in str(error.value)
    assert "'cells'" in str(error.value)


@pytest.mark.parametrize(
    ("shape", "options", "said"),
    [
        ((20, 31), {}, "one shape, but 'cells' is 20 × 30 and 'other' is 20 × 31"),
        ((1, 20, 30), {}, "one shape"),
        ((20, 30, 3), {"rgb": True}, "colour image"),
    ],
)
def test_layers_of_another_shape(shape, options, said):
    with pytest.raises(InputError, match=said):
        check_same_grid([image(20, 30), image(*shape, name="other", **options)])


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": np.uint16},
        {"axis_labels": ("y", "x")},
        # Rounding in a file: less than a tenth of a pixel at the far corner.
        {"scale": (1.001, 1.0)},
    ],
)
def test_layers_that_fit(options):
    first = image(20, 30)
    other = image(20, 30, name="other", **options)
    assert misfit(first, other) == ""
    check_same_grid([first, other])


def test_small_pixels_are_not_taken_for_the_same_place():
    first = image(20, 30, scale=(1e-9, 1e-9))
    assert misfit(first, image(20, 30, name="other", scale=(2e-9, 2e-9)))


def test_a_layer_that_is_off_need_not_fit():
    given = [*layers(2), image(9, 9, name="other")]
    assert len(select_channels(given, "YX", [ON, ON, OFF]).layers) == 2
