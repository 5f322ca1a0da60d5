"""Axes in the dock: joins the form to the layer that it is about, and keeps what was said."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_diffseg.errors import InputError
from napari_diffseg.widgets.image.axes_reading import AxesEdit, AxesReading, Extent, read_axes
from napari_diffseg.widgets.image.layer_facts import facts_of
from napari_diffseg.widgets.image.voxel_size import TypedSize
from napari_diffseg.widgets.ui import words

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_diffseg.widgets.image.axes_form import AxesForm

_EVENTS = ("axis_labels", "data", "scale", "units")


@dataclass(frozen=True, slots=True)
class _Said:
    """What a person said of one layer, as they typed it; None where nothing was said."""

    letters: str | None = None
    size: TypedSize | None = None
    extent: Extent | None = None


class AxesSection:
    """How the axes of the chosen image are read."""

    changed = Signal()
    """Emitted when a person has said something, here or of the layer itself."""

    def __init__(self, form: AxesForm) -> None:
        self._form = form
        self._layer: Image | None = None
        # Layers are compared by ==: napari hands out proxies of them.
        self._said: list[tuple[Image, _Said]] = []
        form.letters_typed.connect(lambda text: self._say(letters=text))
        form.size.typed.connect(lambda size: self._say(size=size if size.says_something else None))
        form.picked.connect(self.pick)
        form.extent_picked.connect(self.choose_extent)
        form.reset.connect(self.reset)

    def take(self, layer: Image | None) -> None:
        """Be about this layer from now on, and hear when it changes; None for none."""
        is_same = self._layer is not None and layer is not None and self._layer == layer
        if is_same or self._layer is layer:
            return
        self._hear(connects=False)
        self._layer = layer
        self._hear(connects=True)

    def reading(self, n_layers: int = 1) -> AxesReading:
        """Return how its axes are read."""
        if self._layer is None:
            raise InputError(
                "There is no image yet; open one with File ▸ Open, or File ▸ Open Sample."
            )
        return self.reading_of(self._layer, n_layers)

    def letters(self) -> str:
        """Return one letter for each of its axes, whatever size is typed; raises as `reading`."""
        return self.reading().letters if self._layer is None else self._sizeless().letters

    def reading_of(self, layer: Image, n_layers: int = 1) -> AxesReading:
        """Return how the axes of any layer are read, with what was said of that."""
        said = self._of(layer)
        facts = replace(facts_of(layer), n_layers=n_layers)
        return read_axes(facts, AxesEdit(said.letters, said.size))

    def extent(self, reading: AxesReading) -> Extent:
        """Return what a run takes of its stack."""
        if reading.n_planes < 2:
            return Extent.PLANE
        return self._of_layer().extent or reading.extent

    def show(self, n_layers: int = 1) -> str:
        """Show how the axes are read, or what is wrong; return a word on that, or an empty text."""
        form, said = self._form, self._of_layer()
        if self._layer is None:
            form.show_nothing()
            return ""
        reason = ""
        try:
            reading = self._sizeless(n_layers)
        except InputError as error:
            form.show_wrong(str(error))
            form.mark_letters(True)
            form.write(said.letters or "", can_reset=said != _Said())
            return words.SAY_AXES
        try:
            reading = self.reading(n_layers)
        except InputError as error:
            reason = str(error)
        form.mark_letters(False)
        has_choice = len(facts_of(self._layer).shape) > 2 or self._layer.rgb
        form.show_reading(reading, has_choice=has_choice)
        letters = reading.letters if said.letters is None else said.letters
        form.write(letters, can_reset=said != _Said())
        form.size.show_size(
            reading.voxel, reading.size_origin, said.size, has_planes=reading.n_planes > 1
        )
        form.size.show_wrong(reason)
        form.show_extent(self.extent(reading) if reading.n_planes > 1 else None)
        return words.SAY_SIZE if reason else ""

    # --- what a person says -----------------------------------------------------------

    def type_letters(self, letters: str) -> None:
        """Say what the axes are."""
        self._say(letters=letters)

    def pick(self, letters: str) -> None:
        """Answer the question, of which the letters are a choice."""
        self._say(letters=letters)

    def choose_extent(self, extent: Extent) -> None:
        """Say what a run takes of the stack; who says *as a volume* says that Z is Z."""
        said = self._of_layer()
        letters = said.letters
        if extent is Extent.VOLUME and letters is None:
            letters = self.reading().letters
        self._say(extent=extent, letters=letters)

    def reset(self) -> None:
        """Forget what was said of this layer."""
        self._forget(self._layer)
        self.changed.emit()

    def on_removed(self, layer: object) -> None:
        """Forget what was said of a layer that is gone."""
        self._forget(layer)

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

    def _of_layer(self) -> _Said:
        return self._of(self._layer)

    def _of(self, layer: object) -> _Said:
        return next((said for one, said in self._said if one == layer), _Said())

    def _say(self, **what: str | TypedSize | Extent | None) -> None:
        if self._layer is None:
            return
        said = replace(self._of_layer(), **what)
        self._forget(self._layer)
        self._said.append((self._layer, said))
        self.changed.emit()

    def _forget(self, layer: object) -> None:
        self._said = [(one, said) for one, said in self._said if one != layer]

    def _sizeless(self, n_layers: int = 1) -> AxesReading:
        """Return how the axes of the layer are read, whatever is typed as the size of a pixel."""
        facts = replace(facts_of(self._layer), n_layers=n_layers)
        return read_axes(facts, AxesEdit(self._of_layer().letters))
