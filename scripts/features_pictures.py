"""Make the pictures of docs/features.md: simulated images, features, and results.

python scripts/features_pictures.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.color import label2rgb
from skimage.data import cell, coins, immunohistochemistry
from skimage.io import imsave
from skimage.segmentation import mark_boundaries

from napari_diffseg import segment
from napari_diffseg.core.features.extraction import N_COMPONENTS
from pretraining.images import simulate_images

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIDE = 256
Picture = NDArray[np.uint8]


def simulated(n: int) -> Picture:
    """Some simulated images above the kinds of material in them."""
    torch.manual_seed(4)
    images, classes, _ = simulate_images(n, 192, "cpu")
    shown = images[:, :1] + 0.6 * torch.stack(
        [images[:, 1], -0.5 * images[:, 1] - 0.5 * images[:, 2], images[:, 2]], 1
    )
    rows = [
        np.concatenate([np.moveaxis(one.numpy().clip(0, 1), 0, -1) for one in shown], axis=1),
        np.concatenate([label2rgb(one.numpy(), bg_label=-1) for one in classes], axis=1),
    ]
    return _bytes(np.concatenate(rows))


def features_and_results() -> Picture:
    """Images, the first three components of their features as colours, and the result."""
    rows = []
    for image in (immunohistochemistry(), coins(), cell()[250:, 150:]):
        part = image[:SIDE, :SIDE]
        result = segment(part, axes="YXC" if part.ndim == 3 else "YX")
        plane = result.ground.plane
        window = tuple(slice(0, length) for length in plane.shape)
        inputs = plane.stage.window(plane.pixels, window, torch.device("cpu"))
        first = inputs.rows[..., : min(3, N_COMPONENTS)]
        low, high = np.percentile(first, [1, 99], axis=(0, 1))
        gray = part if part.ndim == 3 else np.stack([part] * 3, axis=-1)
        overlay = label2rgb(result.labels, gray, alpha=0.35, bg_label=0)
        rows.append(
            np.concatenate(
                [
                    gray / 255,
                    ((first - low) / (high - low)).clip(0, 1),
                    mark_boundaries(overlay, result.labels, color=(1, 1, 1)),
                ],
                axis=1,
            )
        )
    return _bytes(np.concatenate(rows))


def _bytes(picture: NDArray[np.floating]) -> Picture:
    found: Picture = (picture.clip(0, 1) * 255).astype(np.uint8)
    return found


if __name__ == "__main__":
    imsave(IMAGES / "simulated.png", simulated(6), check_contrast=False)
    imsave(IMAGES / "features.png", features_and_results(), check_contrast=False)
