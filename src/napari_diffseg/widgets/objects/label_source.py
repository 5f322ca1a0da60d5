"""Labels layers → the classes that objects are made of, and the image below them; no Qt."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.errors import InputError
from napari_diffseg.image.channels import COLOURS
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.instances.finding import ObjectFinder
from napari_diffseg.instances.measuring import Columns, measure_frame
from napari_diffseg.instances.params import ObjectParams
from napari_diffseg.instances.stacks import objects_of_frames
from napari_diffseg.widgets.batch.frames import FrameSet
from napari_diffseg.widgets.image.image_source import ImageSource

MOST_PIXELS = 1 << 29
"""Objects in the window are kept in memory; there are no more pixels than this (2 GB)."""


@dataclass(frozen=True, eq=False)
class LabelSource:
    """The labels of a layer that lies on an image; nothing is read before it is asked for."""

    # The layer's data: one frame, of the shape of the image's placement, or all of them, of
    # its canvas
    array: Any
    # The image, at the frame that the labels are of; at any, where they have all
    shown: ImageSource
    has_all: bool  # Whether all frames are there
    channel_names: tuple[str, ...] = ()  # Empty where nobody says
    _finders: dict[int, ObjectFinder] = field(default_factory=dict, repr=False)

    @property
    def frames(self) -> FrameSet:
        """All frames of the image."""
        return FrameSet((), self.shown)

    @property
    def lengths(self) -> tuple[int, ...]:
        """How many frames there are along each axis of the stack; empty for a single one."""
        return self.frames.lengths if self.has_all else ()

    @property
    def n_frames(self) -> int:
        """How many frames there are."""
        return math.prod(self.lengths)

    @property
    def letters(self) -> str:
        """The spatial axes: ``"YX"`` or ``"ZYX"``."""
        return "ZYX" if self.shown.is_volume else "YX"

    def position(self, i: int) -> tuple[int, ...]:
        """Return where a frame stands along the axes of the stack."""
        return self.frames.position(i) if self.lengths else self.shown.position

    def index(self, i: int) -> tuple[int | slice, ...]:
        """Return where a frame stands in the array; its axes are then in the layer's order."""
        spatial = self.shown.spatial
        if self.lengths:
            return self.frames.window(i, (slice(None),) * len(spatial))
        return tuple(slice(None) if axis in spatial else 0 for axis in range(len(self.array.shape)))

    def point(self, i: int, *place: float) -> NDArray[np.float64]:
        """Return a point ``(y, x)`` or ``(z, y, x)`` of a frame as one of the array."""
        index = [0 if isinstance(where, slice) else where for where in self.index(i)]
        point = np.asarray(index, np.float64)
        point[list(self.shown.spatial)] = place
        return point

    def read(self, i: int, array: Any = None) -> NDArray[Any]:
        """Read a frame ``(y, x)`` or ``(z, y, x)``, of the labels or of an array of their shape."""
        part = np.asarray((self.array if array is None else array)[self.index(i)])
        return part.transpose(np.argsort(np.argsort(self.shown.spatial)))

    def channels(self, i: int) -> list[NDArray[Any]]:
        """Read the channels of the image below a frame, each ``(y, x)`` or ``(z, y, x)``."""
        shown = self.shown
        pixels = np.asarray(shown.at(self.position(i)).pixels())
        letters = ("C" if "C" in shown.axes else "") + self.letters
        turned = pixels.transpose([shown.axes.index(letter) for letter in letters])
        # Alpha is no channel.
        return list(turned[: shown.image_axes.n_channels]) if "C" in letters else [turned]

    def names(self) -> tuple[str, ...]:
        """Return what the channels are called."""
        return COLOURS if self.shown.rgb else self.channel_names

    def frame_at(self, layer: Any, dims: Any) -> int | None:
        """Return the frame that the sliders show of a layer of this shape; None outside."""
        return self.frames.seen_on(layer, dims) if self.lengths else 0

    # --- objects ----------------------------------------------------------------------

    @property
    def n_pixels(self) -> int:
        """How many pixels all frames have."""
        return math.prod(int(n) for n in self.array.shape)

    @property
    def fits(self) -> bool:
        """Whether objects of all frames can be kept in memory."""
        return self.n_pixels <= MOST_PIXELS

    def check_size(self) -> None:
        """Refuse what cannot be kept in memory."""
        if not self.fits:
            raise InputError(
                f"These labels have {self.n_pixels / 1e9:.1f} thousand million pixels, too many "
                "for the window; save them, and use the command 'napari-diffseg objects'."
            )

    def find(self, i: int, params: ObjectParams) -> Generator[float, None, NDArray[np.int32]]:
        """Find the objects of one frame, which is read once, however often this is asked.

        Yields how much is done, from 0 to 1.
        """
        if i not in self._finders:
            self._finders.clear()
            self._finders[i] = ObjectFinder(self.read(i), self.shown.spacing)
        yield from self._finders[i].prepare(params)
        return self._finders[i].find(params)

    def follow(self, params: ObjectParams) -> Iterator[NDArray[np.int32]]:
        """Find the objects of all frames, followed from one to the next."""
        frames = (self.read(i) for i in range(self.n_frames))
        n_each = self.lengths[-1] if self.lengths else 0
        return objects_of_frames(frames, params, self.shown.spacing, n_each)

    def measure(
        self,
        numbers: NDArray[np.integer[Any]],
        size: PixelSize | None,
        classes: tuple[int, ...],
        class_names: dict[int, str],
    ) -> Iterator[Columns]:
        """Measure the objects frame after frame."""
        for i in range(self.n_frames):
            yield measure_frame(
                self.read(i, numbers),
                self.channels(i),
                frame=i,
                pixel_size=size,
                channel_names=self.names(),
                labels=self.read(i),
                classes=classes,
                class_names=class_names,
            )
