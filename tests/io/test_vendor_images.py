"""Files of microscopes, read by bioio where it is installed."""

from __future__ import annotations

import struct
import sys
from datetime import timedelta
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_diffseg.errors import InputError
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.io import vendor_images
from napari_diffseg.io.frames import open_frames
from napari_diffseg.io.inputs import list_inputs
from napari_diffseg.io.reading import read_image
from tests.io.vendor_files import write_lif, write_nd2

# What these packages warn of is no concern of ours.
pytestmark = pytest.mark.filterwarnings("ignore")

PIXELS = np.random.default_rng(0).integers(0, 4000, (3, 2, 4, 20, 24), np.uint16)


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"ZISRAWFILE", "CZI"), (b"\xda\xce\xbe\x0a", "ND2"), (b"\x70\0\0\0", "LIF")],
)
def test_a_file_that_needs_more_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, kind: str
) -> None:
    path = tmp_path / f"a.{kind.lower()}"
    path.write_bytes(content + bytes(100))
    assert list_inputs(tmp_path) == [path]
    monkeypatch.setattr(vendor_images, "find_spec", lambda name: None)
    sentence = rf"is a {kind} file.*pip install 'napari-diffseg\[bioio\]', or save .* OME-TIFF\.$"
    for read in (open_frames, read_image):
        with pytest.raises(InputError, match=sentence):
            read(path)


def write_czi(path: Path, pixels: np.ndarray, **more: Any) -> Path:
    """Write ``t c z y x``, or the same with samples behind."""
    czi = pytest.importorskip("pylibCZIrw.czi", reason="needs 'napari-diffseg[bioio]'")
    pytest.importorskip("bioio_czi", reason="needs 'napari-diffseg[bioio]'")
    with czi.create_czi(str(path), exist_ok=True) as document:
        for t, c, z in np.ndindex(pixels.shape[:3]):
            plane = pixels[t, c, z]
            data = plane if plane.ndim == 3 else plane[..., None]
            document.write(data=data, plane={"T": t, "C": c, "Z": z})
        document.write_metadata("a", **more)
    return path


def test_a_czi_file(tmp_path: Path) -> None:
    path = write_czi(
        tmp_path / "a.czi",
        PIXELS,
        channel_names={0: "DAPI", 1: "GFP"},
        scale_x=0.25e-6,
        scale_y=0.5e-6,
        scale_z=2e-6,
    )
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, PIXELS)
    assert (image.axes, image.rgb, image.notes) == ("TCZYX", False, ())
    assert image.pixel_size == PixelSize(0.5, 0.25, "µm", 2)
    stack = open_frames(path, volumes=True)
    assert (stack.n_frames, stack.frame_axes) == (3, "CZYX")
    assert stack.channel_names == ("DAPI", "GFP")
    frame = stack.frame(1)
    np.testing.assert_array_equal(frame[1, 2:4, 3:9, ::2], PIXELS[1, 1, 2:4, 3:9, ::2])
    assert frame.dtype == PIXELS.dtype


def write_scenes(path: Path, names: tuple[str, ...] = ("left", "right")) -> Path:
    """Write scenes side by side, and their names, which the library does not write."""
    czi = pytest.importorskip("pylibCZIrw.czi", reason="needs 'napari-diffseg[bioio]'")
    pytest.importorskip("bioio_czi", reason="needs 'napari-diffseg[bioio]'")
    with czi.create_czi(str(path), exist_ok=True) as document:
        for scene, (t, c, z) in product(range(2), np.ndindex(PIXELS.shape[:3])):
            pixels = (PIXELS[t, c, z] + scene)[..., None]
            plane = {"T": t, "C": c, "Z": z}
            document.write(data=pixels, plane=plane, scene=scene, location=(100 * scene, 0))
        document.write_metadata("a", scale_x=0.25e-6, scale_y=0.25e-6)
    if names:
        add_scene_names(path, names)
    return path


def add_scene_names(path: Path, names: tuple[str, ...]) -> None:
    content = path.read_bytes()
    [at] = struct.unpack_from("<q", content, 92)  # where the metadata are
    [size] = struct.unpack_from("<i", content, at + 32)
    start = at + 32 + 256
    xml = content[start : start + size].decode()
    scenes = "".join(f'<Scene Index="{i}" Name="{name}"/>' for i, name in enumerate(names))
    said = xml.replace("</Dimensions>", f"<S><Scenes>{scenes}</Scenes></S></Dimensions>").encode()
    segment = content[at : at + 16] + struct.pack("<qq", 256 + len(said), 256 + len(said))
    segment += struct.pack("<ii", len(said), 0) + bytes(248) + said
    header = content[:92] + struct.pack("<q", len(content))
    path.write_bytes(header + content[len(header) :] + segment)


