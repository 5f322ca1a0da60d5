"""What the commands say to the person at the terminal, and hear from them."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from socket import socket, socketpair
from threading import Thread
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, TypeAlias, TypeVar

from napari_diffseg.errors import DiffSegError, OutputError, Remedy

if TYPE_CHECKING:
    from napari_diffseg.core.published.training import Command, Iteration

_PATIENCE = 0.3
"""Seconds after which Ctrl-C ends the program, whatever that is at."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_SWITCHES = {
    Remedy.RESUME: " (--resume)",
    Remedy.OVERWRITE: ", or overwrite what is there (--force)",
    Remedy.BEGIN_ANEW: ", or begin anew (--force)",
    Remedy.STATE_AXES: " (--axes)",
    Remedy.CHOOSE_SERIES: " (--series)",
    Remedy.CHOOSE_CHANNELS: ", or say which of its channels the model looks at (--channels)",
    Remedy.OWN_INTENSITIES: " (--intensities frame)",
}

_STOPPED_BY = 128
"""As a shell expects it: the exit code of what a signal has stopped is so much and its number."""

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Result = TypeVar("Result")


NOT_READ = 141
"""The exit code of a program whose output nobody reads any more, as if by SIGPIPE."""


def open_closed_streams() -> None:
    """Have what is printed go nowhere where a shell has closed the place for it (``2>&-``)."""
    # In this order, and stdin too: else a file that is written may come to be number 2.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115  (for the whole program)
            setattr(sys, name, nowhere)


def show(text: str) -> None:
    """Print what was asked for to stdout."""
    try:
        _print(text, sys.stdout)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"What was asked for cannot be printed ({error.strerror}); print it to another place."
        ) from error


def say(text: str) -> None:
    """Print a line to stderr, with the program's name, and paths as seen from here."""
    with suppress(OSError):  # where the folder that this was started in is gone
        here = re.escape(os.path.join(os.getcwd(), ""))
        text = re.sub(rf"(?<![^\s'\"(]){here}", "", text)
    try:
        _print(f"napari-diffseg: {text}", sys.stderr)
    except BrokenPipeError:
        raise
    except OSError:  # a log on a full disk, say: what a command does is worth more than its words
        return


def _print(text: str, stream: TextIO) -> None:
    try:
        print(text, file=stream, flush=True)
    except OSError:
        # What is still to be printed Python would try again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise


def _say_at_once(text: str) -> None:
    """Print a line from a signal's handler: `print` may be at a line of its own at this moment."""
    with suppress(OSError):
        os.write(2, f"napari-diffseg: {text}\n".encode())


def tell(args: argparse.Namespace, *lines: str) -> None:
    """Print lines, unless a command is to be quiet."""
    for line in () if args.quiet else lines:
        say(line)


def progress_bar(args: argparse.Namespace, **how: Any) -> Any:
    """Return a bar that is gone at the end; none without a terminal: it would fill a log file."""
    from tqdm import tqdm

    return tqdm(disable=True if args.quiet else None, leave=False, **how)


def in_shell(error: DiffSegError) -> str:
    """Return the sentence of an error, with the switches that are a way out here."""
    switches = "".join(_SWITCHES[remedy] for remedy in error.remedies)
    return f"{str(error)[:-1]}{switches}." if switches else str(error)


@dataclass
class Interrupt:
    """Whether Ctrl-C was pressed."""

    met: bool = False


@dataclass
class _Presses:
    """How often Ctrl-C was pressed, at which time that ends the program, and what is said then."""

    n_heard: int = 0
    last: int = 1
    words: Callable[[], str] = lambda: "cancelled."
    is_told: bool = False


_presses = _Presses()


