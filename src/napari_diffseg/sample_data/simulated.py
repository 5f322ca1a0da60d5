"""Simulated fluorescence microscopy: nuclei whose outlines are known.

Stage by stage (axes ``y x``, lengths in pixels, light in photons)::

    outlines      ellipses with wavy borders that keep clear of each other → labels
    stain         brightness of each nucleus × chromatin texture − dark nucleoli
    light         stain, out-of-focus haze, background that rises to one side,
                  all dimmer towards the corners
    optics        blur by the point spread function (Gaussian)
    camera        Poisson noise of the photons, gain, offset, read noise → uint16
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_diffseg.errors import InputError
from napari_diffseg.sample_data.microscope import Camera, grain

PIXEL_SIZE = 0.325
"""Side of a pixel in µm, as with a 20× objective and 6.5 µm camera pixels."""

_RADIUS = (11.0, 17.0)
"""Mean radius of a nucleus, from … to, in pixels: about 7 to 11 µm across."""
_GAP = 2
"""Background pixels kept between two nuclei."""
_TRIES = 200
"""Places tried for each nucleus before giving up."""

_PHOTONS = 260.0
"""Photons that a pixel of a typical nucleus gives."""
_BACKGROUND = 25.0
"""Photons of the background where it is darkest."""
_HAZE = 0.12
"""Share of the light that comes from out of focus."""
_PSF_SIGMA = 1.3


@dataclass(frozen=True, slots=True)
class _Outline:
    """Shape of one nucleus: a turned ellipse whose border waves in and out."""

    radius: float
    stretch: float
    angle: float
    waves: NDArray[np.float64]
    phases: NDArray[np.float64]

    @classmethod
    def draw(cls, random: np.random.Generator) -> _Outline:
        return cls(
            radius=random.uniform(*_RADIUS),
            stretch=random.uniform(1.0, 1.5),
            angle=random.uniform(0, np.pi),
            waves=random.normal(0, 0.03, 3),
            phases=random.uniform(0, 2 * np.pi, 3),
        )

    @property
    def reach(self) -> int:
        """Half the side of a square that holds the nucleus, whatever its waves."""
        return int(np.ceil(1.4 * self.radius * np.sqrt(self.stretch)))

    def mask(self) -> NDArray[np.bool_]:
        """Return the nucleus in a square of side ``2 · reach + 1``, at its centre."""
        y, x = np.mgrid[-self.reach : self.reach + 1, -self.reach : self.reach + 1]
        along = (np.cos(self.angle) * x + np.sin(self.angle) * y) / np.sqrt(self.stretch)
        across = (np.cos(self.angle) * y - np.sin(self.angle) * x) * np.sqrt(self.stretch)
        bearing = np.arctan2(across, along)
        border = np.ones_like(bearing)
        for order, (wave, phase) in enumerate(zip(self.waves, self.phases, strict=True), start=2):
            border += wave * np.cos(order * bearing + phase)
        inside: NDArray[np.bool_] = np.hypot(along, across) <= self.radius * border
        return inside


def simulated_nuclei(
    shape: tuple[int, int] = (512, 512), n_nuclei: int = 60, seed: int = 0
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Simulate a fluorescence image of nuclei, with its ground truth.

    Parameters
    ----------
    shape : tuple of int, (y, x)
        Size of the image in pixels.
    n_nuclei : int
        Number of nuclei; some are cut by the image's border. None touch.
    seed : int
        The same seed gives the same image.

    Returns
    -------
    image : ndarray of uint16, (y, x)
        Camera counts; a pixel is `PIXEL_SIZE` µm wide.
    labels : ndarray of uint16, (y, x)
        1 … `n_nuclei`, and 0 for the background.

    Raises
    ------
    InputError
        The nuclei do not fit into the image, or a number is out of bounds.
    """
    if len(shape) != 2 or min(shape) < 1:
        raise InputError(f"The shape is {shape}, but must be two sizes (y, x) of 1 or more.")
    if not 0 <= n_nuclei <= np.iinfo(np.uint16).max:
        raise InputError(f"n_nuclei is {n_nuclei}, but must be 0 to 65535.")
    random = np.random.default_rng(seed)
    labels = _place(shape, n_nuclei, random)
    photons = _light(_stain(labels, n_nuclei, random), random)
    return Camera().expose(photons, random), labels


def _place(
    shape: tuple[int, int], n_nuclei: int, random: np.random.Generator
) -> NDArray[np.uint16]:
    """Put the nuclei one after another where there is room; returns their labels."""
    margin = 3 * int(_RADIUS[1])
    # A margin around the image spares every nucleus at the border a case of its own.
    labels = np.zeros((shape[0] + 2 * margin, shape[1] + 2 * margin), np.uint16)
    for label in range(1, n_nuclei + 1):
        outline = _Outline.draw(random)
        mask = np.pad(outline.mask(), _GAP)
        claim = ndimage.binary_dilation(mask, iterations=_GAP)
        reach = outline.reach + _GAP
        for _ in range(_TRIES):
            y, x = (int(random.integers(size)) + margin for size in shape)
            window = labels[y - reach : y + reach + 1, x - reach : x + reach + 1]
            if not window[claim].any():
                window[mask] = label
                break
        else:
            raise InputError(
                f"Only {label - 1} of {n_nuclei} nuclei fit into an image of {shape[0]} × "
                f"{shape[1]} pixels; ask for fewer, or for a larger image."
            )
    return labels[margin:-margin, margin:-margin].copy()


def _stain(
    labels: NDArray[np.uint16], n_nuclei: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """Return how much dye each pixel holds, about 1 in a typical nucleus."""
    brightness = np.concatenate([[0.0], random.lognormal(0, 0.3, n_nuclei)])
    fine, coarse = (grain(labels.shape, (size, size), random) for size in (1.5, 4.0))
    chromatin = 1 + 0.18 * fine + 0.12 * coarse
    nucleoli = np.where(grain(labels.shape, (2.5, 2.5), random) > 1.9, 0.55, 1.0)
    dye = brightness[labels] * np.clip(chromatin, 0.2, None) * nucleoli
    # Nuclei are thicker in their middle than at their border.
    depth = ndimage.distance_transform_edt(labels > 0)
    stain: NDArray[np.float64] = dye * (0.6 + 0.4 * np.clip(depth / _RADIUS[0], 0, 1))
    return stain


def _light(stain: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Return the photons that reach each pixel of the camera, on average."""
    y, x = (np.linspace(-1, 1, size) for size in stain.shape)
    angle = random.uniform(0, 2 * np.pi)
    slope = 0.5 + 0.25 * (np.sin(angle) * y[:, None] + np.cos(angle) * x)
    background = _BACKGROUND * (1 + slope + 0.15 * grain(stain.shape, (25, 25), random))
    haze = ndimage.gaussian_filter(stain, 20, mode="nearest")
    vignette = 1 - 0.18 * (y[:, None] ** 2 + x**2)
    light = vignette * (_PHOTONS * ((1 - _HAZE) * stain + _HAZE * haze) + background)
    photons: NDArray[np.float64] = ndimage.gaussian_filter(light, _PSF_SIGMA, mode="nearest")
    return photons
