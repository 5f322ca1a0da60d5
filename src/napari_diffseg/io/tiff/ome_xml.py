"""What OME-XML says of an image: sizes, times, channels, and the files of a set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from napari_diffseg.image.pixel_size import PixelSize, in_one_unit
from napari_diffseg.image.units import MICROMETRES, number, parse_unit, positive, seconds


class OmeFacts(NamedTuple):
    """What OME-XML says of one of its images; `starts` is the first pixel along Z, Y and X."""

    pixel_size: PixelSize | None = None
    t_step: float | None = None
    channel_names: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    described_in: str | None = None
    starts: Mapping[str, float] = {}

    def missing(self, path: Path) -> list[str]:
        """Return which of the other files are not beside this one."""
        return [name for name in self.files if not (path.parent / name).exists()]


def read_ome_xml(xml: str | None, image: int = 0) -> OmeFacts:
    """Read what OME-XML says of an image; what is missing or makes no sense counts as not said."""
    try:
        root = ElementTree.fromstring(xml or "")
    except ElementTree.ParseError:
        # The image itself may be whole; tifffile then reads it as a plain TIFF.
        return OmeFacts()
    elsewhere = root.find("{*}BinaryOnly")
    if elsewhere is not None:
        return OmeFacts(described_in=elsewhere.get("MetadataFile"))
    found = root.findall(".//{*}Pixels")
    if image >= len(found):
        return OmeFacts()
    pixels = found[image]
    z, y, x = (
        (
            positive(pixels.get(f"PhysicalSize{axis}")),
            parse_unit(pixels.get(f"PhysicalSize{axis}Unit", "µm")),
        )
        for axis in "ZYX"
    )
    own = root.get("UUID")
    others = [
        one for one in pixels.findall("{*}TiffData/{*}UUID") if own is None or one.text != own
    ]
    files = dict.fromkeys(one.get("FileName", "") for one in others)
    size = in_one_unit(y, x, z)
    return OmeFacts(
        pixel_size=size,
        t_step=seconds(pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s")),
        channel_names=known_names([one.get("Name", "") for one in pixels.findall("{*}Channel")]),
        files=tuple(name for name in files if name),
        starts={} if size is None else _starts(pixels, size.unit),
    )


def _starts(pixels: ElementTree.Element, unit: str) -> dict[str, float]:
    """Return where the first plane lies; positions in no unit of length count as not said."""
    planes = pixels.findall("{*}Plane")
    if not planes:
        return {}
    first = min(planes, key=lambda one: [number(one.get(f"The{a}")) or 0 for a in "TZC"])
    found: dict[str, float] = {}
    for axis in "ZYX":
        # OME's schema counts a position without a unit in its own reference frame: no length.
        own = parse_unit(first.get(f"Position{axis}Unit"))
        start = number(first.get(f"Position{axis}"))
        if own is not None and start is not None:
            found[axis] = start * MICROMETRES[own] / MICROMETRES[unit] if own != unit else start
    return found


def known_names(names: list[str]) -> tuple[str, ...]:
    """Return the names of channels; empty where none has one."""
    stripped = tuple(name.strip() for name in names)
    return stripped if any(stripped) else ()
