"""The doors of `benchmarks.fuzz`, and how what comes through them is changed at random."""

from __future__ import annotations

import copy
import io
import json
import shutil
import struct
import zlib
from collections.abc import Callable, Mapping
from contextlib import chdir
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from numpy.random import Generator
from PIL import Image

from napari_diffseg import (
    ApplyParams,
    Model,
    ObjectParams,
    SegmentationParams,
    cli,
    measure,
    objects,
    segment,
)
from napari_diffseg.batch.run import apply_stack
from napari_diffseg.core.model import file as model_file
from napari_diffseg.io.reading import read_class_numbers, read_image
from napari_diffseg.params import PRESETS

EXTREMES = (0, 1, 2, 3, 7, 255, 65535, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 62)
JSON_EXTREMES: tuple[Any, ...] = (
    *EXTREMES, -1, 0.0, -0.5, 1e308, None, True, "", "0", "../../x", "é" * 300, [], {}, [[]],
    [None],
    {"a": 1}, "NaN", [1, "x"], -(1 << 70),
)  # fmt: skip
SIDE = 24
_RNG = np.random.default_rng(1)
PICTURE = (_RNG.random((SIDE, SIDE, 3)) * 255).astype(np.uint8)
PICTURE[:, SIDE // 2 :] //= 3


def address_space() -> int:
    """Return the bytes of address space that this process has mapped (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * 4096


def changed_bytes(data: bytes, rng: Generator) -> bytes:
    """Change bytes or numbers at random places, cut the end off, or move a part."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        # Where a file begins, and where it ends, it says what it is.
        span = min(len(out), int(rng.choice([64, 400, len(out)])))
        at = int(rng.integers(0, max(span, 1)))
        at = max(len(out) - 1 - at, 0) if rng.random() < 0.3 else at
        match int(rng.integers(5)):
            case 0:
                out[at : at + 1] = bytes([int(rng.integers(256))])
            case 1:
                size = int(rng.choice([2, 4, 8]))
                number = int(rng.choice(EXTREMES)) % (1 << 8 * size)
                order = "little" if rng.random() < 0.7 else "big"
                out[at : at + size] = number.to_bytes(size, order)
            case 2:
                del out[at + 1 :]
            case 3:
                del out[at : at + int(rng.integers(1, 40))]
            case _:
                other = int(rng.integers(0, max(len(out), 1)))
                out[at : at + 12] = out[other : other + 12]
    return bytes(out)


def changed_json(value: Any, rng: Generator) -> Any:
    """Put something else in the place of one value, anywhere within, or leave it out."""
    value = copy.deepcopy(value)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, inner in items:
            places.append((node, key))
            if isinstance(inner, dict | list):
                walk(inner)

    if isinstance(value, dict | list) and value:
        walk(value)
        node, key = places[int(rng.integers(len(places)))]
        if rng.random() < 0.2:
            del node[key]
        elif isinstance(node[key], list) and rng.random() < 0.4:
            node[key] = node[key] + node[key][:1]
        else:
            node[key] = JSON_EXTREMES[int(rng.integers(len(JSON_EXTREMES)))]
        return value
    return JSON_EXTREMES[int(rng.integers(len(JSON_EXTREMES)))]


class Door:
    """Makes inputs of one kind in a folder; ``input`` is the last one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.input: Path | str = ""

    def attempt(self, rng: Generator) -> Callable[[], str]:
        """Make one input; what is returned reads or runs it."""
        raise NotImplementedError


_MOST_CHUNKS = 50_000
"""Of a zarr of more chunks a part is read: zarr takes a tenth of a millisecond for each."""


def _read(path: Path, rng: Generator) -> str:
    """Read an image, and a part of its pixels where they are many."""
    image = read_image(path)
    stored = getattr(image.pixels, "_array", None)
    is_fine = stored is not None and image.pixels.size > _MOST_CHUNKS * max(prod(stored.chunks), 1)
    if rng.random() < 0.2 and not is_fine:
        image = read_class_numbers(path)
    shape = image.pixels.shape
    np.asarray(image.pixels[tuple(slice(0, 64) for _ in shape)])
    return "read"


class Tiff(Door):
    """TIFF files of many kinds."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        stack = (_RNG.random((3, 2, SIDE, SIDE)) * 4000).astype(np.uint16)
        kinds: list[tuple[Any, dict[str, Any]]] = [
            (PICTURE, {}),
            (PICTURE[..., 0], {"photometric": "miniswhite"}),
            (stack, {"imagej": True, "metadata": {"axes": "TCYX"}, "resolution": (3, 3)}),
            (stack, {"ome": True, "metadata": {"axes": "TCYX", "PhysicalSizeX": 0.2}}),
            (stack, {"ome": True, "bigtiff": True, "metadata": {"axes": "TZYX"}}),
            (PICTURE, {"compression": "lzw"}),
            (PICTURE, {"compression": "jpeg", "photometric": "ycbcr"}),
            (stack[0], {"compression": "zlib", "predictor": True, "photometric": "minisblack"}),
            (np.kron(PICTURE, np.ones((4, 4, 1), np.uint8)), {"tile": (16, 16)}),
            (stack.astype(np.float32), {"byteorder": ">", "photometric": "minisblack"}),
            (PICTURE[..., 0], {"photometric": "palette", "colormap": np.tile(
                np.arange(256, dtype=np.uint16) * 257, (3, 1))}),
        ]  # fmt: skip
        self.seeds = []
        for pixels, words in kinds:
            buffer = io.BytesIO()
            tifffile.imwrite(buffer, pixels, **words)
            self.seeds.append(buffer.getvalue())

    def attempt(self, rng: Generator) -> Callable[[], str]:
        data = self.seeds[int(rng.integers(len(self.seeds)))]
        data = _changed_tag(data, rng) if rng.random() < 0.5 else changed_bytes(data, rng)
        self.input = self.folder / "a.tif"
        self.input.write_bytes(data)
        path = self.input
        return lambda: _read(path, rng)


def _changed_tag(data: bytes, rng: Generator) -> bytes:
    """Change code, type, count or value of tags of the first directory of a classic TIFF."""
    order = "<" if data[:2] == b"II" else ">"
    if struct.unpack(f"{order}H", data[2:4])[0] != 42:
        return changed_bytes(data, rng)
    out = bytearray(data)
    (at,) = struct.unpack(f"{order}I", data[4:8])
    (n_tags,) = struct.unpack(f"{order}H", data[at : at + 2])
    for _ in range(int(rng.integers(1, 4))):
        tag = at + 2 + 12 * int(rng.integers(n_tags))
        offset, size = [(0, 2), (2, 2), (4, 4), (8, 4), (8, 2)][int(rng.integers(5))]
        number = int(rng.choice(EXTREMES)) if rng.random() < 0.7 else int(rng.integers(1 << 16))
        number %= 1 << 8 * size
        out[tag + offset : tag + offset + size] = struct.pack(order + "xxHxI"[size], number)
    return bytes(out)


class Picture(Door):
    """PNG and JPEG files; half of the PNGs keep the checksums of their chunks."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.seeds = []
        png = [(mode, "PNG") for mode in ("RGB", "L", "P", "RGBA", "I;16", "1")]
        for mode, kind in [*png, ("RGB", "JPEG"), ("L", "JPEG")]:
            buffer = io.BytesIO()
            if mode == "I;16":
                image = Image.fromarray(PICTURE[..., 0].astype(np.uint16) * 200)
            else:
                image = Image.fromarray(PICTURE).convert(mode)
            image.save(buffer, kind)
            self.seeds.append(buffer.getvalue())

    def attempt(self, rng: Generator) -> Callable[[], str]:
        data = self.seeds[int(rng.integers(len(self.seeds)))]
        png = data.startswith(b"\x89PNG")
        data = _changed_chunk(data, rng) if png and rng.random() < 0.5 else changed_bytes(data, rng)
        self.input = self.folder / "a.png"
        self.input.write_bytes(data)
        path = self.input
        return lambda: _read(path, rng)


def _changed_chunk(data: bytes, rng: Generator) -> bytes:
    """Change the header of a PNG or the content of a chunk, and make its checksum right."""
    parts, at = [], 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        parts.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    chosen = 0 if rng.random() < 0.5 else int(rng.integers(len(parts)))
    name, content = parts[chosen]
    if chosen == 0:
        field, size = [(0, 4), (4, 4), (8, 1), (9, 1), (12, 1)][int(rng.integers(5))]
        number = int(rng.choice(EXTREMES)) % (1 << 8 * size)
        content = content[:field] + number.to_bytes(size, "big") + content[field + size :]
    else:
        content = changed_bytes(content, rng) if content else b"x"
    parts[chosen] = (name, content)
    out = [data[:8]]
    for name, content in parts:
        check = struct.pack(">I", zlib.crc32(name + content))
        out.append(struct.pack(">I", len(content)) + name + content + check)
    return b"".join(out)


class Ngff(Door):
    """OME-Zarr images and plates of which one value of the metadata is another."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.seeds = []
        pixels = (_RNG.random((2, 2, SIDE, SIDE)) * 4000).astype(np.uint16)
        names = ("t", "c", "y", "x")
        types = ("time", "channel", "space", "space")
        axes = [{"name": n, "type": t} for n, t in zip(names, types, strict=True)]
        scale = [{"type": "scale", "scale": [1, 1, 0.5, 0.5]},
                 {"type": "translation", "translation": [0, 0, 3, 4]}]  # fmt: skip
        image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
        for form in (2, 3):
            path = folder / f"seed{form}.zarr"
            group = zarr.create_group(path, zarr_format=form)
            version = "0.4" if form == 2 else "0.5"
            omero = {"channels": [{"label": "DAPI"}, {"label": "GFP"}]}
            said = {"multiscales": [image | {"version": version}], "omero": omero}
            group.update_attributes({"ome": {"version": version} | said} if form == 3 else said)
            group.create_array("0", data=pixels, chunks=(1, 1, SIDE, SIDE))
            self.seeds.append(path)

    def attempt(self, rng: Generator) -> Callable[[], str]:
        seed = self.seeds[int(rng.integers(len(self.seeds)))]
        path = self.folder / "a.zarr"
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(seed, path)
        said = [one for one in sorted(path.rglob("*")) if one.name.startswith((".z", "zarr."))]
        file = said[int(rng.integers(len(said)))]
        if rng.random() < 0.1:
            file.write_bytes(changed_bytes(file.read_bytes(), rng))
        else:
            value = json.loads(file.read_text())
            for _ in range(int(rng.integers(1, 3))):
                value = changed_json(value, rng)
            file.write_text(json.dumps(value))
        self.input = path
        return lambda: _read(path, rng)


PARAMS = SegmentationParams(n_clusters=4, n_features=6, n_blocks=1, n_iterations=1)


class ModelFile(Door):
    """Model files: bytes changed, or a value of the metadata with its digest made right."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        strokes = np.zeros((SIDE, SIDE), int)
        strokes[2, 2:9], strokes[20, 14:20] = 1, 2
        gray = PICTURE[..., 0]
        made = [
            segment(PICTURE, params=PARAMS),
            segment(gray, scribbles=strokes, params=PARAMS),
            segment(gray, params=PRESETS["paper"](n_iterations=2)),
        ]
        self.models = [one.model for one in made if one.model is not None]
        self.seeds = [model_file.model_to_bytes(one) for one in self.models]

    def attempt(self, rng: Generator) -> Callable[[], str]:
        data = self.seeds[int(rng.integers(len(self.seeds)))]
        data = changed_bytes(data, rng) if rng.random() < 0.3 else _changed_model(data, rng)
        self.input = self.folder / "a.safetensors"
        self.input.write_bytes(data)

        def attempt() -> str:
            model = Model.load(self.input)
            model.apply(PICTURE if model.n_source_channels == 3 else PICTURE[..., 0])
            return "read"

        return attempt


def _changed_model(data: bytes, rng: Generator) -> bytes:
    (length,) = struct.unpack("<Q", data[:8])
    metadata: dict[str, str] = json.loads(data[8 : 8 + length])["__metadata__"]
    arrays = model_file.load(data)
    part = "model" if rng.random() < 0.7 else "facts"
    if rng.random() < 0.2:
        name = sorted(arrays)[int(rng.integers(len(arrays)))]
        array = arrays[name]
        match int(rng.integers(4)):
            case 0:
                del arrays[name]
            case 1:
                arrays[name] = np.zeros((0,) * array.ndim, array.dtype)
            case 2:
                arrays[name] = np.full_like(array, rng.choice([-1, 0, 1 << 20]))
            case _:
                arrays[name] = np.concatenate([np.atleast_1d(array)] * 2)
    else:
        metadata[part] = json.dumps(changed_json(json.loads(metadata[part]), rng))
    digest = model_file._digest(arrays, metadata["model"], metadata["facts"])
    return model_file.save(arrays, metadata | {"sha256": digest})


class Journal(Door):
    """What a run that was cut short has left, changed; the run is resumed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        stack = (_RNG.random((3, SIDE, SIDE)) * 255).astype(np.uint8)
        self.image = folder / "frames.tif"
        tifffile.imwrite(self.image, stack, photometric="minisblack")
        model = segment(stack[0], params=PARAMS).model
        assert model is not None
        self.model = model
        self.output = folder / "out.ome.zarr"
        steps = self._run(resume=False)
        for _ in range(3):
            next(steps)
        steps.close()
        self.journal = next(folder.glob(".out*part"))
        shutil.copytree(self.journal, folder / "seed")

    def _run(self, *, resume: bool) -> Any:
        return apply_stack(
            self.model, self.image, self.output, axes="TYX", params=ApplyParams(), resume=resume
        )

    def attempt(self, rng: Generator) -> Callable[[], str]:
        for path in (self.journal, self.output):
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self.folder / "seed", self.journal)
        said = sorted(self.journal.rglob("*.json"))
        file = said[int(rng.integers(len(said)))]
        if rng.random() < 0.2:
            file.write_bytes(changed_bytes(file.read_bytes(), rng))
        else:
            file.write_text(json.dumps(changed_json(json.loads(file.read_text()), rng)))
        self.input = self.journal
        outside = {one.name for one in self.folder.iterdir()}

        def attempt() -> str:
            for _ in self._run(resume=True):
                pass
            new = {one.name for one in self.folder.iterdir()} - outside
            assert new <= {self.output.name}, f"written outside the output: {new}"
            return "read"

        return attempt


