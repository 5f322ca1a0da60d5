"""What the first run needs is loaded while a person still looks at the image."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from threading import Event, Lock, Thread

_SLOW = "torch", "pandas", "scipy.optimize", "scipy.signal", "napari_diffseg.core.region_run"
"""Modules whose first import takes a tenth of a second to more than one."""

_loading, _loaded = Lock(), Event()


def load_early() -> None:
    """Begin to load, in a thread, what a run would else wait for; once in a process."""
    if not _loaded.is_set():
        Thread(target=_load, name="napari-diffseg imports").start()


def is_loading() -> bool:
    """Whether it is still being loaded; what the window does meanwhile takes twice as long."""
    return _loading.locked()


def _load() -> None:
    # What cannot be loaded is told by the run that needs it; a program that ends loads no more.
    with _loading, suppress(ImportError, OSError, RuntimeError), _without_collecting():
        for name in _SLOW:
            import_module(name)
        # Patterns of dashes, which napari's first Labels layer would wait for; vispy keeps them.
        import_module("vispy.visuals.line.dash_atlas").DashAtlas()
    _loaded.set()


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Look for no garbage among hundreds of thousands of new objects that stay.

    Python would go through all that there are, with every thread standing still for a tenth of a
    second and more, several times now and once more when the first layer is made.
    """
    if not gc.isenabled() or gc.get_freeze_count():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        # Frozen and thawed they count as old, and are looked through with what is old.
        gc.freeze()
        gc.unfreeze()
        gc.enable()
