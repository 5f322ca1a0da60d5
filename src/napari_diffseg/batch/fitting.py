"""Whether the frames of a file are such as a model was trained on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from napari_diffseg.errors import InputError
from napari_diffseg.image.axes import resolve_axes

if TYPE_CHECKING:
    from napari_diffseg.core.model.model import Model
    from napari_diffseg.image.info import Spacing
    from napari_diffseg.io.frames import FrameStack

_ALIKE = 0.05  # distances of planes that differ by a smaller share are the same


def check_fits(model: Model, stack: FrameStack, file: Path, *, is_stated: bool) -> None:
    """Refuse frames with other channels, and planes where the model is of volumes.

    `file` is how the error calls it; `is_stated`: whether a person has said what its axes are.
    """
    # Whether channels are colours is known of the file's own axes only.
    rgb = None if is_stated else stack.rgb
    found = resolve_axes(stack.frame_shape, stack.frame_axes, rgb=rgb)
    if stack.spatial != model.spatial:
        raise InputError(
            f"{file} is read as {stack.axes}, with no planes along Z, but the model was trained on "
            "volumes; give it volumes, or state the axes (such as ZYX)."
        )
    if (found.n_channels, found.rgb) != (model.n_source_channels, model.facts.rgb):
        raise InputError(
            f"{file} has {_channels(found.n_channels, found.rgb)}, but the model was trained "
            f"on {_channels(model.n_source_channels, model.facts.rgb)}; give it images of that "
            "kind, or say which axes they have (such as YXC or CYX)."
        )


def differences_from(model: Model, stack: FrameStack) -> list[str]:
    """Say what of the frames is not as in the training images, though they can be labelled."""
    notes = depth_notes(model, stack.path.name, stack.spacing)
    for channel in model.channels:
        if channel.index >= len(stack.channel_names) or not channel.name:
            continue
        own = stack.channel_names[channel.index]
        if own and own.casefold() != channel.name.casefold():
            notes.append(
                f"Channel {channel.index + 1} of {stack.path.name} is called {own}, but the model "
                f"was trained on {channel.name} there; channels are taken by their place."
            )
    return notes


def depth_notes(model: Model, name: str, spacing: Spacing | None) -> list[str]:
    """Say that the planes of a volume lie otherwise than those of the training volumes."""
    if model.n_spatial == 2 or spacing is None:
        return []
    z, y, x = spacing
    z_step = z / ((y + x) / 2)
    if math.isclose(z_step, model.z_step, rel_tol=_ALIKE):
        return []
    return [
        f"The planes of {name} are {z_step:.3g} pixels apart, but those that the model was trained "
        f"on {model.z_step:.3g}; look at the result before you trust it."
    ]


def _channels(n: int, rgb: bool) -> str:
    return "colours (RGB)" if rgb else f"{n} channel{'' if n == 1 else 's'}"
