"""A simulated layer of cells stained three times: nuclei, cytoplasm, membranes.

Stage by stage (axes ``c y x``, lengths in pixels, light in photons)::

    cells         round cells that press against each other, with gaps → cells, regions
    stains        nuclei: one brightness each; cytoplasm: very different from cell to cell;
                  membranes: along the borders, and vesicles inside
    light         each stain, a little of it in the next channel, background that rises to a side
    optics        blur by the point spread function of each colour, with tails
    cameras       Poisson noise, gain, offset, read noise → uint16, ranges very different
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_diffseg.image.arrays import Floats
from napari_diffseg.sample_data.microscope import Camera, blur, grain, slope
from napari_diffseg.sample_data.outlines import check_size, scattered_places, turned

PIXEL_SIZE = 0.325
"""Side of a pixel in µm, as with a 20× objective and 6.5 µm camera pixels."""
CHANNELS = ("nuclei", "cytoplasm", "membranes")
BACKGROUND, CYTOPLASM, NUCLEUS, MEMBRANE = 1, 2, 3, 4
REGIONS = {
    BACKGROUND: "background",
    CYTOPLASM: "cytoplasm",
    NUCLEUS: "nucleus",
    MEMBRANE: "membrane",
}
"""What the numbers of the ground truth mean."""

_RADIUS = (20.0, 26.0)  # of a cell that nothing presses against
_NUCLEUS_RADIUS = (7.5, 9.5)
_MEMBRANE_WIDTH = 2.0  # on the side of each cell: where two cells touch, it is twice as wide
_BLEED = 0.04  # part of the light of each stain that is seen in the next channel

_PHOTONS = (120.0, 26.0, 200.0)  # photons that a pixel gives where a channel's stain is typical
_BACKGROUNDS = (14.0, 9.0, 20.0)
_PSF_SIGMAS = (0.9, 1.1, 1.3)
_CAMERAS = (
    Camera(gain=4.0, offset=100.0, read_noise=6.0),
    Camera(gain=2.0, offset=400.0, read_noise=10.0),
    Camera(gain=60.0, offset=1000.0, read_noise=120.0),
)


@dataclass(frozen=True, eq=False, slots=True)
class StainedCells:
    """An image ``(c, y, x)`` of the three `CHANNELS`, and what is in it, ``(y, x)``.

    Cells are numbered from 1, 0 is background; each pixel of the regions is one of `REGIONS`.
    """

    image: NDArray[np.uint16]
    cells: NDArray[np.uint16]
    regions: NDArray[np.uint8]


def simulated_cells(
    shape: tuple[int, int] = (256, 256), n_cells: int = 36, seed: int = 0
) -> StainedCells:
    """Simulate `CHANNELS` of the same cells, with their ground truth; the same from the same seed.

    Pixels are `PIXEL_SIZE` µm wide; some cells are cut by the border, many touch. Raises InputError
    where the cells do not fit, or a number is out of bounds.
    """
    check_size(shape, "yx", n_cells, "n_cells", 1000)
    random = np.random.default_rng(seed)
    # Closer than two free cells could be.
    places = scattered_places(shape, n_cells, 1.5 * _RADIUS[0], random)
    cells = _cells(shape, places, random)
    regions = _regions(cells, places, random)
    image = _image(_stains(cells, regions, n_cells, random), random)
    return StainedCells(image, cells, regions)


def _cells(
    shape: tuple[int, int], places: Floats, random: np.random.Generator
) -> NDArray[np.uint16]:
    """Give each pixel to the cell in which it lies deepest, or to none."""
    # Borders that wander: each pixel asks for its cell some pixels away.
    y, x = (at + 2.2 * grain(shape, (7, 7), random) for at in np.mgrid[: shape[0], : shape[1]])
    cells, nearest = np.zeros(shape, np.uint16), np.ones(shape)
    for number, (row, column) in enumerate(places, start=1):
        level = np.hypot(y - row, x - column) / random.uniform(*_RADIUS)
        inside = level < nearest
        nearest[inside], cells[inside] = level[inside], number
    return cells


def _regions(
    cells: NDArray[np.uint16], places: Floats, random: np.random.Generator
) -> NDArray[np.uint8]:
    """Return what each pixel shows."""
    y, x = np.mgrid[: cells.shape[0], : cells.shape[1]]
    regions = np.where(cells > 0, CYTOPLASM, BACKGROUND).astype(np.uint8)
    for number, (row, column) in enumerate(places, start=1):
        radius, angle = random.uniform(*_NUCLEUS_RADIUS), random.uniform(0, np.pi)
        stretch = np.sqrt(random.uniform(1.0, 1.5))
        along, across = turned(angle, y - row, x - column)
        regions[(np.hypot(along / stretch, across * stretch) < radius) & (cells == number)] = (
            NUCLEUS
        )
    regions[(_depth(cells) <= _MEMBRANE_WIDTH) & (cells > 0)] = MEMBRANE
    return regions


def _depth(cells: NDArray[np.uint16]) -> Floats:
    """Return how far each pixel is from another cell, or from none."""
    depth = np.full(cells.shape, np.inf)
    for number in range(cells.max() + 1):
        inside = cells == number
        if inside.any() and not inside.all():
            depth[inside] = ndimage.distance_transform_edt(inside)[inside]
    return depth


def _stains(
    cells: NDArray[np.uint16],
    regions: NDArray[np.uint8],
    n_cells: int,
    random: np.random.Generator,
) -> list[Floats]:
    """Return how much of each dye a pixel holds, about 1 where it belongs."""
    shape = cells.shape
    of_nucleus = random.lognormal(0, 0.25, n_cells + 1)
    of_cytoplasm = random.lognormal(0, 0.45, n_cells + 1)
    chromatin = 1 + 0.2 * grain(shape, (1.5, 1.5), random)
    threads = 1 + 0.3 * grain(shape, (1.2, 3.0), random)
    nuclei = (regions == NUCLEUS) * of_nucleus[cells] * chromatin.clip(min=0.2)
    # The dye of the cytoplasm is above and below the nucleus, too.
    share = np.select([regions == NUCLEUS, regions == BACKGROUND], [0.35, 0.0], 1.0)
    cytoplasm = share * of_cytoplasm[cells] * threads.clip(min=0.2)
    vesicles = (regions == CYTOPLASM) & (grain(shape, (1.0, 1.0), random) > 2.6)
    membranes = (regions == MEMBRANE) * (1 + 0.25 * grain(shape, (4, 4), random)) + 0.8 * vesicles
    return [nuclei, cytoplasm, membranes]


def _image(stains: list[Floats], random: np.random.Generator) -> NDArray[np.uint16]:
    """Expose each channel to its stain, and to a little of the one before it."""
    shape = (stains[0].shape[0], stains[0].shape[1])
    image = np.empty((len(stains), *shape), np.uint16)
    for c, stain in enumerate(stains):
        light = _PHOTONS[c] * stain
        if c:
            light = light + _BLEED * _PHOTONS[c - 1] * stains[c - 1]
        background = 1 + slope(shape, random) + 0.2 * grain(shape, (25, 25), random)
        seen = blur(light, (_PSF_SIGMAS[c], _PSF_SIGMAS[c])) + _BACKGROUNDS[c] * background
        image[c] = _CAMERAS[c].expose(seen, random)
    return image
