"""Scribbles spread by cuts through the grid of pixels: graph cut, expansion, swap, GrabCut."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import softmax
from skimage.color import rgb2lab
from sklearn.mixture import GaussianMixture

from benchmarks.baselines.scribbles import Labels, keep_painted

CERTAIN = 1e6
"""Cost of another label than the painted one."""


def posteriors(
    colours: NDArray[np.floating], scribbles: Labels, n_gaussians: int
) -> NDArray[np.floating]:
    """Return each label's probability ``(y, x, k)`` where its scribbles' colours are a mixture."""
    values = colours.reshape(-1, colours.shape[-1])
    likelihoods = []
    for k in range(1, scribbles.max() + 1):
        sample = values[scribbles.ravel() == k]
        mixture = GaussianMixture(min(n_gaussians, len(sample)), reg_covar=1.0, random_state=0)
        likelihoods.append(mixture.fit(sample).score_samples(values))
    return softmax(np.stack(likelihoods, axis=-1), axis=-1).reshape(*scribbles.shape, -1)


def data_costs(
    colours: NDArray[np.floating], scribbles: Labels, n_gaussians: int, floor: float
) -> NDArray[np.floating]:
    """Return each label's cost ``(y, x, k)``: how little its scribbles' colours explain a pixel.

    It is the negative logarithm of the label's posterior, mixed with a uniform one by ``floor``
    so that no colour alone is proof.
    """
    posterior = posteriors(colours, scribbles, n_gaussians)
    costs = -np.log(posterior * (1 - floor) + floor / posterior.shape[-1])
    for k in range(costs.shape[-1]):
        costs[(scribbles > 0) & (scribbles != k + 1), k] = CERTAIN
    return costs


def graph_cut(
    pixels: NDArray[np.generic],
    scribbles: Labels,
    smoothness: float = 100,
    n_gaussians: int = 3,
    floor: float = 1e-2,
) -> Labels:
    """Cut the grid of pixels where it costs least; 8 neighbours, cheaper across edges.

    For two labels; this finds the least cost there is. Tried: ``smoothness`` 1 to 300, 3, 5 and
    8 Gaussians a label, ``floor`` 0.001 to 0.3.
    """
    import maxflow

    colours = rgb2lab(pixels)
    costs = data_costs(colours, scribbles, n_gaussians, floor)
    graph = maxflow.Graph[float]()
    nodes = graph.add_grid_nodes(scribbles.shape)
    steps = [(0, 1), (1, 0), (1, 1), (1, -1)]
    squares = [
        np.square(colours - np.roll(colours, (-dy, -dx), axis=(0, 1))).sum(axis=-1)
        for dy, dx in steps
    ]
    contrast = 1 / (2 * np.mean(squares))
    for (dy, dx), square in zip(steps, squares, strict=True):
        structure = np.zeros((3, 3))
        structure[1 + dy, 1 + dx] = 1
        weights = smoothness * np.exp(-contrast * square) / np.hypot(dy, dx)
        graph.add_grid_edges(nodes, weights, structure, symmetric=True)
    graph.add_grid_tedges(nodes, costs[..., 1], costs[..., 0])
    graph.maxflow()
    return keep_painted(np.where(graph.get_grid_segments(nodes), 2, 1), scribbles)


def move_cut(
    pixels: NDArray[np.generic],
    scribbles: Labels,
    move: str,
    smoothness: float = 10,
    n_gaussians: int = 3,
    floor: float = 0.1,
) -> Labels:
    """Minimise costs by moves, ``aexpansion_grid`` or ``abswap_grid``, from the cheapest labels.

    The data's costs are those of `graph_cut`. The moves that PyMaxflow carries know 4 neighbours
    and one price for every edge (Potts), so they cannot follow contrast; with the contrast and
    two labels they would end where the graph cut does. Tried: ``smoothness`` 3, 10 and 30,
    ``floor`` 0.01 and 0.1.
    """
    from maxflow import fastmin

    costs = data_costs(rgb2lab(pixels), scribbles, n_gaussians, floor)
    potts = smoothness * (1 - np.eye(costs.shape[-1]))
    return keep_painted(getattr(fastmin, move)(costs, potts) + 1, scribbles)


def grabcut(
    pixels: NDArray[np.uint8], scribbles: Labels, start: str = "cut", rounds: int = 5
) -> Labels:
    """GrabCut (OpenCV) that takes the scribbles as certain.

    ``start`` says what unpainted pixels probably are at first. Tried: *background*, 1 and
    5 rounds; the label of the *nearest* scribble, and the result of `graph_cut` (best), 5 rounds.
    """
    import cv2

    if start == "nearest":
        _, near = ndimage.distance_transform_edt(scribbles == 0, return_indices=True)
        guess = scribbles[tuple(near)]
    elif start == "cut":
        guess = graph_cut(pixels, scribbles)
    else:
        guess = np.full(scribbles.shape, 1 if start == "background" else 2)
    mask = np.where(guess == 2, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    mask[scribbles == 1], mask[scribbles == 2] = cv2.GC_BGD, cv2.GC_FGD
    return keep_painted(_iterate(pixels, mask, None, rounds, cv2.GC_INIT_WITH_MASK), scribbles)


def grabcut_in_box(pixels: NDArray[np.uint8], inside: NDArray[np.bool_], rounds: int = 5) -> Labels:
    """GrabCut from the tight box around a region; no scribbles. Tried: 1 and 5 rounds."""
    import cv2

    (top, bottom), (left, right) = (
        np.flatnonzero(inside.any(axis=axis))[[0, -1]] for axis in (1, 0)
    )
    box = (int(left), int(top), int(right - left + 1), int(bottom - top + 1))
    return _iterate(pixels, np.zeros(inside.shape, np.uint8), box, rounds, cv2.GC_INIT_WITH_RECT)


def _iterate(
    pixels: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    box: tuple[int, int, int, int] | None,
    rounds: int,
    mode: int,
) -> Labels:
    """Run OpenCV's GrabCut, which takes BGR and starts from random centres of colour."""
    import cv2

    cv2.setNumThreads(1)
    cv2.setRNGSeed(0)
    bgr = np.ascontiguousarray(pixels[..., ::-1])
    mask, *_ = cv2.grabCut(bgr, mask, box, np.zeros((1, 65)), np.zeros((1, 65)), rounds, mode)
    return np.where(np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)), 2, 1)
