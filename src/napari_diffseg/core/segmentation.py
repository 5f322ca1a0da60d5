"""Segmentation of one image: the whole of a run.

Stage by stage (axes, units)::

    image as given    any axes, any dtype
    pixels            c (z) y x, float32, 0 … 1 between the measured intensities
    clusters          (z) y x, 0 … q−1: see `core.region_run` and `core.published.network_run`
    labels            (z) y x, 1 … K by falling area, 0 where the image is fill or not finite
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence

from numpy.typing import ArrayLike

from napari_diffseg.core.device import choose_device, readable_torch_errors, thread_limit
from napari_diffseg.core.generators import result_of, undisturbed
from napari_diffseg.core.published.network_run import network_run
from napari_diffseg.core.published.training import Command, Iteration
from napari_diffseg.core.region_run import region_run
from napari_diffseg.core.result import Segmentation
from napari_diffseg.core.run_state import Run
from napari_diffseg.core.training_images import ImageOptions, Reference, read_for_training
from napari_diffseg.image.channels import Channel
from napari_diffseg.image.fill import AUTO, Fill
from napari_diffseg.params import RunOptions, SegmentationParams


@undisturbed
def run_steps(
    images: Sequence[Reference],
    how: ImageOptions,
    params: SegmentationParams | None,
    options: RunOptions | None,
    *,
    look_at: int | None = None,
    with_labels: bool = True,
) -> Generator[Iteration, Command | None, Segmentation]:
    """Read the images, learn from them, and label the first; see `Run`."""
    start = time.perf_counter()
    params, options = params or SegmentationParams(), options or RunOptions()
    with readable_torch_errors(), thread_limit(options.threads):
        device = choose_device(options.device)
        reading = read_for_training(images, how, params, device)
        run = Run(reading, params, options, device, start, look_at, with_labels)
        in_design = network_run if params.design == "published" else region_run
        return (yield from in_design(run))


def segment_steps(
    image: ArrayLike,
    *,
    scribbles: ArrayLike | None = None,
    references: Sequence[Reference] = (),
    axes: str | None = None,
    rgb: bool | None = None,
    spacing: Sequence[float] | None = None,
    channels: Sequence[Channel] | None = None,
    region: ArrayLike | None = None,
    fill: Fill = AUTO,
    look_at: int | None = None,
    params: SegmentationParams | None = None,
    options: RunOptions | None = None,
) -> Generator[Iteration, Command | None, Segmentation]:
    """Do what `segment` does, step by step: for a progress bar or a window.

    Parameters
    ----------
    image, scribbles, references, axes, rgb, spacing, channels, region, fill, params, options
        As for `segment`. With ``options.previews`` labels come along.
    look_at : int, optional
        The plane of a volume that a person looks at, which previews show; the middle one
        where None.

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
    how = ImageOptions(axes=axes, rgb=rgb, spacing=spacing, channels=channels, fill=fill)
    images = [Reference(image, scribbles, region), *references]
    return (yield from run_steps(images, how, params, options, look_at=look_at))


def segment(
    image: ArrayLike,
    *,
    scribbles: ArrayLike | None = None,
    references: Sequence[Reference] = (),
    axes: str | None = None,
    rgb: bool | None = None,
    spacing: Sequence[float] | None = None,
    channels: Sequence[Channel] | None = None,
    region: ArrayLike | None = None,
    fill: Fill = AUTO,
    params: SegmentationParams | None = None,
    options: RunOptions | None = None,
) -> Segmentation:
    """Segment one image without training data (Kim et al. 2020, Algorithm 1).

    Parameters
    ----------
    image : array_like
        One plane: grayscale, RGB, RGBA (alpha is dropped) or with channels on any
        axis; any real dtype; numpy, dask, zarr. Or one volume, whose axes must be stated.
        Pixels that are NaN or infinite, or masked, are left out and get label 0.
    scribbles : array_like of int, (y, x) or (z, y, x), optional
        What a person painted: 0 = unpainted; class *k* comes out as label *k*, and a painted
        pixel keeps its class. On a volume, on any of its planes.
    references : sequence of Reference, optional
        More images of the same kind to learn from, with or without scribbles of the same
        classes: network and classes are learned from all of them together (Sec. III-D).
        The labels are those of `image`.
    axes : str, optional
        One letter per array axis, e.g. ``"YX"``, ``"YXC"``, ``"CYX"``, ``"ZYX"``; guessed
        where None, and the guess is in the result's notes. With Z the image is segmented as
        a volume: regions, their boundaries and statistics are three-dimensional.
    rgb : bool, optional
        Whether the channels are red, green, blue (and alpha); where None, 3 or 4
        channels on the last axis are.
    spacing : sequence of float, (z, y, x), optional
        Distances of neighbouring voxels of a volume, in any one unit; taken for equal where
        None, which is in the notes then.
    channels : sequence of Channel, optional
        The channels to look at, with their weights and intensities; all where None.
    region : array_like of bool, (y, x) or (z, y, x), optional
        Where labels are wanted; elsewhere they are 0, and nothing is learned from but what
        is painted there, which keeps its class.
    fill : float, "auto" or None
        Value of the pixels that are no image, in every channel: what stitching, rotating and
        padding put around it. They get label 0, and nothing is learned from them. By default
        it is recognized (the rule stands in `image.fill`) and said in the result's notes;
        with None every pixel is image.
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
        The image, its axes or the scribbles cannot be used; nothing was run.
    DeviceError, OutOfMemoryError, TrainingError
        The machine cannot do it.

    Examples
    --------
    >>> from skimage.data import immunohistochemistry
    >>> result = segment(immunohistochemistry())
    >>> result.labels.shape
    (512, 512)
    """
    how = ImageOptions(axes=axes, rgb=rgb, spacing=spacing, channels=channels, fill=fill)
    images = [Reference(image, scribbles, region), *references]
    return result_of(run_steps(images, how, params, options))
