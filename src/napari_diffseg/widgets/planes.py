"""Layers → arrays: what a run would segment, and where its result would stand.

One or several Image layers and what the viewer displays become an `ImageSource`. It
holds references only: nothing is read, and no layer is touched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from numpy.typing import NDArray

from napari_diffseg.errors import InputError
from napari_diffseg.images.axes import resolve_axes
from napari_diffseg.widgets.placement import Placement, place

if TYPE_CHECKING:
    import napari
    from napari.components import Dims

MOST_PIXELS = 64_000_000
"""Of a multiscale image the finest level with no more pixels in the plane is taken."""

NO_BREAK = "\N{NO-BREAK SPACE}"

_LETTERS = {
    "T": ("t", "time", "frame"),
    "C": ("c", "channel", "channels", "ch"),
    "Z": ("z", "plane", "depth"),
    "Y": ("y", "row", "height"),
    "X": ("x", "col", "column", "width"),
}
_GUESSED_LEADING = ("", "Z", "TZ", "TCZ")
_STATE_AXES = "state one letter of T, C, Z, Y, X for each, such as ZYX"


@dataclass(frozen=True, slots=True)
class ImageSource:
    """The pixels to segment; nothing is read before `read`.

    Attributes
    ----------
    layer_names : tuple of str
        Names of the Image layers, the first one names the result.
    arrays : tuple of array-like
        Data of the layers, lazy ones too.
    index : tuple of int or slice
        The displayed plane within each of them.
    axes : str
        Axes of what `read` returns, e.g. ``"YX"``, ``"CYX"``, ``"YXC"``.
    rgb : bool
        Whether the channels are red, green, blue.
    channel : int
        The layers' axis that holds channels; −1 where there is none.
    placement : Placement
        Where the result stands.
    canvas : Placement
        Where a layer would stand in which every plane could be painted.
    description : str
        The axes in words.
    notes : tuple of str
        What a person should know before the run, e.g. that one plane is segmented.
    """

    layer_names: tuple[str, ...]
    arrays: tuple[Any, ...]
    index: tuple[int | slice, ...]
    axes: str
    rgb: bool
    channel: int
    placement: Placement
    canvas: Placement
    description: str
    notes: tuple[str, ...]

    @property
    def displayed(self) -> tuple[int, ...]:
        """The two axes of the layers along which the plane lies."""
        return tuple(
            axis
            for axis, where in enumerate(self.index)
            if isinstance(where, slice) and axis != self.channel
        )

    @property
    def stack(self) -> tuple[int, ...]:
        """The axes of the layers along which there are further planes."""
        return tuple(a for a, where in enumerate(self.index) if not isinstance(where, slice))

    @property
    def position(self) -> tuple[int, ...]:
        """Where the plane stands along these axes."""
        return tuple(where for where in self.index if not isinstance(where, slice))

    @property
    def n_planes(self) -> int:
        """How many planes the stack has; 1 for a single one."""
        return math.prod(self.canvas.shape[axis] for axis in self.stack)

    def at(self, position: tuple[int, ...]) -> ImageSource:
        """Return another plane of the stack to read; what else is told stays that of this one."""
        where = dict(zip(self.stack, position, strict=True))
        return replace(self, index=tuple(where.get(a, old) for a, old in enumerate(self.index)))

    def shows_the_same(self, other: ImageSource) -> bool:
        """Whether both are the same pixels of the same arrays."""
        return (
            len(self.arrays) == len(other.arrays)
            and all(one is two for one, two in zip(self.arrays, other.arrays, strict=True))
            and (self.index, self.axes, self.rgb) == (other.index, other.axes, other.rgb)
        )

    def lies_as(self, other: ImageSource) -> bool:
        """Whether a layer made for one of them can show what is made from the other."""
        mine, theirs = self.placement.transform, other.placement.transform
        return self.shows_the_same(other) and all(
            np.array_equal(mine[name], theirs[name]) for name in mine
        )

    def read(self) -> NDArray[Any]:
        """Load the plane; slow for data on disk, so not for the thread of the window."""
        planes = [np.asarray(array[self.index]) for array in self.arrays]
        return planes[0] if len(planes) == 1 else np.stack(planes)


def image_layers(viewer: napari.Viewer) -> list[Image]:
    """Return the viewer's Image layers, topmost first as in the layer list."""
    return [layer for layer in reversed(viewer.layers) if isinstance(layer, Image)]


def layer_shape(layer: Image) -> tuple[int, ...]:
    """Return the shape of a layer's data at full resolution."""
    return tuple(int(n) for n in (layer.data[0] if layer.multiscale else layer.data).shape)


def shape_in_words(layer: Image) -> str:
    """Return the shape of a layer for a person, e.g. ``"512 × 512 RGB"``."""
    shape = layer_shape(layer)
    text = " × ".join(str(n) for n in (shape[:-1] if layer.rgb else shape))
    return f"{text} RGB" if layer.rgb else text


