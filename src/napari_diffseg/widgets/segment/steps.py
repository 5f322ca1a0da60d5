"""The runs of the dock: how the generator of each is made, in the thread of the run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_diffseg.widgets.image.first_look import look_first
from napari_diffseg.widgets.tasks.worker import for_window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_diffseg.core.published.training import Iteration
    from napari_diffseg.core.result import Segmentation
    from napari_diffseg.image.windows import Window
    from napari_diffseg.params import RunOptions, SegmentationParams
    from napari_diffseg.widgets.image.image_source import ImageSource
    from napari_diffseg.widgets.segment.request import RunRequest
    from napari_diffseg.widgets.tasks.session import Steps, StepsMaker


def segmentation_steps(
    source: ImageSource,
    params: SegmentationParams,
    options: RunOptions,
    read_strokes: Callable[[], NDArray[Any]] | None = None,
    read_others: Callable[[], list[tuple[NDArray[Any], NDArray[Any] | None]]] | None = None,
) -> Steps:
    """Read the images and make the generator of their run; slow, and loads torch."""
    from napari_diffseg.core.segmentation import segment_steps
    from napari_diffseg.core.training_images import Reference

    others = read_others() if read_others is not None else []
    strokes = read_strokes() if read_strokes is not None else None
    is_painted = strokes is not None and strokes.any()
    mask = None if source.region is None else source.region.mask()
    options = _for_window(options)
    steps = segment_steps(
        source.pixels(),
        scribbles=strokes if is_painted else None,
        references=[Reference(*other) for other in others],
        **source.told(),
        region=mask,
        fill=source.fill,
        params=params,
        options=options,
    )
    if source.first_look is None or is_painted or others:
        return steps
    look = partial(look_first, source.first_look, params, options, mask, source.fill)
    return _after_a_look(look, steps)


def _after_a_look(look: Callable[[], Iteration | None], steps: Steps) -> Steps:
    """Let something be seen before the first of the steps, which may read for long."""
    with closing(steps):
        seen = look()
        if seen is not None:
            yield seen
        return (yield from steps)


def correction_steps(
    segmentation: Segmentation,
    strokes: NDArray[Any],
    view: Window | None,
    params: SegmentationParams,
    options: RunOptions,
) -> Steps:
    """Make the generator that lets a finished result follow new strokes."""
    base = segmentation
    if base.params != params:
        base = replace(segmentation, params=params)
    if not strokes.any() and not any(one.scribbles.classes for one in base.references):
        return _unpainted_steps(base)
    return base.correct_steps(strokes, view=view, options=_for_window(options))


def _unpainted_steps(segmentation: Segmentation) -> Steps:
    yield from ()
    return segmentation.without_scribbles()


def steps_maker(request: RunRequest, base: Segmentation | None) -> StepsMaker:
    """Return what makes the generator of a run: from the start, or from a result to correct."""
    told, painted = (request.params, request.options), request.painted
    if base is not None and painted is not None:
        return partial(correction_steps, base, painted, request.view, *told)
    read = request.strokes.read if request.strokes is not None else None
    if painted is not None:
        read = partial(np.asarray, painted)
    return partial(segmentation_steps, request.source, *told, read, request.others.read)


def _for_window(options: RunOptions) -> RunOptions:
    return replace(for_window(options), previews=True)
