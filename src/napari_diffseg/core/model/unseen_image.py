"""A model on an image that it has not seen: whether it fits, and its labels window by window."""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_diffseg.core.device import choose_device, readable_torch_errors, thread_limit
from napari_diffseg.core.model.adaptation import adapted
from napari_diffseg.core.model.application import (
    AppliedWindow,
    Labelled,
    label_by_network,
    label_by_regions,
    reading_window,
    windows_of,
)
from napari_diffseg.core.plane import Plane
from napari_diffseg.core.sampling import window_around
from napari_diffseg.errors import InputError
from napari_diffseg.image.axes import ImageAxes, channels_first, resolve_axes
from napari_diffseg.image.intensity import (
    brightness_beside,
    check_known_range,
    finite_mask,
    measure_range,
    stated_range,
)
from napari_diffseg.image.windows import Window, inside, size
from napari_diffseg.params import ApplyParams, RunOptions

if TYPE_CHECKING:
    from napari_diffseg.core.model.model import Model

_LOOKED_AT = {2: (1024, 1024), 3: (8, 256, 256)}  # pixels that tell whether values are known


def axes_for(model: Model, image: Any, axes: str | None, rgb: bool | None) -> ImageAxes:
    """Return an image's axes; raises InputError where the model was trained on other images."""
    found = resolve_axes(np.shape(image), axes, rgb=rgb)
    if found.spatial != model.spatial:
        theirs, mine = ("a volume", "planes") if found.spatial == "ZYX" else ("a plane", "volumes")
        raise InputError(
            f"The image is {theirs} ({found.describe()}), but the model was trained on {mine}; "
            f"apply it to {mine}, or train one on images of this kind."
        )
    missing = [one for one in model.channels if one.index >= found.n_channels]
    if missing and model.n_source_channels > 1:
        raise InputError(
            f"The image has {found.n_channels} channel(s), but the model was trained on "
            f"{model.n_source_channels} and looks at {missing[0].title}; give it an image with "
            "the same channels."
        )
    if found.n_channels != model.n_source_channels:
        raise InputError(
            f"The image has {found.n_channels} channel(s), but the model was trained "
            f"on {model.n_source_channels}; give it an image with the same channels."
        )
    if found.rgb != model.facts.rgb:
        mine, theirs = ("colours", "intensities") if found.rgb else ("intensities", "colours")
        raise InputError(
            f"The channels of the image are {mine}, but the model was trained on {theirs}; "
            "give it an image of the same kind, or state its axes (such as YXC or CYX)."
        )
    return found


def apply_windows(
    model: Model,
    image: Any,
    axes: ImageAxes,
    params: ApplyParams,
    options: RunOptions,
    windows: Iterable[Window] | None,
) -> Generator[AppliedWindow, None, None]:
    """Label an image of known axes window by window; see `Model.apply_windows`."""
    with readable_torch_errors(), thread_limit(options.threads):
        device = choose_device(options.device)
        brightness = _brightness(model, image, axes) if params.intensities == "trained" else ""
        model = _fitted(model, image, axes, params, device)
        if model.network is not None and device.type != "cpu":
            model = replace(model, network=copy.deepcopy(model.network).to(device))
    for window in windows_of(axes.spatial_shape) if windows is None else windows:
        with readable_torch_errors(), thread_limit(options.threads):
            around = reading_window(window, axes.spatial_shape, model.space)
            plane = _read(model, image, axes, around)
            labelled = _label(model, plane, inside(window, around), device)
        values, counts = np.unique(labelled.labels, return_counts=True)
        areas = dict(zip(values.tolist(), counts.tolist(), strict=True))
        yield AppliedWindow(window, labelled.labels, areas, labelled.confidence, brightness)


def _brightness(model: Model, image: Any, axes: ImageAxes) -> str:
    """Refuse intensities that say nothing to a model; else say if they are far from its range.

    ``"darker"`` or ``"brighter"``, as the middle of the image tells; see `brightness_beside`.
    """
    shape = axes.spatial_shape
    looked_at = tuple(map(min, shape, _LOOKED_AT[model.n_spatial]))
    middle = window_around([length // 2 for length in shape], looked_at, shape)
    some = channels_first(image, axes, middle, [one.index for one in model.channels])
    check_known_range(some, model.ranges, model.facts.dtype, model.fill)
    if model.params.intensity != "percentile":
        return ""
    return brightness_beside(some, model.ranges, model.channels, model.fill)


def _fitted(
    model: Model, image: Any, axes: ImageAxes, params: ApplyParams, device: torch.device
) -> Model:
    """Return the model with the intensities of the frame, or adapted to it, as asked."""
    picked = [one.index for one in model.channels]
    if params.intensities == "frame":
        raw = channels_first(image, axes, channels=picked)
        valid = finite_mask(raw, model.fill)
        ranges = measure_range(raw, valid, model.params.intensity, rgb=axes.rgb)
        model = replace(model, ranges=stated_range(ranges, model.channels))
    if params.adapt_steps > 0:
        return adapted(model, _read(model, image, axes), params.adapt_steps, device)
    return model


def _read(model: Model, image: Any, axes: ImageAxes, window: Window | None = None) -> Plane:
    picked = [one.index for one in model.channels]
    return Plane.read(
        image, axes, model.ranges, model.stage, model.space, picked, window, model.fill
    )


def _label(model: Model, plane: Plane, area: Window, device: torch.device) -> Labelled:
    dtype = model.label_dtype
    numbers = model.numbers.astype(dtype)
    if model.network is not None:
        return label_by_network(
            model.network, plane, area, device, model.hierarchy, numbers, model.params
        )
    if plane.is_blank(area):
        return Labelled(np.zeros(size(area), dtype), 0.0)
    head, standing = model.clusters, model.standing
    if model.classes is not None:
        head, painted = model.classes
        standing, numbers = np.arange(head.n_classes), np.array(painted, dtype)
    return label_by_regions(plane, area, device, head, standing, numbers, model.params)
