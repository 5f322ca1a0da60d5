"""The command line: ``napari-diffseg segment``, ``train``, ``apply``, ``objects`` and the others.

Exit codes: 0 done; 1 an error, told in one line; 2 wrong usage; 3 done but for some frames,
which are named; 130 stopped by Ctrl-C, 143 by SIGTERM, 141 where nobody reads any more what is
printed. Neither torch nor napari is loaded before a command needs it, and napari never: the
demonstration runs in a process of its own.
"""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from errno import ENAMETOOLONG
from io import TextIOWrapper
from typing import NoReturn

from napari_diffseg._version import __version__
from napari_diffseg.cli.terminal import (
    NOT_READ,
    cancelled,
    in_shell,
    leave,
    listen_to_signals,
    open_closed_streams,
    say,
)
from napari_diffseg.errors import DiffSegError, InputError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, of these arguments or the process's (None), and return its exit code.

    Raises SystemExit after ``--help`` and ``--version`` (0), and for wrong usage (2).
    """
    open_closed_streams()
    try:
        return _run(argv)
    except BrokenPipeError:  # as with `| head`: who reads has seen enough
        return NOT_READ
    except KeyboardInterrupt as stop:
        code = cancelled(stop)
        if argv is None:
            leave(code)
        return code


def _run(argv: Sequence[str] | None) -> int:
    # First of all: the parser already loads much.
    if argv is None:
        listen_to_signals()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that cannot show μ or × gets a question mark, not an error.
            stream.reconfigure(errors="replace")
    words = sys.argv[1:] if argv is None else argv
    args, rest = parser().parse_known_args(words)
    if rest:  # the whole parser would name its own help
        args.refuse(f"unrecognized arguments: {shlex.join(rest)}")
    # As it was typed, for the report of a run.
    args.line = shlex.join(["napari-diffseg", *words])
    args.is_program = argv is None
    # They log what they dislike in a file; what matters of it comes as an error.
    for reader in ("tifffile", "bioio"):
        logging.getLogger(reader).addHandler(logging.NullHandler())
    try:
        _check_folder()
        code: int = args.command(args)
    except DiffSegError as error:
        say(f"error: {in_shell(error)}")
        return 1
    except OSError as error:
        if error.errno != ENAMETOOLONG:
            raise
        from napari_diffseg.files import too_long

        say(f"error: {too_long(os.path.basename(str(error.filename)))}")
        return 1
    return code


def _check_folder() -> None:
    """Refuse to start where there is no folder any more: torch cannot, and ends without a word."""
    try:
        os.getcwd()
    except FileNotFoundError as error:
        raise InputError(
            "The folder that the program was started in does not exist any more; change to another."
        ) from error


class _Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong, and where the rest stands."""

    def error(self, message: str) -> NoReturn:
        say(f"error: {message.removesuffix('.')}; see `{self.prog} --help`.")
        self.exit(2)


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    from napari_diffseg.cli import apply, card, machine, objects, segment, train

    whole = _Parser(
        prog="napari-diffseg",
        description="Segment images without training data, by differentiable feature clustering.",
        allow_abbrev=False,
    )
    whole.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = whole.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for part in (segment, train, apply, objects, card, machine):
        part.add_to(commands)
    return whole
