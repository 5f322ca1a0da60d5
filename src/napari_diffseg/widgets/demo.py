"""The dock widget, driven by itself: ``python -m napari_diffseg.widgets.demo -o DIR``.

Opens napari with a sample image, opens the dock widget, presses *Segment*, waits for
the end and writes the labels and a picture of the window.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import numpy as np
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication
from skimage.io import imsave

from napari_diffseg.errors import DiffSegError, OutputError
from napari_diffseg.io.label_files.writing import write_labels
from napari_diffseg.widgets.tasks.session import SessionState
from napari_diffseg.widgets.ui.remembered import defaults_only

if TYPE_CHECKING:
    from napari_diffseg.widgets.segment.dock import SegmentDock

_LONGEST = 600.0
"""Seconds after which the demonstration gives up."""
_WINDOW = (1300, 860)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration; return the exit code."""
    parser = argparse.ArgumentParser(prog="napari_diffseg.widgets.demo", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("demo-output"), metavar="DIR")
    parser.add_argument("--stay", action="store_true", help="leave the window open")
    args = parser.parse_args(arguments)
    # It shows the same to everybody, and leaves what a person set last as it is.
    with defaults_only():
        try:
            _make_folder(args.output)
            viewer = napari.Viewer(title="napari-diffseg", show_welcome_screen=False)
            viewer.window.resize(*_WINDOW)
            for path in run_demo(viewer, args.output):
                print(path)
        except DiffSegError as error:
            print(f"demo: {error}", file=sys.stderr)
            return 1
        if args.stay:
            napari.run()
        else:
            viewer.close()
    return 0


def run_demo(viewer: napari.Viewer, folder: Path) -> list[Path]:
    """Segment the sample image by pressing the button; write labels and pictures."""
    start = time.perf_counter()
    viewer.open_sample("napari-diffseg", "immunohistochemistry")
    _, dock = viewer.window.add_plugin_dock_widget("napari-diffseg", "Segment")
    # The dock has taken a part of the canvas, for which the image is now too large.
    QApplication.processEvents()
    viewer.reset_view()
    dock.segment_button.click()
    _wait_for_end(dock)
    labels_layer = viewer.layers[-1]
    labels = np.asarray(labels_layer.data)
    provenance = labels_layer.metadata["napari_diffseg"]
    paths = [folder / name for name in ("labels.ome.tif", "labels.png")]
    for path in paths:
        write_labels(path, labels, provenance=provenance, force=True)
    # The window as a person sees it, then the canvas alone.
    for name, canvas_only in (("screenshot.png", False), ("overlay.png", True)):
        paths.append(folder / name)
        picture = viewer.screenshot(canvas_only=canvas_only, flash=False)
        imsave(paths[-1], picture[..., :3], check_contrast=False)
    print(
        f"{dock.view.run_view.status.text()} Window and all: {time.perf_counter() - start:.1f} s. "
        "Written:"
    )
    return paths


def _wait_for_end(dock: SegmentDock) -> None:
    """Let napari live until the run has ended, which may wait until it can begin."""
    end = time.monotonic() + _LONGEST
    while dock.press.is_busy and time.monotonic() < end:
        _live(20)
    if dock.session.state is not SessionState.DONE:
        raise DiffSegError(dock.view.run_view.status.text())
    # Let the window draw the result before it is photographed.
    _live(500)


def _live(milliseconds: int) -> None:
    """Let napari live for a while."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder {folder} cannot be made ({error.strerror}); choose another with -o."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
