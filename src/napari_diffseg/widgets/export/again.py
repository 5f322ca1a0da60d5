"""The same run again: what made the labels that are chosen, as text for the clipboard or a page."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.batch.recipe import Recipe
from napari_diffseg.errors import DiffSegError, InputError
from napari_diffseg.image.axes import channels_first
from napari_diffseg.io.label_files.export import file_name
from napari_diffseg.io.label_files.frames import LabelFrames
from napari_diffseg.io.report import write_report
from napari_diffseg.widgets.export.rerun import RunOnFiles, files_of
from napari_diffseg.widgets.files.labels import labels_of_layer
from napari_diffseg.widgets.scribbles.class_names import names_in
from napari_diffseg.widgets.tasks.worker import LatestAnswer
from napari_diffseg.widgets.ui import words
from napari_diffseg.widgets.ui.notices import tell, to_clipboard

if TYPE_CHECKING:
    import napari
    from napari.layers import Labels

    from napari_diffseg.core.result import Segmentation
    from napari_diffseg.image.pixel_size import PixelSize
    from napari_diffseg.io.label_files.export import Export
    from napari_diffseg.widgets.batch.section import ApplySection
    from napari_diffseg.widgets.export.form import ExportForm
    from napari_diffseg.widgets.image.image_source import ImageSource
    from napari_diffseg.widgets.models.shelf import ModelShelf
    from napari_diffseg.widgets.objects.section import ObjectsSection
    from napari_diffseg.widgets.segment.results import Results

_LOOKING = "Comparing the image with its file …"
_WRITING = "Writing the report …"
_NO_RUN = (
    "These labels are of no run that this window knows; choose, under From, the newest result or "
    "the newest labels of a model."
)
_EDITED = "The labels were edited by hand, which no run does again; export them instead."
_OBJECTS_EDITED = "The objects were edited by hand, so they are not in it."
_ELSEWHERE = (
    "The result was learned from other planes of the stack too, which a copied run cannot name; "
    "choose 'this plane only' under Scribbles, or save the model and apply that."
)
_STOPPED = "You stopped the run; done again, it goes on to its end."
_NO_FILE_OF_MODEL = "The model is in no file; save it (under Model), and copy again."


@dataclass(frozen=True, eq=False, slots=True)
class _Told:
    """The run of the labels that are chosen: what it was told, and what a person should know."""

    run: RunOnFiles
    notes: tuple[str, ...] = ()
    was_edited: Callable[[], bool] = lambda: False  # Where that is told in a thread


class RunAgain:
    """Copies the run of the chosen labels, and writes the report of a result."""

    def __init__(
        self,
        viewer: napari.Viewer,
        form: ExportForm,
        results: Results,
        objects: ObjectsSection,
        applying: ApplySection,
        shelf: ModelShelf,
    ) -> None:
        self._viewer, self._form, self._results = viewer, form, results
        self._objects, self._applying, self._shelf = objects, applying, shelf
        # The files that strokes and a region were exported to last, and which these were.
        self._written: dict[str, tuple[Path, Any]] = {}
        self._texts = LatestAnswer(_ask, self._on_text, partial(tell, form.say))
        self._reports = LatestAnswer(_ask, self._on_report, partial(tell, form.say))
        form.wait.follow(self._texts)
        form.wait.follow(self._reports)
        self._texts.hold(self)
        self._reports.hold(self)
        form.python_button.clicked.connect(lambda: self.copy("Python"))
        form.shell_button.clicked.connect(lambda: self.copy("a shell command"))
        form.report_button.clicked.connect(lambda: self.ask_and_report())

    def copy(self, what: str) -> None:
        """Put the run on the clipboard, as Python or as a shell command."""
        try:
            told = self._told()
        except DiffSegError as error:
            self._form.say(str(error), wrong=True)
            return
        self._form.say(_LOOKING)
        said = " ".join([f"Copied as {what}.", *told.notes])
        self._texts.ask(lambda: (_text(told, what), said))

    def ask_and_report(self) -> None:
        """Ask for a file, and write the report of the result there."""
        layer = self._form.layers.chosen()
        if layer is None:
            return
        if self._result_of(layer) is None:
            self._form.say("A report is made of the newest result; choose it under From.")
            return
        path = self._form.ask_for_report(f"{file_name(str(layer.name))}.html")
        if path:
            self.report(Path(path))

    def report(self, path: Path) -> None:
        """Write the report of the result; a file that is there is replaced."""
        layer = self._form.layers.chosen()
        result = None if layer is None else self._result_of(layer)
        if layer is None or result is None or self._results.request is None:
            return
        source, python, notes = self._results.request.source, None, result.notes
        try:
            told = self._told()
            python, notes = told.run.python, (*notes, *told.notes)
        except DiffSegError as error:
            notes = (*notes, str(error))
        names = names_in(layer.features)
        self._form.say(_WRITING)
        self._reports.ask(partial(_report, path, result, source, names, notes, python))

    def frames(self, layer: Labels) -> dict[str, LabelFrames]:
        """Return strokes and region of the run of a layer, each under its title."""
        keys, request = self._keys(layer), self._results.request
        size = None if request is None else request.source.pixel_size
        frames: dict[str, LabelFrames] = {}
        if "scribbles" in keys:
            painted = keys["scribbles"].painted
            frames["scribbles"] = _frames(keys["scribbles"], painted.shape, lambda: painted, size)
        if "region" in keys:
            region = keys["region"]
            frames["region"] = _frames(region, region.shape, region.mask, size)
        return frames

    def on_written(self, job: Export) -> None:
        """Take notice of the files that strokes and regions are in now."""
        for title, frames in job.more.items():
            if isinstance(frames, _ToldFrames):
                self._written[title] = job.place(title), frames.of

    def close(self) -> None:
        """Hear of nothing any more."""
        self._texts.hold(None)
        self._reports.hold(None)

    # --- which run ----------------------------------------------------------------------

    def _result_of(self, layer: Labels) -> Segmentation | None:
        """Return the newest result, where this is its layer and nobody has edited it."""
        finished = self._results.finished
        if finished is None or not finished.is_layer(layer) or finished.was_edited:
            return None
        return self._results.segmentation

    def _told(self) -> _Told:
        """Return the run of the chosen labels; raises a `DiffSegError` where there is none."""
        layer, finished = self._form.layers.chosen(), self._results.finished
        applied = self._applying.layer
        if layer is not None and finished is not None and finished.is_layer(layer):
            return self._told_result(layer)
        if layer is not None and applied is not None and applied.is_layer(layer):
            return self._told_model()
        raise InputError(_NO_RUN)

    def _told_result(self, layer: Labels) -> _Told:
        result, request = self._result_of(layer), self._results.request
        if result is None or request is None:
            raise InputError(_EDITED)
        if result.references:
            raise InputError(words.of_frames(_ELSEWHERE, request.source.is_movie))
        files = {title: self._file(layer, title, key) for title, key in self._keys(layer).items()}
        objects, notes = self._objects, []
        missing = [repr(path.name) for path in files.values() if not path.is_absolute()]
        if missing:
            notes.append(
                f"It reads {' and '.join(missing)}: export Strokes and region, and run it in the "
                "folder of these files."
            )
        if result.stop_reason.name == "FINISHED":  # by name, so that no torch is loaded for it
            notes.append(_STOPPED)
        params = None
        if objects.layer is not None and objects.layer.is_on(layer):
            params = None if objects.layer.was_edited else objects.params
            notes += [_OBJECTS_EDITED] if objects.layer.was_edited else []
        told = replace(
            self._labels_told(layer),
            params=result.params,
            scribbles=files.get("scribbles"),
            region=files.get("region"),
            objects=params,
        )
        run = RunOnFiles(request.source, files_of(self._viewer, request.source), told)
        return _Told(run, tuple(notes))

    def _told_model(self) -> _Told:
        job, applied = self._applying.newest.on_layers, self._applying.layer
        if job is None or job.in_view is None or applied is None:
            raise InputError(_NO_RUN)
        path = self._shelf.path_of(job.model)
        if path is None:
            raise InputError(_NO_FILE_OF_MODEL)
        stack = job.stack
        source = stack.shown.at(stack.position(job.in_view))
        told = replace(self._labels_told(applied.layer), model=path, apply_params=job.params)
        run = RunOnFiles(source, files_of(self._viewer, source), told)
        if stack.n_frames == 1:
            return _Told(run, (), applied.was_edited)
        letters = source.letters + ("C" if source.rgb and len(source.arrays) == 1 else "")
        note = f"Python labels the frame {stack.name(job.in_view)}, the shell all of the file."
        return _Told(replace(run, stack_axes=letters), (note,), applied.was_edited)

    def _labels_told(self, layer: Labels) -> Recipe:
        """Return what is written of labels beside themselves, as Export does."""
        said = as_exported(self._objects, layer).said
        names, colors = said.get("names") or {}, said.get("colors") or {}
        size = said.get("pixel_size")
        return Recipe(Path(), names=names, colors=colors if names else {}, pixel_size=size)

    # --- strokes and region -------------------------------------------------------------

    def _keys(self, layer: Labels) -> dict[str, Any]:
        """Return what tells the strokes and the region of a run from others."""
        result, request = self._result_of(layer), self._results.request
        keys: dict[str, Any] = {}
        if result is not None and result.scribbles is not None and result.scribbles.classes:
            keys["scribbles"] = result.scribbles
        if result is not None and request is not None and request.source.region is not None:
            keys["region"] = request.source.region
        return keys

    def has_told(self, layer: Labels | None) -> bool:
        """Whether the run of a layer had strokes or a region."""
        return layer is not None and bool(self._keys(layer))

    def _file(self, layer: Labels, title: str, key: Any) -> Path:
        """Return the file that strokes or a region are in, or will be in once exported."""
        path, written = self._written.get(title, (Path(), None))
        if written is key and path.exists():
            return path.absolute()
        return Path(file_name(f"{name_of(layer)} {title}{self._form.format.chosen()}"))

    # --- answers ------------------------------------------------------------------------

    def _on_text(self, answer: tuple[str, str]) -> None:
        text, said = answer
        to_clipboard(text)
        self._form.say(said)

    def _on_report(self, path: Path) -> None:
        self._form.say(f"The report was written to {path}")


def name_of(layer: Labels) -> str:
    """Return what begins the names of exported files: what of the layer says no more than they."""
    # napari numbers layers of one name: "cells labels [1]".
    return re.sub(r" labels( \[\d+\])?$", r"\1", str(layer.name))


def as_exported(objects: ObjectsSection, layer: Labels, of: Labels | None = None) -> LabelFrames:
    """Describe a layer of labels, or of objects made of such, as what files are written from."""
    shown = objects.classes.describe_layer(layer if of is None else of).shown
    return labels_of_layer(layer, objects.sizes.said(shown))


def _text(told: _Told, what: str) -> str:
    if told.was_edited():
        raise InputError(_EDITED)
    return told.run.python() if what == "Python" else told.run.shell()


def _ask(section: RunAgain, question: Callable[[], Any]) -> Any:
    return question()


@dataclass(frozen=True, eq=False)
class _ToldFrames(LabelFrames):
    """Strokes or a region, and what tells them from others."""

    of: Any = None


def _frames(
    of: Any,
    shape: tuple[int, ...],
    array: Callable[[], NDArray[Any]],
    size: PixelSize | None,
) -> _ToldFrames:
    """Describe an array ``(y, x)`` or ``(z, y, x)`` as what files of labels are written from."""

    def planes() -> Iterator[NDArray[Any]]:
        yield from array().astype(np.uint16).reshape(-1, *shape[-2:])

    axes, kind = "ZYX"[-len(shape) :], np.dtype(np.uint16)
    return _ToldFrames(axes, shape, kind, planes, {"pixel_size": size}, of)


def _report(
    path: Path,
    result: Segmentation,
    source: ImageSource,
    names: dict[int, str],
    notes: tuple[str, ...],
    python: Callable[[], str] | None,
) -> Generator[float, None, Path]:
    """Write a report; without lines of Python where the run cannot be done again."""
    recipe = ""
    if python is not None:
        try:
            recipe = python()
        except DiffSegError as error:
            notes = (*notes, str(error))
    yield 0.2
    pixels = channels_first(source.pixels(), source.image_axes)
    yield 0.4
    write_report(
        path,
        result.labels,
        pixels,
        title=", ".join(source.layer_names),
        provenance=result.provenance(),
        rgb=source.rgb,
        class_names=names,
        notes=notes,
        recipe=recipe,
        force=True,
    )
    return path
