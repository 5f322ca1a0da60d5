"""What is chosen in the dock: views show it, controllers change it. No Qt here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from psygnal import SignalGroupDescriptor

from napari_diffseg.image.fill import AUTO
from napari_diffseg.parameters import Scalar
from napari_diffseg.params import RunOptions, SegmentationParams
from napari_diffseg.widgets.image.axes_reading import AxesSaid
from napari_diffseg.widgets.image.channel_sources import ChannelWish
from napari_diffseg.widgets.image.level import Level
from napari_diffseg.widgets.region.region import RegionWish
from napari_diffseg.widgets.scribbles.other_planes import LearnFrom
from napari_diffseg.widgets.ui.remembered import remember

if TYPE_CHECKING:
    import napari
    from napari.layers import Image, Labels

    from napari_diffseg.widgets.models.shelf import ModelShelf
    from napari_diffseg.widgets.segment.results import Results

_LEFT = "_napari_diffseg_dock"


@dataclass(eq=False)
class SegmentState:
    """What a person has chosen; every change of a field is an event of that name.

    Numbers stand here as they were typed, right or wrong: `params` and `options` check them.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor(warn_on_no_fields=False)

    image: Image | None = None
    axes: AxesSaid = field(default_factory=AxesSaid)  # What was said of the axes of the image
    channels: ChannelWish = field(default_factory=ChannelWish)
    level: Level | None = None  # None for what is suggested
    region: RegionWish = field(default_factory=RegionWish)
    fill: str = AUTO
    scribbles: Labels | None = None
    learn_from: LearnFrom = LearnFrom.PAINTED
    is_live: bool = False
    typed_params: Mapping[str, Scalar] = field(
        default_factory=lambda: SegmentationParams().to_dict()
    )
    typed_options: Mapping[str, Scalar] = field(default_factory=lambda: RunOptions().to_dict())

    def params(self) -> SegmentationParams:
        """Return the parameters; raises `ParameterError` where one cannot be used."""
        return SegmentationParams.from_dict(self.typed_params)

    def options(self) -> RunOptions:
        """Return the options; raises `ParameterError` where one cannot be used."""
        return RunOptions.from_dict(self.typed_options)


def keep(state: SegmentState) -> None:
    """Keep the parameters for the next session."""
    remember({SegmentationParams: state.typed_params, RunOptions: state.typed_options})


@dataclass(frozen=True, eq=False, slots=True)
class Left:
    """What a dock that is closed leaves to the next one of the same window."""

    state: SegmentState
    results: Results
    shelf: ModelShelf
    said: list[tuple[Image, AxesSaid]]


def leave(viewer: napari.Viewer, left: Left) -> None:
    """Leave it with the layers of the viewer, with which it goes."""
    _layers_of(viewer)[_LEFT] = left


def take_left(viewer: napari.Viewer) -> Left | None:
    """Take what the last dock has left."""
    left: Left | None = _layers_of(viewer).pop(_LEFT, None)
    if left is not None:
        left.results.come_back()
    return left


def _layers_of(viewer: Any) -> dict[str, Any]:
    # napari gives its plugins a proxy of the viewer, of which private names cannot be read.
    kept: dict[str, Any] = vars(getattr(viewer, "__wrapped__", viewer).layers)
    return kept
