"""From a trained network to the clusters of a whole image, tile by tile.

Inference uses fixed batch-norm statistics (see `calibrate`), never those of the piece
of image at hand, so that a pixel's cluster depends on its surroundings within the
network's radius and on nothing else: not on the tile, nor on the frame.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_diffseg.core.generators import result_of
from napari_diffseg.core.plane import Plane
from napari_diffseg.core.published.clustering_net import FeatureClusteringNet
from napari_diffseg.image.arrays import Integers
from napari_diffseg.image.pieces import block_shape
from napari_diffseg.image.space import Space
from napari_diffseg.image.windows import Shape, Window, inside, size, tiles, whole

LEAST_READ = 64
"""Pixels along y and x that are read at the least: of a narrower strip torch computes the
convolutions in another order, and the last digits of the response would tell of the tile."""


@torch.no_grad()
def calibrate(network: FeatureClusteringNet, inputs: Tensor, valid: Tensor | None = None) -> Tensor:
    """Set the batch norms' statistics to those of the valid (``b y x``) pixels of ``b d y x``.

    Where all are valid, evaluation then gives what training mode gives on these inputs. Returns
    their clusters, ``b y x``; leaves the network in evaluation mode.
    """

    def measure(layer: nn.Module, arriving: tuple[Tensor, ...]) -> None:
        (pixels,) = arriving
        if valid is not None:
            pixels = pixels.movedim(1, 0)[None, :, valid, None]
        # By way of the deviations, as exact as torch.var_mean and several times faster. The
        # biased variance, by which torch normalises; it would store the unbiased one.
        others = (0, *range(2, pixels.ndim))
        mean = pixels.mean(dim=others)
        deviations = pixels - mean.view(-1, *(1,) * (pixels.ndim - 2))
        layer.running_mean, layer.running_var = mean, deviations.square_().mean(dim=others)

    network.eval()
    kinds = (nn.BatchNorm2d, nn.BatchNorm3d)
    norms = [layer for layer in network.modules() if isinstance(layer, kinds)]
    hooks = [layer.register_forward_pre_hook(measure) for layer in norms]
    clusters: Tensor = network(inputs.contiguous(memory_format=network.memory_format)).argmax(dim=1)
    for hook in hooks:
        hook.remove()
    return clusters


_MARGIN_STEP = 8  # pixels; how sure a whole image is can be told from a few of them


def cluster_steps(
    network: FeatureClusteringNet, source: Plane, device: torch.device, area: Window
) -> Generator[float, None, tuple[Integers, float]]:
    """Run the network over an area, block by block; yields the share that is done between two.

    Returns the clusters, int16, and the mean margin of the two highest softmax responses, 0 … 1.
    """
    clusters = np.empty(size(area), np.int16)
    margins: list[NDArray[np.float32]] = []
    blocks = list(tiles(area, block_shape(network.space)))
    for number, block in enumerate(blocks):
        if number > 0:
            yield number / len(blocks)
        response = response_map(network, source, block, device)
        clusters[inside(block, area)] = response.argmax(dim=0).to(torch.int16).cpu().numpy()
        few = response[:, ..., ::_MARGIN_STEP, ::_MARGIN_STEP].softmax(dim=0)
        best = few.topk(2, dim=0).values
        margins.append((best[0] - best[1]).flatten().cpu().numpy())
    return clusters, float(np.concatenate(margins).mean())


def find_clusters(
    network: FeatureClusteringNet, source: Plane, device: torch.device, area: Window
) -> tuple[Integers, float]:
    """Do what `cluster_steps` does, at once."""
    return result_of(cluster_steps(network, source, device, area))


@torch.no_grad()
def response_map(
    network: FeatureClusteringNet,
    source: Plane,
    window: Window,
    device: torch.device,
    tile: int = 0,
) -> Tensor:
    """Compute the response map ``q (z) y x`` of a window, tile by tile; of volumes up to rounding.

    `tile` is the side of a plane's tiles without their halo, 0 for what suits the device.
    """
    network.eval()
    halo = network.radius
    within = reach(window, halo, whole(source.shape))
    # In memory the clusters lie side by side: their argmax is several times faster so.
    response = torch.empty(*size(window), network.n_clusters, device=device).movedim(-1, 0)
    for piece in tiles(window, tile or _tile_shape(device, network.space)):
        around = reach(piece, halo, within)
        inputs = torch.from_numpy(source.inputs(around))[None].to(device)
        wide = network(inputs.contiguous(memory_format=network.memory_format))[0]
        response[:, *inside(piece, window)] = wide[:, *inside(piece, around)]
    return response


def reach(window: Window, halo: Shape, within: Window) -> Window:
    """Return a window with its halo, of a plane at least `LEAST_READ` wide, within another one."""
    least = 0 if len(window) == 3 else LEAST_READ
    sides = []
    for side, more, limits in zip(window, halo, within, strict=True):
        start = max(min(side.start - more, side.stop + more - least), limits.start)
        sides.append(slice(start, min(max(side.stop + more, start + least), limits.stop)))
    return tuple(sides)


def _tile_shape(device: torch.device, space: Space) -> int | Shape:
    """Choose tiles that fit a processor's cache, or that fill a GPU."""
    if space.is_volume:
        return (32, 64, 64) if device.type == "cpu" else (64, 256, 256)
    return 128 if device.type == "cpu" else 1024
