"""Objects in the dock: joins the form, the layer of classes, and the layer of objects."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from psygnal import Signal
from superqt.utils import qdebounced

from napari_diffseg.errors import DiffSegError, count_in_words
from napari_diffseg.image.arrays import checksum
from napari_diffseg.instances.finding import count_objects
from napari_diffseg.instances.params import ObjectParams
from napari_diffseg.widgets.objects.classes import ClassesOfLayer
from napari_diffseg.widgets.objects.layer import ObjectsLayer
from napari_diffseg.widgets.scribbles.watch import StrokeWatch
from napari_diffseg.widgets.tasks.worker import LatestAnswer
from napari_diffseg.widgets.ui.notices import tell

if TYPE_CHECKING:
    import napari

    from napari_diffseg.widgets.batch.frames import FrameSet
    from napari_diffseg.widgets.files.sizes import KnownSizes
    from napari_diffseg.widgets.objects.form import ObjectsForm
    from napari_diffseg.widgets.objects.label_source import LabelSource
    from napari_diffseg.widgets.segment.results import Results

_PAUSE = 60
"""Controls are followed when they have not moved for so many milliseconds."""

NO_CLASS = "Tick the classes that objects are to be made of."
EDITED = (
    "You have edited the objects, so they are left as they are; Make objects makes new ones on "
    "a layer of their own."
)


_MAKING = "Making objects …"
_STOPPED = "Stopped. Make objects makes those of what is chosen here."


@dataclass(frozen=True, eq=False, slots=True)
class _Question:
    """What is asked: objects of one frame, among those that are shown; or, where None, of all."""

    params: ObjectParams
    frame: int | None
    shown: NDArray[np.int32]


@dataclass(frozen=True, eq=False, slots=True)
class _Found:
    """Objects, of the shape of the layer; of those that were asked for their number."""

    params: ObjectParams
    numbers: NDArray[np.int32]
    are_all: bool
    checksum: int
    n_objects: int


class ObjectsSection:
    """The newest objects; they follow what is changed until a person edits them."""

    found = Signal()
    """Emitted when there are other objects of all frames, or none any more."""

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
        self.classes = ClassesOfLayer(viewer, form, results, frames, scribbles, sizes)
        self.sizes = sizes
        self.layer: ObjectsLayer | None = None
        self.source: LabelSource | None = None
        self.params: ObjectParams | None = None
        fail = partial(tell, form.say)
        self._answers = LatestAnswer(_find, self._on_found, fail)
        self._looks = LatestAnswer(_look, self._on_looked, fail)
        form.wait.follow(self._answers, _MAKING)
        form.wait.follow(self.classes.counts)
        form.wait.stopped.connect(self._on_stopped)
        self._edits = StrokeWatch(self._on_edited)
        self._ask_soon = qdebounced(lambda: self._ask(), timeout=_PAUSE)
        form.changed.connect(self._on_form)
        form.layer_chosen.connect(self._on_chosen)
        self.classes.changed.connect(self._on_classes)
        form.make_button.clicked.connect(self._on_make)

    # --- what a person does -------------------------------------------------------------

    def make(self) -> None:
        """Make objects of the chosen classes, on a layer of their own."""
        classes = self.classes.layer
        try:
            source = self.classes.describe()
            if source is None or classes is None:
                return
            source.check_size()
        except DiffSegError as error:
            self._form.say(str(error), wrong=True)
            return
        if not self._form.classes.ticked():
            self._form.say(NO_CLASS)
            return
        self._form.classes.settle()
        if self.layer is None or not self.layer.is_on(classes) or self.layer.was_edited:
            old, name = self.layer, source.shown.layer_names[0]
            layer = ObjectsLayer(self._viewer, classes, name)
            self._take_layer(layer)
            layer.add(old.layer if old is not None and old.is_there else classes)
        self.source = source
        self._answers.hold(source)
        self._ask()

    # --- what the dock says -------------------------------------------------------------

    def refresh(self) -> None:
        """Offer the layers of classes that there are; show those that a run is changing."""
        self.classes.offer()
        running = self._results.running
        if self.layer is None:
            return
        if running is not None and self.layer.is_on(running.layer):
            self.layer.step_back()
        else:
            self.layer.step_up()

    def follow(self) -> None:
        """Take notice of another result: it is chosen, and its objects follow it."""
        finished = self._results.finished
        if finished is None:
            return
        self.classes.offer(wanted=finished.layer)
        self.classes.look()

    def on_layer_removed(self, layer: object) -> None:
        """Let go of the layer of objects, or of their classes."""
        mine = self.layer
        if mine is not None and (mine.is_layer(layer) or mine.is_on(layer)):
            # What was made of classes that are gone stays, but follows nothing any more.
            self._take_layer(None)

    def take_up(self, layer: ObjectsLayer, source: LabelSource, params: ObjectParams) -> None:
        """Go on with the objects of a dock that was closed, where their classes are still there."""
        if layer.classes not in self._viewer.layers:
            return
        self.layer, self.source, self.params = layer, source, params
        self._edits.watch(layer.layer)
        self._answers.hold(source)
        self.classes.offer(wanted=layer.classes)
        self._looks.hold(layer)
        self._form.write(params)
        self._show_count(count_objects(layer.data))
        self.found.emit()

    def close(self) -> None:
        """Hear of nothing any more."""
        self._form.wait.release()
        self._answers.hold(None)
        self._looks.hold(None)
        self.classes.close()
        self._edits.watch(None)
        self.found.disconnect()
        # At the end of the program Qt may have taken the timer away already.
        with suppress(RuntimeError):
            self._ask_soon.cancel()

    # --- objects ------------------------------------------------------------------------

    def _take_layer(self, layer: ObjectsLayer | None) -> None:
        self.layer, self.source, self.params = layer, None, None
        self._answers.hold(None)
        self._looks.hold(layer)
        self._edits.watch(None if layer is None else layer.layer)
        if layer is not None:
            self._results.adopt(layer)
        self._form.show_count("")
        self._form.say("")
        self.found.emit()

    def _on_make(self) -> None:
        self.make()
        self._come_forward()

    def _on_form(self) -> None:
        if self._come_forward():
            self._ask_soon()

    def _come_forward(self) -> bool:
        """Show the objects, if they are those of the chosen classes; return whether they are."""
        layer = self.layer
        if layer is None or not layer.is_there or not layer.is_on(self.classes.layer):
            return False
        layer.come_forward()
        return True

    def _on_chosen(self) -> None:
        """Let the ticks be those that the objects of these classes were made with."""
        if self.layer is not None and self.layer.is_on(self.classes.layer) and self.params:
            self._form.classes.tick(self.params.class_numbers)

    def _on_classes(self) -> None:
        layer = self.layer
        if layer is not None and layer.is_on(self.classes.layer) and not layer.was_edited:
            self.make()

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
        frame = self.source.frame_at(self.layer.layer, self._viewer.dims)
        # What was asked before is not waited for.
        self._answers.stop()
        self._answers.ask(_Question(self._form.params(), frame, self.layer.data))

    def _on_found(self, found: _Found) -> None:
        layer, source = self.layer, self.source
        if layer is None or source is None or not layer.is_there:
            return
        if layer.was_edited:
            self._form.say(EDITED)  # painted on while they were computed
            return
        self._looks.stop()  # how many stood there before would come late
        layer.show(found.numbers, found.checksum)
        if not found.are_all:
            self._show_count(found.n_objects, " in this frame …")
            self._answers.ask(_Question(found.params, None, found.numbers))
            return
        self.params = found.params
        layer.layer.metadata["napari_diffseg"] = self._provenance(source, found.params)
        self._form.say("")
        self._show_count(found.n_objects)
        self.found.emit()

    def _on_stopped(self) -> None:
        self.classes.keep_found()
        layer = self.layer
        if layer is None:
            return
        if layer.is_there and not layer.data.any():
            # Nothing to keep; with it the classes are seen again.
            self._viewer.layers.remove(layer.layer)
        self._form.say(_STOPPED)

    def _provenance(self, source: LabelSource, params: ObjectParams) -> dict[str, Any]:
        facts = {"objects": params.to_dict(), "image_layers": list(source.shown.layer_names)}
        return facts | ({"spacing": list(source.shown.spacing)} if source.shown.spacing else {})

    def _show_count(self, n_objects: int, where: str = "") -> None:
        self._form.show_count(count_in_words(n_objects, "object") + where)

    def _on_edited(self) -> None:
        if self.layer is not None and self.params is not None:
            self._looks.ask(self.layer.data)

    def _on_looked(self, answer: tuple[int, int]) -> None:
        layer, (sum_now, n_objects) = self.layer, answer
        if layer is None or self.params is None or not layer.notice(sum_now):
            return
        self._show_count(n_objects)
        # Undone, they are followed again.
        self._form.say(EDITED if layer.was_edited else "")
        self.found.emit()


def _find(source: LabelSource, question: _Question) -> Generator[float, None, _Found]:
    """Find objects; those of one of several frames stand among what is shown of the others."""
    params, frame = question.params, question.frame
    are_all = frame is None or source.n_frames == 1
    whole = np.zeros(source.array.shape, np.int32) if are_all else question.shown.copy()
    if frame is None:
        for i, numbers in enumerate(source.follow(params)):
            whole[source.index(i)] = source.shown.turned(numbers)
            yield (i + 1) / source.n_frames
        return _Found(params, whole, True, checksum(whole), count_objects(whole))
    numbers = yield from source.find(frame, params)
    whole[source.index(frame)] = source.shown.turned(numbers)
    return _Found(params, whole, are_all, checksum(whole), count_objects(numbers))


def _look(layer: ObjectsLayer, numbers: NDArray[np.int32]) -> tuple[int, int]:
    return checksum(numbers), count_objects(numbers)
