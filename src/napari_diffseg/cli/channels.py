"""Channels as a person names them on the command line, and as the core takes them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_diffseg.errors import InputError

if TYPE_CHECKING:
    from napari_diffseg.image.channels import Channel


def channel_list(text: str) -> list[str]:
    """Read ``"1,3"`` or ``"DAPI,GFP"``."""
    names = [part.strip() for part in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(
            f"{text!r} are no channels; write their numbers from 1 on, or their names, such as 1,3"
        )
    return names


def channel_weight(text: str) -> tuple[str, float]:
    """Read ``"2=0.5"``."""
    name, _, value = text.rpartition("=")
    try:
        return _name(name), float(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no weight of a channel; write it so: 2=0.5"
        ) from error


def channel_range(text: str) -> tuple[str, float, float]:
    """Read ``"2=100:4000"``."""
    name, _, value = text.rpartition("=")
    low, _, high = value.partition(":")
    try:
        return _name(name), float(low), float(high)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no range of intensities of a channel; write it so: 2=100:4000"
        ) from error


def chosen_channels(
    args: argparse.Namespace, n_channels: int, names: Sequence[str], *, rgb: bool
) -> tuple[Channel, ...] | None:
    """Return the channels that are meant; None where all are, and none has a name."""
    from napari_diffseg.image.channels import Channel

    names = names if len(names) == n_channels and not rgb else [""] * n_channels
    wanted = args.channels or [str(number + 1) for number in range(n_channels)]
    asked = bool(args.channels or args.channel_weight or args.channel_range)
    if not asked and not any(names):
        return None
    places = [_place(one, names) for one in wanted]
    if len(set(places)) < len(places):
        raise InputError(
            f"The channels {','.join(wanted)} name one of them twice; name each of them once."
        )
    channels = {place: Channel(place, names[place]) for place in places}
    for name, weight in args.channel_weight:
        place = _chosen(name, names, channels)
        channels[place] = replace(channels[place], weight=weight)
    for name, low, high in args.channel_range:
        place = _chosen(name, names, channels)
        channels[place] = replace(channels[place], low=low, high=high)
    return tuple(channels.values())


def _chosen(name: str, names: Sequence[str], channels: dict[int, Channel]) -> int:
    place = _place(name, names)
    if place not in channels:
        raise InputError(
            f"Channel {name} is left out by --channels, but has a weight or a range; name it "
            "there too, or leave these away."
        )
    return place


def _place(name: str, names: Sequence[str]) -> int:
    """Return the place of a channel, from 0, by its number from 1 or its name."""
    n = len(names)
    if name.isdecimal() and 1 <= int(name) <= n:
        return int(name) - 1
    # Also a number: channels are called 405 and 488 by their light.
    found = [place for place, own in enumerate(names) if own.casefold() == name.casefold()]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            f"{len(found)} channels are called {name!r}; choose by number, from 1 to {n}."
        )
    called = f" ({', '.join(own or 'without a name' for own in names)})" if any(names) else ""
    raise InputError(
        f"There is no channel {name!r} in an image of {n} channel(s){called}; choose by number, "
        f"from 1 to {n}, or by a name that the file has."
    )


def _name(text: str) -> str:
    name = text.strip()
    if not name:
        raise ValueError(text)
    return name
