"""What a worker does: one frame, or a window of one, from its file to the store of its output.

A worker may be a thread, a process or a machine elsewhere. It is told paths, and keeps
the model and the files that it has opened for the frames that follow.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from napari_diffseg.batch.engine import label_frame
from napari_diffseg.batch.facts import FrameFacts
from napari_diffseg.batch.fitting import fit_to
from napari_diffseg.batch.journal import Journal, write_done
from napari_diffseg.batch.plan import Unit
from napari_diffseg.errors import Cancelled, ClusterError, InputError
from napari_diffseg.image.windows import Window
from napari_diffseg.io.frames import FrameStack, open_frames
from napari_diffseg.io.label_files.label_store import LabelStore
from napari_diffseg.params import ApplyParams, RunOptions

if TYPE_CHECKING:
    from napari_diffseg.core.model.model import Model
_model_lock = Lock()
_models: dict[str, Model] = {}


@dataclass(frozen=True, slots=True)
class Job:
    """What is the same for all frames of a run; the checksum is the model's.

    `axes` are those of the inputs, where stated; `level` and `series` which image of them.
    """

    journal: Journal
    checksum: str
    params: ApplyParams
    options: RunOptions
    axes: str | None
    level: int = 0
    series: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """A unit that is done, and what is known of it."""

    unit: Unit
    facts: FrameFacts


def keep_model(model: Model) -> None:
    """Have this process use a model for the frames to come, without reading it from a file."""
    with _model_lock:
        _models.clear()
        _models[model.checksum] = model


def apply_unit(job: Job, unit: Unit, stopped: Callable[[], bool] = lambda: False) -> Outcome:
    """Label one frame window by window, or one window, and say in the journal that it is done.

    Whether the run was `stopped` is asked between two windows. Of a frame that cannot be read the
    facts say why; its labels are 0, where the unit is all of it.
    """
    if not job.journal.work.is_dir():
        raise ClusterError(
            f"A worker cannot see {job.journal.work}; workers elsewhere must have the same files "
            "under the same names."
        )
    store = _opened_store(job.journal.store(unit.target))
    try:
        facts = _apply_frame(job, unit, store, stopped)
    except InputError as error:
        # Windows before the damage were written: of a frame there is all or nothing. Where others
        # are at its other windows, it is cleared when all of them are done.
        if unit.window is None:
            store.clear(unit.position)
        facts = FrameFacts.of_error(error)
    write_done(job.journal.work, unit.index, facts)
    return Outcome(unit, facts)


def _apply_frame(
    job: Job, unit: Unit, store: LabelStore, stopped: Callable[[], bool]
) -> FrameFacts:
    # Not kept from frame to frame: the file may have been written anew since an earlier run,
    # and what makes this slow, the open file, is kept below.
    model = _model(job)
    stack = open_frames(
        unit.path,
        job.axes,
        model.n_source_channels,
        volumes=model.n_spatial == 3,
        level=job.level,
        series=job.series,
    )
    if tuple(stack.frame_shape) != unit.shape:
        raise InputError(
            f"{unit.path} has frames of shape {stack.frame_shape}, but {unit.shape} was expected."
        )
    model, _ = fit_to(model, stack, unit.path, is_stated=job.axes is not None)
    parts = label_frame(
        model,
        stack.frame(unit.frame),
        store,
        unit.position,
        axes=stack.frame_axes,
        rgb=stack.rgb if job.axes is None else None,
        params=job.params,
        options=job.options,
        windows=_windows(unit, stack),
    )
    with closing(parts):
        while True:
            try:
                next(parts)
            except StopIteration as end:
                facts: FrameFacts = end.value
                return facts
            if stopped():
                raise Cancelled  # whose thread is not asked any more


def _windows(unit: Unit, stack: FrameStack) -> list[Window] | None:
    """Return which windows a unit is about, for `Model.apply_windows`; None where all are."""
    from napari_diffseg.core.model.application import windows_of

    if unit.window is None:
        return None
    return list(islice(windows_of(stack.spatial_shape), unit.window, unit.window + 1))


def _model(job: Job) -> Model:
    with _model_lock:
        if job.checksum not in _models:
            from napari_diffseg.core.model.model import Model

            _models.clear()
            _models[job.checksum] = Model.load(job.journal.model)
        return _models[job.checksum]


@lru_cache(maxsize=8)
def _opened_store(path: Path) -> LabelStore:
    return LabelStore.open(path)
