"""Random numbers and smooth random fields, ``b y x``, that scenes and textures are made of."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def smooth_noise(
    b: int, n: int, sigma: Tensor, device: str, stretch: Tensor | None = None
) -> Tensor:
    """White noise blurred by sigma (px), of unit variance.

    Parameters
    ----------
    b, n : int
        How many fields, and their side in pixels.
    sigma : Tensor, (b,)
        Gaussian σ of each field.
    device : str
    stretch : Tensor, (b, 2), optional
        Longer (below 1) or shorter (above 1) along and across a random direction.
    """
    fy, fx = _frequencies(n, device)
    if stretch is None:
        transfer = _transfer(sigma, fy, fx)
    else:
        angle = torch.rand(b, device=device) * math.pi
        c, s = angle.cos().view(b, 1, 1), angle.sin().view(b, 1, 1)
        along = (c * fx + s * fy) * stretch[:, 0].view(b, 1, 1)
        across = (-s * fx + c * fy) * stretch[:, 1].view(b, 1, 1)
        transfer = _transfer(sigma, across, along)
    noise = torch.fft.rfft2(torch.randn(b, n, n, device=device)) * transfer
    field = torch.fft.irfft2(noise, s=(n, n))
    field = field - field.mean((1, 2), keepdim=True)
    return field / (field.std((1, 2), keepdim=True) + 1e-6)


def blur(image: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur of ``b y x``, another σ (px) for each image; edges wrap."""
    n = image.shape[-1]
    transfer = _transfer(sigma, *_frequencies(n, str(image.device)))
    return torch.fft.irfft2(torch.fft.rfft2(image) * transfer, s=(n, n))


def warped_grid(b: int, n: int, device: str) -> tuple[Tensor, Tensor]:
    """Coordinates y and x of each pixel, bent at random, so that no shape is exact."""
    grid = torch.arange(n, device=device).float()
    y, x = torch.meshgrid(grid, grid, indexing="ij")
    amplitude = log_uniform(b, 0.5, 12, device).view(b, 1, 1)
    scale = log_uniform(b, 4, 24, device)
    return (
        y[None] + amplitude * smooth_noise(b, n, scale, device),
        x[None] + amplitude * smooth_noise(b, n, scale, device),
    )


def log_uniform(b: int, low: float, high: float, device: str) -> Tensor:
    """``b`` numbers, their logarithms even between those of low and high."""
    span = math.log(high) - math.log(low)
    return torch.exp(torch.rand(b, device=device) * span + math.log(low))


def chance(b: int, device: str) -> Tensor:
    """A number between 0 and 1 for each image, ``b 1 1``."""
    return torch.rand(b, 1, 1, device=device)


def _frequencies(n: int, device: str) -> tuple[Tensor, Tensor]:
    return torch.fft.fftfreq(n, device=device)[:, None], torch.fft.rfftfreq(n, device=device)[None]


def _transfer(sigma: Tensor, fy: Tensor, fx: Tensor) -> Tensor:
    return torch.exp(-2 * math.pi**2 * sigma.view(-1, 1, 1) ** 2 * (fy**2 + fx**2))
