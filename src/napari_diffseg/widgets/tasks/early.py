"""What the first run needs is loaded while a person still looks at the image."""

from __future__ import annotations

from importlib import import_module
from threading import Thread

_SLOW = "torch", "pandas", "scipy.optimize", "scipy.signal", "napari_diffseg.core.region_run"
"""Modules whose first import takes a tenth of a second to more than one."""


def load_early() -> None:
    """Begin to import, in a thread, what a run would else wait for; at once where it is there."""
    Thread(target=_load, name="napari-diffseg imports").start()


def _load() -> None:
    for name in _SLOW:
        import_module(name)
