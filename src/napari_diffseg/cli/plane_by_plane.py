"""A volume plane by plane: a network that has seen some of its planes labels them all."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_diffseg.batch.facts import brightness_notes
from napari_diffseg.cli.references import turned
from napari_diffseg.cli.subject import Subject, provenance_of
from napari_diffseg.cli.terminal import drain_training, first_interrupt_finishes, say
from napari_diffseg.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_diffseg.core.model.model import Model
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

    Parameters
    ----------
    args : Namespace
        Of the command ``segment``.
    subject : Subject
        A volume.
    painted : ImageFile or None
        What was painted on it, ``z y x`` as the file lies.
    params : SegmentationParams
    options : RunOptions

    Raises
    ------
    DiffSegError
        As for `napari_diffseg.train` and `napari_diffseg.Model.apply`; or the scribbles have
        another shape than the volume.
    """
    from napari_diffseg.core.learning import train_steps
    from napari_diffseg.image.fill import fill_notes
    from napari_diffseg.io.label_files.writing import write_labels

    began = time.monotonic()
    planes = _Planes.open(args, subject, painted)
    planes = replace(planes, fill=planes.decided_fill(args.fill))
    learned = planes.to_learn_from()
    with first_interrupt_finishes() as interrupt:
        steps = train_steps(
            [planes.read(z) for z in learned],
            scribbles=[planes.strokes(z) for z in learned],
            axes=planes.stack.frame_axes,
            rgb=subject.axes.rgb,
            channels=subject.channels,
            fill=planes.fill,
            params=params,
            options=options,
        )
        model = drain_training(steps, interrupt, n_iterations=params.n_iterations, quiet=args.quiet)
    labels = _apply(planes, model, options, quiet=args.quiet)
    provenance = provenance_of(subject, painted, args) | {"planes_learned_from": learned}
    write_labels(
        args.output,
        labels,
        pixel_size=subject.pixel_size,
        placement=subject.placement,
        provenance=provenance | dict(model.facts.provenance),
        force=args.force,
    )
    if not args.quiet:
        notes = (*planes.stack.notes, *(painted.notes if painted else ()))
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
    from napari_diffseg.batch.facts import Record
    from napari_diffseg.batch.sinks import ArraySink
    from napari_diffseg.params import ApplyParams

    labels, n = np.zeros(planes.shape, model.label_dtype), planes.shape[0]
    sink, record = ArraySink(labels[:, *planes.box[1:]], n), Record(n, model.labels)
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
    return labels


