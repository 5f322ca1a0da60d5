"""Channels as a person names them on the command line, and as the core takes them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from napari_diffseg.errors import InputError, count_in_words
from napari_diffseg.image.channels import CHANNEL_SPECS, COLOURS, Channel, ChannelSpec


def channel_list(text: str) -> list[str]:
    """Read ``"1,3"`` or ``"DAPI,GFP"``."""
    names = [part.strip() for part in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(
            f"{text!r} are no channels; write their numbers from 1 on, or their names, such as 1,3"
        )
    return names


def add_channel_choice(parser: argparse.ArgumentParser, words: str) -> None:
    """Add ``--channels``, with what it does in words."""
    parser.add_argument("--channels", type=channel_list, metavar="C,C,…", help=words)


def add_channels(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose channels, and one for each thing that is said of a channel."""
    add_channel_choice(
        parser,
        "which channels are looked at, and in which order: numbers from 1 on, or names that the "
        "file has (default: all)",
    )
    plain = Channel(0)
    for spec in CHANNEL_SPECS:
        default = getattr(plain, spec.sets[0])
        shown = "measured" if default is None else f"{default:g}"
        what = spec.name[0] if spec.bounds else ":".join(spec.sets)
        parser.add_argument(
            f"--channel-{spec.name}",
            type=partial(said_of_channel, spec),
            dest="said_of_channels",
            action="append",
            default=[],
            metavar=f"C={what.upper()}",
            help=f"{spec.help}, such as 2={spec.example}; can be given several times "
            f"(default: {shown})",
        )


def said_of_channel(spec: ChannelSpec, text: str) -> tuple[str, dict[str, float | None]]:
    """Read ``"2=0.5"``, or ``"2=100:4000"`` of which one end may be left away."""
    name, _, value = text.rpartition("=")
    ends = value.split(":")
    try:
        numbers = [float(end) if end or spec.bounds else None for end in ends]
        if not name.strip() or len(ends) != len(spec.sets) or not any(ends):
            raise ValueError(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no {spec.name} of a channel; write it so: 2={spec.example}"
        ) from error
    return name.strip(), dict(zip(spec.sets, numbers, strict=True))


def chosen_channels(
    args: argparse.Namespace, n_channels: int, names: Sequence[str], *, rgb: bool
) -> tuple[Channel, ...] | None:
    """Return the channels that are meant; None where all are, and none has a name.

    So it is of a picture in colours, unless one of these is left out or taken otherwise.
    """
    if rgb:
        names, n_channels = COLOURS, len(COLOURS)  # alpha is no channel
    elif len(names) != n_channels:
        names = [""] * n_channels
    wanted = args.channels or [str(number + 1) for number in range(n_channels)]
    if not (args.channels or args.said_of_channels or (any(names) and not rgb)):
        return None
    channels = {one.index: one for one in channels_named(wanted, n_channels, names)}
    for name, said in args.said_of_channels:
        place = _place(name, names)
        if place not in channels:
            raise InputError(
                f"Channel {name} is left out by --channels, but has a "
                f"{' or a '.join(spec.name for spec in CHANNEL_SPECS)}; name it there too, or "
                "leave these away."
            )
        channels[place] = replace(channels[place], **said)
    found = tuple(channels.values())
    is_picture = rgb and found == channels_named(COLOURS, n_channels, names)
    return None if is_picture else found


def channels_named(
    wanted: Sequence[str], n_channels: int, names: Sequence[str]
) -> tuple[Channel, ...]:
    """Return the channels of an image that are meant, each of them named once."""
    names = names if len(names) == n_channels else [""] * n_channels
    places = [_place(one, names) for one in wanted]
    if len(set(places)) < len(places):
        raise InputError(
            f"The channels {','.join(wanted)} name one of them twice; name each of them once."
        )
    return tuple(Channel(place, names[place]) for place in places)


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
        f"There is no channel {name!r} in an image of {count_in_words(n, 'channel')}{called}; "
        f"choose by number, from 1 to {n}, or by a name that the file has."
    )
