"""Export in the dock: joins the form, the layers of labels and objects, and the writers."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_diffseg.errors import DiffSegError, count_in_words
from napari_diffseg.instances.table import join
from napari_diffseg.io.label_files.export import Export
from napari_diffseg.io.label_files.frames import until
from napari_diffseg.widgets.export.again import as_exported, name_of
from napari_diffseg.widgets.scribbles.class_names import names_in
from napari_diffseg.widgets.tasks.worker import LatestAnswer
from napari_diffseg.widgets.ui.notices import tell

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_diffseg.instances.measuring import Columns
    from napari_diffseg.widgets.export.again import RunAgain
    from napari_diffseg.widgets.export.form import ExportForm
    from napari_diffseg.widgets.objects.layer import ObjectsLayer
    from napari_diffseg.widgets.objects.section import ObjectsSection
    from napari_diffseg.widgets.segment.results import Results

_WRITING = "Writing …"
_LOOKING = "Looking at the labels …"
_STOPPED = "Stopped; files that are written stay, the one under way was not kept."
_NOTHING = "no labels yet"


class ExportSection:
    """Writes what is ticked to a folder that a person chooses, in a thread of its own."""

    def __init__(
        self, form: ExportForm, results: Results, objects: ObjectsSection, again: RunAgain
    ) -> None:
        self._form, self._results, self._objects, self._again = form, results, objects, again
        self._followed: Labels | None = None
        self._looks = LatestAnswer(_look, self._on_looked, self._on_failure)
        self._writes = LatestAnswer(_write, self._on_written, self._on_failure)
        self._wanted: set[object] = set()  # stands for the jobs that nobody has stopped
        form.wait.follow(self._looks)
        form.wait.follow(self._writes)
        form.wait.stopped.connect(self._on_stopped)
        self._looks.hold(self)
        self._writes.hold(self)
        form.layers.changed.connect(self.refresh)
        objects.found.connect(self.refresh)
        form.button.clicked.connect(lambda: self.ask_and_export())

    def refresh(self) -> None:
        """Offer the labels that there are; let their layers know the size of their pixels."""
        sizes, objects = self._objects.sizes, self._objects
        for layer, shown, *_ in self._results.labelled():
            sizes.note(layer, shown)
        if objects.layer is not None and objects.source is not None:
            sizes.note(objects.layer.layer, objects.source.shown)
        form, classes = self._form, objects.classes.layer
        form.layers.offer([(str(one.name), one) for one in objects.classes.offered], _NOTHING)
        if classes is not None and (self._followed is None or self._followed != classes):
            # The newest result, or what a person makes objects of.
            self._followed = classes
            form.layers.choose(classes)
        chosen = form.layers.chosen()
        if chosen is None:
            form.say("")  # what was said is of labels that are gone
        form.allow(
            is_there=chosen is not None,
            has_objects=self._made_of(chosen) is not None,
            was_told=self._again.has_told(chosen),
        )

    def ask_and_export(self) -> None:
        """Ask for a folder, and write what is ticked there."""
        folder = self._form.ask_for_folder()
        if folder:
            self.export(Path(folder))

    def export(self, folder: Path) -> None:
        """Write what is ticked; before files are replaced, a person is asked."""
        layer = self._form.layers.chosen()
        if layer is None:
            return
        try:
            job = self._job(layer, folder)
        except DiffSegError as error:
            self._on_failure(error)
            return
        self._form.say(_LOOKING)
        self._looks.ask(job)

    def close(self) -> None:
        """Hear of nothing any more."""
        self._form.wait.release()
        self._wanted.clear()
        self._looks.hold(None)
        self._writes.hold(None)

    # --- pieces of the above ------------------------------------------------------------

    def _made_of(self, labels: Labels | None) -> ObjectsLayer | None:
        """Return the objects that were made of labels; None where there are none."""
        made = None if self._objects.params is None else self._objects.layer
        return made if made is not None and made.is_on(labels) else None

    def _job(self, layer: Labels, folder: Path) -> Export:
        objects, made = self._objects, self._made_of(layer)
        wanted = object()
        self._wanted.add(wanted)
        job = Export(
            folder,
            name_of(layer),
            as_exported(objects, layer),
            self._form.parts(),
            ending=self._form.format.chosen(),
            more=self._again.frames(layer) if self._form.is_told() else {},
            stopped=lambda: wanted not in self._wanted,
        )
        source, params = objects.source, objects.params
        if made is None or source is None or params is None:
            return job
        found = as_exported(objects, made.layer, of=layer)
        # Told now, for the objects may be made anew while files are written.
        numbers, names = made.data.copy(), names_in(layer.features)
        size = objects.sizes.now(source.shown).pixel_size

        def measure() -> Columns:
            classes = params.class_numbers
            return join(until(job.stopped, source.measure(numbers, size, classes, names)))

        return replace(
            job,
            objects=replace(found, said={**found.said, "names": {}, "colors": {}}),
            table=measure,
            is_volume=source.shown.is_volume,
        )

    def _on_looked(self, answer: tuple[Export, list[str]]) -> None:
        job, standing = answer
        if standing and not self._form.ask_to_replace(standing):
            self._form.say("Nothing was written.")
            return
        self._form.say(_WRITING)
        self._writes.ask(replace(job, force=bool(standing)))

    def _on_written(self, answer: tuple[Export, int]) -> None:
        (job, n_files), folder = answer, answer[0].folder
        self._again.on_written(job)
        self._form.say(f"{count_in_words(n_files, 'file')} written to {folder}")

    def _on_stopped(self) -> None:
        self._wanted.clear()
        self._form.say(_STOPPED)

    def _on_failure(self, error: Exception) -> None:
        tell(self._form.say, error)


def _look(section: ExportSection, job: Export) -> tuple[Export, list[str]]:
    """Find out which files are there already."""
    return job, [path.name for path in job.standing()]


def _write(section: ExportSection, job: Export) -> Generator[float, None, tuple[Export, int]]:
    n_files = len(job.places())
    for n_written, _ in enumerate(job.write(), start=1):
        yield n_written / n_files
    return job, n_files
