"""What the sections *Apply* and *Model* say to a person; no Qt, no layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_diffseg.widgets.ui.words import count_in_words, duration_in_words

if TYPE_CHECKING:
    from napari_diffseg.widgets.batch.folder import FolderJob
    from napari_diffseg.widgets.batch.job import ApplyJob, ApplyProgress

BUSY = "A model is being applied already; stop it, then start again."
STARTING = "Starting …"
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
GO_ON = "Press Resume to go on."
_MOST_NAMES = 4


def progress_in_words(progress: ApplyProgress, n_wanted: int) -> str:
    """Return e.g. ``"12 of 300 frames · 3.1 a second · 1 min 30 s left"``.

    Parameters
    ----------
    progress : ApplyProgress
        How far the run has come.
    n_wanted : int
        How many frames are done at its end.
    """
    parts = [f"{progress.n_done} of {count_in_words(progress.n_frames, 'frame')}"]
    if progress.n_new and progress.seconds > 0:
        rate = progress.n_new / progress.seconds
        # Under one a second the time for one says more.
        slow = f"{duration_in_words(1 / rate)} each"
        parts.append(f"{rate:.1f} a second" if rate >= 1 else slow)
        n_left = n_wanted - progress.n_done
        if n_left > 0:
            parts.append(f"{duration_in_words(max(n_left / rate, 1))} left")
    return " · ".join(parts)


def applied_in_words(job: ApplyJob, progress: ApplyProgress) -> str:
    """Return what a run over frames came to, and which frames failed."""
    done = f"{progress.n_done} of {count_in_words(progress.n_frames, 'frame')} done"
    if progress.n_done == progress.n_frames:
        done = f"Done: {count_in_words(progress.n_frames, 'frame')}"
    time = f" (in {duration_in_words(progress.seconds)})" if progress.n_new > 1 else ""
    parts = [f"{done}{time}."]
    failed = sorted(job.record.failed)
    if failed:
        names = [job.frames.name(number) or "the image" for number in failed[:_MOST_NAMES]]
        names += ["…"] if len(failed) > _MOST_NAMES else []
        parts.append(f"Left out: {', '.join(names)}. {job.record.failed[failed[0]]}")
    return " ".join(parts)


def folder_in_words(job: FolderJob, progress: ApplyProgress) -> str:
    """Return what a run over a folder came to, and which files failed."""
    if job.report is None:
        n_done = f"{progress.n_done} of {count_in_words(progress.n_frames, 'frame')}"
        return f"Stopped: {n_done} done. Apply to the same two folders to go on."
    parts = []
    # None where an earlier run had done them all.
    if job.report.done:
        parts.append(f"Done: {count_in_words(job.report.done, 'frame')}, in {job.report.output}.")
    failed = job.report.failed
    if failed:
        names = [name for name, _ in failed[:_MOST_NAMES]]
        names += ["…"] if len(failed) > _MOST_NAMES else []
        parts.append(f"Left out: {', '.join(names)}. {failed[0][1]}")
    return " ".join([*parts, *job.report.notes])
