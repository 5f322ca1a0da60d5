"""Simulated images that the feature network learns from: no photograph, no micrograph.

Domain randomisation: shapes, textures, stains, contrast, blur, noise and illumination are drawn
anew for each image, over ranges wider than microscopy has, so that a real image looks like one
more of them. Made in some milliseconds on a GPU; the same seed gives the same images on one
device.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from pretraining.fields import blur, chance, log_uniform, smooth_noise
from pretraining.scenes import N_CLASSES, simulate_scenes

_COLOURED = 0.55
"""Share of the images that have colours; in the others the second and third channel are 0."""


def simulate_images(b: int, n: int, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Make a batch.

    Returns
    -------
    images : Tensor, b 3 y x
        Principal components of the colours, as `core.features.extraction` makes them of
        real images: the first about 0 to 1, the others on the same scale around 0.
    classes : Tensor of int, b y x
    edges : Tensor of bool, b y x
    """
    scene = simulate_scenes(b, n, device)
    texture = torch.gather(_textures(b, n, device), 1, scene.classes[:, None]).squeeze(1)
    light = texture + scene.shade + scene.halo
    coloured = chance(b, device) < _COLOURED
    stain = _stains(scene.classes, texture) * coloured[:, None]
    sigma = torch.rand(b, device=device) ** 2 * 2.2
    field = smooth_noise(b, n, log_uniform(b, 24, 60, device), device).clamp(-1.5, 1.5)
    uneven = 1 + chance(b, device) * 0.5 * field  # illumination
    light = blur(light, sigma) * uneven
    stain = torch.stack([blur(one, sigma) for one in stain.unbind(1)], 1) * uneven[:, None]
    light = torch.where(coloured, light, _contrast_mechanism(light))
    amount = (light.std((1, 2), keepdim=True) + 1e-3) * chance(b, device) ** 2 * 0.8
    light = light + torch.randn_like(light) * amount
    grain = amount * chance(b, device) * coloured
    stain = stain + torch.randn_like(stain) * grain[:, None]
    images = _components(torch.cat([_rescaled(light)[:, None], stain], 1))
    return images, scene.classes, scene.edges


def _textures(b: int, n: int, device: str) -> Tensor:
    """One texture for each class of each image, ``b 8 y x``.

    In a third of the images all classes have nearly one mean: only the texture tells them apart.
    """
    size = b * N_CLASSES
    stretch = torch.stack([log_uniform(size, 0.4, 3, device), torch.ones(size, device=device)], 1)
    grain = smooth_noise(size, n, log_uniform(size, 0.5, 9, device), device, stretch)
    fine = smooth_noise(size, n, log_uniform(size, 0.4, 3, device), device)
    band = fine - smooth_noise(size, n, log_uniform(size, 0.6, 4, device), device)
    band = band / (band.std((1, 2), keepdim=True) + 1e-6)
    kinds = [
        (0.30, grain),
        (0.50, band),
        (0.62, grain.abs() * 1.5 - 1),
        (0.76, (grain * 2).tanh()),
        (0.90, (grain - 1.1).clamp_min(0) * 2 - 0.3),  # dots
        (1.01, (1 - grain.abs() * 2).clamp_min(-1)),  # lines
    ]
    which = chance(size, device)
    texture = kinds[-1][1]
    for below, one in reversed(kinds[:-1]):
        texture = torch.where(which < below, one, texture)
    amplitude = log_uniform(size, 0.03, 0.7, device).view(size, 1, 1)
    amplitude = torch.where(chance(size, device) < 0.3, torch.zeros_like(amplitude), amplitude)
    alike = torch.rand(b, 1, device=device) < 0.35
    mean = torch.rand(b, N_CLASSES, device=device) * torch.where(alike, 0.12, 1.0)
    mean = mean + torch.where(alike, torch.rand(b, 1, device=device) * 0.8, 0.0)
    return (mean.view(size, 1, 1) + amplitude * texture).view(b, N_CLASSES, n, n)


def _stains(classes: Tensor, texture: Tensor) -> Tensor:
    """Two chroma channels, ``b 2 y x``: a colour for each class, and some of the texture's."""
    b, n, _ = classes.shape
    device = str(classes.device)
    strength = log_uniform(b, 0.03, 0.6, device).view(b, 1, 1)
    second = chance(b, device)  # how much of the chroma is of a second kind
    own = torch.randn(b, 2, N_CLASSES, device=device) * strength
    own[:, 1] *= second[:, 0]
    flat = classes.flatten(1)[:, None].expand(b, 2, n * n)
    stain = torch.gather(own, 2, flat).view(b, 2, n, n)
    shared = torch.randn(b, 2, 1, 1, device=device) * strength[:, None] * 0.5
    return stain + shared * texture[:, None]


def _contrast_mechanism(image: Tensor) -> Tensor:
    """Some images as a high-pass (phase contrast), some as a derivative (DIC)."""
    b, device = len(image), str(image.device)
    high = image - blur(image, log_uniform(b, 4, 12, device))
    slope = functional.pad(image[:, :, 1:] - image[:, :, :-1], (0, 1)) * 3
    which = chance(b, device)
    return torch.where(which < 0.15, high, torch.where(which < 0.27, slope, image))


def _rescaled(image: Tensor) -> Tensor:
    """Between percentiles; half of them inverted; another gamma."""
    b, device = len(image), str(image.device)
    image = _between_percentiles(image).clamp(-0.2, 1.2)
    image = torch.where(chance(b, device) < 0.5, 1 - image, image)
    return image.clamp_min(0) ** log_uniform(b, 0.6, 1.6, device).view(b, 1, 1)


def _between_percentiles(image: Tensor) -> Tensor:
    levels = torch.tensor([0.005, 0.995], device=image.device)
    low, high = torch.quantile(image.flatten(1), levels, dim=1)
    return (image - low.view(-1, 1, 1)) / (high - low + 1e-3).view(-1, 1, 1)


def _components(colours: Tensor) -> Tensor:
    """Turn ``b 3 y x`` to its principal components, each of a random sign."""
    b, c, n, _ = colours.shape
    flat = colours.flatten(2)
    flat = flat - flat.mean(2, keepdim=True)
    axes = torch.linalg.eigh(flat @ flat.transpose(1, 2) / flat.shape[2])[1].flip(2)
    sign = torch.randint(0, 2, (b, 1, c), device=colours.device) * 2 - 1
    turned = ((axes * sign).transpose(1, 2) @ flat).view(b, c, n, n)
    first = turned[:, 0]
    levels = torch.tensor([0.005, 0.995], device=colours.device)
    low, high = torch.quantile(first.flatten(1), levels, dim=1)
    scale = (high - low + 1e-3).view(b, 1, 1)
    first = ((first - low.view(b, 1, 1)) / scale).clamp(-0.2, 1.2)
    others = (turned[:, 1:] / scale[:, None]).clamp(-1, 1)
    return torch.cat([first[:, None], others], 1)
