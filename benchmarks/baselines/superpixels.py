"""SLIC superpixels whose neighbours of like colour join (scikit-image)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab
from skimage.graph import merge_hierarchical, rag_mean_color
from skimage.segmentation import slic


def merged_superpixels(
    pixels: NDArray[np.uint8], threshold: float, n_superpixels: int = 1000, compactness: float = 10
) -> NDArray[np.integer]:
    """Merge superpixels of an RGB image ``y x c``, the most alike neighbours first.

    Parameters
    ----------
    pixels : ndarray, (y, x, c)
    threshold : float
        Neighbours whose mean colours lie farther apart, in CIE Lab, stay apart.
    n_superpixels : int
        About so many to start from.
    compactness : float
        Higher gives squarer superpixels.
    """
    lab = rgb2lab(pixels)
    superpixels = slic(pixels, n_superpixels, compactness=compactness, start_label=0)
    graph = rag_mean_color(lab, superpixels)
    return merge_hierarchical(
        superpixels,
        graph,
        threshold,
        rag_copy=False,
        in_place_merge=True,
        merge_func=_join_colors,
        weight_func=_color_distance,
    )


def _join_colors(graph: Any, joins: int, keeps: int) -> None:
    for key in ("total color", "pixel count"):
        graph.nodes[keeps][key] = graph.nodes[keeps][key] + graph.nodes[joins][key]


def _color_distance(graph: Any, keeps: int, joins: int, neighbour: int) -> dict[str, float]:
    means = [
        graph.nodes[node]["total color"] / graph.nodes[node]["pixel count"]
        for node in (keeps, neighbour)
    ]
    return {"weight": float(np.linalg.norm(means[0] - means[1]))}
