"""napari with the Segment widget, driven and photographed, for pictures of the documentation."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import napari
from PIL import Image
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QApplication, QWidget

from napari_diffseg.widgets.ui.remembered import defaults_only

IMAGES = Path(__file__).parents[1] / "docs" / "images"
_N_COLORS = 160
_LONGEST = 300.0
"""Seconds after which a run is given up."""


class Window:
    """A napari window with the dock widget on its right.

    Parameters
    ----------
    size
        Width and height of the window; the lists of layers on the left are part of it.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        # A picture shows the defaults, not what somebody set on this machine.
        self._defaults = ExitStack()
        self._defaults.enter_context(defaults_only())
        self.viewer = napari.Viewer(show_welcome_screen=False)
        self.viewer.window.resize(*size)
        self.dock: Any = None

    def open_sample(self, key: str) -> list[Any]:
        """Open one of the plugin's samples."""
        return self.viewer.open_sample("napari-diffseg", key)

    def open_dock(self) -> Any:
        """Open the widget, when the layers are there."""
        _, self.dock = self.viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")
        self.wait(0.5)
        self.viewer.reset_view()
        self.wait(0.5)
        return self.dock

    def wait(self, seconds: float) -> None:
        """Let the window live for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.01)

    def segment(self) -> None:
        """Press Segment and wait for the end."""
        self.dock.segment_button.click()
        self.wait_for_end()

    def wait_for_end(self) -> None:
        """Wait until no run is under way, nor about to start."""
        self.wait(0.5)
        end = time.monotonic() + _LONGEST
        while self.dock.press.is_busy:
            self.wait(0.05)
            if time.monotonic() > end:
                raise TimeoutError(self.dock.status.text())
        self.wait(0.5)

    @property
    def result(self) -> Any:
        """The layer of the newest result; scribbles may lie above it."""
        return [layer for layer in self.viewer.layers if "napari_diffseg" in layer.metadata][-1]

    def photograph(self, name: str, *, bottom: int | None = None) -> None:
        """Write a picture of the canvas and the widget.

        Parameters
        ----------
        name
            Of the file in docs/images, without its ending.
        bottom
            The picture ends so many pixels under its top.
        """
        self.wait(1)  # until all has its place
        shown = self.pixels()[:bottom]
        picture = Image.fromarray(shown).quantize(_N_COLORS, dither=Image.Dither.NONE)
        picture.save(IMAGES / f"{name}.png", optimize=True)

    def pixels(self) -> Any:
        """Canvas and widget as drawn now, (Y, X, RGB), but for how long a run took here."""
        status = self.dock.status
        status.setText(re.sub(r" in [\d.]+ (s|min|h)( \d+ (s|min))?\b", "", status.text()))
        pixels = self.viewer.screenshot(canvas_only=False, flash=False)[..., :3]
        main: QWidget = self.dock.window()
        corner = main.centralWidget().mapTo(main, QPoint(0, 0))
        return pixels[corner.y() :, corner.x() :]

    def close(self) -> None:
        """Close the window."""
        self.viewer.close()
