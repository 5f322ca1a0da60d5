"""What a classifier's weights cost, told on a GPU (`core.clusters.class_head`)."""

from __future__ import annotations

from collections.abc import Callable

import torch

from napari_diffseg.core.gpu.arrays import in_memory
from napari_diffseg.image.arrays import Floats


def loss_on(
    device: torch.device, rows: Floats, wanted: Floats, share: Floats, decay: float
) -> Callable[[Floats], tuple[float, Floats]]:
    """Return the loss of weights of rows ``(n, d + 1)``, and its slope: as `fit_head` has them."""
    seen, targets, weight = (torch.from_numpy(one).to(device) for one in (rows, wanted, share))

    def loss(flat: Floats) -> tuple[float, Floats]:
        weights = torch.from_numpy(flat).to(device).reshape(seen.shape[1], -1)
        likely = (seen @ weights).log_softmax(1)
        slope = seen.T @ (weight * likely.exp() - targets)
        slope[:-1] += 2 * decay * weights[:-1]
        surprise = decay * (weights[:-1] ** 2).sum() - (targets * likely).sum()
        # One way back for both: each waits for the GPU.
        found = in_memory(torch.cat([surprise[None], slope.ravel()]))
        return float(found[0]), found[1:]

    return loss
