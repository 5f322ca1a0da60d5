"""A model for the frames of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_diffseg.image.axes import resolve_axes

if TYPE_CHECKING:
    from napari_diffseg.core.model.model import Model
    from napari_diffseg.io.frames import FrameStack


def fit_to(
    model: Model, stack: FrameStack, file: Path, *, is_stated: bool
) -> tuple[Model, tuple[str, ...]]:
    """Return the model that looks at the channels of a file, and what differs from the training.

    `file` is how it is called; `is_stated`: whether a person has said what its axes are. Raises
    `InputError` where the model cannot be applied to it.
    """
    from napari_diffseg.core.model.matching import matched

    # Whether channels are colours is known of the file's own axes only.
    rgb = None if is_stated else stack.rgb
    axes = resolve_axes(stack.frame_shape, stack.frame_axes, rgb=rgb)
    return matched(model, axes, str(file), stack.channel_names, stack.spacing)