class Arrays(Door):
    """Arrays of every dtype, shape and stride, segmented, measured, and given to a model."""

    DTYPES = ("?", "u1", "i1", ">u2", "<i2", "u4", "i8", "u8", "f2", ">f4", "f8", "g", "c8",
              "M8[s]", "U3", "O", "V4")  # fmt: skip

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.model = segment(PICTURE[..., 0], params=PARAMS).model

    def array(self, rng: Generator) -> Any:
        n_axes = int(rng.choice([0, 1, 2, 2, 2, 3, 3, 4, 5]))
        shape = tuple(int(rng.choice([0, 1, 2, 3, 5, 16, 31])) for _ in range(n_axes))
        if rng.random() < 0.6:  # something that may well be an image
            shape = ((SIDE, SIDE), (SIDE, SIDE, 3), (2, SIDE, SIDE), (4, 9, SIDE))[rng.integers(4)]
        values = rng.normal(size=shape) * float(rng.choice([1, 1e3, 1e30, 0]))
        if rng.random() < 0.3 and values.size:
            values.flat[int(rng.integers(values.size))] = rng.choice([np.nan, np.inf, -np.inf])
        dtype = np.dtype(str(rng.choice(self.DTYPES)))
        with np.errstate(all="ignore"):
            array = values.astype("U3").astype(dtype) if dtype.kind in "UVO" else (
                values.astype("i8") if dtype.kind == "M" else values).astype(dtype)  # fmt: skip
            array = np.asarray(array)
        match int(rng.integers(5)):
            case 0 if array.ndim:
                array = array[::-1]
            case 1:
                array = array.T
            case 2 if array.ndim:
                array = np.broadcast_to(array[:1], array.shape)
            case 3 if dtype.kind in "buif":
                array = np.ma.masked_array(array, rng.random(array.shape) < 0.2)
        return array

    def attempt(self, rng: Generator) -> Callable[[], str]:
        array, other = self.array(rng), self.array(rng)
        axes = "".join(rng.permutation(list("TCZYXQ"))[: np.ndim(array)])
        words: dict[str, Any] = {"axes": axes if rng.random() < 0.5 else None}
        what = int(rng.integers(5))
        extra = rng.random() < 0.4
        self.input = f"{what} {np.shape(array)} {np.asarray(array).dtype} {words} {extra}"

        def attempt() -> str:
            if what == 0:
                segment(array, **words, **({"region": other} if extra else {}), params=PARAMS)
            elif what == 1:
                segment(array, **words, scribbles=other, params=PARAMS)
            elif what == 2 and self.model is not None:
                self.model.apply(array, **words)
            elif what == 3:
                objects(array, params=ObjectParams(), **words)
            else:
                measure(array, other if extra else None, **words)
            return "read"

        return attempt


