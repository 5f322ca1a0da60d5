"""How much two runs with different seeds agree: pairwise adjusted Rand index of the labels.

python -m benchmarks.stability --data DIR
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from benchmarks.datasets import micrographs, photos
from benchmarks.machine import write_results
from napari_diffseg import SegmentationParams, segment

N_PHOTOS, N_MICROGRAPHS = 2, 3


def chosen_images(path: str) -> dict[str, NDArray[np.generic]]:
    """Return two photographs and three micrographs, spread over their sets."""
    every_photo, every_micrograph = list(photos(path)), list(micrographs(path))
    chosen = every_photo[:: len(every_photo) // N_PHOTOS][:N_PHOTOS]
    chosen += every_micrograph[:: len(every_micrograph) // N_MICROGRAPHS][:N_MICROGRAPHS]
    return {image.name: image.pixels for image in chosen}


def stability_row(name: str, pixels: NDArray[np.generic], seeds: int) -> dict[str, Any]:
    """Run one image with every seed; compare all pairs at three numbers of labels."""
    axes = "YXC" if pixels.ndim == 3 else "YX"
    runs = [segment(pixels, axes=axes, params=SegmentationParams(seed=s)) for s in range(seeds)]
    row: dict[str, Any] = {"image": name}
    for n_labels in (3, 8, SegmentationParams().n_labels):
        labels = [run.with_n_labels(n_labels).labels.ravel() for run in runs]
        scores = [adjusted_rand_score(a, b) for a, b in combinations(labels, 2)]
        row[f"ARI at {n_labels} labels"] = f"{np.median(scores):.3f}"
    row["lowest"] = f"{min(scores):.3f}"
    row["fewest labels"] = min(run.n_labels for run in runs)
    return row


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/stability.md`` and ``.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args(arguments)
    images = chosen_images(options.data)
    rows = [stability_row(name, pixels, options.seeds) for name, pixels in images.items()]
    write_results("stability", {f"Median over pairs of {options.seeds} seeds": rows})


if __name__ == "__main__":
    main()
