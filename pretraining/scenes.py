"""What lies where in a simulated image: grounds, cells with walls, round things, fibres.

Arrays are ``b y x`` tensors. A *class* is a kind of material, which has one texture; the same
class can appear in many places and as many things.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pretraining.fields import chance, log_uniform, smooth_noise, warped_grid

N_CLASSES = 8
"""0–3 grounds, 4 walls, 5 round things, 6 their rims, 7 fibres."""

_WALL, _ROUND, _RIM, _FIBRE = 4, 5, 6, 7
_N_CELLS, _N_ROUND = 48, 56


@dataclass(eq=False, slots=True)
class Scene:
    """Simulated shapes.

    Attributes
    ----------
    classes : Tensor of int, b y x
    things : Tensor of int, b y x
        Number of the thing (one cell, one nucleus) that a pixel belongs to; −1 for none.
    shade : Tensor, b y x
        Brightness that belongs to one thing rather than to its class.
    halo : Tensor, b y x
        Brightness around round things, as in phase contrast.
    """

    classes: Tensor
    things: Tensor
    shade: Tensor
    halo: Tensor

    @property
    def edges(self) -> Tensor:
        """Pixels on either side of where a class or a thing ends, ``b y x`` of bool."""
        keys = self.classes * 1000 + self.things
        edges = torch.zeros_like(keys, dtype=torch.bool)
        down, right = keys[:, 1:] != keys[:, :-1], keys[:, :, 1:] != keys[:, :, :-1]
        edges[:, 1:] |= down
        edges[:, :-1] |= down
        edges[:, :, 1:] |= right
        edges[:, :, :-1] |= right
        return edges


def simulate_scenes(b: int, n: int, device: str) -> Scene:
    """Draw ``b`` scenes of ``n`` × ``n`` pixels."""
    scene = _grounds(b, n, device)
    _add_round_things(scene)
    _add_fibres(scene)
    return scene


def _grounds(b: int, n: int, device: str) -> Scene:
    """Patches of a Voronoi diagram, blobs, or one plain ground; some cells have walls."""
    n_grounds = torch.randint(1, 5, (b, 1, 1), device=device)
    cell, gap = _voronoi(b, n, device)
    kind = torch.randint(0, 4, (b, _N_CELLS), device=device) % n_grounds[:, :, 0]
    patches = torch.gather(kind, 1, cell.flatten(1)).view(b, n, n)
    first = smooth_noise(b, n, log_uniform(b, 4, 28, device), device)
    second = smooth_noise(b, n, log_uniform(b, 4, 28, device), device)
    blobs = ((first > 0).long() + 2 * (second > chance(b, device) * 2 - 1).long()) % n_grounds
    which = chance(b, device)
    plain = torch.zeros_like(blobs)
    classes = torch.where(which < 0.4, patches, torch.where(which < 0.75, blobs, plain))

    width = log_uniform(b, 0.8, 6, device).view(b, 1, 1)
    walled = chance(b, device) < 0.28
    wall, inside = walled & (gap < width), walled & (gap >= width)
    classes = torch.where(wall, torch.full_like(classes, _WALL), classes)
    things = torch.where(inside, cell, torch.full_like(cell, -1))
    own = torch.gather(torch.rand(b, _N_CELLS, device=device) * 2 - 1, 1, cell.flatten(1))
    shade = own.view(b, n, n) * chance(b, device) ** 2 * 0.25 * inside
    return Scene(classes, things, shade, torch.zeros_like(shade))


def _voronoi(b: int, n: int, device: str) -> tuple[Tensor, Tensor]:
    """Return the nearest of some centres, and how much farther the second nearest is."""
    y, x = warped_grid(b, n, device)
    centres = torch.rand(b, _N_CELLS, 2, device=device) * n * 1.2 - 0.1 * n
    share = torch.rand(b, 1, device=device) * 0.9 + 0.08
    used = torch.rand(b, _N_CELLS, device=device) < share
    used[:, :3] = True
    squared = (y[:, None] - centres[..., 0, None, None]) ** 2
    squared = squared + (x[:, None] - centres[..., 1, None, None]) ** 2
    nearest = (squared + (~used)[..., None, None] * 1e9).topk(2, dim=1, largest=False)
    gap = nearest.values[:, 1].sqrt() - nearest.values[:, 0].sqrt()
    return nearest.indices[:, 0], gap


def _add_round_things(scene: Scene) -> None:
    """Add disks and rods, some of which touch; in some images on one ground only, as in tissue."""
    b, n, _ = scene.classes.shape
    device = str(scene.classes.device)
    centres = torch.rand(b, _N_ROUND, 2, device=device) * n
    radius = log_uniform(b, 2.5, 24, device).view(b, 1)
    radius = radius * (0.7 + 0.6 * torch.rand(b, _N_ROUND, device=device))
    used = _used_things(scene, centres, radius)
    near, who, next_near = _distances(centres, radius, used, n)
    size = torch.gather(radius, 1, who.flatten(1)).view(b, n, n)
    inside = near < 1
    rim = log_uniform(b, 0.8, 4, device).view(b, 1, 1)
    ring = (chance(b, device) < 0.25) & inside & ((1 - near) * size < rim)
    scene.classes = torch.where(inside, torch.full_like(scene.classes, _ROUND), scene.classes)
    scene.classes = torch.where(ring, torch.full_like(scene.classes, _RIM), scene.classes)
    scene.things = torch.where(inside, 100 + who, scene.things)
    own = torch.gather(torch.rand(b, _N_ROUND, device=device) * 2 - 1, 1, who.flatten(1))
    dome = chance(b, device) * 0.35 * (chance(b, device) < 0.4)
    shade = own.view(b, n, n) * (chance(b, device) ** 2 * 0.35) - dome * near
    scene.shade = torch.where(inside, shade, scene.shade)
    reach = log_uniform(b, 1.5, 8, device).view(b, 1, 1)
    glow = torch.exp(-((((near - 1) * radius.mean(1).view(b, 1, 1)) / reach) ** 2))
    strength = (chance(b, device) - 0.35) * 1.2
    scene.halo = ((chance(b, device) < 0.12) & ~inside) * strength * glow
    seam = (chance(b, device) < 0.5) & inside & ((next_near - near) * size < 1.2)
    scene.shade = scene.shade - seam * chance(b, device) * 0.4


def _used_things(scene: Scene, centres: Tensor, radius: Tensor) -> Tensor:
    """Choose which of the round things are there, ``b q``: no more than have room."""
    b, n, _ = scene.classes.shape
    device = str(scene.classes.device)
    share = torch.rand(b, 1, device=device) * 1.1 - 0.05
    there = torch.rand(b, 1, device=device) < 0.6
    used = (torch.rand(b, _N_ROUND, device=device) < share) & there
    room = (n * n / (3.14 * radius.mean(1) ** 2) * 1.1).clamp(1, _N_ROUND)
    used &= torch.arange(_N_ROUND, device=device)[None] < room[:, None]
    place = centres.long().clamp(0, n - 1)
    ground = torch.gather(scene.classes.flatten(1), 1, place[..., 0] * n + place[..., 1])
    confined = torch.rand(b, 1, device=device) < 0.3
    used &= ~confined | (ground == 0)
    return used


def _distances(
    centres: Tensor, radius: Tensor, used: Tensor, n: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the distance to the nearest thing (1 at its rim), which it is, and the next one's."""
    b, q = used.shape
    device = str(used.device)
    y, x = warped_grid(b, n, device)
    rods = torch.rand(b, 1, device=device) < 0.2
    slim = 0.35 + 0.3 * torch.rand(b, q, device=device)
    disk = 0.72 + 0.28 * torch.rand(b, q, device=device)
    aspect = torch.where(rods, slim, disk)[..., None, None]
    angle = (torch.rand(b, q, device=device) * math.pi)[..., None, None]
    dy, dx = y[:, None] - centres[..., 0, None, None], x[:, None] - centres[..., 1, None, None]
    along = (angle.cos() * dx + angle.sin() * dy) * aspect.sqrt()
    across = (-angle.sin() * dx + angle.cos() * dy) / aspect.sqrt()
    distance = (along**2 + across**2).sqrt() / radius[..., None, None]
    two = (distance + (~used)[..., None, None] * 1e3).topk(2, dim=1, largest=False)
    return two.values[:, 0], two.indices[:, 0], two.values[:, 1]


def _add_fibres(scene: Scene) -> None:
    """Add thin lines: where a smooth field is near zero."""
    b, n, _ = scene.classes.shape
    device = str(scene.classes.device)
    field = smooth_noise(b, n, log_uniform(b, 3, 16, device), device).abs()
    fibre = (chance(b, device) < 0.15) & (field < 0.12 * chance(b, device) + 0.04)
    scene.classes = torch.where(fibre, torch.full_like(scene.classes, _FIBRE), scene.classes)
    scene.things = torch.where(fibre, torch.full_like(scene.things, -2), scene.things)
