"""Differentiable feature clustering: unsupervised segmentation of microscopy images.

Importing this package loads neither torch nor napari; the names below are loaded
when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from napari_diffseg._version import __version__

_HOMES = {
    "segment": "core.segmentation",
    "train": "core.learning",
    "train_steps": "core.learning",
    "Reference": "core.training_images",
    "Channel": "image.channels",
    "segment_steps": "core.segmentation",
    "objects": "instances.stacks",
    "measure": "instances.stacks",
    "summary": "instances.table",
    "export": "io.label_files.export",
    "Segmentation": "core.result",
    "Model": "core.model.model",
    "Command": "core.published.training",
    "Iteration": "core.published.training",
    "StopReason": "core.published.training",
    "SegmentationParams": "params",
    "ApplyParams": "params",
    "ObjectParams": "instances.params",
    "RunOptions": "params",
    "DiffSegError": "errors",
    "InputError": "errors",
    "ModelFileError": "errors",
    "OutputError": "errors",
    "ParameterError": "errors",
    "ClusterError": "errors",
    "DeviceError": "errors",
    "OutOfMemoryError": "errors",
    "TrainingError": "errors",
}

__all__ = ["__version__", *_HOMES]

if TYPE_CHECKING:
    from napari_diffseg.core.learning import train, train_steps
    from napari_diffseg.core.model.model import Model
    from napari_diffseg.core.published.training import Command, Iteration, StopReason
    from napari_diffseg.core.result import Segmentation
    from napari_diffseg.core.segmentation import segment, segment_steps
    from napari_diffseg.core.training_images import Reference
    from napari_diffseg.errors import (
        ClusterError,
        DeviceError,
        DiffSegError,
        InputError,
        ModelFileError,
        OutOfMemoryError,
        OutputError,
        ParameterError,
        TrainingError,
    )
    from napari_diffseg.image.channels import Channel
    from napari_diffseg.instances.params import ObjectParams
    from napari_diffseg.instances.stacks import measure, objects
    from napari_diffseg.instances.table import summary
    from napari_diffseg.io.label_files.export import export
    from napari_diffseg.params import ApplyParams, RunOptions, SegmentationParams


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
