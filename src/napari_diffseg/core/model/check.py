"""Whether the pieces of a model belong together.

The digest in a file says that nobody altered it since it was written, not that what was
written makes sense. Labelling relies on what is checked here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_diffseg.core.clusters.class_head import ClassHead
from napari_diffseg.core.features.extraction import Features
from napari_diffseg.core.features.network import N_CHANNELS, N_FEATURES
from napari_diffseg.core.features.pyramid import SCALES
from napari_diffseg.image.intensity import IntensityRange
from napari_diffseg.image.scribbles import LARGEST_CLASS
from napari_diffseg.numeric.hierarchy import ClusterHierarchy

if TYPE_CHECKING:
    from napari_diffseg.core.model.model import Model

_LARGEST_LABEL = 2 * LARGEST_CLASS  # of painted classes, and of clusters that follow on


def check_model(model: Model) -> None:
    """Look at a model that was read; raises ValueError where it cannot label an image."""
    _check_ranges(model.ranges)
    if (model.stage is None) != (model.params.design == "published"):
        raise ValueError("first stage")
    indices = [one.index for one in model.channels]
    if not len(set(indices)) == len(indices) == len(model.ranges.low):
        raise ValueError("channels")
    if max(indices) >= model.n_source_channels:
        raise ValueError("channels")
    if not all(type(one.index) is int and isinstance(one.name, str) for one in model.channels):
        raise ValueError("channels")
    _check_hierarchy(model.hierarchy)
    _check_labels(model.numbers)
    if model.stage is None:
        if model.classes is not None:
            raise ValueError("classes")
        return
    _check_stage(model.stage, model.n_channels, model.facts.rgb)
    _check_head(model.clusters, model.stage.n_inputs, model.params.n_clusters)
    if model.classes is not None:
        head, numbers = model.classes
        if len(set(numbers)) < max(len(numbers), 1):
            raise ValueError("classes")
        _check_labels(np.array(numbers))
        n_inputs, n_clusters = model.stage.n_inputs, model.params.n_clusters
        _check_head(head, n_inputs + n_clusters, len(numbers))
        if head.wide is not None:
            _check_head(head.wide, 2 * n_inputs + n_clusters, len(numbers))
        if not 0 <= head.share <= 0.5 or (head.share > 0) != (head.wide is not None):
            raise ValueError("share of the wide classifier")


def _check_ranges(ranges: IntensityRange) -> None:
    pairs = list(zip(ranges.low, ranges.high, strict=True))
    if not pairs or not np.isfinite(pairs).all() or any(low >= high for low, high in pairs):
        raise ValueError("ranges of intensity")


def _check_stage(stage: Features, n_channels: int, rgb: bool) -> None:
    n_seen = N_FEATURES * len(SCALES)
    if {len(stage.means), len(stage.weights), len(stage.gammas)} != {n_channels}:
        raise ValueError("channels of the first stage")
    if stage.rgb != rgb or (rgb and n_channels != 3):
        raise ValueError("colours")
    if any(not 0 < one < np.inf for one in (*stage.weights, *stage.gammas)):
        raise ValueError("weights of the channels")
    shapes = stage.axes.shape, stage.centres.shape, stage.projection.shape[1:]
    if shapes != ((n_channels, min(n_channels, N_CHANNELS)), (n_seen,), (n_seen,)):
        raise ValueError("components of the first stage")
    if not 1 <= len(stage.projection) <= n_seen:
        raise ValueError("components of the features")
    numbers = [*stage.means, *stage.weights, stage.low, stage.high]
    arrays = [one.ravel() for one in (stage.axes, stage.centres, stage.projection)]
    if not np.isfinite(np.concatenate([numbers, *arrays])).all() or stage.low >= stage.high:
        raise ValueError("numbers of the first stage")
    if not all(0 < one < np.inf for one in (stage.spread, stage.slope, stage.edge)):
        raise ValueError("spreads of the first stage")


def _check_hierarchy(hierarchy: ClusterHierarchy) -> None:
    merges = hierarchy.merges
    if merges.dtype.kind != "i" or merges.shape[1:] != (2,) or len(merges) >= hierarchy.n_clusters:
        raise ValueError("order of joining")
    if hierarchy.costs.shape != (len(merges),) or not np.isfinite(hierarchy.costs).all():
        raise ValueError("costs of joining")
    if merges.size and not 0 <= merges.min() <= merges.max() < hierarchy.n_clusters:
        raise ValueError("clusters that join")


def _check_labels(numbers: np.ndarray) -> None:
    if numbers.dtype.kind != "i" or not 1 <= numbers.min() <= numbers.max() <= _LARGEST_LABEL:
        raise ValueError("numbers of labels")


def _check_head(head: ClassHead, n_inputs: int, n_classes: int) -> None:
    if head.weights.shape != (n_inputs + 1, n_classes) or not np.isfinite(head.weights).all():
        raise ValueError("weights of a classifier")
    if not np.isfinite(head.loss):
        raise ValueError("loss of a classifier")
