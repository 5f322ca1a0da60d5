"""What is done of a plan, in a folder beside the output, so that a run can be cut short.

Whoever has labelled a frame (of a large one: a window) writes one small file that says so, after
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

The token is drawn anew by every run, also by one that finishes another, which gives the folder
its name. A worker of a run that was stopped may be at its frame for a while yet, and not hear of
the end: all that it writes goes to the folder of its own token, which it never makes.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from napari_diffseg.batch.facts import FrameFacts
from napari_diffseg.batch.plan import Plan, Target, differences
from napari_diffseg.errors import OutputError, Remedy
from napari_diffseg.files import (
    cannot_write,
    check_replaceable,
    exists_already,
    made_aside,
    remove_tree,
)

_PLAN, _LOCK = "plan.json", "lock"


@dataclass(frozen=True, eq=False, slots=True)
class Journal:
    """The folder of a run, the folder of the token within, and whether outputs may be replaced."""

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
            facts = _facts_of(_read_json(path))
            if facts is not None:
                found[int(path.stem)] = facts
        return found

    @property
    def is_vain(self) -> bool:
        """Whether nothing is done."""
        return not any((self.work / "done").glob("[0-9]*.json"))

    def forget(self, index: int) -> None:
        """Take a unit of work for not done."""
        _done_file(self.work, index).unlink(missing_ok=True)

    def discard(self, path: Path) -> None:
        """Delete a file or folder so that it never stands there in part."""
        if path.exists():
            _throw_away(path, self.work)

    def remove(self) -> None:
        """Delete the journal; what was not moved to its place is lost."""
        # The plan first: without it what a kill leaves over is known to be worth nothing.
        (self.folder / _PLAN).unlink(missing_ok=True)
        for entry in self.folder.iterdir():
            if entry.name == _LOCK:
                continue
            try:
                _throw_away(entry, self.folder)
            except OSError:  # Windows renames no folder in which a file is open
                remove_tree(entry)


def _throw_away(path: Path, folder: Path) -> None:
    """Delete a file or folder; under another name, so that nobody writes into it meanwhile."""
    trash = folder / f"trash-{secrets.token_hex(4)}"
    path.replace(trash)
    remove_tree(trash)


def write_done(work: Path, index: int, facts: FrameFacts) -> None:
    """Say that a unit of work is done; `work` is the folder of the token."""
    _write_json(_done_file(work, index), asdict(facts))


def unfinished(plan: Plan) -> bool:
    """Whether an earlier run for this output was cut short."""
    return _read_json(plan.journal / _PLAN) is not None


@contextmanager
def open_journal(plan: Plan, *, resume: bool, force: bool) -> Iterator[Journal]:
    """Begin a journal, or go on with that of an earlier run, and hold its lock.

    Raises `OutputError` where an earlier run was cut short and is not asked for (`force` throws it
    away), was of another plan, or works at this moment; or where an output is there already.
    """
    stored = _read_json(plan.journal / _PLAN)
    if stored is None or not resume:
        _check_free(plan, stored is not None, force)
    made = _make_folders(plan)
    with _emptied(plan, made), _locked(plan):
        # Again: another run may have been at its end before.
        stored = _read_json(plan.journal / _PLAN) if resume else None
        yield _begun(plan, force) if stored is None else _resumed(plan, stored)


def sweep(plan: Plan) -> None:
    """Remove what a run has left that was killed after its output was whole."""
    if plan.journal.is_dir():
        with _emptied(plan, made=False), _locked(plan):
            Journal(plan.journal, plan.journal, force=False).remove()


def _lock_of(plan: Plan) -> FileLock:
    # A run that is closed may be so by another thread than its own.
    return FileLock(plan.journal / _LOCK, timeout=0, thread_local=False)


@contextmanager
def _locked(plan: Plan) -> Iterator[None]:
    """Hold the lock of a plan; the system gives it back when a run is killed."""
    lock = _lock_of(plan)
    try:
        lock.acquire()
    except Timeout as error:
        raise OutputError(
            f"Another run is writing {plan.output} at this moment; wait for its end, or stop it."
        ) from error
    except OSError as error:
        raise cannot_write(plan.journal / _LOCK, error) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _emptied(plan: Plan, made: bool) -> Iterator[None]:
    """Remove the folder of the journal at the end, if there is nothing in it but the lock."""
    try:
        yield
    finally:
        # Another run may begin here or come to its end at this moment: then it is not empty, or
        # gone already.
        with suppress(OSError):
            if [entry.name for entry in plan.journal.iterdir()] == [_LOCK]:
                with _lock_of(plan):
                    pass
                (plan.journal / _LOCK).unlink(missing_ok=True)
                plan.journal.rmdir()
                if made and not any(plan.output.iterdir()):
                    plan.output.rmdir()


def _check_free(plan: Plan, is_unfinished: bool, force: bool) -> None:
    if is_unfinished and not force:
        with _locked(plan):  # it may be at work at this moment
            pass
        raise OutputError(
            f"An earlier run for {plan.output} was not finished; choose another name, or finish "
            "it.",
            Remedy.RESUME,
            _anew(plan),
        )
    for target in plan.targets:
        if target.output.is_dir():
            check_replaceable(target.output, force=force)
        elif target.output.exists() and not force:
            raise exists_already(target.output)


def _anew(plan: Plan) -> Remedy:
    """Return what it is to begin anew: some results may be in their places already."""
    is_there = any(target.output.exists() for target in plan.targets)
    return Remedy.OVERWRITE if is_there else Remedy.BEGIN_ANEW


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
    journal = Journal(plan.journal, plan.journal / secrets.token_hex(4), force)
    journal.remove()
    try:
        for name in ("done", "stores", "results", "placing"):
            (journal.work / name).mkdir(parents=True)
    except OSError as error:
        raise cannot_write(journal.work, error) from error
    _write_json(plan.journal / _PLAN, {**plan.facts, "force": force})
    return journal


def _resumed(plan: Plan, stored: dict[str, Any]) -> Journal:
    others = differences(plan.facts, stored)
    if others:
        raise OutputError(
            f"The earlier run for {plan.output} was begun with something else than this "
            f"({' and '.join(others)}); give the same, or choose another name.",
            _anew(plan),
        )
    found = [path for path in plan.journal.iterdir() if re.fullmatch("[0-9a-f]{8}", path.name)]
    if len(found) != 1:
        raise OutputError(
            f"What an earlier run has left in {plan.journal} is damaged; choose another name.",
            _anew(plan),
        )
    work = plan.journal / secrets.token_hex(4)
    try:
        found[0].rename(work)
    except OSError as error:
        raise cannot_write(work, error) from error
    return Journal(plan.journal, work, stored.get("force") is True)


# --- small files -------------------------------------------------------------------


def _done_file(work: Path, index: int) -> Path:
    return work / "done" / f"{index:06d}.json"


def _write_json(path: Path, values: dict[str, Any]) -> None:
    with made_aside(path) as part:
        part.write_text(json.dumps(values), encoding="utf-8")


def _facts_of(values: Mapping[str, Any] | None) -> FrameFacts | None:
    """Return what was written of a unit of work; None, so that it is done again, of nonsense."""
    if values is None:
        return None
    try:
        areas = {int(label): int(area) for label, area in dict(values["areas"]).items()}
        remedies = tuple(Remedy[name].name for name in values.get("remedies", ()))
        facts = FrameFacts(**{**values, "areas": areas, "remedies": remedies})
        is_sound = 0 <= facts.confidence <= 1 and isinstance(facts.brightness, str)
        return facts if is_sound and isinstance(facts.failed, str | None) else None
    except (TypeError, ValueError, LookupError):
        return None


def _read_json(path: Path) -> dict[str, Any] | None:
    """Return what a small file holds; None where there is none, or it is cut short."""
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None
