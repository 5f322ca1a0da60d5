"""The Labels layer that shows objects, on the layer of the classes that they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from superqt.utils import qdebounced

from napari_diffseg.image.arrays import checksum
from napari_diffseg.widgets.scribbles.class_names import INDEX
from napari_diffseg.widgets.ui.layers import go_to

if TYPE_CHECKING:
    import napari

_ALONE = 1500
"""For so many milliseconds an object that was chosen in the table is shown without the others."""

_TRANSFORM = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")


class ObjectsLayer:
    """A layer of objects; either it is seen or the classes are, whichever a person works on."""

    def __init__(self, viewer: napari.Viewer, classes: Labels, name: str) -> None:
        self._viewer, self._classes = viewer, classes
        self._was_visible = bool(classes.visible)
        self.layer = Labels(
            np.zeros(classes.data.shape, np.int32),
            name=f"{name} objects",
            opacity=0.6,
            visible=False,  # napari would map all its pixels to colours, again and again
            **{key: getattr(classes, key) for key in _TRANSFORM},
        )
        self._checksum = self._looked_at = checksum(self.layer.data)
        self._gave_way = False
        # What a person had chosen, while an object is shown alone.
        self._showed_one: bool | None = None
        self._show_all_soon = qdebounced(self._show_as_before, timeout=_ALONE)
        # napari keeps a method weakly, and the dock may let go of this before the layer is gone.
        self._hear_removed = lambda event: self._on_removed(event.value)

    def add(self, below: Labels) -> None:
        """Add the layer right above that of the classes, or older objects; keep the selection."""
        layers, selection = self._viewer.layers, self._viewer.layers.selection
        before, active = [one for one in layers if one in selection], selection.active
        self._viewer.add_layer(self.layer)
        layers.events.removed.connect(self._hear_removed)
        # Below what is painted on.
        place = max(layers.index(self._classes), layers.index(below)) + 1
        layers.move(layers.index(self.layer), place)
        self.come_forward()
        selection.clear()
        selection.update(before)
        selection.active = active

    @property
    def is_there(self) -> bool:
        """Whether the layer is in the viewer."""
        return self.layer in self._viewer.layers

    @property
    def data(self) -> NDArray[np.int32]:
        """The objects."""
        data: NDArray[np.int32] = self.layer.data
        return data

    @property
    def was_edited(self) -> bool:
        """Whether a person has changed the objects since they were shown."""
        return self._checksum != checksum(self.layer.data)

    def notice(self, sum_now: int) -> bool:
        """Take the `checksum` of the objects; return whether they are others than the last time."""
        before, self._looked_at = self._looked_at, sum_now
        return self._looked_at != before

    @property
    def classes(self) -> Labels:
        """The layer of the classes."""
        return self._classes

    def labelled(self) -> None:
        """Return nothing: objects are no classes."""

    def is_layer(self, layer: object) -> bool:
        """Whether this is the layer."""
        return bool(self.layer == layer)

    def is_on(self, classes: object) -> bool:
        """Whether these are the classes that it is made of."""
        return bool(self._classes == classes)

    def show(self, numbers: NDArray[np.int32], sum_now: int) -> None:
        """Show objects, of the shape of the layer, with this `checksum`."""
        self._checksum = self._looked_at = sum_now
        self.layer.data = numbers

    def show_features(self, table: Mapping[str, NDArray[Any]]) -> None:
        """Let napari's status bar and its own table tell what was measured of each object."""
        features = {INDEX: table["object"], **table}
        del features["object"]
        self.layer.features = features

    def color(self, number: int) -> NDArray[Any]:
        """Return the colour of an object."""
        return np.asarray(self.layer.get_color(number))

    def look_at(self, point: NDArray[np.float64], number: int) -> None:
        """Bring an object to the middle of the view; for a moment it is shown alone."""
        self.come_forward()
        go_to(self._viewer, np.asarray(self.layer.data_to_world(point), np.float64))
        self.layer.selected_label = number
        if self._showed_one is None:
            self._showed_one = self.layer.show_selected_label
        self.layer.show_selected_label = True
        self._show_all_soon()

    def _show_as_before(self) -> None:
        self.layer.show_selected_label, self._showed_one = bool(self._showed_one), None

    def object_at(self, position: Any, direction: Any, displayed: Any) -> int:
        """Return which object is at a place in the world; 0 where there is none."""
        value = self.layer.get_value(
            position, view_direction=direction, dims_displayed=displayed, world=True
        )
        return int(value or 0)

    def come_forward(self) -> None:
        """Be seen in place of the classes."""
        self.layer.visible, self._classes.visible = True, False

    def step_back(self) -> None:
        """Let the classes be seen, which a run is changing and has shown."""
        self._gave_way |= bool(self.layer.visible)
        self.layer.visible = False

    def step_up(self) -> None:
        """Be seen again where the run is over and, given up, has hidden the classes again."""
        if self._gave_way and not self._classes.visible:
            self.layer.visible = True
        self._gave_way = False

    def _on_removed(self, layer: object) -> None:
        """Show the layer of the classes again, once this one is gone; no dock may be open then."""
        if not self.is_layer(layer):
            return
        self._viewer.layers.events.removed.disconnect(self._hear_removed)
        if self._classes in self._viewer.layers and self._was_visible:
            self._classes.visible = True
