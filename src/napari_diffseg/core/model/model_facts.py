"""What a person should know of a model; none of it changes a label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_diffseg.image.pixel_size import PixelSize

Color = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The facts of a model: axes (``"YXC"``), data type, pixel size of the image it learned from.

    Names and colours (red, green, blue, alpha, 0 … 1) of labels stand by their number. How it came
    about is told in values that JSON can hold.
    """

    axes: str
    rgb: bool
    dtype: str
    pixel_size: PixelSize | None = None
    class_names: Mapping[int, str] = field(default_factory=dict)
    class_colors: Mapping[int, Color] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
