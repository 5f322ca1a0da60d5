"""A simulated z-stack: nuclei in a volume, through a microscope that is blurred along z.

Stage by stage (axes ``z y x``, lengths in µm, light in photons)::

    outlines      turned ellipsoids with wavy surfaces that keep clear of each other → labels
    stain         brightness of each nucleus × chromatin texture − dark nucleoli
    light         stain, dimmer with depth; a background that rises to one side and with depth
    optics        blur by the point spread function, five times longer along z, with tails
    camera        Poisson noise, gain, offset, read noise → uint16
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from napari_diffseg.image.arrays import Floats, Mask
from napari_diffseg.sample_data.microscope import Camera, blur, grain, slope
from napari_diffseg.sample_data.outlines import check_size, packed_nuclei

VOXEL_SIZE = (1.0, 0.25, 0.25)
"""Distance of neighbouring voxels along z, y, x in µm."""

_RADIUS = (3.6, 5.4)  # mean radius of a nucleus, from … to
_GAP = 0.9  # background kept between two nuclei, a little less than the distance of two planes
_TRIES = 300  # places tried for each nucleus before giving up
_REACH = 1.45  # no nucleus reaches further than its mean radius times this

_PHOTONS = 70.0  # photons that a voxel of a typical nucleus gives
_BACKGROUND = 12.0
_FADING = 60.0  # depth at which a nucleus is 1/e times as bright as one at the top
_PSF_SIGMA = (1.1, 0.22, 0.22)


def simulated_volume(
    shape: tuple[int, int, int] = (32, 192, 192), n_nuclei: int = 42, seed: int = 0
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Simulate a z-stack ``(z, y, x)`` of nuclei, `VOXEL_SIZE` µm a voxel, with its ground truth.

    Labels: 1 … `n_nuclei`, 0 = background; the nuclei, not their blur; some cut by the border, none
    touch. The same from the same seed. Raises InputError where they do not fit, or out of bounds.
    """
    check_size(shape, "zyx", n_nuclei, "n_nuclei", np.iinfo(np.uint16).max)
    random = np.random.default_rng(seed)
    reach = [int(np.ceil((_REACH * _RADIUS[1] + _GAP) / step)) for step in VOXEL_SIZE]
    sides = [step * np.arange(-r, r + 1) for step, r in zip(VOXEL_SIZE, reach, strict=True)]
    box = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1)

    def draw() -> tuple[Mask, Mask]:
        beyond = _beyond(box, random)
        return beyond <= 0, beyond <= _GAP

    labels = packed_nuclei(shape, n_nuclei, reach, draw, _TRIES, random)
    photons = _light(_stain(labels, n_nuclei, random), random)
    return Camera().expose(photons, random), labels


def _beyond(places: Floats, random: np.random.Generator) -> Floats:
    """Draw a turned ellipsoid whose surface waves in and out.

    Returns how far outside of it each place ``(…, zyx)`` is, in about µm.
    """
    radius = random.uniform(*_RADIUS)
    stretch = np.exp(random.normal(0, 0.12, 3).clip(-0.25, 0.25))
    axes = radius * stretch / np.prod(stretch) ** (1 / 3)
    inward = (places @ Rotation.random(random_state=random).as_matrix()) / axes
    waves, phases = random.normal(0, 2.0, (4, 3)), random.uniform(0, 2 * np.pi, 4)
    distance = np.linalg.norm(inward, axis=-1)
    direction = inward / np.maximum(distance, 1e-9)[..., np.newaxis]
    surface = 1 + 0.045 * np.cos(direction @ waves.T + phases).sum(axis=-1)
    outside: Floats = (distance - surface) * axes.mean()
    return outside


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
    uneven = 1 + slope(stain.shape[1:], random) + depth / _FADING
    light = _PHOTONS * np.exp(-depth / _FADING) * stain
    background = _BACKGROUND * (uneven + 0.15 * texture)
    photons: Floats = blur(light, _voxels(*_PSF_SIGMA)) + background
    return photons


def _voxels(*size: float) -> list[float]:
    """Return a size in µm, of all axes or of each, in voxels along z, y, x."""
    sizes = size * 3 if len(size) == 1 else size
    return [one / step for one, step in zip(sizes, VOXEL_SIZE, strict=True)]
