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

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_diffseg.image.arrays import Floats, Mask
from napari_diffseg.sample_data.microscope import Camera, grain, slope
from napari_diffseg.sample_data.outlines import check_size, packed_nuclei, turned, wavy

PIXEL_SIZE = 0.325
"""Side of a pixel in µm, as with a 20× objective and 6.5 µm camera pixels."""

_RADIUS = (11.0, 17.0)  # mean radius of a nucleus, from … to, in pixels: about 7 to 11 µm across
_GAP = 2  # background pixels kept between two nuclei
_TRIES = 200  # places tried for each nucleus before giving up

_PHOTONS = 260.0  # photons that a pixel of a typical nucleus gives
_BACKGROUND = 25.0  # photons of the background where it is darkest
_HAZE = 0.12  # share of the light that comes from out of focus
_PSF_SIGMA = 1.3


def simulated_nuclei(
    shape: tuple[int, int] = (512, 512), n_nuclei: int = 60, seed: int = 0
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Simulate a fluorescence image ``(y, x)`` of nuclei, `PIXEL_SIZE` µm a pixel, with its truth.

    Labels are 1 … `n_nuclei`, 0 = background; some are cut by the border, none touch. The same seed
    gives the same. Raises InputError where they do not fit, or a number is out of bounds.
    """
    check_size(shape, "yx", n_nuclei, "n_nuclei", np.iinfo(np.uint16).max)
    random = np.random.default_rng(seed)
    margins = (3 * int(_RADIUS[1]),) * 2
    labels = packed_nuclei(shape, n_nuclei, margins, lambda: _outline(random), _TRIES, random)
    photons = _light(_stain(labels, n_nuclei, random), random)
    return Camera().expose(photons, random), labels


def _outline(random: np.random.Generator) -> tuple[Mask, Mask]:
    """Draw a nucleus, a turned ellipse whose border waves in and out, and what it claims."""
    radius, stretch = random.uniform(*_RADIUS), random.uniform(1.0, 1.5)
    angle = random.uniform(0, np.pi)
    waves, phases = random.normal(0, 0.03, 3), random.uniform(0, 2 * np.pi, 3)
    # Half the side of a square that holds it, whatever its waves.
    reach = int(np.ceil(1.4 * radius * np.sqrt(stretch)))
    along, across = turned(angle, *np.mgrid[-reach : reach + 1, -reach : reach + 1])
    along, across = along / np.sqrt(stretch), across * np.sqrt(stretch)
    border = radius * wavy(np.arctan2(across, along), waves, phases)
    mask = np.pad(np.hypot(along, across) <= border, _GAP)
    return mask, ndimage.binary_dilation(mask, iterations=_GAP)


def _stain(labels: NDArray[np.uint16], n_nuclei: int, random: np.random.Generator) -> Floats:
    """Return how much dye each pixel holds, about 1 in a typical nucleus."""
    brightness = np.concatenate([[0.0], random.lognormal(0, 0.3, n_nuclei)])
    fine, coarse = (grain(labels.shape, (size, size), random) for size in (1.5, 4.0))
    chromatin = 1 + 0.18 * fine + 0.12 * coarse
    nucleoli = np.where(grain(labels.shape, (2.5, 2.5), random) > 1.9, 0.55, 1.0)
    dye = brightness[labels] * np.clip(chromatin, 0.2, None) * nucleoli
    # Nuclei are thicker in their middle than at their border.
    depth = ndimage.distance_transform_edt(labels > 0)
    stain: Floats = dye * (0.6 + 0.4 * np.clip(depth / _RADIUS[0], 0, 1))
    return stain


def _light(stain: Floats, random: np.random.Generator) -> Floats:
    """Return the photons that reach each pixel of the camera, on average."""
    rising = slope(stain.shape, random, width=4)
    background = _BACKGROUND * (1 + rising + 0.15 * grain(stain.shape, (25, 25), random))
    haze = ndimage.gaussian_filter(stain, 20, mode="nearest")
    y, x = (np.linspace(-1, 1, size) for size in stain.shape)
    vignette = 1 - 0.18 * (y[:, None] ** 2 + x**2)
    light = vignette * (_PHOTONS * ((1 - _HAZE) * stain + _HAZE * haze) + background)
    photons: Floats = ndimage.gaussian_filter(light, _PSF_SIGMA, mode="nearest")
    return photons
