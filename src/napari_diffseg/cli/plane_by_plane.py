"""A volume plane by plane: a network that has seen some of its planes labels them all."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_diffseg.cli.options import idle_notes
from napari_diffseg.cli.subject import Subject
from napari_diffseg.cli.terminal import (
    drain_training,
    first_interrupt_finishes,
    progress_bar,
    tell,
)
from napari_diffseg.errors import InputError, count_in_words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_diffseg.core.model.model import Model
    from napari_diffseg.core.published.training import Command, Iteration
    from napari_diffseg.image.fill import Fill
    from napari_diffseg.image.windows import Window
    from napari_diffseg.io.frames import FrameStack
    from napari_diffseg.params import RunOptions, SegmentationParams

_LOOKED_AT = 16  # planes between which the fill is looked for


def segment_planes(subject: Subject, params: SegmentationParams, options: RunOptions) -> None:
    """Learn from some planes, label all of them, and write the labels as one volume.

    The first Ctrl-C ends the training and keeps what was learned; the next one cancels.
    """
    from napari_diffseg.image.fill import fill_notes

    began, args = time.monotonic(), subject.args
    planes = _Planes.of(subject)
    planes.fill = planes.decided_fill(args.fill)
    learned = planes.to_learn_from()
    with first_interrupt_finishes() as interrupt:
        steps = planes.train_steps(learned, params, options)
        model = drain_training(steps, interrupt, args, params.n_iterations)
    labels = _apply(planes, model, options)
    subject.write(labels, {"planes_learned_from": learned, **model.facts.provenance})
    tell(args, *idle_notes(args, params), *subject.notes, *fill_notes(planes.fill, args.fill))
    found, shown = count_in_words(len(model.labels), "label"), ", ".join(map(str, learned))
    tell(
        args,
        f"{found}, learned from plane{'s' * (len(learned) > 1)} {shown} of {len(labels)}, "
        f"{time.monotonic() - began:.1f} s: written to {args.output}",
    )


def _apply(planes: _Planes, model: Model, options: RunOptions) -> NDArray[np.unsignedinteger[Any]]:
    """Label all planes ``z y x``; raises `InputError` where one cannot be read."""
    import numpy as np

    from napari_diffseg.batch.engine import Agenda, Application, apply_frames
    from napari_diffseg.batch.facts import Record, brightness_notes
    from napari_diffseg.batch.sinks import ArraySink
    from napari_diffseg.params import ApplyParams

    labels = np.zeros(planes.subject.axes.spatial_shape, model.label_dtype)
    record = Record(len(labels), model.labels)
    sink = ArraySink(labels, len(labels))
    job = Application(model, planes, sink, ApplyParams(), options, record)
    args, wanted, painted = planes.subject.args, planes.wanted, planes.subject.strokes
    with progress_bar(args, total=len(wanted), unit="planes") as bar:
        for step in apply_frames(job, Agenda(job, wanted)):
            bar.update(step.done - bar.n)
            for reason in record.failed.values():
                raise InputError(reason)
    unlike = [(planes.name(z), kind) for z, kind in sorted(record.brightness.items())]
    tell(args, *brightness_notes(unlike, "segment them apart"))
    if painted is not None:
        # As in every result: a painted pixel keeps its class.
        for plane, strokes in zip(labels, painted, strict=True):
            kept = np.isin(strokes, model.labels) & (plane > 0)
            np.copyto(plane, strokes, where=kept, casting="unsafe")
    return labels


@dataclass(eq=False, slots=True)
class _Planes:
    """The planes of a volume; `region` is ``z y x``, None where labels are wanted everywhere.

    What lies around it in each plane is looked at.
    """

    subject: Subject
    stack: FrameStack
    region: NDArray[np.bool_] | None
    around: Window | None
    fill: float | None = None

    @classmethod
    def of(cls, subject: Subject) -> _Planes:
        from napari_diffseg.core.model.application import reading_window
        from napari_diffseg.image.region import box_of, region_with_strokes
        from napari_diffseg.image.space import PLANE
        from napari_diffseg.io.frames import open_frames

        args, axes, strokes = subject.args, subject.axes, subject.strokes
        shape = axes.spatial_shape
        if subject.painted is not None and strokes is not None and strokes.shape != shape:
            raise InputError(
                f"The scribbles {subject.painted.path} have the shape {strokes.shape}, but the "
                f"volume has {shape}; give scribbles of the same planes, height and width."
            )
        stack = open_frames(args.image, axes.axes, level=args.level, series=args.series)
        region = region_with_strokes(subject.region, strokes, shape)
        box = None if region is None else box_of(region)
        around = box and reading_window(box[1:], shape[1:], PLANE)
        return cls(subject, stack, region, around)

    def train_steps(
        self, learned: Sequence[int], params: SegmentationParams, options: RunOptions
    ) -> Generator[Iteration, Command | None, Model]:
        """Learn from some of the planes."""
        import numpy as np

        from napari_diffseg.core.learning import train_steps

        strokes, frames = self.subject.strokes, [self.read(z) for z in learned]
        return train_steps(
            # Of a region no more than that is read; of all, not some blocks alone.
            [np.asarray(one) for one in frames] if self.region is None else frames,
            scribbles=None if strokes is None else [strokes[z] for z in learned],
            regions=[self.region_of(z) for z in learned],
            axes=self.frame_axes,
            rgb=self.rgb,
            channels=self.subject.channels,
            fill=self.fill,
            params=params,
            options=options,
        )

    # --- what a run over frames asks for ----------------------------------------------

    @property
    def frame_axes(self) -> str:
        """The axes of a plane."""
        return self.stack.frame_axes

    @property
    def rgb(self) -> bool:
        """Whether its channels are colours."""
        return self.subject.axes.rgb

    def read(self, z: int) -> Any:
        """Return a plane, of which nothing has been read yet."""
        return self.stack.frame(z)

    def name(self, z: int) -> str:
        """Return what a person calls a plane."""
        return self.stack.name_of(z)

    def region_of(self, z: int) -> NDArray[np.bool_] | None:
        """Return where a plane is segmented."""
        return None if self.region is None else self.region[z]

    # --- which planes -----------------------------------------------------------------

    @property
    def wanted(self) -> list[int]:
        """The planes that are to be labelled."""
        n_planes, region = self.subject.axes.spatial_shape[0], self.region
        return [z for z in range(n_planes) if region is None or region[z].any()]

    def to_learn_from(self) -> list[int]:
        """Choose planes: those that are painted; else the first, the middle and the last.

        In place of one that is not finite or fill everywhere the nearest other is taken.
        """
        wanted, strokes = self.wanted, self.subject.strokes
        if strokes is None:
            ends = wanted[0], wanted[len(wanted) // 2], wanted[-1]
            return sorted({self._nearest_shown(end) for end in ends})
        found = [z for z in wanted if self._shows(z, strokes[z] > 0)]
        if not found:
            raise InputError(
                "Nothing is painted on the planes, or not where the image is finite and no fill; "
                "paint some pixels."
            )
        return found

    def _nearest_shown(self, end: int) -> int:
        nearest = sorted(self.wanted, key=lambda z: abs(z - end))
        return next((z for z in nearest if self._shows(z, self.region_of(z))), end)

    def _shows(self, z: int, where: NDArray[np.bool_] | None) -> bool:
        """Whether a pixel of a plane counts; of some of them, if these are named."""
        from napari_diffseg.image.intensity import finite_mask

        if where is not None and not where.any():
            return False
        counted = finite_mask(self._ordered(z), self.fill)
        if counted is None:
            return True
        return bool((counted if where is None else counted & where[self.around or ...]).any())

    def decided_fill(self, said: Fill) -> float | None:
        """Return the value that is fill in the planes, as some of them show that are spread."""
        from napari_diffseg.image.fill import decided_fill

        wanted = self.wanted
        few = {wanted[i * (len(wanted) - 1) // _LOOKED_AT] for i in range(_LOOKED_AT + 1)}
        return decided_fill(said, (self._ordered(z) for z in sorted(few)))

    def _ordered(self, z: int) -> NDArray[Any]:
        """Read a plane ``c y x``, of it what is around the region."""
        from napari_diffseg.image.axes import channels_first, resolve_axes

        frame = self.read(z)
        return channels_first(frame, resolve_axes(frame.shape, self.frame_axes), self.around)
