"""What a dock leaves to the next one of its window, and to the next session; how it opens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_diffseg.params import RunOptions, SegmentationParams
from napari_diffseg.widgets.image.channel_sources import ChannelWish
from napari_diffseg.widgets.region.region import RegionWish
from napari_diffseg.widgets.ui.preferences import Preferences, read_preferences
from napari_diffseg.widgets.ui.remembered import remember

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image

    from napari_diffseg.instances.params import ObjectParams
    from napari_diffseg.widgets.batch.job import LayerJob
    from napari_diffseg.widgets.batch.layer import AppliedLayer
    from napari_diffseg.widgets.image.axes_reading import AxesSaid
    from napari_diffseg.widgets.models.shelf import ModelShelf
    from napari_diffseg.widgets.objects.label_source import LabelSource
    from napari_diffseg.widgets.objects.layer import ObjectsLayer
    from napari_diffseg.widgets.segment.choice import SegmentState
    from napari_diffseg.widgets.segment.dock import SegmentDock
    from napari_diffseg.widgets.segment.live import LiveLoop
    from napari_diffseg.widgets.segment.results import Results

_LEFT = "_napari_diffseg_dock"


@dataclass(eq=False)
class Left:
    """What a dock that is closed leaves to the next one of the same window."""

    state: SegmentState
    results: Results
    loop: LiveLoop
    shelf: ModelShelf
    said: list[tuple[Image, AxesSaid]]
    objects: tuple[ObjectsLayer | None, LabelSource | None, ObjectParams | None]
    applied: tuple[LayerJob | None, AppliedLayer | None]
    preferences: Preferences

    def let_go(self, event: Any) -> None:
        """Keep nothing of a layer that is removed while no dock is open; its pixels would stay."""
        layer, state = event.value, self.state
        self.results.on_removed(layer)
        self.loop.keep_only(lambda request: self.results.is_open(request.source))
        self.said = [(one, said) for one, said in self.said if one != layer]
        found = self.objects[0]
        if found is not None and (found.is_layer(layer) or found.is_on(layer)):
            self.objects = None, None, None
        applied = self.applied[1]
        if applied is not None and applied.is_layer(layer):
            self.applied = None, None
        state.image = None if state.image == layer else state.image
        state.scribbles = None if state.scribbles == layer else state.scribbles
        if layer in state.channels.layers:
            state.channels = ChannelWish()
        if state.region.layer == layer:
            state.region = RegionWish()


def keep(state: SegmentState) -> None:
    """Keep the parameters for the next session."""
    remember({SegmentationParams: state.typed_params, RunOptions: state.typed_options})


def leave(viewer: napari.viewer.Viewer, dock: SegmentDock) -> None:
    """Leave what there is with the layers of the viewer, with which it goes."""
    objects, newest = dock.objects, dock.applying.newest
    left = _layers_of(viewer)[_LEFT] = Left(
        dock.state,
        dock.results,
        dock.runs.loop,
        dock.modelling.shelf,
        dock.axes.all_said,
        (objects.layer, objects.source, objects.params),
        (newest.on_layers, newest.layer),
        dock.preferences,
    )
    viewer.layers.events.removed.connect(left.let_go)


def take_left(viewer: napari.viewer.Viewer) -> Left | None:
    """Take what the last dock has left."""
    left: Left | None = _layers_of(viewer).pop(_LEFT, None)
    if left is not None:
        viewer.layers.events.removed.disconnect(left.let_go)
    return left


def take_up(dock: SegmentDock, left: Left | None) -> None:
    """Open as the dock before, or the last session, was left; what was preferred since counts."""
    dock.preferences, before = read_preferences(), Preferences()
    if left is None:
        dock.view.knobs.recall()
    else:
        before, dock.runs.loop = left.preferences, left.loop
        dock.applying.newest.take_up(*left.applied)
        layer, source, params = left.objects
        if layer is not None and source is not None and params is not None and layer.is_there:
            dock.objects.take_up(layer, source, params)
        dock.view.take_up(left.state)
        dock.results.changed.emit()
    changed = dock.preferences.differing_from(before)
    dock.view.knobs.params_form.write(changed)
    dock.view.knobs.set_machine(changed)
    if "is_live" in changed:
        dock.view.run_view.live_box.setChecked(dock.preferences.is_live)


def _layers_of(viewer: Any) -> dict[str, Any]:
    # napari gives its plugins a proxy of the viewer, of which private names cannot be read.
    layers: dict[str, Any] = vars(getattr(viewer, "__wrapped__", viewer).layers)
    return layers
