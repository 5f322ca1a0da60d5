"""The whole of one run: image in, labels out.

Stage by stage (axes, units)::

    image as given    any axes, any dtype
    pixels            c y x, float32, 0 … 1 between the measured intensities
    training          see `core.training`
    clusters          y x, 0 … q−1, by fixed statistics, tile by tile
    labels            y x, 1 … K by falling area, 0 where the image is not finite
"""

from __future__ import annotations

import platform
import time
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

import napari_diffseg
from napari_diffseg.core.device import choose_device, readable_torch_errors, thread_limit
from napari_diffseg.core.inference import Clusters, calibrate, cluster_map
from napari_diffseg.core.model import Labels, Model
from napari_diffseg.core.network import build_network
from napari_diffseg.core.plane import Plane, read_for_training
from napari_diffseg.core.sampling import Sample
from napari_diffseg.core.start import start_at_centroids
from napari_diffseg.core.training import Command, Iteration, StopReason, train
from napari_diffseg.images.axes import ImageAxes, resolve_axes
from napari_diffseg.images.labels import LabelNumbers, merge_small_regions, number_by_area
from napari_diffseg.params import RunOptions, Scalar, SegmentationParams

PREVIEW_SIDE = 512
"""A preview is computed on at most about this many pixels along each axis."""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The result of a run.

    Attributes
    ----------
    labels : ndarray of unsigned int, (y, x)
        1 … `n_labels` by falling area; 0 where the image is not finite.
    n_labels : int
        Number of labels (K).
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
    preview_numbers : tuple of int
        Number that label 1, 2 … K had in the previews; 0 for one that was in none.
    """

    labels: Labels
    n_labels: int
    history: tuple[Iteration, ...]
    params: SegmentationParams
    stop_reason: StopReason
    model: Model
    axes: ImageAxes
    notes: tuple[str, ...]
    seconds: float
    device: str
    preview_numbers: tuple[int, ...]

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
            "device": self.device,
            "iterations": len(self.history),
            "stop_reason": self.stop_reason.value,
            "n_labels": self.n_labels,
            "seconds": round(self.seconds, 3),
        }


def segment(
    image: ArrayLike,
    *,
    axes: str | None = None,
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
    steps = segment_steps(image, axes=axes, params=params, options=options)
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
    image, axes, params, options
        As for `segment`. With ``options.previews`` labels come along.
    rgb : bool, optional
        Whether the channels are colours, where that is known.

    Yields
    ------
    Iteration
        Facts of each iteration, and a preview when one is due. Send
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
            start_at_centroids(network, _rows(sample))
        network.to(device)
        small = plane.every(-(-max(plane.shape) // PREVIEW_SIDE))

        def preview() -> Labels:
            clusters = cluster_map(network, small, device)
            return _preview_labels(clusters, plane, numbers, params.min_region_size)

        result = yield from train(
            network,
            sample,
            params,
            generator,
            preview=preview if options.previews else None,
            preview_interval=options.preview_interval,
            start=start,
        )
        calibrate(network, sample.inputs)
        clusters = cluster_map(network, plane, device)
        network.to("cpu")
    tidy = merge_small_regions(clusters, params.min_region_size, plane.valid)
    labels, label_numbers = number_by_area(tidy, params.n_clusters, plane.valid)
    n_labels = int(labels.max())
    shown_as = {int(n): int(shown) for n, shown in zip(label_numbers, numbers.numbers, strict=True)}
    return Segmentation(
        labels=labels,
        n_labels=n_labels,
        history=result.history,
        params=params,
        stop_reason=result.stop_reason,
        model=Model(network, params, ranges, plane.stage, label_numbers),
        axes=image_axes,
        notes=_notes(image_axes, plane),
        seconds=time.perf_counter() - start,
        device=str(device),
        preview_numbers=tuple(shown_as[number] for number in range(1, n_labels + 1)),
    )


def _rows(sample: Sample) -> NDArray[np.float32]:
    """Return the inputs of the valid pixels of the sample, ``n d``."""
    inputs = sample.inputs.movedim(1, -1)
    rows = inputs.flatten(0, 2) if sample.valid is None else inputs[sample.valid]
    return rows.cpu().numpy()


def _preview_labels(
    clusters: Clusters, plane: Plane, numbers: LabelNumbers, min_region_size: int
) -> Labels:
    """Turn the clusters of every so manieth pixel into labels ``(y, x)`` of the whole plane."""
    height, width = plane.shape
    step = -(-height // clusters.shape[0])
    valid = None if plane.valid is None else plane.valid[::step, ::step]
    tidy = merge_small_regions(clusters, min_region_size // step**2, valid)
    labels = numbers.number(tidy, valid)
    return labels.repeat(step, axis=0)[:height].repeat(step, axis=1)[:, :width]


def _notes(axes: ImageAxes, plane: Plane) -> tuple[str, ...]:
    notes = []
    if axes.guessed:
        notes.append(f"The axes were guessed as {axes.axes}: {axes.describe()}.")
    if axes.has_alpha:
        notes.append("The alpha channel was dropped.")
    if plane.valid is not None:
        share = 1 - plane.valid.mean()
        notes.append(f"{share:.1%} of the pixels are NaN or infinite and have label 0.")
    return tuple(notes)
