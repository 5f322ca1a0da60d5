"""The image that is to be segmented, read as the command line says."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from napari_diffseg.cli.channels import chosen_channels
from napari_diffseg.cli.options import names_of
from napari_diffseg.cli.references import turned
from napari_diffseg.cli.region import read_region, region_box, region_in_words
from napari_diffseg.cli.spacing import Sizes, sizes_of
from napari_diffseg.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_diffseg.image.axes import ImageAxes
    from napari_diffseg.image.channels import Channel
    from napari_diffseg.image.windows import Window
    from napari_diffseg.io.reading import ImageFile

N_LEARNED = 3
"""Planes that are learned from where a volume is taken plane by plane and nothing is painted."""


@dataclass(frozen=True, eq=False)
class Subject:
    """One image, what is painted on it, and how a person says that it is to be taken.

    `channels` None where all are looked at, `strokes` ``(z) y x`` None where nothing is painted.
    """

    args: argparse.Namespace
    file: ImageFile
    painted: ImageFile | None
    axes: ImageAxes
    sizes: Sizes
    channels: tuple[Channel, ...] | None
    strokes: NDArray[Any] | None

    @cached_property
    def region(self) -> NDArray[np.bool_] | None:
        """Where labels are wanted, ``(z) y x``; None where everywhere."""
        said = self.args.region
        return said and read_region(said, self.axes.spatial_shape, self.axes.axes)

    @property
    def around(self) -> Window | None:
        """The part of the image, or of each plane, that is read; None where it is all of it."""
        from napari_diffseg.core.model.application import reading_window
        from napari_diffseg.image.region import box_of
        from napari_diffseg.image.space import PLANE, space_of

        shape, box = self.axes.spatial_shape, region_box(self.args.region, self.axes.spatial_shape)
        if box is None and self.region is not None:
            box = box_of(self.region)
        if self.by_plane:
            return box and reading_window(box[1:], shape[1:], PLANE)
        return box and reading_window(box, shape, space_of(self.axes.spatial, self.sizes.spacing))

    @property
    def planes_memory(self) -> int:
        """How many bytes are held of a volume that is taken plane by plane, beside one plane."""
        from napari_diffseg.image.windows import size

        n_planes, *sides = self.axes.spatial_shape
        painted = 0 if self.strokes is None else int(self.strokes.any(axis=(-2, -1)).sum())
        n_learned = min(painted or N_LEARNED, n_planes)
        n_channels = len(self.channels or ()) or self.axes.n_channels
        n_read = math.prod(sides if self.around is None else size(self.around))
        # The labels of all planes, and the pixels of those that are learned from.
        others = (n_learned - 1) * n_channels * self.file.dtype.itemsize
        return n_planes * math.prod(sides) + others * n_read

    @property
    def by_plane(self) -> bool:
        """Whether it is a volume that is taken plane by plane."""
        return self.is_volume and bool(self.args.planes)

    @property
    def is_volume(self) -> bool:
        """Whether it has several planes."""
        return self.axes.spatial == "ZYX"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the files said that a person should read."""
        return (*self.file.notes, *(self.painted.notes if self.painted else ()))

    def write(self, labels: NDArray[Any], provenance: Mapping[str, Any]) -> None:
        """Write labels with their size, their place, and what is needed to do the run again."""
        from napari_diffseg.instances.finding import count_labels
        from napari_diffseg.io.label_files.writing import write_labels

        size = self.sizes.pixel_size
        # Without a unit the file's own distances would contradict those that are stated.
        is_in_doubt = self.args.spacing is not None and size is None
        write_labels(
            self.args.output,
            labels,
            pixel_size=size if self.is_volume else size and size.plane,
            placement={} if is_in_doubt else self.file.placement,
            provenance=self._said() | dict(provenance),
            names=names_of(self.args, count_labels(labels)),
            colors=self.args.colors,
            force=self.args.force,
        )

    def _said(self) -> dict[str, Any]:
        args = self.args
        said: dict[str, Any] = {"image": self.file.path.name}
        if self.painted is not None:
            said["scribbles"] = self.painted.path.name
        said |= {name: getattr(args, name) for name in ("level", "series") if getattr(args, name)}
        if self.sizes.spacing is not None:
            said["spacing"] = list(self.sizes.spacing)
        if self.channels is not None:
            said["channels"] = [asdict(channel) for channel in self.channels]
        if args.region is not None:
            said["region"] = region_in_words(args.region)
        return said


def read_subject(args: argparse.Namespace) -> Subject:
    """Read the image of a command; says on stderr how far its planes are taken to be apart."""
    from napari_diffseg.image.axes import resolve_axes
    from napari_diffseg.io.reading import read_class_numbers, read_image

    painted = None if args.scribbles is None else read_class_numbers(args.scribbles)
    # A report shows the whole image: what does not fit is refused now, and not after the run.
    in_parts = (args.region is not None or args.planes) and args.report is None
    how = {"level": args.level, "series": args.series, "axes": args.axes}
    file = read_image(args.image, **how, in_parts=in_parts)
    shape = tuple(file.pixels.shape)
    n_frames = dict(zip((file.axes or "").upper(), shape, strict=False)).get("T", 1)
    if n_frames > 1:
        raise InputError(
            f"{file.path} has {n_frames} frames (T), but 'segment' takes one image; learn from "
            "some of them with 'train', and label them all with 'apply'."
        )
    axes = resolve_axes(shape, file.axes, rgb=file.rgb)
    channels = chosen_channels(args, axes.n_channels, file.channel_names, rgb=axes.rgb)
    if axes.rgb and channels is not None:
        # A picture of which a colour is left out, or taken otherwise, is one of channels.
        file = replace(file, rgb=False)
        axes = resolve_axes(shape, file.axes, rgb=False)
    shown = axes.describe()
    plane = "" if axes.spatial == "ZYX" else f"{file.path} is one plane ({shown})"
    return Subject(
        args,
        file,
        painted,
        axes,
        sizes_of(args, file, plane, f"{shown}: "),
        channels,
        None if painted is None else turned(painted.pixels, axes.axes),
    )
