"""The whole of one run: image in, labels out.

Stage by stage (axes, units)::

    image as given    any axes, any dtype
    pixels            c y x, float32, 0 … 1 between the measured intensities
    training          see `core.training`
    clusters          y x, 0 … q−1, by fixed statistics, tile by tile
    regions           y x, cut along boundaries; each votes for one cluster (default)
    labels            y x, 1 … K by falling area, 0 where the image is not finite
"""

from __future__ import annotations

import platform
import time
from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

import napari_diffseg
from napari_diffseg.core.device import choose_device, readable_torch_errors, thread_limit
from napari_diffseg.core.inference import calibrate
from napari_diffseg.core.model import Labels, Model
from napari_diffseg.core.network import build_network
from napari_diffseg.core.partition import Partition, merged_clusters
from napari_diffseg.core.plane import Plane, read_for_training
from napari_diffseg.core.sampling import Sample
from napari_diffseg.core.start import start_at_centroids
from napari_diffseg.core.training import Command, Iteration, StopReason, train
from napari_diffseg.images.axes import ImageAxes, resolve_axes
from napari_diffseg.images.hierarchy import ClusterHierarchy
from napari_diffseg.images.labels import LabelNumbers, number_by_area
from napari_diffseg.params import RunOptions, Scalar, SegmentationParams

PREVIEW_SIDE = 256
"""A preview is computed on at most about this many pixels along each axis."""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The result of a run.

    Attributes
    ----------
    labels : ndarray of unsigned int, (y, x)
        1 … `n_labels` by falling area; 0 where the image is not finite.
    history : tuple of Iteration
        Facts of every training iteration.
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
    partition : Partition
        What inference found, before labels were merged.
    previewed : tuple of int, (q,)
        Number that each cluster had in the previews; 0 for one that was in none.
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
    partition: Partition
    previewed: tuple[int, ...]

    @property
    def n_labels(self) -> int:
        """Number of labels (K)."""
        return int(self.labels.max())

    @property
    def preview_numbers(self) -> tuple[int, ...]:
        """Number that label 1, 2 … K had in the previews; 0 for one that was in none."""
        standing = np.unique(self.model.hierarchy.at_most(self.params.n_labels))
        shown = {int(self.model.numbers[cluster]): self.previewed[cluster] for cluster in standing}
        return tuple(shown[number] for number in range(1, self.n_labels + 1))

    def with_n_labels(self, n_labels: int) -> Segmentation:
        """Merge the most similar labels, or split them again; at once, without training.

        Parameters
        ----------
        n_labels : int
            The most labels that are wanted; 0 for all. The clusters join in one order,
            whatever the number; after that the regions vote anew, so that some can change
            sides.

        Returns
        -------
        Segmentation
            A new one; this one stays as it is.

        Raises
        ------
        ParameterError
            The number is out of bounds.
        """
        params = replace(self.params, n_labels=n_labels)
        labels, numbers = _label(self.partition, self.model.hierarchy, params)
        return replace(
            self,
            labels=labels,
            params=params,
            model=replace(self.model, params=params, numbers=numbers),
        )

    def provenance(self) -> dict[str, Scalar | dict[str, Scalar]]:
        """Return what is needed to do the run again, as values that JSON can hold."""
        return {
            "program": "napari-diffseg",
            "version": napari_diffseg.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "preset": self.params.preset,
            "params": self.params.to_dict(),
            "axes": self.axes.axes,
            "rgb": self.axes.rgb,
            "device": self.device,
            "threads": self.threads,
            "iterations": len(self.history),
            "stop_reason": self.stop_reason.value,
            "n_labels": self.n_labels,
            "seconds": round(self.seconds, 3),
        }


def segment(
    image: ArrayLike,
    *,
    axes: str | None = None,
    rgb: bool | None = None,
    params: SegmentationParams | None = None,
    options: RunOptions | None = None,
) -> Segmentation:
    """Segment one image without training data (Kim et al. 2020, Algorithm 1).

    Parameters
    ----------
    image : array_like
        One plane: grayscale, RGB, RGBA (alpha is dropped) or with channels on any
        axis; any real dtype; numpy, dask, zarr. Pixels that are NaN or infinite are
        left out and get label 0.
    axes : str, optional
        One letter per array axis, e.g. ``"YX"``, ``"YXC"``, ``"CYX"``; guessed where
        None, and the guess is in the result's notes.
    rgb : bool, optional
        Whether the channels are red, green, blue (and alpha); where None, 3 or 4
        channels on the last axis are.
    params : SegmentationParams, optional
        The default preset where None.
    options : RunOptions, optional
        Device, threads.

    Returns
    -------
    Segmentation

    Raises
    ------
    InputError
        The image or its axes cannot be used; nothing was run.
    DeviceError, OutOfMemoryError, TrainingError
        The machine cannot do it.

    Examples
    --------
    >>> from skimage.data import immunohistochemistry
    >>> result = segment(immunohistochemistry())
    >>> result.labels.shape
    (512, 512)
    """
    steps = segment_steps(image, axes=axes, rgb=rgb, params=params, options=options)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Segmentation = end.value
            return result


