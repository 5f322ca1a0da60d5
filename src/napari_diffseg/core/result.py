"""The result of a run, and what can be done with it: other labels, corrections, doubts."""

from __future__ import annotations

import platform
import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

import napari_diffseg
from napari_diffseg.core.clusters.correction import (
    N_ROUNDS,
    ClassMap,
    Clusters,
    Painted,
    close_gaps,
    empty_labels,
    learn,
    painted_classes,
    stamp,
    tidy,
)
from napari_diffseg.core.clusters.groundwork import Groundwork, cluster_steps
from napari_diffseg.core.device import readable_torch_errors, thread_limit
from napari_diffseg.core.model.application import Labels
from napari_diffseg.core.model.model import Model
from napari_diffseg.core.published.training import Command, Iteration, StopReason
from napari_diffseg.core.steps import result_of
from napari_diffseg.core.uncertainty import region_doubt, response_doubt
from napari_diffseg.errors import InputError, ParameterError
from napari_diffseg.image.axes import ImageAxes
from napari_diffseg.image.fill import fill_in_words
from napari_diffseg.image.scribbles import Scribbles, read_scribbles
from napari_diffseg.image.windows import Window
from napari_diffseg.numeric.labels import look_up, number_by_area, smallest_unsigned_dtype
from napari_diffseg.parameters import Scalar
from napari_diffseg.params import RunOptions, SegmentationParams

