"""A trained network with all that is needed to use it on another image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_diffseg.core.class_head import ClassHead
from napari_diffseg.core.correction import empty_labels, label_windows, spread_head, tidy
from napari_diffseg.core.device import choose_device, readable_torch_errors, thread_limit
from napari_diffseg.core.groundwork import Groundwork
from napari_diffseg.core.network import FeatureClusteringNet
from napari_diffseg.core.partition import Partition, merged_clusters
from napari_diffseg.core.plane import Plane
from napari_diffseg.errors import InputError
from napari_diffseg.images.axes import resolve_axes
from napari_diffseg.images.hierarchy import ClusterHierarchy
from napari_diffseg.images.intensity import IntensityRange
from napari_diffseg.images.labels import smallest_unsigned_dtype
from napari_diffseg.images.local_statistics import LocalStatistics
from napari_diffseg.params import RunOptions, SegmentationParams

Labels = NDArray[np.unsignedinteger]


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network, the intensities it was trained on, and its label numbers.

    Attributes
    ----------
    network : FeatureClusteringNet
        Weights and batch-norm statistics, on the CPU, in evaluation mode.
    params : SegmentationParams
        What it was trained with.
    ranges : IntensityRange
        Intensities that become 0 and 1, per channel.
    stage : LocalStatistics or None
        First stage of the default, as measured on the training image.
    hierarchy : ClusterHierarchy
        In which order clusters join when fewer labels are wanted.
    numbers : ndarray of int, (q,)
        Label of each cluster, from 1; those that were joined have the same.
    classes : (ClassHead, tuple of int) or None
        After a correction: the classifier of painted classes, and the label of each.
    """

    network: FeatureClusteringNet
    params: SegmentationParams
    ranges: IntensityRange
    stage: LocalStatistics | None
    hierarchy: ClusterHierarchy
    numbers: NDArray[np.integer]
    classes: tuple[ClassHead, tuple[int, ...]] | None = None

    @property
    def n_channels(self) -> int:
        """Channels that an image must have (c)."""
        return len(self.ranges.low)

    def apply(
        self,
        image: ArrayLike,
        *,
        axes: str | None = None,
        rgb: bool | None = None,
        options: RunOptions | None = None,
    ) -> Labels:
        """Segment an image without training.

        The intensities are scaled as those of the training image, and the statistics
        are fixed: the same surroundings give a pixel the same label in every image.

        Parameters
        ----------
        image : array_like
            One plane with the channels of the training image.
        axes : str, optional
            One letter per array axis, e.g. ``"CYX"``; guessed where None.
        rgb : bool, optional
            Whether the channels are red, green, blue (and alpha), where that is known.
        options : RunOptions, optional
            Device and threads.

        Returns
        -------
        ndarray of unsigned int, (y, x)
            Labels from 1; 0 where the image is not finite.

        Raises
        ------
        InputError
            The image is not a plane with `n_channels` channels.
        DeviceError, OutOfMemoryError, TrainingError
            The machine cannot do it.
        """
        options = options or RunOptions()
        image_axes = resolve_axes(np.shape(image), axes, rgb=rgb)
        if image_axes.n_channels != self.n_channels:
            raise InputError(
                f"The image has {image_axes.n_channels} channel(s), but the model was trained "
                f"on {self.n_channels}; give it an image with the same channels."
            )
        plane = Plane.read(image, image_axes, self.ranges, self.stage)
        with readable_torch_errors(), thread_limit(options.threads):
            device = choose_device(options.device)
            if self.classes is not None:
                return self._apply_classes(plane, *self.classes)
            try:
                partition = Partition.find(
                    self.network.to(device), plane, device, self.params.region_size
                )
            finally:
                self.network.to("cpu")
        clusters = merged_clusters(partition, self.hierarchy, self.params)
        labels: Labels = self.numbers.astype(smallest_unsigned_dtype(self.numbers.max()))[clusters]
        if plane.valid is not None:
            labels[~plane.valid] = 0
        return labels

    def _apply_classes(self, plane: Plane, head: ClassHead, numbers: tuple[int, ...]) -> Labels:
        """Label a plane by the classes of a correction."""
        rgb = self.stage is not None and self.stage.rgb
        ground = Groundwork(self.network, plane, rgb=rgb, scaling=head.scaling)
        labels = empty_labels(plane.shape, numbers)
        label_windows(ground, spread_head(ground, head, numbers), ground.windows, labels)
        return tidy(labels, self.params.min_region_size, ground, None)
