from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.draw import ellipse
from skimage.measure import regionprops

from napari_diffseg import InputError, OutputError, measure, objects
from napari_diffseg.instances.hulls import hull_areas
from napari_diffseg.instances.table import join, summary, write_csv


@pytest.fixture
def plane():
    numbers = np.zeros((60, 80), np.int32)
    numbers[ellipse(20, 20, 12, 6, rotation=0.4)] = 3
    numbers[ellipse(40, 55, 5, 15)] = 7
    numbers[2, 2] = 9
    numbers[10:14, 60] = 12
    return numbers


@pytest.fixture
def pixels(plane):
    return np.random.default_rng(0).integers(0, 4000, plane.shape).astype(np.uint16)


def test_every_number_is_that_of_regionprops(plane, pixels):
    table = measure(plane, pixels, pixel_size=(0.25, 0.5), channel_names=["DAPI"])
    assert table["object"].tolist() == [3, 7, 9, 12]
    for row, region in enumerate(regionprops(plane, pixels, spacing=(0.25, 0.5))):
        expected = {
            "area_um2": region.area,
            "centroid_y_um": region.centroid[0],
            "centroid_x_um": region.centroid[1],
            "equivalent_diameter_um": region.equivalent_diameter_area,
            "eccentricity": region.eccentricity,
            "solidity": region.solidity,
            "mean_DAPI": region.intensity_mean,
            "min_DAPI": region.intensity_min,
            "max_DAPI": region.intensity_max,
            "sum_DAPI": float(pixels[plane == region.label].sum()),
        }
        assert list(table) == ["frame", "object", *expected]
        for name, value in expected.items():
            assert table[name][row] == pytest.approx(value, abs=1e-6), name


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.integers(0, 4))
)
def test_hulls_are_those_of_regionprops_of_things_in_pieces_too(numbers):
    rows = np.unique(numbers[numbers > 0], return_inverse=True)[1]
    found = hull_areas(rows, *np.nonzero(numbers))
    assert found.tolist() == [region.area_convex for region in regionprops(numbers)]


def test_sizes_are_in_pixels_where_they_are_not_known(plane):
    table = measure(plane)
    assert list(table) == [
        "frame",
        "object",
        "area_px",
        "centroid_y_px",
        "centroid_x_px",
        "equivalent_diameter_px",
        "eccentricity",
        "solidity",
    ]
    assert table["area_px"].tolist() == [(plane == n).sum() for n in (3, 7, 9, 12)]


@pytest.mark.parametrize(("size", "unit"), [(250.0, "nm"), (0.25, "um"), (2.5e-4, "mm")])
def test_lengths_are_in_micrometres_whatever_the_unit(plane, size, unit):
    table = measure(plane, pixel_size=size, unit=unit)
    assert table["area_um2"][2] == pytest.approx(0.0625)


def test_a_volume_is_measured_in_voxels_unless_the_distance_of_planes_is_known():
    ball = np.zeros((9, 9, 9), np.int32)
    ball[2:6, 2:6, 2:6] = 1
    table = measure(ball, pixel_size=(2, 1, 0.5))
    assert list(table)[2:] == [
        "volume_um3",
        "centroid_z_um",
        "centroid_y_um",
        "centroid_x_um",
        "equivalent_diameter_um",
    ]
    assert table["volume_um3"][0] == 64
    assert table["centroid_z_um"][0] == 7
    assert table["equivalent_diameter_um"][0] == pytest.approx((6 * 64 / np.pi) ** (1 / 3))
    assert measure(ball, pixel_size=(1, 0.5))["volume_vx"][0] == 64


