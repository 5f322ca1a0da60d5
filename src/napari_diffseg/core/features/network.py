"""The feature network: a small U-Net that has seen simulated images only (`pretraining/`).

Kim et al. 2020, Sec. III-A: the feature extractor may be any network. This one is shipped with
its weights, the same for every image; what an image adds is learned on top.
"""

from __future__ import annotations

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
        for block, fine in zip(self.up, reversed(kept[:-1]), strict=True):
            size = fine.shape[-2:]
            coarse = functional.interpolate(x, size=size, mode="bilinear", align_corners=False)
            x = block(torch.cat([coarse, fine], 1))
        head: Tensor = self.head(x)
        return head[:, :N_FEATURES], head[:, N_FEATURES:]
