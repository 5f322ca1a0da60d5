"""Arrays that lie in memory (NumPy's) or on a GPU (torch's): what the two have other names for.

Only CUDA has the 64-bit numbers that sums are made of here; what runs elsewhere stays with NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = Any
"""NumPy's, or a tensor on a GPU."""

_UNIT = 1 << 32


def is_used(device: torch.device) -> bool:
    """Whether images are looked at, and regions labelled, as tensors on a device."""
    return device.type == "cuda"


def on(device: torch.device, array: NDArray[Any]) -> Array:
    """Put an array where it is used."""
    if not is_used(device):
        return array
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)


def left_on_gpu(found: Tensor) -> Array:
    """Return what was found as it is used: a tensor on a GPU, else NumPy's."""
    return found if is_used(found.device) else found.cpu().numpy()


def like(values: NDArray[Any], other: Array) -> Array:
    """Put values where another array lies."""
    if not isinstance(other, Tensor):
        return values
    return torch.from_numpy(np.ascontiguousarray(values)).to(other.device)


def in_memory(array: Array) -> NDArray[Any]:
    """Return an array as one of NumPy's."""
    found: NDArray[Any] = array.cpu().numpy() if isinstance(array, Tensor) else array
    return found


def joined(arrays: Sequence[Array], axis: int = 0) -> Array:
    """Return arrays of one kind as one."""
    if isinstance(arrays[0], Tensor):
        return torch.cat(list(arrays), axis)
    return np.concatenate(arrays, axis)


def stacked(arrays: Sequence[Array]) -> Array:
    """Put arrays of one kind and shape beside each other, along a new first axis."""
    if isinstance(arrays[0], Tensor):
        return torch.stack(list(arrays))
    return np.stack(arrays)


def turned(matrix: NDArray[Any], array: Array, axis: int = 0) -> Array:
    """Return sums along an axis of an array, which comes first then: of each row of a matrix."""
    if isinstance(array, Tensor):
        return torch.tensordot(like(matrix, array), array, ([1], [axis]))
    return np.tensordot(matrix, array, (1, axis))


def mean(array: Array, axis: int) -> NDArray[np.float64]:
    """Return the mean along an axis, summed in float64."""
    double: Any = torch.float64 if isinstance(array, Tensor) else np.float64
    return in_memory(array.mean(axis, dtype=double))


def total(array: Array) -> float:
    """Return the sum, in float64."""
    double: Any = torch.float64 if isinstance(array, Tensor) else np.float64
    return float(array.sum(dtype=double))


def percentiles(values: Array, wanted: Sequence[float]) -> NDArray[np.floating]:
    """Return percentiles of some values, ``(n,)``."""
    if not isinstance(values, Tensor):
        found: NDArray[np.floating] = np.percentile(values, wanted)
        return found
    ordered = values.sort().values
    places = np.array(wanted) / 100 * (len(ordered) - 1)
    below = np.floor(places).astype(int)
    ends = in_memory(ordered[np.r_[below, np.minimum(below + 1, len(ordered) - 1)]])
    low, high = np.split(ends, 2)
    between: NDArray[np.floating] = low + (high - low) * (places - below)
    return between


def clip(array: Array, low: float, high: float) -> None:
    """Bring an array between two values, in place."""
    if isinstance(array, Tensor):
        array.clip_(low, high)
    else:
        array.clip(low, high, out=array)


def add_at(sums: Tensor, places: Tensor, values: Tensor) -> None:
    """Add values ``(n, …)`` to the sums (`exact`) at some places, which may come again and again.

    As whole numbers, whose sum is the same in any order: a GPU knows none.
    """
    sums.index_add_(0, places, (values.double() * _UNIT).round_().long())


def exact(*shape: int, device: torch.device) -> Tensor:
    """Return sums to add to, of nothing so far."""
    return torch.zeros(shape, dtype=torch.int64, device=device)


def summed(sums: Tensor) -> Tensor:
    """Return the sums as float64."""
    return sums.double() / _UNIT
