"""How the axes of a layer are read: what is known of it, and what a person says → a reading.

A pure function, and the only place that decides it. No napari, no Qt, and no pixel is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import permutations
from typing import Any

import numpy as np

from napari_diffseg.errors import InputError
from napari_diffseg.image.axes import guess_letters, read_letters
from napari_diffseg.image.info import ImageInfo, Placed
from napari_diffseg.image.units import parse_unit
from napari_diffseg.widgets.image.sizes import (
    SizeOrigin,
    TypedSize,
    known_sizes,
    settle_size,
    size_in_words,
)

_WORDS = {
    "T": ("t", "time", "times", "timepoint", "timepoints", "frame", "frames"),
    "C": ("c", "channel", "channels", "ch", "s", "samples"),
    "Z": ("z", "plane", "planes", "depth", "slice", "slices"),
    "Y": ("y", "row", "rows", "height"),
    "X": ("x", "col", "column", "columns", "width"),
}
_TIMES = {"second", "millisecond", "microsecond", "minute", "hour", "day", "s", "ms", "min", "h"}
_GUESSES = {
    1: ("Z", "T", "C"),
    2: ("TZ", "CZ", "ZC", "TC", "ZT"),
    3: ("TCZ", "TZC", "CTZ", "ZCT"),
}
"""Number of axes without a name → what they may be, the likeliest first."""

_MOST_COLORS = 4
_MOST_CHOICES = 4

_STATE_AXES = "state one letter of T, C, Z, Y, X for each, such as ZYX"


class Origin(Enum):
    """What the letters were read from, the surest first."""

    PERSON = "as you said"
    LABELS = "as the layer's axis labels say"
    FILE = "as its file says"
    UNITS = "as its units say"
    SHAPE = "there is no other way"
    GUESS = "a guess"


class Extent(Enum):
    """What one run takes of a layer that has planes."""

    PLANE = "plane by plane"
    VOLUME = "as a volume"


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """What a layer says of itself, and the file that it was read from.

    `shape` is at full resolution, the colours of an RGB layer (`n_colors`) not counted; `noted` are
    the names of axes that came with its file. `n_layers` are taken together, each of them a
    channel. `in_file` is where the file says that pixels lie, of a layer that does not say it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    labels: tuple[str, ...]
    units: tuple[str, ...]
    scale: tuple[float, ...]
    n_colors: int = 0
    noted: tuple[str, ...] = ()
    n_layers: int = 1
    in_file: Mapping[str, Placed] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AxesSaid:
    """What a person said of the axes of a layer, as it was typed; None where nothing was said.

    One letter an axis; a C more at the end of an RGB layer says that its channels are no colours.
    `size` is that of a pixel.
    """

    letters: str | None = None
    size: TypedSize | None = None
    extent: Extent | None = None

    @property
    def sizeless(self) -> AxesSaid:
        """The same without the size of a pixel, which may be half typed."""
        return replace(self, size=None)

    def extent_of(self, reading: AxesReading) -> Extent:
        """Return what a run takes of the stack."""
        return Extent.PLANE if reading.n_planes < 2 else self.extent or reading.extent


