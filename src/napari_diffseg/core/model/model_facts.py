"""What a person should know of a model; none of it changes a label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_diffseg.image.pixel_size import PixelSize

Color = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The facts of a model.

    Attributes
    ----------
    axes : str
        Axes of the image that it was trained on, e.g. ``"YX"``, ``"YXC"``, ``"ZYX"``.
    rgb : bool
        Whether the channels are red, green, blue.
    dtype : str
        Data type of that image.
    pixel_size : PixelSize or None
        Size of its pixels, where that is known.
    class_names : mapping of int to str
        Name of labels that have one.
    class_colors : mapping of int to (float, float, float, float)
        Red, green, blue, alpha, 0 … 1, of labels that have a colour.
    provenance : mapping
        How it came about, in values that JSON can hold.
    """

    axes: str
    rgb: bool
    dtype: str
    pixel_size: PixelSize | None = None
    class_names: Mapping[int, str] = field(default_factory=dict)
    class_colors: Mapping[int, Color] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
