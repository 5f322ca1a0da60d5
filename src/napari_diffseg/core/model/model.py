"""A trained network with all that is needed to use it on another image."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike, fspath
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_diffseg import model_file
from napari_diffseg.core.clusters.class_head import ClassHead
from napari_diffseg.core.features.extraction import Features
from napari_diffseg.core.model import file
from napari_diffseg.core.model.application import AppliedFrame, AppliedWindow, Tally
from napari_diffseg.core.model.model_card import model_card
from napari_diffseg.core.model.model_facts import ModelFacts
from napari_diffseg.core.model.unseen_image import apply_windows, axes_for
from napari_diffseg.core.published.clustering_net import FeatureClusteringNet
from napari_diffseg.image.arrays import Integers, Labels
from napari_diffseg.image.axes import as_array
from napari_diffseg.image.channels import Channel, find_channels
from napari_diffseg.image.intensity import IntensityRange
from napari_diffseg.image.space import PLANE, Space
from napari_diffseg.image.windows import Window
from napari_diffseg.numeric.hierarchy import ClusterHierarchy
from napari_diffseg.numeric.labels import smallest_unsigned_dtype
from napari_diffseg.params import ApplyParams, RunOptions, SegmentationParams


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
        Value of pixels that are no image, as stated or found; left out of other images, too.
    channels : tuple of Channel
        Which channels of an image it looks at, in its order, and what it takes them for.
    n_source_channels : int
        How many channels the training images had, those that it does not look at included.
    space : Space
        Planes or volumes, and how far the planes of these are apart.
    head : ClassHead or None
        Of the default: the classifier of clusters.
    network : FeatureClusteringNet or None
        Of the published design: weights and statistics, on the CPU, in evaluation mode.
    """

    params: SegmentationParams
    ranges: IntensityRange
    stage: Features | None = field(repr=False)
    hierarchy: ClusterHierarchy = field(repr=False)
    numbers: Integers = field(repr=False)
    facts: ModelFacts
    channels: tuple[Channel, ...]
    n_source_channels: int
    space: Space = PLANE
    head: ClassHead | None = field(default=None, repr=False)
    network: FeatureClusteringNet | None = field(default=None, repr=False)
    classes: tuple[ClassHead, tuple[int, ...]] | None = field(default=None, repr=False)
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
        return file.checksum_of(self)

    def with_facts(self, **changes: Any) -> Self:
        """Return the same model with other facts, such as ``class_names={1: "nucleus"}``."""
        return replace(self, facts=replace(self.facts, **changes))

    def for_channels(self, names: Sequence[str]) -> Self:
        """Return the same model for images whose channels are in another order.

        Parameters
        ----------
        names : sequence of str
            What their channels are called. The model finds its own by their names; where none is
            among them, by their places. Where one is missing, an `InputError` says which.
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
        region: ArrayLike | None = None,
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
            One letter per array axis, e.g. ``"CYX"``; None: guessed, else a volume model's own.
        rgb : bool, optional
            Whether the channels are red, green, blue (and alpha), where that is known.
        region : array_like of bool, (y, x) or (z, y, x), optional
            Where labels are wanted; elsewhere they are 0.
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
        told: dict[str, Any] = {"axes": axes, "rgb": rgb, "region": region, "params": params}
        return self.apply_frame(image, **told, options=options).labels

    def apply_frame(self, image: ArrayLike, **how: Any) -> AppliedFrame:
        """Do what `apply` does; the labels come with their areas and how sure they are."""
        axes = axes_for(self, image, how.get("axes"), how.get("rgb"))
        labels = np.zeros(axes.spatial_shape, self.label_dtype)
        tally = Tally()
        for part in self.apply_windows(image, **how):
            labels[part.window] = part.labels
            tally.add(part)
        return AppliedFrame(labels, tally.sorted_areas, tally.confidence)

    def apply_windows(
        self,
        image: ArrayLike,
        *,
        axes: str | None = None,
        rgb: bool | None = None,
        region: ArrayLike | None = None,
        params: ApplyParams | None = None,
        options: RunOptions | None = None,
        windows: Iterable[Window] | None = None,
    ) -> Generator[AppliedWindow, None, None]:
        """Do what `apply` does, window by window, so that the memory is bounded.

        Only a window and what is around it is read at a time; but with the intensities of
        the frame, or adaptation to it, the whole plane is.

        Parameters
        ----------
        image, axes, rgb, region, params, options
            As for `apply`.
        windows : iterable of tuple of slice, optional
            Which of `core.model.application.windows_of` are wanted, for several workers at
            one image; all where None.

        Yields
        ------
        AppliedWindow
            Windows of `image.pieces.window_shape`, row by row.
        """
        image = as_array(image)
        found = axes_for(self, image, axes, rgb)
        params, options = params or ApplyParams(), options or RunOptions()
        yield from apply_windows(self, image, found, params, options, windows, region)

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
        model_file.write_model(self.to_bytes(), path, force=force)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Model:
        """Read a model from a file.

        Raises
        ------
        ModelFileError
            The file is missing, no model of this program, truncated, altered, or of a
            newer version.
        """
        return cls.from_bytes(model_file.read_model(path), fspath(path))

    def to_bytes(self) -> bytes:
        """Return what `save` would write."""
        return file.model_to_bytes(self)

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "The model") -> Model:
        """Build from what `to_bytes` returned; raises `ModelFileError` as `load` does."""
        return file.model_from_bytes(data, name, cls)

    def card(self) -> str:
        """Return a model card in Markdown: what it was trained on, and how to use it."""
        return model_card(self)
