"""The command ``napari-diffseg segment``: one image, without any training data."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_diffseg.cli.channels import add_channels
from napari_diffseg.cli.options import (
    add_axes,
    add_command,
    add_fill,
    add_force_and_quiet,
    add_names,
    add_options,
    add_output,
    add_parameters,
    add_pixel_size,
    add_reading,
    add_region,
    add_space,
    class_colors,
    idle_notes,
    read_options,
    read_parameters,
)
from napari_diffseg.cli.plane_by_plane import segment_planes
from napari_diffseg.cli.subject import Subject, read_subject
from napari_diffseg.cli.terminal import Commands, drain_training, first_interrupt_finishes, tell
from napari_diffseg.errors import InputError, OutputError, count_in_words
from napari_diffseg.files import check_place
from napari_diffseg.image.space import TAKEN_FOR_CUBES

if TYPE_CHECKING:
    from napari_diffseg.core.result import Segmentation
    from napari_diffseg.params import RunOptions, SegmentationParams


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    segment = add_command(
        commands,
        "segment",
        _segment,
        help="segment one image or volume",
        description="Segment one image, or one volume. The first Ctrl-C ends the training and "
        "keeps what there is; the second cancels, and nothing is written.",
    )
    segment.add_argument(
        "image", type=Path, metavar="IN", help="TIFF, OME-TIFF, OME-Zarr, PNG or JPEG"
    )
    add_output(
        segment,
        "OUT",
        "file for the labels: .ome.tif, .tif (both OME-TIFF), .ome.zarr or .png",
    )
    add_axes(segment, "the image", "YXC or ZYX")
    add_space(
        segment,
        "segment a volume (Z) plane by plane: a network learns from its first, middle and last "
        "plane, or from those with scribbles, and labels all of them",
    )
    add_reading(segment)
    add_channels(segment)
    add_region(segment)
    add_fill(segment)
    segment.add_argument(
        "--scribbles",
        type=Path,
        metavar="FILE",
        help="TIFF, OME-Zarr or PNG of the image's height and width (and planes) with what was "
        "painted: 0 where nothing is, else the number of a class, which comes out as the label of "
        "that number",
    )
    _add_classes(segment)
    _add_report(segment)
    add_force_and_quiet(segment, "overwrite OUT and the report")
    add_options(segment)
    add_parameters(segment)


def _add_classes(segment: argparse.ArgumentParser) -> None:
    """Add what is written of the labels beside themselves."""
    add_pixel_size(segment, "what the file says")
    add_names(segment, "labels", "; they are written to OUT")
    segment.add_argument(
        "--colors",
        type=class_colors,
        metavar="K=#RRGGBB,…",
        help="colours of the labels, such as 1=#2f6fb3; they are written to OUT",
    )


def _add_report(segment: argparse.ArgumentParser) -> None:
    """Add ``--report``, a page that shows the run."""
    segment.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="also write one HTML file for any browser: pictures, areas, parameters and this "
        "command (not with --planes)",
    )


def _segment(args: argparse.Namespace) -> int:
    params, options = read_parameters(args), read_options(args)

    from napari_diffseg.io.label_files.writing import check_holds_volume

    _check_paths(args)
    _check_report(args)
    subject = read_subject(args)
    if subject.is_volume:
        check_holds_volume(args.output, subject.axes.spatial_shape[0])

    from napari_diffseg.core.segmentation import segment_steps  # loads torch: not to refuse

    _check_memory(args, subject, params, options)
    if subject.by_plane:
        segment_planes(subject, params, options)
        return 0
    steps = segment_steps(
        subject.file.pixels,
        scribbles=subject.strokes,
        axes=subject.file.axes,
        rgb=subject.file.rgb,
        spacing=subject.sizes.spacing,
        channels=subject.channels,
        region=subject.region,
        fill=args.fill,
        params=params,
        options=options,
    )
    with first_interrupt_finishes() as interrupt:
        result = drain_training(steps, interrupt, args, params.n_iterations)
        subject.write(result.labels, result.provenance())
        _report(args, subject, result)
    found = f"{_in_words(result)}, {result.seconds:.1f} s"
    # Before the run it was said how far the planes are taken to be apart.
    found_out = [note for note in result.notes if note != TAKEN_FOR_CUBES]
    notes = (*idle_notes(args, params), *subject.notes, *found_out)
    report = "" if args.report is None else f", the report to {args.report}"
    tell(args, *notes, f"{found}: written to {args.output}{report}")
    return 0


def _report(args: argparse.Namespace, subject: Subject, result: Segmentation) -> None:
    """Write the page of a run, if one is wanted, with the command as it was typed."""
    if args.report is None:
        return
    from napari_diffseg.image.axes import channels_first
    from napari_diffseg.io.report import write_report

    write_report(
        args.report,
        result.labels,
        channels_first(subject.file.pixels, subject.axes),
        title=subject.file.path.name,
        provenance=result.provenance(),
        rgb=subject.axes.rgb,
        class_names=args.names,
        notes=(*subject.file.notes, *result.notes),
        recipe=args.line,
        force=args.force,
    )


def _in_words(result: Segmentation) -> str:
    """Return how many labels a result has, and how it came about."""
    facts = count_in_words(result.n_labels, "label")
    if result.scribbles is not None:
        facts += f", {len(result.painted_classes)} of them painted"
    # With strokes the rounds of the correction came after the iterations.
    if result.classes is None and result.params.n_iterations > 1:
        facts += f", {len(result.history)} of {result.params.n_iterations} iterations"
        facts += f" ({result.stop_reason.value})"
    if result.classes is None and result.params.n_labels == 0 and result.model.head is not None:
        facts += ", as many as are clearly unlike"
    return facts


def _check_memory(
    args: argparse.Namespace, subject: Subject, params: SegmentationParams, options: RunOptions
) -> None:
    """Refuse, before the run, an image for which there is not enough memory."""
    from napari_diffseg.core.device import choose_device
    from napari_diffseg.image.axes import is_in_memory
    from napari_diffseg.image.pieces import estimate_memory
    from napari_diffseg.memory import check_memory

    axes, by_plane = subject.axes, subject.by_plane
    ways_out = [f"name a {'smaller ' if args.region else ''}part of it (--region)"]
    if subject.file.n_levels > args.level + 1:
        ways_out.insert(0, f"take a coarser resolution (--level {args.level + 1})")
    if subject.is_volume and not by_plane:
        ways_out.insert(0, "take it plane by plane (--planes)")
    needed = estimate_memory(
        axes.of_plane() if by_plane else axes,
        subject.file.dtype,
        params,
        n_channels=len(subject.channels or ()),
        is_held=is_in_memory(subject.file.pixels) and not by_plane,
        around=subject.around,
        device=choose_device(options.device).type,
    )
    if by_plane:
        needed += subject.planes_memory
    check_memory(needed, f"To segment {args.image}", ", ".join(ways_out))


def _check_paths(args: argparse.Namespace) -> None:
    """Find out whether the labels can be written; never in a source's place (``--force``)."""
    from napari_diffseg.io.label_files.writing import check_output

    region = args.region if isinstance(args.region, Path) else None
    sources = {"image": args.image, "file of scribbles": args.scribbles, "region": region}
    for what, source in sources.items():
        if source is None or not source.exists() or not args.output.exists():
            continue
        if source.samefile(args.output):
            raise OutputError(
                f"{args.output} is the {what} itself; choose another name for the labels."
            )
        if args.output.is_dir() and args.output.resolve() in source.resolve().parents:
            raise OutputError(
                f"{args.output} holds the {what} itself; choose another name for the labels."
            )
    check_output(args.output, force=args.force)


def _check_report(args: argparse.Namespace) -> None:
    """Find out beforehand whether the page can be written where it is wanted."""
    if args.report is None:
        return
    if args.planes:
        raise InputError("--report shows one result, but --planes makes many; leave one of them.")
    sources = [args.image, args.output, args.scribbles, args.region]
    others = {one.resolve() for one in sources if isinstance(one, Path)}
    report = args.report.resolve()
    if others & {report, *report.parents}:
        raise OutputError(
            f"{args.report} is another file of this run; choose another name for the report."
        )
    check_place(args.report, force=args.force)
