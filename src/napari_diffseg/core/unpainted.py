"""Back from a result by scribbles to what the network had found by itself."""

from __future__ import annotations

import time
from dataclasses import replace

from napari_diffseg.core.result import Segmentation, without_notes


def without_scribbles(segmentation: Segmentation) -> Segmentation:
    """Return the result of the same network as it is where nothing is painted; no training.

    Parameters
    ----------
    segmentation : Segmentation
        One of the default's design, whose network knows nothing of the scribbles
        (`Segmentation.can_be_corrected`); it stays as it is.

    Returns
    -------
    Segmentation
        Without scribbles: labels by falling area, merged to ``params.n_labels``. What is
        painted on references counts again with the next correction.
    """
    start = time.perf_counter()
    painted = segmentation.scribbles
    if painted is None:
        return segmentation
    bare = replace(
        segmentation,
        scribbles=None,
        classes=None,
        model=replace(segmentation.model, classes=None),
        notes=without_notes(segmentation.notes, painted),
    )
    merged = bare.with_n_labels(segmentation.params.n_labels)
    return replace(merged, seconds=time.perf_counter() - start)
