"""The feature network: a small U-Net that has seen simulated images only (`pretraining/`).

Kim et al. 2020, Sec. III-A: the feature extractor may be any network. This one is shipped with
its weights, the same for every image; what an image adds is learned on top.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_diffseg.image.windows import Window, inside, whole

WIDTHS = (16, 32, 48, 64, 64)
N_CHANNELS = 3
N_FEATURES = 32
STRIDE = 2 ** (len(WIDTHS) - 1)
"""Sides must be multiples of this."""

FIRST_LAYER = "down.0.0.weight"

_STRIP_PIXELS = 1 << 16  # of a map that a block works on at a time
_LEAST_ROWS = 8  # beside the four around them that are seen too
_LEAST_FOLDED = 1 << 14  # pixels of a map; of a smaller one its sides would cost what is spared
_SEEN_AROUND = 8  # pixels at each level that the network sees around what is asked of it, and more
_TINY = 1e-12

Maps = tuple[Tensor, ...]


class Block(nn.Sequential):
    """Twice 3×3 convolution, batch norm, ReLU."""

    folded: Tensor | None
    """For a coarse map that comes enlarged, what `_add_enlarged` convolves it with."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(
            nn.Conv2d(before, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(True),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(True),
        )
        self.register_buffer("folded", None, persistent=False)


