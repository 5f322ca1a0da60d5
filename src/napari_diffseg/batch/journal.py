"""What is done of a plan, in a folder beside the output, so that a run can be cut short.

Whoever has labelled a frame (of a volume: a window) writes one small file that says so, after
the labels and whole or not at all. A run that is killed loses what it was at, and no more::

    .NAME.part/             (in a folder of results: .napari-diffseg/)
        plan.json           what the run was begun with; without it the rest means nothing
        lock                held by the run that works here
        TOKEN/
            model.safetensors
            done/000007.json
            stores/0        labels of each output, until it is whole
            results/0       an output that is whole, but not at its place yet
            placing/0       says that it is about to be moved to its place

The token is drawn anew when a plan is begun, so that a worker elsewhere that has not heard
of the end of an earlier run cannot write into this one.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from napari_diffseg.batch.lock import is_locked, locked
from napari_diffseg.batch.plan import Plan, Target, differences
from napari_diffseg.errors import OutputError
from napari_diffseg.io.kinds import is_zarr

_PLAN, _LOCK = "plan.json", "lock"


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """What is known of a frame, or a window of one, that was labelled.

    Attributes
    ----------
    areas : dict of int to int
        Label → pixels; 0 where the image is fill or not finite.
    confidence : float
        Mean margin between the two best answers, 0 … 1.
    failed : str or None
        Why there are no labels.
    """

    areas: dict[int, int] = field(default_factory=dict)
    confidence: float = 0.0
    failed: str | None = None

    @property
    def n_labelled(self) -> int:
        """How many pixels have a label; only of these the confidence is the mean."""
        return sum(self.areas.values()) - self.areas.get(0, 0)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return what is known of a frame by all of its windows, in their order."""
        if len(parts) == 1:
            return parts[0]
        failed = next((part.failed for part in parts if part.failed is not None), None)
        if failed is not None:
            return cls(failed=failed)
        areas: dict[int, int] = {}
        for part in parts:
            for label, area in part.areas.items():
                areas[label] = areas.get(label, 0) + area
        margin = sum(part.confidence * part.n_labelled for part in parts)
        n_labelled = sum(part.n_labelled for part in parts)
        return cls(dict(sorted(areas.items())), margin / max(n_labelled, 1))


@dataclass(frozen=True, eq=False, slots=True)
class Journal:
    """The folder of a run.

    Attributes
    ----------
    folder : Path
        Beside the output.
    work : Path
        The folder of the token within.
    force : bool
        Whether outputs that are there may be replaced.
    """

    folder: Path
    work: Path
    force: bool

    @property
    def model(self) -> Path:
        """File of the model."""
        return self.work / "model.safetensors"

    def store(self, target: int) -> Path:
        """Where the labels of an output lie until it is whole."""
        return self.work / "stores" / str(target)

    def result(self, target: int) -> Path:
        """Where an output lies that is whole, but not at its place yet."""
        return self.work / "results" / str(target)

    def placing(self, target: int) -> Path:
        """File that says that an output is about to be moved to its place."""
        return self.work / "placing" / str(target)

    def is_placed(self, target: Target) -> bool:
        """Whether an output is whole and at its place."""
        moved = self.placing(target.number).exists() and not self.result(target.number).exists()
        return moved and target.output.exists()

    def done(self) -> dict[int, FrameFacts]:
        """Read which units of work are done."""
        found = {}
        for path in (self.work / "done").glob("[0-9]*.json"):
            values = _read_json(path)
            if values is not None:
                areas = {int(label): area for label, area in values["areas"].items()}
                found[int(path.stem)] = FrameFacts(areas, values["confidence"], values["failed"])
        return found

    def forget(self, index: int) -> None:
        """Take a unit of work for not done."""
        _done_file(self.work, index).unlink(missing_ok=True)

    def discard(self, path: Path) -> None:
        """Delete a file or folder so that it never stands there in part."""
        if path.exists():
            trash = self.work / f"trash-{secrets.token_hex(4)}"
            path.replace(trash)
            remove_tree(trash)

    def remove(self) -> None:
        """Delete the journal; what was not moved to its place is lost."""
        # The plan first: without it what a kill leaves over is known to be worth nothing.
        (self.folder / _PLAN).unlink(missing_ok=True)
        for entry in self.folder.iterdir():
            if entry.name != _LOCK:
                remove_tree(entry)


def write_done(work: Path, index: int, facts: FrameFacts) -> None:
    """Say that a unit of work is done; raises OutputError where the disk is full."""
    values = {"areas": facts.areas, "confidence": facts.confidence, "failed": facts.failed}
    write_json(_done_file(work, index), values)


def unfinished(plan: Plan) -> bool:
    """Whether an earlier run was cut short here."""
    return _read_json(plan.journal / _PLAN) is not None


