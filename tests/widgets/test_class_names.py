"""Names of classes in a layer's features, beside what else stands there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from napari.layers import Labels

from napari_diffseg.widgets.scribbles.class_names import features_for, names_in

pytestmark = pytest.mark.gui


def test_names_are_written_read_and_taken_away():
    table = features_for(pd.DataFrame(), {1: "nucleus", 4: "stroma"}, 3)
    assert list(table["index"]) == [0, 1, 2, 3, 4]
    assert names_in(table) == {1: "nucleus", 4: "stroma"}
    assert names_in(features_for(table, {4: "stroma"}, 3)) == {4: "stroma"}


def test_what_says_so_already_is_left():
    assert features_for(pd.DataFrame(), {}, 9) is None
    table = features_for(pd.DataFrame(), {1: "nucleus"}, 3)
    assert features_for(table, {1: "nucleus"}, 2) is None
    assert features_for(table, {1: "nucleus"}, 7) is not None


def test_a_persons_own_columns_stay():
    own = pd.DataFrame({"area": [0.0, 5.0, 7.0]})
    table = features_for(own, {2: "nucleus"}, 3)
    assert list(table["area"][:3]) == [0.0, 5.0, 7.0]
    assert names_in(table) == {2: "nucleus"}


def test_napari_says_the_name_in_its_status_bar():
    layer = Labels(np.array([[1, 2]]))
    layer.features = features_for(layer.features, {1: "nucleus"}, 2)
    assert "class: nucleus" in layer.get_status((0, 0), world=True)["value"]
    unnamed = layer.get_status((0, 1), world=True)["value"]
    assert "nan" not in unnamed.lower()
    assert "No Properties" not in unnamed
