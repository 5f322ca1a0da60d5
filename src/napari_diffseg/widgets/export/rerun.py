"""A run of the dock → a `Recipe`, with the files that hold its arrays; no Qt.

A layer may have been edited since its file was read, or have fewer axes than the file. So what is
copied is compared with the file, pixel by pixel, and refused where they differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_diffseg.batch.recipe import Recipe
from napari_diffseg.errors import InputError
from napari_diffseg.image.axes import resolve_axes
from napari_diffseg.image.channels import Channel
from napari_diffseg.image.lazy import part_of
from napari_diffseg.io.facts import Index
from napari_diffseg.io.reading import ImageFile, read_image
from napari_diffseg.widgets.image.image_source import ImageSource
from napari_diffseg.widgets.image.layer_facts import arrays_of, file_of, image_layers

if TYPE_CHECKING:
    import napari

_MOST_PLACES = 64
"""A layer is looked for at so many places of a file that has more axes, such as its channels."""


@dataclass(frozen=True, eq=False, slots=True)
class RunOnFiles:
    """What a run was told, and the file and the level of each of its arrays."""

    source: ImageSource
    files: tuple[tuple[Path, int], ...]
    told: Recipe  # But for what the source says
    stack_axes: str = ""  # Of all frames, where a model was applied to several

    def python(self) -> str:
        """Return the run as Python; reads the image, as `shell` does."""
        return self._recipe()[0].python()

    def shell(self) -> str:
        """Return the run as a command of the shell; of a model, on all frames of the file."""
        recipe, file = self._recipe()
        if len(self.stack_axes) == len(file.shape):
            return replace(recipe, index=(), axes=self.stack_axes).shell()
        is_whole = all(isinstance(entry, slice) for entry in recipe.index)
        if is_whole and resolve_axes(file.shape, recipe.axes, rgb=None).rgb != self.source.rgb:
            taken = "RGB" if self.source.rgb else "channels"
            raise InputError(
                f"The colours of {recipe.image} were taken for {taken}, which the shell cannot be "
                "told; copy the run as Python."
            )
        # Without a distance of its own the command would take that of the file.
        unit = (1.0, 1.0, 1.0) if self.source.is_volume and not self.told.model else None
        size, own = recipe.pixel_size, file.pixel_size
        is_said = size is not None and own is not None and size.plane == own.plane
        return replace(
            recipe,
            spacing=recipe.spacing or unit,
            pixel_size=None if is_said and not self.source.is_volume else size,
        ).shell()

    def _recipe(self) -> tuple[Recipe, ImageFile]:
        """Return the recipe, and what the file holds."""
        (path, level), *others = dict.fromkeys(self.files)
        if others:
            raise InputError(
                "The channels come from several files, of which no copied run can be made; save "
                "them as one image (merge the layers to a stack), and segment that."
            )
        file = read_image(path, level=level)
        pixels, source = file.pixels, self.source
        found = [_locate(one, source.full_index, pixels, path) for one in source.arrays]
        index, axes, channels = found[0], source.axes, source.channels
        # Of a model the channels are not named: a single one is a part of the file.
        axis = _channel_axis(found, "" if self.told.model else file.axes or "")
        if axis is not None:
            index, axes, channels = _joined(found, axis, axes, channels, pixels.shape)
        recipe = replace(
            self.told,
            image=path,
            index=index,
            axes=axes,
            level=level,
            rgb=source.rgb,
            spacing=_three(source.spacing),
            channels=channels,
            fill=source.fill,
        )
        return recipe, file


def files_of(viewer: napari.Viewer, source: ImageSource) -> tuple[tuple[Path, int], ...]:
    """Return the file and the level of each array of a run; reads nothing."""
    return tuple(
        _file_of(viewer, array, name)
        for array, name in zip(source.arrays, source.layer_names, strict=True)
    )


def _file_of(viewer: napari.Viewer, array: Any, name: str) -> tuple[Path, int]:
    for layer in image_layers(viewer):
        number = next((n for n, one in enumerate(arrays_of(layer)) if one is array), None)
        if number is None:
            continue
        path = file_of(layer)
        if path is None or not path.exists():
            raise InputError(
                f"{name!r} is in no file; save it first (File ▸ Save selected layer(s) …), open "
                "the file, and segment that."
            )
        return path, number
    raise InputError(f"The image {name!r} is not open any more; open it, and segment it again.")


def _three(spacing: tuple[float, ...] | None) -> tuple[float, float, float] | None:
    if spacing is None:
        return None
    z, y, x = spacing
    return z, y, x


def _locate(array: Any, index: Index, pixels: Any, path: Path) -> Index:
    """Return where in the pixels of a file a part of an array is."""
    wanted = np.asarray(part_of(array, index))
    for place in _places(pixels.shape, array.shape, index):
        there = np.asarray(part_of(pixels, place))
        alike = (there.dtype.kind, there.dtype.itemsize) == (
            wanted.dtype.kind,
            wanted.dtype.itemsize,
        )
        if alike and np.array_equal(there, wanted, equal_nan=wanted.dtype.kind in "fc"):
            return place
    raise InputError(
        f"The image is not as {path} holds it; save it to a file of its own, open that, and "
        "segment it again."
    )


def _places(shape: Sequence[int], held: Sequence[int], index: Index) -> Iterator[Index]:
    """Yield every part of a file of a shape that could be a part of an array of another one."""
    for axes in combinations(range(len(shape)), len(held)):
        if [shape[axis] for axis in axes] != list(held):
            continue
        others = [axis for axis in range(len(shape)) if axis not in axes]
        lengths = [shape[axis] for axis in others]
        if prod(lengths) > _MOST_PLACES:
            continue
        entries = dict(zip(axes, index, strict=True))
        for where in np.ndindex(*lengths):
            whole = entries | dict(zip(others, where, strict=True))
            yield tuple(whole[axis] for axis in range(len(shape)))


def _channel_axis(found: Sequence[Index], letters: str) -> int | None:
    """Return the axis of a file, with axes of these letters, along which the layers are channels.

    None where a single one is no channel.
    """
    first = found[0]
    if len(found) == 1:
        numbers = [axis for axis, entry in enumerate(first) if isinstance(entry, int)]
        is_channel = len(letters) == len(first) and [letters[one] for one in numbers] == ["C"]
        return numbers[0] if is_channel else None
    apart = [axis for axis in range(len(first)) if any(one[axis] != first[axis] for one in found)]
    if len(apart) != 1 or isinstance(first[apart[0]], slice):
        raise InputError(
            "The layers are not the channels of one image in their file; save them as one image "
            "(merge the layers to a stack), and segment that."
        )
    return apart[0]


def _joined(
    found: Sequence[Index],
    axis: int,
    axes: str,
    channels: tuple[Channel, ...] | None,
    shape: Sequence[int],
) -> tuple[Index, str, tuple[Channel, ...] | None]:
    """Return the part of a file that holds several layers, its axes, and which channels they are.

    The axes are those of the run, in which several layers come first: ``"CYX"``.
    """
    first = found[0]
    numbers = [entry for one in found if isinstance(entry := one[axis], int)]
    before = sum(isinstance(entry, slice) for entry in first[:axis])
    letters = axes.removeprefix("C")
    taken = channels or tuple(map(Channel, range(len(found))))
    told = tuple(replace(one, index=numbers[one.index]) for one in taken)
    return (
        (*first[:axis], slice(None), *first[axis + 1 :]),
        f"{letters[:before]}C{letters[before:]}",
        None if told == tuple(map(Channel, range(shape[axis]))) else told,
    )
