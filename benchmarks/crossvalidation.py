"""Whether the default is fitted too closely to the development images.

Twelve settings, the default among them. Five folds: in each, four of the 20 photographs and one of
the five kinds of micrographs are held out, one setting for both is chosen on the rest, and
is scored on what was held out, beside the default::

    python -m benchmarks.crossvalidation --data DIR

Microscopy counts twice as much as photographs: the choice is by ⅓ best-match mIoU (mean of
all, fine and coarse) + ⅔ foreground IoU (mean of K = 3, 8, 16 and of the modalities).
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import torch
from napari_diffseg.core.partition import Partition
from numpy.typing import NDArray

from benchmarks.accuracy import N_CLUSTERS, UNTRAINED
from benchmarks.datasets import MODALITIES, AnnotatedPhoto, Micrograph, micrographs, photos
from benchmarks.machine import write_results
from napari_diffseg import Segmentation, SegmentationParams, segment
from napari_diffseg.metrics.matching import best_match_ious, foreground_iou, segments

N_FOLDS = len(MODALITIES)
PHOTO_WEIGHT, MICROSCOPY_WEIGHT = 1 / 3, 2 / 3

DEFAULT = SegmentationParams()

CANDIDATES: dict[str, SegmentationParams] = {
    "default": DEFAULT,
    "regions of 200 px": replace(DEFAULT, region_size=200),
    "regions of 800 px": replace(DEFAULT, region_size=800),
    "pieces from 5 px": replace(DEFAULT, min_region_size=5),
    "pieces from 50 px": replace(DEFAULT, min_region_size=50),
    "8 labels": replace(DEFAULT, n_labels=8),
    "16 labels": replace(DEFAULT, n_labels=16),
    "24 labels": replace(DEFAULT, n_labels=24),
    "800 px, 24 labels": replace(DEFAULT, region_size=800, n_labels=24),
    "learning rate 0.003": replace(DEFAULT, learning_rate=0.003),
    "4 iterations of 64 patches": replace(DEFAULT, n_iterations=4, n_patches=64),
    "untrained": UNTRAINED,
}
"""Around the default, one thing changed (once two); those that train alike share training."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PhotoScore:
    """Best IoU of every annotated segment, for each of the three figures of the score."""

    all: Floats
    fine: Floats
    coarse: Floats


@dataclass(frozen=True)
class Scores:
    """Scores of every candidate (its name is the key), image by image.

    Attributes
    ----------
    photos : dict of str to list of PhotoScore
    micrographs : dict of str to dict of str to list of float
        By modality; the mean over K of each image.
    """

    photos: dict[str, list[PhotoScore]]
    micrographs: dict[str, dict[str, list[float]]]

    def photo_miou(self, name: str, chosen: Iterable[int]) -> float:
        """Mean of the three figures, each pooled over the segments of the chosen images."""
        scores = [self.photos[name][index] for index in chosen]
        figures = [[getattr(one, field) for one in scores] for field in ("all", "fine", "coarse")]
        return float(np.mean([np.concatenate(figure).mean() for figure in figures]))

    def micro_iou(self, name: str, kinds: Iterable[str]) -> float:
        """Mean over modalities of the mean over their images."""
        return float(np.mean([np.mean(self.micrographs[name][kind]) for kind in kinds]))

    def best(self, chosen: Sequence[int], kinds: Sequence[str]) -> str:
        """Name of the candidate with the best weighted score on these images."""

        def total(name: str) -> float:
            photo, micro = self.photo_miou(name, chosen), self.micro_iou(name, kinds)
            return PHOTO_WEIGHT * photo + MICROSCOPY_WEIGHT * micro

        return max(self.photos, key=total)


def results_of(
    pixels: NDArray[np.generic], candidates: dict[str, SegmentationParams], seed: int
) -> Iterator[tuple[str, Segmentation]]:
    """Yield every candidate's result; training and regions are shared where they can be."""
    axes = "YXC" if pixels.ndim == 3 else "YX"

    def by_training(name: str) -> tuple[int, int, float]:
        params = candidates[name]
        return params.n_iterations, params.n_patches, params.learning_rate

    def by_region(name: str) -> int:
        return candidates[name].region_size

    for _, alike in groupby(sorted(candidates, key=by_training), by_training):
        names = sorted(alike, key=by_region)
        first = replace(candidates[names[0]], seed=seed)
        trained = segment(pixels, axes=axes, params=first)
        for region_size, same_regions in groupby(names, by_region):
            result = _with_regions(trained, region_size)
            for name in same_regions:
                params = replace(candidates[name], seed=seed)
                yield name, replace(result, params=params).with_n_labels(params.n_labels)


