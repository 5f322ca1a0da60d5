"""Objects in the dock: joins the form, the layer of classes, and the layer of objects."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_diffseg.errors import DiffSegError
from napari_diffseg.instances.finding import count_labels
from napari_diffseg.instances.params import ObjectParams
from napari_diffseg.widgets.objects.form import class_facts
from napari_diffseg.widgets.objects.label_source import LabelSource
from napari_diffseg.widgets.objects.layer import ObjectsLayer
from napari_diffseg.widgets.scribbles.class_names import names_in
from napari_diffseg.widgets.segment.live import StrokeWatch
from napari_diffseg.widgets.tasks.background import LatestAnswer
from napari_diffseg.widgets.ui import words
from napari_diffseg.widgets.ui.notices import notify_of

if TYPE_CHECKING:
    import napari

    from napari_diffseg.widgets.batch.frames import FrameSet
    from napari_diffseg.widgets.objects.form import ObjectsForm
    from napari_diffseg.widgets.segment.results import Results

_PAUSE = 60
"""Controls are followed when they have not moved for so many milliseconds."""

NO_CLASS = "Tick the classes that objects are to be made of."
EDITED = (
    "You have edited the objects, so they are left as they are; Make objects makes new ones on "
    "a layer of their own."
)


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked: objects of one frame, or, where that is None, of all."""

    params: ObjectParams
    number: int
    frame: int | None


