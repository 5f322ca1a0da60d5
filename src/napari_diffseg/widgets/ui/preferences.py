"""What a lab sets once, on the plugin's page of napari's Preferences; the manifest declares it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget

from napari_diffseg.parameters import Scalar, SelfDescribing, param
from napari_diffseg.params import RunOptions, SegmentationParams

PLUGIN, PAGE = "napari-diffseg", "dock"


def _as_in(kind: type[SelfDescribing], name: str) -> Any:
    """Declare a field that says what the parameter or the option of that name says."""
    spec = next(one for one in kind.specs() if one.name == name)
    # A page lists what it lets choose; any other device is chosen in the dock.
    choices = tuple(spec.values) if spec.kind is str else ()
    words = {"low": spec.low, "high": spec.high, "choices": choices}
    title = f"{spec.title} (0: {spec.title_of(0)})" if 0 in spec.values else spec.title
    return param(spec.default, title, spec.about(), **words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences(SelfDescribing):
    """How the dock opens; what is as in the default leaves it as it was when it was last used."""

    n_labels: int = _as_in(SegmentationParams, "n_labels")
    device: str = _as_in(RunOptions, "device")
    threads: int = _as_in(RunOptions, "threads")
    is_live: bool = param(
        False, "Live", "Let the result follow each stroke, as soon as the dock is opened."
    )
    folder: str = param(
        "",
        "Folder for files",
        "Where the dialogs for files start; empty for the folder in which napari was started.",
    )

    def differing_from(self, other: Preferences) -> dict[str, Scalar]:
        """Return what is not as in others."""
        return {
            name: value for name, value in self.to_dict().items() if value != getattr(other, name)
        }


def read_preferences() -> Preferences:
    """Return what is set; the defaults where napari has no such pages (before 0.9)."""
    try:
        from napari.settings import get_plugin_settings

        page = getattr(get_plugin_settings(PLUGIN), PAGE)
    except (ImportError, KeyError):
        return Preferences()
    return Preferences(**{one.name: getattr(page, one.name) for one in Preferences.specs()})


def ask_for_file(parent: QWidget, title: str, name: str, kind: str) -> str:
    """Ask for a file of a kind such as ``"Tables (*.csv)"``; an empty text where a person cancels.

    What is typed without the ending of the kind gets it: of that file the dialog has not asked
    whether it may be replaced.
    """
    path, _ = QFileDialog.getSaveFileName(parent, title, start_in(name), kind)
    ending = kind.partition("*")[2].rstrip(")")
    if not path or path.lower().endswith(ending):
        return path
    file = Path(path + ending)
    return str(file) if not file.exists() or ask_to_replace(parent, [file.name]) else ""


def ask_to_replace(parent: QWidget, names: list[str]) -> bool:
    """Ask whether files that are there may be replaced."""
    listed = "\n".join(names[:8] + (["…"] if len(names) > 8 else []))
    question = f"These are in the folder already:\n\n{listed}\n\nReplace them?"
    answer = QMessageBox.question(parent, "Replace files?", question)
    return answer == QMessageBox.StandardButton.Yes


def start_in(name: str = "") -> str:
    """Return where a dialog starts that asks for a folder, or for a file of this name."""
    folder = read_preferences().folder
    return str(Path(folder, name)) if folder else name
