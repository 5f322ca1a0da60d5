"""The feature network: a small U-Net that has seen simulated images only (`pretraining/`).

Kim et al. 2020, Sec. III-A: the feature extractor may be any network. This one is shipped with
its weights, the same for every image; what an image adds is learned on top.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (16, 32, 48, 64, 64)
N_CHANNELS = 3
N_FEATURES = 32
STRIDE = 2 ** (len(WIDTHS) - 1)
"""Sides must be multiples of this."""

FIRST_LAYER = "down.0.0.weight"

_STRIP_PIXELS = 1 << 16  # of a map that a block works on at a time
_LEAST_ROWS = 8  # beside the four around them that are seen too


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
            x = self._by_strips(block, functional.avg_pool2d(x, 2) if level else x)
            kept.append(x)
        kept.pop()
        for block in self.up:
            x = self._by_strips(block, kept.pop(), x)
        # Pixel by pixel: a product of rows, which torch does faster than a 1×1 convolution.
        rows = functional.linear(x.movedim(1, -1), self.head.weight.flatten(1), self.head.bias)
        head = rows.movedim(-1, 1)
        return head[:, :-1], head[:, -1:]

    def _by_strips(self, block: nn.Module, fine: Tensor, coarse: Tensor | None = None) -> Tensor:
        """Do what a block does, a few rows at a time, which stay in the processor's cache."""
        height, width = fine.shape[-2:]
        step = max(_STRIP_PIXELS // width // 2 * 2, _LEAST_ROWS)
        if self.training or fine.is_cuda or height <= step:
            return _strip(block, fine, coarse, slice(0, height))
        found = fine
        for start in range(0, height, step):
            rows = slice(start, min(start + step, height))
            part = _strip(block, fine, coarse, rows)
            if start == 0:
                found = part.new_empty((len(part), height, width, part.shape[1])).movedim(-1, 1)
            found[..., rows, :] = part
        return found


def _strip(block: nn.Module, fine: Tensor, coarse: Tensor | None, rows: slice) -> Tensor:
    """Return some rows of what a block makes of a map, and of a coarse one beside it, enlarged."""
    first, norm, activation, second, *rest = block.children()
    outer, inner = (_around(rows, more, fine.shape[-2]) for more in (2, 1))
    found: Tensor = _joined(first, fine, coarse, outer)
    found = second(activation(norm(found[..., _within(inner, outer), :])))
    found = found[..., _within(rows, inner), :]
    for layer in rest:
        found = layer(found)
    return found


def _joined(conv: Any, fine: Tensor, coarse: Tensor | None, rows: slice) -> Tensor:
    """Convolve rows of a map, and of a coarse one beside it; never side by side in memory."""
    n = 0 if coarse is None else coarse.shape[1]
    found: Tensor = functional.conv2d(fine[..., rows, :], conv.weight[:, n:], conv.bias, padding=1)
    if coarse is None:
        return found
    half = _around(slice(rows.start // 2, -(-rows.stop // 2)), 1, coarse.shape[-2])
    enlarged = functional.interpolate(coarse[..., half, :], scale_factor=2, mode="bilinear")
    place = _within(rows, slice(2 * half.start, 2 * half.stop))
    found += functional.conv2d(enlarged[..., place, :], conv.weight[:, :n], padding=1)
    return found


def _around(rows: slice, more: int, height: int) -> slice:
    return slice(max(rows.start - more, 0), min(rows.stop + more, height))


def _within(rows: slice, outer: slice) -> slice:
    return slice(rows.start - outer.start, rows.stop - outer.start)
