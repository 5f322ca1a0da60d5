"""*Everything else is background*: said of the strokes of one image, seen while it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal

from napari_diffseg.instances.finding import BACKGROUND
from napari_diffseg.widgets.scribbles.class_names import names_in
from napari_diffseg.widgets.ui import words

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_diffseg.widgets.scribbles.form import ClassList
    from napari_diffseg.widgets.scribbles.section import ScribblesSection
    from napari_diffseg.widgets.ui.form import ParameterForm

_FIELD, _SAID = "only_painted", "napari_diffseg_rest"
"""The parameter, and where the metadata of a layer of strokes have that it is to be *yes*."""


class RestOfImage:
    """Keeps with each layer of strokes whether what its only class leaves is one class."""

    said = Signal(str)
    """Emitted with a sentence for the status line."""

    def __init__(self, section: ScribblesSection, form: ClassList, params: ParameterForm) -> None:
        self._section, self._form, self._params = section, form, params
        self._layer: Labels | None = None
        form.rest_ticked.connect(self.switch)
        section.changed.connect(self._on_layer)
        section.listed.connect(self._show)
        params.changed.connect(self._show)

    def switch(self, is_one: bool) -> None:
        """Make one class of what the only painted one does not claim, or look for regions there."""
        layer = self._section.layer
        if layer is None:
            return
        self._write(is_one)
        layer.metadata[_SAID] = is_one
        names, painted = names_in(layer.features), self._section.painted_classes
        if is_one and len(painted) == 1:
            rest = max(painted) + 1  # as the core numbers it
            self._section.name(rest, names.get(rest, BACKGROUND))
        for number, name in names.items():
            if not is_one and name == BACKGROUND and number not in painted:
                self._section.name(number, "")
        self._section.look()
        self.said.emit(words.REST_IS_ONE if is_one else words.REST_IS_OPEN)

    def close(self) -> None:
        """Hear of nothing any more."""
        self._params.changed.disconnect(self._show)
        self.said.disconnect()

    def _on_layer(self) -> None:
        """Let the parameter be as it was said of the layer that is painted on now."""
        layer, before = self._section.layer, self._layer
        if layer == before:
            return
        self._layer = layer
        if _is_said(layer) != _is_said(before):
            self._write(_is_said(layer))
        self._show()

    def _write(self, is_one: bool) -> None:
        self._params.write({_FIELD: "yes" if is_one else "auto"})

    def _show(self) -> None:
        is_one = self._params.values()[_FIELD] == "yes"
        if self._layer is not None and _is_said(self._layer) and not is_one:
            self._layer.metadata[_SAID] = False  # it was changed under Advanced
        is_alone = len(self._section.painted_classes) == 1
        self._form.show_rest(is_one=is_one, is_offered=is_alone)


def _is_said(layer: Labels | None) -> bool:
    return layer is not None and bool(layer.metadata.get(_SAID))
