"""The command ``napari-diffseg apply``: a trained model on many frames or files."""

from __future__ import annotations

import argparse
from collections.abc import Generator, Iterator
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_diffseg.cli.channels import add_channel_choice, channels_named
from napari_diffseg.cli.options import (
    add_axes,
    add_command,
    add_force_and_quiet,
    add_options,
    add_output,
    add_reading,
    add_specs,
    frame_slice,
    read_options,
    read_params,
    table_file,
)
from napari_diffseg.cli.terminal import (
    Commands,
    exit_code,
    in_shell,
    interrupt_leaves,
    progress_bar,
    say,
    tell,
)
from napari_diffseg.errors import DiffSegError, InputError, count_in_words
from napari_diffseg.params import ApplyParams

if TYPE_CHECKING:
    from napari_diffseg.batch.facts import Progress
    from napari_diffseg.batch.run import StackReport
    from napari_diffseg.core.model.model import Model
    from napari_diffseg.io.frames import FrameStack

SOME_FAILED = 3
"""Exit code where the output is whole, but some frames could not be segmented."""

_MOST_NAMED = 20
_STOPPED = "stopped; the frames that are done are kept: run again with --resume."

_OWN_INTENSITIES = "let each frame have its own intensities (--intensities frame)"


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    apply = add_command(
        commands,
        "apply",
        _apply,
        help="segment many frames or files with a model",
        description="Segment many frames or files with a model of 'train' or of the window: "
        "planes, or volumes where it was trained on these. Stopped "
        "or killed at any moment, the run is finished by the same command with --resume.",
    )
    apply.add_argument("model", type=Path, metavar="MODEL", help="file of a model")
    apply.add_argument(
        "inputs",
        type=Path,
        nargs="+",
        metavar="IN",
        help="TIFF, OME-TIFF, OME-Zarr, PNG or JPEG, or folders of these",
    )
    _add_output(apply)
    _add_machine(apply)
    add_options(apply)
    add_specs(apply, ApplyParams.specs(), "Model")


def _add_output(apply: argparse.ArgumentParser) -> None:
    add_output(
        apply,
        "OUT",
        ".ome.zarr, .ome.tif or .png: one result, several IN are then the frames of one "
        "series; any other name: a folder, in which each IN has a file of its own name",
    )
    apply.add_argument(
        "--frames",
        type=frame_slice,
        metavar="START:STOP:STEP",
        help="which frames, counted from 0 along time (or along depth, where there is no time and "
        "the model is of planes), such as 0:5000:10 (default: all)",
    )
    add_axes(apply, "an input", "TYX or TZYX")
    add_reading(apply)
    add_channel_choice(
        apply,
        "which channels of IN the model looks at, one for each that it knows: numbers from 1 on in "
        "the first file, or names that the files have (default: those of the same name, else in "
        "the same place)",
    )
    apply.add_argument(
        "--table",
        type=table_file,
        metavar="FILE",
        help="CSV file for the area (the volume) of each label in each frame",
    )
    apply.add_argument(
        "--resume", action="store_true", help="finish an earlier run that was cut short"
    )
    add_force_and_quiet(apply, "overwrite OUT; begin anew where an earlier run was cut short")


def _add_machine(apply: argparse.ArgumentParser) -> None:
    apply.add_argument(
        "--scheduler",
        default="threads",
        metavar="threads|processes|ADDRESS",
        help="where the frames are done: on threads, in processes of this machine, or by the dask "
        "workers of a scheduler such as tcp://host:8786 (default: %(default)s)",
    )
    apply.add_argument(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help="how many threads or processes; 0 takes one for each processor, or one for a GPU "
        "(default: %(default)s)",
    )


