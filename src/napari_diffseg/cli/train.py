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
    add_names,
    add_options,
    add_output,
    add_parameters,
    add_reading,
    add_space,
    frame_numbers,
    idle_notes,
    names_of,
    read_options,
    read_parameters,
)
from napari_diffseg.cli.references import NONE, References, read_references
from napari_diffseg.cli.spacing import Sizes, sizes_of
from napari_diffseg.cli.terminal import Commands, drain_training, first_interrupt_finishes, tell
from napari_diffseg.errors import InputError, count_in_words

if TYPE_CHECKING:
    from napari_diffseg.image.channels import Channel


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
    add_names(train, "classes", "; they go with the model")


def _train(args: argparse.Namespace) -> int:
    params, options = read_parameters(args), read_options(args)
    began = time.monotonic()

    from napari_diffseg.image.fill import fill_notes
    from napari_diffseg.model_file import check_model_place

    check_model_place(args.output, force=args.force)
    scribbles = _scribbles(args)
    found = read_references(args, scribbles)
    first, kind = found.first, found.kind
    sizes = _sizes(args, found)

    from napari_diffseg.core.learning import train_steps  # loads torch: after what may be refused

    steps = train_steps(
        found.images,
        scribbles=found.scribbles,
        axes=first.frame_axes,
        rgb=kind.rgb,
        spacing=sizes.spacing,
        channels=_channels(args, found),
        fill=args.fill,
        params=params,
        options=options,
    )
    with first_interrupt_finishes() as interrupt:
        model = drain_training(steps, interrupt, args, params.n_iterations)
        provenance = {**_names(found, scribbles), **model.facts.provenance}
        names = names_of(args, model.labels)
        model = model.with_facts(
            pixel_size=sizes.pixel_size, provenance=provenance, class_names=names
        )
        model.save(args.output, force=args.force)
    notes = (*idle_notes(args, params), *found.notes, *fill_notes(model.fill, args.fill))
    tell(args, *dict.fromkeys(notes))
    learned, seconds = count_in_words(len(model.labels), "label"), time.monotonic() - began
    images = count_in_words(len(found.images), "image")
    tell(args, f"{learned}, from {images}, {seconds:.1f} s: written to {args.output}")
    return 0


def _channels(args: argparse.Namespace, found: References) -> tuple[Channel, ...] | None:
    rgb = found.kind.rgb
    channels = chosen_channels(args, found.kind.n_channels, found.first.channel_names, rgb=rgb)
    if rgb and channels is not None:
        raise InputError(
            "Red, green and blue are one picture, of which a model takes all as they are; leave "
            "away what is said of channels, or use 'segment', which can leave out colours."
        )
    return channels


def _sizes(args: argparse.Namespace, found: References) -> Sizes:
    """Find out how large the pixels or voxels are; of volumes it is said."""
    if found.first.spatial == "YX":
        _, size = sizes_of(args, found.first, f"{found.names[0]} is a plane")
        return Sizes(None, size and size.plane)
    sizes = sizes_of(args, found.first, "")
    if found.apart and args.spacing is None:
        apart, first = ", ".join(found.apart), args.references[0].name
        tell(
            args,
            f"the planes of {apart} are not as far apart as those of {first}; all are taken to be "
            "as there.",
        )
    return sizes


def _scribbles(args: argparse.Namespace) -> list[Path | None]:
    """Return the file of scribbles of each reference; patterns become the files that they name."""
    from napari_diffseg.io.inputs import named_by

    args.references = [one for path in args.references for one in named_by(path)]
    if args.scribbles is None:
        return [None] * len(args.references)
    args.scribbles = [one for path in args.scribbles for one in named_by(path)]
    if len(args.scribbles) != len(args.references):
        raise InputError(
            f"The command names {count_in_words(len(args.references), 'reference')}, but "
            f"{count_in_words(len(args.scribbles), 'file')} of scribbles; "
            f"give one for each, and {NONE} where nothing is painted."
        )
    return [None if str(path) == NONE else path for path in args.scribbles]


def _names(found: References, scribbles: list[Path | None]) -> dict[str, object]:
    """Say what the model learned from."""
    names: dict[str, object] = {"images": found.names}
    if any(scribbles):
        names["scribbles"] = [path.name for path in scribbles if path is not None]
    return names
