"""Options of the command line made from the parameters: nothing of them is typed twice."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari_diffseg.cli.region import stated_region
from napari_diffseg.cli.spacing import stated_pixel_size, stated_spacing
from napari_diffseg.cli.terminal import Commands, tell
from napari_diffseg.errors import InputError
from napari_diffseg.parameters import ParameterSpec, Scalar, SelfDescribing
from napari_diffseg.params import PRESETS, RunOptions, SegmentationParams

if TYPE_CHECKING:
    from napari_diffseg.image.fill import Fill

OPTIONS_SHOWN = ("device", "threads")
"""The fields of `RunOptions` that mean something without a window."""

_SPREADSHEETS = (".xlsx", ".xls", ".ods")
_MOST_TOLD = 12  # labels of a result

Params = TypeVar("Params", bound=SelfDescribing)


def add_command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int], **words: Any
) -> argparse.ArgumentParser:
    """Add a command, with its help and its description in words."""
    command: argparse.ArgumentParser = commands.add_parser(name, allow_abbrev=False, **words)
    command.set_defaults(command=run, refuse=command.error)
    return command


def add_output(
    parser: argparse.ArgumentParser, metavar: str, words: str, kind: Callable[[str], Path] = Path
) -> None:
    """Add ``-o``, where the result goes."""
    parser.add_argument("-o", "--output", type=kind, required=True, metavar=metavar, help=words)


def table_file(text: str) -> Path:
    """Read the name of a file for a table, which is CSV whatever it is called."""
    path = Path(text)
    if path.suffix.lower() in _SPREADSHEETS:
        raise argparse.ArgumentTypeError(
            f"tables are written as CSV, but {text!r} is the name of a spreadsheet; name it "
            f"{path.with_suffix('.csv')}"
        )
    return path


def add_axes(parser: argparse.ArgumentParser, what: str, example: str) -> None:
    """Add ``--axes``, which states those of the files."""
    parser.add_argument(
        "--axes",
        metavar="LETTERS",
        help=f"one letter of T C Z Y X for each axis of {what}, such as {example} "
        "(default: what the file says, else a guess)",
    )


def add_space(parser: argparse.ArgumentParser, planes: str) -> None:
    """Add what is to be known of volumes: ``--planes``, with what it does, and ``--spacing``."""
    parser.add_argument("--planes", action="store_true", help=planes)
    parser.add_argument(
        "--spacing",
        type=stated_spacing,
        metavar="Z,Y,X",
        help="distances of neighbouring voxels along z, y and x in any one unit, such as 2,0.5,0.5 "
        "or 2,0.5,0.5um (default: what the file says)",
    )


def add_pixel_size(parser: argparse.ArgumentParser, unsaid: str) -> None:
    """Add ``--pixel-size``, which goes before what the file says."""
    parser.add_argument(
        "--pixel-size",
        type=stated_pixel_size,
        metavar="[Z,]Y,X",
        help=f"size of a pixel with its unit, such as 0.3um or 2,0.3,0.3um (default: {unsaid})",
    )


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add ``--level`` and ``--series``, which choose what of the files is read."""
    parser.add_argument(
        "--level",
        type=int,
        default=0,
        metavar="N",
        help="which resolution of a pyramid is read; 0 is the full one (default: %(default)s)",
    )
    parser.add_argument(
        "--series",
        type=int,
        default=0,
        metavar="N",
        help="which image of a file that holds several; 0 is the first, and a note lists the "
        "others (default: %(default)s)",
    )


def add_region(parser: argparse.ArgumentParser) -> None:
    """Add ``--region``, outside of which nothing is segmented."""
    parser.add_argument(
        "--region",
        type=stated_region,
        metavar="Y0:Y1,X0:X1|FILE",
        help="segment only a part, counted from 0, such as 0:512,100:612 (with Z0:Z1, before it "
        "for planes too), or where an image of the same height and width is not 0; the rest gets "
        "label 0",
    )


