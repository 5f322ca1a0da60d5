"""What is known of a run once its image is read; the same for both designs."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch

from napari_diffseg.core.clusters.correction import Painted
from napari_diffseg.core.clusters.groundwork import Groundwork
from napari_diffseg.core.following import closed_set
from napari_diffseg.core.model.model import Model
from napari_diffseg.core.model.model_facts import ModelFacts
from napari_diffseg.core.plane import Plane
from napari_diffseg.core.published.training import Command, Iteration, StopReason
from napari_diffseg.core.result import Segmentation
from napari_diffseg.core.training_images import TrainingImages
from napari_diffseg.image.arrays import Integers, Labels
from napari_diffseg.image.windows import Window, grow, inside
from napari_diffseg.params import RunOptions, SegmentationParams

_PREVIEW_SIDE = 512

Found = TypeVar("Found")


@dataclass(frozen=True, eq=False, slots=True)
class Run:
    """One run, begun at `start` (`time.perf_counter`); of a volume `look_at` is the plane in view.

    Where the model alone is wanted (not `with_labels`), labels it does not depend on are not made.
    """

    reading: TrainingImages
    params: SegmentationParams
    options: RunOptions
    device: torch.device
    start: float
    look_at: int | None = None
    with_labels: bool = True

    @property
    def plane(self) -> Plane:
        """The image to label."""
        return self.reading.planes[0]

    @property
    def seconds(self) -> float:
        """Time since its start."""
        return time.perf_counter() - self.start

    @property
    def closed_set(self) -> bool:
        """Whether every pixel goes to a painted class."""
        classes = self.reading.classes
        return bool(classes) and closed_set(self.params, classes)

    def labelled(
        self, shares: Generator[float, None, Found], last: Iteration
    ) -> Generator[Iteration, Command | None, Found]:
        """Tell how much of the image is labelled as facts of the last iteration."""
        while True:
            try:
                share = next(shares)
            except StopIteration as end:
                found: Found = end.value
                return found
            yield replace(last, labelled=share, seconds=self.seconds)

    def model(self, **learned: Any) -> Model:
        """Return a model of what was learned."""
        axes = self.reading.axes
        letters = "".join(letter for letter in axes.axes if letter in "C" + axes.spatial)
        return Model(
            params=self.params,
            ranges=self.reading.ranges,
            stage=self.plane.stage,
            facts=ModelFacts(letters, axes.rgb, self.reading.dtype),
            channels=self.reading.channels,
            n_source_channels=axes.n_channels,
            fill=self.reading.fill,
            space=self.plane.space,
            **learned,
        )

    def result(
        self,
        labels: Labels,
        model: Model,
        grounds: Sequence[Groundwork],
        *,
        history: Sequence[Iteration],
        stop_reason: StopReason,
        clusters: Integers | None,
    ) -> Segmentation:
        """Return the result, before anything painted is followed."""
        others = zip(grounds[1:], self.reading.painted[1:], strict=True)
        return Segmentation(
            labels=labels,
            history=tuple(history),
            params=self.params,
            stop_reason=stop_reason,
            model=model,
            axes=self.reading.axes,
            notes=self.reading.notes,
            seconds=self.seconds,
            device=str(self.device),
            threads=torch.get_num_threads(),
            clusters=clusters,
            ground=grounds[0],
            references=tuple(Painted(*both) for both in others),
        )


@dataclass(frozen=True, eq=False, slots=True)
class PreviewPlane:
    """What previews are made of: every n-th pixel; of a volume the plane that is looked at.

    `shown` is where it lies in the whole image (nothing for a plane), `area` what is shown of it.
    """

    whole: Plane
    small: Plane
    step: int
    shown: Window
    area: Window

    @classmethod
    def of(cls, run: Run, side: int = _PREVIEW_SIDE) -> PreviewPlane:
        """Choose the pixels of a run's image; along its longer side no more than so many."""
        plane = run.plane
        step = -(-max(plane.shape[-2:]) // side)
        shown: Window = ()
        read: Window = ()
        if plane.space.is_volume:
            n_planes = plane.shape[0]
            at = n_planes // 2 if run.look_at is None else min(max(run.look_at, 0), n_planes - 1)
            shown = (slice(at, at + 1),)
            read = grow(shown, (2,), plane.shape[:1])
        small = plane.every(step, *read)
        area = (*inside(shown, read), *(slice(0, length) for length in small.shape[-2:]))
        return cls(plane, small, step, shown, area)

    def enlarged(self, labels: Labels) -> Labels:
        """Return labels of the area ``(y, x)`` as those of the image; 0 where none was made."""
        height, width = self.whole.shape[-2:]
        found = labels.repeat(self.step, axis=-2)[..., :height, :]
        found = found.repeat(self.step, axis=-1)[..., :width]
        if not self.shown:
            return found
        placed: Labels = np.zeros(self.whole.shape, found.dtype)
        placed[self.shown] = found
        return placed

    def smallest_piece(self, min_region_size: int) -> int:
        """Return the size of the smallest piece in these pixels."""
        return min_region_size // self.step**2
