"""Axes in the dock: joins the form to the layer that it is about, and keeps what was said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_diffseg.errors import InputError
from napari_diffseg.widgets.image.axes_reading import Extent
from napari_diffseg.widgets.image.layer_facts import facts_of
from napari_diffseg.widgets.image.voxel_size import TypedSize
from napari_diffseg.widgets.image.wishes import AxesSaid
from napari_diffseg.widgets.ui import words

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_diffseg.widgets.image.axes_form import AxesForm

_EVENTS = ("axis_labels", "data", "scale", "units")


class AxesSection:
    """How the axes of the chosen image are read."""

    changed = Signal()
    """Emitted when a person has said something, here or of the layer itself."""

    def __init__(self, form: AxesForm, said: Sequence[tuple[Image, AxesSaid]] = ()) -> None:
        self._form = form
        self._layer: Image | None = None
        # Layers are compared by ==: napari hands out proxies of them.
        self._said = list(said)
        form.letters_typed.connect(self.type_letters)
        form.size.typed.connect(lambda size: self._say(size=size if size.says_something else None))
        form.extent_picked.connect(self.choose_extent)
        form.reset.connect(self.reset)

    @property
    def said(self) -> AxesSaid:
        """What was said of the layer."""
        return self.said_of(self._layer)

    def said_of(self, layer: object) -> AxesSaid:
        """Return what was said of any layer."""
        return next((said for one, said in self._said if one == layer), AxesSaid())

    @property
    def all_said(self) -> list[tuple[Image, AxesSaid]]:
        """What was said of each layer."""
        return list(self._said)

    def take(self, layer: Image | None) -> None:
        """Be about this layer from now on, and hear when it changes; None for none."""
        is_same = self._layer is not None and layer is not None and self._layer == layer
        if is_same or self._layer is layer:
            return
        self._hear(connects=False)
        self._layer = layer
        self._hear(connects=True)

    def show(self, n_layers: int = 1) -> str:
        """Show how the axes are read of so many layers that are taken for channels.

        Returns a word on what is wrong, or an empty text.
        """
        form, said = self._form, self.said
        if self._layer is None:
            form.show_nothing()
            return ""
        reason = ""
        try:
            reading = said.sizeless.reading(self._layer, n_layers)
        except InputError as error:
            form.show_wrong(str(error))
            form.mark_letters(True)
            form.write(said.letters or "", can_reset=said != AxesSaid())
            return words.SAY_AXES
        try:
            reading = said.reading(self._layer, n_layers)
        except InputError as error:
            reason = str(error)
        form.mark_letters(False)
        has_choice = len(facts_of(self._layer).shape) > 2 or self._layer.rgb
        form.show_reading(reading, has_choice=has_choice)
        letters = reading.letters if said.letters is None else said.letters
        form.write(letters, can_reset=said != AxesSaid())
        form.size.show_size(
            reading.voxel, reading.size_origin, said.size, has_planes=reading.n_planes > 1
        )
        form.size.show_wrong(reason)
        form.show_extent(said.extent_of(reading) if reading.n_planes > 1 else None)
        return words.SAY_SIZE if reason else ""

    # --- what a person says -----------------------------------------------------------

    def type_letters(self, letters: str) -> None:
        """Say what the axes are, by typing or as the answer to the question."""
        self._say(letters=letters)

    def choose_extent(self, extent: Extent) -> None:
        """Say what a run takes of the stack; who says *as a volume* says that Z is Z."""
        letters = self.said.letters
        if extent is Extent.VOLUME and letters is None:
            letters = self.said.reading(self._layer).letters
        self._say(extent=extent, letters=letters)

    def reset(self) -> None:
        """Forget what was said of this layer."""
        self.on_removed(self._layer)
        self.changed.emit()

    def on_removed(self, layer: object) -> None:
        """Forget what was said of a layer that is gone."""
        self._said = [(one, said) for one, said in self._said if one != layer]

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

    def _say(self, **what: str | TypedSize | Extent | None) -> None:
        if self._layer is None:
            return
        said = replace(self.said, **what)
        self.on_removed(self._layer)
        self._said.append((self._layer, said))
        self.changed.emit()