@contextmanager
def first_interrupt_finishes() -> Iterator[Interrupt]:
    """Note the first Ctrl-C, and raise KeyboardInterrupt only at the second."""
    interrupt = Interrupt()
    _presses.n_heard, _presses.last = 0, 2

    def note(number: int, frame: FrameType | None) -> None:
        if interrupt.met:
            raise KeyboardInterrupt(number)
        interrupt.met = True
        _say_at_once("keeping what there is; press Ctrl-C again to cancel.")

    try:
        with _heard_by(note):
            yield interrupt
    finally:
        _presses.n_heard, _presses.last = 0, 1


@contextmanager
def interrupt_leaves(words: str, is_time: Callable[[], bool]) -> Iterator[None]:
    """End the program at Ctrl-C: what its workers are at is lost, as by a kill, not waited for."""

    def leave(number: int, frame: FrameType | None) -> None:
        if not is_time():
            raise KeyboardInterrupt(number)
        _say_at_once(words)
        os._exit(_STOPPED_BY + number)

    before = _presses.words
    _presses.words = lambda: words if is_time() else before()
    try:
        with _heard_by(leave):
            yield
    finally:
        _presses.words = before


def listen_to_signals() -> None:
    """Have what a cluster or a shell sends to end the program (SIGTERM) do what Ctrl-C does.

    Also where Ctrl-C is ignored: a script's `command &` starts so, and must keep what is done.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt(number)

    for number in _SIGNALS:
        signal.signal(number, stop)
    ear, mouth = socketpair()
    mouth.setblocking(False)
    signal.set_wakeup_fd(mouth.detach())
    Thread(target=_leave_late, args=(ear,), daemon=True).start()


def _leave_late(ear: socket) -> None:
    """End the program where its main thread has not done so, a moment after Ctrl-C.

    That hears nothing while it is in a computation of NumPy or SciPy, which may take seconds.
    """
    while number := ear.recv(1):
        if number[0] not in _SIGNALS:
            continue
        _presses.n_heard += 1
        if _presses.n_heard < _presses.last:
            continue
        time.sleep(_PATIENCE)
        if _presses.n_heard >= _presses.last:
            from napari_diffseg.files import forsake

            forsake()
            if not _presses.is_told:
                _say_at_once(_presses.words())
            os._exit(_STOPPED_BY + number[0])


def cancelled(stop: KeyboardInterrupt) -> int:
    """Say that Ctrl-C has ended a command; returns its exit code."""
    _presses.is_told = True
    with suppress(BrokenPipeError):  # Ctrl-C ends also who reads: `2>&1 | tee log`
        say(_presses.words())
    return exit_code(stop)


def leave(code: int) -> NoReturn:
    """End the program: what torch and others do at the end takes as long as they took to load."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def exit_code(stop: KeyboardInterrupt) -> int:
    """Return the code with which a program ends that was stopped: 130 by Ctrl-C, 143 by SIGTERM."""
    number: int = stop.args[0] if stop.args else signal.SIGINT
    return _STOPPED_BY + number


@contextmanager
def _heard_by(listener: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let Ctrl-C, and a request to end, be heard by a listener alone."""
    before = {number: signal.signal(number, listener) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, listened in before.items():
            signal.signal(number, listened)


def drain_training(
    steps: Generator[Iteration, Command | None, Result],
    interrupt: Interrupt,
    args: argparse.Namespace,
    n_iterations: int,
) -> Result:
    """Drain a training generator into a progress bar; an interrupt finishes it."""
    from napari_diffseg.core.published.training import Command

    command: Command | None = None
    with progress_bar(args, total=n_iterations, unit="it") as bar:
        try:
            while True:
                _show(bar, steps.send(command))
                command = Command.FINISH if interrupt.met else None
        except StopIteration as end:
            result: Result = end.value
            return result
        finally:
            steps.close()


def _show(bar: Any, step: Iteration) -> None:
    bar.set_postfix(clusters=step.n_clusters, loss=f"{step.loss:.3f}", refresh=False)
    if step.labelled:
        bar.set_description(f"labelling {step.labelled:.0%}")
    else:
        # Scribbles are followed in rounds that count from 1 again.
        bar.total = step.n_iterations
        bar.update(step.index - bar.n)
