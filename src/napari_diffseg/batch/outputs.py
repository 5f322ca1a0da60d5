"""Outputs: begun as a store of labels in the journal, whole at the end, then moved to their place.

The labels of every output are first collected in an OME-Zarr, whose chunks belong to one window
each. That is the output itself, or a TIFF or PNG file is made of it once all frames are there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_diffseg._version import __version__
from napari_diffseg.batch.journal import Journal
from napari_diffseg.batch.plan import Plan, Target
from napari_diffseg.errors import OutputError, Remedy
from napari_diffseg.files import cannot_write, check_replaceable
from napari_diffseg.io.kinds import name_of
from napari_diffseg.io.label_files.label_store import LabelStore
from napari_diffseg.io.label_files.provenance import read_provenance
from napari_diffseg.io.label_files.writing import write_label_frames
from napari_diffseg.io.ngff.plates import write_plate
from napari_diffseg.params import ApplyParams

if TYPE_CHECKING:
    from napari_diffseg.core.model.model import Model

_MOST_NAMES = 100
"""How many inputs the provenance names; of more, the first and the last."""


def begin(target: Target, journal: Journal, model: Model, params: ApplyParams) -> None:
    """Make the store of an output; it is there whole or not at all."""
    LabelStore.create(
        journal.store(target.number),
        axes=target.axes,
        shape=target.shape,
        dtype=model.label_dtype,
        volumes=target.spatial == "ZYX",
        pixel_size=target.pixel_size,
        t_step=target.t_step,
        placement=target.placement,
        names=model.facts.class_names,
        colors=model.facts.class_colors,
        provenance=_provenance(target, model, params),
    )


def finish(target: Target, journal: Journal, model: Model, params: ApplyParams) -> None:
    """Make an output of its store, and move it to its place.

    Can be called again after it was cut short anywhere.
    """
    result, placing = journal.result(target.number), journal.placing(target.number)
    store = journal.store(target.number)
    if not result.exists():
        if target.kind == "zarr":
            store.replace(result)
        else:
            _write_file(target, store, result, model, params)
    if result.is_dir():
        # Here, where no worker looks for it that has not heard that its frame was done by another.
        LabelStore.open(result).sweep()
    # Once this note is there, whatever is in the output's place came from here.
    if not placing.exists():
        _check_place(target.output, force=journal.force)
    try:
        target.output.parent.mkdir(parents=True, exist_ok=True)  # of a field: row and column
        placing.touch()
        _move(result, target.output, journal)
    except OSError as error:
        raise cannot_write(target.output, error) from error
    journal.discard(store)


def is_of(target: Target, model: Model, params: ApplyParams) -> bool:
    """Whether an output is at its place that came about as this one would."""
    return read_provenance(target.output) == _provenance(target, model, params)


def _write_file(
    target: Target, store: Path, result: Path, model: Model, params: ApplyParams
) -> None:
    # The writers tell the format by the ending.
    part = result.with_name(f"{target.number}.part{target.output.suffix.lower()}")
    write_label_frames(
        part,
        LabelStore.open(store).planes(),
        shape=target.shape,
        axes=target.axes,
        dtype=model.label_dtype,
        pixel_size=target.pixel_size,
        t_step=target.t_step,
        placement=target.placement,
        provenance=_provenance(target, model, params),
        force=True,
    )
    part.replace(result)


def finish_plates(plan: Plan) -> None:
    """Write what makes plates of the fields that are labelled; can be done again at any time."""
    for source, output in plan.plates:
        made = [one.output for one in plan.targets if one.output.is_relative_to(output)]
        there = [path.relative_to(output).as_posix() for path in made if path.exists()]
        write_plate(source, output, there)


def _check_place(output: Path, *, force: bool) -> None:
    if not output.exists():
        return
    if not force:
        raise OutputError(
            f"{output} was put there by another program in the meantime; move it, and run again.",
            Remedy.RESUME,
        )
    if output.is_dir():
        check_replaceable(output, force=True)


def _move(result: Path, output: Path, journal: Journal) -> None:
    """Move a result to its place; a folder that is there goes out of the way first."""
    if output.is_dir() or (output.exists() and result.is_dir()):
        journal.discard(output)
    result.replace(output)


def _provenance(target: Target, model: Model, params: ApplyParams) -> dict[str, Any]:
    """Say how an output came about; the same plan says the same, whenever and wherever."""
    names = [name_of(path) for path in target.paths]
    if len(names) > _MOST_NAMES:
        names = [names[0], "…", names[-1]]
    facts: dict[str, Any] = {
        "software": f"napari-diffseg {__version__}",
        "images": names,
        "model": model.checksum,
        "apply": params.to_dict(),
        "params": model.params.to_dict(),
        "training": dict(model.facts.provenance),
        "class_names": {str(label): name for label, name in model.facts.class_names.items()},
    }
    facts |= {key: n for key in ("level", "series") if (n := getattr(target, key))}
    if (n_there := target.per_path * len(target.paths)) != len(target.frames) or (
        target.frames[0] != 0
    ):
        ends = {"first": target.frames[0], "last": target.frames[-1]}
        facts["frames"] = {**ends, "count": len(target.frames), "of": n_there}
    # A model that was read from a file has its facts in another order.
    said: dict[str, Any] = json.loads(json.dumps(facts, sort_keys=True))
    return said
