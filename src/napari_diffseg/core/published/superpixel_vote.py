"""Refinement by superpixels: every pixel takes its superpixel's majority cluster.

Kanezaki, ICASSP 2018, Sec. 2.2 and Algorithm 1.
"""

from __future__ import annotations

import torch
from torch import Tensor


def majority_vote(
    clusters: Tensor, superpixels: Tensor, n_superpixels: int, n_clusters: int
) -> Tensor:
    """Give every pixel ``(b, y, x)`` the most frequent cluster of its superpixel.

    Superpixels count from 0; −1 has no vote and keeps its cluster. On a tie the smallest cluster
    index wins, as in the published program.
    """
    # Those without a vote count for one more superpixel, which is then left out.
    voters = torch.where(superpixels < 0, n_superpixels, superpixels)
    votes = torch.zeros((n_superpixels + 1) * n_clusters, device=clusters.device)
    ballots = (voters * n_clusters + clusters).flatten()
    votes.scatter_add_(0, ballots, torch.ones_like(ballots, dtype=votes.dtype))
    elected = votes.view(-1, n_clusters).argmax(dim=1)
    return torch.where(superpixels < 0, clusters, elected[voters])