def _apply(args: argparse.Namespace) -> int:
    params, options = read_params(ApplyParams, args), read_options(args)

    from napari_diffseg.io.inputs import check_there
    from napari_diffseg.model_file import read_model

    data = read_model(args.model)
    check_there(args.inputs)

    from napari_diffseg.batch.run import apply_stack  # from here on torch is loaded
    from napari_diffseg.batch.schedulers import is_address
    from napari_diffseg.core.model.model import Model

    model = Model.from_bytes(data, str(args.model))
    if is_address(args.scheduler):
        tell(args, f"frames go to the workers of {args.scheduler}; until there are some, it waits.")
    progress = apply_stack(
        model if args.channels is None else _looking_at(model, args),
        args.inputs,
        args.output,
        frames=args.frames,
        params=params,
        options=options,
        scheduler=args.scheduler,
        workers=args.workers,
        resume=args.resume,
        force=args.force,
        axes=args.axes,
        level=args.level,
        series=args.series,
        table=args.table,
    )
    report = _drain(progress, args)
    if isinstance(report, int):
        say(_STOPPED)
        return report
    _tell_failures(report)
    return SOME_FAILED if report.failed else 0


def _looking_at(model: Model, args: argparse.Namespace) -> Model:
    """Return the model that looks at other channels, as the first file has them."""
    from napari_diffseg.image.axes import resolve_axes

    stack = _first_stack(args)
    n_channels = resolve_axes(stack.frame_shape, stack.frame_axes, rgb=False).n_channels
    if model.facts.rgb or len(args.channels) != len(model.channels):
        wanted = "colours" if model.facts.rgb else count_in_words(len(model.channels), "channel")
        raise InputError(
            f"--channels names {','.join(args.channels)}, but the model looks at {wanted}; "
            + ("leave it away." if model.facts.rgb else "name one for each.")
        )
    found = channels_named(args.channels, n_channels, stack.channel_names)
    channels = tuple(
        replace(known, index=one.index, name=one.name)
        for known, one in zip(model.channels, found, strict=True)
    )
    return replace(model, channels=channels, n_source_channels=n_channels)


def _first_stack(args: argparse.Namespace) -> FrameStack:
    """Return the frames of the first file that can be read; of those before it the run tells."""
    from napari_diffseg.batch.planning import sources_of
    from napari_diffseg.io.frames import open_frames

    how = {"level": args.level, "series": args.series}
    files = [source.file for source in sources_of(args.inputs)]
    for file in files:
        with suppress(DiffSegError):
            return open_frames(file, args.axes, **how)
    return open_frames(files[0], args.axes, **how)


def _drain(
    steps: Generator[Progress, None, StackReport], args: argparse.Namespace
) -> StackReport | int:
    """Drain a run into a progress bar; the exit code if it was stopped once it had begun."""
    step: Progress | None = None
    # A worker hears of it after its frame, which may take seconds; one without this program ends.
    leaves = interrupt_leaves(_STOPPED, lambda: step is not None)
    with (
        leaves if args.is_program else nullcontext(),
        progress_bar(args, unit=" frames") as bar,
    ):
        try:
            while True:
                last, step = step, next(steps)
                if last is None:
                    bar.unit = _units(step)
                    bar.initial = bar.n = step.earlier
                    bar.reset(total=step.units)
                    bar.update(step.earlier)
                bar.update(step.units_done - bar.n)
        except StopIteration as end:
            report: StackReport = end.value
        except KeyboardInterrupt as stop:
            if step is None:
                raise
            return exit_code(stop)
        finally:
            steps.close()
    tell(args, *_facts(report, step))
    return report


def _facts(report: StackReport, step: Progress | None) -> Iterator[str]:
    """Yield what a person should know of a run, and in the end what it came to."""
    from napari_diffseg.batch.facts import brightness_notes

    yield from report.notes
    yield from brightness_notes(report.unlike, _OWN_INTENSITIES)
    if step is None:
        return
    done = count_in_words(report.done, "frame")
    units = _units(step)
    if step.earlier:
        # Of frames the sentence has just spoken.
        done += (
            f", {step.earlier}{'' if step.units == step.total else units} of them by an earlier run"
        )
    shown = f"{step.rate:.1f}" if step.rate >= 1 else f"{step.rate:.2g}"
    yield f"{done}, {step.seconds:.1f} s, {shown}{units} a second: written to {report.output}"


def _units(step: Progress) -> str:
    """Return what is counted, with a space before it."""
    return " frames" if step.units == step.total else " windows"


def _tell_failures(report: StackReport) -> None:
    for name, error in report.errors[:_MOST_NAMED]:
        say(f"error: {name} was not segmented: {in_shell(error)}")
    more = len(report.failed) - _MOST_NAMED
    if more > 0:
        say(f"error: {more} more were not segmented.")
