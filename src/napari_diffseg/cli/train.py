"""The command ``napari-diffseg train``: learn from a few images, and keep the model."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from napari_diffseg.cli.channels import add_channels, chosen_channels
from napari_diffseg.cli.options import (
    add_axes,
    add_command,
    add_fill,
    add_force_and_quiet,
    add_options,
    add_output,
    add_parameters,
    add_reading,
    add_space,
    class_names,
    frame_numbers,
    idle_notes,
    read_options,
    read_parameters,
)
from napari_diffseg.cli.references import NONE, References, read_references
from napari_diffseg.cli.spacing import Space, space_of
from napari_diffseg.cli.terminal import (
    Commands,
    Interrupt,
    drain_training,
    first_interrupt_finishes,
    say,
)
from napari_diffseg.errors import InputError

if TYPE_CHECKING:
    from napari_diffseg.core.model.model import Model
    from napari_diffseg.params import RunOptions, SegmentationParams


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    train = add_command(
        commands,
        "train",
        _train,
        help="learn from a few images or frames, and write a model",
        description="Learn from a few images or frames, and write a model for 'apply'. The first "
        "Ctrl-C ends the training and keeps what there is; the second cancels.",
    )
    train.add_argument(
        "references",
        type=Path,
        nargs="+",
        metavar="REF",
        help="images of one kind, or stacks of frames: TIFF, OME-TIFF, OME-Zarr, PNG or JPEG",
    )
    add_output(
        train,
        "MODEL",
        "file for the model, with the ending .safetensors",
    )
    _add_learned_from(train)
    add_axes(train, "a file", "TYX")
    add_space(
        train,
        "learn from the planes of a volume (Z) one by one; without it volumes are learned from as "
        "a whole, for a model of volumes",
    )
    add_reading(train)
    add_channels(train)
    add_fill(train)
    add_force_and_quiet(train, "overwrite MODEL")
    add_options(train)
    add_parameters(train)


def _add_learned_from(train: argparse.ArgumentParser) -> None:
    train.add_argument(
        "--scribbles",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="what was painted, one TIFF or PNG for each REF in the same order, or - where nothing "
        "is: 0 = unpainted, else the number of a class, the same in all",
    )
    train.add_argument(
        "--frames",
        type=frame_numbers,
        metavar="N,N,…",
        help="which frames of each stack to learn from (of T; with --planes of Z too), counted "
        "from 0 (default: those with scribbles, else the first, the middle and the last)",
    )
    train.add_argument(
        "--names",
        type=class_names,
        default={},
        metavar="N=NAME,…",
        help="names of the classes, such as 1=background,2=nucleus; they go with the model",
    )


def _train(args: argparse.Namespace) -> int:
    params, options = read_parameters(args), read_options(args)
    began = time.monotonic()

    from napari_diffseg.core.model.file import check_model_place

    check_model_place(args.output, force=args.force)
    scribbles = _scribbles(args)
    found = read_references(
        args.references,
        scribbles,
        args.frames,
        args.axes,
        volumes=not args.planes,
        level=args.level,
        series=args.series,
    )
    space = _space(args, found)
    with first_interrupt_finishes() as interrupt:
        model = _learn(args, found, space, params, options, interrupt)
        provenance = {**_names(found, scribbles), **model.facts.provenance}
        model = model.with_facts(
            pixel_size=space.pixel_size, provenance=provenance, class_names=_known(args, model)
        )
        model.save(args.output, force=args.force)
    if not args.quiet:
        from napari_diffseg.image.fill import fill_notes

        for note in dict.fromkeys(
            (*idle_notes(args, params), *found.notes, *fill_notes(model.fill, args.fill))
        ):
            say(note)
        count = len(found.images)
        say(
            f"{len(model.labels)} labels, from {count} image{'' if count == 1 else 's'}, "
            f"{time.monotonic() - began:.1f} s: written to {args.output}"
        )
    return 0


def _learn(
    args: argparse.Namespace,
    found: References,
    space: Space,
    params: SegmentationParams,
    options: RunOptions,
    interrupt: Interrupt,
) -> Model:
    from napari_diffseg.core.learning import train_steps

    steps = train_steps(
        found.images,
        scribbles=found.scribbles,
        axes=found.axes,
        rgb=found.rgb,
        spacing=space.spacing,
        channels=chosen_channels(args, found.n_channels, found.channel_names, rgb=found.rgb),
        fill=args.fill,
        params=params,
        options=options,
    )
    return drain_training(steps, interrupt, n_iterations=params.n_iterations, quiet=args.quiet)


def _space(args: argparse.Namespace, found: References) -> Space:
    """Find out how large the pixels or voxels are; of volumes it is said."""
    if "Z" not in found.axes:
        if args.spacing is not None:
            raise InputError(
                f"--spacing is about volumes, but {found.names[0]} is a plane; leave it away, or "
                "state the axes of volumes (such as --axes ZYX)."
            )
        return Space(None, found.pixel_size, "")
    space = space_of(args.spacing, found.spacing, found.pixel_size)
    if not args.quiet:
        say(space.said)
        if found.apart and args.spacing is None:
            say(
                f"the planes of {', '.join(found.apart)} are not as far apart as those of "
                f"{args.references[0].name}; all are taken to be as there."
            )
    return space


def _scribbles(args: argparse.Namespace) -> list[Path | None]:
    """Return the file of scribbles of each reference."""
    if args.scribbles is None:
        return [None] * len(args.references)
    if len(args.scribbles) != len(args.references):
        raise InputError(
            f"There are {len(args.references)} references, but {len(args.scribbles)} files of "
            f"scribbles; give one for each, and {NONE} where nothing is painted."
        )
    return [None if str(path) == NONE else path for path in args.scribbles]


def _known(args: argparse.Namespace, model: Model) -> dict[int, str]:
    """Return the names of the labels; of a label that never comes out there is none."""
    foreign = sorted(set(args.names) - set(model.labels))
    if foreign:
        raise InputError(
            f"The names are for {', '.join(map(str, foreign))} too, but the labels are "
            f"{', '.join(map(str, model.labels))}; name only these."
        )
    names: dict[int, str] = args.names
    return names


def _names(found: References, scribbles: list[Path | None]) -> dict[str, object]:
    """Say what the model learned from."""
    names: dict[str, object] = {"images": found.names}
    if any(scribbles):
        names["scribbles"] = [path.name for path in scribbles if path is not None]
    return names
