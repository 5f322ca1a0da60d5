"""The default against the ``paper`` preset: speed and memory, in one run.

On a 512×512 RGB image that scikit-image ships::

    python -m benchmarks.compare
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.data import immunohistochemistry
from skimage.metrics import variation_of_information
from sklearn.metrics import adjusted_rand_score

from benchmarks.datasets import AnnotatedPhoto
from benchmarks.machine import peak_memory_mb, reset_peak_memory, write_results
from napari_diffseg import RunOptions, SegmentationParams, segment, segment_steps
from napari_diffseg.metrics.matching import best_match_miou, segments

Labels = NDArray[np.integer]


def time_run(pixels: NDArray[np.uint8], params: SegmentationParams) -> dict[str, float]:
    """Time one run with previews: seconds to the first preview, an iteration, the result."""
    start = time.perf_counter()
    first_preview = float("nan")
    steps = segment_steps(pixels, axes="YXC", params=params, options=RunOptions(previews=True))
    while True:
        try:
            facts = next(steps)
        except StopIteration as end:
            seconds = [one.seconds for one in end.value.history]
            return {
                "first preview": first_preview,
                "result": time.perf_counter() - start,
                "iteration": seconds[0] if len(seconds) == 1 else np.median(np.diff(seconds)),
            }
        if facts.labels is not None and np.isnan(first_preview):
            first_preview = time.perf_counter() - start


def speed_table(paper_iterations: int, repeats: int) -> list[dict[str, Any]]:
    """Measure both presets on one 512×512 RGB image."""
    pixels = immunohistochemistry()
    default = SegmentationParams()
    segment(pixels, axes="YXC", params=default)  # the first run in a process is slower
    reset_peak_memory()
    runs = [time_run(pixels, default) for _ in range(repeats)]
    memory = peak_memory_mb()
    median = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    reset_peak_memory()
    short = SegmentationParams.paper(n_iterations=paper_iterations, min_labels=1)
    paper = time_run(pixels, short)
    paper_memory = peak_memory_mb()
    paper_result = paper["iteration"] * SegmentationParams.paper().n_iterations
    return [
        {
            "preset": "default",
            "s to first preview": f"{median['first preview']:.2f}",
            "s to result": f"{median['result']:.2f}",
            "peak MB": f"{memory:.0f}",
            "times faster": f"{paper_result / median['result']:.0f}",
        },
        {
            "preset": f"paper (from {paper_iterations} iterations)",
            "s to first preview": f"{paper['first preview']:.2f}",
            "s to result": f"{paper_result:.0f}",
            "peak MB": f"{paper_memory:.0f}",
            "times faster": "1",
        },
    ]


def score(
    name: str, images: Sequence[AnnotatedPhoto], predict: Callable[[AnnotatedPhoto], Labels]
) -> dict[str, Any]:
    """Score one method on the images: the paper's figure, and what it does not punish."""
    predictions = [(image.annotations, predict(image)) for image in images]
    miou = best_match_miou(predictions)
    pieces = [segments(labels) for _, labels in predictions]
    rand, information = [], []
    for (truths, _), split in zip(predictions, pieces, strict=True):
        for truth in truths:
            rand.append(adjusted_rand_score(truth.ravel(), split.ravel()))
            information.append(sum(variation_of_information(truth, split)))
    return {
        "method": name,
        "all": f"{miou.all:.3f}",
        "fine": f"{miou.fine:.3f}",
        "coarse": f"{miou.coarse:.3f}",
        "mean": f"{miou.mean:.3f}",
        "segments": f"{np.mean([split.max() for split in pieces]):.0f}",
        "labels": f"{np.mean([len(np.unique(labels)) for _, labels in predictions]):.1f}",
        "ARI": f"{np.mean(rand):.3f}",
        "VoI": f"{np.mean(information):.2f}",
    }


def main() -> None:
    """Measure and write ``results/speed.md`` and ``.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--paper-iterations", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    speed = speed_table(arguments.paper_iterations, arguments.repeats)
    write_results("speed", {"Speed and memory, 512×512 RGB": speed})


if __name__ == "__main__":
    main()
