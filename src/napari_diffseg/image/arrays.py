"""Names of the kinds of arrays; shapes and units stand where they are used."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]
Labels = NDArray[np.unsignedinteger[Any]]
Mask = NDArray[np.bool_]
