"""The command ``napari-diffseg card``: what a model is, for people who did not train it."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_diffseg.cli.options import add_command
from napari_diffseg.cli.terminal import Commands, show


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    card = add_command(commands, "card", _card, help="print what is known of a model, as Markdown")
    card.add_argument("model", type=Path, metavar="MODEL", help="file of a model")


def _card(args: argparse.Namespace) -> int:
    from napari_diffseg.model_file import read_model

    data = read_model(args.model)

    from napari_diffseg.core.model.model import Model  # loads torch

    show(Model.from_bytes(data, str(args.model)).card().removesuffix("\n"))
    return 0
