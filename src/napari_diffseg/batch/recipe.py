"""The same run again: a run on files, as lines of Python and as a command of the shell."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_diffseg.errors import InputError
from napari_diffseg.files import stem_of
from napari_diffseg.image.channels import Channel
from napari_diffseg.image.fill import AUTO, Fill, fill_in_words
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.instances.params import ObjectParams
from napari_diffseg.io.facts import Index
from napari_diffseg.io.label_files.export import ENDINGS, file_name
from napari_diffseg.parameters import SelfDescribing
from napari_diffseg.params import ApplyParams, SegmentationParams

_LETTERS = {"µm": "um", "Å": "angstrom"}
"""Units, as they are typed on any keyboard."""


@dataclass(frozen=True, eq=False, slots=True)
class Recipe:
    """What a run was told, with every array as the file that holds it."""

    image: Path
    # The part of the file's array that was segmented, an entry for each axis; empty for all of it.
    index: Index = ()
    axes: str | None = None  # of that part; None where the file says it
    level: int = 0
    series: int = 0
    rgb: bool | None = None
    spacing: tuple[float, float, float] | None = None  # of a volume, along z, y and x
    channels: tuple[Channel, ...] | None = None
    fill: Fill = AUTO
    # Files of class numbers and of a mask, of the height and width (and depth) of the part.
    scribbles: Path | None = None
    region: Path | None = None
    model: Path | None = None  # where a model was applied, in place of a run of its own
    params: SegmentationParams = field(default_factory=SegmentationParams)
    apply_params: ApplyParams = field(default_factory=ApplyParams)
    objects: ObjectParams | None = None  # where objects were made of the labels
    # What is written of the labels beside themselves, where a person has named some.
    names: Mapping[int, str] = field(default_factory=dict)
    colors: Mapping[int, Sequence[float]] = field(default_factory=dict)
    pixel_size: PixelSize | None = None

    def python(self) -> str:
        """Return lines that write what the command of `shell` does, as `export` calls it.

        They leave the labels in ``labels``, and objects in ``found``.
        """
        return "\n".join(_python(self)) + "\n"

    def shell(self) -> str:
        """Return a command that writes the labels, and one more for objects.

        Raises InputError where the run was on a part of a file, or a name has a comma: the shell
        cannot say so.
        """
        if any(entry != slice(None) for entry in self.index):
            raise InputError(
                f"A part of {self.image} was segmented, which the shell cannot name; copy the run "
                "as Python, or save the plane as a file of its own."
            )
        comma = next((name for name in self.names.values() if "," in name), None)
        if comma is not None and not self.model:
            raise InputError(
                f"The name of the class {comma!r} has a comma, which the shell cannot take; name "
                "it otherwise, or copy the run as Python."
            )
        labels, found = (f"{self.name} {part}{ENDINGS[0]}" for part in ("labels", "objects"))
        commands = [_shell_labels(self, labels)]
        if self.objects is not None:
            words = ["objects", labels, "-o", found, *_options(self.objects)]
            words += _spacing(self)
            commands.append(shlex.join(["napari-diffseg", *words]))
        # Where the first fails, there are no labels to make objects of, or those of another image.
        return " &&\n".join(commands) + "\n"

    @property
    def name(self) -> str:
        """What begins the names of the files that are written."""
        return file_name(stem_of(self.image))


def _changed(params: SelfDescribing) -> dict[str, Any]:
    """Return the parameters that are not those of the default."""
    values = params.to_dict()
    return {one.name: values[one.name] for one in params.specs() if values[one.name] != one.default}


def _call(name: str, words: dict[str, str], *first: str) -> str:
    return f"{name}({', '.join([*first, *(f'{key}={value}' for key, value in words.items())])})"


def _made(params: SelfDescribing) -> str:
    changed = {name: repr(value) for name, value in _changed(params).items()}
    return _call(type(params).__name__, changed)


def _python(told: Recipe) -> Iterator[str]:
    names = ["Model"] if told.model else ["segment"]
    words: dict[str, str] = {}
    if told.axes is not None:
        words["axes"] = repr(told.axes)
    if told.rgb is not None:
        words["rgb"] = repr(told.rgb)
    if told.spacing is not None and not told.model:
        words["spacing"] = repr(tuple(told.spacing))
    if told.model:
        words |= _params_words(told.apply_params, names)
    else:
        words |= _segment_words(told, names)
    names += ["ObjectParams", "objects"] if told.objects else []
    yield f"from napari_diffseg import {', '.join(sorted([*names, 'export']))}"
    readers = ["read_class_numbers"] if told.scribbles or told.region else []
    yield f"from napari_diffseg.io.reading import {', '.join([*readers, 'read_image'])}"
    yield ""
    where = {"level": told.level, "series": told.series}
    chosen = "".join(f", {name}={number}" for name, number in where.items() if number)
    yield f"image = read_image({str(told.image)!r}{chosen}).pixels{_part(told.index)}"
    if told.model:
        yield f"model = Model.load({str(told.model)!r})"
        yield f"labels = {_call('model.apply', {'image': 'image'} | words)}".replace(
            "image=", "", 1
        )
    else:
        yield f"result = {_call('segment', words, 'image')}"
        yield "labels = result.labels"
    of = "labels" if told.model else "result"
    if told.objects:
        yield f"found = objects({of}, params={_made(told.objects)})"
    yield _call("export", _export_words(told), of, "'.'")


def _export_words(told: Recipe) -> dict[str, str]:
    said: dict[str, Any] = {"name": told.name, "parts": ["labels"]}
    if told.pixel_size is not None:
        size = told.pixel_size
        lengths = tuple(map(_short, size.spacing or (size.y, size.x)))
        said |= {"pixel_size": lengths, "unit": size.unit}
    said["class_names"] = dict(told.names)
    said["class_colors"] = {label: _rounded(color) for label, color in told.colors.items()}
    words = {key: repr(value) for key, value in said.items() if value}
    if told.objects is not None:
        words |= {"parts": repr(["labels", "objects"]), "params": _made(told.objects)}
    return words


def _rounded(color: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(float(part), 6) for part in color)


def _part(index: Index) -> str:
    if all(entry == slice(None) for entry in index):
        return ""
    return f"[{', '.join(map(_entry, index))}]"


def _entry(entry: int | slice) -> str:
    if isinstance(entry, int):
        return str(entry)
    start, stop = ("" if end is None else str(end) for end in (entry.start, entry.stop))
    return f"{start}:{stop}"


def _segment_words(told: Recipe, names: list[str]) -> dict[str, str]:
    words: dict[str, str] = {}
    if told.scribbles is not None:
        words["scribbles"] = f"read_class_numbers({str(told.scribbles)!r}).pixels"
    if told.channels is not None:
        names.append("Channel")
        words["channels"] = f"[{', '.join(map(repr, told.channels))}]"
    if told.region is not None:
        words["region"] = f"read_class_numbers({str(told.region)!r}).pixels"
    if told.fill != AUTO:
        words["fill"] = repr(told.fill)
    return words | _params_words(told.params, names)


def _params_words(params: SelfDescribing, names: list[str]) -> dict[str, str]:
    if not _changed(params):
        return {}
    names.append(type(params).__name__)
    return {"params": _made(params)}


def _shell_labels(told: Recipe, output: str) -> str:
    words = ["napari-diffseg"]
    if told.model:
        words += ["apply", str(told.model), str(told.image), "-o", output]
        words += _options(told.apply_params)
    else:
        words += ["segment", str(told.image), "-o", output, *_segment_options(told)]
    if told.axes is not None:
        words += ["--axes", told.axes]
    for name, number in (("--level", told.level), ("--series", told.series)):
        words += [name, str(number)] if number else []
    return shlex.join(words)


def _spacing(told: Recipe) -> list[str]:
    if told.spacing is None:
        return []
    size = told.pixel_size
    unit = size.unit if size is not None and size.spacing == told.spacing else ""
    return ["--spacing", _typed(told.spacing, unit)]


def _size(told: Recipe) -> list[str]:
    """Return what says how large a pixel of a plane is."""
    size = told.pixel_size
    if size is None or told.spacing is not None:
        return []
    return ["--pixel-size", _typed((size.y, size.x), size.unit)]


def _typed(lengths: Sequence[float], unit: str) -> str:
    return ",".join(repr(_short(one)) for one in lengths) + _LETTERS.get(unit, unit)


def _short(length: float) -> float:
    """Return a length without the last digits that come of reckoning."""
    return float(f"{length:.12g}")


def _segment_options(told: Recipe) -> list[str]:
    words: list[str] = []
    words += [*_spacing(told), *_size(told)]
    if told.channels is not None:
        words += ["--channels", ",".join(str(one.index + 1) for one in told.channels)]
        for one in told.channels:
            for spec, values in one.changed.items():
                said = ":".join("" if value is None else repr(value) for value in values.values())
                words += [f"--channel-{spec.name}", f"{one.index + 1}={said}"]
    for name, file in (("--scribbles", told.scribbles), ("--region", told.region)):
        words += [name, str(file)] if file is not None else []
    if told.fill != AUTO:
        words += ["--fill", fill_in_words(told.fill)]
    if told.names:
        named = (f"{label}={name}" for label, name in told.names.items())
        codes = (f"{label}={_code(color)}" for label, color in told.colors.items())
        words += ["--names", ",".join(named)]
        words += ["--colors", ",".join(codes)] if told.colors else []
    return words + _options(told.params)


def _code(color: Sequence[float]) -> str:
    return "#" + bytes(round(255 * float(part)) for part in color).hex()


def _options(params: SelfDescribing) -> list[str]:
    """Return the options of the shell for what is not as in the default."""
    words: list[str] = []
    for name, value in _changed(params).items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-", 1))
        else:
            words += [option, str(value)]
    return words
