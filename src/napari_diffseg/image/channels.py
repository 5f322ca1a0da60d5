"""Channels: which of an image's are looked at, how much each counts, and their intensities.

What can be said of a channel is a field of `Channel` with a `ChannelSpec`. The switches of the
shell, the fields of the window, the copied run, the model card and the model file follow from it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from napari_diffseg.errors import InputError, Remedy, count_in_words

COLOURS = ("red", "green", "blue")


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """What a door or a check needs to know of one thing that is said of a channel."""

    name: str  # --channel-NAME in the shell
    help: str  # what it is, for a manual or a tooltip
    example: str  # what may be typed: a number, or the two ends of a range
    # Of a number: it is above the first, and at most the second.
    bounds: tuple[float, float] | None = None
    symbol: str = ""  # before the number, in the narrow field of a window
    is_share: bool = False  # it counts beside other channels only; 0 stands for none of it

    @property
    def sets(self) -> tuple[str, ...]:
        """The fields of `Channel` that it sets, in the order in which they are typed."""
        return tuple(one.name for one in fields(Channel) if one.metadata.get("spec") is self)


_WEIGHT = ChannelSpec(
    "weight",
    "how much a channel counts beside the others",
    "0.5",
    bounds=(0, 100),
    symbol="×",
    is_share=True,
)
_RANGE = ChannelSpec("range", "intensities of a channel that become 0 and 1", "100:4000")


def _said(default: float | None, spec: ChannelSpec) -> Any:
    return field(default=default, metadata={"spec": spec})


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of an image, and what it is taken for.

    Attributes
    ----------
    index : int
        Its place on the image's channel axis, from 0.
    name : str
        What a person calls it, e.g. ``"DAPI"``; empty where nobody does.
    weight : float
        How much it counts beside the others: its contrast is multiplied by it.
    low, high : float or None
        Intensities that become 0 and 1, in the image's own unit; measured where None.
    """

    index: int
    name: str = ""
    weight: float = _said(1.0, _WEIGHT)
    low: float | None = _said(None, _RANGE)
    high: float | None = _said(None, _RANGE)

    def __post_init__(self) -> None:
        if self.index < 0:
            raise InputError(f"The channel {self.index} is negative; channels are counted from 0.")
        for spec in CHANNEL_NUMBERS:
            (low, high), value = spec.bounds or (0, 0), getattr(self, spec.sets[0])
            if not low < value <= high:
                instead = "; leave a channel out to switch it off" if spec.is_share else ""
                raise InputError(
                    f"The {spec.name} of {self.title} is {value:g}, but must be above {low:g} and "
                    f"at most {high:g}{instead}."
                )
        ends = [end for end in (self.low, self.high) if end is not None]
        if not all(map(math.isfinite, ends)) or (len(ends) == 2 and ends[0] >= ends[1]):
            raise InputError(
                f"The intensities of {self.title} go from {self.low} to {self.high}, but the "
                "first must be the lower one, and both finite."
            )

    @property
    def title(self) -> str:
        """How a sentence calls it: ``"channel 1 (DAPI)"``, counted from 1."""
        return f"channel {self.index + 1}" + (f" ({self.name})" if self.name else "")

    @property
    def changed(self) -> dict[ChannelSpec, dict[str, Any]]:
        """What is said of it that is not the default, as the fields that hold it."""
        plain = Channel(self.index)
        said = {spec: {one: getattr(self, one) for one in spec.sets} for spec in CHANNEL_SPECS}
        return {
            spec: values
            for spec, values in said.items()
            if any(value != getattr(plain, one) for one, value in values.items())
        }


CHANNEL_SPECS: tuple[ChannelSpec, ...] = tuple(
    dict.fromkeys(one.metadata["spec"] for one in fields(Channel) if one.metadata)
)
"""All that can be said of a channel beside its place and its name."""

CHANNEL_NUMBERS = tuple(spec for spec in CHANNEL_SPECS if spec.bounds)
"""What of it is one number."""


def pick_channels(
    channels: Sequence[Channel] | None, n_channels: int, *, rgb: bool
) -> tuple[Channel, ...]:
    """Check the channels that are wanted of an image; all of it where None."""
    if channels is None:
        return tuple(Channel(index) for index in range(n_channels))
    alone = isinstance(channels, str | int | Channel)
    picked: tuple[Any, ...] = (channels,) if alone else tuple(channels)
    strange = [one for one in picked if not isinstance(one, Channel)]
    if strange:
        raise InputError(
            f"{strange[0]!r} was given as a channel, but a Channel was expected, which knows its "
            "place; write Channel(0) for the first one."
        )
    if not picked:
        raise InputError("No channel is switched on; choose one at least.")
    missing = [one for one in picked if one.index >= n_channels]
    if missing:
        raise InputError(
            f"The image has {count_in_words(n_channels, 'channel')}, but {missing[0].title} "
            "is asked for; choose among those that there are."
        )
    if len({one.index for one in picked}) < len(picked):
        raise InputError("A channel is chosen twice; choose each once.")
    if rgb and [one.index for one in picked] != list(range(n_channels)):
        raise InputError(
            "Red, green and blue are one picture, of which no colour can be left out; state the "
            "axes (such as CYX) and that it is no RGB to take them for channels."
        )
    if rgb and any(one.changed for one in picked):
        raise InputError(
            "Red, green and blue are one picture and have no weights and intensities of their "
            "own; state that the image is no RGB to take them for channels."
        )
    return picked


def find_channels(
    known: Sequence[Channel], n_source: int, names: Sequence[str], where: str
) -> tuple[tuple[Channel, ...], str]:
    """Find the channels that a model knows in an image: by their names, else by their places."""
    places = {_key(name): place for place, name in reversed([*enumerate(names)]) if name.strip()}
    if not any(_key(one.name) in places for one in known):
        return _by_place(known, n_source, names, where)
    for one in known:
        # One without a name is where it was, as far as that goes.
        if _key(one.name) not in places if one.name else one.index >= len(names):
            there = ", ".join(repr(name) for name in names if name)
            raise InputError(
                f"The model was trained on the channel {one.name!r}, which {where} lacks (it has "
                f"{there}); add that channel, or give the one that is meant this name."
                if one.name
                else f"The model looks at {one.title}, which {where} lacks (it has {there}); give "
                "it an image with the same channels.",
                Remedy.CHOOSE_CHANNELS,
            )
    found = [replace(one, index=places.get(_key(one.name), one.index)) for one in known]
    return tuple(found), ""


def _by_place(
    known: Sequence[Channel], n_source: int, names: Sequence[str], where: str
) -> tuple[tuple[Channel, ...], str]:
    if len(names) != n_source:
        wanted = ", ".join(one.name or one.title for one in known)
        raise InputError(
            f"{where} has {count_in_words(len(names), 'channel')}, but the model was trained on "
            f"{count_in_words(n_source, 'channel')} (it looks at {wanted}); give it an image with "
            "the same channels, or say which axes this one has (such as YXC or CYX).",
            Remedy.CHOOSE_CHANNELS,
        )
    strange = [
        f"{names[one.index]!r} for {one.name!r}" for one in known if one.name and names[one.index]
    ]
    if n_source == 1 or not strange:
        return tuple(known), ""
    return tuple(known), (
        f"No channel of {where} has a name that the model knows; they are taken by their place, "
        f"{', '.join(strange)}."
    )


def _key(name: str) -> str:
    return name.strip().casefold()
