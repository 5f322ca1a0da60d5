"""A simulated z-stack: nuclei in a volume, through a microscope that is blurred along z.

Stage by stage (axes ``z y x``, lengths in µm, light in photons)::

    outlines      turned ellipsoids with wavy surfaces that keep clear of each other → labels
    stain         brightness of each nucleus × chromatin texture − dark nucleoli
    light         stain, dimmer with depth; a background that rises to one side and with depth
    optics        blur by the point spread function, five times longer along z, with tails
    camera        Poisson noise, gain, offset, read noise → uint16
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from napari_diffseg.errors import InputError
from napari_diffseg.sample_data.microscope import Camera, Floats, blur, grain, slope

VOXEL_SIZE = (1.0, 0.25, 0.25)
"""Distance of neighbouring voxels along z, y, x in µm."""

_RADIUS = (3.6, 5.4)
"""Mean radius of a nucleus, from … to."""
_GAP = 0.9
"""Background kept between two nuclei, a little less than the distance of two planes."""
_TRIES = 300
"""Places tried for each nucleus before giving up."""
_REACH = 1.45
"""No nucleus reaches further than its mean radius times this."""

_PHOTONS = 70.0
"""Photons that a voxel of a typical nucleus gives."""
_BACKGROUND = 12.0
_FADING = 60.0
"""Depth at which a nucleus is 1/e times as bright as one at the top."""
_PSF_SIGMA = (1.1, 0.22, 0.22)


@dataclass(frozen=True, slots=True)
class _Outline:
    """Shape of one nucleus: a turned ellipsoid whose surface waves in and out."""

    axes: Floats
    turn: Floats
    waves: Floats
    phases: Floats

    @classmethod
    def draw(cls, random: np.random.Generator) -> _Outline:
        radius = random.uniform(*_RADIUS)
        stretch = np.exp(random.normal(0, 0.12, 3).clip(-0.25, 0.25))
        return cls(
            axes=radius * stretch / np.prod(stretch) ** (1 / 3),
            turn=Rotation.random(random_state=random).as_matrix(),
            waves=random.normal(0, 2.0, (4, 3)),
            phases=random.uniform(0, 2 * np.pi, 4),
        )

    def beyond(self, places: Floats) -> Floats:
        """Return how far outside the nucleus each place ``(…, zyx)`` is, in about µm."""
        inward = (places @ self.turn) / self.axes
        distance = np.linalg.norm(inward, axis=-1)
        direction = inward / np.maximum(distance, 1e-9)[..., np.newaxis]
        surface = 1 + 0.045 * np.cos(direction @ self.waves.T + self.phases).sum(axis=-1)
        outside: Floats = (distance - surface) * self.axes.mean()
        return outside


def simulated_volume(
    shape: tuple[int, int, int] = (32, 192, 192), n_nuclei: int = 42, seed: int = 0
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Simulate a z-stack of fluorescent nuclei, with its ground truth.

    Parameters
    ----------
    shape : tuple of int, (z, y, x)
        Size of the volume in voxels, which are `VOXEL_SIZE` µm large.
    n_nuclei : int
        Number of nuclei; some are cut by the volume's border. None touch.
    seed : int
        The same seed gives the same volume.

    Returns
    -------
    image : ndarray of uint16, (z, y, x)
        Camera counts.
    labels : ndarray of uint16, (z, y, x)
        1 … `n_nuclei`, and 0 for the background: the nuclei themselves, not their blurred image.

    Raises
    ------
    InputError
        The nuclei do not fit into the volume, or a number is out of bounds.
    """
    if len(shape) != 3 or min(shape) < 1:
        raise InputError(f"The shape is {shape}, but must be three sizes (z, y, x) of 1 or more.")
    if not 0 <= n_nuclei <= np.iinfo(np.uint16).max:
        raise InputError(f"n_nuclei is {n_nuclei}, but must be 0 to 65535.")
    random = np.random.default_rng(seed)
    labels = _place(shape, n_nuclei, random)
    photons = _light(_stain(labels, n_nuclei, random), random)
    return Camera().expose(photons, random), labels


def _place(
    shape: tuple[int, int, int], n_nuclei: int, random: np.random.Generator
) -> NDArray[np.uint16]:
    """Put the nuclei one after another where there is room; returns their labels."""
    reach = [int(np.ceil((_REACH * _RADIUS[1] + _GAP) / step)) for step in VOXEL_SIZE]
    # A margin around the volume spares every nucleus at the border a case of its own.
    labels = np.zeros([n + 2 * r for n, r in zip(shape, reach, strict=True)], np.uint16)
    box = np.stack(
        np.meshgrid(
            *(step * np.arange(-r, r + 1) for step, r in zip(VOXEL_SIZE, reach, strict=True)),
            indexing="ij",
        ),
        axis=-1,
    )
    for label in range(1, n_nuclei + 1):
        beyond = _Outline.draw(random).beyond(box)
        for _ in range(_TRIES):
            corner = random.integers(shape)
            window = labels[
                tuple(slice(c, c + 2 * r + 1) for c, r in zip(corner, reach, strict=True))
            ]
            if not window[beyond <= _GAP].any():
                window[beyond <= 0] = label
                break
        else:
            raise InputError(
                f"Only {label - 1} of {n_nuclei} nuclei fit into a volume of "
                f"{' × '.join(map(str, shape))} voxels; ask for fewer, or for a larger volume."
            )
    inner = tuple(slice(r, r + n) for n, r in zip(shape, reach, strict=True))
    return labels[inner].copy()


def _stain(labels: NDArray[np.uint16], n_nuclei: int, random: np.random.Generator) -> Floats:
    """Return how much dye each voxel holds, about 1 in a typical nucleus."""
    brightness = np.concatenate([[0.0], random.lognormal(0, 0.3, n_nuclei)])
    chromatin = 1 + 0.2 * grain(labels.shape, _voxels(0.6), random)
    nucleoli = np.where(grain(labels.shape, _voxels(0.9), random) > 1.9, 0.5, 1.0)
    stain: Floats = brightness[labels] * chromatin.clip(min=0.2) * nucleoli
    return stain


def _light(stain: Floats, random: np.random.Generator) -> Floats:
    """Return the photons that reach each voxel of the camera, on average."""
    depth = VOXEL_SIZE[0] * np.arange(len(stain))[:, None, None]
    texture = grain(stain.shape, _voxels(6.0), random)
    uneven = 1 + slope((stain.shape[1], stain.shape[2]), random) + depth / _FADING
    light = _PHOTONS * np.exp(-depth / _FADING) * stain
    return blur(light, _voxels(*_PSF_SIGMA)) + _BACKGROUND * (uneven + 0.15 * texture)


def _voxels(*size: float) -> list[float]:
    """Return a size in µm, of all axes or of each, in voxels along z, y, x."""
    sizes = size * 3 if len(size) == 1 else size
    return [one / step for one, step in zip(sizes, VOXEL_SIZE, strict=True)]