def add_fill(parser: argparse.ArgumentParser) -> None:
    """Add ``--fill``, the value of pixels that are no image."""
    parser.add_argument(
        "--fill",
        type=_stated_fill,
        default="auto",
        metavar="VALUE|none|auto",
        help="value of the empty pixels that stitching, rotating or padding put around the image, "
        "such as 0 or -9999: they get label 0, and nothing is learned from them; with auto it is "
        "found, with none every pixel is image (default: %(default)s)",
    )


def _stated_fill(text: str) -> Fill:
    from napari_diffseg.image.fill import read_fill

    try:
        return read_fill(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_force_and_quiet(parser: argparse.ArgumentParser, force: str) -> None:
    """Add ``--force``, with what it does in words, and ``--quiet``."""
    parser.add_argument("--force", action="store_true", help=force)
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the machine."""
    specs = [spec for spec in RunOptions.specs() if spec.name in OPTIONS_SHOWN]
    add_specs(parser, specs, "Machine")


def add_parameters(parser: argparse.ArgumentParser) -> None:
    """Add ``--preset`` and one option for each parameter, under the parameters' headings."""
    parser.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        default="default",
        help="settings to start from; 'paper' has the published ones and is slow "
        "(default: %(default)s)",
    )
    add_specs(parser, SegmentationParams.specs(), paper=SegmentationParams.paper().to_dict())


def frame_slice(text: str) -> slice:
    """Read ``"7"``, ``"0:100"`` or ``"0:5000:10"``."""
    unreadable = argparse.ArgumentTypeError(
        f"{text!r} is no range of frames; write START:STOP or START:STOP:STEP, such as 0:5000:10"
    )
    try:
        numbers = [int(part) if part else None for part in text.split(":")]
    except ValueError as error:
        raise unreadable from error
    if len(numbers) == 1 and numbers[0] is not None:
        start = numbers[0]
        return slice(start, start + 1 if start != -1 else None)
    if len(numbers) not in (2, 3) or 0 in numbers[2:]:
        raise unreadable
    return slice(*numbers)


