"""What a run is told: the parameters (science) and the options (machine).

Every default, bound, title, help text and paper symbol stands here once, in the
metadata of the dataclass fields; the form of the dock, the options of the command
line and the tables of the documentation are made from it.

*Parameters* change the result and are saved with it. *Options* change only how the
machine gets there: device, threads, how often a preview is due.

The symbols are those of Kim, Kanezaki & Tanaka, IEEE TIP 29 (2020), arXiv 2007.09990.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from napari_diffseg.errors import ParameterError
from napari_diffseg.parameters import Scalar, SelfDescribing, param

SMALLEST_PATCH = 8
"""Side in pixels below which a patch says nothing of its surroundings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationParams(SelfDescribing):
    """Parameters of a segmentation: they change the result and are saved with it.

    The defaults are the default preset, made for people who wait.
    `SegmentationParams.paper` gives the published settings. The fields, with
    their paper symbols and bounds, are described by `SegmentationParams.specs`.

    Raises
    ------
    ParameterError
        A value is of the wrong type or out of its bounds; `.field` names it.
    """

    continuity_weight: float = param(
        1.0,
        "Smoothness",
        "Higher gives fewer, larger and smoother areas (the weight of spatial continuity).",
        symbol="μ",
        low=0.0,
        high=100.0,
        group="Labels",
    )
    n_labels: int = param(
        0,
        "Labels",
        "How many labels the result has: the most similar are merged.",
        values={0: ("auto", "as many as are clearly unlike (published: all that training leaves)")},
        low=0,
        high=1024,
        group="Labels",
    )
    min_labels: int = param(
        3,
        "Fewest labels",
        "Training stops once no more than this many labels are left. It is a floor, not a target.",
        low=1,
        high=1000,
        design="published",
        group="Labels",
    )
    min_region_size: int = param(
        20,
        "Smallest area",
        "Connected pieces with fewer pixels join the neighbour with the longest common border.",
        values={0: ("off", "every piece is kept")},
        low=0,
        high=1_000_000,
        unit="px",
        group="Labels",
    )
    scribble_weight: float = param(
        0.5,
        "Weight of scribbles",
        "How much the painted pixels count beside the others (the weight of the scribble loss).",
        symbol="ν",
        low=0.0,
        high=1000.0,
        group="Scribbles",
    )
    only_painted: str = param(
        "auto",
        "Only painted classes",
        "Whether every pixel goes to a class that was painted.",
        choices=("auto", "yes", "no"),
        values={
            "auto": ("automatic", "yes as soon as two classes are painted"),
            "yes": ("yes", "where one class alone is painted, the rest is a second one"),
            "no": ("no", "what no scribble claims keeps labels of its own"),
        },
        group="Scribbles",
    )
    n_iterations: int = param(
        1,
        "Iterations",
        "Training stops after this many steps at the latest. In the pretrained design the first "
        "finds the clusters, and each further one refines them, which changes little.",
        symbol="T",
        low=1,
        high=100_000,
        group="Training",
    )
    learning_rate: float = param(
        0.1,
        "Learning rate",
        "Step size of stochastic gradient descent.",
        low=1e-6,
        high=10.0,
        design="published",
        group="Training",
    )
    momentum: float = param(
        0.9,
        "Momentum",
        "Momentum of stochastic gradient descent.",
        low=0.0,
        high=0.999,
        design="published",
        group="Training",
    )
    patch_size: int = param(
        0,
        "Patch size",
        "Side of the square patches that a training step sees, at least 8.",
        values={0: ("whole image", "each step trains on the whole image, as published")},
        low=0,
        high=4096,
        unit="px",
        design="published",
        group="Training",
    )
    n_patches: int = param(
        16,
        "Patches per step",
        "How many random patches a training step sees. Not used where the patch size is 0.",
        symbol="b",
        low=1,
        high=64,
        design="published",
        group="Training",
    )
    seed: int = param(
        0,
        "Seed",
        "Start of the random numbers. The same seed on the same CPU gives the same result; the "
        "pretrained design has no chance in it.",
        low=0,
        high=2**31 - 1,
        design="published",
        group="Training",
    )
    n_features: int = param(
        100,
        "Feature channels",
        "Width of the network: the channels of its feature map.",
        symbol="p",
        low=1,
        high=1024,
        design="published",
        group="Network",
    )
    n_clusters: int = param(
        32,
        "Clusters at start",
        "How many clusters the image is first divided into (the channels of the response map); a "
        "result cannot have more labels.",
        symbol="q",
        low=2,
        high=1024,
        group="Network",
    )
    n_blocks: int = param(
        3,
        "Convolution blocks",
        "How many blocks of 3×3 convolution, ReLU and batch norm; each widens the view by 1 px.",
        symbol="M",
        low=1,
        high=16,
        design="published",
        group="Network",
    )
    design: str = param(
        "pretrained",
        "Design",
        "What the labels are found by.",
        choices=("pretrained", "published"),
        values={
            "pretrained": ("pretrained", "features of a network that has seen simulated images"),
            "published": (
                "published",
                "a network that learns from random weights, as in the paper",
            ),
        },
        group="Network",
    )
    intensity: str = param(
        "percentile",
        "Intensity range",
        "Which intensities become 0 and 1.",
        choices=("percentile", "dtype"),
        values={
            "percentile": ("percentiles", "0.1 and 99.9 % of each channel (colours all alike)"),
            "dtype": ("data type", "0 and the largest value of the data type, as published"),
        },
        group="Input",
    )
    n_superpixels: int = param(
        0,
        "Superpixels",
        "Refine the clusters by majority vote in about this many SLIC superpixels at every "
        "step (Kanezaki, ICASSP 2018).",
        values={0: ("off", "nothing is refined")},
        symbol="K",
        low=0,
        high=1_000_000,
        design="published",
        group="Superpixels",
    )
    compactness: float = param(
        100.0,
        "Compactness",
        "Compactness of the SLIC superpixels: higher gives squarer ones.",
        low=1e-4,
        high=1e4,
        design="published",
        group="Superpixels",
    )

    def __post_init__(self) -> None:
        # By name: a dataclass with slots is made anew, and `super()` would mean the old one.
        SelfDescribing.__post_init__(self)
        if 0 < self.patch_size < SMALLEST_PATCH:
            raise ParameterError(
                "patch_size",
                f"patch_size is {self.patch_size}, but must be 0 (the whole image) or at least "
                f"{SMALLEST_PATCH}.",
            )

    @classmethod
    def paper(cls, **changes: Scalar) -> Self:
        """Return the published settings (Kim et al. 2020, Sec. IV), nothing shortened.

        Parameters
        ----------
        **changes
            Fields to set otherwise, e.g. ``n_iterations=100``.
        """
        published: dict[str, Scalar] = {
            "continuity_weight": 5.0,
            "only_painted": "no",
            "n_labels": 0,
            "min_region_size": 0,
            "n_iterations": 50,
            "n_clusters": 100,
            "design": "published",
            "intensity": "dtype",
        }
        return cls.from_dict({**published, **changes})

    @property
    def preset(self) -> str:
        """``"default"``, ``"paper"`` or ``"custom"``; what belongs to one image does not count."""
        made = type(self)
        for name, params in (("default", made()), ("paper", made.paper())):
            of_image = {one: getattr(params, one) for one in ("seed", "n_labels", "only_painted")}
            if replace(self, **of_image) == params:
                return name
        return "custom"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions(SelfDescribing):
    """Options of a run: they change the machine, not the science.

    Raises
    ------
    ParameterError
        A value is of the wrong type or out of its bounds; `.field` names it.
    """

    device: str = param(
        "auto",
        "Device",
        "Where the network runs.",
        values={
            "auto": ("Automatic", "a GPU where there is one, else the processor"),
            "cpu": ("Processor (CPU)", "the processor"),
            "cuda": ("GPU (cuda)", "a GPU of NVIDIA, of several the first; the second is cuda:1"),
            "mps": ("GPU (mps)", "the GPU of an Apple computer"),
        },
    )
    threads: int = param(
        0,
        "Threads",
        "Processor threads for the computation.",
        values={0: ("all", "all of them; in the window, all but one")},
        low=0,
        high=1024,
    )
    preview_interval: float = param(
        0.5,
        "Preview interval",
        "Seconds between two previews.",
        values={0.0: ("every step", "one at every step")},
        low=0.0,
        high=3600.0,
        unit="s",
    )
    previews: bool = param(
        False,
        "Previews",
        "Make labels to look at while training goes on. Costs one pass over the image each.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyParams(SelfDescribing):
    """How a trained model is applied to another image: they change the labels.

    Raises
    ------
    ParameterError
        A value is of the wrong type or out of its bounds; `.field` names it.
    """

    intensities: str = param(
        "trained",
        "Intensities",
        "Which intensities become 0 and 1.",
        choices=("trained", "frame"),
        values={
            "trained": (
                "as trained",
                "those of the training images, so that a value means the same in every frame",
            ),
            "frame": (
                "match each frame's own",
                "those of the frame itself, for frames that bleach or were exposed otherwise",
            ),
        },
        group="Apply",
    )
    adapt_steps: int = param(
        0,
        "Adapt",
        "Steps of training on each frame, from what the model has learned, before it is labelled; "
        "labels keep their numbers in most cases.",
        values={0: ("no", "nothing is trained")},
        low=0,
        high=1000,
        unit="steps",
        group="Apply",
    )


PRESETS: dict[str, Callable[..., SegmentationParams]] = {
    "default": SegmentationParams,
    "paper": SegmentationParams.paper,
}
"""Preset name → function that makes it."""
