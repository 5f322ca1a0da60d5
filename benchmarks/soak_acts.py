"""What a person does in a window, at random: in the dock, and with layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import napari  # noqa: TID251
import numpy as np
from qtpy.QtWidgets import (  # noqa: TID251
    QAbstractButton,
    QAbstractSlider,
    QComboBox,
    QLineEdit,
    QSpinBox,
    QWidget,
)

from benchmarks.live import Heart, pause, stroke

SIDE = 128
TEXTS = ("", "1", "0.5", "TYX", "ZYX", "YX", "CYX", "x", "nuclei", "1,2", "-3", "1e9")
Acts = list[tuple[Callable[[], None], int]]


class LayerMonkey:
    """Does one thing after another with the layers of a viewer, as napari alone can."""

    def __init__(self, viewer: napari.Viewer, rng: np.random.Generator, heart: Heart) -> None:
        self.viewer, self.rng, self.heart = viewer, rng, heart

    @property
    def acts(self) -> Acts:
        """What there is to do, and how often; without the dock results come out of the air."""
        return [*self.layer_acts(), (self.result, 14)]

    def layer_acts(self) -> Acts:
        """Return what is done with layers, and how often."""
        return [
            (self.paint, 24),
            (self.undo, 8),
            (self.add, 4),
            (self.change, 4),
            (self.rename, 2),
            (self.move, 2),
            (self.remove, 4),
            (self.scroll, 6),
        ]

    def act(self) -> str:
        """Do something; returns its name."""
        acts, weights = zip(*self.acts, strict=True)
        chosen = acts[self.rng.choice(len(acts), p=np.array(weights) / sum(weights))]
        chosen()
        return str(chosen.__name__)

    def one_of(self, found: list[Any]) -> Any:
        return found[int(self.rng.integers(len(found)))] if found else None

    def layers(self, kind: str) -> list[Any]:
        return [one for one in self.viewer.layers if type(one).__name__ == kind]

    def result(self) -> None:
        """Show labels as a run does: on a new layer, or in place of those of one."""
        image = self.one_of([one for one in self.layers("Image") if one.ndim == 2])
        if image is None:
            return
        shape = image.data.shape[:2]
        labels = self.rng.integers(0, 9, shape).astype(np.uint8)
        there = [one for one in self.layers("Labels") if one.data.shape == shape]
        if there and self.rng.random() < 0.7:
            self.one_of(there).data = labels
        elif len(self.viewer.layers) <= 12:
            self.viewer.add_labels(labels, opacity=0.6)

    def paint(self) -> None:
        layer = self.one_of([one for one in self.layers("Labels") if one.data.ndim == 2])
        if layer is not None and layer.visible and not getattr(layer, "multiscale", False):
            stroke(layer, int(self.rng.integers(0, 4)), self.rng)

    def undo(self) -> None:
        layer = self.one_of(self.layers("Labels"))
        if layer is not None:
            (layer.undo if self.rng.random() < 0.7 else layer.redo)()

    def add(self) -> None:
        if len(self.viewer.layers) > 8:
            return
        shape = [(SIDE, SIDE), (SIDE, SIDE + 40, 3), (3, SIDE, SIDE), (2, 8, 64, 64)]
        chosen = shape[int(self.rng.integers(len(shape)))]
        pixels = self.rng.integers(0, 255, chosen).astype(np.uint8)
        pixels[..., : chosen[1] // 2, :40] //= 4
        self.viewer.add_image(pixels, rgb=chosen[-1] == 3)

    def change(self) -> None:
        image = self.one_of(self.layers("Image"))
        if image is not None:
            image.data = np.asarray(image.data)[..., ::-1, :].copy()

    def rename(self) -> None:
        layer = self.one_of(list(self.viewer.layers))
        if layer is not None:
            layer.name = f"{layer.name[:6]} {int(self.rng.integers(100))}"

    def move(self) -> None:
        n_layers = len(self.viewer.layers)
        if n_layers > 1:
            self.viewer.layers.move(*map(int, self.rng.integers(0, n_layers, 2)))

    def remove(self) -> None:
        layer = self.one_of(list(self.viewer.layers))
        if layer is not None and len(self.viewer.layers) > 2:
            self.viewer.layers.remove(layer)

    def scroll(self) -> None:
        axis = int(self.rng.integers(self.viewer.dims.ndim))
        steps = self.viewer.dims.nsteps[axis]
        if axis < self.viewer.dims.ndim - 2:
            self.viewer.dims.set_current_step(axis, int(self.rng.integers(steps)))
        elif self.rng.random() < 0.1 and self.viewer.dims.ndim > 2:
            self.viewer.dims.ndisplay = 5 - self.viewer.dims.ndisplay


class DockMonkey(LayerMonkey):
    """Uses the dock, too."""

    def __init__(self, viewer: napari.Viewer, rng: np.random.Generator, heart: Heart) -> None:
        super().__init__(viewer, rng, heart)
        self.window: Any = None
        self.open_dock()

    @property
    def acts(self) -> Acts:
        """What there is to do, and how often."""
        return [
            *self.layer_acts(),
            (self.press, 30),
            (self.slide, 12),
            (self.choose, 8),
            (self.write, 4),
            (self.segment, 14),
            (self.reopen, 1),
        ]

    def open_dock(self) -> None:
        self.window, self.dock = self.viewer.window.add_plugin_dock_widget(
            "napari-diffseg", "Segment"
        )

    def reopen(self) -> None:
        self.viewer.window.remove_dock_widget(self.window)
        pause(0.3)
        self.open_dock()

    def widgets(self, kind: type[QWidget]) -> list[Any]:
        """Return what a person can use: of a section that is closed there is nothing."""
        found = self.dock.findChildren(kind)
        usable = [one for one in found if one.isEnabled() and one.isVisible()]
        self.heart.reset()  # a person looks for it with no time of the window's
        return usable

    def press(self) -> None:
        button = self.one_of(self.widgets(QAbstractButton))
        if button is not None:
            button.click()

    def segment(self) -> None:
        self.dock.segment_button.click()

    def slide(self) -> None:
        found = self.widgets(QAbstractSlider) + self.widgets(QSpinBox)
        slider = self.one_of(found)
        if slider is not None:
            # Neither the longest training nor the largest network: the soak is of the window.
            high = min(slider.maximum(), slider.minimum() + 20)
            slider.setValue(int(self.rng.integers(slider.minimum(), high + 1)))

    def choose(self) -> None:
        box = self.one_of([one for one in self.widgets(QComboBox) if one.count()])
        if box is not None:
            box.setCurrentIndex(int(self.rng.integers(box.count())))

    def write(self) -> None:
        line = self.one_of(self.widgets(QLineEdit))
        if line is not None:
            line.setText(str(self.rng.choice(TEXTS)))
            line.editingFinished.emit()
