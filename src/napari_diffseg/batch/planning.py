"""How a plan is made: what the inputs are, and what becomes of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_diffseg._version import __version__
from napari_diffseg.batch.fitting import fit_to
from napari_diffseg.batch.plan import JOURNAL_NAME, PICTURES, Plan, Target, output_kind
from napari_diffseg.errors import DiffSegError, InputError, OutputError, count_in_words
from napari_diffseg.files import followed
from napari_diffseg.image.info import Placed
from napari_diffseg.io.frames import FrameStack, open_series
from napari_diffseg.io.inputs import list_inputs
from napari_diffseg.io.kinds import name_of
from napari_diffseg.io.label_files.writing import SUFFIXES, TIFF, ZARR, check_holds_volume
from napari_diffseg.io.ngff.plates import find_plate
from napari_diffseg.params import ApplyParams

if TYPE_CHECKING:
    from napari_diffseg.core.model.model import Model

Paths = str | PathLike[str] | Sequence[str | PathLike[str]]


def make_plan(
    model: Model,
    inputs: Paths,
    output: str | PathLike[str],
    *,
    frames: slice | range | None = None,
    params: ApplyParams | None = None,
    axes: str | None = None,
    level: int = 0,
    series: int = 0,
) -> Plan:
    """Find out what is to be done, as `run.apply_stack` is told it; reads no pixels.

    Raises `InputError` where nothing can be segmented (of a folder: no file), and `OutputError`
    where the labels cannot go where they are to.
    """
    output = followed(Path(output).absolute())
    sources = sources_of(inputs)
    files = [source.file for source in sources]
    _check_ending(output)
    plates = _plates(sources, output)
    asked = _Asked(model, frames, params or ApplyParams(), axes, level, series)
    notes = tuple(dict.fromkeys(note for source in sources for note in source.notes))
    plan = Plan(output, (), (), asked.facts(files, output), plates, notes)
    if plan.is_folder:
        homes = _homes(sources, output, dict(plates))
        targets, unreadable = _folder_targets(homes, asked)
    else:
        targets, unreadable = [_one_target(files, output, asked)], []
    _check_not_an_input([*files, *dict(plates)], [target.output for target in targets])
    if plan.is_folder:
        _check_not_their_folder(inputs, output)
    return replace(plan, targets=tuple(targets), unreadable=tuple(unreadable))


@dataclass(frozen=True, eq=False, slots=True)
class _Asked:
    """What is asked for of every input."""

    model: Model
    frames: slice | range | None
    params: ApplyParams
    axes: str | None
    level: int
    series: int

    def open(self, files: Sequence[Path]) -> FrameStack:
        model, which = self.model, {"level": self.level, "series": self.series}
        volumes = model.n_spatial == 3
        return open_series(files, self.axes, model.n_source_channels, volumes=volumes, **which)

    def facts(self, files: Sequence[Path], output: Path) -> dict[str, Any]:
        """Return all that makes the labels, in values that JSON can hold."""
        frames, model = self.frames, self.model
        seen = [[one.index, one.name] for one in model.channels]
        # As it was before somebody said where its channels are.
        alike = [replace(one, index=n, name="") for n, one in enumerate(model.channels)]
        model = replace(model, channels=tuple(alike), n_source_channels=len(alike))
        facts: dict[str, Any] = {
            "version": __version__,
            # Not its checksum, for names and colours go into the output too.
            "model": sha256(model.to_bytes()).hexdigest(),
            "channels": [*seen, self.model.n_source_channels],
            "params": self.params.to_dict(),
            "frames": None if frames is None else [frames.start, frames.stop, frames.step],
            "axes": self.axes,
            "inputs": [_stamp(path) for path in files],
            "output": str(output),
        }
        return facts | {key: n for key in ("level", "series") if (n := getattr(self, key))}


def _stamp(path: Path) -> list[str | int]:
    """Return what changes when a file is written anew; a folder only has its name."""
    with suppress(OSError):  # whoever opens it says what is wrong
        if not path.is_dir():
            return [str(path), path.stat().st_size, path.stat().st_mtime_ns]
    return [str(path)]


class _Source(NamedTuple):
    """A file that is to be segmented; or a field, and the plate that it is of, with its notes."""

    file: Path
    plate: Path | None = None
    notes: tuple[str, ...] = ()


def sources_of(inputs: Paths) -> list[_Source]:
    """Return the files that are named, in folders and plates too; `InputError` where none is."""
    found: list[_Source] = []
    for file in (file.absolute() for path in _given(inputs) for file in list_inputs(path)):
        plate = find_plate(file) if file.is_dir() else None
        if plate is None:
            found.append(_Source(file))
        else:
            found += [_Source(file / field, file, plate.notes) for field in plate.fields]
    if not found:
        raise InputError("There is no image to segment; name files, or a folder that has some.")
    return found


def _plates(sources: Sequence[_Source], output: Path) -> tuple[tuple[Path, Path], ...]:
    """Return the plates among the inputs, and what each becomes."""
    plates = list(dict.fromkeys(one.plate for one in sources if one.plate is not None))
    kind = output_kind(output)
    if not plates or kind is None:
        return tuple((plate, output / _output_name(plate)) for plate in plates)
    if kind != "zarr" or len(plates) > 1 or not all(one.plate for one in sources):
        raise OutputError(
            f"{plates[0]} is a plate, and {output} cannot hold its labels; name an .ome.zarr for "
            "one plate alone, or a folder."
        )
    # A run that was cut short has fields, but is no plate yet.
    is_plate = (output / JOURNAL_NAME).exists() or find_plate(output) is not None
    if output.exists() and not is_plate:
        raise OutputError(f"{output} exists already and is no plate; choose another name.")
    return ((plates[0], output),)


def _homes(sources: Sequence[_Source], output: Path, plates: dict[Path, Path]) -> dict[Path, Path]:
    """Return where the labels of each file go, and of which file these are."""
    homes: dict[Path, Path] = {}
    for file, plate, _ in sources:
        home = output / _output_name(file)
        if plate is not None:
            home = plates[plate] / file.relative_to(plate)
        if home in homes:
            raise OutputError(
                f"{homes[home]} and {file} would both become {home}; apply the model to them one "
                "by one, or give them other names."
            )
        homes[home] = file
    return homes


def _given(inputs: Paths) -> list[Path]:
    return [Path(inputs)] if isinstance(inputs, str | PathLike) else [Path(one) for one in inputs]


def _check_ending(output: Path) -> None:
    name = output.name.lower()
    if output_kind(output) is None and name.endswith(PICTURES):
        raise OutputError(
            f"{output} has an ending that cannot be written; name a file with one of "
            f"{', '.join(SUFFIXES)}, or a folder."
        )


def _one_target(files: Sequence[Path], output: Path, asked: _Asked) -> Target:
    target = _target(0, asked.open(files), tuple(files), output, asked)
    if output_kind(output) == "png":
        if len(target.frames) > 1:
            raise OutputError(
                f"{output} cannot hold {len(target.frames)} frames, PNG holds one; name an "
                ".ome.zarr or .ome.tif file, or a folder."
            )
        if target.spatial == "ZYX":
            check_holds_volume(output, target.shape[-3])
    return target


def _folder_targets(
    homes: dict[Path, Path], asked: _Asked
) -> tuple[list[Target], list[tuple[str, DiffSegError]]]:
    targets: list[Target] = []
    unreadable: list[tuple[str, DiffSegError]] = []
    for home, file in homes.items():
        try:
            target = _target(len(targets), asked.open([file]), (file,), followed(home), asked)
        except DiffSegError as error:
            # Another one: this one holds what was read, and the file open, as long as it is kept.
            unreadable.append((name_of(file), InputError(str(error), *error.remedies)))
        else:
            targets.append(target)
    if not targets:
        name, first = unreadable[0]
        sentence = f"None of the {len(homes)} files can be segmented; {name}: {first}"
        raise InputError(sentence, *first.remedies)
    return targets, unreadable


def _target(
    number: int, stack: FrameStack, files: tuple[Path, ...], output: Path, asked: _Asked
) -> Target:
    _, differences = fit_to(asked.model, stack, files[0], is_stated=asked.axes is not None)
    frames = asked.frames
    chosen = _chosen(frames, stack.leading_shape[0] if stack.leading else 1, files[0])
    inner = math.prod(stack.leading_shape[1:])
    # Frames are left out along the first of these axes alone.
    apart = dict.fromkeys("TZ", 1)
    if frames is not None:
        apart[stack.leading[:1]] = abs(frames.step or 1)
    return Target(
        number=number,
        output=output,
        paths=files,
        frames=[first * inner + rest for first in chosen for rest in range(inner)],
        per_path=stack.n_frames // len(files),
        frame_shape=stack.frame_shape,
        axes=stack.labels_axes,
        shape=((len(chosen), *stack.leading_shape[1:]) if stack.leading else ())
        + stack.spatial_shape,
        spatial=stack.spatial,
        n_windows=_n_windows(stack, asked.params),
        level=asked.level,
        series=asked.series,
        pixel_size=stack.pixel_size and stack.pixel_size.times(z=apart["Z"]),
        t_step=None if stack.t_step is None else stack.t_step * apart["T"],
        placement=_placement(stack, chosen),
        notes=(*stack.notes, *differences),
    )


def _placement(stack: FrameStack, chosen: range) -> Mapping[str, Placed]:
    """Return where the pixels of the output lie: from the first frame that was chosen on."""
    letter = stack.leading[:1]
    if letter not in stack.placement:
        return stack.placement
    step, start, unit = stack.placement[letter]
    first = Placed(step * chosen.step, start + step * chosen[0], unit)
    return {**stack.placement, letter: first}


def _n_windows(stack: FrameStack, params: ApplyParams) -> int:
    """Return in how many units a frame is done: one where each would need all of its pixels."""
    if params.intensities == "frame" or params.adapt_steps > 0:
        return 1
    from napari_diffseg.core.model.application import windows_of

    n_windows = sum(1 for _ in windows_of(stack.spatial_shape))
    return 1 if n_windows > 1 and _is_read_whole(stack) else n_windows


def _is_read_whole(stack: FrameStack) -> bool:
    for first in range(0, stack.n_frames, stack.n_frames // len(stack.paths)):
        with suppress(InputError):  # a file that is damaged: the next one is of its kind
            return stack.reads_whole(first)
    return True


def _chosen(frames: slice | range | None, n: int, file: Path) -> range:
    """Return which of n frames are meant."""
    if frames is None:
        return range(n)
    chosen = range(*frames.indices(n)) if isinstance(frames, slice) else frames
    if not chosen or not all(0 <= end < n for end in (chosen[0], chosen[-1])):
        raise InputError(
            f"{file} has {count_in_words(n, 'frame')}, counted from 0, but of the frames that were "
            "asked for there are none, or not all; choose others."
        )
    return chosen


def _output_name(file: Path) -> str:
    """Return the name of the labels of a file."""
    name = file.name
    lower = name.lower()
    for endings, ending in ((ZARR, ".ome.zarr"), (PICTURES, ".png")):
        for own in endings:
            if lower.endswith(own):
                return name[: -len(own)] + ending
    return name if lower.endswith(TIFF) else f"{file.stem}.ome.tif"


def _check_not_an_input(files: Sequence[Path], outputs: Sequence[Path]) -> None:
    sources = {file.resolve() for file in files}
    holders = {folder for source in sources for folder in source.parents}
    for output in outputs:
        place = output.resolve()
        if place in sources:
            raise OutputError(
                f"{output} is the image itself; choose another name or folder for the labels."
            )
        if place in holders or not sources.isdisjoint(place.parents):
            raise OutputError(
                f"{output} holds an image that is to be segmented, or lies within one; choose "
                "another place for the labels."
            )


def _check_not_their_folder(inputs: Paths, output: Path) -> None:
    """Refuse a folder whose images are asked for: the labels in it would be inputs of a resume."""
    for path in _given(inputs):
        if path.is_dir() and path.resolve() == output.resolve():
            raise OutputError(
                f"{output} is the folder of the images itself; choose another one for the labels."
            )