def test_channels_have_their_names(plane, pixels):
    both = np.stack([pixels, pixels // 2], axis=-1)
    table = measure(plane, both, channel_axis=-1, channel_names=["DAPI", "GFP"])
    assert np.array_equal(table["max_GFP"], table["max_DAPI"] // 2)
    assert "mean_ch2" in measure(plane, both, channel_axis=-1)
    assert "mean_A_1" in measure(plane, both, channel_axis=-1, channel_names=["A", "A"])


def test_the_class_is_the_one_that_most_pixels_have(plane):
    labels = np.where(plane == 7, 3, 2)
    labels[15:25, 15:25] = 1  # more than half of object 3 is a hole that was filled
    names = {2: "round", 3: "long"}
    table = measure(plane, labels=labels, classes=(2, 3), class_names=names)
    assert table["class"].tolist() == [2, 3, 2, 2]
    assert table["class_name"].tolist() == ["round", "long", "round", "round"]


def test_frames_are_rows_one_below_the_other(plane, pixels):
    frames = np.stack([plane, np.zeros_like(plane), plane])
    table = measure(frames, np.stack([pixels] * 3), axes="TYX")
    assert table["frame"].tolist() == [0] * 4 + [2] * 4
    assert table["mean_ch1"][0] == table["mean_ch1"][4]


def test_a_summary_by_class_and_frame(plane):
    frames = np.stack([plane, np.zeros_like(plane), plane])
    labels = np.where(frames == 7, 3, 2)
    table = measure(frames, axes="TYX", labels=labels, class_names={2: "nucleus"})
    rows = summary(table, n_frames=3)
    assert rows["frame"].tolist() == [0, 0, 1, 1, 2, 2]
    assert rows["class"].tolist() == [2, 3] * 3
    assert rows["class_name"].tolist() == ["nucleus", ""] * 3
    assert rows["count"].tolist() == [3, 1, 0, 0, 3, 1]
    assert rows["total_area_px"][0] == (np.isin(plane, (3, 9, 12))).sum()
    assert rows["mean_area_px"][0] == rows["total_area_px"][0] / 3
    assert np.isnan(rows["mean_area_px"][2])


def test_nothing_to_measure_is_a_table_without_rows():
    table = measure(np.zeros((5, 5), int), np.zeros((5, 5)))
    assert "mean_ch1" in table
    assert all(column.size == 0 for column in table.values())
    assert summary(table, n_frames=1)["count"].tolist() == [0]


def test_a_table_is_written_whole_and_never_over_another(tmp_path, plane):
    path = tmp_path / "table.csv"
    table = measure(plane, pixel_size=0.1)
    write_csv(path, table)
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["object"]) for row in rows] == [3, 7, 9, 12]
    assert float(rows[1]["area_um2"]) == pytest.approx(table["area_um2"][1])
    with pytest.raises(OutputError, match="exists already"):
        write_csv(path, table)
    write_csv(path, join([table, table]), force=True)
    assert len(path.read_text().splitlines()) == 9


@pytest.mark.parametrize("dtype", [str, complex])
def test_pixels_that_are_no_real_numbers_are_refused(plane, pixels, dtype):
    with pytest.raises(InputError, match="must be real numbers"):
        measure(plane, pixels.astype(dtype))


@pytest.mark.parametrize("first", [2**53 + 1, 2**63])
def test_numbers_of_64_bits_are_kept(first):
    numbers = np.array([[first, first], [first + 2, first]], np.uint64)
    assert measure(numbers)["object"].tolist() == [first, first + 2]
    numbers[0, 0] = 0
    assert measure(numbers)["object"].tolist() == [first, first + 2]


def test_a_picture_in_colours_is_no_volume_of_labels(plane):
    colours = np.stack([plane] * 3, -1)
    for make in (measure, objects):
        with pytest.raises(InputError, match="as a picture in colours has"):
            make(colours)
    assert set(measure(colours, axes="ZYX")["object"]) == {3, 7, 9, 12}
    assert len(measure(np.ones((4, 3, 3), int))["object"]) == 1


def test_other_shapes_are_refused(plane, pixels):
    with pytest.raises(InputError, match="channel_axis"):
        measure(plane, pixels[:-1])
    with pytest.raises(InputError, match="channel_axis"):
        measure(plane, labels=pixels[:-1])
    with pytest.raises(InputError, match="numbers, but one"):
        measure(plane, pixel_size=(1, 1, 1, 1))


def test_a_size_with_a_unit_in_it_is_told_in_a_sentence():
    with pytest.raises(InputError, match="numbers were expected"):
        measure(np.ones((4, 4), int), pixel_size="0.3um")
