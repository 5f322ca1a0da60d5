"""A model on an image that it has not seen: whether it fits, and its labels window by window."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from napari_diffseg.core.device import (
    choose_device,
    in_turn,
    readable_torch_errors,
    thread_limit,
    threads_for,
)
from napari_diffseg.core.features.pyramid import KeptPlanes
from napari_diffseg.core.generators import undisturbed
from napari_diffseg.core.model.adaptation import adapted
from napari_diffseg.core.model.application import (
    AppliedWindow,
    Labelled,
    label_by_network,
    label_by_regions,
    reading_window,
    windows_of,
)
from napari_diffseg.core.model.matching import matched
from napari_diffseg.core.plane import Plane
from napari_diffseg.core.sampling import window_around
from napari_diffseg.image.arrays import Mask
from napari_diffseg.image.axes import (
    ImageAxes,
    as_array,
    channels_first,
    guess_letters,
    resolve_axes,
)
from napari_diffseg.image.intensity import (
    brightness_beside,
    check_known_range,
    finite_mask,
    measure_range,
    stated_range,
)
from napari_diffseg.image.region import region_with_strokes
from napari_diffseg.image.windows import Window, inside, size, whole
from napari_diffseg.params import ApplyParams, RunOptions

if TYPE_CHECKING:
    from napari_diffseg.core.model.model import Model

_LOOKED_AT = {2: (1024, 1024), 3: (8, 256, 256)}  # pixels that tell whether values are known


def axes_for(model: Model, image: Any, axes: str | None, rgb: bool | None) -> ImageAxes:
    """Return an image's axes; raises InputError where the model was trained on other images."""
    shape = as_array(image).shape
    is_alike = model.space.is_volume and len(shape) == len(model.facts.axes)
    if axes is None and is_alike and guess_letters(shape, rgb) is None:
        axes = model.facts.axes
    found = resolve_axes(shape, axes, rgb=rgb)
    matched(model, found, "The image")
    return found


@undisturbed
def apply_windows(
    model: Model,
    image: Any,
    axes: ImageAxes,
    params: ApplyParams,
    options: RunOptions,
    windows: Iterable[Window] | None,
    region: ArrayLike | None = None,
) -> Generator[AppliedWindow, None, None]:
    """Label an image of known axes window by window; see `Model.apply_windows`."""
    with readable_torch_errors(), thread_limit(options.threads):
        device = choose_device(options.device)
        wanted = region_with_strokes(region, None, axes.spatial_shape)
        brightness = _brightness(model, image, axes) if params.intensities == "trained" else ""
        model = _fitted(model, image, axes, params, device, wanted)
        if model.network is not None and device.type != "cpu":
            model = replace(model, network=copy.deepcopy(model.network).to(device))
        every = list(windows_of(axes.spatial_shape) if windows is None else windows)
        n_threads = 1
        if model.network is None and len(every) > 1:
            n_threads = threads_for(device, axes.spatial_shape, model.n_channels)
    jobs = _jobs(model, image, axes, every, wanted, device)
    labelled, waiting = in_turn(jobs, n_threads), iter(every)
    with closing(labelled):
        while True:
            with readable_torch_errors(), thread_limit(options.threads):
                try:
                    found = next(labelled)
                except StopIteration:
                    return
            if found is not None:
                counts = np.bincount(found.labels.ravel())
                areas = {int(number): int(counts[number]) for number in np.flatnonzero(counts)}
                yield AppliedWindow(
                    next(waiting), found.labels, areas, found.confidence, brightness
                )


def _jobs(
    model: Model,
    image: Any,
    axes: ImageAxes,
    windows: Iterable[Window],
    wanted: Mask | None,
    device: torch.device,
) -> Iterator[Callable[[], Labelled]]:
    """Yield what labels each window, once what is around it is read."""
    kept = KeptPlanes.of(axes.spatial_shape)
    for window in windows:
        around = reading_window(window, axes.spatial_shape, model.space)
        if wanted is not None and not wanted[window].any():
            nothing = np.zeros(size(window), model.label_dtype)
            yield partial(Labelled, nothing, 0.0)
            continue
        plane = _read(model, image, axes, around)
        # What stands for pixels that do not count depends on what was read.
        if kept and plane.valid is None and plane.shape[1:] == axes.spatial_shape[1:]:
            plane = replace(plane, kept=kept.starting_at(around[0].start))
        plane = plane.within(wanted, around)
        yield partial(_label, model, plane, inside(window, around), device)


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
    model: Model,
    image: Any,
    axes: ImageAxes,
    params: ApplyParams,
    device: torch.device,
    region: Mask | None,
) -> Model:
    """Return the model with the intensities of the frame, or adapted to it, as asked."""
    picked = [one.index for one in model.channels]
    if params.intensities == "frame":
        raw = channels_first(image, axes, channels=picked)
        finite = finite_mask(raw, model.fill)
        valid = finite if region is None else region if finite is None else region & finite
        ranges = measure_range(raw, valid, model.params.intensity, rgb=axes.rgb)
        model = replace(model, ranges=stated_range(ranges, model.channels))
    if params.adapt_steps > 0:
        plane = _read(model, image, axes).within(region, whole(axes.spatial_shape))
        return adapted(model, plane, params.adapt_steps, device)
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
