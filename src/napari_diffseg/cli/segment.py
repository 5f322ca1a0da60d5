"""The command ``napari-diffseg segment``: one image, without any training data."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_diffseg.cli.options import (
    add_axes,
    add_force_and_quiet,
    add_options,
    add_parameters,
    read_options,
    read_parameters,
)
from napari_diffseg.cli.references import turned
from napari_diffseg.cli.terminal import (
    Commands,
    Interrupt,
    drain_training,
    first_interrupt_finishes,
    say,
)
from napari_diffseg.errors import OutputError

if TYPE_CHECKING:
    from napari_diffseg.core.result import Segmentation
    from napari_diffseg.io.reading import ImageFile
    from napari_diffseg.params import RunOptions, SegmentationParams


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    segment = commands.add_parser(
        "segment",
        help="segment one image",
        description="Segment one image. The first Ctrl-C ends the training and keeps what "
        "there is; the second cancels, and nothing is written.",
        allow_abbrev=False,
    )
    segment.add_argument("image", type=Path, metavar="IN", help="TIFF, OME-TIFF, PNG or JPEG file")
    segment.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help="file for the labels: .ome.tif, .tif (both OME-TIFF) or .png",
    )
    add_axes(segment, "the image", "YXC")
    segment.add_argument(
        "--scribbles",
        type=Path,
        metavar="FILE",
        help="TIFF or PNG of the image's height and width with what was painted: 0 where nothing "
        "is, else the number of a class, which comes out as the label of that number",
    )
    add_force_and_quiet(segment, "overwrite OUT")
    add_options(segment)
    add_parameters(segment)
    segment.set_defaults(command=_segment)


def _segment(args: argparse.Namespace) -> int:
    params = read_parameters(args)
    options = read_options(args)

    from napari_diffseg.io.reading import read_class_numbers, read_image
    from napari_diffseg.io.writing import check_output, write_labels

    _check_paths(args.image, args.scribbles, args.output)
    check_output(args.output, force=args.force)
    painted = None if args.scribbles is None else read_class_numbers(args.scribbles)
    image = read_image(args.image)
    names = {"image": image.path.name}
    if painted is not None:
        names["scribbles"] = painted.path.name
    with first_interrupt_finishes() as interrupt:
        result = _train(image, painted, args, params, options, interrupt)
        size = image.pixel_size
        # Files lie with y before x; where --axes says otherwise the labels lie turned.
        if size is not None and result.axes.axes.index("X") < result.axes.axes.index("Y"):
            size = replace(size, y=size.x, x=size.y)
        write_labels(
            args.output,
            result.labels,
            pixel_size=size,
            provenance={**names, **result.provenance()},
            force=args.force,
        )
    if not args.quiet:
        for note in (*image.notes, *(painted.notes if painted else ()), *result.notes):
            say(note)
        say(
            f"{result.n_labels} labels{_facts(result)}, {result.seconds:.1f} s: "
            f"written to {args.output}"
        )
    return 0


def _facts(result: Segmentation) -> str:
    """Return in words how a result came about."""
    facts = ""
    if result.scribbles is not None:
        facts += f", {len(result.painted_classes)} of them painted"
    if result.classes is None:  # else the rounds of the correction came after the iterations
        facts += f", {len(result.history)} of {result.params.n_iterations} iterations"
        facts += f" ({result.stop_reason.value})"
    return facts


def _check_paths(image: Path, scribbles: Path | None, output: Path) -> None:
    """Refuse to put the labels in a source's place; with ``--force`` it would be lost."""
    for source, what in ((image, "image itself"), (scribbles, "file of scribbles itself")):
        if source and source.exists() and output.exists() and source.samefile(output):
            raise OutputError(f"{output} is the {what}; choose another name for the labels.")


def _train(
    image: ImageFile,
    painted: ImageFile | None,
    args: argparse.Namespace,
    params: SegmentationParams,
    options: RunOptions,
    interrupt: Interrupt,
) -> Segmentation:
    from napari_diffseg.core.segmentation import segment_steps

    # Whether channels are colours is known of the file's own axes only.
    axes, rgb = (image.axes, image.rgb) if args.axes is None else (args.axes, None)
    steps = segment_steps(
        image.pixels,
        scribbles=None if painted is None else turned(painted.pixels, axes),
        axes=axes,
        rgb=rgb,
        params=params,
        options=options,
    )
    return drain_training(steps, interrupt, n_iterations=params.n_iterations, quiet=args.quiet)
