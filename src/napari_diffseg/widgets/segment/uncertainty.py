"""Where a finished result is unsure: a layer that shows it, and the way there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.widgets.region.placement import camera_of
from napari_diffseg.widgets.tasks.background import LatestAnswer
from napari_diffseg.widgets.ui.layers import UncertaintyLayer

if TYPE_CHECKING:
    import napari
    from napari.layers import Labels

    from napari_diffseg.core.result import Segmentation
    from napari_diffseg.widgets.segment.results import Results
    from napari_diffseg.widgets.ui.layers import ResultLayer

Region = tuple[slice, ...]

_ROOM = 4
"""The view comes nearer until it is about so many times as large as the region …"""
_NEARER = 2.0
"""… but not by more than this factor at once."""


class UncertaintyView:
    """Shows the uncertainty of the newest result, and goes where it is largest.

    Parameters
    ----------
    viewer : napari.Viewer
        Gets the layer; its camera is moved.
    results : Results
        Whose newest result is meant.
    scribbles : callable
        Returns the layer that is painted on, or None.
    fail : callable
        Called with an exception.
    turn : context manager
        Held while uncertainty is computed.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        results: Results,
        scribbles: Callable[[], Labels | None],
        fail: Callable[[Exception], None],
        turn: AbstractContextManager[Any],
    ) -> None:
        self._viewer, self._results, self._scribbles = viewer, results, scribbles
        self._layer = UncertaintyLayer(viewer)
        self._answers = LatestAnswer(_measure, self._on_measured, fail, turn)
        self._subject: Segmentation | None = None
        self._is_shown = False
        self._is_going = False

    def follow(self) -> None:
        """Take notice of another result; what is shown follows it."""
        segmentation = self._results.segmentation
        if segmentation is self._subject:
            return
        self._subject = segmentation
        self._is_going = False
        self._answers.hold(segmentation)
        if self._is_shown:
            self._answers.ask(False)

    def show(self, is_shown: bool) -> None:
        """Show the layer, or take it away."""
        self._is_shown = is_shown
        if is_shown:
            self._answers.ask(self._is_going)
        else:
            self._layer.forget()

    def go(self) -> None:
        """Take the view to the most uncertain region, as soon as it is known."""
        self._is_going = True
        self._answers.ask(True)

    def is_layer(self, layer: object) -> bool:
        """Whether this is the layer that shows the uncertainty."""
        return self._layer.is_layer(layer)

    def on_removed(self) -> None:
        """Let go of the layer, which a person has removed."""
        self._is_shown = False
        self._layer.forget()

    def close(self) -> None:
        """Hear of nothing any more."""
        self._answers.hold(None)

    def _on_measured(self, answer: tuple[NDArray[np.float32], Region | None]) -> None:
        uncertainty, region = answer
        source, layer = self._results.source, self._results.finished
        if self._is_shown and source is not None:
            self._layer.show(uncertainty, source, self._scribbles())
        if region is not None and layer is not None and self._is_going:
            self._is_going = False
            look_at(self._viewer, layer, region)


def _measure(
    segmentation: Segmentation, is_going: bool
) -> tuple[NDArray[np.float32], Region | None]:
    from napari_diffseg.core.doubt import most_uncertain_region

    uncertainty = segmentation.uncertainty
    if not is_going:
        return uncertainty, None
    scribbles = segmentation.scribbles
    painted = None if scribbles is None else scribbles.painted
    return uncertainty, most_uncertain_region(uncertainty, painted)


def look_at(viewer: napari.Viewer, layer: ResultLayer, region: Region) -> None:
    """Bring a region of a result to the middle of the view, and a little nearer if it is small.

    Parameters
    ----------
    viewer : napari.Viewer
        Whose sliders and camera are moved.
    layer : ResultLayer
        On which the region lies.
    region : tuple of slice
        One for each spatial axis of the result.
    """
    middle = layer.point_in_world(*((side.start + side.stop - 1) / 2 for side in region))
    dims = viewer.dims
    surplus = dims.ndim - len(middle)
    for axis in dims.not_displayed:
        if axis >= surplus:
            dims.set_point(axis, float(middle[axis - surplus]))
    camera = camera_of(viewer)
    camera.center = tuple(float(middle[axis - surplus]) for axis in dims.displayed)
    spatial = layer.source.spatial
    sides = [
        (side.stop - side.start, visible)
        for axis, side, visible in zip(spatial, region, layer.visible_size(), strict=True)
        if axis + surplus in dims.displayed
    ]
    room = max((_ROOM * length / max(visible, 1) for length, visible in sides), default=1)
    if 0 < room < 1 and min(visible for _, visible in sides) > 1:
        camera.zoom *= min(1 / room, _NEARER)
