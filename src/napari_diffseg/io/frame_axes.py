"""The axes of a file of frames: stated, told by the file, or guessed with a word on it."""

from __future__ import annotations

from pathlib import Path

from napari_diffseg.errors import InputError
from napari_diffseg.image.axes import resolve_axes
from napari_diffseg.image.info import ImageInfo


def frame_axes(
    path: Path, facts: ImageInfo, stated: str | None, n_channels: int | None
) -> tuple[str, tuple[str, ...]]:
    """Find out what the axes of a file are.

    What a person states holds; how many channels are expected decides a guess between channels and
    frames. With what should be known of a guess.
    """
    axes = facts.stated(stated).axes
    notes: tuple[str, ...] = ()
    if axes is None and len(facts.shape) == 3:
        axes, note = _guess_of_three(path, facts, n_channels)
        if note is None:
            return axes, ()
        notes = (note,)
    elif axes is None and len(facts.shape) == 4 and facts.rgb:
        axes = "TYXC" if facts.shape[-1] in (3, 4) else "TCYX"
        notes = (_taken_for_time(path),)
    lengths = facts.shape
    if axes is not None and len(axes.strip()) == len(lengths):
        # A frame is one entry of T, and has axes that an image can have.
        lengths = tuple(
            min(length, 1) if letter == "T" else length
            for letter, length in zip(axes.strip().upper(), lengths, strict=True)
        )
    try:
        return resolve_axes(lengths, axes, rgb=facts.rgb if stated is None else None).axes, notes
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _guess_of_three(path: Path, facts: ImageInfo, n_channels: int | None) -> tuple[str, str | None]:
    """Guess the three axes of a file: channels, or frames; with what a person should know."""
    try:
        guess = resolve_axes(facts.shape, rgb=facts.rgb)
    except InputError:
        return "TYX", _taken_for_time(path)
    if guess.rgb or guess.axes[0] != "C":
        return guess.axes, None
    found = guess.n_channels
    if n_channels == 1 < found:
        note = f"{path.name} does not name its axes; the first ({found}) was taken for time (T)."
        return "TYX", note
    note = (
        f"{path.name} does not name its axes; the first ({found}) was taken for channels. If it is "
        "time, state the axes TYX."
    )
    return guess.axes, note


def _taken_for_time(path: Path) -> str:
    return f"{path.name} does not name its first axis; it was taken for time (T)."
