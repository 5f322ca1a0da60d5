"""What all simulated images share: uneven stain, background light, blur, and a camera.

Arrays have any number of axes; sizes are in pixels, light is in photons.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_diffseg.image.arrays import Floats

_TAIL_SHARE = 0.2
_TAIL_WIDTH = 2.5
"""The tails of a point spread function: their share of the light, and how much wider they are."""


@dataclass(frozen=True, slots=True)
class Camera:
    """How photons become counts: per photon, and without any light (mean and deviation)."""

    gain: float = 6.0
    offset: float = 100.0
    read_noise: float = 8.0

    def expose(self, photons: Floats, random: np.random.Generator) -> NDArray[np.uint16]:
        """Return the counts for this much light, on average; each exposure has other noise."""
        # A negative rate, which the texture of a background makes possible, has no Poisson noise.
        caught = random.poisson(photons.clip(min=0))
        noise = random.normal(0, self.read_noise, photons.shape)
        counts = np.rint(self.offset + self.gain * caught + noise)
        return np.clip(counts, 0, np.iinfo(np.uint16).max).astype(np.uint16)


def grain(shape: tuple[int, ...], size: Sequence[float], random: np.random.Generator) -> Floats:
    """Return random texture with mean 0 and deviation about 1, of grains about this large."""
    noise = ndimage.gaussian_filter(random.standard_normal(shape), size, mode="wrap")
    # White noise blurred by a Gaussian has a variance of 1 / (2 √π σ) along each axis.
    texture: Floats = noise * math.sqrt(math.prod(2 * math.sqrt(math.pi) * s for s in size))
    return texture


def slope(shape: Sequence[int], random: np.random.Generator, width: float = math.sqrt(8)) -> Floats:
    """Return light ``(y, x)`` that rises evenly from 0 to 1 in some direction; flatter if wide."""
    y, x = (np.linspace(-1, 1, length) for length in shape)
    angle = random.uniform(0, 2 * np.pi)
    rising: Floats = 0.5 + (math.sin(angle) * y[:, None] + math.cos(angle) * x) / width
    return rising


def blur(light: Floats, sigma: Sequence[float]) -> Floats:
    """Blur by a point spread function: a Gaussian, and wide tails with a fifth of the light."""
    peak = ndimage.gaussian_filter(light, sigma, mode="nearest")
    tails = ndimage.gaussian_filter(light, [_TAIL_WIDTH * s for s in sigma], mode="nearest")
    blurred: Floats = (1 - _TAIL_SHARE) * peak + _TAIL_SHARE * tails
    return blurred