_ONE_CLASS = (
    "Only one class is painted, and the rest has labels of its own; paint the background too, or "
    "set 'Only painted classes' (only_painted) to 'yes', which makes one class of the rest."
)
_FEWER = " kinds were found; more are looked for with a higher n_clusters."
_FLEETING = ("seconds", "params", "axes", "rgb", "n_labels")
"""Facts of a run that its model has elsewhere, or that no two runs share."""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The result of a run.

    Attributes
    ----------
    labels : ndarray of unsigned int, (y, x) or (z, y, x)
        1 … `n_labels` by falling area; 0 where the image is fill or not finite. With scribbles a
        painted class has its own number, and what no scribble claims the next ones.
    history : tuple of Iteration
        Facts of every training iteration; a correction adds none.
    params : SegmentationParams
        Parameters of the run.
    stop_reason : StopReason
        Why training ended.
    model : Model
        The trained network, ready for other images.
    axes : ImageAxes
        How the image's axes were read.
    notes : tuple of str
        Sentences that the person should read, e.g. that the axes were guessed.
    seconds : float
        Time from call to result.
    device : str
        Where the network ran.
    threads : int
        Processor threads; another number can change the last digits of the sums.
    clusters : ndarray of int16, (y, x) or (z, y, x), or None
        What was found, before labels were merged; None where only scribbles were followed.
    previewed : tuple of int, (q,)
        Number that each cluster had in the previews; 0 for one that was in none.
    ground : Groundwork
        The image, as corrections use it; for the published design its pixels only.
    scribbles : Scribbles or None
        What was painted on the image; empty where it was painted on references only.
    references : tuple of Painted
        More images that were learned from, and what is painted on them.
    classes : ClassMap or None
        Probabilities of the classes; None without scribbles, and where the network itself
        was trained with them (the published design).
    """

    labels: Labels
    history: tuple[Iteration, ...]
    params: SegmentationParams
    stop_reason: StopReason
    model: Model
    axes: ImageAxes
    notes: tuple[str, ...]
    seconds: float
    device: str
    threads: int
    clusters: NDArray[np.integer] | None
    previewed: tuple[int, ...]
    ground: Groundwork
    scribbles: Scribbles | None = None
    references: tuple[Painted, ...] = ()
    classes: ClassMap | None = None

    @property
    def painted_classes(self) -> tuple[int, ...]:
        """Numbers of the classes that are painted, here or on a reference; ascending."""
        if self.scribbles is None:
            return ()
        return painted_classes([Painted(self.ground, self.scribbles), *self.references])

    @property
    def n_labels(self) -> int:
        """Number of labels (K)."""
        if self.scribbles is None:
            return int(self.labels.max())
        return len(np.setdiff1d(self.labels, 0))

    @property
    def preview_numbers(self) -> tuple[int, ...]:
        """Number that label 1, 2 … K had in the previews; 0 for one that was in none."""
        if self.scribbles is not None:
            numbers = range(1, int(self.labels.max()) + 1)
            if self.classes is not None:
                return tuple(numbers)
            shown = dict(zip(self.model.numbers.tolist(), self.previewed, strict=True))
            return tuple(shown.get(number, 0) for number in numbers)
        standing = np.unique(self.model.standing)
        shown = {int(self.model.numbers[cluster]): self.previewed[cluster] for cluster in standing}
        return tuple(shown[number] for number in range(1, self.n_labels + 1))

    @property
    def can_be_corrected(self) -> bool:
        """Whether `correct` can follow scribbles from here: with the default's design."""
        return self.ground.plane.stage is not None

    @property
    def only_painted(self) -> bool:
        """Whether every pixel goes to a painted class."""
        painted = self.painted_classes
        return bool(painted) and goes_only_to_painted(self.params, painted)

    @cached_property
    def uncertainty(self) -> NDArray[np.float32]:
        """How unsure each pixel is, ``(y, x)``: 0 sure … 1 the two best answers are level.

        1 minus the margin between the two most probable classes, or, without scribbles,
        labels; in the published design, those with the highest softmax responses.
        """
        with readable_torch_errors():
            model, plane = self.model, self.ground.plane
            if model.network is not None:
                return response_doubt(model.network, plane, model.standing)
            smoothness = self.params.continuity_weight
            if self.classes is None or self.scribbles is None:
                return region_doubt(self.ground, model.clusters, model.standing, smoothness, None)
            painted = self.classes.painted(self.scribbles)
            every = np.arange(self.classes.head.n_classes)
            return region_doubt(self.ground, self.classes.head, every, smoothness, painted)

    def with_n_labels(self, n_labels: int) -> Segmentation:
        """Merge the most similar labels, or split them again; at once, without training.

        Parameters
        ----------
        n_labels : int
            How many labels are wanted; 0 for as many as the image has clearly unlike kinds, and
            in the published design for all. What is together at some number is together at
            each lower one. With scribbles it is the clusters that no scribble claims that join.

        Returns
        -------
        Segmentation
            A new one; this one stays as it is.

        Raises
        ------
        ParameterError
            The number is out of bounds, or every pixel has a painted class.
        """
        params = self.params
        if n_labels != params.n_labels:
            params = replace(params, n_labels=n_labels)
        if self.scribbles is not None:
            if self.only_painted or self.classes is None:
                raise ParameterError(
                    "n_labels",
                    "The labels are the painted classes, which are never merged; "
                    "paint the classes that you want.",
                )
            model = replace(self.model, params=params)
            merged = replace(self, params=params, model=model)
            return result_of(merged.follow_steps(self.scribbles))
        model = replace(self.model, params=params)
        clusters = self._found()
        labels, numbers = label_clusters(clusters, model.standing, self.ground.plane.valid)
        model = replace(model, numbers=numbers)
        notes = tuple(note for note in self.notes if not note.endswith(_FEWER))
        if int(labels.max()) < n_labels and self.model.head is not None:
            notes += (f"{n_labels} labels were asked for, but {int(labels.max())}{_FEWER}",)
        merged = replace(
            self, labels=labels, params=params, model=model, clusters=clusters, notes=notes
        )
        return merged.with_provenance()

    def correct(self, scribbles: ArrayLike, *, options: RunOptions | None = None) -> Segmentation:
        """Follow scribbles from this result: the network stays, the classes are learned.

        Parameters
        ----------
        scribbles : array_like of int, (y, x) or (z, y, x)
            0 = unpainted; class *k* comes out as label *k*. What is painted on the
            references counts as before.
        options : RunOptions, optional
            Threads.

        Returns
        -------
        Segmentation
            A new one; this one stays as it is, and both can be corrected further.

        Raises
        ------
        InputError
            The scribbles cannot be used, or this result is not of the default's design.
        """
        return result_of(self.correct_steps(scribbles, options=options))

    def correct_steps(
        self,
        scribbles: ArrayLike,
        *,
        view: Window | None = None,
        options: RunOptions | None = None,
    ) -> Generator[Iteration, Command | None, Segmentation]:
        """Do what `correct` does, step by step: for a window.

        Parameters
        ----------
        scribbles, options
            As for `correct`.
        view : tuple of slice, optional
            What the person sees, one for each spatial axis; it is labelled first.

        Yields
        ------
        Iteration
            After each round; then, where the view is a part of a large image, once more
            with labels ``(y, x)`` that are new in the view and old elsewhere. Close the
            generator to leave things as they were.

        Returns
        -------
        Segmentation
        """
        if not self.can_be_corrected:
            raise InputError(
                "Results of the design 'published' do not follow scribbles at once; run segment "
                "with the scribbles instead."
            )
        plane = self.ground.plane
        if painted_classes(self.references) and not np.any(scribbles):
            painted = Scribbles.empty(plane.shape)
        else:
            painted = read_scribbles(scribbles, plane.shape, plane.valid)
        return (yield from self.follow_steps(painted, view=view, options=options))

    def follow_steps(
        self,
        painted: Scribbles,
        *,
        view: Window | None = None,
        options: RunOptions | None = None,
    ) -> Generator[Iteration, Command | None, Segmentation]:
        """Do what `correct_steps` does, with scribbles that were checked already."""
        start = time.perf_counter()
        options = options or RunOptions()
        ground = self.ground
        image = Painted(ground, painted)
        numbers = painted_classes([image, *self.references])
        only_painted = goes_only_to_painted(self.params, numbers)
        clusters = None
        if not only_painted:
            clusters = Clusters(self.model.clusters, self.model.standing)
        before = self.classes.head if self.classes is not None else None
        smoothness = self.params.continuity_weight
        with readable_torch_errors(), thread_limit(options.threads):
            weight = self.params.scribble_weight
            images = (image, *self.references)
            found = self.model.clusters
            rest_is_one = self.params.only_painted == "yes"
            rounds = learn(
                images, found, clusters, weight, smoothness, before, rest_is_one=rest_is_one
            )
            for index, classes in enumerate(rounds, start=1):
                seconds = time.perf_counter() - start
                facts = _facts(index, classes, seconds)
                yield facts
            labels = empty_labels(ground.plane.shape, classes.numbers)
            given = classes.painted(painted)
            table = np.array(classes.numbers, labels.dtype)
            seen, rest = _seen_first(ground, view)
            for window in seen:
                labels[window] = table[ground.best(window, classes.head, smoothness, given)]
            if rest:
                yield replace(facts, labels=self._with_windows(labels, seen, painted))
            for window in rest:
                labels[window] = table[ground.best(window, classes.head, smoothness, given)]
            labels = tidy(labels, self.params.min_region_size, ground, painted)
            classes = close_gaps(labels, classes, len(numbers))
            threads = torch.get_num_threads()
        earlier = without_notes(self.notes, self.scribbles)
        notes = (*earlier, *painted.notes, *_of_one(self.params, numbers))
        followed = replace(
            self,
            labels=labels,
            model=replace(self.model, classes=(classes.head, classes.numbers)),
            notes=notes,
            seconds=time.perf_counter() - start,
            threads=threads,
            scribbles=painted,
            classes=classes,
        )
        return followed.with_provenance()

    def with_provenance(self) -> Segmentation:
        """Return the same; its model knows how it came about."""
        facts = {name: value for name, value in self.provenance().items() if name not in _FLEETING}
        return replace(self, model=self.model.with_facts(provenance=facts))

    def provenance(self) -> dict[str, Scalar | dict[str, Scalar]]:
        """Return what is needed to do the run again, as values that JSON can hold."""
        painted: dict[str, Scalar] = {}
        if self.scribbles is not None:
            images = [Painted(self.ground, self.scribbles), *self.references]
            painted["painted_classes"] = " ".join(map(str, self.painted_classes))
            painted["painted_pixels"] = sum(
                int(np.count_nonzero(one.scribbles.painted)) for one in images
            )
        if self.references:
            painted["reference_images"] = 1 + len(self.references)
        return {
            "program": "napari-diffseg",
            "version": napari_diffseg.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "preset": self.params.preset,
            "params": self.params.to_dict(),
            "axes": self.axes.axes,
            "rgb": self.axes.rgb,
            "fill": fill_in_words(self.model.fill),
            "device": self.device,
            "threads": self.threads,
            "iterations": len(self.history),
            "stop_reason": self.stop_reason.value,
            "n_labels": self.n_labels,
            "seconds": round(self.seconds, 3),
            **painted,
        }

    def _found(self) -> NDArray[np.integer]:
        """Return the clusters; found now where a run by scribbles did without them."""
        if self.clusters is not None:
            return self.clusters
        with readable_torch_errors():
            return result_of(cluster_steps(self.ground, self.model.clusters, self.params))

    def _with_windows(self, labels: Labels, windows: list[Window], scribbles: Scribbles) -> Labels:
        """Return the labels of this result, but for some windows that are new."""
        mixed = self.labels.astype(np.promote_types(self.labels.dtype, labels.dtype))
        for window in windows:
            mixed[window] = labels[window]
        stamp(mixed, scribbles)
        return mixed


