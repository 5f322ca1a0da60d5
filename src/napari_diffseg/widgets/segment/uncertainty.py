"""Where a finished result is unsure: a layer that shows it, and the way there."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from napari.layers import Image
from napari.utils.colormaps import Colormap
from numpy.typing import NDArray

from napari_diffseg.image.windows import Window
from napari_diffseg.widgets.region.placement import camera_of
from napari_diffseg.widgets.tasks.worker import LatestAnswer
from napari_diffseg.widgets.ui import words
from napari_diffseg.widgets.ui.layers import go_to, move_below

if TYPE_CHECKING:
    import napari
    from napari.layers import Labels

    from napari_diffseg.core.result import Segmentation
    from napari_diffseg.widgets.image.image_source import ImageSource
    from napari_diffseg.widgets.segment.result_layer import ResultLayer
    from napari_diffseg.widgets.segment.results import Results
    from napari_diffseg.widgets.segment.runs import Runs
    from napari_diffseg.widgets.segment.view import RunView


_ROOM = 4
"""The view comes nearer until it is about so many times as large as the region …"""
_NEARER = 2.0
"""… but not by more than this factor at once."""


class UncertaintyView:
    """Shows the uncertainty of the newest result, and goes where it is largest."""

    def __init__(
        self,
        viewer: napari.Viewer,
        results: Results,
        scribbles: Callable[[], Labels | None],
        runs: Runs,
        turn: Lock,
        view: RunView,
    ) -> None:
        self._viewer, self._results, self._scribbles = viewer, results, scribbles
        self._speak, self._unsay, self._said = runs.say, view.unsay, ""
        self._is_awaited = False
        self._layer = UncertaintyLayer(viewer)
        self.answers = LatestAnswer(_measure, self._on_measured, runs.fail, turn)
        self._subject: Segmentation | None = None
        self._seen: list[Window] = []
        self._is_shown = False
        self._is_going = False
        self.is_layer = self._layer.is_layer
        # What is said of the middle of the view holds until that is another place.
        self._moves = viewer.dims.events.current_step, camera_of(viewer).events.center
        for move in self._moves:
            move.connect(self._on_moved)
        runs.begun.connect(self._call_off)

    def follow(self) -> None:
        """Take notice of another result; what is shown follows it."""
        segmentation = self._results.segmentation
        if segmentation is self._subject:
            return
        self._subject = segmentation
        self._is_going = False
        self._take_back()
        self._seen.clear()
        self.answers.hold(segmentation)
        if self._is_shown:
            self._ask()

    def show(self, is_shown: bool) -> None:
        """Show the layer, or take it away."""
        self._is_shown = is_shown
        if is_shown:
            self._ask_aloud()
        else:
            if not self._is_going:  # then nobody waits for it any more
                self.answers.stop()
                self._is_awaited = False
            self._take_back()
            self._layer.forget()

    def go(self) -> None:
        """Take the view to the most uncertain region, as soon as it is known; then to the next."""
        self._is_going = True
        self._ask_aloud()

    def give_up(self) -> bool:
        """Look no more, for a person; return whether the layer, if it is to be seen, is there."""
        self._is_awaited = self._is_going = False
        return not self._is_shown or self._layer.is_there

    def on_removed(self) -> None:
        """Let go of the layer, which a person has removed."""
        self.show(False)

    def close(self) -> None:
        """Hear of nothing any more, and leave no layer that nobody would take away."""
        for move in self._moves:
            move.disconnect(self._on_moved)
        self.answers.hold(None)
        self._layer.forget()

    def _say(self, sentence: str) -> None:
        self._said = sentence
        self._speak(sentence)

    def _take_back(self) -> None:
        """Say no longer what does not hold any more."""
        self._unsay(self._said)

    def _ask_aloud(self) -> None:
        """Ask for a person, who waits for it: on large images for some seconds."""
        self._is_awaited = self._subject is not None
        if self._is_awaited:
            self._say(words.LOOKING_FOR_DOUBTS)
        self._ask()

    def _ask(self) -> None:
        self.answers.ask(tuple(self._seen) if self._is_going else None)

    def _call_off(self) -> None:
        """Take nobody to a place of this result who has begun a run for another one."""
        self._is_going = self._is_awaited = False
        if not self._is_shown:
            self.answers.stop()
        self._take_back()

    def _on_moved(self) -> None:
        if self._said.endswith(words.DOUBTS_THERE):
            self._take_back()

    def _on_measured(self, doubts: _Doubts) -> None:
        request = self._results.request
        # Whoever has asked to go meanwhile waits for the next answer.
        is_answered = doubts.is_sought or not self._is_going
        is_awaited, is_going = self._is_awaited and is_answered, self._is_going and is_answered
        if self._is_shown and request is not None:
            self._layer.show(doubts.uncertainty, request.source, self._scribbles())
        if is_answered:
            self._is_awaited = self._is_going = False
        if is_going:
            self._say(self._go_there(doubts.region))
        elif is_awaited:
            self._say(words.DOUBTS_SHOWN if doubts.is_any else words.NO_DOUBTS_SHOWN)

    def _go_there(self, region: Window | None) -> str:
        """Take the view to a region, which counts as seen; return what is to be said of that."""
        if region is None:
            return words.NO_DOUBTS
        layer = self._results.finished
        if layer is None:  # it is gone, and then nobody is taken anywhere
            return ""
        is_first = region in self._seen
        self._seen = [region] if is_first else [*self._seen, region]
        news = words.DOUBTS_AGAIN if is_first else ""
        if look_at(self._viewer, layer, region):
            news = words.of_frames(words.DOUBTS_ELSEWHERE, layer.source.is_movie) + news
        return news + words.DOUBTS_THERE


class _Doubts(NamedTuple):
    """How unsure a result is; if it was sought, where most so: None where it is sure."""

    uncertainty: NDArray[np.float32]
    is_any: bool
    is_sought: bool
    region: Window | None


def _measure(segmentation: Segmentation, seen: tuple[Window, ...] | None) -> _Doubts:
    """Return how unsure the result is, and where to go that was not seen; None to go nowhere."""
    from napari_diffseg.core.doubt import SURE, most_uncertain_region

    uncertainty, scribbles = segmentation.uncertainty, segmentation.scribbles
    is_any = bool(uncertainty.max() > SURE)
    if seen is None:
        return _Doubts(uncertainty, is_any, False, None)
    painted = None if scribbles is None else scribbles.painted
    return _Doubts(uncertainty, is_any, True, most_uncertain_region(uncertainty, painted, seen))


def look_at(viewer: napari.Viewer, layer: ResultLayer, region: Window) -> bool:
    """Bring a region of a result to the middle of the view, and a little nearer if it is small.

    Returns whether the view was at another frame, or plane, than the result is of.
    """
    source = layer.source
    middle = layer.point_in_world(*((side.start + side.stop - 1) / 2 for side in region))
    was_there = layer.is_on_view(viewer.dims)
    surplus, spatial = go_to(viewer, middle, channel=source.channel), source.spatial
    sides = [
        (side.stop - side.start, visible)
        for axis, side, visible in zip(spatial, region, layer.visible_size(), strict=True)
        if axis + surplus in viewer.dims.displayed
    ]
    room = max((_ROOM * length / max(visible, 1) for length, visible in sides), default=1)
    if 0 < room < 1 and min(visible for _, visible in sides) > 1:
        camera_of(viewer).zoom *= min(1 / room, _NEARER)
    return not was_there


class UncertaintyLayer:
    """The Image layer that shows where a result is unsure; it lies below the scribbles."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self._layer: Image | None = None
        self._source: ImageSource | None = None

    @property
    def is_there(self) -> bool:
        """Whether there is one."""
        return self._layer is not None

    def is_layer(self, layer: object) -> bool:
        """Whether this is the layer."""
        return self._layer is not None and bool(self._layer == layer)

    def show(
        self, uncertainty: NDArray[np.float32], source: ImageSource, above: Labels | None
    ) -> None:
        """Show the uncertainty of a result of this image, below the scribbles."""
        data = source.in_place(uncertainty)
        if self._layer is not None and self._source is not None and source.lies_as(self._source):
            self._layer.data = data
            self._layer.visible = True
            return
        self.forget()
        self._source = source
        active = self._viewer.layers.selection.active
        # Known before it is in the viewer, so that it is not offered as an image to segment.
        self._layer = Image(
            data,
            name=f"{source.layer_names[0]} uncertainty",
            # Nothing where the result is sure; a colour that stained tissue does not have.
            colormap=Colormap([(0, 1, 1, 0), (0, 1, 1, 1)], name="unsure"),
            contrast_limits=(0, 1),
            opacity=0.8,
            blending="translucent_no_depth",
            **source.placement.transform,
        )
        self._viewer.add_layer(self._layer)
        if above is not None and above in self._viewer.layers:
            move_below(self._viewer, self._layer, above)
        self._viewer.layers.selection.active = active

    def forget(self) -> None:
        """Let go of a layer that was removed, and take one away that is still there."""
        layer, self._layer = self._layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)
