"""One model on many frames, from the plan to outputs that are whole.

`apply_stack` is a generator, as every run here is: the command line puts a bar on it, the
dock gives it to a worker, and whoever closes it keeps the frames that are done.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from napari_diffseg.errors import InputError, ParameterError
from napari_diffseg.params import ApplyParams, RunOptions
from napari_diffseg.stack import outputs
from napari_diffseg.stack.journal import FrameFacts, Journal, open_journal, sweep, unfinished
from napari_diffseg.stack.plan import Plan, Target, Unit
from napari_diffseg.stack.planning import Paths, make_plan
from napari_diffseg.stack.schedulers import (
    PROCESSES,
    THREADS,
    check_scheduler,
    processors,
    run_units,
)
from napari_diffseg.stack.table import FrameRecord, check_table, write_table
from napari_diffseg.stack.work import Job, apply_unit, keep_model

if TYPE_CHECKING:
    from napari_diffseg.core.model import Model


@dataclass(frozen=True, slots=True)
class StackProgress:
    """What a run says after each frame; the first time before any.

    Attributes
    ----------
    done, total : int
        Frames that are done, those of an earlier run among them, and in all.
    name : str
        The frame in words, e.g. ``"frame 7 of cells.tif"``; ``""`` the first time.
    frame : int or None
        Its number in the plan; None the first time.
    seconds : float
        Since this run began.
    areas : dict of int to int
        Label → pixels of this frame.
    confidence : float
        Mean margin between the two best answers, 0 … 1.
    failed : str or None
        Why this frame has no labels.
    """

    done: int
    total: int
    name: str = ""
    frame: int | None = None
    seconds: float = 0.0
    areas: dict[int, int] = field(default_factory=dict)
    confidence: float = 0.0
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class StackReport:
    """What a run has done.

    Attributes
    ----------
    done : int
        Frames that have labels.
    failed : tuple of (str, str)
        Frames, or files, that have none, and why.
    output : Path
        File or folder that was written.
    frames : tuple of FrameRecord
        What is known of each frame, in order.
    notes : tuple of str
        Sentences that the person should read.
    """

    done: int
    failed: tuple[tuple[str, str], ...]
    output: Path
    frames: tuple[FrameRecord, ...] = ()
    notes: tuple[str, ...] = ()


def apply_stack(
    model: Model,
    inputs: Paths,
    output: str | PathLike[str],
    *,
    frames: slice | range | None = None,
    params: ApplyParams | None = None,
    options: RunOptions | None = None,
    scheduler: str = THREADS,
    workers: int = 0,
    resume: bool = False,
    force: bool = False,
    axes: str | None = None,
    table: str | PathLike[str] | None = None,
) -> Generator[StackProgress, None, StackReport]:
    """Apply a model to many frames; the output is whole at the end, or not there.

    Closed or killed at any moment, the run can be finished later with `resume`; the output
    is then the same to the byte. It does not depend on scheduler and workers either.

    Parameters
    ----------
    model : Model
    inputs : path-like or sequence of path-like
        Files, or folders of files.
    output : path-like
        Ends with ``.ome.zarr``, ``.zarr``, ``.ome.tif``, ``.tif`` or ``.png``: one result, and
        several inputs are the frames of one series. Else a folder, in which each input
        gets a file of the same name.
    frames : slice or range, optional
        Which frames, along the first of the axes T and Z.
    params : ApplyParams, optional
        Intensities of each frame itself, or steps of adaptation to it.
    options : RunOptions, optional
        Device, and threads of one worker; 0 means one thread.
    scheduler : str
        ``"threads"``, ``"processes"``, or the address of a dask scheduler; its workers must
        see the same files under the same names.
    workers : int
        Threads or processes; 0 takes one for each processor, or one for a GPU.
    resume : bool
        Finish an earlier run that was cut short, if there is one.
    force : bool
        Begin anew where an earlier run was cut short, and replace outputs that are there.
    axes : str, optional
        One letter per axis of the inputs; what the files say, else a guess, where None.
    table : path-like, optional
        CSV file for the areas of each frame; one that is there is replaced with `force`, and
        with `resume`, because it may be of the earlier run. Never one of the images.

    Yields
    ------
    StackProgress
        At the beginning, and after each frame.

    Returns
    -------
    StackReport
        A frame that cannot be read has labels of 0 (in a folder of single images: no
        file), and is named here.

    Raises
    ------
    InputError
        There is nothing to segment, or no frame could be read.
    OutputError
        The output is there already, or cannot be written.
    ClusterError
        The scheduler cannot be reached, or was lost.
    ParameterError
        There is no such scheduler, or the workers are fewer than none.
    DiffSegError
        The machine cannot do it.
    """
    began = time.monotonic()
    params, options = params or ApplyParams(), options or RunOptions()
    check_scheduler(scheduler)
    n_workers = _n_workers(workers, scheduler, options)
    plan = make_plan(model, inputs, output, frames=frames, params=params, axes=axes)
    if resume and _is_complete(plan, model, params):
        sweep(plan)
        note = f"{plan.output} is there already and no run for it was cut short: nothing to do."
        return StackReport(0, (), plan.output, notes=(note,))
    table = None if table is None else Path(table)
    if table is not None:
        check_table(table, plan.places, force=force or resume)
    with open_journal(plan, resume=resume, force=force) as journal:
        ledger = _Ledger.read(plan, journal, model, params)
        yield StackProgress(len(ledger.done), plan.n_units)
        n_workers = max(1, min(n_workers, plan.n_units - len(ledger.done)))
        # Not what a machine happens to have: sums over other threads may round otherwise.
        options = replace(options, threads=options.threads or 1)
        keep_model(model)
        job = Job(journal, model.checksum, params, options, axes)
        results = run_units(ledger.to_do(), partial(apply_unit, job), scheduler, n_workers)
        with closing(results):
            for outcome in results:
                ledger.enter(outcome.unit, outcome.facts)
                yield ledger.progress(outcome.unit, outcome.facts, time.monotonic() - began)
        report = ledger.report()
        if table is not None:
            write_table(table, report.frames, model.facts.class_names, model.labels)
        journal.remove()
    return report


@dataclass(eq=False, slots=True)
class _Ledger:
    """Which frames are done, and which outputs are complete."""

    plan: Plan
    journal: Journal
    model: Model
    params: ApplyParams
    done: dict[int, FrameFacts]
    left: list[int]
    """Frames to come, for each output."""

    first: list[int]
    """Number of the first frame of each output."""

    @classmethod
    def read(cls, plan: Plan, journal: Journal, model: Model, params: ApplyParams) -> _Ledger:
        """Take up what the journal says, and finish outputs that lack only their last step."""
        if not journal.model.exists():
            model.save(journal.model)
        left = [len(target.frames) for target in plan.targets]
        first = [0, *accumulate(left)]
        ledger = cls(plan, journal, model, params, {}, left, first)
        earlier = journal.done()
        for target in plan.targets:
            ledger._take_up(target, earlier)
        return ledger

    def _take_up(self, target: Target, earlier: dict[int, FrameFacts]) -> None:
        number, journal = target.number, self.journal
        start = self.first[number]
        indices = range(start, start + len(target.frames))
        known = {index: earlier[index] for index in indices if index in earlier}
        is_placed = journal.is_placed(target)
        if not (is_placed or journal.result(number).exists()):
            # A frame that failed gets another try; without a store there are no frames.
            is_begun = journal.store(number).exists()
            known = {i: facts for i, facts in known.items() if is_begun and facts.failed is None}
        self.done |= known
        self.left[number] -= len(known)
        if self.left[number] == 0 and not is_placed:
            self._complete(target)

    def to_do(self) -> Iterator[Unit]:
        """Yield the frames that are not done; the store of their output is there by then."""
        for unit in self.plan.units():
            if unit.index in self.done:
                continue
            if not self.journal.store(unit.target).exists():
                outputs.begin(self.plan.targets[unit.target], self.journal, self.model, self.params)
            yield unit

    def enter(self, unit: Unit, facts: FrameFacts) -> None:
        """Enter a frame; with the last one of an output, this is moved to its place."""
        self.done[unit.index] = facts
        self.left[unit.target] -= 1
        if self.left[unit.target] == 0:
            self._complete(self.plan.targets[unit.target])

    def _complete(self, target: Target) -> None:
        start = self.first[target.number]
        indices = range(start, start + len(target.frames))
        if all(self.done[index].failed for index in indices):
            outputs.drop(target, self.journal)
        else:
            outputs.finish(target, self.journal, self.model, self.params)

    def progress(self, unit: Unit, facts: FrameFacts, seconds: float) -> StackProgress:
        """Return what is to be said of a frame."""
        name = self.plan.targets[unit.target].name(unit.position)
        total = self.plan.n_units
        return StackProgress(len(self.done), total, name, unit.index, seconds, *_values(facts))

    def report(self) -> StackReport:
        """Return what is to be said at the end.

        Raises
        ------
        InputError
            No frame at all could be read; nothing of this run is left over.
        """
        records, failed = [], list(self.plan.unreadable)
        for unit in self.plan.units():
            target, facts = self.plan.targets[unit.target], self.done[unit.index]
            records.append(FrameRecord(unit.path.name, unit.frame, facts, target.pixel_size))
            if facts.failed is not None:
                failed.append((target.name(unit.position), facts.failed))
        n_done = sum(record.facts.failed is None for record in records)
        if n_done == 0:
            self.journal.remove()
            name, reason = failed[0]
            raise InputError(f"Not one of the frames could be segmented; {name}: {reason}")
        notes = dict.fromkeys(note for target in self.plan.targets for note in target.notes)
        return StackReport(n_done, tuple(failed), self.plan.output, tuple(records), tuple(notes))


def _values(facts: FrameFacts) -> tuple[dict[int, int], float, str | None]:
    return facts.areas, facts.confidence, facts.failed


def _is_complete(plan: Plan, model: Model, params: ApplyParams) -> bool:
    """Whether an earlier run came to its end, but perhaps was killed before it could say so.

    Outputs of another model, or of the same one applied otherwise, are no reason to do nothing.
    """
    return not unfinished(plan) and all(
        outputs.is_of(target, model, params) for target in plan.targets
    )


def _n_workers(workers: int, scheduler: str, options: RunOptions) -> int:
    """Return how many workers there may be here; the device is looked for before anything else."""
    if workers < 0:
        raise ParameterError("workers", f"workers is {workers}, but must be 0 or more.")
    if scheduler not in (THREADS, PROCESSES):
        return 1
    from napari_diffseg.core.device import choose_device

    is_cpu = choose_device(options.device).type == "cpu"
    return workers or (processors() if is_cpu else 1)
