"""Whether labels tell where windows end: label changes across the borders of windows.

Of every row (column, plane) of a window's border the label changes across it are compared with
those across the 64 rows around. A border that shows has more than 1.5 times as many as their 95th
percentile.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.image.pieces import window_shape

AROUND = 32
MOST = 1.5


def seam_ratios(labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return for each border of windows its label changes by the 95th percentile around."""
    ratios = []
    for axis, step in enumerate(window_shape(labels.shape)):
        lanes = np.moveaxis(labels, axis, 0)
        changes = np.array([np.count_nonzero(a != b) for a, b in pairwise(lanes)])
        for border in range(step, len(lanes), step):
            at = border - 1  # the step from one window to the next
            around = np.r_[changes[max(at - AROUND, 0) : at], changes[at + 1 : at + 1 + AROUND]]
            ratios.append(changes[at] / max(float(np.percentile(around, 95)), 1.0))
    return np.array(ratios)


def seam_facts(labels: NDArray[np.integer]) -> dict[str, Any]:
    """Return the columns of a table."""
    ratios = seam_ratios(labels)
    if ratios.size == 0:
        return {"borders of windows": 0}
    return {
        "borders of windows": ratios.size,
        "worst, by the 95th percentile around": f"{ratios.max():.2f}",
        f"above {MOST}": int(np.count_nonzero(ratios > MOST)),
    }
