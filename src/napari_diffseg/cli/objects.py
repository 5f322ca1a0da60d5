"""The commands ``objects``, ``measure`` and ``export``: from classes to things and numbers."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_diffseg.cli.options import (
    add_axes,
    add_command,
    add_force_and_quiet,
    add_names,
    add_output,
    add_pixel_size,
    add_space,
    add_specs,
    names_of,
    read_params,
    table_file,
)
from napari_diffseg.cli.spacing import sizes_of
from napari_diffseg.cli.terminal import Commands, progress_bar, tell
from napari_diffseg.errors import OutputError, count_in_words
from napari_diffseg.files import check_place, stem_of
from napari_diffseg.instances.params import ObjectParams

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari_diffseg.batch.objects import MeasureJob
    from napari_diffseg.instances.measuring import Columns
    from napari_diffseg.io.frames import FrameStack
    from napari_diffseg.io.label_files.export import Export

_MOST_LISTED = 32  # more classes are counted, not named
_PARTS = {
    "labels": "the labels",
    "masks": "a mask of 0 and 1 for each class",
    "objects": "objects of the classes, as 'objects' makes them",
    "table": "the objects, and as CSV what 'measure' says of them, with a summary",
}


def add_to(commands: Commands) -> None:
    """Add the commands to the parser."""
    _add_objects(commands)
    _add_measure(commands)
    _add_export(commands)


def _add_objects(commands: Commands) -> None:
    objects = add_command(
        commands,
        "objects",
        _objects,
        help="make objects of the classes of a label image: one number for each",
        description="Make objects of the classes of a label image: pieces are cleaned, cut where "
        "they touch, and numbered. Over time an object keeps its number as far as it overlaps "
        "itself from frame to frame. One frame is in memory at a time.",
    )
    objects.add_argument(
        "labels", type=Path, metavar="LABELS", help="what 'segment' or 'apply' has written"
    )
    add_output(
        objects,
        "OBJECTS",
        "file for the objects: .ome.tif, .tif (both OME-TIFF), .ome.zarr or .png",
    )
    add_axes(objects, "the labels", "TYX or ZYX")
    add_space(objects, "take each plane of a volume by itself")
    add_force_and_quiet(objects, "overwrite OBJECTS")
    add_specs(objects, ObjectParams.specs(), "Objects")


def _add_measure(commands: Commands) -> None:
    measure = add_command(
        commands,
        "measure",
        _measure,
        help="measure objects: area, place, shape and brightness, as CSV",
        description="Measure objects: one row for each object of each frame, with the units in "
        "the names of the columns (µm where the size of a pixel is known, else pixels). One frame "
        "is in memory at a time.",
    )
    measure.add_argument("objects", type=Path, metavar="OBJECTS", help="from 'objects'")
    measure.add_argument(
        "--labels",
        type=Path,
        metavar="LABELS",
        help="what the objects were made from, for their class",
    )
    add_output(measure, "TABLE", "CSV file for the table", table_file)
    measure.add_argument(
        "--summary",
        type=table_file,
        metavar="FILE",
        help="CSV file for count, mean and total area of each class and frame",
    )
    _add_image(measure, "OBJECTS and LABELS")
    add_force_and_quiet(measure, "overwrite TABLE and FILE")


def _add_export(commands: Commands) -> None:
    export = add_command(
        commands,
        "export",
        _export,
        help="write a result to a folder: labels, masks, objects, tables",
        description="Write what was segmented to a folder, for other programs: labels, a mask for "
        "each class, objects, and tables, with size, place and names in every file. Without one of "
        "--labels, --masks, --objects and --table all are written. One frame is in memory at a "
        "time.",
    )
    export.add_argument(
        "result", type=Path, metavar="RESULT", help="what 'segment' or 'apply' has written"
    )
    add_output(export, "FOLDER", "made where missing")
    for part, what in _PARTS.items():
        export.add_argument(f"--{part}", action="store_true", help=f"write {what}")
    export.add_argument(
        "--name",
        metavar="NAME",
        help="begins the name of every file (default: that of the image, or of RESULT "
        "where it does not say of which it was made)",
    )
    export.add_argument("--zarr", action="store_true", help="write OME-Zarr instead of OME-TIFF")
    _add_image(export, "RESULT")
    add_force_and_quiet(export, "overwrite files in FOLDER")
    add_specs(export, ObjectParams.specs(), "Objects")


def _objects(args: argparse.Namespace) -> int:
    from napari_diffseg.batch.objects import ObjectsJob, open_label_frames

    stack = open_label_frames(args.labels, args.axes, planes=args.planes)
    params = _with_classes(args, stack, _counts(stack), {})
    by = "plane by plane" if "Z" in stack.axes else "frame by frame"
    plane = "" if stack.spatial == "ZYX" else f"{args.labels} is taken {by}"
    spacing, size = sizes_of(args, stack, plane)
    job = ObjectsJob(stack, args.output, params, spacing, size, args.force)
    job.check()
    counts: list[int] = []
    frames = progress_bar(args, iterable=job.find(), total=stack.n_frames, unit=" frames")
    job.write(_counted(frames, counts))
    where = f" in {len(counts)} frames" if len(counts) > 1 else ""
    objects = count_in_words(max(counts), "object")
    tell(args, *stack.notes, f"{objects}{where}: written to {args.output}")
    return 0


def _counts(stack: FrameStack) -> dict[int, int]:
    """Go through all frames, and count the pixels of each label."""
    from napari_diffseg.batch.objects import read_planes
    from napari_diffseg.instances.finding import count_in_all

    return count_in_all(read_planes(stack, i) for i in range(stack.n_frames))


def _with_classes(
    args: argparse.Namespace, stack: FrameStack, counts: Mapping[int, int], said: Mapping[int, str]
) -> ObjectParams:
    """Find out of which classes of all frames objects are made; says what is left out.

    The names of classes that are `said` come before those in the file.
    """
    from napari_diffseg.batch.objects import labels_in
    from napari_diffseg.instances.finding import background_of, is_background, with_classes

    params = read_params(ObjectParams, args)
    names = {**(labels_in(stack).said["names"] or {}), **said}
    told, grounds = with_classes(params, counts, names), background_of(counts, names)
    if told != params:
        many = f"{len(counts) - 1} classes (is it an image, and not labels?)"
        is_named = is_background(names.get(grounds[0], ""))
        why = "which is named so" if is_named else "the largest class"
        tell(
            args,
            f"objects are made of {told.classes if len(counts) <= _MOST_LISTED else many}; "
            f"{', '.join(map(str, grounds))}, {why}, is taken for background (--classes takes "
            "others).",
        )
    return told


_WITHOUT_UNIT = {
    "area_px": "sizes are in pixels, for that of a pixel is not known; state it (--pixel-size).",
    "volume_vx": "sizes are in voxels, for that of a pixel or the distance of planes is not known; "
    "state them (--pixel-size Z,Y,X).",
}
"""Column of a table without a unit of length → what to do about it."""


def _measure(args: argparse.Namespace) -> int:
    from napari_diffseg.instances.table import join, summary, write_csv

    _check_places(args)
    for path in (args.output, args.summary):
        if path is not None:
            check_place(path, force=args.force)
    job = _job(args)
    job.check()
    frames = job.measure()
    n_frames = job.objects.n_frames
    table = join(progress_bar(args, iterable=frames, total=n_frames, unit=" frames"))
    write_csv(args.output, table, force=args.force)
    if args.summary is not None:
        rows = summary(table, job.objects.n_frames)
        write_csv(args.summary, rows, force=args.force)
    tell(args, *job.objects.notes, *(job.image.notes if job.image else ()), *_hint(args.objects))
    tell(args, *(said for column, said in _WITHOUT_UNIT.items() if column in table))
    tell(args, f"{count_in_words(table['object'].size, 'row')}: written to {args.output}")
    return 0


def _hint(path: Path) -> tuple[str, ...]:
    """Say so where classes are measured as if they were objects."""
    from napari_diffseg.io.label_files.provenance import read_provenance

    written = read_provenance(path)
    if not written or "objects" in written:
        return ()
    return (
        f"{path.name} holds classes, each of which was measured as one object; make objects of "
        "them first (napari-diffseg objects).",
    )


def _job(args: argparse.Namespace) -> MeasureJob:
    from napari_diffseg.batch.objects import MeasureJob, open_label_frames

    objects = open_label_frames(args.objects, args.axes, planes=args.planes)
    image = labels = None
    names: dict[int, str] = {}
    if args.labels is not None:
        labels = open_label_frames(args.labels, args.axes, planes=args.planes, like=objects)
        names = names_of(args, _counts(labels)) if args.names else {}
    elif args.names:
        tell(args, "classes are known only of the labels (--labels), so no names are written.")
    if args.image is not None:
        image = _open_image(args, objects)
    size = args.pixel_size or objects.pixel_size or (image.pixel_size if image else None)
    return MeasureJob(objects, image, labels, size, args.channel_names, names)


def _open_image(args: argparse.Namespace, like: FrameStack) -> FrameStack:
    """Open the image that labels belong to; one that names no axes has theirs, if they fit."""
    from napari_diffseg.io.frames import open_frames
    from napari_diffseg.io.sources import open_source

    facts = open_source(args.image).facts
    is_alike = facts.axes is None and facts.shape == like.shape
    axes = args.image_axes or (like.axes if is_alike else None)
    return open_frames(args.image, axes, volumes=not args.planes)


def _add_image(command: argparse.ArgumentParser, labels: str) -> None:
    """Add the options of what is measured in, how large a pixel is, and what a frame is."""
    add_axes(command, labels, "TYX or ZYX")
    command.add_argument("--planes", action="store_true", help="take each plane by itself")
    command.add_argument(
        "--image", type=Path, metavar="IMAGE", help="what to measure the brightness in"
    )
    add_pixel_size(command, "what the labels say, or IMAGE")
    command.add_argument(
        "--channel-names",
        type=lambda text: tuple(text.split(",")),
        default=(),
        metavar="A,B,…",
        help="names of IMAGE's channels (default: its own)",
    )
    command.add_argument("--image-axes", metavar="LETTERS", help="axes of IMAGE")
    add_names(command, "classes", " (default: those of the labels)")


def _check_places(args: argparse.Namespace) -> None:
    """Refuse to write a table over what it is made from, or over the other."""
    places = [path for path in (args.output, args.summary) if path is not None]
    sources = [path for path in (args.objects, args.image, args.labels) if path is not None]
    taken = {path.resolve() for path in sources}
    for place in places:
        if place.resolve() in taken:
            raise OutputError(f"{place} is an image or its labels; choose another name.")
    if len({place.resolve() for place in places}) < len(places):
        raise OutputError(f"{args.summary} is the table too; choose another name for one of them.")


def _counted(frames: Iterator[Any], counts: list[int]) -> Iterator[Any]:
    """Pass frames on, and note the highest number of each."""
    for numbers in frames:
        counts.append(int(numbers.max()))
        yield numbers


def _export(args: argparse.Namespace) -> int:
    job = _export_job(args)
    if any(path.resolve() == args.result.resolve() for path in job.standing()):
        raise OutputError(f"{args.result} would be replaced; choose another folder or --name.")
    for path in job.write():
        tell(args, f"written: {path}")
    return 0


def _export_job(args: argparse.Namespace) -> Export:
    from napari_diffseg.batch.objects import (
        MeasureJob,
        ObjectsJob,
        labels_in,
        open_label_frames,
        planes_of_objects,
    )
    from napari_diffseg.instances.table import join
    from napari_diffseg.io.label_files.export import ENDINGS, Export, objects_from

    stack = open_label_frames(args.result, args.axes, planes=args.planes)
    image = _open_image(args, stack) if args.image is not None else None
    size = args.pixel_size or stack.pixel_size or (image.pixel_size if image else None)
    chosen = _chosen_parts(args)
    counts = _counts(stack) if args.names or {"masks", "objects"} & set(chosen) else {}
    names, params = names_of(args, counts), read_params(ObjectParams, args)
    if "objects" in chosen:
        params = _with_classes(args, stack, counts, names)
    labels = labels_in(stack, size, names)
    finder = ObjectsJob(stack, args.output, params, (size or stack).spacing, size)
    job = Export(
        args.output,
        args.name or _image_of(args.result),
        labels,
        chosen,
        objects_from(labels, partial(planes_of_objects, finder), params),
        is_volume=stack.spatial == "ZYX",
        ending=ENDINGS[args.zarr],
        force=args.force,
        classes=[label for label in counts if label > 0],
    )

    def table() -> Columns:
        found = open_label_frames(job.place("objects"), planes=args.planes)
        measuring = MeasureJob(found, image, stack, size, args.channel_names, names)
        measuring.check()
        return join(measuring.measure())

    return replace(job, table=table)


def _image_of(result: Path) -> str:
    """Return the name of the image that labels were made of, as it begins that of every file."""
    from napari_diffseg.io.label_files.export import file_name
    from napari_diffseg.io.label_files.provenance import read_provenance

    said = read_provenance(result) or {}
    images = said.get("images", [said.get("image")])
    if isinstance(images, list) and len(images) == 1 and isinstance(images[0], str):
        return file_name(stem_of(Path(images[0])))
    return stem_of(result)


def _chosen_parts(args: argparse.Namespace) -> list[str]:
    from napari_diffseg.io.label_files.export import PARTS

    chosen = {part for part in PARTS if getattr(args, part)} or set(PARTS)
    if "table" in chosen:
        chosen.add("objects")  # its rows are of numbers that stand there
    return [part for part in PARTS if part in chosen]
