"""What the dock knows of a model that the run did not: names, colours, the size of a pixel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_diffseg.widgets.image.image_source import ImageSource


def facts_known(
    labels: Iterable[int],
    names: Mapping[int, str],
    colors: Mapping[int, NDArray[Any]] | None = None,
    source: ImageSource | None = None,
) -> dict[str, Any]:
    """Return what `Model.with_facts` is to be told."""
    labels = tuple(labels)
    facts: dict[str, Any] = {"class_names": {one: names[one] for one in labels if one in names}}
    if colors is not None:
        facts["class_colors"] = {
            one: tuple(float(part) for part in colors[one]) for one in labels if one in colors
        }
    if source is not None:
        facts["pixel_size"] = source.pixel_size
    return facts
