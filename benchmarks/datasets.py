"""Reads the development images with ground truth from the folder given by ``--data``.

The data is not part of the project (its licences allow evaluation, not shipping).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from skimage.io import imread


@dataclass(frozen=True)
class AnnotatedPhoto:
    """A BSDS500 photograph and its annotators' segmentations, each ``(y, x)``."""

    name: str
    pixels: NDArray[np.uint8]
    annotations: list[NDArray[np.integer]]


@dataclass(frozen=True)
class Micrograph:
    """A microscopy image, its modality, and its foreground ``(y, x)``."""

    name: str
    modality: str
    pixels: NDArray[np.generic]
    foreground: NDArray[np.bool_]


def data_folder(path: str, subset: str) -> Path:
    """Return the folder of a subset, or leave with one sentence where it is absent."""
    folder = Path(path) / subset
    if not folder.is_dir():
        sys.exit(f"{folder} is not there: this benchmark needs the development data (--data DIR).")
    return folder


def photos(path: str) -> Iterator[AnnotatedPhoto]:
    """Yield the photographs of ``bsds_train20``, by name."""
    for file in sorted(data_folder(path, "bsds_train20").glob("*.jpg")):
        truth = loadmat(file.with_name(f"{file.stem}_gt.mat"))["groundTruth"][0]
        annotations = [entry["Segmentation"][0, 0].astype(np.int64) for entry in truth]
        yield AnnotatedPhoto(file.stem, imread(file), annotations)


MODALITIES = {
    "fluorescence": "nuclei in fluorescence",
    "gland": "glands",
    "H&E": "H&E",
    "phase contrast": "phase contrast",
    "brightfield": "bright field",
}
"""Word in the manifest's modality → the five kinds that scores are averaged over; in order."""


def micrographs(path: str) -> Iterator[Micrograph]:
    """Yield the images of ``micro2d``, by name."""
    folder = data_folder(path, "micro2d")
    for entry in json.loads((Path(path) / "manifest.json").read_text()):
        if not entry["id"].startswith("micro2d/"):
            continue
        modality = next(name for word, name in MODALITIES.items() if word in entry["modality"])
        pixels = imread(folder.parent / entry["image"])
        truth = imread(folder.parent / entry["gt"])
        yield Micrograph(entry["id"].split("/")[1], modality, pixels, truth > 0)
