"""Labels of any number of frames to a file of any kind, with all that is said of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_diffseg.errors import Cancelled, InputError, OutputError
from napari_diffseg.io.label_files.label_store import Described
from napari_diffseg.io.label_files.provenance import COLORS, NAMES, with_classes
from napari_diffseg.io.label_files.writing import check_output, write_label_frames

_WIDEST = np.dtype(np.uint32)
"""OME-TIFF holds no larger whole numbers."""


def label_dtype(dtype: Any) -> np.dtype[Any]:
    """Return the unsigned type that whole-number labels (else InputError) are written in."""
    kind = np.dtype(dtype)
    if kind.kind not in "bui":
        raise InputError(
            f"The labels are of the type {kind}, but one whole number for each pixel was expected; "
            "give labels, not an image."
        )
    return np.dtype(f"u{min(kind.itemsize, _WIDEST.itemsize)}")


def check_frames(path: Path, shape: Sequence[int], *, force: bool) -> None:
    """Find out beforehand whether labels of a shape can be written.

    Raises as `check_output`, and where there are too many planes for the format.
    """
    check_output(path, force=force)
    n_planes = prod(shape[:-2])
    if path.suffix.lower() == ".png" and n_planes > 1:
        raise OutputError(
            f"{path} cannot hold {n_planes} frames or planes, PNG holds one; write an .ome.tif or "
            ".ome.zarr file."
        )


Stopped = Callable[[], bool]
"""Whether nobody waits any more for what is written; asked often."""

Item = TypeVar("Item")


def never() -> bool:
    """Return False: what is written is waited for."""
    return False


def until(stopped: Stopped, items: Iterable[Item]) -> Iterator[Item]:
    """Pass items on; raise `Cancelled` once it is so."""
    for item in items:
        if stopped():
            raise Cancelled
        yield item


@dataclass(frozen=True, eq=False)
class LabelFrames:
    """Labels of any number of planes, wherever they are, with all that is said of them."""

    axes: str  # T and Z where there are any, then YX
    shape: tuple[int, ...]
    dtype: Any
    # Returns an iterator over the planes ``(y, x)``, in C order; anew whenever it is called.
    planes: Callable[[], Iterator[NDArray[Any]]]
    said: Described

    def write(self, path: Path, *, force: bool = False, stopped: Stopped = never) -> None:
        """Write them plane by plane, whole or not at all; names and colours in the provenance too.

        Raises `Cancelled` once it is stopped; as `check_frames`, where the disk is full, and of
        labels negative or too large.
        """
        kind = label_dtype(self.dtype)
        check_frames(path, self.shape, force=force)
        provenance = with_classes(
            self.said.get("provenance"), self.said.get("names"), self.said.get("colors")
        )
        said: Described = {**self.said, "provenance": provenance}
        write_label_frames(
            path,
            (_fitting(plane, kind) for plane in until(stopped, self.planes())),
            axes=self.axes,
            shape=self.shape,
            dtype=kind,
            force=force,
            **said,
        )

    def classes(self) -> tuple[int, ...]:
        """Return the labels that are there, but 0, ascending; goes through all planes."""
        found: set[int] = set()
        for plane in self.planes():
            found.update(np.unique(plane).tolist())
        return tuple(sorted(label for label in found if label > 0))

    def mask(self, label: int) -> LabelFrames:
        """Return where a label is: 1 there, 0 elsewhere."""
        names = self.said.get("names") or {}
        said: Described = {**self.said, "names": {1: names.get(label) or str(label)}, "colors": {}}
        return replace(
            self,
            dtype=np.dtype(np.uint8),
            planes=lambda: ((plane == label).astype(np.uint8) for plane in self.planes()),
            said=said,
        )


def classes_in(
    provenance: Mapping[str, Any] | None,
) -> tuple[dict[int, str], dict[int, tuple[float, ...]]]:
    """Return the names and the colours of labels that a provenance has."""
    said = provenance or {}
    try:
        names = {int(label): str(name) for label, name in (said.get(NAMES) or {}).items()}
        colors = {
            int(label): tuple(float(part) for part in color)
            for label, color in (said.get(COLORS) or {}).items()
        }
    except (AttributeError, TypeError, ValueError):
        return {}, {}  # another program has written something else there
    return names, colors


def _fitting(frame: ArrayLike, kind: np.dtype[Any]) -> NDArray[np.unsignedinteger]:
    """Return labels in the type that they are written in; none of them becomes another."""
    numbers = np.asarray(frame)
    if numbers.dtype.kind == "i" or numbers.dtype.itemsize > kind.itemsize:
        low, high = int(numbers.min(initial=0)), int(numbers.max(initial=0))
        if low < 0 or high > np.iinfo(kind).max:
            wrong = low if low < 0 else high
            raise InputError(
                f"There is a label {wrong}, but labels are numbers from 0 to "
                f"{np.iinfo(kind).max}; number them anew."
            )
    return numbers.astype(kind, copy=False)
