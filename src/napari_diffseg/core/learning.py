"""Train on a few images, to label others without training (Kim et al. 2020, Sec. III-D)."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from numpy.typing import ArrayLike

from napari_diffseg.core.blocks import blocks_of, is_read_in_blocks
from napari_diffseg.core.generators import result_of
from napari_diffseg.core.model.model import Model
from napari_diffseg.core.published.training import Command, Iteration
from napari_diffseg.core.segmentation import run_steps
from napari_diffseg.core.training_images import ImageOptions, Reference
from napari_diffseg.errors import InputError
from napari_diffseg.image.axes import as_array, resolve_axes
from napari_diffseg.image.channels import Channel
from napari_diffseg.image.fill import AUTO, Fill
from napari_diffseg.params import RunOptions, SegmentationParams


def train_steps(
    images: Sequence[ArrayLike],
    *,
    scribbles: Sequence[ArrayLike | None] | None = None,
    regions: Sequence[ArrayLike | None] | None = None,
    axes: str | None = None,
    rgb: bool | None = None,
    spacing: Sequence[float] | None = None,
    channels: Sequence[Channel] | None = None,
    fill: Fill = AUTO,
    params: SegmentationParams | None = None,
    options: RunOptions | None = None,
) -> Generator[Iteration, Command | None, Model]:
    """Do what `train` does, step by step; see `napari_diffseg.segment_steps`.

    Yields
    ------
    Iteration
        Facts of each iteration.

    Returns
    -------
    Model
    """
    _check_list(images, axes)
    painted = _one_each(scribbles, len(images), "scribbles")
    wanted = _one_each(regions, len(images), "regions")
    references = []
    for image, strokes, region in zip(images, painted, wanted, strict=True):
        if region is not None or not is_read_in_blocks(image):
            references.append(Reference(image, strokes, region))
            continue
        known = resolve_axes(as_array(image).shape, axes, rgb=rgb)
        blocks, fill = blocks_of(image, known, strokes, fill)
        references += blocks
        # A block has another shape, from which something else could be guessed.
        axes, rgb = known.axes, known.rgb
    how = ImageOptions(axes=axes, rgb=rgb, spacing=spacing, channels=channels, fill=fill)
    steps = run_steps(references, how, params, options, with_labels=False)
    return (yield from steps).model


def train(
    images: Sequence[ArrayLike],
    *,
    scribbles: Sequence[ArrayLike | None] | None = None,
    regions: Sequence[ArrayLike | None] | None = None,
    axes: str | None = None,
    rgb: bool | None = None,
    spacing: Sequence[float] | None = None,
    channels: Sequence[Channel] | None = None,
    fill: Fill = AUTO,
    params: SegmentationParams | None = None,
    options: RunOptions | None = None,
) -> Model:
    """Train a model on one or several reference images, frames or planes.

    Parameters
    ----------
    images : sequence of array_like
        Planes, or volumes, of one kind; their sizes may differ. Of one that is not in memory
        (dask, zarr, a memory map) and large, only some blocks are read.
    scribbles : sequence of (array_like of int, or None), optional
        One for each image, None where nothing is painted: 0 = unpainted; class *k* comes
        out as label *k*. The same number means the same class in all of them.
    regions : sequence of (array_like of bool, or None), optional
        What of each image is learned from, beside what is painted; all of it where None.
    axes, rgb, spacing, channels, fill, params, options
        As for `napari_diffseg.segment`; they hold for all images. One value is fill in all of
        them, and the model leaves it out of other images too.

    Returns
    -------
    Model
        Without scribbles the labels are numbered by their area in the first image.

    Raises
    ------
    InputError
        The images or scribbles cannot be used, or not together.
    DeviceError, OutOfMemoryError, TrainingError
        The machine cannot do it.

    Examples
    --------
    >>> from skimage.data import cell
    >>> model = train([cell()[:300], cell()[300:]])
    >>> model.apply(cell()).shape
    (660, 550)
    """
    steps = train_steps(
        images,
        scribbles=scribbles,
        regions=regions,
        axes=axes,
        rgb=rgb,
        spacing=spacing,
        channels=channels,
        fill=fill,
        params=params,
        options=options,
    )
    return result_of(steps)


def _check_list(images: Sequence[ArrayLike], axes: str | None) -> None:
    # An array of planes is a list of them, but one that has the axes of an image is one image.
    n_axes = len(axes or ("YXC" if getattr(images, "shape", ())[2:] in ((3,), (4,)) else "YX"))
    if getattr(images, "ndim", n_axes + 1) <= n_axes:
        raise InputError("One image was given where a list is expected; write train([image]).")
    if len(images) == 0:
        raise InputError("There is no image to learn from; give one at least.")


def _one_each(
    given: Sequence[ArrayLike | None] | None, n_images: int, what: str
) -> list[ArrayLike | None]:
    """Return one for each image, None where there is none."""
    found: list[ArrayLike | None] = [None] * n_images if given is None else list(given)
    if len(found) != n_images:
        raise InputError(
            f"There are {n_images} images, but {len(found)} {what}; give one for each image, and "
            "None for an image that has none."
        )
    return found
