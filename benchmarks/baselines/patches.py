"""What the baselines with a network share: the image as a tensor, and random patches of it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def as_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """Return an image ``y x c`` as ``1 c y x`` float32 with mean 0 and variance 1."""
    image = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]
    return (image - image.mean()) / image.std()


def random_patches(image: Tensor, n: int, side: int) -> Tensor:
    """Cut n square patches ``n c y x`` out of an image, with torch's global random numbers."""
    height, width = image.shape[-2:]
    rows = torch.randint(height - side + 1, (n,)).tolist()
    columns = torch.randint(width - side + 1, (n,)).tolist()
    places = zip(rows, columns, strict=True)
    return torch.cat([image[..., y : y + side, x : x + side] for y, x in places])
