"""Reads the development images with ground truth from the folder given by ``--data``.

The data is not part of the project (its licences allow evaluation, not shipping).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
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


@dataclass(frozen=True)
class ScribbledPhoto:
    """A photograph, a person's scribbles on it, and its truth, each ``(y, x)``.

    Scribbles: 0 unpainted, 1 background, 2 foreground. Truth: 1 and 2 alike, 0 where it is
    not known (*ignore*).
    """

    name: str
    pixels: NDArray[np.uint8]
    scribbles: NDArray[np.uint8]
    truth: NDArray[np.uint8]


@dataclass(frozen=True)
class FrameSequence:
    """Frames over time, and the foreground of each, both ``(t, y, x)``."""

    name: str
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


@dataclass(frozen=True)
class Nuclei:
    """A microscopy image of nuclei, and the number of each of them ``(y, x)``, 0 elsewhere."""

    name: str
    modality: str
    pixels: NDArray[np.generic]
    objects: NDArray[np.integer]


NUCLEI = {"fluorescence nuclei": "fluorescence", "H&E nuclei": "H&E", "purple-stained": "H&E"}
"""Word in the manifest's modality → the kinds of nuclei that have a number each."""


def nuclei(path: str) -> Iterator[Nuclei]:
    """Yield the images of ``micro2d`` whose truth numbers the nuclei, by name."""
    folder = data_folder(path, "micro2d")
    for entry in json.loads((Path(path) / "manifest.json").read_text()):
        kinds = [kind for word, kind in NUCLEI.items() if word in entry["modality"]]
        if entry["id"].startswith("micro2d/") and kinds:
            pixels, truth = (imread(folder.parent / entry[key]) for key in ("image", "gt"))
            yield Nuclei(entry["id"].split("/")[1], kinds[0], pixels, truth)


EM = "electron microscopy"
"""The modality of `membranes`, besides `MODALITIES`."""


def membranes(path: str, slices: Sequence[int] = (0, 14, 29)) -> Iterator[Micrograph]:
    """Yield slices of ``em_isbi2012``; the foreground is the cells' membranes."""
    folder = data_folder(path, "em_isbi2012")
    pixels, cells = imread(folder / "stack.tif"), imread(folder / "stack_gt.tif")
    for z in slices:
        yield Micrograph(f"em_isbi2012 z = {z}", EM, pixels[z], cells[z] == 0)


SEQUENCES = ("seq_dic_hela", "seq_sim")


def sequences(path: str) -> Iterator[FrameSequence]:
    """Yield ``seq_dic_hela`` and ``seq_sim``; the foreground is the cells or nuclei."""
    for name in SEQUENCES:
        folder = data_folder(path, name)
        (truth,) = folder.glob("*_gt.tif")
        pixels = imread(truth.with_name(truth.name.replace("_gt", "")))
        yield FrameSequence(name, pixels, imread(truth) > 0)


IGNORED = 128
"""Value of the undecided seam in the ground truth of ``scribble_grabcut``."""


def scribbled_photos(path: str, which: int) -> Iterator[ScribbledPhoto]:
    """Yield the photographs of ``scribble_grabcut`` with set 1 (few strokes) or 2 (more)."""
    folder = data_folder(path, "scribble_grabcut")
    for file in sorted(folder.glob("*_gt.tif")):
        name = file.stem.removesuffix("_gt")
        side = imread(file)
        truth = np.where(side == IGNORED, 0, np.where(side > IGNORED, 2, 1)).astype(np.uint8)
        scribbles = imread(folder / f"{name}_scribble{which}.png")
        yield ScribbledPhoto(name, imread(folder / f"{name}.png"), scribbles, truth)


def class_iou(labels: NDArray[np.integer], truth: NDArray[np.integer], k: int) -> float:
    """Return the IoU of label ``k``, pixels left out where the truth is 0."""
    known = truth > 0
    predicted, wanted = labels[known] == k, truth[known] == k
    return float((predicted & wanted).sum() / (predicted | wanted).sum())


def scribble_miou(labels: NDArray[np.integer], truth: NDArray[np.integer]) -> float:
    """Return the mean of the background's (1) and the foreground's (2) IoU for one image.

    Parameters
    ----------
    labels
        ``(y, x)``, 1 where the background is thought to be, 2 for the foreground.
    truth
        ``(y, x)``, alike; pixels of 0 are left out.
    """
    return (class_iou(labels, truth, 1) + class_iou(labels, truth, 2)) / 2
