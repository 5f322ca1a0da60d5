"""A volume plane by plane: a network that has seen some of its planes labels them all."""

from __future__ import annotations

import argparse
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_diffseg.cli.options import idle_notes
from napari_diffseg.cli.references import turned
from napari_diffseg.cli.subject import Subject, provenance_of
from napari_diffseg.cli.terminal import drain_training, first_interrupt_finishes, say
from napari_diffseg.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_diffseg.core.model.model import Model
    from napari_diffseg.core.published.training import Command, Iteration
    from napari_diffseg.image.fill import Fill
    from napari_diffseg.io.frames import FrameStack
    from napari_diffseg.io.reading import ImageFile
    from napari_diffseg.params import RunOptions, SegmentationParams

_LOOKED_AT = 16  # planes between which the fill is looked for


def segment_planes(
    args: argparse.Namespace,
    subject: Subject,
    painted: ImageFile | None,
    params: SegmentationParams,
    options: RunOptions,
) -> None:
    """Learn from some planes, label all of them, and write the labels as one volume.

    The first Ctrl-C ends the training and keeps what was learned; the next one cancels.
    """
    from napari_diffseg.image.fill import fill_notes
    from napari_diffseg.io.label_files.writing import write_labels

    began = time.monotonic()
    planes = _Planes.open(args, subject, painted)
    planes = replace(planes, fill=planes.decided_fill(args.fill))
    learned = planes.to_learn_from()
    with first_interrupt_finishes() as interrupt:
        steps = planes.train_steps(learned, subject, params, options)
        model = drain_training(steps, interrupt, n_iterations=params.n_iterations, quiet=args.quiet)
    labels = _apply(planes, model, options, quiet=args.quiet)
    provenance = provenance_of(subject, painted, args) | {"planes_learned_from": learned}
    write_labels(
        args.output,
        labels,
        pixel_size=subject.pixel_size,
        placement=subject.placement,
        provenance=provenance | dict(model.facts.provenance),
        names=args.names,
        colors=args.colors,
        force=args.force,
    )
    if not args.quiet:
        notes = (
            *idle_notes(args, params),
            *planes.stack.notes,
            *(painted.notes if painted else ()),
        )
        for note in (*notes, *fill_notes(planes.fill, args.fill)):
            say(note)
        shown = ", ".join(map(str, learned))
        say(
            f"{len(model.labels)} labels, learned from plane{'s' * (len(learned) > 1)} {shown} of "
            f"{len(labels)}, {time.monotonic() - began:.1f} s: written to {args.output}"
        )


def _apply(
    planes: _Planes, model: Model, options: RunOptions, *, quiet: bool
) -> NDArray[np.unsignedinteger[Any]]:
    """Label all planes ``z y x``; raises `InputError` where one cannot be read."""
    import numpy as np
    from tqdm import tqdm

    from napari_diffseg.batch.engine import Agenda, Application, apply_frames
    from napari_diffseg.batch.facts import Record, brightness_notes
    from napari_diffseg.batch.sinks import ArraySink
    from napari_diffseg.params import ApplyParams

    labels, n = np.zeros(planes.shape, model.label_dtype), planes.shape[0]
    sink, record = ArraySink(labels, n), Record(n, model.labels)
    frames = replace(planes, rgb=model.facts.rgb)
    job = Application(model, frames, sink, ApplyParams(), options, record)
    # Without a terminal (None) there is no bar either: it would fill a log file.
    is_off = True if quiet else None
    with tqdm(total=len(planes.wanted), unit="planes", disable=is_off, leave=False) as bar:
        for step in apply_frames(job, Agenda(job, planes.wanted)):
            bar.update(step.done - bar.n)
            for reason in record.failed.values():
                raise InputError(reason)
    unlike = [(frames.name(z), kind) for z, kind in sorted(record.brightness.items())]
    for note in [] if quiet else brightness_notes(unlike, "segment them apart"):
        say(note)
    if planes.painted is not None:
        # As in every result: a painted pixel keeps its class.
        kept = planes.painted * np.isin(planes.painted, model.labels)
        labels = np.where((kept > 0) & (labels > 0), kept, labels).astype(labels.dtype)
    return labels