class Shell(Door):
    """Arguments of the command line, on small files."""

    WORDS = ("-o", "--axes", "--preset", "--force", "--planes", "--spacing", "--region", "--level",
             "--scribbles", "--channels", "--classes", "--split", "--min-size", "--image", "--fill",
             "--series", "--labels", "--n-labels", "--device", "--threads", "--resume", "--range",
             "--weights", "--workers", "--scheduler", "--model", "--help")  # fmt: skip
    VALUES = ("TYX", "YX", "CYX", "0", "1", "-1", "1e9", "nan", "inf", "", "a", "1,2", "1,2,3",
              "0:9,0:9", "auto", "none", "cpu", "all", "paper", "é", "..", "/", "/nowhere/x.tif",
              "--", "2-", "1:", "999999999999999999999")  # fmt: skip
    WHOLE = (
        ("segment", "a.tif", "-o", "new.tif", "--n-iterations", "1"),
        ("train", "a.tif", "-o", "new.safetensors", "--n-iterations", "1"),
        ("apply", "m.safetensors", "a.tif", "-o", "new.tif"),
        ("objects", "b.tif", "-o", "new.tif"),
        ("measure", "b.tif", "--image", "a.tif", "-o", "new.csv"),
    )
    COMMANDS = ("segment", "train", "apply", "objects", "measure", "card", "info", "devices")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        tifffile.imwrite(folder / "a.tif", PICTURE)
        tifffile.imwrite(folder / "b.tif", (PICTURE[..., 0] > 99).astype(np.uint8))
        model = segment(PICTURE, params=PARAMS).model
        assert model is not None
        model.save(folder / "m.safetensors")

    def attempt(self, rng: Generator) -> Callable[[], str]:
        files = [str(self.folder / one) for one in ("a.tif", "b.tif", "m.safetensors", "new.tif")]
        if rng.random() < 0.7:
            words = list(self.WHOLE[int(rng.integers(len(self.WHOLE)))])
            words = [str(self.folder / one) if "." in one else one for one in words]
        else:
            words = [str(rng.choice(self.COMMANDS)), *map(str, rng.choice(files, 2))]
        for _ in range(int(rng.integers(0, 5))):
            words.append(str(rng.choice(self.WORDS)))
            words.append(str(rng.choice((*self.VALUES, *files))))
        self.input = " ".join(words)
        for name in ("new.tif", "new.csv", "new.safetensors"):
            (self.folder / name).unlink(missing_ok=True)
        before = {one: (self.folder / one).read_bytes() for one in ("a.tif", "b.tif")}

        def attempt() -> str:
            try:
                with chdir(self.folder):  # names without a folder are written there
                    code = cli.main(words)
            finally:
                for name, data in before.items():
                    kept = (self.folder / name).read_bytes() == data
                    (self.folder / name).write_bytes(data)
                    assert kept or "--force" in words, f"{name} was overwritten"
            return "read" if code in (0, 3) else "refused"

        return attempt


DOORS: Mapping[str, type[Door]] = {
    "TIFF": Tiff,
    "picture": Picture,
    "NGFF": Ngff,
    "model": ModelFile,
    "journal": Journal,
    "arrays": Arrays,
    "shell": Shell,
}
SHARES = {
    "TIFF": 45, "picture": 25, "NGFF": 15, "model": 10, "journal": 1, "arrays": 3, "shell": 1,
}  # fmt: skip