def segment_steps(
    image: ArrayLike,
    *,
    axes: str | None = None,
    rgb: bool | None = None,
    params: SegmentationParams | None = None,
    options: RunOptions | None = None,
) -> Generator[Iteration, Command | None, Segmentation]:
    """Do what `segment` does, step by step: for a progress bar or a window.

    Parameters
    ----------
    image, axes, rgb, params, options
        As for `segment`. With ``options.previews`` labels come along.

    Yields
    ------
    Iteration
        Facts of each iteration, and a preview when one is due; then, while a large
        image is labelled, those of the last one again with the share that is done. Send
        `Command.FINISH` to stop after this iteration and keep what there is; close
        the generator to leave things as they were.

    Returns
    -------
    Segmentation

    Raises
    ------
    DiffSegError
        As for `segment`.
    """
    start = time.perf_counter()
    params = params or SegmentationParams()
    options = options or RunOptions()
    image_axes = resolve_axes(np.shape(image), axes, rgb=rgb)
    numbers = LabelNumbers(params.n_clusters)
    with readable_torch_errors(), thread_limit(options.threads):
        device = choose_device(options.device)
        plane, ranges, sample = read_for_training(image, image_axes, params, device)
        generator = torch.Generator().manual_seed(params.seed)
        network = build_network(sample.inputs.shape[1], params, generator)
        if params.design == "multiscale":
            start_at_centroids(network, _valid_rows(sample))
        network.to(device)
        step = -(-max(plane.shape) // PREVIEW_SIDE)
        small, small_params = plane.every(step), _shrunk(params, step)

        def preview() -> Labels:
            partition = Partition.find(network, small, device, small_params.region_size)
            hierarchy = small.hierarchy(partition.clusters, params.n_clusters)
            clusters = merged_clusters(partition, hierarchy, small_params)
            return _enlarged(numbers.number(clusters, small.valid), step, plane.shape)

        result = yield from train(
            network,
            sample,
            params,
            generator,
            preview=preview if options.previews else None,
            preview_interval=options.preview_interval,
            start=start,
        )
        clusters = calibrate(network, sample.inputs, sample.valid)
        hierarchy = sample.hierarchy(clusters, params.n_clusters)
        labelling = Partition.find_steps(network, plane, device, params.region_size)
        partition = yield from _tell(labelling, result.history[-1], start)
        network.to("cpu")
        threads = torch.get_num_threads()
        labels, label_numbers = _label(partition, hierarchy, params)
    return Segmentation(
        labels=labels,
        history=result.history,
        params=params,
        stop_reason=result.stop_reason,
        model=Model(network, params, ranges, plane.stage, hierarchy, label_numbers),
        axes=image_axes,
        notes=_notes(image_axes, plane),
        seconds=time.perf_counter() - start,
        device=str(device),
        threads=threads,
        partition=partition,
        previewed=tuple(numbers.numbers.tolist()),
    )


def _tell(
    labelling: Generator[float, None, Partition], last: Iteration, start: float
) -> Generator[Iteration, Command | None, Partition]:
    """Pass on how much is labelled as facts of the last iteration."""
    while True:
        try:
            share = next(labelling)
        except StopIteration as end:
            partition: Partition = end.value
            return partition
        yield replace(last, labelled=share, seconds=time.perf_counter() - start)


def _valid_rows(sample: Sample) -> NDArray[np.float32]:
    """Return the inputs of the valid pixels of the sample, ``n d``."""
    inputs = sample.inputs.movedim(1, -1)
    rows = inputs.flatten(0, 2) if sample.valid is None else inputs[sample.valid]
    return rows.cpu().numpy()


def _shrunk(params: SegmentationParams, step: int) -> SegmentationParams:
    """Return the parameters for an image of which every so manieth pixel is kept."""
    area = step**2
    # A region size of 0 would mean no regions at all.
    region_size = max(params.region_size // area, min(params.region_size, 1))
    min_region_size = params.min_region_size // area
    return replace(params, region_size=region_size, min_region_size=min_region_size)


def _enlarged(labels: Labels, step: int, shape: tuple[int, int]) -> Labels:
    height, width = shape
    return labels.repeat(step, axis=0)[:height].repeat(step, axis=1)[:, :width]


def _label(
    partition: Partition, hierarchy: ClusterHierarchy, params: SegmentationParams
) -> tuple[Labels, NDArray[np.uint16]]:
    """Return the labels ``(y, x)`` and the label of each cluster, joined ones included."""
    clusters = merged_clusters(partition, hierarchy, params)
    labels, numbers = number_by_area(clusters, params.n_clusters, partition.valid)
    return labels, numbers[hierarchy.at_most(params.n_labels)]


def _notes(axes: ImageAxes, plane: Plane) -> tuple[str, ...]:
    notes = []
    if axes.guessed:
        notes.append(f"The axes were guessed as {axes.axes}: {axes.describe()}.")
    if axes.has_alpha:
        notes.append("The alpha channel was dropped.")
        notes.append("If the fourth channel is no alpha, state the axes, such as CYX.")
    if plane.valid is not None:
        n_left_out = int(np.count_nonzero(~plane.valid))
        notes.append(f"{n_left_out} pixels are NaN or infinite and have label 0.")
    return tuple(notes)
