"""The result of a run, and what can be done with it: other labels, corrections, doubts."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_diffseg.core.clusters.correction import ClassMap, Painted, painted_classes
from napari_diffseg.core.clusters.groundwork import Groundwork, cluster_steps
from napari_diffseg.core.device import own_settings, readable_torch_errors
from napari_diffseg.core.doubt import uncertainty_of
from napari_diffseg.core.following import closed_set, follow_steps, without_notes
from napari_diffseg.core.generators import result_of
from napari_diffseg.core.model.model import Model
from napari_diffseg.core.provenance import Facts, provenance_of
from napari_diffseg.core.published.training import Command, Iteration, StopReason
from napari_diffseg.errors import InputError, ParameterError
from napari_diffseg.image.arrays import Integers, Labels
from napari_diffseg.image.axes import ImageAxes
from napari_diffseg.image.scribbles import Scribbles, read_scribbles
from napari_diffseg.image.windows import Window
from napari_diffseg.numeric.labels import number_by_area
from napari_diffseg.params import RunOptions, SegmentationParams

_FEWER = " labels were found; more are looked for with a higher n_clusters."


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

    labels: Labels = field(repr=False)
    history: tuple[Iteration, ...] = field(repr=False)
    params: SegmentationParams
    stop_reason: StopReason
    model: Model = field(repr=False)
    axes: ImageAxes
    notes: tuple[str, ...]
    seconds: float
    device: str
    threads: int
    clusters: Integers | None = field(repr=False)
    ground: Groundwork = field(repr=False)
    scribbles: Scribbles | None = field(default=None, repr=False)
    references: tuple[Painted, ...] = field(default=(), repr=False)
    classes: ClassMap | None = field(default=None, repr=False)

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
    def can_be_corrected(self) -> bool:
        """Whether `correct` can follow scribbles from here: with the default's design."""
        return self.ground.plane.stage is not None

    @property
    def only_painted(self) -> bool:
        """Whether every pixel goes to a painted class."""
        painted = self.painted_classes
        return bool(painted) and closed_set(self.params, painted)

    @cached_property
    def uncertainty(self) -> NDArray[np.float32]:
        """How unsure each pixel is, ``(y, x)``: 0 sure … 1 the two best answers are level.

        1 minus the margin between the two most probable classes, or, without scribbles,
        labels; in the published design, those with the highest softmax responses.
        """
        with readable_torch_errors(), own_settings():
            return uncertainty_of(self)

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
        model = replace(self.model, params=params)
        if self.scribbles is not None:
            if self.only_painted or self.classes is None:
                raise ParameterError(
                    "n_labels",
                    "The labels are the painted classes, which are never merged; "
                    "paint the classes that you want.",
                )
            merged = replace(self, params=params, model=model)
            return result_of(follow_steps(merged, self.scribbles, options=RunOptions()))
        clusters = self._found()
        standing, valid = model.standing, self.ground.plane.valid
        labels, numbers = number_by_area(clusters, len(standing), valid, standing)
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
        options = options or RunOptions()
        return (yield from follow_steps(self, painted, view=view, options=options))

    def without_scribbles(self) -> Segmentation:
        """Return what was found by itself, as it is where nothing is painted; no training.

        Returns
        -------
        Segmentation
            Labels by falling area, merged to ``params.n_labels``; this one stays as it is. What
            is painted on references counts again with the next correction.
        """
        start = time.perf_counter()
        if self.scribbles is None:
            return self
        bare = replace(
            self,
            scribbles=None,
            classes=None,
            model=replace(self.model, classes=None),
            notes=without_notes(self.notes, self.scribbles),
        )
        merged = bare.with_n_labels(self.params.n_labels)
        return replace(merged, seconds=time.perf_counter() - start)

    def with_provenance(self) -> Segmentation:
        """Return the same; its model knows how it came about."""
        facts = provenance_of(self, for_model=True)
        return replace(self, model=self.model.with_facts(provenance=facts))

    def provenance(self) -> Facts:
        """Return what is needed to do the run again, as values that JSON can hold."""
        return provenance_of(self)

    def _found(self) -> Integers:
        """Return the clusters; found now where a run by scribbles did without them."""
        if self.clusters is not None:
            return self.clusters
        with readable_torch_errors(), own_settings():
            return result_of(cluster_steps(self.ground, self.model.clusters, self.params))