def goes_only_to_painted(params: SegmentationParams, classes: tuple[int, ...]) -> bool:
    """Say whether every pixel goes to a painted class.

    Raises
    ------
    InputError
        It should, but one class alone is painted, and the design knows of no rest.
    """
    n_classes = len(classes)
    if params.only_painted == "yes" and n_classes == 1 and params.design == "published":
        raise InputError(
            f"Only class {classes[0]} is painted, and every pixel would get it; paint "
            "a second class, or set only_painted to 'auto'."
        )
    return n_classes > 1 and params.only_painted != "no"


def label_clusters(
    clusters: NDArray[np.integer], standing: NDArray[np.int64], valid: NDArray[np.bool_] | None
) -> tuple[Labels, NDArray[np.uint16]]:
    """Return the labels ``(y, x)`` by area, and the label of each cluster, joined ones included."""
    merged = look_up(standing.astype(np.int16), clusters)
    labels, numbers = number_by_area(merged, len(standing), valid)
    return labels, numbers[standing]


def label_painted_clusters(
    clusters: NDArray[np.integer],
    valid: NDArray[np.bool_] | None,
    n_clusters: int,
    scribbles: Scribbles,
    classes: tuple[int, ...],
) -> tuple[Labels, NDArray[np.integer]]:
    """Do the same where the first clusters are painted classes and keep their numbers."""
    n_painted = len(classes)
    _, by_area = number_by_area(clusters, n_clusters, valid)
    others = np.argsort(by_area[n_painted:], kind="stable")
    numbers = np.empty(n_clusters, np.int64)
    numbers[:n_painted] = classes
    numbers[n_painted + others] = max(classes) + 1 + np.arange(len(others))
    dtype = smallest_unsigned_dtype(int(numbers[np.unique(clusters)].max()))
    labels: Labels = look_up(numbers.astype(dtype), clusters)
    if valid is not None:
        labels[~valid] = 0
    stamp(labels, scribbles)
    return labels, numbers