@dataclass(frozen=True, slots=True)
class AxesReading:
    """The description of the image that a layer shows, and how sure it is.

    The axes of `info` are those of the layer, colours not counted. Where they are a guess,
    `choices` are what they may be, the guess first. `volume_note` says what a person should know
    before they take it as a volume.
    """

    info: ImageInfo
    n_channels: int
    has_alpha: bool
    origin: Origin
    choices: tuple[str, ...]
    size_origin: SizeOrigin
    volume_note: str

    @property
    def letters(self) -> str:
        """One of ``T C Z Y X`` for each axis."""
        return str(self.info.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self.info.shape

    @property
    def is_certain(self) -> bool:
        """Whether somebody or something says so."""
        return self.origin is not Origin.GUESS

    @property
    def n_planes(self) -> int:
        """How many planes the stack has; 1 without Z."""
        return self.length("Z")

    @property
    def extent(self) -> Extent:
        """What a run takes unless a person says otherwise."""
        is_volume = self.is_certain and self.n_planes >= _FEWEST_PLANES
        return Extent.VOLUME if is_volume else Extent.PLANE

    def length(self, letter: str) -> int:
        """Return the length of an axis; 1 where there is none."""
        return self.shape[self.letters.index(letter)] if letter in self.letters else 1

    def describe(self) -> str:
        """Return e.g. ``"Z 51 · Y 120 · X 122, one channel, 3.5 × 0.8 × 0.8 µm"``."""
        lengths = [f"{one} {self.length(one)}" for one in "TZYX" if one in self.letters]
        channels = "one channel" if self.n_channels == 1 else f"{self.n_channels} channels"
        if self.info.rgb:
            channels += " (RGB, alpha dropped)" if self.has_alpha else " (RGB)"
        parts = [" · ".join(lengths), channels, size_in_words(self.info)]
        return ", ".join(part for part in parts if part)

    def lengths_as(self, letters: str) -> str:
        """Return what a choice means, e.g. ``"T (time) 9 · Y 120 · X 122"``."""
        each = zip(letters, self.shape, strict=True)
        return " · ".join(f"{_NAMES[letter]} {length}" for letter, length in each)

    def question(self) -> str:
        """Return what a person is asked where the letters are a guess; else an empty text."""
        if self.is_certain:
            return ""
        first, unsure = self.choices[0], self.unsure
        if len(unsure) > 1:
            lengths = " · ".join(f"{first[at]} {self.shape[at]}" for at in unsure)
            return f"The axes have no names and are read as {lengths}. Is that right?"
        (at,) = unsure
        return (
            f"The {_ORDINALS[at]} axis has no name and is read as {_NAMES[first[at]]}. "
            "Is that right?"
        )

    @property
    def unsure(self) -> tuple[int, ...]:
        """The axes whose letters are a guess, and matter."""
        first = self.choices[0] if self.choices else ""
        return tuple(
            at
            for at, one in enumerate(first)
            if self.shape[at] > 1 and any(choice[at] != one for choice in self.choices)
        )


_FEWEST_PLANES = 3
"""A stack of so many planes is taken as a volume, where it is certain that it is one."""

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
_NAMES = {"T": "T (time)", "C": "C (channels)", "Z": "Z (planes)", "Y": "Y", "X": "X"}


def read_axes(facts: LayerFacts, said: AxesSaid | None = None) -> AxesReading:
    """Read the axes of a layer.

    What a person says counts first; then the axis labels, what the file says, a unit of time.
    Without a name the last axes are Y and X, which napari shows, and the ones before them are
    guessed. Raises `InputError` where that cannot be, or there are too many axes to guess.
    """
    said = said or AxesSaid()
    notes: list[str] = []
    choices: tuple[str, ...] = ()
    is_color, origin = bool(facts.n_colors), Origin.PERSON
    if said.letters is not None:
        letters = _check(said.letters, facts)
        is_color = is_color and len(letters) == len(facts.shape)
        letters = letters[: len(facts.shape)]
    else:
        letters, origin, choices = _read_facts(facts, notes)
    has_alpha = is_color and facts.n_colors == _MOST_COLORS
    n_channels = facts.n_colors - has_alpha
    if not facts.n_colors:
        in_axis = facts.shape[letters.index("C")] if "C" in letters else 1
        n_channels = max(facts.n_layers, in_axis)
    said_here = zip(letters, facts.scale, facts.units, strict=True)
    info, volume_note = settle_size(
        ImageInfo(
            letters,
            facts.shape,
            facts.dtype,
            rgb=is_color,
            placement=facts.in_file
            or {one: Placed(step, unit=unit) for one, step, unit in said_here},
            notes=tuple(notes),
        ),
        said.size,
    )
    size_origin = SizeOrigin.FILE if facts.in_file else SizeOrigin.LAYER
    if said.size is not None and said.size.says_something:
        size_origin = SizeOrigin.PERSON
    elif not known_sizes(info)[0]:
        size_origin = SizeOrigin.NOBODY
    return AxesReading(info, n_channels, has_alpha, origin, choices, size_origin, volume_note)


def _check(said: str, facts: LayerFacts) -> str:
    """Check the letters that a person says, and bring them into one form."""
    letters = read_letters("".join(one for one in said if one not in " ,;"))
    n_axes, name = len(facts.shape), repr(facts.name)
    if facts.n_colors and len(letters) == n_axes + 1:
        if letters[-1] != "C":
            raise InputError(
                f"napari shows the last axis of {name} ({facts.n_colors} long) as colours, so it "
                f"cannot be {letters[-1]}; right-click on the layer ▸ Split RGB, then Merge to "
                "Stack."
            )
    elif len(letters) != n_axes:
        raise InputError(
            f"The axes {letters!r} name {len(letters)} axes, but {name} has {n_axes}; "
            f"{_STATE_AXES}."
        )
    elif "C" in letters and (facts.n_colors or facts.n_layers > 1):
        raise InputError(
            f"The axes {letters!r} name a channel axis, but the channels are the "
            f"{'colours' if facts.n_colors else 'layers'} already; use Z or T for this axis."
        )
    return letters


def _read_facts(facts: LayerFacts, notes: list[str]) -> tuple[str, Origin, tuple[str, ...]]:
    """Return the letters, what they were read from, and where they are a guess all choices."""
    used = set("C") if facts.n_colors or facts.n_layers > 1 else set()
    letters: list[str | None] = [None] * len(facts.shape)
    origin = Origin.SHAPE
    by_labels, by_file = _letters_of(facts.labels, facts), _letters_of(facts.noted, facts)
    for source, named in (
        (Origin.LABELS, by_labels),
        (Origin.FILE, by_file),
        (Origin.UNITS, _letters_of_units(facts)),
    ):
        for axis, letter in enumerate(named):
            if letters[axis] is None and letter is not None and letter not in used:
                letters[axis] = letter
                used.add(letter)
                if letter not in "YX":
                    origin = source
    if all(by_file) and any(a and a != b for a, b in zip(by_labels, by_file, strict=False)):
        notes.append(
            f"The layer's axis labels say {''.join(one or '?' for one in by_labels)}, but its file "
            f"{''.join(one or '?' for one in by_file)}; the labels count."
        )
    choices = tuple(_complete(letters, used, facts))
    if not choices:
        raise InputError(f"{facts.name!r} has {len(facts.shape)} axes; {_STATE_AXES}.")
    if len(choices) == 1:
        return choices[0], origin, ()
    return choices[0], Origin.GUESS, choices


def _letters_of(names: Sequence[str], facts: LayerFacts) -> list[str | None]:
    """Return the letters of named axes; None for those that cannot be told."""
    words = [str(one).strip().lower() for one in names]
    found = [next((k for k, known in _WORDS.items() if word in known), None) for word in words]
    if facts.n_colors and len(found) == len(facts.shape) + 1 and found[-1] == "C":
        found.pop()
    if len(found) != len(facts.shape):
        return [None] * len(facts.shape)
    return [one if found.count(one) == 1 else None for one in found]


def _letters_of_units(facts: LayerFacts) -> list[str | None]:
    """Return T for the axis that is measured in time, if it is one.

    A length tells nothing: many programs give all axes of a film the unit of its pixels.
    """
    found = ["T" if unit in _TIMES else None for unit in facts.units]
    return found if found.count("T") == 1 else [None] * len(found)


def _complete(letters: Sequence[str | None], used: set[str], facts: LayerFacts) -> Iterator[str]:
    """Yield what the letters may be, the likeliest first; those that mean the same once."""
    known, shape = list(letters), facts.shape
    free = [axis for axis, one in enumerate(known) if one is None]
    # What files and arrays without names are taken for comes first here, too.
    is_nameless = not used and len(free) == len(shape)
    first = guess_letters(shape, rgb=False) if is_nameless else None
    # But nobody counts channels in micrometres.
    has_channels = first is not None and "C" in first and shape[first.index("C")] > 1
    every = []
    if first is not None and has_channels and parse_unit(facts.units[first.index("C")]) is None:
        every.append(first)
    if {"Y", "X"}.isdisjoint(used) and free[-2:] == [len(known) - 2, len(known) - 1]:
        known[-2:] = "Y", "X"
        free = free[:-2]
    else:
        # Somebody named the axes, but not these two: in order they are what is left.
        for letter in "YX":
            if letter not in used and free:
                known[free.pop()] = letter
    left = [one for one in "TCZ" if one not in used]
    guesses = _GUESSES.get(len(free), ("",) if not free else ())
    for guess in (*guesses, *("".join(p) for p in permutations(left, len(free)))):
        if set(guess) <= set(left):
            for axis, letter in zip(free, guess, strict=True):
                known[axis] = letter
            every.append("".join(str(one) for one in known))
    meanings: dict[str, str] = {}
    for one in every:
        # An axis of one entry means nothing, whatever it is called.
        meaning = "".join(letter if n > 1 else "-" for letter, n in zip(one, shape, strict=True))
        meanings.setdefault(meaning, one)
    yield from list(meanings.values())[:_MOST_CHOICES]