@dataclass(frozen=True, eq=False, slots=True)
class _Planes:
    """The planes of a volume; `region` and `painted` are ``z y x``, None where there is none."""

    stack: FrameStack
    shape: tuple[int, ...]
    region: NDArray[np.bool_] | None
    painted: NDArray[Any] | None
    fill: float | None = None
    rgb: bool | None = None

    @classmethod
    def open(cls, args: argparse.Namespace, subject: Subject, painted: ImageFile | None) -> _Planes:
        from napari_diffseg.image.region import region_with_strokes
        from napari_diffseg.io.frames import open_frames

        stack = open_frames(args.image, subject.axes.axes, level=args.level, series=args.series)
        shape = subject.axes.spatial_shape
        strokes = None if painted is None else turned(painted.pixels, subject.axes.axes)
        if painted is not None and strokes is not None and strokes.shape != shape:
            raise InputError(
                f"The scribbles {painted.path} have the shape {strokes.shape}, but the volume has "
                f"{shape}; give scribbles of the same planes, height and width."
            )
        return cls(stack, shape, region_with_strokes(subject.region, strokes, shape), strokes)

    def train_steps(
        self,
        learned: Sequence[int],
        subject: Subject,
        params: SegmentationParams,
        options: RunOptions,
    ) -> Generator[Iteration, Command | None, Model]:
        """Learn from some of the planes."""
        import numpy as np

        from napari_diffseg.core.learning import train_steps

        return train_steps(
            [np.asarray(self.stack.frame(z)) for z in learned],
            scribbles=None if self.painted is None else [self.painted[z] for z in learned],
            regions=[self.region_of(z) for z in learned],
            axes=self.stack.frame_axes,
            rgb=subject.axes.rgb,
            channels=subject.channels,
            fill=self.fill,
            params=params,
            options=options,
        )

    @property
    def frame_axes(self) -> str:
        """The axes of a plane."""
        return self.stack.frame_axes

    def read(self, z: int) -> Any:
        """Return a plane, of which nothing has been read yet."""
        return self.stack.frame(z)

    def name(self, z: int) -> str:
        """Return what a person calls a plane."""
        return self.stack.name_of(z)

    @property
    def wanted(self) -> list[int]:
        """The planes that are to be labelled."""
        return [z for z in range(self.shape[0]) if self.region is None or self.region[z].any()]

    def to_learn_from(self) -> list[int]:
        """Choose planes: those that are painted; else the first, the middle and the last.

        In place of one that is not finite or fill everywhere the nearest other is taken.
        """
        wanted = self.wanted
        if self.painted is None:
            ends = wanted[0], wanted[len(wanted) // 2], wanted[-1]
            return sorted({self._nearest_shown(end) for end in ends})
        found = [z for z in wanted if self._shows(z, self.painted[z] > 0)]
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
        return bool((counted if where is None else counted & where).any())

    def decided_fill(self, said: Fill) -> float | None:
        """Return the value that is fill in the planes, as some of them show that are spread."""
        from napari_diffseg.image.fill import decided_fill

        wanted = self.wanted
        few = {wanted[i * (len(wanted) - 1) // _LOOKED_AT] for i in range(_LOOKED_AT + 1)}
        return decided_fill(said, [self._ordered(z) for z in sorted(few)])

    def _ordered(self, z: int) -> NDArray[Any]:
        """Read a plane ``c y x``."""
        from napari_diffseg.image.axes import channels_first, resolve_axes

        frame = self.stack.frame(z)
        return channels_first(frame, resolve_axes(frame.shape, self.stack.frame_axes))

    def region_of(self, z: int) -> NDArray[np.bool_] | None:
        """Return where a plane is segmented."""
        return None if self.region is None else self.region[z]