@dataclass(frozen=True, eq=False, slots=True)
class _Planes:
    """The planes of a volume, within its region.

    Attributes
    ----------
    stack : FrameStack
        One frame a plane.
    shape : tuple of int
        Of the volume, ``(z, y, x)``.
    region : ndarray of bool, (z, y, x), or None
        Where labels are wanted; None where that is all of the box.
    box : tuple of slice
        The smallest box that holds all of it.
    painted : ndarray of int, (z, y, x), or None
        What was painted.
    fill : float or None
        Value of pixels that are no image.
    rgb : bool or None
        Whether its channels are colours.
    """

    stack: FrameStack
    shape: tuple[int, ...]
    region: NDArray[np.bool_] | None
    box: tuple[slice, ...]
    painted: NDArray[Any] | None
    fill: float | None = None
    rgb: bool | None = None

    @classmethod
    def open(cls, args: argparse.Namespace, subject: Subject, painted: ImageFile | None) -> _Planes:
        from napari_diffseg.io.frames import open_frames

        stack = open_frames(args.image, subject.axes.axes, level=args.level, series=args.series)
        shape, region = subject.axes.spatial_shape, subject.region
        strokes = None if painted is None else turned(painted.pixels, subject.axes.axes)
        if painted is not None and strokes is not None and strokes.shape != shape:
            raise InputError(
                f"The scribbles {painted.path} have the shape {strokes.shape}, but the volume has "
                f"{shape}; give scribbles of the same planes, height and width."
            )
        box = tuple(slice(0, length) for length in shape) if region is None else _box(region)
        cut = None if region is None or region[box].all() else region
        return cls(stack, shape, cut, box, strokes)

    @property
    def frame_axes(self) -> str:
        """The axes of a plane."""
        return self.stack.frame_axes

    def name(self, z: int) -> str:
        """Return what a person calls a plane."""
        return self.stack.name_of(z)

    @property
    def wanted(self) -> list[int]:
        """The planes that are to be labelled."""
        held = range(self.box[0].start, self.box[0].stop)
        return [z for z in held if self.region is None or self.region[z].any()]

    def to_learn_from(self) -> list[int]:
        """Choose planes: those that are painted; else the first, the middle and the last.

        In place of one that is not finite or fill everywhere the nearest other is taken.
        """
        wanted = self.wanted
        if self.painted is None:
            ends = wanted[0], wanted[len(wanted) // 2], wanted[-1]
            return sorted({self._nearest_shown(end) for end in ends})
        found = [z for z in wanted if self._shows(z, self.painted[z][self.box[1:]] > 0)]
        if not found:
            raise InputError(
                "Nothing is painted on the planes, or not within the region and where the image "
                "is finite and no fill; paint some pixels."
            )
        return found

    def _nearest_shown(self, end: int) -> int:
        nearest = sorted(self.wanted, key=lambda z: abs(z - end))
        return next((z for z in nearest if self._shows(z)), end)

    def _shows(self, z: int, painted: NDArray[np.bool_] | None = None) -> bool:
        """Whether a pixel of a plane is finite and within the region; of those painted, if any."""
        from napari_diffseg.image.intensity import finite_mask

        if painted is not None and not painted.any():
            return False
        counted = finite_mask(self._ordered(z), self.fill)
        if counted is None:
            return True
        return bool((counted if painted is None else counted & painted).any())

    def decided_fill(self, said: Fill) -> float | None:
        """Return the value that is fill in the planes, as some of them show that are spread."""
        from napari_diffseg.image.fill import decided_fill

        wanted = self.wanted
        few = {wanted[i * (len(wanted) - 1) // _LOOKED_AT] for i in range(_LOOKED_AT + 1)}
        return decided_fill(said, [self._ordered(z) for z in sorted(few)])

    def _ordered(self, z: int) -> NDArray[Any]:
        """Read a plane ``c y x``."""
        from napari_diffseg.image.axes import channels_first, resolve_axes

        pixels = self.read(z)
        return channels_first(pixels, resolve_axes(pixels.shape, self.stack.frame_axes))

    def read(self, z: int) -> NDArray[Any]:
        """Read a plane, as far as the box goes; what is outside the region is NaN."""
        import numpy as np

        axes = self.stack.frame_axes
        _, rows, columns = self.box
        where = {"Y": rows, "X": columns}
        frame = self.stack.frame(z)
        pixels = np.asarray(frame[tuple(where.get(letter, slice(None)) for letter in axes)])
        if self.region is None:
            return pixels
        pixels = pixels.astype(np.promote_types(pixels.dtype, np.float32))
        outside = ~self.region[z, rows, columns]
        if axes.index("X") < axes.index("Y"):
            outside = outside.T
        if "C" in axes:
            outside = np.expand_dims(outside, axes.index("C"))
        pixels[np.broadcast_to(outside, pixels.shape)] = np.nan
        return pixels

    def strokes(self, z: int) -> NDArray[Any] | None:
        """Return what was painted on a plane, as far as the box goes."""
        return None if self.painted is None else self.painted[z][self.box[1:]]


def _box(region: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Return the smallest box that holds a region, which is not empty."""
    import numpy as np

    sides = []
    for axis in range(region.ndim):
        others = tuple(other for other in range(region.ndim) if other != axis)
        held = np.flatnonzero(region.any(axis=others))
        sides.append(slice(int(held[0]), int(held[-1]) + 1))
    return tuple(sides)
