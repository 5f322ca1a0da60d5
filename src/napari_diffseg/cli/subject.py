"""The image that is to be segmented, read as the command line says."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_diffseg.cli.channels import chosen_channels
from napari_diffseg.cli.region import read_region
from napari_diffseg.cli.spacing import Distances, space_of
from napari_diffseg.cli.terminal import say
from napari_diffseg.errors import InputError
from napari_diffseg.image.pixel_size import PixelSize

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_diffseg.image.axes import ImageAxes
    from napari_diffseg.image.channels import Channel
    from napari_diffseg.image.info import Placed
    from napari_diffseg.io.reading import ImageFile


@dataclass(frozen=True, eq=False, slots=True)
class Subject:
    """One image, and how it is to be taken.

    `pixel_size` and `placement` are what the labels get; `channels` None where all are looked at,
    `region` ``(z) y x`` None where labels are wanted everywhere.
    """

    file: ImageFile
    axes: ImageAxes
    spacing: Distances | None
    pixel_size: PixelSize | None
    placement: Mapping[str, Placed]
    channels: tuple[Channel, ...] | None
    region: NDArray[np.bool_] | None

    @property
    def is_volume(self) -> bool:
        """Whether it has several planes."""
        return self.axes.spatial == "ZYX"


def provenance_of(
    subject: Subject, painted: ImageFile | None, args: argparse.Namespace
) -> dict[str, Any]:
    """Return what a person said of the image and is needed to do the run again, for the labels."""
    said: dict[str, Any] = {"image": subject.file.path.name}
    if painted is not None:
        said["scribbles"] = painted.path.name
    said |= {name: getattr(args, name) for name in ("level", "series") if getattr(args, name)}
    if subject.spacing is not None:
        said["spacing"] = list(subject.spacing)
    if subject.channels is not None:
        said["channels"] = [asdict(channel) for channel in subject.channels]
    if args.region is not None:
        said["region"] = args.region.name if isinstance(args.region, Path) else str(args.region)
    return said


def read_subject(args: argparse.Namespace) -> Subject:
    """Read the image of a command; says on stderr how far its planes are taken to be apart."""
    from napari_diffseg.image.axes import resolve_axes
    from napari_diffseg.io.reading import read_image

    file = read_image(args.image, level=args.level, series=args.series, axes=args.axes)
    shape = tuple(file.pixels.shape)
    _check_one_frame(file, shape)
    axes = resolve_axes(shape, file.axes, rgb=file.rgb)
    spacing, size = None, file.pixel_size and file.pixel_size.plane
    if axes.spatial == "ZYX":
        space = space_of(args.spacing, file.spacing, file.pixel_size)
        spacing, size = space.spacing, space.pixel_size
        if not args.quiet:
            say(f"{axes.describe()}: {space.said}")
    elif args.spacing is not None:
        way_out = ", or state the axes of a volume (such as --axes ZYX)" if len(shape) > 2 else ""
        raise InputError(
            f"--spacing is about volumes, but {file.path} is one plane ({axes.describe()}); leave "
            f"it away{way_out}."
        )
    return Subject(
        file=file,
        axes=axes,
        spacing=spacing,
        pixel_size=size,
        # Without a unit the file's own distances would contradict those that are stated.
        placement={} if args.spacing is not None and size is None else file.placement,
        channels=chosen_channels(args, axes.n_channels, file.channel_names, rgb=axes.rgb),
        region=args.region and read_region(args.region, axes.spatial_shape, axes.axes),
    )


def _check_one_frame(file: ImageFile, shape: tuple[int, ...]) -> None:
    lengths = dict(zip((file.axes or "").upper(), shape, strict=False))
    n_frames = lengths.get("T", 1)
    if n_frames > 1:
        raise InputError(
            f"{file.path} has {n_frames} frames (T), but 'segment' takes one image; learn from "
            "some of them with 'train', and label them all with 'apply'."
        )