def frame_numbers(text: str) -> list[int]:
    """Read ``"0,150,299"``."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} are no frames; write their numbers, such as 0,150,299"
        ) from error


def class_names(text: str) -> dict[int, str]:
    """Read ``"1=background,2=nucleus"``."""
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(number.strip().isdecimal() and name.strip() for number, _, name in pairs):
        raise argparse.ArgumentTypeError(
            f"{text!r} are no names; write them so: 1=background,2=nucleus"
        )
    named = {int(number): name.strip() for number, _, name in pairs}
    if len(named) < len(pairs):
        raise argparse.ArgumentTypeError(f"{text!r} names a number twice; give each one name")
    return named


def add_names(parser: argparse.ArgumentParser, of_what: str, more: str) -> None:
    """Add the option that names labels or classes."""
    parser.add_argument(
        "--names",
        type=class_names,
        default={},
        metavar="N=NAME,…",
        help=f"names of the {of_what}, such as 1=background,2=nucleus{more}",
    )


def names_of(args: argparse.Namespace, labels: Iterable[int]) -> dict[int, str]:
    """Return the names (``--names``) of the labels that there are; says which there are not."""
    names: dict[int, str] = args.names
    there = list(labels)
    missing = [label for label in names if label not in there]
    if missing:
        has = ", ".join(map(str, there[:_MOST_TOLD])) + (", …" if len(there) > _MOST_TOLD else "")
        tell(
            args,
            f"there is no label {' and no '.join(map(str, missing))} in the result (it has {has}), "
            "so its name is not written.",
        )
    return {label: name for label, name in names.items() if label in there}


def class_colors(text: str) -> dict[int, tuple[float, ...]]:
    """Read ``"1=#2f6fb3,2=#00000000"``: red, green, blue, and how opaque."""
    found = {}
    for number, _, code in (part.partition("=") for part in text.split(",")):
        digits = code.strip().removeprefix("#")
        if not number.strip().isdecimal() or not re.fullmatch("([0-9a-fA-F]{2}){3,4}", digits):
            raise argparse.ArgumentTypeError(
                f"{text!r} are no colours; write them so: 1=#2f6fb3,2=#d9a441"
            )
        parts = bytes.fromhex(digits.ljust(8, "f"))
        found[int(number)] = tuple(part / 255 for part in parts)
    return found


def read_parameters(args: argparse.Namespace) -> SegmentationParams:
    """Build the parameters: those of the preset, changed by what was given."""
    names = (spec.name for spec in SegmentationParams.specs())
    preset: Any = PRESETS[args.preset]
    params: SegmentationParams = preset(**_given(args, names))
    return params


def idle_notes(args: argparse.Namespace, params: SegmentationParams) -> tuple[str, ...]:
    """Say which of the parameters that were given count with another design only."""
    idle = [one for one in SegmentationParams.specs() if one.design not in ("", params.design)]
    given = _given(args, (one.name for one in idle))
    if not given:
        return ()
    names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
    return (f"Without --design {idle[0].design} this changes nothing: {names}.",)


def read_params(
    kind: type[Params], args: argparse.Namespace, names: Iterable[str] | None = None
) -> Params:
    """Build parameters of a kind from what was given; raises as `read_parameters` does."""
    return kind.from_dict(_given(args, names or (spec.name for spec in kind.specs())))


def read_options(args: argparse.Namespace) -> RunOptions:
    """Build the options; raises as `read_parameters` does."""
    return read_params(RunOptions, args, OPTIONS_SHOWN)


def _given(args: argparse.Namespace, names: Iterable[str]) -> dict[str, Scalar]:
    """Return what was given on the command line; an option that was not is None."""
    values = ((name, getattr(args, name)) for name in names)
    return {name: value for name, value in values if value is not None}


def add_specs(
    parser: argparse.ArgumentParser,
    specs: Iterable[ParameterSpec],
    heading: str = "",
    paper: Mapping[str, Scalar] | None = None,
) -> None:
    """Add one option for each field of parameters, under one heading or those of the fields.

    The bounds are checked by the dataclass alone, so that every door gives the same sentence;
    argparse only turns text into numbers.
    """
    groups: dict[str, argparse._ArgumentGroup] = {}
    for spec in specs:
        title = heading or spec.group
        group = groups[title] = groups.get(title) or parser.add_argument_group(title)
        how: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
        if spec.kind is not bool:
            how = {"type": spec.kind, "metavar": _metavar(spec)}
        # A % would be a format to argparse.
        words = f"{spec.about()} [{_facts(spec, paper or {})}]".replace("%", "%%")
        symbol = f"{spec.symbol}: " if spec.symbol else ""
        group.add_argument(f"--{spec.name.replace('_', '-')}", help=symbol + words, **how)


def _facts(spec: ParameterSpec, paper: Mapping[str, Scalar]) -> str:
    """Return the range of a parameter, its defaults, and where it counts."""
    if spec.kind is bool:
        return f"default {'yes' if spec.default else 'no'}"
    # Of a text without choices there is no range.
    is_text = spec.kind is str and not spec.choices
    facts = "" if is_text else f"{spec.range_text}; "
    facts += f"default {'empty' if spec.default == '' else spec.default}"
    if paper.get(spec.name, spec.default) != spec.default:
        facts += f", paper {paper[spec.name]}"
    facts += f" {spec.unit}" if spec.unit else ""
    return f"{facts}; with --design {spec.design} only" if spec.design else facts


def _metavar(spec: ParameterSpec) -> str:
    if spec.choices:
        return "|".join(spec.choices)
    if spec.name == "classes":
        return "N,N,…"
    return {int: "N", float: "X", str: "NAME"}[spec.kind]
