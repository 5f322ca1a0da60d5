"""Labels: from cluster indices to numbers that a person sees.

A *cluster* is an index from 0; a *label* is a number from 1, by falling area, where 0
means "no label". Small pieces can join their neighbours before they are numbered.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import label

from napari_diffseg.image.arrays import Labels, Mask
from napari_diffseg.numeric.pairs import neighbours, sum_by_pair

Clusters = NDArray[np.integer[Any]]


_BAND_PIXELS = 1 << 20
"""Pixels that are looked at together: bounds the 64-bit copies that indexing makes."""


def _bands(shape: tuple[int, ...]) -> Iterator[slice]:
    """Cut an image into bands of whole rows, or planes."""
    n_rows = max(_BAND_PIXELS // max(math.prod(shape[1:]), 1), 1)
    for start in range(0, shape[0], n_rows):
        yield slice(start, min(start + n_rows, shape[0]))


def look_up(values: NDArray[Any], indices: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """Return ``values[indices]`` for an image of indices, with little memory."""
    found = np.empty(indices.shape, values.dtype)
    for rows in _bands(indices.shape):
        found[rows] = values[indices[rows]]
    return found


def smallest_unsigned_dtype(n: int) -> np.dtype[Any]:
    """Return the smallest unsigned data type that holds the numbers 0 to `n`."""
    return np.dtype(np.min_scalar_type(n))


def number_by_area(
    clusters: Clusters,
    n_clusters: int,
    valid: Mask | None = None,
    standing: NDArray[np.integer[Any]] | None = None,
) -> tuple[Labels, NDArray[np.uint16]]:
    """Give the clusters the numbers 1 to K by falling area; 0 where not valid.

    Where clusters join, `standing` says which one stands for each. Returns the labels and the
    number of each cluster. Of two clusters of the same area the one with the smaller index comes
    first; those not in use follow from K + 1 on.
    """
    if standing is None:
        standing = np.arange(n_clusters)
    areas = np.zeros(n_clusters, np.int64)
    np.add.at(areas, standing, _areas(clusters, n_clusters, valid))
    order = np.argsort(-areas, kind="stable")
    numbers = np.empty(n_clusters, dtype=np.uint16)
    numbers[order] = np.arange(1, n_clusters + 1)
    dtype = smallest_unsigned_dtype(int(np.count_nonzero(areas)))
    numbers = numbers[standing]
    return number_labels(numbers.astype(dtype), clusters, valid), numbers


class LabelNumbers:
    """Label numbers that stay: a cluster keeps the number that it was first given.

    The first of the `n_clusters` have the numbers `given` from the start.
    """

    def __init__(self, n_clusters: int, given: Sequence[int] = ()) -> None:
        self._numbers = np.zeros(n_clusters, dtype=np.uint32)
        self._numbers[: len(given)] = given
        self._dtype = smallest_unsigned_dtype(n_clusters - len(given) + max(given, default=0))

    def number(self, clusters: Clusters, valid: Mask | None = None) -> Labels:
        """Label the clusters; those that are new get the next free numbers by falling area.

        0 where not valid. The type holds every number there can be, the same at every call.
        """
        areas = _areas(clusters, self._numbers.size, valid)
        areas[self._numbers > 0] = 0
        n_given = int(self._numbers.max(initial=0))
        newcomers = np.argsort(-areas, kind="stable")[: np.count_nonzero(areas)]
        self._numbers[newcomers] = np.arange(n_given + 1, n_given + 1 + newcomers.size)
        return number_labels(self._numbers.astype(self._dtype), clusters, valid)


def merge_small_regions(clusters: Clusters, min_size: int, valid: Mask | None = None) -> Clusters:
    """Let small pieces join the neighbour with which they share the longest border.

    A piece shares sides or faces. What is not valid keeps its value and is nobody's neighbour; a
    small piece is left only where it has none. Returns a new array of the same type.
    """
    if min_size <= 1:
        return clusters.copy()
    pieces, n_pieces = _find_pieces(clusters, valid)
    areas = _areas(pieces, n_pieces + 1, None)
    piece_clusters = np.zeros(n_pieces + 1, dtype=clusters.dtype)
    for rows in _bands(pieces.shape):
        piece_clusters[pieces[rows]] = clusters[rows]
    graph = _piece_graph(pieces, areas, min_size)
    owner = np.arange(n_pieces + 1)
    # Edges weigh the length of the common border in pixel sides. In every round each small piece
    # chooses its heaviest (on a tie the larger neighbour, then the first), and pieces that choose
    # one another, directly or in a chain, become one: with the cluster of the large piece at the
    # chain's end, or of the larger of the two that chose each other. Each round leaves at most half
    # of the small pieces that have a neighbour, so it ends.
    while graph[2].size:
        roots = _choose_roots(graph, areas, min_size)
        roots = _join_equal(graph, roots, piece_clusters)
        survivors, group = np.unique(roots, return_inverse=True)
        owner = group[owner]
        areas = np.bincount(group, weights=areas).astype(np.int64)
        piece_clusters = piece_clusters[survivors]
        graph = _contract(graph, group, areas, min_size)
    merged: Clusters = look_up(piece_clusters[owner], pieces)
    if valid is not None:
        np.copyto(merged, clusters, where=~valid)
    return merged


# Edges of the graph of pieces: first piece, second piece, length of the common border.
# Each pair stands once; pairs of two large pieces are left out, as they never join.
_Graph = tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]], NDArray[np.integer[Any]]]


def _find_pieces(clusters: Clusters, valid: Mask | None) -> tuple[NDArray[np.int32], int]:
    """Find the connected pieces, from 1 on, and count them; invalid pixels are 0.

    The pieces of each band are numbered first; those that go on in the next one are joined.
    """
    # More pieces than int32 holds would not fit into memory anyway.
    pieces = np.empty(clusters.shape, np.int32)
    n_pieces = 0
    bands = list(_bands(clusters.shape))
    for rows in bands:
        # Shifted, because scikit-image takes one value for background: 0, the invalid pixels.
        shifted = clusters[rows].astype(np.int64) + 1
        if valid is not None:
            shifted[~valid[rows]] = 0
        found, n_found = label(shifted, background=0, connectivity=1, return_num=True)
        if n_pieces:
            found[found > 0] += n_pieces
        pieces[rows] = found
        n_pieces += n_found
    if len(bands) < 2:
        return pieces, n_pieces
    numbers = _joined_across([rows.start for rows in bands[1:]], clusters, pieces, n_pieces)
    for rows in bands:
        pieces[rows] = numbers[pieces[rows]]
    return pieces, int(numbers.max())


def _joined_across(
    seams: list[int], clusters: Clusters, pieces: NDArray[np.int32], n_pieces: int
) -> NDArray[np.int32]:
    """Number the pieces anew, in the same order, where some are one across the seams."""
    first, second = [], []
    for row in seams:
        above, below = pieces[row - 1], pieces[row]
        same = (clusters[row - 1] == clusters[row]) & (above > 0) & (below > 0)
        first.append(above[same])
        second.append(below[same])
    links = (np.concatenate(first), np.concatenate(second))
    graph = coo_array((np.ones(links[0].size, np.int8), links), shape=(n_pieces + 1,) * 2)
    component = connected_components(graph, directed=False)[1]
    # In the order of the first pixel, as in one piece.
    start = np.unique(component, return_index=True)[1]
    rank = np.empty(start.size, np.int32)
    rank[np.argsort(start)] = np.arange(start.size)
    numbers: NDArray[np.int32] = rank[component]
    return numbers


def _piece_graph(pieces: Clusters, areas: NDArray[np.int64], min_size: int) -> _Graph:
    """Find which pieces touch, and along how many pixel sides."""
    small = areas < min_size
    firsts, seconds = [], []
    for rows in _bands(pieces.shape):
        band = pieces[rows.start : rows.stop + 1]
        inner = pieces[rows]
        pairs = [neighbours(inner, axis) for axis in range(inner.ndim - 1, 0, -1)]
        for before, after in (*pairs, neighbours(band, 0)):
            border = before != after
            a, b = before[border], after[border]
            counted = (a > 0) & (b > 0) & (small[a] | small[b])
            firsts.append(a[counted])
            seconds.append(b[counted])
    first, second = np.concatenate(firsts), np.concatenate(seconds)
    return sum_by_pair(first, second, np.ones(first.size, dtype=np.int64), areas.size)


def _choose_roots(
    graph: _Graph, areas: NDArray[np.int64], min_size: int
) -> NDArray[np.integer[Any]]:
    """For every piece, the piece that it ends in: its own index where it does not move.

    As edges weigh the same from both ends and ties are broken by one order of all
    pieces, a chain of choices ends in a large piece or in two that chose each other.
    """
    first, second, border = graph
    n_pieces = areas.size
    # Pieces by rising preference: the larger, then the one that comes first.
    order = np.lexsort((-np.arange(n_pieces), areas))
    rank = np.empty(n_pieces, dtype=np.int64)
    rank[order] = np.arange(n_pieces)
    best = np.full(n_pieces, -1, dtype=np.int64)
    np.maximum.at(best, first, border * n_pieces + rank[second])
    np.maximum.at(best, second, border * n_pieces + rank[first])
    target = np.arange(n_pieces)
    moves = (areas < min_size) & (best >= 0)
    target[moves] = order[best[moves] % n_pieces]
    # Of two that chose each other the preferred one stays.
    own = np.arange(n_pieces)
    stays = (target[target] == own) & (rank > rank[target])
    target[stays] = own[stays]
    while True:
        further = target[target]
        if np.array_equal(further, target):
            return target
        target = further


def _join_equal(
    graph: _Graph, roots: NDArray[np.integer[Any]], piece_clusters: Clusters
) -> NDArray[np.integer[Any]]:
    """Join groups that touch and now have the same cluster."""
    first, second = roots[graph[0]], roots[graph[1]]
    equal = (first != second) & (piece_clusters[first] == piece_clusters[second])
    if not equal.any():
        return roots
    links = (np.ones(int(equal.sum()), dtype=np.int8), (first[equal], second[equal]))
    n_groups, component = connected_components(
        coo_array(links, shape=(roots.size, roots.size)), directed=False
    )
    # Any member stands for its component: all have the same cluster.
    member = np.empty(n_groups, dtype=roots.dtype)
    component_of_piece = component[roots]
    member[component_of_piece] = roots
    joined: NDArray[np.integer[Any]] = member[component_of_piece]
    return joined


def _contract(
    graph: _Graph, group: NDArray[np.integer[Any]], areas: NDArray[np.int64], min_size: int
) -> _Graph:
    """Carry the edges over to the groups; inner edges and those of two large ones go."""
    first, second, border = group[graph[0]], group[graph[1]], graph[2]
    small = areas < min_size
    kept = (first != second) & (small[first] | small[second])
    return sum_by_pair(first[kept], second[kept], border[kept], areas.size)


def _areas(clusters: Clusters, n_clusters: int, valid: Mask | None) -> NDArray[np.int64]:
    areas = np.zeros(n_clusters, np.int64)
    for rows in _bands(clusters.shape):
        counted = clusters[rows].reshape(-1) if valid is None else clusters[rows][valid[rows]]
        areas += np.bincount(counted, minlength=n_clusters)
    return areas


def number_labels(numbers: Labels, clusters: Clusters, valid: Mask | None) -> Labels:
    """Turn clusters into labels; 0 where the image does not count."""
    if valid is None:
        return look_up(numbers, clusters)
    labels: Labels = np.zeros(clusters.shape, numbers.dtype)
    for rows in _bands(clusters.shape):
        if valid[rows].any():  # what nobody writes to takes no memory
            labels[rows] = np.where(valid[rows], numbers[clusters[rows]], 0)
    return labels
