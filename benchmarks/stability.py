"""How much two runs with different seeds agree: pairwise adjusted Rand index of the labels.

The default on every image, then other settings in short, to see what raises it::

    python -m benchmarks.stability --data DIR
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from napari_diffseg.core.partition import Partition
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from benchmarks.accuracy import UNTRAINED
from benchmarks.datasets import micrographs, photos
from benchmarks.machine import write_results
from napari_diffseg import Segmentation, SegmentationParams, segment

N_PHOTOS, N_MICROGRAPHS = 2, 3
DEFAULT = SegmentationParams()
N_LABELS = (3, 8, DEFAULT.n_labels)

OTHERS: dict[str, SegmentationParams] = {
    "learning rate 0.003": replace(DEFAULT, learning_rate=0.003),
    "learning rate 0.001": replace(DEFAULT, learning_rate=0.001),
    "4 iterations of 64 patches": replace(DEFAULT, n_iterations=4, n_patches=64),
    "untrained": UNTRAINED,
}

Images = dict[str, NDArray[np.generic]]
Runs = dict[str, list[Segmentation]]
"""By image, one for each seed."""


def chosen_images(path: str) -> Images:
    """Return two photographs and three micrographs, spread over their sets."""
    every_photo, every_micrograph = list(photos(path)), list(micrographs(path))
    chosen = every_photo[:: len(every_photo) // N_PHOTOS][:N_PHOTOS]
    chosen += every_micrograph[:: len(every_micrograph) // N_MICROGRAPHS][:N_MICROGRAPHS]
    return {image.name: image.pixels for image in chosen}


def runs_of(images: Images, params: SegmentationParams, seeds: int) -> Runs:
    """Run every image with every seed."""
    runs: Runs = {}
    for name, pixels in images.items():
        axes = "YXC" if pixels.ndim == 3 else "YX"
        seeded = [replace(params, seed=seed) for seed in range(seeds)]
        runs[name] = [segment(pixels, axes=axes, params=one) for one in seeded]
    return runs


def agreement(runs: Sequence[Segmentation], n_labels: int) -> list[float]:
    """Adjusted Rand index of every pair of runs, merged to a number of labels."""
    labels = [run.with_n_labels(n_labels).labels.ravel() for run in runs]
    return [adjusted_rand_score(first, second) for first, second in combinations(labels, 2)]


def pixel_by_pixel(run: Segmentation) -> Segmentation:
    """Return the run as if it had no regions: every pixel keeps its own cluster."""
    clusters = Partition(run.partition.clusters, run.partition.valid)
    return replace(run, partition=clusters, params=replace(run.params, region_size=0))


def image_table(by_image: Runs) -> list[dict[str, Any]]:
    """Agreement of the runs of each image."""
    rows = []
    for name, runs in by_image.items():
        scores = {n: agreement(runs, n) for n in N_LABELS}
        rows.append(
            {
                "image": name,
                **{f"{n} labels": f"{np.median(pairs):.3f}" for n, pairs in scores.items()},
                "lowest pair": f"{min(min(pairs) for pairs in scores.values()):.3f}",
                "fewest labels of a run": min(run.n_labels for run in runs),
            }
        )
    return rows


def setting_rows(name: str, by_image: Runs) -> list[dict[str, Any]]:
    """Agreement of one setting over all images, with its regions and without them."""
    regions = list(by_image.values())
    pixels = [[pixel_by_pixel(run) for run in runs] for runs in regions]
    return [_setting_row(name, regions), _setting_row(f"{name}, pixel by pixel", pixels)]


def _setting_row(name: str, by_image: list[list[Segmentation]]) -> dict[str, Any]:
    medians = np.array([[np.median(agreement(runs, n)) for n in N_LABELS] for runs in by_image])
    means = zip(N_LABELS, medians.mean(axis=0), strict=True)
    return {
        "setting": name,
        **{f"{n} labels": f"{mean:.3f}" for n, mean in means},
        "mean": f"{medians.mean():.3f}",
        "lowest median": f"{medians.min():.3f}",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/stability.md`` and ``.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--few", type=int, default=4, help="seeds of each other setting")
    options = parser.parse_args(arguments)
    images = chosen_images(options.data)
    runs = runs_of(images, DEFAULT, options.seeds)
    by_setting = setting_rows("default", {name: some[: options.few] for name, some in runs.items()})
    for name, params in OTHERS.items():
        by_setting += setting_rows(name, runs_of(images, params, options.few))
    tables = {
        f"Adjusted Rand index, median over pairs of {options.seeds} seeds": image_table(runs),
        f"By setting: mean over {len(images)} images, {options.few} seeds": by_setting,
    }
    write_results("stability", tables)


if __name__ == "__main__":
    main()