def guess_axes(layer: Image) -> str:
    """Return one letter for each axis of a layer (RGB not counted).

    The layer's own axis labels are taken where they are known words; otherwise its
    last axes are Y and X, and the ones before are those that a slider moves along.

    Raises
    ------
    InputError
        The layer has too many axes to guess.
    """
    words = [str(label).strip().lower() for label in layer.axis_labels]
    letters = "".join(next((k for k, v in _LETTERS.items() if w in v), "?") for w in words)
    if "?" not in letters and len(set(letters)) == len(letters) and {"Y", "X"} <= set(letters):
        return letters
    n_leading = layer.ndim - 2
    if n_leading >= len(_GUESSED_LEADING) or (layer.rgb and n_leading > 2):
        raise InputError(f"{layer.name!r} has {layer.ndim} axes; {_STATE_AXES}.")
    return _GUESSED_LEADING[n_leading] + "YX"


def describe_source(layers: Sequence[Image], dims: Dims, axes: str | None = None) -> ImageSource:
    """Find out what a run would segment, and where its result would stand.

    Parameters
    ----------
    layers : sequence of Image
        One layer, or several of one shape, each of which is a channel.
    dims : Dims
        What the viewer displays.
    axes : str, optional
        One letter of ``T C Z Y X`` for each axis of the layers; guessed where None.

    Raises
    ------
    InputError
        There is no layer, or the layers, their axes or the displayed plane do not fit.
    """
    _check_layers(layers)
    layer = layers[0]
    letters = guess_axes(layer) if axes is None else _check_letters(axes, layer, len(layers))
    plane = _find_plane(layer, letters, dims)
    level = _choose_level(layers, plane)
    array_axes, array_shape = _plane_axes(layers, plane, level)
    shape = tuple(int(n) for n in level.arrays[0].shape)
    position = {axis: int(plane.position[axis]) for axis in plane.stack}
    return ImageSource(
        layer_names=tuple(str(one.name) for one in layers),
        arrays=level.arrays,
        index=tuple(
            slice(None) if axis in plane.whole else int(plane.position[axis] // level.factors[axis])
            for axis in range(layer.ndim)
        ),
        axes=array_axes,
        rgb=bool(layer.rgb),
        channel=plane.channel,
        placement=place(layer, shape, level.factors, plane.channel, position),
        canvas=place(layer, shape, level.factors, plane.channel, {}),
        description=resolve_axes(array_shape, array_axes, rgb=bool(layer.rgb)).describe(),
        notes=(*_plane_notes(layer, plane), *level.notes, *_data_type_notes(layers)),
    )


@dataclass(frozen=True, slots=True)
class _Plane:
    """The displayed plane of a layer: what each of the layer's axes is for.

    Attributes
    ----------
    letters : str
        One letter for each axis.
    displayed : tuple of int
        The two axes that the view shows, in the layer's order.
    channel : int
        The channel axis, −1 where there is none.
    position : ndarray of int
        Where the sliders stand, in the layer's pixels; matters for stack axes.
    """

    letters: str
    displayed: tuple[int, ...]
    channel: int
    position: NDArray[Any]

    @property
    def whole(self) -> tuple[int, ...]:
        """The axes that are taken whole."""
        return self.displayed if self.channel < 0 else (*self.displayed, self.channel)

    @property
    def stack(self) -> tuple[int, ...]:
        """The axes of which one position is taken."""
        return tuple(axis for axis in range(len(self.letters)) if axis not in self.whole)


@dataclass(frozen=True, slots=True)
class _Level:
    """The arrays to read, and by how much each of a layer's axes is shrunk in them."""

    arrays: tuple[Any, ...]
    factors: NDArray[np.float64]
    notes: tuple[str, ...] = ()


def _check_layers(layers: Sequence[Image]) -> None:
    if not layers:
        raise InputError("There is no image yet; open one with File ▸ Open, or File ▸ Open Sample.")
    first = layers[0]
    for layer in layers[1:]:
        if layer_shape(layer) != layer_shape(first):
            raise InputError(
                "Channels must have one shape, but "
                f"{first.name!r} is {shape_in_words(first)} and {layer.name!r} is "
                f"{shape_in_words(layer)}; choose layers of the same shape."
            )
        if not _lie_together(layer, first):
            raise InputError(
                f"{layer.name!r} does not lie where {first.name!r} lies (scale, translation, "
                "rotation or units differ), so their pixels do not belong together; align the "
                "layers, or choose one."
            )
    for layer in layers if len(layers) > 1 else ():
        if layer.rgb:
            raise InputError(
                f"{layer.name!r} is a colour image and holds its channels already; choose it alone."
            )


def _lie_together(layer: Image, first: Image) -> bool:
    """Whether the pixels of two layers of one shape lie at the same places in the world."""
    corners = np.vstack([np.zeros(first.ndim), np.eye(first.ndim)])
    places = [[one.data_to_world(corner) for corner in corners] for one in (layer, first)]
    return bool(np.allclose(*places)) and tuple(layer.units) == tuple(first.units)


def _data_type_notes(layers: Sequence[Image]) -> list[str]:
    types = {str(np.dtype((one.data[0] if one.multiscale else one.data).dtype)) for one in layers}
    if len(types) == 1:
        return []
    return [
        f"The channels have different data types ({', '.join(sorted(types))}); with the "
        "intensity range 'dtype' the widest would count for all."
    ]


def _check_letters(axes: str, layer: Image, n_layers: int) -> str:
    letters = axes.strip().upper()
    if len(letters) != layer.ndim:
        raise InputError(
            f"The axes {letters!r} name {len(letters)} axes, but {layer.name!r} has "
            f"{layer.ndim}; {_STATE_AXES}."
        )
    if set(letters) - set(_LETTERS) or len(set(letters)) < len(letters):
        raise InputError(f"The axes {letters!r} cannot be read; {_STATE_AXES}.")
    if "Y" not in letters or "X" not in letters:
        raise InputError(f"The axes {letters!r} lack Y or X; {_STATE_AXES}.")
    if "C" in letters and (layer.rgb or n_layers > 1):
        raise InputError(
            f"The axes {letters!r} name a channel axis, but the channels are the "
            f"{'colours' if layer.rgb else 'layers'} already; use Z or T for this axis."
        )
    return letters


def _find_plane(layer: Image, letters: str, dims: Dims) -> _Plane:
    # A viewer has the axes of its largest layer; smaller ones miss the first of them.
    # In a 3D view the slider still says which plane the 2D view would show.
    displayed = tuple(sorted(int(axis) - (dims.ndim - layer.ndim) for axis in dims.order[-2:]))
    if displayed[0] < 0:
        raise InputError(
            f"The view shows an axis that {layer.name!r} does not have; "
            "change the order of the visible axes."
        )
    plane = _Plane(
        letters=letters,
        displayed=displayed,
        channel=letters.find("C"),
        position=np.round(layer.world_to_data(dims.point)).astype(int),
    )
    if plane.channel in displayed:
        raise InputError(
            "The view shows the channel axis as if it were space; change the order of the "
            "visible axes, or correct the letters of the axes."
        )
    for axis in plane.stack:
        last = layer_shape(layer)[axis] - 1
        if not 0 <= plane.position[axis] <= last:
            raise InputError(
                f"{layer.name!r} ends at {letters[axis]} {last}, and the slider stands outside "
                "of it; move the slider until the image is displayed."
            )
    return plane


def _plane_notes(layer: Image, plane: _Plane) -> list[str]:
    notes = []
    if plane.stack:
        # Counted as on napari's sliders, from 0 to the last.
        shape = layer_shape(layer)
        names = [f"{plane.letters[a]} {plane.position[a]} of 0–{shape[a] - 1}" for a in plane.stack]
        stands = ", ".join(name.replace(" ", NO_BREAK) for name in names)
        notes.append(f"Only the displayed plane is segmented: {stands}.")
    shown = [plane.letters[axis] for axis in plane.displayed]
    if set(shown) != {"Y", "X"}:
        notes.append(f"The view shows {' and '.join(shown)}, so the plane lies along these two.")
    return notes


def _plane_axes(
    layers: Sequence[Image], plane: _Plane, level: _Level
) -> tuple[str, tuple[int, ...]]:
    """Return the axes and the shape of what `ImageSource.read` will give."""
    array = level.arrays[0]
    kept = [axis for axis in range(len(plane.letters)) if axis in plane.whole]
    # Whatever the two displayed axes mean, the network sees them as the Y and X of an image.
    axes = "".join("C" if a == plane.channel else "YX"[plane.displayed.index(a)] for a in kept)
    shape = tuple(int(array.shape[axis]) for axis in kept)
    if layers[0].rgb:
        return axes + "C", (*shape, int(array.shape[-1]))
    if len(layers) > 1:
        return "C" + axes, (len(layers), *shape)
    return axes, shape


def _choose_level(layers: Sequence[Image], plane: _Plane) -> _Level:
    layer = layers[0]
    same = np.ones(layer.ndim)
    if not any(one.multiscale for one in layers):
        return _Level(tuple(one.data for one in layers), same)
    if len(layers) > 1:
        arrays = tuple(one.data[0] if one.multiscale else one.data for one in layers)
        return _Level(arrays, same, ("The full resolution of the images is used.",))
    sizes = [tuple(int(array.shape[a]) for a in plane.displayed) for array in layer.data]
    fits = (number for number, (n, m) in enumerate(sizes) if n * m <= MOST_PIXELS)
    number = next(fits, len(sizes) - 1)
    array = layer.data[number]
    if number == 0:
        return _Level((array,), same, ("The full resolution of the image is used.",))
    factors = np.divide(layer_shape(layer)[: layer.ndim], array.shape[: layer.ndim])
    size = " × ".join(str(n) for n in sizes[number])
    note = f"The image is large, so its resolution level {number} is used: {size} pixels."
    return _Level((array,), factors, (note,))
