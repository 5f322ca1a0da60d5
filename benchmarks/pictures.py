"""Picture grids: image, ground truth, ours, and the other methods.

``docs/images/comparison.png`` shows images that scikit-image ships. The development images
may not be shipped, so their grids go to a folder outside the project::

    python -m benchmarks.pictures                               # docs/images/comparison.png
    python -m benchmarks.pictures --data DIR --pictures FOLDER  # photographs, micrographs
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from benchmarks.baselines.graph import felzenszwalb_regions
from benchmarks.baselines.intensities import kmeans_clusters
from benchmarks.baselines.unsupervised import CHOSEN, CLUSTERINGS, PARTITIONS
from benchmarks.datasets import MODALITIES, micrographs, photos
from napari_diffseg import SegmentationParams, segment

Pixels = NDArray[Any]
Labels = NDArray[np.integer | np.bool_]
Row = dict[str, NDArray[Any]]
"""Pictures ``y x c`` by their titles."""

COMPARISON = Path(__file__).parents[1] / "docs" / "images" / "comparison.png"
N_PHOTOS = 4
N_CLUSTERS = 8
"""Labels that every method gets on micrographs and in the comparison."""

_CELL_INCHES = 2.4
_TITLE_INCHES = 0.4
_TITLE_LETTERS = 28  # of a line of a title
_DOTS_PER_INCH = 110
_COLORS = 128  # of the palette that keeps the committed picture small


def our_labels(pixels: Pixels, n_labels: int | None = None) -> Labels:
    """Labels of the default, at most so many where that is said."""
    axes = "YXC" if pixels.ndim == 3 else "YX"
    params = SegmentationParams() if n_labels is None else SegmentationParams(n_labels=n_labels)
    return segment(pixels, axes=axes, params=params).labels


def shown(pixels: Pixels) -> NDArray[np.uint8]:
    """Stretch an image to 8 bits; three equal channels where it has one."""
    if pixels.dtype == np.uint8 and pixels.ndim == 3:
        return pixels
    low, high = np.percentile(pixels, (0.1, 99.9))
    stretched = ((pixels - low) / max(high - low, 1e-12)).clip(0, 1)
    gray = (255 * stretched).astype(np.uint8)
    return np.stack([gray] * 3, axis=-1) if gray.ndim == 2 else gray


def painted(labels: Labels) -> NDArray[np.floating]:
    """Give each label a colour of its own, the largest the first; after 20 they come again."""
    _, numbers, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    ranks = np.argsort(np.argsort(-sizes, kind="stable"))
    colors = np.array(colormaps["tab20"](range(20)))[:, :3]
    return colors[ranks[numbers].reshape(labels.shape) % len(colors)]


def draw(rows: Sequence[Row], file: Path, palette: int = 0) -> None:
    """Write the rows of pictures as one image; with few colours where a palette is asked for."""
    n_columns = max(len(row) for row in rows)
    firsts = [next(iter(row.values())) for row in rows]
    heights = [_TITLE_INCHES + _CELL_INCHES * one.shape[0] / one.shape[1] for one in firsts]
    size = (n_columns * _CELL_INCHES, sum(heights))
    figure = Figure(size, layout="constrained")
    grid = figure.subplots(
        len(rows), n_columns, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for row, line in zip(rows, grid, strict=True):
        for axes in line:
            axes.axis("off")
        for axes, (title, picture) in zip(line, row.items(), strict=False):
            axes.imshow(picture, interpolation="nearest")
            axes.set_title(fill(title, _TITLE_LETTERS), fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=_DOTS_PER_INCH)
    if palette:
        with Image.open(file) as drawn:
            small = drawn.convert("RGB").quantize(palette)
        small.save(file, optimize=True)
    print("wrote", file)


def comparison_rows() -> list[Row]:
    """Images that scikit-image ships: ours, k-means with as many labels, Felzenszwalb."""
    images = [data.immunohistochemistry(), data.cell(), data.coins(), data.coffee()]
    rows = []
    for pixels in images:
        ours = our_labels(pixels, N_CLUSTERS)
        methods = {
            f"ours, {len(np.unique(ours))} labels": ours,
            f"k-means, k = {N_CLUSTERS}": kmeans_clusters(pixels, N_CLUSTERS),
            "Felzenszwalb 200 / 0.8 / 50": felzenszwalb_regions(shown(pixels), scale=200),
        }
        pictures = {name: painted(labels) for name, labels in methods.items()}
        rows.append({"image": shown(pixels), **pictures})
    return rows


def photo_rows(path: str, names: Sequence[str]) -> list[Row]:
    """Some photographs: the finest annotation, ours, and the named baselines."""
    images = list(photos(path))
    rows = []
    for image in images[:: max(len(images) // N_PHOTOS, 1)][:N_PHOTOS]:
        labels: dict[str, Labels] = {
            "finest annotation": max(image.annotations, key=lambda truth: len(np.unique(truth))),
            "ours": our_labels(image.pixels),
            **{name: PARTITIONS[name](image.pixels) for name in names},
        }
        pictures = {name: painted(one) for name, one in labels.items()}
        rows.append({image.name: image.pixels, **pictures})
    return rows


def micrograph_rows(path: str) -> list[Row]:
    """The first image of each modality: ground truth, ours and the others at one K."""
    firsts = {image.modality: image for image in reversed(list(micrographs(path)))}
    methods: dict[str, Callable[[Pixels, int], Labels]] = {"ours": our_labels, **CLUSTERINGS}
    rows = []
    for modality in MODALITIES.values():
        image = firsts[modality]
        labels = {name: method(image.pixels, N_CLUSTERS) for name, method in methods.items()}
        pictures = {
            f"{name}, {len(np.unique(one))} labels": painted(one) for name, one in labels.items()
        }
        truth = painted(image.foreground)
        rows.append({image.name: shown(image.pixels), "ground truth": truth, **pictures})
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the comparison, or the grids of the development images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--pictures", type=Path, help="folder for the development images' grids")
    options = parser.parse_args(arguments)
    if options.pictures is None:
        draw(comparison_rows(), COMPARISON, palette=_COLORS)
        return
    names = ["k-means, k = 17", "Felzenszwalb 200 / 0.8 / 50"]
    names += [f"{name} {CHOSEN[name][0]}" for name in ("SLIC merged", "watershed")]
    draw(photo_rows(options.data, names), options.pictures / "photographs.png")
    draw(micrograph_rows(options.data), options.pictures / "micrographs.png")


if __name__ == "__main__":
    main()
