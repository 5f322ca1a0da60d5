"""Make the pictures of docs/z-stack.md and docs/several-channels.md, in a real napari window.

xvfb-run python scripts/guide_pictures.py
"""

from __future__ import annotations

from typing import Any

import numpy as np
from napari_window import Window

from napari_diffseg.widgets.region.placement import camera_of

SIZE = (1110, 640)
PAINTED, DEEP = 26, 28
"""Planes: one with strokes, and one with a nucleus that these do not find."""
STROKE = (DEEP, 17, 150), (DEEP, 17, 164)
"""First and last place of a stroke on this nucleus."""


def z_stack() -> None:
    """Segment a volume by strokes on three planes, paint one stroke more, turn it around."""
    window = Window(SIZE)
    image, scribbles, _ = window.open_sample("simulated_stack")
    window.viewer.dims.set_current_step(0, PAINTED)
    dock = window.open_dock()
    dock.scribbles.choose(scribbles)
    window.photograph("z-stack-strokes")
    window.viewer.dims.set_current_step(0, DEEP)
    window.segment()
    window.photograph("z-stack-volume")
    dock.live_box.setChecked(True)
    paint(scribbles, 2)
    window.wait_for_end()
    window.photograph("z-stack-corrected")
    dock.live_box.setChecked(False)
    turn(window, image, scribbles)
    window.photograph("z-stack-3d")
    window.close()


def several_channels() -> None:
    """Segment one channel alone, then three together."""
    window = Window(SIZE)
    nuclei, cytoplasm, membranes, scribbles, *_ = window.open_sample("simulated_channels")
    window.viewer.layers.selection.active = nuclei
    dock = window.open_dock()
    dock.scribbles.choose(scribbles)
    dock.channels_fold.expand()
    window.photograph("channels-strokes")
    window.segment()
    window.photograph("channels-one")
    window.result.visible = False
    for layer in (cytoplasm, membranes):
        dock.channels.tick(layer)
    window.segment()
    window.photograph("channels-three")
    window.close()


def paint(layer: Any, number: int) -> None:
    """Paint a stroke as a mouse does: position by position, one item of history."""
    layer.mode = "paint"
    layer.brush_size = 4
    layer.selected_label = number
    first, last = np.array(STROKE, float)
    with layer.block_history():
        for share in np.linspace(0, 1, 20):
            layer.paint(first + share * (last - first), number)


def turn(window: Window, *hidden: Any) -> None:
    """Show the nuclei alone, from the side."""
    for layer in hidden:
        layer.visible = False
    result = window.result
    result.selected_label = 2
    result.show_selected_label = True
    result.opacity = 1
    window.viewer.dims.ndisplay = 3
    window.viewer.reset_view()
    camera = camera_of(window.viewer)
    camera.angles, camera.zoom = (0, 20, 55), 0.7 * camera.zoom
    window.wait(2)


if __name__ == "__main__":
    z_stack()
    several_channels()