def test_scenes_of_a_czi_file(tmp_path: Path) -> None:
    path = write_scenes(tmp_path / "a.czi")
    for series in range(2):
        image = read_image(path, series=series)
        np.testing.assert_array_equal(image.pixels, PIXELS + series)
        assert image.notes == (
            f"{path} holds 2 images (0: left, 1: right); image {series} was read; choose the "
            "series for another one.",
        )
    for more in ({"series": 2}, {"level": 9}):
        with pytest.raises(InputError, match="asked for"):
            read_image(path, **more)


def test_scenes_without_names_are_not_passed_over_in_silence(tmp_path: Path) -> None:
    image = read_image(write_scenes(tmp_path / "a.czi", ()))
    np.testing.assert_array_equal(image.pixels, PIXELS)
    assert image.notes == ("a.czi holds 2 scenes that it does not name; the first was read.",)


def test_colours_of_a_czi_file(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (1, 1, 1, 20, 24, 3), np.uint8)
    image = read_image(write_czi(tmp_path / "a.czi", rgb))
    assert (image.axes, image.rgb) == ("YXC", True)
    # The library itself writes blue first.
    np.testing.assert_array_equal(image.pixels, rgb[0, 0, 0, ..., ::-1])


def test_a_damaged_czi_file(tmp_path: Path) -> None:
    path = write_czi(tmp_path / "a.czi", PIXELS)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match="truncated or damaged"):
        read_image(path)


# --- LIF ---------------------------------------------------------------------------


@pytest.fixture
def bioio_lif() -> Any:
    return pytest.importorskip("bioio_lif", reason="needs 'napari-diffseg[bioio]'")


def test_a_lif_file(bioio_lif: Any, tmp_path: Path) -> None:
    images = {"first": PIXELS, "second": PIXELS[:1, :, :, :10]}
    path = write_lif(tmp_path / "a.lif", images, X=0.25e-6, Y=0.5e-6, Z=2e-6, T=30)
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, PIXELS)
    assert (image.axes, image.channel_names) == ("TCZYX", ("Green", "Red"))
    assert image.pixel_size is not None
    sizes = (image.pixel_size.z, image.pixel_size.y, image.pixel_size.x, image.t_step)
    assert sizes == pytest.approx((2, 0.5, 0.25, 30))
    assert "holds 2 images (0: first, 1: second)" in image.notes[0]
    second = read_image(path, series=1)
    np.testing.assert_array_equal(second.pixels, PIXELS[0, :, :, :10])
    assert second.axes == "CZYX"


def test_colours_of_a_lif_file(bioio_lif: Any, tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 4000, (20, 24, 3), np.uint16)
    path = write_lif(tmp_path / "a.lif", {"a": rgb}, X=0.25e-6, Y=0.25e-6)
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, rgb)
    assert (image.axes, image.rgb) == ("YXC", True)
    assert image.pixel_size is not None
    assert image.pixel_size.x == pytest.approx(0.25)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_lif_file_that_is_cut_short(bioio_lif: Any, tmp_path: Path, share: float) -> None:
    path = write_lif(tmp_path / "a.lif", {"a": PIXELS})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError, match="truncated or damaged"):
        np.asarray(read_image(path).pixels)


# --- ND2 ---------------------------------------------------------------------------

FIELDS = np.stack([PIXELS, PIXELS + 1])


@pytest.fixture
def bioio_nd2() -> Any:
    return pytest.importorskip("bioio_nd2", reason="needs 'napari-diffseg[bioio]'")


