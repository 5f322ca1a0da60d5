"""The classes that objects are made of: which layer, and what of it is in view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from psygnal import Signal

from napari_diffseg.errors import DiffSegError
from napari_diffseg.instances.finding import count_labels
from napari_diffseg.widgets.files.reader import NAMELESS
from napari_diffseg.widgets.image.layer_facts import file_info, image_layers
from napari_diffseg.widgets.objects.form import class_facts
from napari_diffseg.widgets.objects.label_source import LabelSource
from napari_diffseg.widgets.scribbles.class_names import names_in
from napari_diffseg.widgets.scribbles.watch import StrokeWatch
from napari_diffseg.widgets.ui.layers import checksum

if TYPE_CHECKING:
    import napari

    from napari_diffseg.widgets.batch.frames import FrameSet
    from napari_diffseg.widgets.files.sizes import KnownSizes
    from napari_diffseg.widgets.image.image_source import ImageSource
    from napari_diffseg.widgets.objects.form import ObjectsForm
    from napari_diffseg.widgets.segment.results import Results


class ClassesInView:
    """The chosen layer of classes; it lists those of the frame in view, and hears them change."""

    changed = Signal()
    """Emitted when the classes of the frame in view are others."""

    def __init__(
        self,
        viewer: napari.Viewer,
        form: ObjectsForm,
        results: Results,
        frames: Callable[[], FrameSet],
        scribbles: Callable[[], Labels | None],
        sizes: KnownSizes,
    ) -> None:
        self._viewer, self._form, self._results = viewer, form, results
        self._frames, self._scribbles, self._sizes = frames, scribbles, sizes
        self.layer: Labels | None = None
        self._areas: dict[int, int] = {}
        self._n_frames = 0
        self._seen: dict[int, int] = {}
        self._watch = StrokeWatch(self.look, dressed=self._list)
        form.layer_chosen.connect(self._on_chosen)
        self._on_chosen()

    def offer(self, wanted: Labels | None = None) -> None:
        """Offer the layers that there are."""
        self._form.offer(self.candidates(), wanted=wanted)

    def candidates(self) -> list[Labels]:
        """Return the layers of results, and others that lie on the whole image."""
        own = [layer for layer, *_ in self._results.labelled() if layer in self._viewer.layers]
        try:
            shape = self._frames().shown.canvas.shape
        except DiffSegError:
            shape = None
        scribbles = self._scribbles()
        others = [
            layer
            for layer in reversed(self._viewer.layers)
            if isinstance(layer, Labels)
            and not self._results.owns(layer)
            and not layer.multiscale
            and tuple(layer.data.shape) == shape
            and (scribbles is None or layer != scribbles)
        ]
        return own + others

    def describe(self) -> LabelSource | None:
        """Return what objects would be made of; raises `InputError` where the image is no more."""
        return None if self.layer is None else self.describe_layer(self.layer)

    def describe_layer(self, classes: Labels) -> LabelSource:
        """Return the labels of any of these layers, and the image that they lie on."""
        for layer, shown, has_all, names in self._results.labelled():
            if layer == classes:
                told = self._channel_names(shown, names)
                return LabelSource(layer.data, self._sizes.now(shown), has_all, told)
        frames = self._frames()
        names = self._channel_names(frames.shown, frames.shown.info.channel_names)
        return LabelSource(classes.data, frames.shown, True, names)

    def _channel_names(self, shown: ImageSource, names: Sequence[str]) -> tuple[str, ...]:
        """Return what the channels are called by their file or a person; "" where by nobody.

        Columns have the names that they have in the shell, where there are no layers: a layer that
        is the whole image says what that is called, and not its channel.
        """
        if len(shown.arrays) > 1:
            return tuple("" if one == NAMELESS.format(n) else one for n, one in enumerate(names, 1))
        first = shown.arrays[0]
        layers = (one for one in image_layers(self._viewer) if _has(one, first))
        info = next((file_info(one) for one in layers), None)
        known = info.channel_names if info is not None else ()
        n_channels = shown.image_axes.n_channels
        if shown.channel < 0 and set(names) & set(known):
            return tuple(names)  # one of several that the file has, on a layer of its own
        own = (
            tuple(names) if shown.channel >= 0 and len(names) == n_channels else ("",) * n_channels
        )
        in_file = known if len(known) == n_channels else own
        return tuple(one or other for one, other in zip(own, in_file, strict=True))

    def look(self) -> None:
        """Notice classes that are others now; those of a run under way are not yet any."""
        if self.layer is not None and self.layer.editable and self._has_changed():
            self._list()
            self.changed.emit()

    def close(self) -> None:
        """Hear of nothing any more."""
        self._watch.watch(None)
        self.changed.disconnect()

    def _on_chosen(self) -> None:
        self.layer = self._form.chosen()
        self._watch.watch(self.layer)
        self._form.make_button.setEnabled(self.layer is not None)
        self._seen.clear()
        self._has_changed()
        self._list(keep=False)

    def _list(self, *, keep: bool = True) -> None:
        layer = self.layer
        if layer is None:
            self._form.classes.show_classes([], keep=False)
            return
        names = names_in(layer.features)
        # Of a single frame no class is offered that is not there; others may have what has a name.
        named = [number for number in names if number > 0] if self._n_frames != 1 else []
        areas = dict.fromkeys(named, 0) | self._areas
        colors = {number: np.asarray(layer.get_color(number)) for number in areas}
        self._form.classes.show_classes(class_facts(areas, colors, names), keep=keep)

    def _has_changed(self) -> bool:
        """Look at the classes of the frame in view; return whether they were others before."""
        try:
            source = self.describe()
        except DiffSegError:
            source = None
        if source is None or self.layer is None:
            return False
        frame = source.frame_at(self.layer, self._viewer.dims)
        if frame is None:
            return False
        self._n_frames = source.n_frames
        labels = source.read(frame)
        now, before = checksum(labels), self._seen.get(frame)
        self._seen[frame] = now
        if now != before:
            # 0 is none yet in a run.
            self._areas = count_labels(labels if self.layer.editable else labels[labels > 0])
        return before is not None and now != before


def _has(layer: Image, array: Any) -> bool:
    """Whether an array is that of a layer, or of one of its levels."""
    return any(one is array for one in (layer.data if layer.multiscale else [layer.data]))
