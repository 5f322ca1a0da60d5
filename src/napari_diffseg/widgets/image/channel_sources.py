"""Which channels of an image a run looks at: what there is, what is wished, what comes of it.

The channels are those along an axis of one layer, the colours of an RGB picture, or several
layers that lie on one grid. No Qt, and nothing is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from napari_diffseg.errors import InputError
from napari_diffseg.image.channels import COLOURS, Channel
from napari_diffseg.widgets.image.layer_facts import layer_shape, shape_in_words

if TYPE_CHECKING:
    from napari.layers import Image

# What napari calls an axis that nobody has named: "-1", once "axis -1".
_NO_LABEL = re.compile(r"(axis )?-?\d*")

_NEAR = 0.1
"""Two grids are one where their corners are nearer than so many pixels."""


class IntensityRule(Enum):
    """Which intensities of a channel become 0 and 1."""

    PERCENTILES = "percentiles"
    DISPLAYED = "as displayed"
    TYPED = "from – to"


@dataclass(frozen=True, slots=True)
class ChannelEntry:
    """A channel that there is.

    `name` is that of its layer or colour, empty for one along an axis; `displayed` its contrast
    limits.
    """

    name: str
    title: str
    displayed: tuple[float, float]

    @property
    def can_be_named(self) -> bool:
        """Whether a person may give it a name."""
        return not self.name


@dataclass(frozen=True, slots=True)
class ChannelSetting:
    """What is wished of a channel.

    `numbers` are fields of `Channel` that are not as they are by default; a weight of 0 switches
    it off. `low` and `high` are intensities that were typed.
    """

    is_on: bool = True
    name: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)
    rule: IntensityRule = IntensityRule.PERCENTILES
    low: float | None = None
    high: float | None = None

    @property
    def counts(self) -> bool:
        """Whether the channel is looked at."""
        return self.is_on and all(self.numbers.values())

    @property
    def is_plain(self) -> bool:
        """Whether the channel is taken as it is."""
        return self.is_on and not self.numbers and self.rule is IntensityRule.PERCENTILES


@dataclass(frozen=True, slots=True)
class ChannelSelection:
    """What a run is told.

    `channels` is None for an RGB picture as it is; one of which a person has left out a colour, or
    weighted one, is taken for channels.
    """

    layers: tuple[Image, ...]
    channels: tuple[Channel, ...] | None

    @property
    def rgb(self) -> bool:
        """Whether it is a picture as it is."""
        return self.channels is None


@dataclass(frozen=True, slots=True)
class ChannelWish:
    """Which channels count, and how; what is displayed is looked up when a run is described."""

    layers: tuple[Image, ...] = ()
    letters: str = ""
    settings: tuple[ChannelSetting, ...] = ()
    problem: str = ""  # What is wrong with the settings

    def selection(self) -> ChannelSelection:
        """Return what a run is told; raises `InputError` where it cannot be told anything."""
        if not self.layers:
            raise InputError("There is no image, so there are no channels; open one first.")
        if self.problem:
            raise InputError(self.problem)
        return select_channels(self.layers, self.letters, self.settings)

    @property
    def n_layers(self) -> int:
        """How many layers are taken together, each of them a channel."""
        try:
            return len(self.selection().layers)
        except InputError:
            return 1


def are_layers(first: Image, letters: str) -> bool:
    """Whether channels of this layer are layers: it has neither a channel axis nor colours."""
    return not first.rgb and "C" not in letters.upper()


def list_channels(layers: Sequence[Image], letters: str) -> tuple[ChannelEntry, ...]:
    """Return the channels that there are."""
    first = layers[0]
    limits = _limits(first)
    if first.rgb:
        return tuple(ChannelEntry(name, name, limits) for name in COLOURS)
    if are_layers(first, letters):
        return tuple(ChannelEntry(str(one.name), str(one.name), _limits(one)) for one in layers)
    n_channels = layer_shape(first)[letters.upper().index("C")]
    return tuple(ChannelEntry("", f"channel {i + 1}", limits) for i in range(n_channels))


def select_channels(
    layers: Sequence[Image], letters: str, settings: Sequence[ChannelSetting]
) -> ChannelSelection:
    """Return what a run is told of its channels."""
    first = layers[0]
    if first.rgb and all(setting.is_plain for setting in settings):
        return ChannelSelection((first,), None)
    entries = list_channels(layers, letters)
    counted = [index for index, setting in enumerate(settings) if setting.counts]
    if not counted:
        raise InputError("No channel is switched on; tick one, with a weight above 0.")
    chosen = (first,)
    places = counted
    if are_layers(first, letters):
        # Layers that are off are not among the arrays, so that nothing of them is read.
        chosen, places = tuple(layers[index] for index in counted), list(range(len(counted)))
        check_same_grid(chosen)
    channels = [
        _channel(place, entries[index], settings[index])
        for place, index in zip(places, counted, strict=True)
    ]
    return ChannelSelection(chosen, tuple(channels))


def check_same_grid(layers: Sequence[Image]) -> None:
    """Refuse layers of which the pixels do not belong together."""
    first = layers[0]
    for layer in layers[1:]:
        reason = misfit(first, layer)
        if reason:
            raise InputError(reason)


def fitting_layers(
    first: Image | None, others: Sequence[Image], letters: str
) -> tuple[tuple[Image, ...], dict[str, str]]:
    """Return the layers whose channels are listed, and why others cannot be channels."""
    if first is None:
        return (), {}
    if not are_layers(first, letters):
        return (first,), {}
    reasons = [(layer, misfit(first, layer)) for layer in reversed(others) if layer != first]
    fitting = [layer for layer, reason in reasons if not reason]
    return (first, *fitting), {str(layer.name): reason for layer, reason in reasons if reason}


def misfit(first: Image, layer: Image) -> str:
    """Return why the pixels of two layers do not belong together; empty where they do."""
    if first.rgb or layer.rgb:
        colour = first if first.rgb else layer
        return f"{colour.name!r} is a colour image and holds its channels already; choose it alone."
    if layer_shape(layer) != layer_shape(first):
        return (
            f"Channels must have one shape, but {first.name!r} is {shape_in_words(first)} and "
            f"{layer.name!r} is {shape_in_words(layer)}; choose layers of the same shape."
        )
    for what, one, other in (
        ("axes", _stated_axes(first), _stated_axes(layer)),
        ("units", [str(u) for u in first.units], [str(u) for u in layer.units]),
    ):
        if one and other and one != other:
            said = f"{', '.join(one)} and {', '.join(other)}"
            return (
                f"{layer.name!r} and {first.name!r} do not belong together: their {what} are "
                f"{said}; correct them, or choose one layer."
            )
    if not _lie_together(first, layer):
        return (
            f"{layer.name!r} does not lie where {first.name!r} lies ({_difference(first, layer)}), "
            "so their pixels do not belong together; align the layers, or choose one."
        )
    return ""


def _channel(place: int, entry: ChannelEntry, setting: ChannelSetting) -> Channel:
    low, high = {
        IntensityRule.PERCENTILES: (None, None),
        IntensityRule.DISPLAYED: entry.displayed,
        IntensityRule.TYPED: (setting.low, setting.high),
    }[setting.rule]
    name = entry.name or setting.name.strip()
    return Channel(place, name, low=low, high=high, **setting.numbers)


def _limits(layer: Image) -> tuple[float, float]:
    low, high = layer.contrast_limits
    return float(low), float(high)


def _stated_axes(layer: Image) -> list[str]:
    """Return the labels of the axes where a person or a file has given them."""
    labels = [str(label).strip().lower() for label in layer.axis_labels]
    return [] if any(_NO_LABEL.fullmatch(label) for label in labels) else labels


def _lie_together(first: Image, layer: Image) -> bool:
    """Whether the corners of two layers of one shape are at the same places in the world."""
    far = np.asarray(layer_shape(first)[: first.ndim]) - 1.0
    corners = [np.zeros(first.ndim), *np.diag(far)]
    return all(
        np.allclose(first.world_to_data(layer.data_to_world(corner)), corner, rtol=0, atol=_NEAR)
        for corner in corners
    )


def _difference(first: Image, layer: Image) -> str:
    """Say in what the places of two layers differ."""
    for what in ("scale", "translate"):
        one, other = (np.asarray(getattr(one, what)) for one in (first, layer))
        if not np.allclose(one, other):
            values = [" × ".join(f"{v:.4g}" for v in these) for these in (other, one)]
            return f"their {what} is {values[0]} and {values[1]}"
    return "one of them is rotated or sheared"
