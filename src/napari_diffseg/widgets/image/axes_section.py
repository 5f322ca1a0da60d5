"""Axes in the dock: joins the form to the layer that it is about, and keeps what was said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_diffseg.errors import InputError
from napari_diffseg.widgets.image.axes_reading import AxesSaid, Extent
from napari_diffseg.widgets.image.layer_facts import read_layer
from napari_diffseg.widgets.ui import words

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_diffseg.widgets.image.axes_form import AxesForm

_EVENTS = ("axis_labels", "data", "scale", "units")


class AxesSection:
    """How the axes of the chosen image are read.

    `changed` when a person has said something, here or of the layer itself.
    """

    changed = Signal()

    def __init__(self, form: AxesForm, said: Sequence[tuple[Image, AxesSaid]] = ()) -> None:
        self._form = form
        self._layer: Image | None = None
        # What was said of each layer. Layers are compared by ==: napari hands out proxies of them.
        self.all_said = list(said)
        form.letters_typed.connect(self.type_letters)
        form.size_field.typed.connect(
            lambda size: self._say(size=size if size.says_something else None)
        )
        form.extent_picked.connect(self.choose_extent)
        form.reset.connect(self.reset)

    @property
    def said(self) -> AxesSaid:
        """What was said of the layer."""
        return self.said_of(self._layer)

    def said_of(self, layer: object) -> AxesSaid:
        """Return what was said of any layer."""
        return next((said for one, said in self.all_said if one == layer), AxesSaid())

    def take(self, layer: Image | None) -> None:
        """Be about this layer from now on, and hear when it changes; None for none."""
        if self._layer is layer or (self._layer is not None and self._layer == layer):
            return
        self._hear(connects=False)
        self._layer = layer
        self._hear(connects=True)

    def show(self, n_layers: int = 1) -> str:
        """Show how the axes are read of so many layers that are taken for channels.

        Returns a word on what is wrong, or an empty text.
        """
        form, layer, said, reason = self._form, self._layer, self.said, ""
        if layer is None:
            form.show_nothing()
            return ""
        try:
            reading = read_layer(layer, said.sizeless, n_layers)
        except InputError as error:
            form.show_wrong(str(error), said)
            return words.SAY_AXES
        try:
            reading = read_layer(layer, said, n_layers)
        except InputError as error:
            reason = str(error)
        form.show_reading(reading, said, has_choice=len(reading.shape) > 2 or layer.rgb)
        form.size_field.show_wrong(reason)
        return words.SAY_SIZE if reason else ""

    # --- what a person says -----------------------------------------------------------

    def type_letters(self, letters: str) -> None:
        """Say what the axes are, by typing or as the answer to the question."""
        self._say(letters=letters)

    def choose_extent(self, extent: Extent) -> None:
        """Say what a run takes of the stack; who says *as a volume* says that Z is Z."""
        letters = self.said.letters
        if extent is Extent.VOLUME and letters is None:
            letters = read_layer(self._layer, self.said).letters
        self._say(extent=extent, letters=letters)

    def reset(self) -> None:
        """Forget what was said of this layer."""
        self.on_removed(self._layer)
        self.changed.emit()

    def on_removed(self, layer: object) -> None:
        """Forget what was said of a layer that is gone."""
        self.all_said = [(one, said) for one, said in self.all_said if one != layer]

    def close(self) -> None:
        """Hear of nothing any more."""
        self._hear(connects=False)
        self.changed.disconnect()

    # --- pieces of the above ----------------------------------------------------------

    def _hear(self, *, connects: bool) -> None:
        if self._layer is None:
            return
        for name in _EVENTS:
            emitter = getattr(self._layer.events, name)
            (emitter.connect if connects else emitter.disconnect)(self._on_layer)

    def _on_layer(self, event: Any = None) -> None:
        self.changed.emit()

    def _say(self, **what: Any) -> None:
        if self._layer is None:
            return
        said = replace(self.said, **what)
        self.on_removed(self._layer)
        self.all_said.append((self._layer, said))
        self.changed.emit()
