"""Whether a model can be applied to what is chosen, and where its channels are found there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_diffseg.batch.fitting import depth_notes
from napari_diffseg.errors import InputError
from napari_diffseg.widgets.image.axes_reading import Extent
from napari_diffseg.widgets.image.channel_sources import arrange_channels
from napari_diffseg.widgets.ui.words import count_in_words

if TYPE_CHECKING:
    from napari_diffseg.core.model.model import Model
    from napari_diffseg.widgets.batch.frames import FrameSet


@dataclass(frozen=True, slots=True)
class Fit:
    """How a model and frames go together: why they do not, and what a person should know of it.

    For each channel that the model is given, `channels` says which of a frame's it is; None for
    colours.
    """

    channels: tuple[int, ...] | None = None
    reason: str = ""
    note: str = ""


def extent_of(model: Model) -> Extent:
    """Return whether a model labels planes or volumes."""
    return Extent.VOLUME if model.spatial == "ZYX" else Extent.PLANE


def find_fit(model: Model, frames: FrameSet) -> Fit:
    """Find out how a model and frames, planes or volumes as it asks for, go together."""
    shown, name = frames.shown, frames.shown.layer_names[0]
    if shown.is_volume is not (extent_of(model) is Extent.VOLUME):
        return Fit(
            reason=f"The model labels volumes, but {name!r} has no planes along Z; choose a stack "
            "of planes, or correct the letters of its axes."
        )
    if shown.rgb != model.facts.rgb:
        mine, other = ("colours", "intensities") if shown.rgb else ("intensities", "colours")
        return Fit(
            reason=f"The channels of {name!r} are {mine}, but the model was trained on {other}; "
            "choose an image of the same kind."
        )
    if shown.rgb:
        return Fit()
    n_known, names = model.n_source_channels, frames.channel_names
    if n_known != len(names) and not any(one.name for one in model.channels):
        return Fit(
            reason=f"{name!r} has {count_in_words(len(names), 'channel')}, but the model was "
            f"trained on {n_known}; choose an image with the same channels."
        )
    try:
        arrangement = arrange_channels(model.channels, n_known, names, name)
    except InputError as error:
        return Fit(reason=str(error))
    notes = [arrangement.note, *depth_notes(model, repr(name), shown.spacing)]
    return Fit(arrangement.places, note=" ".join(filter(None, notes)))
