"""The whole of one run: image in, labels out.

Stage by stage (axes, units)::

    image as given    any axes, any dtype
    pixels            c (z) y x, float32, 0 … 1 between the measured intensities
    training          see `core.training`
    clusters          (z) y x, 0 … q−1, by fixed statistics, tile by tile
    regions           (z) y x, cut along boundaries; each votes for one cluster (default)
    labels            (z) y x, 1 … K by falling area, 0 where the image is fill or not finite
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from napari_diffseg.core.application import Labels
from napari_diffseg.core.correction import Painted
from napari_diffseg.core.device import choose_device, readable_torch_errors, thread_limit
from napari_diffseg.core.groundwork import Groundwork
from napari_diffseg.core.inference import calibrate
from napari_diffseg.core.model import Model, ModelFacts
from napari_diffseg.core.network import FeatureClusteringNet, build_network
from napari_diffseg.core.partition import Partition, merged_clusters
from napari_diffseg.core.plane import Plane
from napari_diffseg.core.reading import Door, Reading, Reference, read_for_training
from napari_diffseg.core.result import (
    Segmentation,
    goes_only_to_painted,
    label_clusters,
    label_painted_clusters,
)
from napari_diffseg.core.sampling import Sample
from napari_diffseg.core.start import NEVER, start_at_centroids
from napari_diffseg.core.steps import result_of
from napari_diffseg.core.training import Command, Iteration, TrainingResult, train
from napari_diffseg.errors import ParameterError
from napari_diffseg.images.channels import Channel
from napari_diffseg.images.fill import AUTO, Fill
from napari_diffseg.images.hierarchy import ClusterHierarchy
from napari_diffseg.images.labels import LabelNumbers
from napari_diffseg.images.local_statistics import local_radius
from napari_diffseg.images.windows import Window, grow, inside, whole
from napari_diffseg.params import RunOptions, SegmentationParams

PREVIEW_SIDE = 256
"""A preview is computed on at most about this many pixels along each axis."""


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
        a volume: by convolutions, statistics and regions in three dimensions.
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
        it is recognized (the rule stands in `images.fill`) and said in the result's notes;
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
    return result_of(
        segment_steps(
            image,
            scribbles=scribbles,
            references=references,
            axes=axes,
            rgb=rgb,
            spacing=spacing,
            channels=channels,
            region=region,
            fill=fill,
            params=params,
            options=options,
        )
    )


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
    start = time.perf_counter()
    params = params or SegmentationParams()
    options = options or RunOptions()
    images = [Reference(image, scribbles), *references]
    with readable_torch_errors(), thread_limit(options.threads):
        device = choose_device(options.device)
        door = Door(
            axes=axes, rgb=rgb, spacing=spacing, channels=channels, region=region, fill=fill
        )
        reading = read_for_training(images, door, params, device)
        classes = reading.classes
        if classes:
            goes_only_to_painted(params, classes)
        run = _Run(reading, params, options, device, start, look_at)
        if not classes or params.design == "multiscale":
            result = yield from run.unsupervised()
        else:
            return (yield from run.with_scribbles(classes))
    if not classes:
        return result
    corrected = yield from result.follow_steps(reading.painted[0], options=options)
    return replace(corrected, seconds=time.perf_counter() - start)


@dataclass(frozen=True, eq=False, slots=True)
class _Run:
    """What is known of a run once its image is read."""

    reading: Reading
    params: SegmentationParams
    options: RunOptions
    device: torch.device
    start: float
    look_at: int | None

    @property
    def plane(self) -> Plane:
        """The image to label."""
        return self.reading.planes[0]

    def unsupervised(self) -> Generator[Iteration, Command | None, Segmentation]:
        """Train without scribbles, label, and merge."""
        params, sample = self.params, self.reading.sample
        network, generator = self._build()
        if params.design == "multiscale":
            start_at_centroids(network, _valid_rows(sample))
        numbers = LabelNumbers(params.n_clusters)
        trained = yield from self._train(network, params, sample, generator, numbers)
        hierarchy = sample.hierarchy(
            calibrate(network, sample.inputs, sample.valid), params.n_clusters
        )
        partition = yield from self._find(network, trained.history[-1])
        labels, label_numbers = label_clusters(partition, hierarchy, params)
        model = self._model(network, hierarchy, label_numbers)
        return self._result(labels, trained, model, partition, numbers)

    def with_scribbles(
        self, classes: tuple[int, ...]
    ) -> Generator[Iteration, Command | None, Segmentation]:
        """Train with the scribble loss (Sec. III-C): cluster i is the i-th painted class."""
        params, sample, n_painted = self.params, self.reading.sample, len(classes)
        scribbles = self.reading.painted[0]
        if n_painted > params.n_clusters:
            raise ParameterError(
                "n_clusters",
                f"{n_painted} classes are painted, but the network has {params.n_clusters} "
                "clusters; set n_clusters to as many at least.",
            )
        network, generator = self._build()
        # As in the published program: no fewer labels than there are painted classes.
        floor = replace(params, min_labels=n_painted)
        numbers = LabelNumbers(params.n_clusters, given=classes)
        trained = yield from self._train(network, floor, sample, generator, numbers)
        calibrate(network, sample.inputs, sample.valid)
        if goes_only_to_painted(params, classes):
            _silence(network, n_painted)
        # Painted classes are never merged.
        hierarchy = ClusterHierarchy(params.n_clusters, np.zeros((0, 2), np.int64))
        partition = yield from self._find(network, trained.history[-1])
        labels, label_numbers = label_painted_clusters(
            partition, hierarchy, params, scribbles, classes
        )
        if goes_only_to_painted(params, classes):
            label_numbers[n_painted:] = classes[0]  # never come out
        model = self._model(network, hierarchy, label_numbers)
        result = self._result(labels, trained, model, partition, numbers)
        notes = (*result.notes, *scribbles.notes)
        return replace(result, scribbles=scribbles, notes=notes).with_provenance()

    def _build(self) -> tuple[FeatureClusteringNet, torch.Generator]:
        generator = torch.Generator().manual_seed(self.params.seed)
        n_inputs = self.reading.sample.inputs.shape[1]
        return build_network(n_inputs, self.params, generator, self.plane.space), generator

    def _model(
        self,
        network: FeatureClusteringNet,
        hierarchy: ClusterHierarchy,
        numbers: NDArray[np.integer],
    ) -> Model:
        axes, dtype = self.reading.axes, self.reading.dtype
        letters = "".join(letter for letter in axes.axes if letter in "C" + axes.spatial)
        return Model(
            network=network,
            params=self.params,
            ranges=self.reading.ranges,
            stage=self.plane.stage,
            hierarchy=hierarchy,
            numbers=numbers,
            facts=ModelFacts(letters, axes.rgb, dtype),
            channels=self.reading.channels,
            n_source_channels=axes.n_channels,
            fill=self.reading.fill,
        )

    def _train(
        self,
        network: FeatureClusteringNet,
        params: SegmentationParams,
        sample: Sample,
        generator: torch.Generator,
        numbers: LabelNumbers,
    ) -> Generator[Iteration, Command | None, TrainingResult]:
        network.to(self.device)
        preview = None
        if self.options.previews:
            preview = _previews(network, self.plane, params, numbers, self.device, self.look_at)
        return train(
            network,
            sample,
            params,
            generator,
            preview=preview,
            preview_interval=self.options.preview_interval,
            start=self.start,
        )

    def _find(
        self, network: FeatureClusteringNet, last: Iteration
    ) -> Generator[Iteration, Command | None, Partition]:
        """Label the plane; how much is labelled is told as facts of the last iteration."""
        labelling = Partition.find_steps(network, self.plane, self.device, self.params.region_size)
        while True:
            try:
                share = next(labelling)
            except StopIteration as end:
                partition: Partition = end.value
                network.to("cpu")
                return partition
            yield replace(last, labelled=share, seconds=time.perf_counter() - self.start)

    def _result(
        self,
        labels: Labels,
        trained: TrainingResult,
        model: Model,
        partition: Partition,
        numbers: LabelNumbers,
    ) -> Segmentation:
        first, *others = self.reading.planes
        rgb = self.reading.axes.rgb
        ground = Groundwork(model.network, first, rgb=rgb)
        grounds = [Groundwork(model.network, other, rgb=rgb, like=ground) for other in others]
        result = Segmentation(
            labels=labels,
            history=trained.history,
            params=self.params,
            stop_reason=trained.stop_reason,
            model=model,
            axes=self.reading.axes,
            notes=self.reading.notes,
            seconds=time.perf_counter() - self.start,
            device=str(self.device),
            threads=torch.get_num_threads(),
            partition=partition,
            previewed=tuple(numbers.numbers.tolist()),
            ground=ground,
            references=tuple(
                Painted(*both) for both in zip(grounds, self.reading.painted[1:], strict=True)
            ),
        )
        return result.with_provenance()


@torch.no_grad()
def _silence(network: FeatureClusteringNet, n_kept: int) -> None:
    """Let only the first clusters win."""
    network.normalization.weight[n_kept:] = 0
    network.normalization.bias[n_kept:] = NEVER


def _previews(
    network: FeatureClusteringNet,
    plane: Plane,
    params: SegmentationParams,
    numbers: LabelNumbers,
    device: torch.device,
    look_at: int | None,
) -> Callable[[], Labels]:
    """Return what makes a preview: labels of every so manieth pixel, by the network as it is.

    Of a volume, those of the plane that a person looks at.
    """
    step = -(-max(plane.shape[-2:]) // PREVIEW_SIDE)
    small_params = _shrunk(params, step)
    read, shown = _slab(plane, look_at)
    small = plane.every(step, *read)
    area = (*inside(shown, read), *whole(small.shape)[-2:])

    def preview() -> Labels:
        partition = Partition.find(network, small, device, small_params.region_size, area)
        inputs = small.inputs(area)
        hierarchy = ClusterHierarchy.of_pixels(
            inputs.reshape(len(inputs), -1), partition.clusters.ravel(), params.n_clusters
        )
        clusters = merged_clusters(partition, hierarchy, small_params)
        found = _enlarged(numbers.number(clusters, partition.valid), step, plane.shape[-2:])
        if not shown:
            return found
        labels = np.zeros(plane.shape, found.dtype)
        labels[shown] = found
        return labels

    return preview


def _slab(plane: Plane, look_at: int | None) -> tuple[Window, Window]:
    """Return the planes of a volume that a preview reads and the one that it shows; else ()."""
    if not plane.space.is_volume:
        return (), ()
    n_planes = plane.shape[0]
    at = n_planes // 2 if look_at is None else min(max(look_at, 0), n_planes - 1)
    shown = (slice(at, at + 1),)
    reach = local_radius(plane.space)[0] + 1
    return grow(shown, reach, plane.shape[:1]), shown


def _valid_rows(sample: Sample) -> NDArray[np.float32]:
    """Return the inputs of the valid pixels of the sample, ``n d``."""
    inputs = sample.inputs.movedim(1, -1)
    rows = inputs.flatten(0, -2) if sample.valid is None else inputs[sample.valid]
    return rows.cpu().numpy()


def _shrunk(params: SegmentationParams, step: int) -> SegmentationParams:
    """Return the parameters for an image of which every so manieth pixel is kept."""
    area = step**2
    # A region size of 0 would mean no regions at all.
    region_size = max(params.region_size // area, min(params.region_size, 1))
    min_region_size = params.min_region_size // area
    return replace(params, region_size=region_size, min_region_size=min_region_size)


def _enlarged(labels: Labels, step: int, shape: tuple[int, ...]) -> Labels:
    height, width = shape
    return labels.repeat(step, axis=-2)[..., :height, :].repeat(step, axis=-1)[..., :width]
