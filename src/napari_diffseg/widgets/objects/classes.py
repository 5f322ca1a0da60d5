"""The classes that objects are made of: which layer, and which classes its frames have."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels
from psygnal import Signal

from napari_diffseg.errors import DiffSegError
from napari_diffseg.image.arrays import checksum
from napari_diffseg.instances.finding import count_labels, joined_counts
from napari_diffseg.widgets.files.reader import NAMELESS
from napari_diffseg.widgets.image.layer_facts import arrays_of, file_info, image_layers
from napari_diffseg.widgets.objects.form import class_facts
from napari_diffseg.widgets.objects.label_source import LabelSource
from napari_diffseg.widgets.scribbles.class_names import names_in
from napari_diffseg.widgets.scribbles.watch import StrokeWatch
from napari_diffseg.widgets.tasks.worker import LatestAnswer
from napari_diffseg.widgets.ui.notices import tell

if TYPE_CHECKING:
    import napari

    from napari_diffseg.widgets.batch.frames import FrameSet
    from napari_diffseg.widgets.files.sizes import KnownSizes
    from napari_diffseg.widgets.image.image_source import ImageSource
    from napari_diffseg.widgets.objects.form import ObjectsForm
    from napari_diffseg.widgets.segment.results import Results


AT_ONCE = 1 << 22
"""So many pixels are counted in next to no time."""

# Of a frame a checksum, and the pixels of each class.
_Counted = tuple[int, dict[int, int]]

_COUNTING = "being looked for in all frames …"


class ClassesOfLayer:
    """The chosen layer of classes; it lists those of all frames, and hears them change.

    All frames are counted, of large stacks in a thread, and then the one in view if it changes.
    """

    changed = Signal()
    """Emitted when the classes of a frame are others."""

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
        self.offered: list[Labels] = []
        self._known: dict[int, _Counted] = {}
        self._found: dict[int, _Counted] = {}
        self._is_old = self._is_counting = self._was_painted = False
        self.counts = LatestAnswer(_count_all, self._on_counted, self._on_failure)
        self._watch = StrokeWatch(self.look, dressed=self._list)
        form.layer_chosen.connect(self._on_chosen)
        self._on_chosen()

    def offer(self, wanted: Labels | None = None) -> None:
        """Offer the layers that there are."""
        self.offered = self._candidates()
        self._form.offer(self.offered, wanted=wanted)
        if self._is_old:
            self.look()

    def _candidates(self) -> list[Labels]:
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
        first, layers = shown.arrays[0], image_layers(self._viewer)
        has = (one for one in layers if any(array is first for array in arrays_of(one)))
        info = next((file_info(one) for one in has), None)
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
        if self.layer is not None and not self.layer.editable:
            self._is_old = True
        elif self._is_counting:
            self._was_painted = True
        else:
            self._look()

    def close(self) -> None:
        """Hear of nothing any more."""
        self._watch.watch(None)
        self.counts.hold(None)
        self.changed.disconnect()

    def _on_chosen(self) -> None:
        self.layer = self._form.chosen()
        self._watch.watch(self.layer)
        self.counts.hold(None)
        self._known, self._is_old, self._is_counting = {}, True, False
        self._look()
        self._list(keep=False)

    def _look(self) -> None:
        """Count the frames that may be others than they were."""
        layer = self.layer
        try:
            source = self.describe()
        except DiffSegError:
            source = None
        if source is None or layer is None:
            return
        in_view = source.frame_at(layer, self._viewer.dims)
        frames: Sequence[int] = [] if in_view is None else [in_view]
        # What is small is counted anew: a script, or undo, changes frames that nobody looks at.
        if (self._is_old or source.n_pixels <= AT_ONCE) and source.fits:
            frames = range(source.n_frames)
        self._is_old = not layer.editable
        if len(frames) * source.n_pixels > AT_ONCE * source.n_frames:
            self._is_counting, self._was_painted, self._found = True, False, {}
            self.counts.hold(source)
            self.counts.ask((frames, self._found))
        else:
            self._take({frame: _count(source, frame) for frame in frames})

    def _on_counted(self, found: dict[int, _Counted]) -> None:
        self._is_counting = False
        self._take(found)
        if self._was_painted:  # while they were counted
            self.look()

    def keep_found(self) -> None:
        """List the classes of the frames that were counted before a person stopped it."""
        if self._is_counting:
            self._on_counted(dict(self._found))

    def _on_failure(self, error: Exception) -> None:
        self._is_counting = False
        tell(self._form.say, error)

    def _take(self, found: dict[int, _Counted]) -> None:
        before, self._known = self._known, self._known | found
        if self._known != before:
            self._list()
            if before:
                self.changed.emit()

    def _list(self, *, keep: bool = True) -> None:
        layer, form = self.layer, self._form
        form.make_button.setEnabled(layer is not None and bool(self._known))
        if layer is None or not self._known:
            form.classes.show_classes([], keep=keep, empty=_COUNTING if layer is not None else "")
            return
        areas = joined_counts(counts for _, counts in self._known.values())
        if not layer.editable:
            areas.pop(0, None)  # of a run under way: not labelled yet
        names = names_in(layer.features)
        colors = {number: np.asarray(layer.get_color(number)) for number in areas}
        form.classes.show_classes(class_facts(areas, colors, names), keep=keep)


def _count_all(
    source: LabelSource, question: tuple[Sequence[int], dict[int, _Counted]]
) -> Generator[float, None, dict[int, _Counted]]:
    frames, found = question
    for frame in frames:
        found[frame] = _count(source, frame)
        yield len(found) / len(frames)
    return found


def _count(source: LabelSource, frame: int) -> _Counted:
    labels = source.read(frame)
    return checksum(labels), count_labels(labels)
