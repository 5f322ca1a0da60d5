"""Whether a model can be applied to an image, and where the channels that it knows are there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_diffseg.errors import InputError
from napari_diffseg.image.axes import ImageAxes
from napari_diffseg.image.channels import find_channels
from napari_diffseg.image.space import ALIKE, space_of

if TYPE_CHECKING:
    from napari_diffseg.core.model.model import Model


def matched(
    model: Model,
    axes: ImageAxes,
    where: str,
    names: Sequence[str] = (),
    spacing: Sequence[float] | None = None,
) -> tuple[Model, tuple[str, ...]]:
    """Return a model that looks at its channels where an image has them, and what is otherwise.

    Channels are found by `names`, by place where none has a name; `where` is the file or layer, for
    what is said. Raises InputError where the model cannot be applied.
    """
    _check_kind(model, axes, where)
    notes = []
    if not axes.rgb:
        known = names if len(names) == axes.n_channels else [""] * axes.n_channels
        channels, note = find_channels(model.channels, model.n_source_channels, known, where)
        if (channels, axes.n_channels) != (model.channels, model.n_source_channels):
            model = replace(model, channels=channels, n_source_channels=axes.n_channels)
        notes = [note] if note else []
    if spacing is not None and model.spatial == "ZYX":
        z_step = space_of("ZYX", spacing).z_step
        if not math.isclose(z_step, model.z_step, rel_tol=ALIKE):
            notes.append(
                f"The planes of {where} are {z_step:.3g} pixels apart, but those that the model "
                f"was trained on {model.z_step:.3g}; look at the result before you trust it."
            )
    return model, tuple(notes)


def _check_kind(model: Model, axes: ImageAxes, where: str) -> None:
    if axes.spatial != model.spatial:
        is_volume = axes.spatial == "ZYX"
        met = "is a volume" if is_volume else "has no planes along Z"
        trained = "planes" if is_volume else "volumes"
        raise InputError(
            f"{where} ({axes.describe()}) {met}, but the model was trained on {trained}; give it "
            f"{trained}, or state the axes (such as {model.spatial})."
        )
    if axes.rgb != model.facts.rgb:
        kinds_of = {True: "colours (RGB)", False: "intensities"}
        raise InputError(
            f"{where} has channels that are {kinds_of[axes.rgb]}, but the model was trained on "
            f"{kinds_of[model.facts.rgb]}; give it an image of that kind, or say which axes this "
            "one has (such as YXC or CYX)."
        )
