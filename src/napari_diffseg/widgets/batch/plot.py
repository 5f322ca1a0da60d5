"""The plot of a run over frames: what it shows, and how often it is drawn."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from napari_diffseg.widgets.batch.job import ApplyJob
from napari_diffseg.widgets.batch.layer import label_colors

if TYPE_CHECKING:
    from napari_diffseg.widgets.batch.area_plot import AreaPlot
    from napari_diffseg.widgets.batch.folder import FolderJob
    from napari_diffseg.widgets.models.shelf import KnownModel

_INTERVAL = 0.25
"""At least so many seconds lie between two drawings."""


class RunPlot:
    """Shows the record of one run.

    Parameters
    ----------
    plot : AreaPlot
        Draws it.
    """

    def __init__(self, plot: AreaPlot) -> None:
        self._plot = plot
        self._due = 0.0

    def show(self, job: ApplyJob | FolderJob | None, known: KnownModel | None) -> None:
        """Show the record of a run, as soon as there is one."""
        if job is None or known is None or job.record is None or self._plot.shows(job.record):
            return
        is_here = isinstance(job, ApplyJob)
        name = job.frames.name if is_here else job.name
        colors = label_colors(job.model.labels, known.colors)
        self._plot.show_record(job.record, colors, known.names, name)
        self._plot.mark(job.in_view if is_here else None)
        self._plot.setVisible(len(job.record.done) > 1)

    def update(self, *, at_once: bool = False) -> None:
        """Draw what is new, unless that was done a moment ago."""
        now = time.perf_counter()
        if at_once or now >= self._due:
            self._due = now + _INTERVAL
            self._plot.update()

    def clear(self) -> None:
        """Show nothing."""
        self._plot.show_record(None, {}, {}, str)
        self._plot.setVisible(False)
