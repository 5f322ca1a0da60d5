"""A model trained on three painted frames, on all frames: accuracy, and whether labels stay.

On ``seq_dic_hela`` and ``seq_sim``: the first, the middle and the last frame are painted by
`benchmarks.painted_share` (0.3 % of the pixels of each), the other frames are unseen. A random
forest learns from the same strokes; of its settings, the best on the unseen frames of each
sequence is shown, which favours it. One thread; speed is measured by `benchmarks.throughput`::

    python -m benchmarks.apply --data DIR
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from threadpoolctl import threadpool_limits

from benchmarks.baselines.scribbles import filter_bank
from benchmarks.datasets import FrameSequence, class_iou, sequences
from benchmarks.machine import merge_results
from benchmarks.painted_share import painted_share
from napari_diffseg import ApplyParams, Model, RunOptions, train

Labels = NDArray[np.integer]
Predict = Callable[[int], Labels]
"""Number of a frame → its labels."""

FOREGROUND = 2
EFFORT = 0.003
"""Part of the pixels of each training frame that is painted."""

ONE_THREAD = RunOptions(threads=1)
MODES = {
    "as trained": ApplyParams(),
    "match frame": ApplyParams(intensities="frame"),
    "adapt, 5 steps": ApplyParams(adapt_steps=5),
}
KINDS = {
    "intensity": ("intensity",),
    "intensity, texture": ("intensity", "texture"),
    "all": ("intensity", "edges", "texture"),
}
SIGMAS = (8, 16)
PARTS = ("ours", "forest", "unpainted")


@dataclass(frozen=True)
class Task:
    """A sequence, the frames to learn from, and what is painted on them."""

    sequence: FrameSequence
    seed: int

    @property
    def learned(self) -> tuple[int, int, int]:
        n_frames = len(self.sequence.pixels)
        return 0, n_frames // 2, n_frames - 1

    @property
    def unseen(self) -> list[int]:
        return [t for t in range(len(self.sequence.pixels)) if t not in self.learned]

    @property
    def images(self) -> list[NDArray[np.generic]]:
        return [self.sequence.pixels[t] for t in self.learned]

    @property
    def scribbles(self) -> list[NDArray[np.uint8]]:
        return [painted_share(self.truth(t), EFFORT, self.seed) for t in self.learned]

    def truth(self, t: int) -> Labels:
        return np.where(self.sequence.foreground[t], FOREGROUND, 1)


@dataclass(frozen=True)
class Scores:
    """Foreground IoU by frame, and the label that covers the true foreground best in each."""

    on_learned: list[float]
    on_unseen: list[float]
    best_labels: list[int]

    @classmethod
    def of(cls, task: Task, predict: Predict) -> Scores:
        ious, best = {}, []
        for t in range(len(task.sequence.pixels)):
            labels, truth = predict(t), task.truth(t)
            ious[t] = class_iou(labels, truth, FOREGROUND)
            best.append(best_label(labels, truth == FOREGROUND))
        return cls([ious[t] for t in task.learned], [ious[t] for t in task.unseen], best)


def best_label(labels: Labels, region: NDArray[np.bool_]) -> int:
    """Return the label with the largest IoU with a region."""
    inside, everywhere = np.bincount(labels[region]), np.bincount(labels.ravel())
    inside = np.pad(inside, (0, len(everywhere) - len(inside)))
    return int((inside / np.maximum(everywhere + region.sum() - inside, 1)).argmax())


def row(sequence: str, method: str, scores: Sequence[Scores]) -> dict[str, Any]:
    """Average over the seeds."""
    learned = np.mean([np.mean(s.on_learned) for s in scores])
    unseen = np.mean([np.mean(s.on_unseen) for s in scores])
    found = [label for s in scores for label in s.best_labels]
    return {
        "sequence": sequence,
        "method": method,
        "training frames": f"{learned:.3f}",
        "unseen frames": f"{unseen:.3f}",
        "unseen / training": f"{unseen / learned:.3f}",
        "lowest seed, unseen": f"{min(np.mean(s.on_unseen) for s in scores):.3f}",
        "lowest frame": f"{min(min(s.on_learned + s.on_unseen) for s in scores):.3f}",
        "foreground class covers it best": f"{np.mean(np.equal(found, FOREGROUND)):.1%}",
        "seeds": len(scores),
    }


def ours(tasks: Sequence[Task]) -> Iterable[tuple[str, list[Scores]]]:
    """Train once for each seed; apply the model in each mode."""
    models = [train(t.images, scribbles=t.scribbles, axes="YX", options=ONE_THREAD) for t in tasks]
    for mode, params in MODES.items():
        scores = [
            Scores.of(task, applying(model, task, params))
            for task, model in zip(tasks, models, strict=True)
        ]
        yield f"ours, {mode}", scores


def applying(model: Model, task: Task, params: ApplyParams) -> Predict:
    """Return what applies a model to a frame."""
    pixels = task.sequence.pixels
    return lambda t: model.apply(pixels[t], axes="YX", params=params, options=ONE_THREAD)


def forests(tasks: Sequence[Task]) -> Iterable[tuple[str, list[Scores]]]:
    """Grow forests of every setting on the same strokes."""
    for name, kinds in KINDS.items():
        for sigma in SIGMAS:
            features = [filter_bank(image, kinds, sigma) for image in tasks[0].sequence.pixels]
            scores = [Scores.of(task, forest(task, features)) for task in tasks]
            yield f"{name}, up to {sigma} px", scores


def forest(task: Task, features: Sequence[NDArray[np.floating]]) -> Predict:
    """Fit a forest to the painted pixels of the training frames together."""
    rows, classes = [], []
    for t, painted in zip(task.learned, task.scribbles, strict=True):
        rows.append(features[t][painted > 0])
        classes.append(painted[painted > 0])
    grown = RandomForestClassifier(50, max_depth=10, n_jobs=1, random_state=0)
    grown.fit(np.concatenate(rows), np.concatenate(classes))

    def predict(t: int) -> Labels:
        flat = features[t].reshape(-1, features[t].shape[-1])
        return grown.predict(flat).reshape(features[t].shape[:2])

    return predict


def our_rows(tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """Return a row for each mode."""
    return [row(tasks[0].sequence.name, name, scores) for name, scores in ours(tasks)]


def forest_row(tasks: Sequence[Task]) -> dict[str, Any]:
    """Return the row of the setting that is the best on the unseen frames."""
    name = tasks[0].sequence.name
    tried = {}
    for setting, scores in forests(tasks):
        mean = np.mean([np.mean(s.on_unseen) for s in scores])
        tried[mean] = {**row(name, "random forest", scores), "setting": setting}
        print(name, setting, f"{mean:.3f}", file=sys.stderr)
    return tried[max(tried)]


def unpainted_rows(sequence: FrameSequence) -> list[dict[str, Any]]:
    """Train without scribbles, and see whether labels stay where they belong.

    Each label goes to the side, foreground or not, that holds most of its pixels in the
    training frames together; the other frames have to agree with that.
    """
    task = Task(sequence, 0)
    model = train(task.images, axes="YX", options=ONE_THREAD)
    n_labels = max(model.labels) + 1
    rows = []
    for mode, params in MODES.items():
        apply = applying(model, task, params)
        labels = [apply(t) for t in range(len(sequence.pixels))]
        counts = [by_side(labels[t], sequence.foreground[t], n_labels) for t in range(len(labels))]
        side = np.sum([counts[t] for t in task.learned], axis=0).argmax(axis=0)
        ious = [class_iou(side[found] + 1, task.truth(t), 2) for t, found in enumerate(labels)]
        kept = [areas.sum(axis=0)[areas.argmax(axis=0) == side].sum() for areas in counts]
        rows.append(
            {
                "sequence": sequence.name,
                "mode": mode,
                "labels": len(model.labels),
                "training frames": f"{np.mean([ious[t] for t in task.learned]):.3f}",
                "unseen frames": f"{np.mean([ious[t] for t in task.unseen]):.3f}",
                "pixels whose label keeps its side, unseen": (
                    f"{np.mean([kept[t] for t in task.unseen]) / labels[0].size:.1%}"
                ),
            }
        )
    return rows


def by_side(labels: Labels, foreground: NDArray[np.bool_], n_labels: int) -> NDArray[np.integer]:
    """Count the pixels of each label in the background and in the foreground, ``(2, n)``."""
    sides = (labels[~foreground], labels[foreground])
    return np.stack([np.bincount(side, minlength=n_labels) for side in sides])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/apply.md`` and ``.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--seeds", type=int, default=3, help="of the strokes")
    parser.add_argument(
        "--parts", nargs="+", default=PARTS, choices=PARTS, help="rows of others are kept"
    )
    options = parser.parse_args(arguments)
    painted, unpainted = [], []
    with threadpool_limits(1):
        for sequence in sequences(options.data):
            tasks = [Task(sequence, seed) for seed in range(options.seeds)]
            if "ours" in options.parts:
                painted += our_rows(tasks)
            if "forest" in options.parts:
                painted.append(forest_row(tasks))
            if "unpainted" in options.parts:
                unpainted += unpainted_rows(sequence)
    tables = {
        "Foreground IoU, trained on three painted frames": painted,
        "Foreground IoU without scribbles, labels on their side in the training frames": unpainted,
    }
    made = {title: rows for title, rows in tables.items() if rows}
    merge_results("apply", made, key=("sequence", "method", "mode"))


if __name__ == "__main__":
    main()
