"""The commands about the machine: ``napari-diffseg info`` and ``demo``."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from napari_diffseg._version import __version__
from napari_diffseg.cli.options import add_command
from napari_diffseg.cli.terminal import Commands, show
from napari_diffseg.errors import DiffSegError

_PACKAGES = (
    "torch",
    "numpy",
    "scikit-image",
    "tifffile",
    "imagecodecs",
    "pillow",
    "zarr",
    "bioio",
    "dask",
    "napari",
)
"""Packages whose versions ``info`` prints."""


def add_to(commands: Commands) -> None:
    """Add the commands to the parser."""
    add_command(commands, "info", _info, help="print versions, devices and threads")
    words = "run the widget in napari on a sample image and take a screenshot"
    demo = add_command(commands, "demo", _demo, help=words)
    demo.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("demo-output"),
        metavar="DIR",
        help="folder for the labels and the screenshot (default: %(default)s)",
    )


def _info(args: argparse.Namespace) -> int:
    import torch

    from napari_diffseg.core.device import available_devices

    facts = {
        "napari-diffseg": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "system": platform.platform(),
        "devices": ", ".join(available_devices()),
        "threads": f"{torch.get_num_threads()} of {os.cpu_count()} processors",
    }
    width = max(map(len, facts))
    show("\n".join(f"{name:<{width}}  {fact}" for name, fact in facts.items()))
    return 0


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _demo(args: argparse.Namespace) -> int:
    if find_spec("napari") is None:
        raise DiffSegError(
            "The demo needs napari, which is not installed; run pip install 'napari-diffseg[all]'."
        )
    # The widgets stay behind a process: this door never imports the other one.
    demo = [sys.executable, "-m", "napari_diffseg.widgets.demo", "-o", str(args.output)]
    return subprocess.call([*_display_prefix(), *demo])


def _display_prefix() -> list[str]:
    """Return what to put before a command so that it has a display: nothing, or xvfb-run."""
    has_display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if has_display or sys.platform != "linux":
        return []
    xvfb = shutil.which("xvfb-run")
    if xvfb is None:
        raise DiffSegError(
            "The demo needs a display, and there is none; install the system package 'xvfb' "
            "(it brings xvfb-run), or run the demo on a desktop."
        )
    return [xvfb, "-a", "-s", "-screen 0 1600x1000x24"]
