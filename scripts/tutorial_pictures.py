"""Make the pictures of docs/scribbles.md: python scripts/tutorial_pictures.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.color import label2rgb
from skimage.data import immunohistochemistry
from skimage.draw import line
from skimage.io import imsave
from skimage.morphology import dilation, disk
from skimage.util import img_as_ubyte

from napari_diffseg import segment

FOLDER = Path(__file__).parents[1] / "docs" / "images"
COLORS = [(0.11, 0.62, 0.87), (0.95, 0.45, 0.13), (0.75, 0.93, 0.35), (0.62, 0.35, 0.84)]

# Class, first and last point (y, x) of each stroke; the third is the correction.
STROKES = [
    (1, (110, 90), (60, 150)),
    (2, (245, 175), (300, 215)),
    (3, (370, 10), (450, 20)),
]


def paint(shape: tuple[int, int], strokes: list[tuple[int, tuple[int, int], tuple[int, int]]]):
    """Return scribbles ``(y, x)``, each stroke 7 pixels wide."""
    scribbles = np.zeros(shape, np.uint8)
    for number, first, last in strokes:
        scribbles[line(*first, *last)] = number
    return dilation(scribbles, disk(3))


def picture(image: NDArray[np.uint8], labels: NDArray[np.integer], alpha: float = 0.45):
    """Lay labels over an image."""
    numbers = np.where(labels > 0, (labels - 1) % len(COLORS) + 1, 0)
    shown = label2rgb(numbers, image, [COLORS[n - 1] for n in np.unique(numbers) if n], alpha)
    return img_as_ubyte(shown)


def main() -> None:
    """Segment, paint two strokes, paint one more."""
    image = immunohistochemistry()
    plain = segment(image, axes="YXC")
    pictures = [picture(image, plain.with_n_labels(4).labels)]
    result = plain
    for n_strokes in (2, 3):
        scribbles = paint(image.shape[:2], STROKES[:n_strokes])
        result = result.correct(scribbles)
        painted = picture(image, scribbles, alpha=1.0)
        pictures.append(np.where(scribbles[..., None] > 0, painted, image))
        pictures.append(picture(image, result.labels))
    unsure = np.repeat(img_as_ubyte(result.uncertainty.clip(0, 1))[..., None], 3, axis=2)
    pictures.append(unsure)
    names = ("before", "two-strokes", "two-classes", "third-stroke", "three-classes", "unsure")
    for name, one in zip(names, pictures, strict=True):
        imsave(FOLDER / f"scribbles-{name}.png", one[::2, ::2], check_contrast=False)


if __name__ == "__main__":
    main()
