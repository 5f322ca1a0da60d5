"""What a person says of an image and its channels, and what comes of it; no Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_diffseg.errors import InputError
from napari_diffseg.widgets.image.axes_reading import AxesEdit, AxesReading, Extent, read_axes
from napari_diffseg.widgets.image.channel_sources import (
    ChannelSelection,
    ChannelSetting,
    select_channels,
)
from napari_diffseg.widgets.image.layer_facts import facts_of
from napari_diffseg.widgets.image.voxel_size import TypedSize

if TYPE_CHECKING:
    from napari.layers import Image


@dataclass(frozen=True, slots=True)
class AxesSaid:
    """What a person said of the axes of a layer, as it was typed; None where nothing was said."""

    letters: str | None = None
    size: TypedSize | None = None
    extent: Extent | None = None

    def reading(self, layer: Image | None, n_layers: int = 1) -> AxesReading:
        """Return how the axes are read of a layer, of which so many are taken for channels.

        Raises `InputError` where what was said cannot be, or there are too many axes to guess.
        """
        if layer is None:
            raise InputError(
                "There is no image yet; open one with File ▸ Open, or File ▸ Open Sample."
            )
        facts = replace(facts_of(layer), n_layers=n_layers)
        return read_axes(facts, AxesEdit(self.letters, self.size))

    @property
    def sizeless(self) -> AxesSaid:
        """The same without the size of a pixel, which may be half typed."""
        return replace(self, size=None)

    def extent_of(self, reading: AxesReading) -> Extent:
        """Return what a run takes of the stack."""
        return Extent.PLANE if reading.n_planes < 2 else self.extent or reading.extent


@dataclass(frozen=True, slots=True)
class ChannelWish:
    """Which channels count, and how; what is displayed is looked up when a run is described."""

    layers: tuple[Image, ...] = ()
    letters: str = ""
    settings: tuple[ChannelSetting, ...] = ()
    problem: str = ""  # What is wrong with the settings

    def selection(self) -> ChannelSelection:
        """Return what a run is told; raises `InputError` where it cannot be told anything."""
        if not self.layers:
            raise InputError("There is no image, so there are no channels; open one first.")
        if self.problem:
            raise InputError(self.problem)
        return select_channels(self.layers, self.letters, self.settings)

    @property
    def n_layers(self) -> int:
        """How many layers are taken together, each of them a channel."""
        try:
            return len(self.selection().layers)
        except InputError:
            return 1
