"""Names of classes, kept in the layers' features, where napari's status bar reads them.

The features of a Labels layer are a table; the column ``index`` says which label a row is
of, and the column ``class`` has its name. Other columns are a person's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

INDEX, NAME = "index", "class"


def names_in(features: pd.DataFrame) -> dict[int, str]:
    """Return the names of the classes in a layer's features."""
    if INDEX not in features or NAME not in features:
        return {}
    pairs = zip(features[INDEX], features[NAME], strict=True)
    return {int(number): name for number, name in pairs if isinstance(name, str) and name}


def features_for(
    features: pd.DataFrame, names: Mapping[int, str], last: int
) -> pd.DataFrame | None:
    """Return a layer's features with these names of classes, and no others."""
    if names == names_in(features) and (not names or last in set(features[INDEX])):
        return None
    table = features.copy()
    if INDEX not in table:
        # As napari reads a table without this column: row k is of label k.
        table[INDEX] = range(len(table))
    rows = set(range(max([last, *names, 0]) + 1)) | set(table[INDEX])
    table = table.set_index(INDEX).reindex(sorted(rows)).reset_index()
    table[NAME] = [names.get(int(number)) for number in table[INDEX]]
    return table
