"""What an image file says of its image, the pixels aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_diffseg.images.pixel_size import PixelSize


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an image file says of its image.

    Attributes
    ----------
    axes : str or None
        One letter of T C Z Y X per array axis; None where the file does not say.
    shape : tuple of int
        Shape of the array.
    dtype : dtype
        Type of the pixels, in the native byte order.
    rgb : bool or None
        Whether the channels are colours; None where the file does not say.
    pixel_size : PixelSize or None
        None where the file has none, or only a resolution for screen or print.
    z_step : float or None
        Distance of two planes, in the unit of `pixel_size`; None where not known.
    t_step : float or None
        Seconds from frame to frame; None where not known.
    notes : tuple of str
        Sentences that the person should read, e.g. that other images were left out.
    """

    axes: str | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    rgb: bool | None
    pixel_size: PixelSize | None = None
    z_step: float | None = None
    t_step: float | None = None
    notes: tuple[str, ...] = ()
