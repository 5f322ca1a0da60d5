"""How large the pixels of an image are known to be now, that was segmented some time ago.

What a person types, or a layer or a file says, is kept with the image alone: results ask here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_diffseg.errors import InputError
from napari_diffseg.widgets.files.labels import LAYER, NOTED, size_as_metadata
from napari_diffseg.widgets.image.axes_reading import AxesReading
from napari_diffseg.widgets.image.layer_facts import arrays_of, image_layers, read_layer
from napari_diffseg.widgets.image.level import Level, find_levels
from napari_diffseg.widgets.image.sources import sizes_at

if TYPE_CHECKING:
    import napari
    from napari.layers import Image, Labels

    from napari_diffseg.widgets.image.axes_section import AxesSection
    from napari_diffseg.widgets.image.image_source import ImageSource


@dataclass(frozen=True, eq=False)
class KnownSizes:
    """Finds the layer of an image again, and what is known of its pixels."""

    viewer: napari.Viewer
    axes: AxesSection

    def now(self, shown: ImageSource) -> ImageSource:
        """Return an image with the sizes that are known now; as it was where its layer is gone."""
        found = self._found(shown)
        if found is None:
            return shown
        _, reading, level = found
        return replace(shown, **sizes_at(reading, level, is_volume=shown.is_volume))

    def note(self, layer: Labels, shown: ImageSource) -> None:
        """Write into the metadata of a result what saving it has to know, whoever saves it."""
        layer.metadata[NOTED] = {**layer.metadata.get(NOTED, {}), LAYER: self.said(shown)}

    def said(self, shown: ImageSource) -> dict[str, Any]:
        """Return what saving a layer on this image has to know, as metadata have it."""
        known = self.now(shown)
        size, time = known.pixel_size, known.info.placement.get("T")
        said: dict[str, Any] = {"axes": shown.letters}
        if size is not None:
            said["pixel_size"] = size_as_metadata(size)
        if time is not None and known.info.t_step is not None:
            said["t_step"] = [time.step, time.unit]
        return said

    def _found(self, shown: ImageSource) -> tuple[Image, AxesReading, Level] | None:
        for layer in image_layers(self.viewer):
            if not any(array is shown.arrays[0] for array in arrays_of(layer)):
                continue
            try:
                reading = read_layer(layer, self.axes.said_of(layer), len(shown.arrays))
            except InputError:
                continue  # half typed
            if reading.letters != shown.letters:
                continue  # a person has changed their mind since it was segmented
            for level in find_levels((layer,), reading.letters):
                if arrays_of(layer)[level.number] is shown.arrays[0]:
                    return layer, reading, level
        return None
