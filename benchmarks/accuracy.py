"""Accuracy of the default against classical methods, on photographs and on microscopy.

Photographs: best-match mIoU on ``bsds_train20``. Microscopy: foreground IoU on ``micro2d``
at the same number of clusters K = 3, 8, 16, averaged over five modalities::

    python -m benchmarks.accuracy --data DIR
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.baselines import CLUSTERINGS, PARTITIONS
from benchmarks.compare import score
from benchmarks.datasets import (
    MODALITIES,
    AnnotatedPhoto,
    Micrograph,
    micrographs,
    photos,
)
from benchmarks.machine import write_results
from napari_diffseg import SegmentationParams, segment
from napari_diffseg.metrics.matching import foreground_iou

N_CLUSTERS = (3, 8, 16)

UNTRAINED = SegmentationParams(n_iterations=1, learning_rate=1e-6)
"""The default but for its training: one step that moves next to nothing."""


def photograph_table(path: str, seeds: int) -> list[dict[str, Any]]:
    """Score ours for each seed, then every baseline."""
    images = list(photos(path))

    rows = [
        score(name, images, partial(_our_labels, params=params))
        for name, params in ours(seeds).items()
    ]
    for name, method in PARTITIONS.items():
        rows.append(score(name, images, lambda image, method=method: method(image.pixels)))
    return rows


def ours(seeds: int) -> dict[str, SegmentationParams]:
    """Return our runs: the default for each seed, and without its training."""
    runs = {f"default, seed {seed}": SegmentationParams(seed=seed) for seed in range(seeds)}
    return {**runs, "default, untrained": UNTRAINED}


def _our_labels(image: AnnotatedPhoto, params: SegmentationParams) -> NDArray[np.integer]:
    return segment(image.pixels, axes="YXC", params=params).labels


def our_ious(image: Micrograph, params: SegmentationParams) -> list[float]:
    """Foreground IoU of ours at each K; trained once, merged after the fact."""
    axes = "YXC" if image.pixels.ndim == 3 else "YX"
    result = segment(image.pixels, axes=axes, params=params)
    labels = [result.with_n_labels(k).labels for k in N_CLUSTERS]
    return [foreground_iou(image.foreground, one) for one in labels]


def microscopy_table(path: str, seeds: int) -> list[dict[str, Any]]:
    """Foreground IoU by modality, averaged over K; then by K, averaged over modalities."""
    images = list(micrographs(path))
    scores: dict[str, list[list[float]]] = defaultdict(list)
    for image in images:
        for name, params in ours(seeds).items():
            scores[name].append(our_ious(image, params))
        for name, method in CLUSTERINGS.items():
            clusters = [method(image.pixels, k) for k in N_CLUSTERS]
            scores[name].append([foreground_iou(image.foreground, one) for one in clusters])
    kinds = np.array([image.modality for image in images])
    return [_microscopy_row(name, np.array(ious), kinds) for name, ious in scores.items()]


def _microscopy_row(name: str, ious: np.ndarray, kinds: np.ndarray) -> dict[str, Any]:
    by_kind = {kind: ious[kinds == kind].mean(axis=0) for kind in MODALITIES.values()}
    mean = np.mean(list(by_kind.values()), axis=0)
    return {
        "method": name,
        **{kind: f"{values.mean():.3f}" for kind, values in by_kind.items()},
        "mean": f"{mean.mean():.3f}",
        **{f"K = {k}": f"{value:.3f}" for k, value in zip(N_CLUSTERS, mean, strict=True)},
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/accuracy.md`` and ``.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(arguments)
    tables = {
        "Photographs: best-match mIoU": photograph_table(options.data, options.seeds),
        "Microscopy: foreground IoU": microscopy_table(options.data, options.seeds),
    }
    write_results("accuracy", tables)


if __name__ == "__main__":
    main()
