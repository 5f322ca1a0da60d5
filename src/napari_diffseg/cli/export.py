"""The command ``napari-diffseg export``: a result to a folder, for other programs."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari_diffseg.cli.objects import add_image, open_image
from napari_diffseg.cli.options import (
    add_axes,
    add_force_and_quiet,
    add_object_parameters,
    read_object_parameters,
)
from napari_diffseg.cli.terminal import Commands, say
from napari_diffseg.errors import OutputError

if TYPE_CHECKING:
    from napari_diffseg.batch.export import Export
    from napari_diffseg.instances.measuring import Columns

_PARTS = {
    "labels": "the labels",
    "masks": "a mask of 0 and 1 for each class",
    "objects": "objects of the classes, as 'objects' makes them",
    "table": "the objects, and as CSV what 'measure' says of them, with a summary",
}


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    export = commands.add_parser(
        "export",
        help="write a result to a folder: labels, masks, objects, tables",
        description="Write what was segmented to a folder, for other programs: labels, a mask for "
        "each class, objects, and tables, with size, place and names in every file. Without one of "
        "--labels, --masks, --objects and --table all are written. One frame is in memory at a "
        "time.",
        allow_abbrev=False,
    )
    export.add_argument(
        "result", type=Path, metavar="RESULT", help="what 'segment' or 'apply' has written"
    )
    export.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="made where missing"
    )
    for part, what in _PARTS.items():
        export.add_argument(f"--{part}", action="store_true", help=f"write {what}")
    export.add_argument(
        "--name", metavar="NAME", help="begins the name of every file (default: that of RESULT)"
    )
    export.add_argument("--zarr", action="store_true", help="write OME-Zarr instead of OME-TIFF")
    add_image(export)
    add_axes(export, "RESULT", "TYX or ZYX")
    export.add_argument("--planes", action="store_true", help="take each plane by itself")
    add_force_and_quiet(export, "overwrite files in FOLDER")
    add_object_parameters(export)
    export.set_defaults(command=_export)


def _export(args: argparse.Namespace) -> int:
    job = _job(args)
    if any(path.resolve() == args.result.resolve() for path in job.standing()):
        raise OutputError(f"{args.result} would be replaced; choose another folder or --name.")
    for path in job.write():
        if not args.quiet:
            say(f"written: {path}")
    return 0


def _job(args: argparse.Namespace) -> Export:
    from napari_diffseg.batch.export import ENDINGS, PARTS, Export, objects_from
    from napari_diffseg.batch.objects import (
        MeasureJob,
        ObjectsJob,
        labels_in,
        open_label_frames,
        planes_of_objects,
    )
    from napari_diffseg.instances.table import join

    params = read_object_parameters(args)
    stack = open_label_frames(args.result, args.axes, planes=args.planes)
    image = open_image(args, stack) if args.image is not None else None
    size = args.pixel_size or stack.pixel_size or (image.pixel_size if image else None)
    chosen = {part for part in PARTS if getattr(args, part)} or set(PARTS)
    if "table" in chosen:
        chosen.add("objects")  # its rows are of numbers that stand there
    labels = labels_in(stack, size)
    names = {**(labels.said.get("names") or {}), **args.names}
    labels = replace(labels, said={**labels.said, "names": names})
    finder = ObjectsJob(stack, args.output, params, None if size is None else size.spacing, size)
    job = Export(
        args.output,
        args.name or _stem(args.result),
        labels,
        [part for part in PARTS if part in chosen],
        objects_from(labels, partial(planes_of_objects, finder), params),
        is_volume=stack.spatial == "ZYX",
        ending=ENDINGS[args.zarr],
        force=args.force,
    )
    channels = tuple(args.channel_names.split(",")) if args.channel_names else ()

    def table() -> Columns:
        found = open_label_frames(job.place("objects"), planes=args.planes)
        measuring = MeasureJob(found, image, stack, size, channels, names)
        measuring.check()
        return join(measuring.measure())

    return replace(job, table=table)


def _stem(path: Path) -> str:
    name = path.name
    for ending in (".ome.tif", ".ome.tiff", ".ome.zarr"):
        name = name[: -len(ending)] if name.lower().endswith(ending) else name
    return Path(name).stem if name == path.name else name
