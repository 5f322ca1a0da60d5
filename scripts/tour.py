"""Make the moving picture of the README, docs/images/tour.gif, in a real napari window.

xvfb-run python scripts/tour.py
"""

from __future__ import annotations

from typing import Any

import numpy as np
from napari_window import IMAGES, Window
from PIL import Image
from tutorial_pictures import STROKES

SIZE = (1210, 640)
WIDTH = 800
"""Of the moving picture."""
N_COLORS = 96


class Film:
    """Pictures of a window, and how long each is shown."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.pictures: list[Image.Image] = []
        self.milliseconds: list[int] = []

    def take(self, seconds: float) -> None:
        """Add a picture of the window as it is now."""
        self.window.wait(0.05)
        picture = Image.fromarray(np.ascontiguousarray(self.window.pixels()))
        height = round(picture.height * WIDTH / picture.width)
        self.pictures.append(picture.resize((WIDTH, height), Image.Resampling.LANCZOS))
        self.milliseconds.append(round(1000 * seconds))

    def save(self, name: str) -> None:
        """Write an animated GIF in colours that all pictures share, or it would flicker."""
        sample = [np.asarray(picture)[::4] for picture in self.pictures]
        colors = Image.fromarray(np.concatenate(sample))
        # Median cut would give a class that comes late and is small the colour of another.
        palette = colors.quantize(N_COLORS, Image.Quantize.MAXCOVERAGE)
        first, *others = [
            picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in self.pictures
        ]
        first.save(
            IMAGES / f"{name}.gif",
            save_all=True,
            append_images=others,
            duration=self.milliseconds,
            loop=0,
            optimize=True,
        )


def paint(film: Film, layer: Any, stroke: tuple[int, tuple[int, int], tuple[int, int]]) -> None:
    """Paint a stroke as a mouse does, and film it."""
    number, first, last = stroke
    layer.mode, layer.brush_size, layer.selected_label = "paint", 9, number
    with layer.block_history():
        for part in np.split(np.linspace(0, 1, 24), 4):
            for share in part:
                layer.paint(np.add(first, share * np.subtract(last, first)), number)
            film.take(0.15)


def main() -> None:
    """Press Segment, move the slider, paint three strokes with Live on."""
    window = Window(SIZE)
    window.open_sample("immunohistochemistry")
    dock = window.open_dock()
    film = Film(window)
    film.take(1.5)
    window.segment()
    film.take(1.8)
    slider = dock.knobs.labels.slider
    for value in range(slider.value(), 1, -1):
        slider.setValue(value)
        window.wait(0.5)
        film.take(0.7)
    dock.scribbles.new_button.click()
    layer = dock.section.layer
    window.result.visible = False
    dock.live_box.setChecked(True)
    window.wait(1)  # until all has its place
    film.take(0.8)
    for number, stroke in enumerate(STROKES):
        paint(film, layer, stroke)
        if number:
            window.wait(1)
            window.wait_for_end()
            window.result.visible = True
            film.take(2)
    film.save("tour")
    window.close()


if __name__ == "__main__":
    main()