@contextmanager
def open_journal(plan: Plan, *, resume: bool, force: bool) -> Iterator[Journal]:
    """Begin the journal of a plan, or go on with the one that is there.

    Parameters
    ----------
    plan : Plan
    resume : bool
        Go on where an earlier run of the same plan stopped, if there is one.
    force : bool
        Begin anew where an earlier run stopped; outputs that are there may be replaced.

    Raises
    ------
    OutputError
        An earlier run stopped here, and neither was said; it was of another plan; another
        run works here at this moment; an output is there already; or nothing can be
        written here.
    """
    stored = _read_json(plan.journal / _PLAN)
    if stored is None or not resume:
        _check_free(plan, stored is not None, force)
    made = _make_folders(plan)
    with _emptied(plan, made), locked(plan.journal / _LOCK, plan.output):
        # Again: another run may have been at its end before.
        stored = _read_json(plan.journal / _PLAN) if resume else None
        yield _begun(plan, force) if stored is None else _resumed(plan, stored)


def sweep(plan: Plan) -> None:
    """Remove what a run has left that was killed after its output was whole."""
    if plan.journal.is_dir():
        with _emptied(plan, made=False), locked(plan.journal / _LOCK, plan.output):
            Journal(plan.journal, plan.journal, force=False).remove()


@contextmanager
def _emptied(plan: Plan, made: bool) -> Iterator[None]:
    """Remove the folder of the journal at the end, if there is nothing in it but the lock."""
    try:
        yield
    finally:
        lock = plan.journal / _LOCK
        # Another run may begin here or come to its end at this moment: then it is not empty, or
        # gone already.
        with suppress(OSError):
            if [entry.name for entry in plan.journal.iterdir()] == [_LOCK] and not is_locked(lock):
                lock.unlink(missing_ok=True)
                plan.journal.rmdir()
                if made and not any(plan.output.iterdir()):
                    plan.output.rmdir()


def _check_free(plan: Plan, is_unfinished: bool, force: bool) -> None:
    if is_unfinished and not force:
        raise OutputError(
            f"An earlier run for {plan.output} was not finished; finish it (--resume), or begin "
            "anew (--force)."
        )
    for target in plan.targets:
        if target.output.exists():
            if force:
                check_replaceable(target.output)
                continue
            raise OutputError(
                f"{target.output} exists already; choose another name, or overwrite it (--force)."
            )


def check_replaceable(output: Path) -> None:
    """Refuse to replace a folder that is no OME-Zarr: who knows what is in it."""
    if output.is_dir() and not is_zarr(output):
        raise OutputError(
            f"{output} is a folder, but no zarr; it is not overwritten: choose another name."
        )


def _make_folders(plan: Plan) -> bool:
    """Make what is missing; returns whether the folder of the results was."""
    parent = plan.output.parent
    if not parent.is_dir():
        raise OutputError(f"The folder {parent} does not exist; create it first.")
    made = plan.is_folder and not plan.output.exists()
    try:
        if plan.is_folder:
            plan.output.mkdir(exist_ok=True)
        plan.journal.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{plan.output} cannot be written: {error.strerror or error}; choose another place."
        ) from error
    return made


def _begun(plan: Plan, force: bool) -> Journal:
    token = secrets.token_hex(4)
    journal = Journal(plan.journal, plan.journal / token, force)
    journal.remove()
    try:
        for name in ("done", "stores", "results", "placing"):
            (journal.work / name).mkdir(parents=True)
    except OSError as error:
        raise cannot_write(journal.work, error) from error
    write_json(plan.journal / _PLAN, {**plan.facts, "token": token, "force": force})
    return journal


def _resumed(plan: Plan, stored: dict[str, Any]) -> Journal:
    others = differences(plan.facts, stored)
    if others:
        raise OutputError(
            f"The earlier run for {plan.output} cannot be finished, because {' and '.join(others)} "
            "differ(s) from what it was begun with; give the same, or begin anew (--force)."
        )
    return Journal(plan.journal, plan.journal / stored["token"], stored["force"])


# --- small files -------------------------------------------------------------------


def _done_file(work: Path, index: int) -> Path:
    return work / "done" / f"{index:06d}.json"


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a small file whole or not at all; raises OutputError where it cannot be written."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        part.write_text(json.dumps(values), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        part.unlink(missing_ok=True)


def _read_json(path: Path) -> dict[str, Any] | None:
    """Return what a small file holds; None where there is none, or it is cut short."""
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values


def remove_tree(path: Path) -> None:
    """Delete a file, or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        # What a worker elsewhere puts there meanwhile may stay over: it is of no use to any run.
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError) -> OutputError:
    """Say that something cannot be written, and what becomes of the run."""
    return OutputError(
        f"{path} cannot be written: {error.strerror or error}; frames that are done are kept: make "
        "room, and run again with --resume."
    )
