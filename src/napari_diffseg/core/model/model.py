"""A trained network with all that is needed to use it on another image."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from napari_diffseg.core.clusters.class_head import ClassHead
from napari_diffseg.core.device import choose_device, readable_torch_errors, thread_limit
from napari_diffseg.core.features.extraction import Features
from napari_diffseg.core.model.application import (
    AppliedFrame,
    AppliedWindow,
    Labelled,
    Labels,
    Tally,
    label_by_network,
    label_by_regions,
    reading_window,
    windows_of,
)
from napari_diffseg.core.model.matching import matched
from napari_diffseg.core.plane import Plane
from napari_diffseg.core.published.network import FeatureClusteringNet
from napari_diffseg.core.sampling import window_around
from napari_diffseg.image.axes import ImageAxes, channels_first, resolve_axes
from napari_diffseg.image.channels import Channel, find_channels
from napari_diffseg.image.intensity import (
    IntensityRange,
    check_known_range,
    finite_mask,
    measure_range,
    stated_range,
)
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.image.space import PLANE, Space
from napari_diffseg.image.windows import Window, inside, size
from napari_diffseg.numeric.hierarchy import ClusterHierarchy
from napari_diffseg.numeric.labels import smallest_unsigned_dtype
from napari_diffseg.params import ApplyParams, RunOptions, SegmentationParams

_LOOKED_AT = {2: (1024, 1024), 3: (8, 256, 256)}  # pixels that tell whether values are known

Color = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a person should know of a model; none of it changes a label.

    Attributes
    ----------
    axes : str
        Axes of the image that it was trained on, e.g. ``"YX"``, ``"YXC"``, ``"ZYX"``.
    rgb : bool
        Whether the channels are red, green, blue.
    dtype : str
        Data type of that image.
    pixel_size : PixelSize or None
        Size of its pixels, where that is known.
    class_names : mapping of int to str
        Name of labels that have one.
    class_colors : mapping of int to (float, float, float, float)
        Red, green, blue, alpha, 0 … 1, of labels that have a colour.
    provenance : mapping
        How it came about, in values that JSON can hold.
    """

    axes: str
    rgb: bool
    dtype: str
    pixel_size: PixelSize | None = None
    class_names: Mapping[int, str] = field(default_factory=dict)
    class_colors: Mapping[int, Color] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network, the intensities it was trained on, and its label numbers.

    Attributes
    ----------
    params : SegmentationParams
        What it was trained with.
    ranges : IntensityRange
        Intensities that become 0 and 1, per channel.
    stage : Features or None
        First stage of the default, as measured on the training images.
    hierarchy : ClusterHierarchy
        In which order clusters join when fewer labels are wanted.
    numbers : ndarray of int, (q,)
        Label of each cluster, from 1; those that were joined have the same.
    facts : ModelFacts
        What a person should know of it.
    classes : (ClassHead, tuple of int) or None
        With scribbles: the classifier of painted classes, and the label of each.
    fill : float or None
        Value of pixels that are no image: as stated, or as found in the training images.
        On other images exactly the pixels with this value in every channel are left out.
    channels : tuple of Channel
        Which channels of an image it looks at, in its order, and what it takes them for.
    n_source_channels : int
        How many channels the training images had, those that it does not look at included.
    space : Space
        Planes or volumes, and how far the planes of these are apart.
    head : ClassHead or None
        Of the default: the classifier of clusters.
    network : FeatureClusteringNet or None
        Of the published design: weights and batch-norm statistics, on the CPU, in evaluation
        mode.
    """

    params: SegmentationParams
    ranges: IntensityRange
    stage: Features | None
    hierarchy: ClusterHierarchy
    numbers: NDArray[np.integer]
    facts: ModelFacts
    channels: tuple[Channel, ...]
    n_source_channels: int
    space: Space = PLANE
    head: ClassHead | None = None
    network: FeatureClusteringNet | None = None
    classes: tuple[ClassHead, tuple[int, ...]] | None = None
    fill: float | None = None

    @property
    def n_channels(self) -> int:
        """Channels that it looks at (c)."""
        return len(self.channels)

    @property
    def clusters(self) -> ClassHead:
        """The classifier of clusters, of a model of the default."""
        if self.head is None:
            raise ValueError("a model of the default was asked for")
        return self.head

    @property
    def standing(self) -> NDArray[np.int64]:
        """Which cluster stands for each cluster, (q,), at the number of labels that is wanted."""
        wanted = self.params.n_labels
        if not wanted and self.head is not None:
            wanted = self.hierarchy.n_kinds
        return self.hierarchy.at_most(wanted)

    @property
    def n_spatial(self) -> int:
        """2 for a model of planes, 3 for one of volumes."""
        return self.space.n_axes

    @property
    def spatial(self) -> str:
        """``"YX"`` or ``"ZYX"``."""
        return self.space.letters

    @property
    def z_step(self) -> float:
        """Distance of the planes of the training volumes, in pixels; 1 for planes."""
        return self.space.z_step

    @property
    def labels(self) -> tuple[int, ...]:
        """All labels that can come out, ascending; 0 is not among them."""
        if self.classes is not None:
            return tuple(sorted(self.classes[1]))
        return tuple(sorted({int(number) for number in self.numbers[np.unique(self.standing)]}))

    @property
    def label_dtype(self) -> np.dtype[Any]:
        """The smallest unsigned data type that holds all labels."""
        return smallest_unsigned_dtype(self.labels[-1])

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of all that makes the labels, as 64 hexadecimal digits."""
        from napari_diffseg.core.model.file import checksum_of

        return checksum_of(self)

    def with_facts(self, **changes: Any) -> Self:
        """Return the same model with other facts, such as ``class_names={1: "nucleus"}``."""
        return replace(self, facts=replace(self.facts, **changes))

    def for_channels(self, names: Sequence[str]) -> Model:
        """Return the same model for images whose channels are in another order.

        Parameters
        ----------
        names : sequence of str
            What the channels of these images are called. The model finds its own by their names;
            where none is among them, by their places.

        Raises
        ------
        InputError
            A channel that it was trained on is missing.
        """
        found, _ = find_channels(self.channels, self.n_source_channels, names, "the image")
        return replace(self, channels=found, n_source_channels=len(names))

    # --- use on other images ----------------------------------------------------------

    def apply(
        self,
        image: ArrayLike,
        *,
        axes: str | None = None,
        rgb: bool | None = None,
        params: ApplyParams | None = None,
        options: RunOptions | None = None,
    ) -> Labels:
        """Segment an image without training (Kim et al. 2020, Sec. III-D).

        The statistics are fixed, and by default the intensities are scaled as those of the
        training images: the same surroundings give a pixel the same label in every image.

        Parameters
        ----------
        image : array_like
            One plane, or one volume where it was trained on these, with the channels of the
            training images; numpy, dask, zarr.
        axes : str, optional
            One letter per array axis, e.g. ``"CYX"``; guessed where None, but Z is not.
        rgb : bool, optional
            Whether the channels are red, green, blue (and alpha), where that is known.
        params : ApplyParams, optional
            Intensities of the frame itself, or steps of adaptation to it.
        options : RunOptions, optional
            Device and threads.

        Returns
        -------
        ndarray of unsigned int, (y, x) or (z, y, x)
            Labels from 1; 0 where the image is fill or not finite.

        Raises
        ------
        InputError
            The image is no plane (or volume) with the channels of the training images.
        DeviceError, OutOfMemoryError, TrainingError
            The machine cannot do it.
        """
        return self.apply_frame(image, axes=axes, rgb=rgb, params=params, options=options).labels

    def apply_frame(
        self,
        image: ArrayLike,
        *,
        axes: str | None = None,
        rgb: bool | None = None,
        params: ApplyParams | None = None,
        options: RunOptions | None = None,
    ) -> AppliedFrame:
        """Do what `apply` does; the labels come with their areas and how sure they are."""
        image_axes = resolve_axes(np.shape(image), axes, rgb=rgb)
        matched(self, image_axes, "The image")
        labels = np.zeros(image_axes.spatial_shape, self.label_dtype)
        tally = Tally()
        for part in self.apply_windows(image, axes=axes, rgb=rgb, params=params, options=options):
            labels[part.window] = part.labels
            tally.add(part)
        return AppliedFrame(labels, tally.sorted_areas, tally.confidence)

    def apply_windows(
        self,
        image: ArrayLike,
        *,
        axes: str | None = None,
        rgb: bool | None = None,
        params: ApplyParams | None = None,
        options: RunOptions | None = None,
        windows: Iterable[Window] | None = None,
    ) -> Iterator[AppliedWindow]:
        """Do what `apply` does, window by window, so that the memory is bounded.

        Only a window and what is around it is read at a time; but with the intensities of
        the frame, or adaptation to it, the whole plane is.

        Parameters
        ----------
        image, axes, rgb, params, options
            As for `apply`.
        windows : iterable of tuple of slice, optional
            Which of `core.application.windows_of` are wanted, for several workers at one image;
            all where None.

        Yields
        ------
        AppliedWindow
            Windows of `images.pieces.window_shape`, row by row.
        """
        params, options = params or ApplyParams(), options or RunOptions()
        image = image if hasattr(image, "shape") else np.asarray(image)
        image_axes = resolve_axes(image.shape, axes, rgb=rgb)
        matched(self, image_axes, "The image")
        with readable_torch_errors(), thread_limit(options.threads):
            device = choose_device(options.device)
            model = self._fitted(image, image_axes, params, device)
            if model.network is not None and device.type != "cpu":
                model = replace(model, network=copy.deepcopy(model.network).to(device))
        for window in windows_of(image_axes.spatial_shape) if windows is None else windows:
            with readable_torch_errors(), thread_limit(options.threads):
                around = reading_window(window, image_axes.spatial_shape, self.space)
                plane = model._read(image, image_axes, around)
                labelled = model._label(plane, inside(window, around), device)
            values, counts = np.unique(labelled.labels, return_counts=True)
            areas = dict(zip(values.tolist(), counts.tolist(), strict=True))
            yield AppliedWindow(window, labelled.labels, areas, labelled.confidence)

    # --- files ------------------------------------------------------------------------

    def save(self, path: str | PathLike[str], *, force: bool = False) -> None:
        """Write the model to a safetensors file, whole or not at all.

        Parameters
        ----------
        path : path-like
            Its name must end in ``.safetensors``.
        force : bool
            Whether a file that is there may be replaced.

        Raises
        ------
        OutputError
            It cannot be written there, or a file is there already.
        """
        from napari_diffseg.core.model.file import save_model

        save_model(self, path, force=force)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Model:
        """Read a model from a file.

        Raises
        ------
        ModelFileError
            The file is missing, no model of this program, truncated, altered, or of a
            newer version.
        """
        from napari_diffseg.core.model.file import load_model

        return load_model(path)

    def to_bytes(self) -> bytes:
        """Return what `save` would write."""
        from napari_diffseg.core.model.file import model_to_bytes

        return model_to_bytes(self)

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "The model") -> Model:
        """Build from what `to_bytes` returned; raises `ModelFileError` as `load` does."""
        from napari_diffseg.core.model.file import model_from_bytes

        return model_from_bytes(data, name)

    def card(self) -> str:
        """Return a model card in Markdown: what it was trained on, and how to use it."""
        from napari_diffseg.core.model.card import model_card

        return model_card(self)

    # --- pieces of the above -----------------------------------------------------------

    def _fitted(
        self, image: Any, axes: ImageAxes, params: ApplyParams, device: torch.device
    ) -> Model:
        """Return the model with the intensities of the frame, or adapted to it, as asked."""
        model = self
        if params.intensities == "trained":
            shape = axes.spatial_shape
            size = tuple(map(min, shape, _LOOKED_AT[self.n_spatial]))
            middle = window_around([length // 2 for length in shape], size, shape)
            some = channels_first(image, axes, middle, self._picked)
            check_known_range(some, self.ranges, self.facts.dtype, self.fill)
        if params.intensities == "frame":
            raw = channels_first(image, axes, channels=self._picked)
            valid = finite_mask(raw, self.fill)
            ranges = measure_range(raw, valid, self.params.intensity, rgb=axes.rgb)
            model = replace(model, ranges=stated_range(ranges, self.channels))
        if params.adapt_steps > 0:
            model = model._adapted(model._read(image, axes), params.adapt_steps, device)
        return model

    def _adapted(self, plane: Plane, n_steps: int, device: torch.device) -> Model:
        from napari_diffseg.core.published.adaptation import adapted_head, adapted_network

        if self.network is not None:
            network = adapted_network(self.network, plane, self.params, n_steps, device)
            return replace(self, network=network)
        if self.classes is not None:
            head, numbers = self.classes
            adapted = adapted_head(head, plane, self.params, n_steps, device)
            return replace(self, classes=(adapted, numbers))
        return replace(self, head=adapted_head(self.clusters, plane, self.params, n_steps, device))

    @property
    def _picked(self) -> list[int]:
        return [one.index for one in self.channels]

    def _read(self, image: Any, axes: ImageAxes, window: Window | None = None) -> Plane:
        return Plane.read(
            image, axes, self.ranges, self.stage, self.space, self._picked, window, self.fill
        )

    def _label(self, plane: Plane, area: Window, device: torch.device) -> Labelled:
        dtype = self.label_dtype
        if self.network is not None:
            numbers = self.numbers.astype(dtype)
            return label_by_network(
                self.network, plane, area, device, self.hierarchy, numbers, self.params
            )
        if plane.is_blank(area):
            return Labelled(np.zeros(size(area), dtype), 0.0)
        if self.classes is not None:
            head, painted = self.classes
            standing, numbers = np.arange(head.n_classes), np.array(painted, dtype)
        else:
            head, standing, numbers = self.clusters, self.standing, self.numbers.astype(dtype)
        return label_by_regions(plane, area, device, head, standing, numbers, self.params)