class ObjectsSection:
    """The newest objects; they follow what is changed until a person edits them.

    Parameters
    ----------
    viewer : napari.Viewer
        Gets the layer.
    form : ObjectsForm
        Shows things.
    results : Results
        Whose layers have classes; told of the layer of objects.
    frames : callable
        Returns the `FrameSet` of the chosen images, or raises a `DiffSegError`.
    scribbles : callable
        Returns the layer that is painted on, or None; it has no classes of objects.

    Attributes
    ----------
    layer : ObjectsLayer or None
        Where the objects are shown.
    source : LabelSource or None
        What they are made of.
    params : ObjectParams or None
        How they were made.
    """

    found = Signal()
    """Emitted when there are other objects of all frames, or none any more."""

    def __init__(
        self,
        viewer: napari.Viewer,
        form: ObjectsForm,
        results: Results,
        frames: Callable[[], FrameSet],
        scribbles: Callable[[], Labels | None],
    ) -> None:
        self._viewer, self._form, self._results = viewer, form, results
        self._frames, self._scribbles = frames, scribbles
        self.layer: ObjectsLayer | None = None
        self.source: LabelSource | None = None
        self.params: ObjectParams | None = None
        self._classes: Labels | None = None
        self._areas: dict[int, int] = {}
        self._seen: dict[int | None, int] = {}
        self._n_asked = 0
        self._answers = LatestAnswer(self._work, self._on_found, self._on_failure)
        self._watch = StrokeWatch(self._on_classes, lambda: None, self._list_classes)
        self._edits = StrokeWatch(self._on_edited, lambda: None, lambda: None)
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE)
        self._timer.timeout.connect(self._ask)
        form.changed.connect(self._timer.start)
        form.layer_chosen.connect(self._on_chosen)
        form.make_button.clicked.connect(lambda: self.make())
        self._on_chosen()

    # --- what a person does -------------------------------------------------------------

    def make(self) -> None:
        """Make objects of the chosen classes, on a layer of their own."""
        classes = self._form.chosen()
        try:
            source = self._describe(classes)
            if source is None or classes is None:
                return
            source.check_size()
        except DiffSegError as error:
            self._form.say(str(error), wrong=True)
            return
        if not self._form.classes.ticked():
            self._form.say(NO_CLASS)
            return
        if self.layer is None or not self.layer.is_on(classes) or self.layer.was_edited:
            layer = ObjectsLayer(self._viewer, classes, source.shown.layer_names[0])
            self._take_layer(layer)
            layer.add()
        self.source = source
        self._answers.hold(source)
        self._ask()

    # --- what the dock says -------------------------------------------------------------

    def refresh(self) -> None:
        """Offer the layers of classes that there are."""
        self._form.offer(self._candidates())

    def follow(self) -> None:
        """Take notice of another result: it is chosen, and its objects follow it."""
        finished = self._results.finished
        if finished is None:
            return
        self._form.offer(self._candidates(), wanted=finished.layer)
        self._on_classes()

    def on_layer_removed(self, layer: object) -> None:
        """Let go of the layer of objects, or of their classes."""
        if self.layer is not None and self.layer.is_layer(layer):
            self.layer.bring_classes_back()
            self._take_layer(None)
        elif self.layer is not None and self.layer.is_on(layer):
            # What was made of them stays, but follows nothing any more.
            self._take_layer(None)

    def close(self) -> None:
        """Hear of nothing any more."""
        self._answers.hold(None)
        self._n_asked += 1
        self._watch.watch(None)
        self._edits.watch(None)
        self.found.disconnect()
        # At the end of the program Qt may have taken the timer away already.
        with suppress(RuntimeError):
            self._timer.stop()

    # --- layers -------------------------------------------------------------------------

    def _candidates(self) -> list[Labels]:
        own = [layer for layer, *_ in self._results.labelled() if layer in self._viewer.layers]
        shape, scribbles = self._chosen_shape(), self._scribbles()
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

    def _chosen_shape(self) -> tuple[int, ...] | None:
        try:
            return self._frames().shown.canvas.shape
        except DiffSegError:
            return None

    def _describe(self, classes: Labels | None) -> LabelSource | None:
        """Return what objects would be made of; raises `InputError` where the image is no more."""
        if classes is None:
            return None
        for layer, shown, has_all, names in self._results.labelled():
            if layer == classes:
                return LabelSource(layer.data, shown, has_all, names)
        frames = self._frames()
        return LabelSource(classes.data, frames.shown, True, frames.channel_names)

    def _take_layer(self, layer: ObjectsLayer | None) -> None:
        self.layer, self.source, self.params = layer, None, None
        self._answers.hold(None)
        self._n_asked += 1
        self._edits.watch(None if layer is None else layer.layer)
        if layer is not None:
            self._results.adopt(layer)
        self._form.show_count("")
        self._form.say("")
        self.found.emit()

    # --- classes ------------------------------------------------------------------------

    def _on_chosen(self) -> None:
        layer = self._form.chosen()
        self._classes = layer
        self._watch.watch(layer)
        self._form.make_button.setEnabled(layer is not None)
        self._seen.clear()
        self._has_changed()
        self._list_classes(keep=False)

    def _list_classes(self, *, keep: bool = True) -> None:
        layer = self._classes
        if layer is None:
            self._form.classes.show_classes([], keep=False)
            return
        names = names_in(layer.features)
        areas = {number: 0 for number in names if number > 0} | self._areas
        colors = {number: np.asarray(layer.get_color(number)) for number in areas}
        self._form.classes.show_classes(class_facts(areas, colors, names), keep=keep)

    def _has_changed(self) -> bool:
        """Look at the classes in view (0 is none yet in a run); say whether they were others."""
        try:
            source = self._describe(self._classes)
        except DiffSegError:
            source = None
        if source is None or self._classes is None:
            return False
        frame = source.frame_at(self._classes, self._viewer.dims)
        if frame is None:
            return False
        labels = np.ascontiguousarray(source.read(frame))
        checksum, before = zlib.crc32(labels), self._seen.get(frame)
        self._seen[frame] = checksum
        if checksum != before:
            self._areas = count_labels(labels if self._classes.editable else labels[labels > 0])
        return before is not None and checksum != before

    def _on_classes(self) -> None:
        """Follow classes that are others now; those of a run under way are not yet any."""
        layer = self._classes
        if layer is None or not layer.editable or not self._has_changed():
            return
        self._list_classes()
        if self.layer is not None and self.layer.is_on(layer) and not self.layer.was_edited:
            self.make()

    # --- objects ------------------------------------------------------------------------

    def _ask(self) -> None:
        """Ask for objects as the form says, of the frame in view first."""
        if self.layer is None or self.source is None or not self.layer.is_there:
            return
        if self.layer.was_edited:
            self._form.say(EDITED)
            return
        if not self._form.classes.ticked():
            self._form.say(NO_CLASS)
            return
        self._form.say("")
        self._n_asked += 1
        frame = self.source.frame_at(self.layer.layer, self._viewer.dims)
        self._answers.ask(_Question(self._form.params(), self._n_asked, frame))

    def _work(
        self, source: LabelSource, question: _Question
    ) -> tuple[_Question, NDArray[np.int32] | None]:
        if question.frame is not None:
            return question, source.find(question.frame, question.params)
        whole = np.zeros(source.array.shape, np.int32)
        n_done = 0
        for i, numbers in enumerate(
            source.follow(question.params, lambda: question.number != self._n_asked)
        ):
            whole[source.index(i)] = source.shown.turned(numbers)
            n_done = i + 1
        return question, whole if n_done == source.n_frames else None

    def _on_found(self, answer: tuple[_Question, NDArray[np.int32] | None]) -> None:
        question, numbers = answer
        layer, source = self.layer, self.source
        if layer is None or source is None or numbers is None or not layer.is_there:
            return
        if question.number != self._n_asked:
            return
        if question.frame is not None and source.n_frames > 1:
            layer.show_part(source.shown.turned(numbers), source.index(question.frame))
            self._count(numbers, source.n_frames)
            self._answers.ask(replace(question, frame=None))
            return
        if source.n_frames == 1:
            numbers = source.shown.turned(numbers).reshape(source.array.shape)
        self.params = question.params
        layer.show(numbers, self._provenance(source, question.params))
        self._count(numbers)
        self.found.emit()

    def _provenance(self, source: LabelSource, params: ObjectParams) -> dict[str, Any]:
        facts = {"objects": params.to_dict(), "image_layers": list(source.shown.layer_names)}
        return facts | ({"spacing": list(source.shown.spacing)} if source.shown.spacing else {})

    def _count(self, numbers: NDArray[np.int32], n_frames: int = 1) -> None:
        n = int(np.count_nonzero(np.bincount(numbers.ravel())[1:])) if numbers.size else 0
        text = words.count_in_words(n, "object")
        self._form.show_count(text if n_frames == 1 else f"{text} in this frame …")

    def _on_edited(self) -> None:
        layer = self.layer
        if layer is None or self.params is None or not layer.notice_edit():
            return
        self._count(layer.data)
        # Undone, they are followed again.
        self._form.say(EDITED if layer.was_edited else "")
        self.found.emit()

    def _on_failure(self, error: Exception) -> None:
        self._form.say(words.error_in_words(error), wrong=True)
        notify_of(error)
