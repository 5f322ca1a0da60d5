"""Parameters and options: bounds, presets, and words for every field."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from napari_diffseg.errors import ParameterError
from napari_diffseg.params import PRESETS, RunOptions, SegmentationParams


@pytest.mark.parametrize("settings", [SegmentationParams, RunOptions])
def test_every_field_says_what_it_is(settings):
    for spec in settings.specs():
        assert spec.title
        assert spec.help.endswith(".")
        assert spec.range_text
        spec.check(spec.default)
        if spec.kind in (int, float) and spec.kind is not bool:
            assert spec.low is not None
            assert spec.high is not None


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("n_clusters", 1, "2 to 1024"),
        ("n_clusters", 2000, "2 to 1024"),
        ("n_clusters", 12.5, "whole number"),
        ("n_clusters", True, "whole number"),
        ("n_iterations", "10", "whole number"),
        ("continuity_weight", -1, "0 to 100"),
        ("continuity_weight", math.nan, "0 to 100"),
        ("learning_rate", math.inf, "1e-06 to 10"),
        ("intensity", "log", "'percentile' or 'dtype'"),
        ("seed", -1, "0 to"),
        ("n_labels", -1, "0 to 1024"),
        ("design", "deep", "'pretrained' or 'published'"),
    ],
)
def test_a_value_out_of_bounds_is_one_sentence_that_names_the_field(field, value, words):
    with pytest.raises(ParameterError, match=words) as error:
        SegmentationParams(**{field: value})
    assert error.value.field == field
    assert field in str(error.value)
    assert repr(value) in str(error.value)


def test_options_are_checked_too():
    with pytest.raises(ParameterError, match="0 or more|0 to 1024"):
        RunOptions(threads=-1)


def test_an_unknown_name_is_refused_with_the_names_that_exist():
    with pytest.raises(ParameterError, match="'mu' is no parameter; those are .*continuity_weight"):
        SegmentationParams.from_dict({"mu": 5.0})


def test_a_dictionary_brings_the_parameters_back():
    params = SegmentationParams(continuity_weight=2.5, seed=3)
    assert SegmentationParams.from_dict(params.to_dict()) == params


def test_a_preset_knows_its_name_whatever_the_seed():
    for name, make in PRESETS.items():
        assert make().preset == name
        assert make(seed=9).preset == name
        assert make(min_labels=7).preset == "custom"


@pytest.mark.parametrize("patch_size", range(1, 8))
def test_a_patch_that_shows_nothing_is_refused(patch_size):
    with pytest.raises(ParameterError, match=r"must be 0 .* or at least 8") as error:
        SegmentationParams(patch_size=patch_size)
    assert error.value.field == "patch_size"
    with pytest.raises(ParameterError):
        SegmentationParams.paper(patch_size=np.int64(patch_size))


@pytest.mark.parametrize("patch_size", [0, 8, 4096])
def test_no_patches_or_patches_of_some_size(patch_size):
    assert SegmentationParams(patch_size=patch_size).patch_size == patch_size


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", np.int64(3)),
        ("n_labels", np.uint8(4)),
        ("patch_size", np.int32(16)),
        ("continuity_weight", np.float32(0.5)),
        ("continuity_weight", np.float64(0.5)),
        ("continuity_weight", np.int16(2)),
        ("learning_rate", 1),
        ("design", np.str_("published")),
    ],
)
def test_numpy_scalars_become_pythons(field, value):
    params = SegmentationParams(**{field: value})
    kept = getattr(params, field)
    assert kept == value
    kind = next(spec.kind for spec in SegmentationParams.specs() if spec.name == field)
    assert type(kept) is kind
    again = SegmentationParams.from_dict(json.loads(json.dumps(params.to_dict())))
    assert again == params


@pytest.mark.parametrize(
    ("field", "value"),
    [("seed", np.float64(3.0)), ("seed", np.bool_(True)), ("momentum", np.float64("nan"))],
)
def test_numpy_scalars_of_the_wrong_kind_are_refused(field, value):
    with pytest.raises(ParameterError):
        SegmentationParams(**{field: value})
