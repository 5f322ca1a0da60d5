"""Small files of microscopes, written byte by byte: no library writes LIF and ND2."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tifffile import TIFF, TiffWriter

_CHUNK, _NAMED, _MAP = 0x0ABECEDA, 4096, b"ND2 FILEMAP SIGNATURE NAME 0001!"


def write_lif(path: Path, images: Mapping[str, np.ndarray], **lengths: float) -> Path:
    """Write images ``t c z y x`` or ``y x rgb``, uint16; `lengths`: steps in m or s, by axis."""
    elements, blocks = "", b""
    for number, (name, pixels) in enumerate(images.items()):
        axes = "TCZYX" if pixels.ndim == 5 else "YXC"
        sides = {**dict.fromkeys("TZ", 1), **dict(zip(axes, pixels.shape, strict=True))}
        steps = dict(zip(axes, np.ascontiguousarray(pixels).strides, strict=True))
        tags = (0,) * sides["C"] if pixels.ndim == 5 else (1, 2, 3)
        channels = "".join(
            f'<ChannelDescription DataType="0" ChannelTag="{tag}" Resolution="16" '
            f'NameOfMeasuredQuantity="" Min="0" Max="65535" Unit="" '
            f'LUTName="{("Green", "Red", "Blue")[c]}" IsLUTInverted="0" '
            f'BytesInc="{c * steps["C"]}" BitInc="0"/>'
            for c, tag in enumerate(tags)
        )
        dimensions = "".join(
            f'<DimensionDescription DimID="{n}" NumberOfElements="{sides[axis]}" Origin="0" '
            f'Length="{lengths.get(axis, 1e-6) * (sides[axis] - 1)}" '
            f'Unit="{"s" if axis == "T" else "m"}" BitInc="0" BytesInc="{steps[axis]}"/>'
            for n, axis in enumerate("XYZT", 1)
            if axis in axes
        )
        elements += (
            f'<Element Name="{name}" UniqueID="{number}"><Data><Image><ImageDescription>'
            f"<Channels>{channels}</Channels><Dimensions>{dimensions}</Dimensions>"
            f"</ImageDescription></Image></Data>"
            f'<Memory Size="{pixels.nbytes}" MemoryBlockID="MemBlock_{number}"/></Element>'
        )
        block = f"MemBlock_{number}".encode("utf-16-le")
        header = struct.pack("<BQBI", 0x2A, pixels.nbytes, 0x2A, len(block) // 2) + block
        blocks += struct.pack("<II", 0x70, len(header)) + header + pixels.astype("<u2").tobytes()
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="all" UniqueID="x"><Children>'
        f"{elements}</Children></Element></LMSDataContainerHeader>"
    ).encode("utf-16-le")
    start = struct.pack("<IIBI", 0x70, len(xml) + 5, 0x2A, len(xml) // 2)
    path.write_bytes(start + xml + blocks)
    return path


def write_lsm(path: Path, pixels: np.ndarray, size: Sequence[float], interval: float) -> Path:
    """Write ``t z c y x``, uint8, as Zeiss does; `size`: of a voxel along x, y and z in metres."""
    n_t, n_z, n_c, n_y, n_x = pixels.shape
    fields = [(name or f"unknown {i}", kind) for i, (name, kind) in enumerate(TIFF.CZ_LSMINFO)]
    said = np.zeros((), np.dtype(fields))
    about = {"MagicNumber": 67127628, "StructureSize": said.dtype.itemsize, "ScanType": 6}
    about |= {"DimensionX": n_x, "DimensionY": n_y, "DimensionZ": n_z, "DimensionChannels": n_c}
    about |= {"DimensionTime": n_t, "DataType": 1, "TimeIntervall": interval}
    about |= {f"VoxelSize{axis}": one for axis, one in zip("XYZ", size, strict=True)}
    for name, value in about.items():
        said[name] = value
    tags = [(34412, 1, said.dtype.itemsize, said.tobytes(), True)]
    with TiffWriter(path) as writer:
        for number, plane in enumerate(pixels.reshape(-1, n_c, n_y, n_x)):
            how: dict[str, Any] = {"photometric": "rgb" if n_c == 3 else "minisblack"}
            how |= {"planarconfig": "separate", "extratags": [] if number else tags}
            writer.write(plane, metadata=None, **how)
            small = np.zeros((8, 8, 3), np.uint8)
            writer.write(small, photometric="rgb", subfiletype=1, metadata=None)
    return path


def write_nd2(
    path: Path,
    pixels: np.ndarray,
    names: Sequence[str],
    *,
    size: float | None = None,
    z_step: float = 1.0,
    period: float = 1.0,
    taken: int | None = None,
) -> Path:
    """Write positions ``p t c z y x``, uint16; `taken`: how many frames; µm, and `period` in s."""
    n_p, n_t, n_c, n_z, n_y, n_x = pixels.shape
    frames = pixels.transpose(1, 0, 3, 4, 5, 2).reshape(-1, n_y, n_x, n_c)[:taken]
    loops: list[dict[str, Any]] = [
        {"eType": 1, "uLoopPars": _time(n_t, period)},
        {"eType": 2, "uLoopPars": _positions(n_p)},
        {"eType": 4, "uLoopPars": {"uiCount": n_z, "dZStep": float(z_step)}},
    ]
    experiment: dict[str, Any] = {}
    for loop in reversed([loop for loop in loops if loop["uLoopPars"]["uiCount"] > 1]):
        experiment = loop | ({"ppNextLevelEx": {"no_name": experiment}} if experiment else {})
    planes = {
        f"a{c}": {"sDescription": name, "uiCompCount": 1, "uiColor": 255 << 8 * c}
        | {"pFluorescentProbe": {"m_ExcitationSpectrum": {"uiCount": 0}}}
        for c, name in enumerate(names)
    }
    attributes = {"uiWidth": n_x, "uiWidthBytes": n_x * n_c * 2, "uiHeight": n_y, "uiComp": n_c}
    attributes |= {"uiBpcInMemory": 16, "uiBpcSignificant": 16, "uiSequenceCount": len(frames)}
    said = {"bCalibrated": size is not None, "dCalibration": float(size or 0.0)}
    said |= {"sPicturePlanes": {"uiCount": n_c, "sPlaneNew": planes}}
    chunks = {b"ImageAttributes!": _xml(attributes), b"ImageMetadataSeq|0!": _xml(said)}
    if experiment:
        chunks[b"ImageMetadata!"] = _xml(experiment)
    for i, frame in enumerate(frames):
        chunks[f"ImageDataSeq|{i}!".encode()] = bytes(8) + frame.astype("<u2").tobytes()
    times = np.repeat(np.arange(n_t) * period * 1000, n_p * n_z)
    chunks[b"CustomData|AcqTimesCache!"] = times.astype("<f8").tobytes()
    found = struct.pack("<IIQ", _CHUNK, 32, 64)
    found += b"ND2 FILE SIGNATURE CHUNK NAME01!" + b"Ver2.1".ljust(64, b"\0")
    places = b""
    for name, data in chunks.items():
        places += name + struct.pack("<QQ", len(found), len(data))
        # Where pixels begin is not said: always so far behind the head of their chunk.
        reserve = _NAMED - 24 if name.startswith(b"ImageDataSeq") else len(name)
        found += struct.pack("<IIQ", _CHUNK, reserve, len(data)) + name.ljust(reserve, b"\0") + data
    end = b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", len(found))
    places += end
    found += struct.pack("<IIQ", _CHUNK, len(_MAP), len(places)) + _MAP + places
    path.write_bytes(found)
    return path


def _time(count: int, period: float) -> dict[str, Any]:
    said = {"dStart": 0.0, "dPeriod": period * 1000, "dDuration": 0.0}
    return {"uiCount": count, **said, "dAvgPeriodDiff": period * 1000}


def _positions(count: int) -> dict[str, Any]:
    points = {f"i{n}": {"dPosName": f"field {n}", "dPosX": float(n)} for n in range(count)}
    return {"uiCount": count, "Points": points}


_TYPES = {bool: "bool", int: "lx_uint32", float: "double", str: "CLxStringW"}


def _xml(value: dict[str, Any]) -> bytes:
    return f'<variant version="1.0"><no_name>{_inner(value)}</no_name></variant>'.encode()


def _inner(value: dict[str, Any]) -> str:
    found = ""
    for key, one in value.items():
        if isinstance(one, dict):
            found += f"<{key}>{_inner(one)}</{key}>"
        else:
            text = str(one).lower() if isinstance(one, bool) else one
            found += f'<{key} runtype="{_TYPES[type(one)]}" value="{text}"/>'
    return found
