"""One model on many frames, from the plan to outputs that are whole.

`apply_stack` is a generator, as every run here is: the command line puts a bar on it, the
dock gives it to a worker, and whoever closes it keeps the frames that are done.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from napari_diffseg.batch import outputs
from napari_diffseg.batch.facts import FrameRecord, Progress, check_table, write_table
from napari_diffseg.batch.journal import Journal, open_journal, sweep, unfinished
from napari_diffseg.batch.ledger import Ledger
from napari_diffseg.batch.plan import Plan
from napari_diffseg.batch.planning import Paths, make_plan
from napari_diffseg.batch.schedulers import (
    PROCESSES,
    THREADS,
    check_scheduler,
    processors,
    run_units,
)
from napari_diffseg.batch.work import Job, apply_unit, keep_model
from napari_diffseg.errors import DiffSegError, OutputError, ParameterError, Remedy
from napari_diffseg.memory import as_many_as_fit, in_words
from napari_diffseg.params import ApplyParams, RunOptions

if TYPE_CHECKING:
    from napari_diffseg.core.model.model import Model


@dataclass(frozen=True, slots=True)
class StackReport:
    """What a run has done: frames with labels, those without and why, what is known of each.

    `notes` are sentences that the person should read; `unlike` the names of frames that are far
    ``"darker"`` or ``"brighter"`` than the images of the training.
    """

    done: int
    errors: tuple[tuple[str, DiffSegError], ...]
    output: Path
    frames: tuple[FrameRecord, ...] = ()
    notes: tuple[str, ...] = ()
    unlike: tuple[tuple[str, str], ...] = ()

    @property
    def failed(self) -> tuple[tuple[str, str], ...]:
        """Names of the frames without labels, and why in one sentence."""
        return tuple((name, str(error)) for name, error in self.errors)


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
    level: int = 0,
    series: int = 0,
    table: str | PathLike[str] | None = None,
    pulse: float | None = None,
) -> Generator[Progress, None, StackReport]:
    """Apply a model to many frames; the output is whole at the end, or not there.

    Closed or killed at any moment, the run can be finished later with `resume`; the output
    is then the same to the byte. It does not depend on scheduler and workers either.

    Inputs are files, or folders of files. An output ``.ome.zarr``, ``.zarr``, ``.ome.tif``,
    ``.tif`` or ``.png`` is one result, and several inputs are the frames of one series; any other
    name is a folder, in which each input gets a file of the same name. A plate becomes a plate.
    `frames` are along the first of the axes T and Z, of models of volumes along T. `axes` has one
    letter per axis of the inputs; what the files say, else a guess, where None. The scheduler is
    ``"threads"``, ``"processes"``, or the address of a dask scheduler whose workers see the same
    files under the same names; `workers` of 0 takes one for each processor, or one for a GPU, each
    of as many threads as `options` say, or one. `force` begins anew, and replaces what is there.
    `table` is a CSV file for the areas of each frame, which may also be replaced with `resume`.
    Where nothing was done for `pulse` seconds, what there is to be said is yielded again.

    A frame that cannot be read has labels of 0 (in a folder of single images: no file), and is
    named in the report. Raises a `DiffSegError` where there is nothing to segment, no frame could
    be read, the output is there already or cannot be written, or the machine cannot do it.
    """
    params, options = params or ApplyParams(), options or RunOptions()
    n_workers = _n_workers(workers, scheduler, options)
    plan = make_plan(
        model, inputs, output, frames=frames, params=params, axes=axes, level=level, series=series
    )
    if resume and _is_complete(plan, model, params):
        return _nothing_to_do(plan, table)
    if table is not None:
        check_table(Path(table), plan.places, force=force or resume)
    journal_of = open_journal(plan, resume=resume, force=force)
    with journal_of as journal, _in_vain(journal), _frames_kept(journal):
        ledger = Ledger.read(plan, journal, model, params)
        # Not what a machine happens to have: sums over other threads may round otherwise.
        options = replace(options, threads=options.threads or 1)
        job = Job(journal, model.checksum, params, options, axes, level, series)
        report = _report(ledger, (yield from _do_units(ledger, job, scheduler, n_workers, pulse)))
        if table is not None:
            write_table(Path(table), report.frames, model)
        outputs.finish_plates(plan)
        journal.remove()
    return report


def _do_units(
    ledger: Ledger, job: Job, scheduler: str, n_workers: int, pulse: float | None
) -> Generator[Progress, None, tuple[str, ...]]:
    """Have all units of work done that are not done yet; return what is to be said of it."""
    began = time.monotonic()
    yield ledger.progress()
    n_workers = max(1, min(n_workers, ledger.plan.n_units - len(ledger.done)))
    n_workers, notes = _as_many_as_fit(ledger.plan, ledger.model, n_workers, scheduler)
    keep_model(ledger.model)
    work = partial(apply_unit, job)
    results = run_units(ledger.to_do(), work, scheduler, n_workers, pulse)
    with closing(results):
        for outcome in results:
            seconds = time.monotonic() - began
            if outcome is None:
                yield ledger.progress(seconds)
            else:
                facts = ledger.enter(outcome.unit, outcome.facts)
                yield ledger.progress(seconds, outcome.unit, facts)
    return notes


@contextmanager
def _in_vain(journal: Journal) -> Iterator[None]:
    """Leave nothing of a run that ended before anything was done."""
    try:
        yield
    finally:
        if journal.is_vain:
            journal.remove()


@contextmanager
def _frames_kept(journal: Journal) -> Iterator[None]:
    """Add to what cannot be written that the frames that are done are kept."""
    try:
        yield
    except OutputError as error:
        if error.remedies or journal.is_vain:
            raise
        sentence = f"{str(error)[:-1]}; frames that are done are kept: run again."
        raise OutputError(sentence, Remedy.RESUME) from error


def _report(ledger: Ledger, more: tuple[str, ...]) -> StackReport:
    """Return what is to be said at the end; raises as `Ledger.records`."""
    plan = ledger.plan
    records, failed = ledger.records()
    n_done = sum(record.facts.failed is None for record in records)
    notes = dict.fromkeys(note for target in plan.targets for note in target.notes)
    notes |= dict.fromkeys((*plan.notes, *more))
    names = (one.name(at) for one in plan.targets for at in range(len(one.frames)))
    kinds = (record.facts.brightness for record in records)
    unlike = tuple((name, kind) for name, kind in zip(names, kinds, strict=True) if kind)
    return StackReport(n_done, tuple(failed), plan.output, tuple(records), tuple(notes), unlike)


def _is_complete(plan: Plan, model: Model, params: ApplyParams) -> bool:
    """Whether an earlier run came to its end, but perhaps was killed before it could say so.

    Outputs of another model, or of the same one applied otherwise, are no reason to do nothing.
    """
    return not unfinished(plan) and all(
        outputs.is_of(target, model, params) for target in plan.targets
    )


def _nothing_to_do(plan: Plan, table: str | PathLike[str] | None) -> StackReport:
    """Return what is to be said of a run that came to its end; what it has left over goes.

    Raises OutputError for a table: areas are counted while frames are labelled.
    """
    sweep(plan)
    if table is not None and not Path(table).exists():
        raise OutputError(
            f"{plan.output} is whole already, and {table} could only be written along with it; "
            "measure the labels instead",
            Remedy.OVERWRITE,
        )
    note = f"{plan.output} is there already and no run for it was cut short: nothing to do."
    return StackReport(0, plan.unreadable, plan.output, notes=(note,))


def _as_many_as_fit(
    plan: Plan, model: Model, n_workers: int, scheduler: str
) -> tuple[int, tuple[str, ...]]:
    """Return how many of the workers on this machine there is memory for, and a note if not all."""
    if scheduler not in (THREADS, PROCESSES):
        return n_workers, ()
    from napari_diffseg.image.pieces import PROGRAM, labelling_memory

    shapes = {target.shape[-len(target.spatial) :] for target in plan.targets}
    each = max(
        labelling_memory(shape, model.n_channels, model.params, model.space) for shape in shapes
    )
    each += PROGRAM if scheduler == PROCESSES else 0
    n_fit = as_many_as_fit(n_workers, each)
    if n_fit == n_workers:
        return n_workers, ()
    note = f"Of {n_workers} workers {n_fit} ran: each takes about {in_words(each)} of memory."
    return n_fit, (note,)


def _n_workers(workers: int, scheduler: str, options: RunOptions) -> int:
    """Return how many workers there may be here; scheduler and device are looked for first."""
    check_scheduler(scheduler)
    if workers < 0:
        raise ParameterError("workers", f"workers is {workers}, but must be 0 or more.")
    if scheduler not in (THREADS, PROCESSES):
        return 1
    from napari_diffseg.core.device import choose_device

    is_cpu = choose_device(options.device).type == "cpu"
    return workers or (processors() if is_cpu else 1)
