"""Models in the dock: joins the form, the newest result, and model files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal
from qtpy.QtWidgets import QFileDialog

from napari_diffseg.errors import DiffSegError, count_in_words
from napari_diffseg.io.label_files.export import file_name
from napari_diffseg.model_file import SUFFIX
from napari_diffseg.widgets.models.shelf import LOADED, RESULT, KnownModel, ModelShelf
from napari_diffseg.widgets.scribbles.class_names import names_in
from napari_diffseg.widgets.tasks.worker import LatestAnswer
from napari_diffseg.widgets.ui import words
from napari_diffseg.widgets.ui.notices import tell, to_clipboard
from napari_diffseg.widgets.ui.preferences import ask_for_file, start_in

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_diffseg.core.model.model import Model
    from napari_diffseg.widgets.models.form import ModelForm
    from napari_diffseg.widgets.segment.results import Results

_FILES = f"Models (*{SUFFIX})"
_LOADING = "Loading the model …"
_COPIED = "The model card was copied; paste it where you keep your notes."


class ModelSection:
    """Which models there are, and how they come from files and go to files."""

    changed = Signal()
    """Emitted when another model is chosen, or is there."""
    loaded = Signal()
    """Emitted after a model came from a file."""

    def __init__(
        self,
        form: ModelForm,
        results: Results,
        scribbles: Callable[[], Labels | None],
        shelf: ModelShelf,
    ) -> None:
        self._form, self._results, self.scribbles = form, results, scribbles
        self.shelf = shelf
        # Reading is slow the first time, because it loads torch.
        self._files = LatestAnswer(_read_model, self._on_loaded, partial(tell, form.say))
        self._files.hold(self)
        form.save_button.clicked.connect(lambda: self.ask_and_save())
        form.load_button.clicked.connect(lambda: self.ask_and_load())
        form.card_button.clicked.connect(lambda: self.copy_card())
        self._show()

    def follow(self) -> None:
        """Take notice of the newest result."""
        segmentation, layer = self._results.segmentation, self._results.finished
        if segmentation is None or layer is None:
            return
        model = segmentation.model
        name = layer.source.layer_names[0]
        self.shelf.put_result(
            KnownModel(
                model,
                f"newest result, {name}",
                layer.colors(model.labels),
                self._names(),
                name,
                layer.source.pixel_size,
            )
        )
        self._show()
        self.changed.emit()

    def choose(self, key: str) -> None:
        """Apply this one from now on."""
        self.shelf.choose(key)
        self._show()
        self.changed.emit()

    # --- files ------------------------------------------------------------------------

    def ask_and_load(self) -> None:
        """Ask for a file and load the model in it."""
        path, _ = QFileDialog.getOpenFileName(self._form, "Load a model", start_in(), _FILES)
        if path:
            self.load(path)

    def load(self, path: str) -> None:
        """Load a model; it is chosen as soon as it is there."""
        self._form.say(_LOADING)
        self._files.ask(path)

    def ask_and_save(self) -> None:
        """Ask for a name and save the model that is chosen."""
        known = self._named()
        if known is None:
            return
        proposed = file_name(known.image or Path(known.title).stem) + SUFFIX
        path = ask_for_file(self._form, "Save the model", proposed, _FILES)
        if path:
            self.save(path)

    def save(self, path: str) -> None:
        """Save the model that is chosen; a file that is there is replaced."""
        known = self._named()
        if known is None:
            return
        try:
            known.to_save().save(path, force=True)
        except DiffSegError as error:
            tell(self._form.say, error)
            return
        self.shelf.note_saved(Path(path))
        self._form.say(f"Saved: {path}")

    def copy_card(self) -> None:
        """Copy the card of the model that is chosen."""
        known = self._named()
        if known is not None:
            to_clipboard(known.to_save().card())
            self._form.say(_COPIED)

    def close(self) -> None:
        """Hear of nothing any more."""
        self._files.hold(None)
        self.changed.disconnect()
        self.loaded.disconnect()

    # --- pieces of the above ------------------------------------------------------------

    def _names(self) -> dict[int, str]:
        layer = self.scribbles()
        return {} if layer is None else names_in(layer.features)

    def _named(self) -> KnownModel | None:
        """Return the chosen model, with the names that its classes have now."""
        if self.shelf.key == RESULT and self.scribbles() is not None:
            self.shelf.rename_classes(self._names())
        return self.shelf.chosen

    def _on_loaded(self, answer: tuple[Model, str]) -> None:
        model, path = answer
        self.shelf.put_loaded(model, Path(path))
        self._form.say("")
        self._show()
        self.loaded.emit()
        self.changed.emit()

    def _show(self) -> None:
        known = self.shelf.chosen
        if known is None:
            self._form.show_model(words.NO_MODEL, is_there=False)
            return
        origin = (
            f"Loaded from {known.title}" if self.shelf.key == LOADED else "Of the newest result"
        )
        about = model_in_words(known.model, known.names)
        self._form.show_model(f"{origin}: {about}", is_there=True)


def _read_model(section: Any, path: str) -> tuple[Model, str]:
    from napari_diffseg.core.model.model import Model

    return Model.load(path), path


def model_in_words(model: Model, names: Mapping[int, str]) -> str:
    """Return what a model takes and gives, e.g. ``"1 channel → 2 labels: nuclei, 2"``."""
    channels = "RGB" if model.facts.rgb else count_in_words(model.n_channels, "channel")
    called = [names.get(label, str(label)) for label in model.labels]
    named = any(label in names for label in model.labels)
    listed = f": {', '.join(called)}" if named else ""
    return f"{channels} → {count_in_words(len(model.labels), 'label')}{listed}"
