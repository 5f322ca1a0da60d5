"""A model file that is dropped on napari: the dock opens, and takes the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import napari

from napari_diffseg.errors import InputError
from napari_diffseg.model_file import SUFFIX

Reader = Callable[[str], list[tuple[None]]]


def get_reader(path: str | list[str]) -> Reader | None:
    """Return what reads this file; None where it is not one model."""
    is_one = isinstance(path, str) and path.lower().endswith(SUFFIX)
    return read_model if is_one else None


def read_model(path: str) -> list[tuple[None]]:
    """Let the dock of the current viewer load a model; no layer is added."""
    viewer: Any = napari.current_viewer()
    if viewer is None:
        raise InputError(
            f"{path} is a model, not an image; open it in a napari window, or read it with "
            "napari_diffseg.Model.load."
        )
    _, dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")
    dock.modelling.load(path)
    return [(None,)]
