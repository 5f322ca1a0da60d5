"""Unsupervised micrographs by family, against k-means at the same number of labels.

Each image cut to its first 384 × 384 pixels; those whose foreground is under 2 % or over 98 % are
left out. Foreground IoU at K = 3, 8 and 16, mean within each family, then over families. With
``--cross-fit`` some settings are compared: the best on every second image of each family is
scored on the others, and the other way round::

    python -m benchmarks.families --data DIR
    python -m benchmarks.families --data DIR --cross-fit
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.baselines.intensities import kmeans_clusters
from benchmarks.datasets import EM, Micrograph, membranes, micrographs, sequences
from benchmarks.machine import write_results
from napari_diffseg import Segmentation, SegmentationParams, segment
from napari_diffseg.metrics.matching import foreground_iou

Rows = list[dict[str, Any]]
Floats = NDArray[np.float64]

N_LABELS = (3, 8, 16)
SIDE = 384
LEAST = 0.02  # share of the pixels that the smaller side must have
PLANES, FRAMES = (3, 15), (2, 12)
DIC = "DIC"

SETTINGS = {
    "default": SegmentationParams(),
    "fitted once more": SegmentationParams(n_iterations=2),
    "fitted three times more": SegmentationParams(n_iterations=4),
    "smoothness 0.5": SegmentationParams(continuity_weight=0.5),
    "smoothness 2": SegmentationParams(continuity_weight=2.0),
    "48 clusters": SegmentationParams(n_clusters=48),
}
"""What ``--cross-fit`` chooses among."""


def crops(path: str) -> Iterator[Micrograph]:
    """Yield the images of all seven families, cut."""
    dic, *_ = sequences(path)
    frames = [Micrograph(f"DIC {t}", DIC, dic.pixels[t], dic.foreground[t]) for t in FRAMES]
    for image in (*micrographs(path), *membranes(path, PLANES), *frames):
        foreground = image.foreground[:SIDE, :SIDE]
        if LEAST <= foreground.mean() <= 1 - LEAST:
            yield Micrograph(image.name, image.modality, image.pixels[:SIDE, :SIDE], foreground)


def ious_of(image: Micrograph, result: Segmentation) -> Floats:
    """Foreground IoU at each number of labels, and at the number that the image chose."""
    labels = [result.with_n_labels(k).labels for k in (*N_LABELS, 0)]
    return np.array([foreground_iou(image.foreground, one) for one in labels])


def run(image: Micrograph, params: SegmentationParams) -> Segmentation:
    """Segment one image."""
    axes = "YXC" if image.pixels.ndim == 3 else "YX"
    return segment(image.pixels, axes=axes, params=params)


def family_table(images: Sequence[Micrograph]) -> Rows:
    """Score ours and k-means on the intensities."""
    ours: list[Floats] = []
    chosen: list[int] = []
    for image in images:
        result = run(image, SegmentationParams())
        ours.append(ious_of(image, result))
        chosen.append(result.n_labels)
        print(image.name, image.modality, ours[-1].round(3), chosen[-1], file=sys.stderr)
    theirs = [
        np.array([foreground_iou(i.foreground, kmeans_clusters(i.pixels, k)) for k in N_LABELS])
        for i in images
    ]
    kinds = [image.modality for image in images]
    rows = [
        family_row(f"default, K = {k}", [one[n] for one in ours], kinds)
        for n, k in enumerate(N_LABELS)
    ]
    rows.append(family_row("default, mean", [one[:-1].mean() for one in ours], kinds))
    rows += [
        family_row(f"k-means, K = {k}", [one[n] for one in theirs], kinds)
        for n, k in enumerate(N_LABELS)
    ]
    rows.append(family_row("k-means, mean", [one.mean() for one in theirs], kinds))
    rows.append(family_row("default, K from the image", [one[-1] for one in ours], kinds))
    rows.append(family_row("that K", [float(one) for one in chosen], kinds))
    return rows


def family_row(name: str, values: Sequence[float], kinds: Sequence[str]) -> dict[str, Any]:
    """Return a row of a table: the mean of each family, and the mean of these."""
    by_kind = _by_kind(values, kinds)
    means = {kind: f"{value:.3f}" for kind, value in by_kind.items()}
    return {"method": name, **means, "mean": f"{np.mean(list(by_kind.values())):.3f}"}


def _by_kind(values: Sequence[float], kinds: Sequence[str]) -> dict[str, float]:
    return {
        kind: float(np.mean([v for v, one in zip(values, kinds, strict=True) if one == kind]))
        for kind in dict.fromkeys(kinds)
    }


def cross_fit_table(images: Sequence[Micrograph]) -> Rows:
    """Choose a setting on one half of each family and score it on the other."""
    kinds = [image.modality for image in images]
    scores = {
        name: [ious_of(image, run(image, params))[:-1].mean() for image in images]
        for name, params in SETTINGS.items()
    }
    rows = [family_row(name, values, kinds) for name, values in scores.items()]
    held_out = held_out_scores(scores, kinds)
    return [*rows, family_row("chosen on one half, scored on the other", held_out, kinds)]


def held_out_scores(scores: dict[str, list[float]], kinds: Sequence[str]) -> list[float]:
    """Return for each image the score of the setting that is best on the other half."""
    half = [kinds[:i].count(kind) % 2 for i, kind in enumerate(kinds)]
    found = [0.0] * len(kinds)
    for side in (0, 1):
        seen = [i for i, one in enumerate(half) if one == side]
        means = {
            name: np.mean(list(_by_kind([v[i] for i in seen], [kinds[i] for i in seen]).values()))
            for name, v in scores.items()
        }
        best = max(means, key=lambda name: means[name])
        for i, one in enumerate(half):
            if one != side:
                found[i] = scores[best][i]
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/families.md`` or ``results/cross_fit.md``, and ``.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--cross-fit", action="store_true", help="compare settings instead")
    options = parser.parse_args(arguments)
    images = list(crops(options.data))
    if options.cross_fit:
        write_results("cross_fit", {"Settings, mean of K = 3, 8, 16": cross_fit_table(images)})
        return
    write_results("families", {f"Foreground IoU, {EM}: membranes": family_table(images)})


if __name__ == "__main__":
    main()
