"""Whether the pieces of a model belong together.

The digest in a file says that nobody altered it since it was written, not that what was
written makes sense. Labelling relies on what is checked here.
"""

from __future__ import annotations

import numpy as np

from napari_diffseg.core.class_head import ClassHead
from napari_diffseg.core.model import Model
from napari_diffseg.images.hierarchy import ClusterHierarchy
from napari_diffseg.images.intensity import IntensityRange
from napari_diffseg.images.local_statistics import LocalStatistics, n_local_statistics
from napari_diffseg.images.structure import n_structure_statistics

_LARGEST_LABEL = 2**32 - 1


def check_model(model: Model) -> None:
    """Look at a model that was read; raises ValueError where it cannot label an image."""
    _check_ranges(model.ranges)
    if (model.stage is not None) != (model.params.design == "multiscale"):
        raise ValueError("first stage")
    if model.stage is not None:
        _check_stage(model.stage, model.n_channels, model.facts.rgb)
        if model.stage.space != model.space:
            raise ValueError("space of the first stage")
    indices = [one.index for one in model.channels]
    if len(set(indices)) != len(model.ranges.low) or max(indices) >= model.n_source_channels:
        raise ValueError("channels")
    if model.fill is not None and not np.isfinite(model.fill):
        raise ValueError("fill")
    _check_hierarchy(model.hierarchy)
    _check_labels(model.numbers)
    if model.classes is not None:
        head, numbers = model.classes
        if model.stage is None or len(set(numbers)) < max(len(numbers), 1):
            raise ValueError("classes")
        _check_labels(np.array(numbers))
        n_structure = n_structure_statistics(model.n_channels, model.space)
        _check_head(head, len(model.stage.centres) + n_structure + model.params.n_clusters)


def _check_ranges(ranges: IntensityRange) -> None:
    pairs = list(zip(ranges.low, ranges.high, strict=True))
    if not pairs or not np.isfinite(pairs).all() or any(low >= high for low, high in pairs):
        raise ValueError("ranges of intensity")


def _check_stage(stage: LocalStatistics, n_channels: int, rgb: bool) -> None:
    n_statistics = n_local_statistics(n_channels, stage.space)
    if (len(stage.means), len(stage.centres)) != (n_channels, n_statistics):
        raise ValueError("statistics of the first stage")
    if len(stage.weights) not in (0, n_channels) or any(weight <= 0 for weight in stage.weights):
        raise ValueError("weights of the channels")
    if stage.rgb != rgb or (rgb and n_channels != 3):
        raise ValueError("colours")
    if not (np.isfinite([*stage.means, *stage.centres, stage.spread]).all() and stage.spread > 0):
        raise ValueError("numbers of the first stage")


def _check_hierarchy(hierarchy: ClusterHierarchy) -> None:
    merges = hierarchy.merges
    if merges.dtype.kind != "i" or merges.shape[1:] != (2,) or len(merges) >= hierarchy.n_clusters:
        raise ValueError("order of joining")
    if merges.size and not 0 <= merges.min() <= merges.max() < hierarchy.n_clusters:
        raise ValueError("clusters that join")


def _check_labels(numbers: np.ndarray) -> None:
    if numbers.dtype.kind != "i" or not 1 <= numbers.min() <= numbers.max() <= _LARGEST_LABEL:
        raise ValueError("numbers of labels")


def _check_head(head: ClassHead, n_statistics: int) -> None:
    means, spreads = head.scaling.means, head.scaling.spreads
    if not means.shape == spreads.shape == (n_statistics,):
        raise ValueError("statistics of the classes")
    if head.weights.shape[0] != n_statistics + 1 or not (spreads > 0).all():
        raise ValueError("weights of the classes")
    if not np.isfinite(head.loss):
        raise ValueError("loss of the classes")
