"""Which frames are done while a run goes on, and which outputs are complete."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from napari_diffseg.batch import outputs
from napari_diffseg.batch.facts import FrameFacts, FrameRecord, Progress
from napari_diffseg.batch.journal import Journal
from napari_diffseg.batch.plan import Plan, Target, Unit
from napari_diffseg.errors import DiffSegError, InputError
from napari_diffseg.io.kinds import name_of
from napari_diffseg.io.label_files.label_store import LabelStore
from napari_diffseg.params import ApplyParams

if TYPE_CHECKING:
    from napari_diffseg.core.model.model import Model


@dataclass(eq=False, slots=True)
class Ledger:
    """Which units of work are done, and so which frames and outputs are complete.

    `done` has what is known of each unit that is done, by its number in the plan.
    """

    plan: Plan
    journal: Journal
    model: Model
    params: ApplyParams
    done: dict[int, FrameFacts]
    n_frames_done: int
    earlier: int  # units that an earlier run has done
    _left: list[int]  # units to come, for each output
    _first: list[int]  # number of the first unit of each output
    _first_frame: list[int]  # and of its first frame

    @classmethod
    def read(cls, plan: Plan, journal: Journal, model: Model, params: ApplyParams) -> Ledger:
        """Take up what the journal says, and finish outputs that lack only their last step."""
        if not journal.model.exists():
            model.save(journal.model)
        left = [target.n_units for target in plan.targets]
        first = [0, *accumulate(left)]
        frames = [0, *accumulate(len(target.frames) for target in plan.targets)]
        ledger = cls(plan, journal, model, params, {}, 0, 0, left, first, frames)
        earlier = journal.done()
        for target in plan.targets:
            ledger._take_up(target, earlier)
        ledger.earlier = len(ledger.done)
        return ledger

    def to_do(self) -> Iterator[Unit]:
        """Yield the units that are not done; the store of their output is there by then."""
        for unit in self.plan.units():
            if unit.index in self.done:
                continue
            if not self.journal.store(unit.target).exists():
                outputs.begin(self.plan.targets[unit.target], self.journal, self.model, self.params)
            yield unit

    def enter(self, unit: Unit, facts: FrameFacts) -> FrameFacts | None:
        """Enter a unit; with the last one of an output, this is moved to its place.

        Returns what is known of its frame, where the unit was the last one of it.
        """
        target = self.plan.targets[unit.target]
        self.done[unit.index] = facts
        self._left[unit.target] -= 1
        frame = self._frame(target, unit.position)
        self.n_frames_done += frame is not None
        if self._left[unit.target] == 0:
            self._complete(target)
        return frame

    def progress(
        self, seconds: float = 0.0, unit: Unit | None = None, facts: FrameFacts | None = None
    ) -> Progress:
        """Return what is to be said of a unit, and of its frame where all of that is done."""
        counts = (self.n_frames_done, self.plan.n_frames, len(self.done), self.plan.n_units)
        if unit is None:
            return Progress(*counts, self.earlier, seconds)
        name = self.plan.targets[unit.target].name(unit.position)
        number = None if facts is None else self._first_frame[unit.target] + unit.position
        return Progress(*counts, self.earlier, seconds, name, number, facts)

    def records(self) -> tuple[list[FrameRecord], list[tuple[str, DiffSegError]]]:
        """Return what is known of each frame, and which of them failed and why.

        Raises `InputError` where no frame at all could be read; nothing of this run is left over.
        """
        records, failed = [], list(self.plan.unreadable)
        for target in self.plan.targets:
            for position in range(len(target.frames)):
                facts = self._frame(target, position) or FrameFacts()
                path, frame = target.source(position)
                records.append(FrameRecord(name_of(path), frame, facts, target.pixel_size))
                if facts.error is not None:
                    failed.append((target.name(position), facts.error))
        if all(record.facts.failed is not None for record in records):
            self.journal.remove()
            name, error = failed[0]
            sentence = f"Not one of the frames could be segmented; {name}: {error}"
            raise InputError(sentence, *error.remedies)
        return records, failed

    # --- pieces of the above -----------------------------------------------------------

    def _indices(self, target: Target, position: int) -> range:
        """Return the numbers of a frame's units."""
        start = self._first[target.number] + position * target.n_windows
        return range(start, start + target.n_windows)

    def _frame(self, target: Target, position: int) -> FrameFacts | None:
        """Return what is known of a frame; None where a unit of it is to come."""
        indices = self._indices(target, position)
        if not all(index in self.done for index in indices):
            return None
        return FrameFacts.joined([self.done[index] for index in indices])

    def _take_up(self, target: Target, earlier: dict[int, FrameFacts]) -> None:
        number, journal = target.number, self.journal
        is_placed = journal.is_placed(target)
        is_whole = is_placed or journal.result(number).exists()
        # Without a store there are no labels.
        is_begun = journal.store(number).exists()
        for position in range(len(target.frames)):
            indices = self._indices(target, position)
            known = {index: earlier[index] for index in indices if index in earlier}
            if not is_whole:
                if any(facts.failed is not None for facts in known.values()):
                    # It gets another try, as a whole: what was done of it may be cleared already.
                    for index in known:
                        journal.forget(index)
                    known = {}
                elif not is_begun:
                    known = {}
            self.done |= known
            self._left[number] -= len(known)
            self.n_frames_done += len(known) == len(indices)
        if self._left[number] == 0 and not is_placed:
            self._complete(target)

    def _complete(self, target: Target) -> None:
        positions = range(len(target.frames))
        frames = [self._frame(target, position) for position in positions]
        failed = [at for at, facts in zip(positions, frames, strict=True) if facts and facts.failed]
        if len(failed) == len(positions):
            self.journal.discard(self.journal.store(target.number))
            return
        if target.n_windows > 1 and self.journal.store(target.number).exists():
            # Of a frame that failed in part there is nothing.
            store = LabelStore.open(self.journal.store(target.number))
            for position in failed:
                store.clear(position)
        outputs.finish(target, self.journal, self.model, self.params)