def test_an_nd2_file(bioio_nd2: Any, tmp_path: Path) -> None:
    said = {"size": 0.25, "z_step": 2.0, "period": 30.0}
    path = write_nd2(tmp_path / "a.nd2", FIELDS, ["DAPI", "GFP"], **said)
    for series in range(2):
        image = read_image(path, series=series)
        np.testing.assert_array_equal(image.pixels, FIELDS[series])
        assert (image.axes, image.channel_names) == ("TCZYX", ("DAPI", "GFP"))
        assert image.pixel_size == PixelSize(0.25, 0.25, "µm", 2)
        assert image.t_step == 30
        assert "holds 2 images (0: field 0, 1: field 1)" in image.notes[0]
    stack = open_frames(path, series=1, volumes=True)
    np.testing.assert_array_equal(stack.frame(2)[1, 2:4, 3:9, ::2], FIELDS[1, 2, 1, 2:4, 3:9, ::2])


def test_an_nd2_file_that_was_not_calibrated_has_no_size(bioio_nd2: Any, tmp_path: Path) -> None:
    image = read_image(write_nd2(tmp_path / "a.nd2", FIELDS[:1, :1, :, :1], ["DAPI", "GFP"]))
    assert (image.axes, image.pixel_size) == ("CYX", None)


def test_an_nd2_file_of_a_stopped_acquisition(bioio_nd2: Any, tmp_path: Path) -> None:
    """In the order of time points, fields, and planes: of the third, the first field is whole."""
    path = write_nd2(tmp_path / "a.nd2", FIELDS, ["DAPI", "GFP"], taken=20)
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, PIXELS)
    image = read_image(path, series=1)
    np.testing.assert_array_equal(image.pixels, FIELDS[1, :2])
    assert image.notes[-1] == (
        "a.nd2 holds 20 of the 24 frames that its metadata list; what was read: time points (T) "
        "before 2."
    )
    path = write_nd2(tmp_path / "b.nd2", FIELDS, ["DAPI", "GFP"], taken=4)
    with pytest.raises(InputError, match=r"4 of the 24 frames .* of no time point all are there"):
        read_image(path, series=1)


def test_an_nd2_file_that_is_cut_short(bioio_nd2: Any, tmp_path: Path) -> None:
    path = write_nd2(tmp_path / "a.nd2", FIELDS, ["DAPI", "GFP"])
    path.write_bytes(path.read_bytes()[:60000])
    with pytest.raises(InputError, match="truncated or damaged"):
        read_image(path)


# --- what is read, and when --------------------------------------------------------


def test_frames_are_read_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With bioio's interface in place of bioio: whatever is installed."""
    read: list[tuple[int, ...]] = []

    def plane(t: int, c: int) -> np.ndarray:
        read.append((t, c))
        return PIXELS[t, c][None, None]

    class BioImage:
        scenes, resolution_levels = ("one", "two"), (0,)
        dims = SimpleNamespace(order="TCZYX", C=2)
        channel_names = ("Channel:0:0", "Channel:0:1")
        physical_pixel_sizes = SimpleNamespace(Z=None, Y=0.5, X=0.25)
        time_interval = timedelta(seconds=30)

        def __init__(self, path: Path) -> None:
            rows = [
                da.concatenate(
                    [
                        da.from_delayed(delayed(plane)(t, c), (1, 1, 4, 20, 24), np.uint16)
                        for c in range(2)
                    ],
                    axis=1,
                )
                for t in range(3)
            ]
            self.dask_data = da.concatenate(rows)

        def set_scene(self, name: str) -> None:
            assert name == "two"

        def set_resolution_level(self, level: int) -> None:
            assert level == 0

    da = pytest.importorskip("dask.array")
    delayed = pytest.importorskip("dask").delayed
    monkeypatch.setattr(vendor_images, "find_spec", lambda name: True)
    monkeypatch.setattr(vendor_images, "_n_scenes", lambda path: 2)
    errors = SimpleNamespace(UnsupportedFileFormatError=type("Unsupported", (Exception,), {}))
    for name, module in {
        "bioio": SimpleNamespace(BioImage=BioImage),
        "bioio_base": SimpleNamespace(exceptions=errors),
        "bioio_base.exceptions": errors,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    path = tmp_path / "a.czi"
    path.write_bytes(b"ZISRAWFILE" + bytes(100))
    stack = open_frames(path, series=1)
    assert (stack.axes, stack.channel_names, read) == ("TCZYX", (), [])
    assert (stack.pixel_size, stack.t_step) == (PixelSize(0.5, 0.25, "µm"), 30)
    np.testing.assert_array_equal(stack.frame(4 * 2 + 1)[:, 3:9], PIXELS[2, :, 1, 3:9])
    assert set(read) == {(2, 0), (2, 1)}