class FeatureNet(nn.Module):
    """Three channels in, ``b 3 y x``; features ``b 32 y x`` and edge logits ``b 1 y x`` out.

    In evaluation features are of unit length.
    """

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

    def fold(self, *, is_cpu: bool) -> None:
        """Make a convolution and its batch norm one; on a CPU, enlarge what is convolved."""
        block: Any
        for block in (*self.down, *self.up):
            for place in (0, 3):
                block[place] = fuse_conv_bn_eval(block[place], block[place + 1])
                block[place + 1] = nn.Identity()
        for block in self.up if is_cpu else ():
            n_fine = block[3].out_channels
            block.folded = _folded(block[0].weight[:, :-n_fine])

    def forward(self, x: Tensor, wanted: Window | None = None) -> tuple[Tensor, Tensor]:
        """Return features and edge logits at the resolution of the input, of a window ``y x``."""
        wanted = wanted or whole(x.shape[-2:])
        kept = []
        for block in self.down[:-1]:
            found, x = self._by_strips(block, x, then=lambda one: (one, _halved(one)))
            kept.append(found)
        (x,), here = self._by_strips(self.down[-1], x), whole(x.shape[-2:])
        for level, block in zip(reversed(range(len(kept))), self.up, strict=True):
            fine = kept.pop()
            cut = _cut(wanted, 2**level, fine.shape[-2:])
            half = tuple(slice(side.start // 2, side.stop // 2) for side in cut)
            then = (self._told,) if level == 0 else ()
            x, *logits = self._by_strips(
                block, fine[:, :, *cut], x[:, :, *inside(half, here)], *then
            )
            here = cut
        place = inside(wanted, here)
        return x[:, :, *place], logits[0][:, :, *place]

    def _told(self, x: Tensor) -> Maps:
        # Pixel by pixel: a product of rows, which torch does faster than a 1×1 convolution.
        weight, bias = self.head.parameters()
        rows = functional.linear(x.movedim(1, -1), weight.flatten(1))
        rows += bias
        features, logits = rows[..., :-1], rows[..., -1:]
        if not self.training:
            features /= torch.linalg.vector_norm(features, dim=-1, keepdim=True).clamp_min_(_TINY)
        return features.movedim(-1, 1), logits.movedim(-1, 1)

    def _by_strips(
        self,
        block: Any,
        fine: Tensor,
        coarse: Tensor | None = None,
        then: Callable[[Tensor], Maps] = lambda found: (found,),
    ) -> Maps:
        """Do what a block does, a few rows at a time, which stay in the processor's cache."""
        height, width = fine.shape[-2:]
        step = max(_STRIP_PIXELS // width // 2 * 2, _LEAST_ROWS)
        if coarse is not None and _is_folded(block, fine):
            coarse = functional.pad(coarse, (1, 1, 1, 1), mode="replicate")
        if self.training or fine.is_cuda or height <= step:
            return then(_strip(block, fine, coarse, slice(0, height)))
        found: list[Tensor] = []
        for start in range(0, height, step):
            rows = slice(start, min(start + step, height))
            parts = then(_strip(block, fine, coarse, rows))
            if start == 0:
                sizes = [(len(one), height * one.shape[-2] // step) for one in parts]
                found = [
                    one.new_empty((*size, one.shape[-1], one.shape[1])).movedim(-1, 1)
                    for one, size in zip(parts, sizes, strict=True)
                ]
            for whole_map, part in zip(found, parts, strict=True):
                first = start * whole_map.shape[-2] // height
                whole_map[..., first : first + part.shape[-2], :] = part
        return tuple(found)


def _halved(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, 2)


def _cut(wanted: Window, scale: int, shape: Sequence[int]) -> Window:
    """Return what a map has to hold, in pixels of it, for what is wanted of a finer one."""
    return tuple(
        slice(
            max(side.start // scale - _SEEN_AROUND, 0) // 2 * 2,
            min(-(-side.stop // scale) // 2 * 2 + 2 + _SEEN_AROUND, length),
        )
        for side, length in zip(wanted, shape, strict=True)
    )


def _strip(block: Any, fine: Tensor, coarse: Tensor | None, rows: slice) -> Tensor:
    """Return some rows of what a block makes of a map, and of a coarse one beside it, enlarged."""
    first, norm, activation, second, *rest = block.children()
    outer, inner = (_around(rows, more, fine.shape[-2]) for more in (2, 1))
    n = 0 if coarse is None else coarse.shape[1]
    found: Tensor = functional.conv2d(
        fine[..., outer, :], first.weight[:, n:], first.bias, padding=1
    )
    if coarse is not None:  # never side by side in memory
        if _is_folded(block, fine):
            _add_enlarged(found, block, coarse, outer)
        else:
            found += _enlarged(first.weight[:, :n], coarse, outer)
    found = second(activation(norm(found[..., _within(inner, outer), :])))
    found = found[..., _within(rows, inner), :]
    for layer in rest:
        found = layer(found)
    return found


def _is_folded(block: Any, fine: Tensor) -> bool:
    return block.folded is not None and fine.shape[-2] * fine.shape[-1] >= _LEAST_FOLDED


def _enlarged(weight: Tensor, coarse: Tensor, rows: slice) -> Tensor:
    """Convolve rows of a coarse map, enlarged twice."""
    half = _around(slice(rows.start // 2, -(-rows.stop // 2)), 1, coarse.shape[-2])
    enlarged = functional.interpolate(coarse[..., half, :], scale_factor=2, mode="bilinear")
    place = _within(rows, slice(2 * half.start, 2 * half.stop))
    return functional.conv2d(enlarged[..., place, :], weight, padding=1)


def _folded(weight: Tensor) -> Tensor:
    """Return the kernels ``c o 4 4`` of a map that is enlarged by repetition, and then convolved.

    A pixel is seen from four rows, and four columns: from the first by the last tap of the 3×3
    kernel, from the next by the last two, and so on.
    """
    taps = weight.new_tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]]) / 4
    return torch.einsum("ak,bl,ockl->coab", taps, taps, weight)


def _add_enlarged(found: Tensor, block: Any, padded: Tensor, rows: slice) -> None:
    """Add what `_enlarged` gives, of less than half as many products; the map comes padded by 1.

    Bilinear enlargement is one by repetition that is blurred by (1 2 1) / 4 along both axes, and a
    blur may as well follow the convolution.
    """
    n, height = found.shape[1], padded.shape[-2] - 2
    coarse = padded[..., rows.start // 2 : rows.stop // 2 + 2, :]
    repeated = functional.conv_transpose2d(coarse, block.folded, stride=2, padding=2)
    blur = coarse.new_tensor([1, 2, 1])
    found += functional.conv2d(repeated, torch.outer(blur, blur).expand(n, 1, 3, 3), groups=n)
    # Beyond its sides the enlarged map counts as 0, and not as what it was padded with.
    weight = block[0].weight[:, : coarse.shape[1]]
    for end, tap in ((0, 0), (-1, 2)):
        side = functional.interpolate(coarse[..., [end]], scale_factor=(2, 1), mode="bilinear")
        found[..., [end]] -= functional.conv2d(side[..., 1:-1, :], weight[..., [tap]])
        if (rows.start, rows.stop - 2 * height)[end] == 0:
            row = padded[..., [end], 1:-1]
            row = functional.interpolate(row, scale_factor=(1, 2), mode="bilinear")
            found[..., [end], :] -= functional.conv2d(row, weight[..., [tap], :], padding=(0, 1))


def _around(rows: slice, more: int, height: int) -> slice:
    return slice(max(rows.start - more, 0), min(rows.stop + more, height))


def _within(rows: slice, outer: slice) -> slice:
    return slice(rows.start - outer.start, rows.stop - outer.start)
