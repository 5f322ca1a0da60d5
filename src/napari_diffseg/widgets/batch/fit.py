"""Whether a model can be applied to what is chosen, and where its channels are found there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_diffseg.errors import InputError
from napari_diffseg.widgets.image.axes_reading import Extent

if TYPE_CHECKING:
    from napari_diffseg.core.model.model import Model
    from napari_diffseg.widgets.batch.frames import FrameSet


@dataclass(frozen=True, slots=True)
class Fit:
    """How a model and frames go together: the model for these, or why there is none; and a note."""

    model: Model | None = None
    reason: str = ""
    note: str = ""


def extent_of(model: Model) -> Extent:
    """Return whether a model labels planes or volumes."""
    return Extent.VOLUME if model.spatial == "ZYX" else Extent.PLANE


def find_fit(model: Model, frames: FrameSet) -> Fit:
    """Find out how a model and frames, planes or volumes as it asks for, go together."""
    from napari_diffseg.core.model.matching import matched

    shown = frames.shown
    where = repr(shown.layer_names[0])
    try:
        found, notes = matched(
            model, shown.image_axes, where, shown.info.channel_names, shown.spacing
        )
    except InputError as error:
        return Fit(reason=str(error))
    return Fit(found, note=" ".join(notes))
