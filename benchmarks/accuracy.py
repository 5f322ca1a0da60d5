"""Accuracy of the default against other methods, on photographs and on microscopy.

Photographs: best-match mIoU on ``bsds_train20``, and once more on the few of them that
`benchmarks.paper_reference` has kept the ``paper`` preset's label maps of. Microscopy:
foreground IoU on ``micro2d`` at the same number of clusters K = 3, 8, 16, averaged over five
modalities::

    python -m benchmarks.accuracy --data DIR          # the tables
    python -m benchmarks.accuracy --data DIR --deep   # with networks trained on each image
    python -m benchmarks.accuracy --data DIR --tune   # how the baselines' settings were found
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.baselines.unsupervised import CLUSTERINGS, DEEP, GRIDS, PARTITIONS, Method
from benchmarks.compare import score
from benchmarks.datasets import (
    MODALITIES,
    AnnotatedPhoto,
    Micrograph,
    micrographs,
    photos,
)
from benchmarks.machine import write_results
from benchmarks.paper_reference import kept_labels
from napari_diffseg import SegmentationParams, segment
from napari_diffseg.metrics.matching import best_match_miou, foreground_iou, segments

Rows = list[dict[str, Any]]
Predictions = dict[str, NDArray[np.integer]]
"""Labels by the name of the image."""

N_CLUSTERS = (3, 8, 16)

OURS = {
    "default, K from the image": SegmentationParams(),
    "default, 16 labels": SegmentationParams(n_labels=16),
    "default, 16 labels, fitted once more": SegmentationParams(n_labels=16, n_iterations=2),
}
"""Our runs; there is no chance in them, and so no seeds."""

SUPERPIXEL_ITERATIONS = 15

SUPERPIXELS = SegmentationParams.paper(
    continuity_weight=0.0,
    n_superpixels=10_000,
    n_blocks=2,
    n_iterations=SUPERPIXEL_ITERATIONS,
)
"""Kanezaki (2018) by the settings of its program, but 15 iterations instead of 500."""


def photograph_tables(path: str, deep: bool) -> dict[str, Rows]:
    """Score ours and every baseline; on all, and on those with kept labels."""
    images, kept = list(photos(path)), kept_labels()
    predictions = {name: _predict(method, images) for name, method in _methods().items()}
    tables = {"Photographs: best-match mIoU": _score_all(predictions, images)}
    few = [image for image in images if image.name in kept]
    if few:
        predictions["paper, 500 iterations"] = kept
        for name, method in (_slow_methods() if deep else {}).items():
            predictions[name] = _predict(method, few)
        names = ", ".join(image.name for image in few)
        tables[f"Photographs {names} alone"] = _score_all(predictions, few)
    return tables


def _ours_with(params: SegmentationParams) -> Method:
    return lambda pixels: segment(pixels, axes="YXC", params=params).labels


def _methods() -> dict[str, Method]:
    return {name: _ours_with(params) for name, params in OURS.items()} | PARTITIONS


def _slow_methods() -> dict[str, Method]:
    name = f"superpixels (2018), {SUPERPIXEL_ITERATIONS} of 500 iterations"
    return {name: _ours_with(SUPERPIXELS), **DEEP}


def _predict(method: Method, images: Sequence[AnnotatedPhoto]) -> Predictions:
    return {image.name: method(image.pixels).astype(np.int32) for image in images}


def _score_all(predictions: dict[str, Predictions], images: Sequence[AnnotatedPhoto]) -> Rows:
    def look_up(labels: Predictions) -> Callable[[AnnotatedPhoto], NDArray[np.integer]]:
        return lambda image: labels[image.name]

    return [score(name, images, look_up(labels)) for name, labels in predictions.items()]


def our_ious(image: Micrograph, params: SegmentationParams) -> list[float]:
    """Foreground IoU of ours at each K; trained once, merged after the fact."""
    axes = "YXC" if image.pixels.ndim == 3 else "YX"
    result = segment(image.pixels, axes=axes, params=params)
    labels = [result.with_n_labels(k).labels for k in N_CLUSTERS]
    return [foreground_iou(image.foreground, one) for one in labels]


def microscopy_table(path: str) -> Rows:
    """Foreground IoU by modality, averaged over K; then by K, averaged over modalities."""
    images = list(micrographs(path))
    scores: dict[str, list[list[float]]] = defaultdict(list)
    for image in images:
        scores["default"].append(our_ious(image, SegmentationParams()))
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


def tuning_tables(path: str) -> dict[str, Rows]:
    """Best-match mIoU of every setting of every baseline that has a grid, every 4th image."""
    images = list(photos(path))[::4]
    return {
        name: [_tuning_row(setting, method, images) for setting, method in grid.items()]
        for name, grid in GRIDS.items()
    }


def _tuning_row(setting: str, method: Method, images: Sequence[AnnotatedPhoto]) -> dict[str, Any]:
    pieces = [(image.annotations, segments(method(image.pixels))) for image in images]
    miou = best_match_miou(pieces)
    return {
        "setting": setting,
        "all": f"{miou.all:.3f}",
        "fine": f"{miou.fine:.3f}",
        "coarse": f"{miou.coarse:.3f}",
        "mean": f"{miou.mean:.3f}",
        "segments": f"{np.mean([split.max() for _, split in pieces]):.0f}",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/accuracy.md`` and ``.json``, or ``accuracy_tuning``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--deep", action="store_true", help="slow baselines on a few images too")
    parser.add_argument("--tune", action="store_true", help="only the baselines' settings")
    options = parser.parse_args(arguments)
    if options.tune:
        write_results("accuracy_tuning", tuning_tables(options.data))
        return
    tables = photograph_tables(options.data, options.deep)
    tables["Microscopy: foreground IoU"] = microscopy_table(options.data)
    write_results("accuracy", tables)


if __name__ == "__main__":
    main()
