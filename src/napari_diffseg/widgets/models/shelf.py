"""The models that a dock can apply: that of the newest result, and one from a file; no Qt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_diffseg.core.model.model import Model
    from napari_diffseg.image.pixel_size import PixelSize

RESULT, LOADED = "result", "loaded"


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model, and what a person knows it by."""

    model: Model  # The model
    title: str  # Where it comes from
    colors: Mapping[int, NDArray[Any]] = field(default_factory=dict)  # Colours of its labels
    names: Mapping[int, str] = field(default_factory=dict)  # Names of its classes
    image: str = ""  # What it was trained on, where that was here …
    pixel_size: PixelSize | None = None  # … and how large its pixels are
    path: Path | None = None  # The file that it was loaded from or saved to

    def to_save(self) -> Model:
        """Return the model with the names, the colours and the pixel size that are known here."""
        facts = facts_known(self.model.labels, self.names, self.colors, self.pixel_size)
        return self.model.with_facts(**facts)


class ModelShelf:
    """At most two models, one of which is chosen: the newest, unless a person chose the other."""

    def __init__(self) -> None:
        self._models: dict[str, KnownModel] = {}
        self._key: str | None = None

    @property
    def key(self) -> str | None:
        """Which one is chosen."""
        return self._key

    @property
    def chosen(self) -> KnownModel | None:
        """The model to apply; None where there is none."""
        return None if self._key is None else self._models[self._key]

    @property
    def titles(self) -> dict[str, str]:
        """Key and title of each."""
        return {key: known.title for key, known in self._models.items()}

    def put_result(self, known: KnownModel) -> None:
        """Take the model of a result; a new one is chosen."""
        before = self._models.get(RESULT)
        self._models[RESULT] = known
        if before is None or before.model is not known.model:
            self._key = RESULT
        elif known.path is None:
            self._models[RESULT] = replace(known, path=before.path)

    def put_loaded(self, model: Model, path: Path) -> None:
        """Take a model from a file, and choose it."""
        facts = model.facts
        colors = {one: np.asarray(color) for one, color in facts.class_colors.items()}
        names = dict(facts.class_names)
        self._models[LOADED] = KnownModel(model, path.name, colors, names, path=path)
        self._key = LOADED

    def choose(self, key: str) -> None:
        """Choose one that is there."""
        if key in self._models:
            self._key = key

    def note_saved(self, path: Path) -> None:
        """Take notice of the file that the chosen model is in now."""
        for key, known in self._models.items():
            if known.path == path:
                self._models[key] = replace(known, path=None)
        if self._key is not None:
            self._models[self._key] = replace(self._models[self._key], path=path)

    def path_of(self, model: Model) -> Path | None:
        """Return the file that a model is in; None where it is in none."""
        known = (one for one in self._models.values() if one.model is model)
        return next((one.path for one in known if one.path is not None and one.path.exists()), None)

    def rename_classes(self, names: Mapping[int, str]) -> None:
        """Take notice that the classes of the result are called otherwise."""
        if RESULT in self._models:
            self._models[RESULT] = replace(self._models[RESULT], names=dict(names))


def facts_known(
    labels: Iterable[int],
    names: Mapping[int, str],
    colors: Mapping[int, NDArray[Any]] | None = None,
    pixel_size: PixelSize | None = None,
) -> dict[str, Any]:
    """Return what `Model.with_facts` is to be told."""
    labels = tuple(labels)
    facts: dict[str, Any] = {"class_names": {one: names[one] for one in labels if one in names}}
    if colors is not None:
        facts["class_colors"] = {
            one: tuple(float(part) for part in colors[one]) for one in labels if one in colors
        }
    if pixel_size is not None:
        facts["pixel_size"] = pixel_size
    return facts