def _facts(index: int, classes: ClassMap, seconds: float) -> Iteration:
    return Iteration(
        index=index,
        n_iterations=N_ROUNDS,
        loss=classes.head.loss,
        similarity=0.0,
        continuity=0.0,
        n_clusters=len(classes.numbers),
        seconds=seconds,
    )


def _seen_first(ground: Groundwork, view: Window | None) -> tuple[list[Window], list[Window]]:
    """Divide the blocks into those that the person sees and the rest."""
    if view is None:
        return ground.windows, []

    def is_seen(window: Window) -> bool:
        sides = zip(window, view, strict=True)
        return all(side.start < seen.stop and seen.start < side.stop for side, seen in sides)

    seen = [window for window in ground.windows if is_seen(window)]
    return seen, [window for window in ground.windows if not is_seen(window)]


def _of_one(params: SegmentationParams, classes: tuple[int, ...]) -> tuple[str, ...]:
    """Return what to know where one class alone is painted."""
    if len(classes) != 1 or params.only_painted != "auto":
        return ()
    return (_ONE_CLASS,)


def without_notes(notes: tuple[str, ...], scribbles: Scribbles | None) -> tuple[str, ...]:
    """Return the notes but for those of earlier scribbles."""
    old = () if scribbles is None else (*scribbles.notes, _ONE_CLASS)
    return tuple(note for note in notes if note not in old)
