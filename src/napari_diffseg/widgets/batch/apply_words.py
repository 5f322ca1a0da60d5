"""What the section *Apply* says to a person; no Qt, no layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_diffseg.batch.facts import brightness_notes
from napari_diffseg.errors import count_in_words
from napari_diffseg.widgets.ui.words import duration_in_words

if TYPE_CHECKING:
    from napari_diffseg.batch.facts import Progress
    from napari_diffseg.widgets.batch.job import FolderJob, LayerJob

BUSY = "A model is being applied already; stop it, then start again."
STOPPING = "Stopping … the frames that are done are kept."
IMAGE_GONE = "Stopped, because the image was removed; the frames that are done are kept."
LAYER_GONE = "Stopped, because the layer with the labels was removed."
FRAME_IS_DONE = "This frame is done already."
ALL_ARE_DONE = "All frames are done already."
LOOKING = "Move the slider: the frame that you look at gets its labels."
CHOSEN_ANEW = (
    "Frames still get their labels as before; press Apply to use what is chosen now, "
    "on a new layer."
)

OWN = "choose Intensities: match each frame's own"

_MOST_NAMES = 4


def progress_in_words(progress: Progress, n_wanted: int) -> str:
    """Return e.g. ``"12 of 300 frames · 3.1 a second · 1 min 30 s left"``.

    `n_wanted` frames are done at the end of the run.
    """
    parts = [f"{progress.done} of {count_in_words(progress.total, 'frame')}"]
    rate = progress.rate * progress.total / max(progress.units, 1)
    if rate:
        # Under one a second the time for one says more.
        slow = f"{duration_in_words(1 / rate)} each"
        parts.append(f"{rate:.1f} a second" if rate >= 1 else slow)
        n_left = n_wanted - progress.done
        if n_left > 0:
            parts.append(f"{duration_in_words(max(n_left / rate, 1))} left")
    return " · ".join(parts)


def way_on(progress: Progress) -> str:
    """Return what to press after a run that was stopped."""
    return "Press Resume to go on." if progress.done else "Press Apply to begin again."


def applied_in_words(job: LayerJob, progress: Progress, why: str) -> str:
    """Return what a run over frames came to, which failed, which are unlike, and why it ended."""
    done = f"{progress.done} of {count_in_words(progress.total, 'frame')} done"
    if progress.done == progress.total:
        done = f"Done: {count_in_words(progress.total, 'frame')}"
    is_long = progress.units_done - progress.earlier > 1
    time = f" (in {duration_in_words(progress.seconds)})" if is_long else ""
    failed = [(job.name(number), why) for number, why in sorted(job.record.failed.items())]
    unlike = [(job.name(number), kind) for number, kind in sorted(job.record.brightness.items())]
    notes = brightness_notes(unlike, OWN)
    return " ".join([f"{done}{time}.", *_left_out(failed), *notes, *([why] if why else [])])


def folder_in_words(job: FolderJob, progress: Progress) -> str:
    """Return what a run over a folder came to, and which files failed."""
    if job.report is None and job.record is None:
        return "Stopped before the first frame. Apply to the same two folders to go on."
    if job.report is None:
        n_done = f"{progress.done} of {count_in_words(progress.total, 'frame')}"
        return f"Stopped: {n_done} done. Apply to the same two folders to go on."
    report = job.report
    notes = (*report.notes, *brightness_notes(report.unlike, OWN))
    # None where an earlier run had done them all.
    done = f"Done: {count_in_words(report.done, 'frame')}, in {report.output}."
    return " ".join([*([done] if report.done else []), *_left_out(report.failed), *notes])


def _left_out(failed: Sequence[tuple[str, str]]) -> list[str]:
    """Return a sentence on frames that failed, by name and reason, where there are any."""
    if not failed:
        return []
    names = [name or "the image" for name, _ in failed[:_MOST_NAMES]]
    names += ["…"] if len(failed) > _MOST_NAMES else []
    return [f"Left out: {', '.join(names)}. {failed[0][1]}"]
