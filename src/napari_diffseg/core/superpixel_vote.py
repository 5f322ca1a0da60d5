"""Refinement by superpixels: every pixel takes its superpixel's majority cluster.

Kanezaki, ICASSP 2018, Sec. 2.2 and Algorithm 1.
"""

from __future__ import annotations

import torch
from torch import Tensor


def majority_vote(clusters: Tensor, superpixels: Tensor, n_clusters: int) -> Tensor:
    """Give every pixel the most frequent cluster of its superpixel.

    Parameters
    ----------
    clusters, superpixels : Tensor, b y x, integer
        Superpixels count from 0.
    n_clusters : int
        Number of clusters (q).

    Returns
    -------
    Tensor, b y x
        On a tie the smallest cluster index wins, as in the published program.
    """
    n_superpixels = int(superpixels.max()) + 1
    votes = torch.bincount(
        (superpixels * n_clusters + clusters).flatten(), minlength=n_superpixels * n_clusters
    )
    return votes.view(n_superpixels, n_clusters).argmax(dim=1)[superpixels]
