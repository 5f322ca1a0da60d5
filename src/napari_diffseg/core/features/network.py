"""The feature network: a small U-Net that has seen simulated images only (`pretraining/`).

Kim et al. 2020, Sec. III-A: the feature extractor may be any network. This one is shipped with
its weights, the same for every image; what an image adds is learned on top.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (16, 32, 48, 64, 64)
N_CHANNELS = 3
N_FEATURES = 32
STRIDE = 2 ** (len(WIDTHS) - 1)
"""Sides must be multiples of this."""

FIRST_LAYER = "down.0.0.weight"


class Block(nn.Sequential):
    """Twice 3×3 convolution, batch norm, ReLU."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(
            nn.Conv2d(before, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(True),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(True),
        )


class FeatureNet(nn.Module):
    """Three channels in, ``b 3 y x``; features ``b 32 y x`` and edge logits ``b 1 y x`` out."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        width = N_CHANNELS
        for after in WIDTHS:
            self.down.append(Block(width, after))
            width = after
        for after in reversed(WIDTHS[:-1]):
            self.up.append(Block(width + after, after))
            width = after
        self.head = nn.Conv2d(width, N_FEATURES + 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and edge logits at the resolution of the input."""
        kept = []
        for level, block in enumerate(self.down):
            x = block(functional.avg_pool2d(x, 2) if level else x)
            kept.append(x)
        kept.pop()
        for block in self.up:
            first, *rest = block.children()
            x = _joined(first, x, kept.pop())
            for layer in rest:
                x = layer(x)
        # Pixel by pixel: a product of rows, which torch does faster than a 1×1 convolution.
        rows = functional.linear(x.movedim(1, -1), self.head.weight.flatten(1), self.head.bias)
        head = rows.movedim(-1, 1)
        return head[:, :N_FEATURES], head[:, N_FEATURES:]


def _joined(conv: Any, coarse: Tensor, fine: Tensor) -> Tensor:
    """Convolve a coarse map, enlarged, beside a fine one; both never lie side by side in memory."""
    n = coarse.shape[1]
    found = functional.conv2d(fine, conv.weight[:, n:], conv.bias, padding=1)
    del fine
    coarse = enlarged(coarse.movedim(1, -1), 2).movedim(-1, 1)
    found += functional.conv2d(coarse, conv.weight[:, :n], padding=1)
    return found


def enlarged(rows: Tensor, times: int) -> Tensor:
    """Enlarge ``… y x c`` by bilinear interpolation.

    As `torch.nn.functional.interpolate` without aligned corners, three times as fast for rows of
    channels.
    """
    for axis in (-2, -3):
        n = rows.shape[axis]
        ends = rows.narrow(axis, 0, 1), rows, rows.narrow(axis, n - 1, 1)
        padded = torch.cat(ends, axis)
        parts = []
        for number in range(times):
            place = (number + 0.5) / times - 0.5  # from the middle of the pixel
            start = 0 if place < 0 else 1
            before, after = (padded.narrow(axis, at, n) for at in (start, start + 1))
            parts.append(torch.lerp(before, after, place % 1))
        axis += rows.ndim
        rows = torch.stack(parts, axis + 1).flatten(axis, axis + 1)
    return rows
