"""Channels: which of an image's are looked at, how much each counts, and their intensities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_diffseg.errors import InputError

MOST_WEIGHT = 100.0
"""The largest weight that a channel can have."""


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
    weight: float = 1.0
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.index < 0:
            raise InputError(f"The channel {self.index} is negative; channels are counted from 0.")
        if not 0 < self.weight <= MOST_WEIGHT:
            raise InputError(
                f"The weight of {self.title} is {self.weight:g}, but must be above 0 and at most "
                f"{MOST_WEIGHT:g}; leave a channel out to switch it off."
            )
        ends = [end for end in (self.low, self.high) if end is not None]
        if not np.isfinite(ends).all() or (len(ends) == 2 and ends[0] >= ends[1]):
            raise InputError(
                f"The intensities of {self.title} go from {self.low} to {self.high}, but the "
                "first must be the lower one, and both finite."
            )

    @property
    def title(self) -> str:
        """How a sentence calls it: ``"channel 1 (DAPI)"``, counted from 1."""
        return f"channel {self.index + 1}" + (f" ({self.name})" if self.name else "")


def pick_channels(
    channels: Sequence[Channel] | None, n_channels: int, *, rgb: bool
) -> tuple[Channel, ...]:
    """Check the channels that are wanted of an image; all of it where None.

    Parameters
    ----------
    channels : sequence of Channel, or None
    n_channels : int
        How many the image has, alpha not counted.
    rgb : bool
        Whether they are red, green, blue: these stay together.

    Raises
    ------
    InputError
        None is wanted, one twice, one that the image does not have, or a part of a colour.
    """
    if channels is None:
        return tuple(Channel(index) for index in range(n_channels))
    picked = tuple(channels)
    if not picked:
        raise InputError("No channel is switched on; choose one at least.")
    missing = [one for one in picked if one.index >= n_channels]
    if missing:
        raise InputError(
            f"The image has {n_channels} channel(s), but {missing[0].title} is asked for; choose "
            "among those that there are."
        )
    if len({one.index for one in picked}) < len(picked):
        raise InputError("A channel is chosen twice; choose each once.")
    if rgb and [one.index for one in picked] != list(range(n_channels)):
        raise InputError(
            "Red, green and blue are one picture, of which no colour can be left out; state the "
            "axes (such as CYX) and that it is no RGB to take them for channels."
        )
    if rgb and any(one.weight != 1 or (one.low, one.high) != (None, None) for one in picked):
        raise InputError(
            "Red, green and blue are one picture and have no weights and intensities of their "
            "own; state that the image is no RGB to take them for channels."
        )
    return picked
