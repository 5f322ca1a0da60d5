"""Regions: what is in view, inside drawn shapes, or painted, in pixels of an image."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Shapes
from skimage.measure import points_in_poly

from napari_diffseg.errors import InputError
from napari_diffseg.image.region import box_of
from napari_diffseg.widgets.region.drawn import describe_region, region_layers
from napari_diffseg.widgets.region.grid import Grid
from napari_diffseg.widgets.region.placement import place
from napari_diffseg.widgets.region.region import RegionKind, RegionWish

pytestmark = pytest.mark.gui

S = slice
WHERE = [
    {},
    {"scale": (0.5, 2.0)},
    {"translate": (3.3, -4.2)},
    {"scale": (0.5, 0.7), "translate": (1, 2), "rotate": 30},
    {"shear": (0.3,), "scale": (2, 2)},
    {"affine": [[1, 0.2, 3], [-0.1, 1.1, -2], [0, 0, 1]]},
]
RECTANGLE = np.array([[2, 3], [2, 9], [7, 9], [7, 3]]) - 0.4


def model(*layers):
    viewer = ViewerModel()
    for layer in layers:
        viewer.add_layer(layer)
    return viewer


def image(*shape, **options):
    return Image(np.zeros(shape, np.uint8), name="cells", **options)


def grid_of(layer, spatial=(0, 1), position=None, factors=None):
    factors = np.ones(layer.ndim) if factors is None else np.asarray(factors, float)
    shape = tuple(int(n // f) for n, f in zip(layer.data.shape, factors, strict=True))
    _, placement = place(layer, shape, factors, -1, {})
    return Grid(placement, spatial, position or (0,) * layer.ndim)


def inside(layer, grid, viewer=None):
    wish = RegionWish(RegionKind.INSIDE, layer)
    return describe_region(wish, grid, viewer or model(layer))


def view(grid, viewer):
    return describe_region(RegionWish(RegionKind.VIEW), grid, viewer)


def centres(grid):
    """The places of all pixels, and where they lie in the world."""
    places = np.stack(np.indices(grid.shape), -1).reshape(-1, len(grid.shape)).astype(float)
    start = grid.to_world(places[0])
    steps = np.array([grid.to_world(unit) - start for unit in np.eye(len(grid.shape))])
    return places, start + places @ steps


def test_the_whole_image_is_no_region():
    layer = image(9, 9)
    assert describe_region(RegionWish(), grid_of(layer), model(layer)) is None


def test_shapes_and_labels_are_on_offer():
    layer = image(9, 9)
    shapes, labels = Shapes(), Labels(np.zeros((9, 9), int))
    assert region_layers(model(layer, shapes, labels)) == [labels, shapes]


# --- drawn shapes ---------------------------------------------------------------------------


def test_the_pixels_whose_middle_lies_in_a_rectangle():
    layer = image(12, 14)
    found = inside(Shapes([RECTANGLE]), grid_of(layer)).mask()
    assert box_of(found) == (S(2, 7), S(3, 9))
    assert found.sum() == 5 * 6


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("drawn", WHERE)
def test_a_polygon_in_other_coordinates_than_the_image(where, drawn):
    layer = image(20, 24, **where)
    grid = grid_of(layer)
    _, world = centres(grid)
    middle, spread = world.mean(axis=0), np.ptp(world, axis=0)
    star = middle + spread * np.array(
        [[-0.31, -0.22], [-0.12, 0.33], [0.27, 0.41], [0.02, 0.01], [0.36, -0.28]]
    )
    shapes = Shapes(ndim=2, **drawn)
    vertices = np.array([shapes.world_to_data(point) for point in star])
    shapes.add_polygons([vertices])
    found = inside(shapes, grid).mask()
    expected = points_in_poly(world, star).reshape(grid.shape)
    assert expected.any()
    assert np.array_equal(found, expected)
    rows, columns = np.nonzero(expected)
    assert box_of(found) == (S(rows.min(), rows.max() + 1), S(columns.min(), columns.max() + 1))


@pytest.mark.parametrize("factor", [2, 4])
def test_a_shape_on_a_coarser_level(factor):
    layer = image(16, 16)
    grid = grid_of(layer, factors=(factor, factor))
    shapes = Shapes([np.array([[-0.5, -0.5], [-0.5, 7.5], [7.5, 7.5], [7.5, -0.5]])])
    assert box_of(inside(shapes, grid).mask()) == (S(0, 8 // factor), S(0, 8 // factor))


def test_an_ellipse():
    layer = image(40, 50)
    shapes = Shapes([np.array([[18.1, 25.2], [9.3, 14.6]])], shape_type="ellipse")
    rows, columns = np.indices((40, 50))
    # Given by its middle and its radii.
    expected = ((rows - 18.1) / 9.3) ** 2 + ((columns - 25.2) / 14.6) ** 2 < 1
    found = inside(shapes, grid_of(layer)).mask()
    assert np.count_nonzero(found != expected) <= 2


def test_shapes_are_taken_together_and_lines_do_not_count():
    layer = image(20, 20)
    shapes = Shapes([RECTANGLE, RECTANGLE + 8])
    shapes.add_paths([np.array([[0, 0], [0, 19], [19, 19]])])
    region = inside(shapes, grid_of(layer))
    found = region.mask()
    assert box_of(found) == (S(2, 15), S(3, 17))
    assert found.sum() == 2 * 30
    assert any("lines and paths" in note for note in region.notes)


def test_a_shape_reaches_beyond_the_image():
    layer = image(8, 8)
    found = inside(Shapes([RECTANGLE * 3 - 9]), grid_of(layer)).mask()
    assert box_of(found) == (S(0, 8), S(0, 8))


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        (Shapes(name="mine"), "'mine' holds nothing yet"),
        (Shapes([[[0, 0], [5, 5]]], shape_type="line", name="mine"), "only lines"),
    ],
)
def test_nothing_is_drawn(shapes, said):
    with pytest.raises(InputError, match=said):
        inside(shapes, grid_of(image(9, 9)))


@pytest.mark.parametrize("moved", [100, -0.2])
def test_a_shape_covers_no_pixel(moved):
    small = np.array([[0.1, 0.1], [0.1, 0.4], [0.4, 0.4], [0.4, 0.1]]) + moved
    region = inside(Shapes([small + 0.3], name="mine"), grid_of(image(9, 9)))
    with pytest.raises(InputError, match="'mine' covers no pixel"):
        region.mask()


@pytest.mark.parametrize(
    "shapes",
    [
        Shapes([RECTANGLE]),
        Shapes([np.insert(RECTANGLE, 0, 4, axis=1)]),
        Shapes([np.insert(RECTANGLE, 0, 400, axis=1)]),
        Shapes([np.insert(np.insert(RECTANGLE, 0, 4, axis=1), 0, 1, axis=1)]),
    ],
    ids=["2D", "another plane", "outside", "4D"],
)
@pytest.mark.parametrize("spatial", [(0, 1, 2), (1, 2)])
def test_a_shape_counts_on_every_plane(shapes, spatial):
    layer = image(6, 12, 14, scale=(3, 1, 1))
    region = inside(shapes, grid_of(layer, spatial, (2, 0, 0)))
    found = region.mask()
    assert box_of(found) == ((S(0, 6),) if len(spatial) == 3 else ()) + (S(2, 7), S(3, 9))
    assert any("every plane" in note for note in region.notes)


def test_a_shape_that_was_drawn_on_another_side_of_a_volume():
    layer = image(12, 6, 14)
    drawn = Shapes([np.insert(RECTANGLE, 1, 2, axis=1)])
    found = inside(drawn, grid_of(layer, (0, 1, 2))).mask()
    assert box_of(found) == (S(2, 7), S(0, 6), S(3, 9))
    both = Shapes([np.insert(RECTANGLE, 1, 2, axis=1), np.insert(RECTANGLE / 2, 0, 9, axis=1)])
    region = inside(both, grid_of(layer, (0, 1, 2)))
    covered = region.mask()
    assert covered[3, 5, 4]
    assert covered[11, 2, 2]
    assert not covered[11, 5, 4]
    # A plane sees it from its edge.
    with pytest.raises(InputError, match="covers no pixel"):
        inside(drawn, grid_of(layer, (1, 2), (3, 0, 0))).mask()


def test_regions_are_equal_where_they_cover_the_same():
    grid = grid_of(image(20, 20))
    one, two = Shapes([RECTANGLE], name="one"), Shapes([RECTANGLE], name="two")
    assert inside(one, grid) == inside(two, grid)
    two.data = [RECTANGLE + 1]
    assert inside(one, grid) != inside(two, grid)
    assert inside(one, grid) != inside(Labels(np.ones((20, 20), int)), grid)


# --- painted labels -------------------------------------------------------------------------


def blob(*shape):
    places = np.indices(shape)
    middle = np.array(shape).reshape(-1, *[1] * len(shape)) * 0.4
    return (np.sum((places - middle) ** 2, axis=0) < min(shape[-2:]) ** 2 / 9).astype(np.uint8) * 3


def expected_labels(labels, grid):
    _, world = centres(grid)
    expected = np.zeros(len(world), bool)
    for number, point in enumerate(world):
        near = np.floor(np.asarray(labels.world_to_data(point)) + 0.5).astype(int)
        if all(0 <= at < n for at, n in zip(near, labels.data.shape, strict=True)):
            expected[number] = labels.data[tuple(near)] > 0
    return expected.reshape(grid.shape)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("painted", WHERE)
def test_labels_in_other_coordinates_than_the_image(where, painted):
    layer = image(17, 19, **where)
    grid = grid_of(layer)
    labels = Labels(blob(21, 23), **painted)
    # Brought to lie on the image.
    off = np.mean(
        [
            grid.to_world((8, 9)),
        ],
        axis=0,
    ) - labels.data_to_world((9, 9))
    labels.translate = labels.translate + off
    found = inside(labels, grid).mask()
    expected = expected_labels(labels, grid)
    assert expected.any()
    assert np.count_nonzero(found != expected) <= 1


def test_labels_on_the_same_grid():
    grid = grid_of(image(20, 24, scale=(0.3, 0.3), translate=(5, 5)))
    labels = Labels(blob(20, 24), scale=(0.3, 0.3), translate=(5, 5))
    assert np.array_equal(inside(labels, grid).mask(), labels.data > 0)


@pytest.mark.parametrize("spatial", [(0, 1, 2), (1, 2)])
def test_labels_of_a_volume_or_of_one_plane_for_all(spatial):
    layer = image(5, 20, 24, scale=(3, 1, 1))
    grid = grid_of(layer, spatial, (2, 0, 0))
    volume = np.stack([blob(20, 24) * (z == 2) for z in range(5)])
    of_planes = Labels(volume, scale=(3, 1, 1))
    flat = inside(Labels(blob(20, 24)), grid).mask()
    one = inside(Labels(blob(20, 24)[np.newaxis], translate=(7, 0, 0)), grid).mask()
    assert np.array_equal(flat, one)
    painted = blob(20, 24) > 0
    if len(spatial) == 3:
        assert np.array_equal(inside(of_planes, grid).mask(), volume > 0)
        assert np.array_equal(flat, np.broadcast_to(painted, flat.shape))
    else:
        assert np.array_equal(inside(of_planes, grid).mask(), painted)
        assert np.array_equal(flat, painted)


def test_labels_of_another_time():
    viewer = model(image(20, 24), Labels(np.stack([blob(20, 24), blob(20, 24)[::-1]])))
    labels = viewer.layers[1]
    grid = grid_of(viewer.layers[0])
    viewer.dims.set_point(0, 1)
    assert np.array_equal(inside(labels, grid, viewer).mask(), labels.data[1] > 0)
    viewer.dims.set_point(0, 0)
    assert np.array_equal(inside(labels, grid, viewer).mask(), labels.data[0] > 0)


def test_labels_that_do_not_reach_the_frame():
    layer = image(9, 20, 24)
    labels = Labels(np.ones((4, 20, 24), int), name="mine")
    with pytest.raises(InputError, match="'mine' does not reach the frame"):
        inside(labels, grid_of(layer, (1, 2), (7, 0, 0)))


def test_lazy_and_multiscale_labels():
    grid = grid_of(image(20, 24))
    lazy = Labels(da.from_array(blob(20, 24), chunks=7))
    levels = Labels([blob(20, 24), blob(20, 24)[::2, ::2]], multiscale=True)
    for labels in (lazy, levels):
        assert np.array_equal(inside(labels, grid).mask(), blob(20, 24) > 0)


def test_labels_in_another_unit():
    layer = image(20, 24, scale=(500, 500), units=("nm", "nm"))
    labels = Labels(blob(10, 12), scale=(1, 1), translate=(0.25, 0.25), units=("um", "um"))
    covered = inside(labels, grid_of(layer)).mask()
    assert np.array_equal(covered, (blob(10, 12) > 0).repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (Labels(np.zeros((9, 9), int), name="mine"), "Nothing is painted in 'mine'"),
        (Labels(np.ones((9, 9), int), translate=(50, 0), name="mine"), "covers no pixel"),
    ],
)
def test_nothing_is_painted_on_the_image(labels, said):
    region = inside(labels, grid_of(image(9, 9)))
    with pytest.raises(InputError, match=said):
        region.mask()


def test_painting_makes_another_region():
    grid = grid_of(image(20, 24))
    labels = Labels(blob(20, 24))
    before = inside(labels, grid)
    before.mask()
    assert inside(labels, grid) == before
    labels.data[0, 0] = 1
    assert inside(labels, grid) != before


# --- the field of view ----------------------------------------------------------------------


def seen(viewer, centre, zoom, size=(100, 200)):
    viewer.canvas.size = size
    viewer.scene.camera.center = centre
    viewer.scene.camera.zoom = zoom


def test_the_field_of_view_of_a_plane():
    layer = image(50, 60, scale=(2, 2), translate=(10, 0))
    viewer = model(layer)
    # 20 × 40 of the world around (50, 40): rows 15 to 25, columns 10 to 30.
    seen(viewer, (50, 40), zoom=5)
    region = view(grid_of(layer), viewer)
    found = region.mask()
    # A pixel reaches half its width around its middle.
    assert box_of(found) == (S(15, 26), S(10, 31))
    assert found.sum() == 11 * 21
    assert "11 × 21 pixels" in region.notes[0]
    assert view(grid_of(layer), viewer) == region
    seen(viewer, (51.5, 40), zoom=5)
    assert view(grid_of(layer), viewer) != region


def test_the_view_shows_all_or_nothing():
    layer = image(50, 60)
    viewer = model(layer)
    seen(viewer, (25, 30), zoom=1)
    assert view(grid_of(layer), viewer) is None
    seen(viewer, (500, 30), zoom=1)
    with pytest.raises(InputError, match="Nothing of the image is in view"):
        view(grid_of(layer), viewer)


@pytest.mark.parametrize("where", WHERE)
def test_every_pixel_in_view_is_in_the_box(where):
    layer = image(50, 60, **where)
    grid = grid_of(layer)
    viewer = model(layer)
    places, world = centres(grid)
    middle, spread = world.mean(axis=0), np.ptp(world, axis=0)
    zoom = 100 / spread[0] * 5
    seen(viewer, tuple(middle), zoom)
    is_seen = (np.abs(world - middle) <= np.array([100, 200]) / zoom / 2).all(axis=1)
    first, last = places[is_seen].min(axis=0), places[is_seen].max(axis=0)
    box = box_of(view(grid, viewer).mask())
    for side, low, high in zip(box, first, last, strict=True):
        # Up to a pixel of which a part is in view.
        assert low - 1 <= side.start <= low
        assert high + 1 <= side.stop <= high + 2


def test_the_view_on_a_coarser_level_and_in_a_grid_of_views():
    layer = image(64, 64)
    viewer = model(layer)
    seen(viewer, (31.5, 31.5), zoom=4, size=(128, 128))
    assert box_of(view(grid_of(layer), viewer).mask()) == (S(16, 48), S(16, 48))
    coarse = grid_of(layer, factors=(4, 4))
    assert box_of(view(coarse, viewer).mask()) == (S(4, 12), S(4, 12))
    viewer.add_image(np.zeros((64, 64)))
    viewer.canvas.grid.enabled = True
    rows, columns = box_of(view(grid_of(layer), viewer).mask())
    assert (rows, columns) == (S(16, 48), S(24, 40))


def test_the_view_on_another_side_of_a_volume():
    layer = image(30, 40, 50)
    viewer = model(layer)
    viewer.dims.order = (1, 0, 2)
    seen(viewer, (15, 20), zoom=10, size=(100, 100))
    assert box_of(view(grid_of(layer, (0, 2), (0, 9, 0)), viewer).mask()) == (S(10, 21), S(15, 26))
    # Of a volume the planes that the slider goes through are all taken.
    box = box_of(view(grid_of(layer, (0, 1, 2)), viewer).mask())
    assert box == (S(10, 21), S(0, 40), S(15, 26))


def test_the_view_of_a_smaller_layer():
    layer = image(50, 60)
    viewer = model(layer, Image(np.zeros((7, 50, 60))))
    seen(viewer, (25, 30), zoom=10, size=(100, 100))
    assert box_of(view(grid_of(layer), viewer).mask()) == (S(20, 31), S(25, 36))


@pytest.mark.parametrize("angles", [(0, 0, 90), (10, 20, 80), (-40, 15, 120)])
def test_the_field_of_view_in_three_dimensions(angles):
    layer = image(20, 30, 40, scale=(2, 1, 1))
    grid = grid_of(layer, (0, 1, 2))
    viewer = model(layer)
    viewer.dims.ndisplay = 3
    centre = np.array([20, 15, 20])
    seen(viewer, tuple(centre), zoom=20, size=(100, 160))
    viewer.scene.camera.angles = angles
    camera = viewer.scene.camera
    up = np.array(camera.up_direction)
    right = np.cross(camera.view_direction, up)
    places, world = centres(grid)
    on_canvas = np.abs((world - centre) @ np.stack([up, right]).T)
    is_seen = (on_canvas <= [2.5, 4]).all(axis=1)
    box = box_of(view(grid, viewer).mask())
    for side, low, high in zip(
        box, places[is_seen].min(axis=0), places[is_seen].max(axis=0), strict=True
    ):
        assert low - 1 <= side.start <= low
        assert high + 1 <= side.stop <= high + 2


def test_a_viewer_that_does_not_say_what_it_shows():
    layer = image(9, 9)
    old = type("Viewer", (), {"layers": [layer]})()
    with pytest.raises(InputError, match=r"napari 0\.9"):
        view(grid_of(layer), old)


@pytest.mark.parametrize("where", [{"scale": (0.5, 0.7), "translate": (4, 9)}, {"rotate": 25}])
def test_the_view_is_what_napari_itself_draws(make_napari_viewer, qtbot, where):
    viewer = make_napari_viewer(show=True)
    layer = viewer.add_image(np.zeros((300, 400), np.uint8), **where)
    viewer.scene.camera.zoom *= 5
    viewer.scene.camera.center = tuple(layer.data_to_world((140, 190)))
    qtbot.waitUntil(lambda: layer.corner_pixels[0].any(), timeout=20_000)
    viewer.screenshot(flash=False)
    box = box_of(view(grid_of(layer), viewer).mask())
    for side, first, last in zip(box, *layer.corner_pixels, strict=True):
        assert abs(side.start - first) <= 1
        assert abs(side.stop - 1 - last) <= 1


def test_a_plugin_sees_viewer_and_layers_through_proxies(viewer):
    layer = viewer.add_image(np.zeros((64, 64), np.uint8))
    labels = viewer.add_labels(blob(64, 64))
    shapes = viewer.add_shapes([RECTANGLE])
    assert region_layers(viewer) == [shapes, labels]
    # As the dock is handed them: by looking through the proxy of the viewer.
    image_layer, labels, shapes = viewer.layers
    grid = grid_of(image_layer)
    seen(viewer, (31.5, 31.5), zoom=4, size=(128, 128))
    assert box_of(view(grid, viewer).mask()) == (S(16, 48), S(16, 48))
    assert box_of(inside(shapes, grid, viewer).mask()) == (S(2, 7), S(3, 9))
    assert np.array_equal(inside(labels, grid, viewer).mask(), blob(64, 64) > 0)
    assert image_layer == layer
