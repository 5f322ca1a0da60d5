"""Labels that are at hand to OME-Zarr, as a whole."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.files import cannot_write, followed
from napari_diffseg.image.info import Placed
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.image.windows import tiles, whole
from napari_diffseg.io.label_files.label_store import LabelStore
from napari_diffseg.io.label_files.writing import check_replaceable
from napari_diffseg.io.ngff.pyramid import CHUNKS


def write_zarr_labels(
    path: Path,
    labels: NDArray[np.unsignedinteger],
    *,
    pixel_size: PixelSize | None,
    placement: Mapping[str, Placed] | None,
    provenance: Mapping[str, Any] | None,
    force: bool,
) -> None:
    """Write the labels of a plane or a volume; they appear at their place all at once.

    Parameters
    ----------
    path : Path
        Where the folder is to stand.
    labels : ndarray of unsigned int, (y, x) or (z, y, x)
    pixel_size : PixelSize or None
        Becomes the scale and the units.
    placement : mapping of str to Placed, or None
        Where the pixels of the image lie.
    provenance : mapping or None
        How the labels came about.
    force : bool
        Whether an OME-Zarr that is there may be replaced.

    Raises
    ------
    OutputError
        It cannot be written there.
    """
    volumes = labels.ndim == 3 and len(labels) > 1
    with placed_whole(path, force=force) as part:
        store = LabelStore.create(
            part,
            axes="ZYX"[-labels.ndim :],
            shape=labels.shape,
            dtype=labels.dtype,
            volumes=volumes,
            pixel_size=pixel_size,
            placement=placement,
            provenance=provenance,
        )
        write_frame(store, 0, labels.reshape(store.frame_shape))


def write_frame(store: LabelStore, i: int, labels: NDArray[np.unsignedinteger]) -> None:
    """Write the labels of a whole frame, chunk by chunk."""
    for window in tiles(whole(labels.shape), CHUNKS[store.spatial]):
        store.write(i, window, labels[window])


@contextmanager
def placed_whole(path: Path, *, force: bool) -> Iterator[Path]:
    """Give the name of a folder to fill; it gets its own name once it is, and else vanishes.

    Parameters
    ----------
    path : Path
        Where the folder is to stand.
    force : bool
        Whether an OME-Zarr that is there may be replaced.

    Raises
    ------
    OutputError
        It cannot be written there.
    """
    path = followed(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        # Again, because another program may have put something there in the meantime.
        if path.exists():
            check_replaceable(path, force=force)
            _replace(part, path)
        else:
            part.rename(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _replace(part: Path, path: Path) -> None:
    """Put a folder in the place of another; what was there is gone only once it stands there."""
    old = path.with_name(f".{path.name}.{secrets.token_hex(4)}.old")
    path.rename(old)
    try:
        part.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)
