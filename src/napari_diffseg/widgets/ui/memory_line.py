"""The line that says how much memory a run needs, and what to do where there is not enough."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from napari_diffseg.memory import free_memory, in_words
from napari_diffseg.widgets.ui.controls import AMBER, MUTED, Sentence

_FRESH = 1.0
"""Seconds for which it is known how much is free: asking reads a dozen files."""


@dataclass(frozen=True, slots=True)
class MemoryNote:
    """What is said of the memory that a run needs."""

    text: str  # One sentence or two
    fits: bool  # Whether there is enough


def remedies(*, has_levels: bool, has_region: bool, is_volume: bool) -> tuple[str, ...]:
    """Return what makes a run smaller."""
    every = {
        "a coarser resolution": has_levels,
        "plane by plane": is_volume,
        "a smaller region": has_region,
        "a region": not has_region,
    }
    return tuple(what for what, is_there in every.items() if is_there)


def memory_in_words(needed: int, free: int, remedies: Sequence[str] = ()) -> MemoryNote:
    """Say how much memory a run needs."""
    fits = needed <= free
    text = f"Needs about {in_words(needed)} beside the image; {in_words(free)} are free."
    if not fits and remedies:
        text += f" Choose {', '.join(remedies)}, or close other programs."
    elif not fits:
        text += " Close other programs first."
    return MemoryNote(text, fits)


class MemoryLine(Sentence):
    """The sentence, muted; amber where there is not enough."""

    def __init__(self) -> None:
        super().__init__()
        self._free: int | None = None
        self._asked_at = float("-inf")
        self.setToolTip("An estimate for this image and these settings, made before the run.")
        self.show_need(None)

    def show_need(self, needed: int | None, remedies: Sequence[str] = ()) -> None:
        """Say how many bytes are needed; None where that is not known, which says nothing."""
        note = MemoryNote("", fits=True)
        if time.monotonic() - self._asked_at > _FRESH:
            self._free, self._asked_at = free_memory(), time.monotonic()
        free = self._free
        if needed is not None and free is not None:
            note = memory_in_words(needed, free, remedies)
        self.say(note.text, MUTED if note.fits else AMBER)
