"""Errors that a person reads: each carries one sentence that says what to do.

They derive from plain ``Exception``. A ``RuntimeError`` raised inside a napari
generator worker is swallowed (neither ``errored`` nor ``finished`` fires), so
none of these may be one.
"""

from __future__ import annotations

from enum import Enum


def count_in_words(number: int, noun: str) -> str:
    """Return e.g. ``"1 label"`` or ``"7 labels"``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its name."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class Remedy(Enum):
    """A way out of an error that a door may have; each adds to the sentence what it is there."""

    OVERWRITE = "overwrite"
    BEGIN_ANEW = "begin anew"
    RESUME = "resume"
    STATE_AXES = "state the axes"
    CHOOSE_CHANNELS = "choose channels"
    CHOOSE_SERIES = "choose the series"
    OWN_INTENSITIES = "own intensities"


class DiffSegError(Exception):
    """Anything that this package raises on purpose; the message is one sentence.

    Attributes
    ----------
    remedies : tuple of Remedy
        Ways out, for which a door may have a switch or a button.
    """

    def __init__(self, message: str = "", *remedies: Remedy) -> None:
        super().__init__(message)
        self.remedies = remedies


class Cancelled(Exception):  # noqa: N818  it is no error
    """Nobody waits any more for what is under way; told to nobody."""


class InputError(DiffSegError):
    """An image, its axes, or a file is not what was expected."""


class ModelFileError(DiffSegError):
    """A file is no model of this program, is damaged, or comes from a newer version."""


class OutputError(DiffSegError):
    """A result cannot be written where it was asked for."""


class ClusterError(DiffSegError):
    """The workers that were asked for cannot be reached, or were lost."""


class DeviceError(DiffSegError):
    """The device that was asked for is not there."""


class OutOfMemoryError(DiffSegError):
    """The run needs more memory than the machine or the GPU has."""


class TrainingError(DiffSegError):
    """The computation itself failed (an error inside torch, for example)."""


class ParameterError(DiffSegError):
    """A parameter or an option is out of its bounds.

    Parameters
    ----------
    field : str
        Name of the dataclass field, so that a form can mark it.
    message : str
        One sentence: what was met, what was expected, what to do.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field

    def __reduce__(self) -> tuple[type[ParameterError], tuple[str, str]]:
        # From another process, where an error that cannot be made anew is taken for a death.
        return type(self), (self.field, str(self))
