"""Objects and measurements of files, frame by frame: one frame is in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg._version import __version__
from napari_diffseg.errors import InputError, OutputError, Remedy, count_in_words
from napari_diffseg.image.arrays import whole_numbers
from napari_diffseg.image.channels import COLOURS
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.instances.measuring import Columns, measure_frame
from napari_diffseg.instances.params import ObjectParams
from napari_diffseg.instances.stacks import Numbers, objects_of_frames
from napari_diffseg.io.frames import FrameStack, open_frames
from napari_diffseg.io.label_files.described import known_labels
from napari_diffseg.io.label_files.frames import LabelFrames, check_frames, classes_in
from napari_diffseg.io.label_files.label_store import Described
from napari_diffseg.io.label_files.provenance import read_provenance
from napari_diffseg.io.label_files.writing import write_label_frames
from napari_diffseg.io.sources import open_source

_DTYPE = np.dtype(np.uint32)
"""How many objects there will be is known only at the end."""


def open_label_frames(
    path: Path, axes: str | None = None, *, planes: bool = False, like: FrameStack | None = None
) -> FrameStack:
    """Open a file of labels or objects; nothing is read. Raises `InputError` where it holds none.

    With `planes` each plane of a volume is a frame. A file of the shape of the frames `like` that
    does not name its axes has theirs.
    """
    if axes is None and like is not None:
        facts = open_source(path, numbers=True).facts
        axes = like.axes if facts.axes is None and facts.shape == like.shape else None
    stack = open_frames(path, axes, 1, volumes=not planes, numbers=True)
    if "C" in stack.frame_axes or stack.dtype.kind not in "buif":
        raise _no_labels(stack)
    return stack


def _no_labels(stack: FrameStack) -> InputError:
    if stack.rgb:
        return InputError(
            f"{stack.path} is a picture in colours, but labels are one whole number for each "
            "pixel; save the numbers as a grayscale or indexed PNG or TIFF."
        )
    return InputError(
        f"{stack.path} has the axes {stack.axes} and the type {stack.dtype}, but labels are one "
        "whole number for each pixel; give a file that 'segment', 'apply' or 'objects' wrote, "
        "or state its axes.",
        Remedy.STATE_AXES,
    )


def labels_in(
    stack: FrameStack, size: PixelSize | None = None, more_names: Mapping[int, str] | None = None
) -> LabelFrames:
    """Return the labels of a file, with what it says of them, and what a person says."""
    provenance = read_provenance(stack.path) or {}
    known = known_labels(stack.path)
    names, colors = classes_in(provenance) if known is None else (known.names, known.colors)
    said: Described = {
        "pixel_size": size or stack.pixel_size,
        "t_step": stack.t_step,
        "placement": stack.placement,
        "names": names | dict(more_names or {}),
        "colors": colors,
        "provenance": provenance,
    }
    planes = partial(_planes_of, stack)
    dtype = np.dtype(np.int32) if stack.dtype.kind == "f" else stack.dtype
    return LabelFrames(stack.labels_axes, stack.labels_shape, dtype, planes, said)


def _planes_of(stack: FrameStack) -> Iterator[NDArray[Any]]:
    for i in range(stack.n_frames):
        frame = read_planes(stack, i)
        yield from frame.reshape(-1, *frame.shape[-2:])


def read_planes(stack: FrameStack, i: int) -> NDArray[Any]:
    """Read labels of a frame, in the order ``(y, x)`` or ``(z, y, x)``."""
    [labels] = read_channels(stack, i)
    numbers = whole_numbers(labels)
    if numbers is None:
        raise _no_labels(stack)
    return numbers


def read_channels(stack: FrameStack, i: int) -> list[NDArray[Any]]:
    """Read the channels of a frame, each ``(y, x)`` or ``(z, y, x)``."""
    axes = stack.frame_axes
    pixels = np.asarray(stack.frame(i)[(slice(None),) * len(axes)])
    letters = ("C" if "C" in axes else "") + stack.spatial
    turned = pixels.transpose([axes.index(letter) for letter in letters])
    return list(turned) if "C" in axes else [turned]


@dataclass(frozen=True, slots=True)
class ObjectsJob:
    """Objects of a file of labels, to be found and written as the ending of the output tells.

    `spacing` is that of voxels, cubes where None; `pixel_size` what the output says.
    """

    labels: FrameStack
    output: Path
    params: ObjectParams
    spacing: Sequence[float] | None = None
    pixel_size: PixelSize | None = None
    force: bool = False

    def check(self) -> None:
        """Refuse an output that cannot be written, or would take the place of the labels."""
        if self.output.exists() and self.output.samefile(self.labels.path):
            raise OutputError(
                f"{self.output} holds the labels themselves; choose another name for the objects."
            )
        check_frames(self.output, self.labels.labels_shape, force=self.force)

    def find(self) -> Iterator[Numbers]:
        """Find the objects frame after frame; those that overlap keep their number."""
        stack = self.labels
        frames = (read_planes(stack, i) for i in range(stack.n_frames))
        # Along the last of several axes of frames: planes follow each other within one time.
        n_each = stack.leading_shape[-1] if stack.leading else 0
        return objects_of_frames(frames, self.params, self.spacing, n_each)

    def write(self, frames: Iterable[Numbers]) -> None:
        """Write what `find` gives; the output is there whole or not at all."""
        write_label_frames(
            self.output,
            (frame.astype(_DTYPE) for frame in frames),
            shape=self.labels.labels_shape,
            axes=self.labels.labels_axes,
            dtype=_DTYPE,
            volumes=self.labels.spatial == "ZYX",
            pixel_size=self.pixel_size,
            t_step=self.labels.t_step,
            placement=self.labels.placement,
            provenance=self.provenance(),
            force=self.force,
        )

    def provenance(self) -> dict[str, Any]:
        """Say how the objects came about; class names of the labels are kept."""
        before = read_provenance(self.labels.path) or {}
        facts: dict[str, Any] = {
            "software": f"napari-diffseg {__version__}",
            "labels": self.labels.path.name,
            "objects": self.params.to_dict(),
        }
        if self.spacing is not None:
            facts["spacing"] = list(self.spacing)
        return facts | {key: before[key] for key in ("class_names",) if key in before}


@dataclass(frozen=True, slots=True)
class MeasureJob:
    """Objects of a file, to be measured: with the image that they were found in and their classes.

    `channel_names` are those of the file where empty; `class_names` come beside theirs.
    """

    objects: FrameStack
    image: FrameStack | None = None
    labels: FrameStack | None = None
    pixel_size: PixelSize | None = None
    channel_names: tuple[str, ...] = ()
    class_names: Mapping[int, str] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse files of other frames or planes of another size, and names of other channels."""
        own = self.objects.leading_shape, self.objects.spatial_shape
        for what, stack in (("image", self.image), ("labels", self.labels)):
            if stack is None:
                continue
            if (stack.leading_shape, stack.spatial_shape) != own:
                raise InputError(
                    f"The objects in {_frames_in_words(self.objects)}, and the {what} in "
                    f"{_frames_in_words(stack)}, are not of the same frames; give those that are, "
                    "or state the axes."
                )
        n_channels = self._n_channels
        if self.channel_names and len(self.channel_names) != n_channels:
            raise InputError(
                f"There are {len(self.channel_names)} names, but the image has {n_channels} "
                "channels; name each of them."
            )

    def measure(self) -> Iterator[Columns]:
        """Measure the objects frame after frame."""
        said = read_provenance(self.objects.path) or {}
        told = said.get("objects")
        classes = ObjectParams.from_dict(told).class_numbers if isinstance(told, dict) else ()
        names, _ = classes_in(said)
        if self.labels is not None:
            names |= classes_in(read_provenance(self.labels.path))[0]
        for i in range(self.objects.n_frames):
            yield measure_frame(
                read_planes(self.objects, i),
                [] if self.image is None else read_channels(self.image, i)[: self._n_channels],
                frame=i,
                pixel_size=self.pixel_size,
                channel_names=self.channel_names or self._own_names,
                labels=None if self.labels is None else read_planes(self.labels, i),
                classes=classes,
                class_names=names | dict(self.class_names),
            )

    @property
    def _n_channels(self) -> int:
        if self.image is None or "C" not in self.image.frame_axes:
            return int(self.image is not None)
        n_channels = self.image.frame_shape[self.image.frame_axes.index("C")]
        return len(COLOURS) if self.image.rgb else n_channels  # alpha is no channel

    @property
    def _own_names(self) -> tuple[str, ...]:
        if self.image is None:
            return ()
        return COLOURS if self.image.rgb else self.image.channel_names


def planes_of_objects(job: ObjectsJob) -> Iterator[NDArray[Any]]:
    """Find objects, and yield them plane by plane."""
    for frame in job.find():
        yield from frame.reshape(-1, *frame.shape[-2:])


def _frames_in_words(stack: FrameStack) -> str:
    sides = " × ".join(map(str, stack.spatial_shape))
    along = f" along {stack.leading}" if stack.leading else ""
    frames = count_in_words(stack.n_frames, "frame")
    return f"{stack.path.name} ({frames}{along} of {sides}, {stack.spatial})"