def _with_regions(result: Segmentation, region_size: int) -> Segmentation:
    if region_size == result.params.region_size:
        return result
    partition = Partition.find(
        result.model.network, result.ground.plane, torch.device("cpu"), region_size
    )
    return replace(result, partition=partition)


def score_photo(image: AnnotatedPhoto, result: Segmentation) -> PhotoScore:
    """Match a result with every annotation."""
    pieces = segments(result.labels)
    ious = [best_match_ious(truth, pieces) for truth in image.annotations]
    return PhotoScore(np.concatenate(ious), max(ious, key=len), min(ious, key=len))


def score_micrograph(image: Micrograph, result: Segmentation) -> float:
    """Foreground IoU, averaged over K."""
    merged = [result.with_n_labels(k).labels for k in N_CLUSTERS]
    return float(np.mean([foreground_iou(image.foreground, labels) for labels in merged]))


def score_all(path: str, seed: int) -> Scores:
    """Score every candidate on every image."""
    scores = Scores(
        {name: [] for name in CANDIDATES},
        {name: {kind: [] for kind in MODALITIES.values()} for name in CANDIDATES},
    )
    for photo in photos(path):
        for name, result in results_of(photo.pixels, CANDIDATES, seed):
            scores.photos[name].append(score_photo(photo, result))
    for image in micrographs(path):
        for name, result in results_of(image.pixels, CANDIDATES, seed):
            scores.micrographs[name][image.modality].append(score_micrograph(image, result))
    return scores


def candidate_table(scores: Scores) -> list[dict[str, Any]]:
    """Score every candidate on all images, without a choice; differences to the default."""
    n_photos, kinds = len(scores.photos["default"]), list(MODALITIES.values())
    rows = []
    for name in CANDIDATES:
        photo, micro = scores.photo_miou(name, range(n_photos)), scores.micro_iou(name, kinds)
        photo_gain = photo - scores.photo_miou("default", range(n_photos))
        micro_gain = micro - scores.micro_iou("default", kinds)
        rows.append(
            {
                "setting": name,
                "photographs": f"{photo:.3f}",
                "microscopy": f"{micro:.3f}",
                "⅓ + ⅔": f"{PHOTO_WEIGHT * photo + MICROSCOPY_WEIGHT * micro:.3f}",
                "gain on photographs": f"{photo_gain:+.3f}",
                "gain on microscopy": f"{micro_gain:+.3f}",
            }
        )
    return rows


def fold_table(scores: Scores) -> list[dict[str, Any]]:
    """Hold out every fifth photograph and one modality; choose on the rest."""
    indices, kinds = range(len(scores.photos["default"])), list(MODALITIES.values())
    rows, chosen = [], []
    for fold, kind in enumerate(kinds):
        held_out = indices[fold::N_FOLDS]
        rest = [index for index in indices if index not in held_out]
        chosen.append(scores.best(rest, [other for other in kinds if other != kind]))
        rows.append(
            {
                "held out": f"{len(held_out)} photographs, {kind}",
                "chosen": chosen[-1],
                "photographs": f"{scores.photo_miou(chosen[-1], held_out):.3f}",
                "default's": f"{scores.photo_miou('default', held_out):.3f}",
                "microscopy": f"{scores.micro_iou(chosen[-1], [kind]):.3f}",
                "the default's": f"{scores.micro_iou('default', [kind]):.3f}",
            }
        )
    columns = ("photographs", "default's", "microscopy", "the default's")
    means = {column: np.mean([float(row[column]) for row in rows]) for column in columns}
    mean_row = {column: f"{value:.3f}" for column, value in means.items()}
    return [*rows, {"held out": "mean", "chosen": "", **mean_row}]


def choice_table(scores: Scores) -> list[dict[str, Any]]:
    """Count what is chosen when any fold of photographs meets any held-out modality."""
    indices, kinds = range(len(scores.photos["default"])), list(MODALITIES.values())
    counts: Counter[str] = Counter()
    for fold in range(N_FOLDS):
        rest = [index for index in indices if index % N_FOLDS != fold]
        counts.update(scores.best(rest, [other for other in kinds if other != k]) for k in kinds)
    return [{"setting": name, "times chosen": times} for name, times in counts.most_common()]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/crossvalidation.md`` and ``.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    scores = score_all(options.data, options.seed)
    tables = {
        f"All images, seed {options.seed}; no choice made": candidate_table(scores),
        "Five folds: chosen on the rest, scored on what was held out": fold_table(scores),
        "All 25 pairs of folds: what was chosen": choice_table(scores),
    }
    write_results("crossvalidation", tables)


if __name__ == "__main__":
    main()
