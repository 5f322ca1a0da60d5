"""Runs the ``paper`` preset (500 iterations, whole image) and keeps its label maps.

One BSDS image takes half an hour or more, so the results are kept under
``results/paper/`` and later comparisons read them::

    python -m benchmarks.paper_reference --data DIR [NAME ...]
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from numpy.typing import NDArray
from skimage.io import imread, imsave

from benchmarks.datasets import photos
from benchmarks.machine import RESULTS, machine_facts
from napari_diffseg import SegmentationParams, segment

FOLDER = RESULTS / "paper"

KEPT_ITERATIONS = (1, 2, 3, 5, 10, 50, 100, 200, 300, 400, 500)
"""Iterations of which loss and number of clusters are kept, to recognise a run by."""


def main() -> None:
    """Run the images named on the command line, or three spread over the set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    images = list(photos(arguments.data))
    names = arguments.names or [image.name for image in images[::7]]
    FOLDER.mkdir(parents=True, exist_ok=True)
    for image in images:
        if image.name not in names:
            continue
        start = time.process_time()
        result = segment(image.pixels, axes="YXC", params=SegmentationParams.paper())
        imsave(FOLDER / f"{image.name}.png", result.labels, check_contrast=False)
        record = {
            "image": image.name,
            "params": result.params.to_dict(),
            "iterations": len(result.history),
            "n_labels": result.n_labels,
            "threads": result.threads,
            "cpu_seconds": round(time.process_time() - start, 1),
            "loss_and_clusters": {
                facts.index: (round(facts.loss, 5), facts.n_clusters)
                for facts in result.history
                if facts.index in KEPT_ITERATIONS
            },
            "machine": machine_facts(),
        }
        (FOLDER / f"{image.name}.json").write_text(json.dumps(record, indent=1) + "\n")
        print(image.name, result.n_labels, "labels after", len(result.history), "iterations")


def kept_labels() -> dict[str, NDArray[np.integer]]:
    """Return the kept label maps by image name."""
    return {file.stem: imread(file) for file in sorted(FOLDER.glob("*.png"))}


if __name__ == "__main__":
    main()
