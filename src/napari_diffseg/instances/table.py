"""Tables of measurements: joined, summed up by class and frame, and written as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_diffseg.files import as_unicode, written_whole
from napari_diffseg.instances.measuring import Columns

_AT_ONCE = 10_000
"""Rows that are written at a time."""

_CONTENTS = ("area_um2", "area_px", "volume_um3", "volume_vx")


def join(tables: Iterable[Mapping[str, NDArray[Any]]]) -> Columns:
    """Put tables with the same columns one below the other; none gives one without columns."""
    every = list(tables)
    if not every:
        return {}
    return {name: np.concatenate([table[name] for table in every]) for name in every[0]}


def summary(table: Mapping[str, NDArray[Any]], n_frames: int | None = None) -> Columns:
    """Sum a table up by frame and class.

    Parameters
    ----------
    table : mapping of str to ndarray
        From `measure`.
    n_frames : int, optional
        Frames from 0 on; one without objects has a row too, with a count of 0, for each class
        that is in any. Those of the table where None.

    Returns
    -------
    dict of str to ndarray
        ``frame``; ``class`` and ``class_name`` where the table has them; ``count``; and of the
        area (or volume), in the unit of the table, ``mean_area_um2`` (empty without objects) and
        ``total_area_um2``.
    """
    content = next(name for name in _CONTENTS if name in table)
    frames = np.arange(n_frames) if n_frames is not None else np.unique(table["frame"])
    kinds = np.unique(table["class"]) if "class" in table else np.zeros(1, np.int64)
    if not kinds.size:
        kinds = np.zeros(1, np.int64)
    own = table.get("class", np.zeros(table["frame"].size, np.int64))
    shape = frames.size, kinds.size
    cells = np.searchsorted(frames, table["frame"]) * kinds.size + np.searchsorted(kinds, own)
    count = np.bincount(cells, minlength=frames.size * kinds.size)
    total = np.bincount(cells, table[content], frames.size * kinds.size)
    rows: Columns = {"frame": np.repeat(frames, shape[1])}
    if "class" in table:
        named = dict(zip(own.tolist(), table["class_name"].tolist(), strict=True))
        rows["class"] = np.tile(kinds, shape[0])
        rows["class_name"] = np.array([named.get(one, "") for one in rows["class"]], dtype=object)
    rows["count"] = count
    rows[f"mean_{content}"] = np.divide(
        total, count, out=np.full(count.size, np.nan), where=count > 0
    )
    rows[f"total_{content}"] = total
    return rows


def write_csv(path: Path, table: Mapping[str, NDArray[Any]], *, force: bool = False) -> None:
    """Write a table; the file is there whole or not at all, and replaces none without `force`.

    Numbers have up to ten digits; what is not known (NaN) is left empty. Raises `OutputError` where
    it cannot be written.
    """
    for _ in csv_steps(path, table, force=force):
        pass


def csv_steps(
    path: Path, table: Mapping[str, NDArray[Any]], *, force: bool = False
) -> Iterator[float]:
    """Write a table as `write_csv` does; yields the share that is done. Closed, it leaves none."""
    columns = list(table.values())
    n_rows = columns[0].size if columns else 0
    with written_whole(path, force=force) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(map(in_words, table))
        # By parts: as Python's numbers and texts a long table takes ten times the memory.
        for start in range(0, n_rows, _AT_ONCE):
            part = [column[start : start + _AT_ONCE].tolist() for column in columns]
            rows.writerows(map(in_words, row) for row in zip(*part, strict=True))
            yield start / n_rows
        text.detach()


def in_words(value: object) -> str:
    """Return a value as it stands in a table."""
    if isinstance(value, float):
        return "" if value != value else f"{value:.10g}"
    return as_unicode(str(value))
