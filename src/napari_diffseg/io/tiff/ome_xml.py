"""What OME-XML says of an image: sizes, times, channels, and the files of a set."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from napari_diffseg.image.pixel_size import PixelSize, in_one_unit
from napari_diffseg.image.units import parse_unit, positive, seconds


class OmeFacts(NamedTuple):
    """What OME-XML says of one of its images.

    Attributes
    ----------
    pixel_size : PixelSize or None
        None where PhysicalSizeX or Y is missing or has a unit that is no length.
    t_step : float or None
        Seconds from frame to frame.
    channel_names : tuple of str
        Empty where no channel has a name.
    files : tuple of str
        Names of the other files that planes of the image are in.
    described_in : str or None
        Name of the file that has the metadata, where this one has none.
    """

    pixel_size: PixelSize | None = None
    t_step: float | None = None
    channel_names: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    described_in: str | None = None

    def missing(self, path: Path) -> list[str]:
        """Return which of the other files are not beside this one."""
        return [name for name in self.files if not (path.parent / name).exists()]


def read_ome_xml(xml: str | None, image: int = 0) -> OmeFacts:
    """Read what OME-XML says of an image; what is missing or makes no sense counts as not said.

    Parameters
    ----------
    xml : str or None
    image : int
        Which one, from 0 on.
    """
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
    return OmeFacts(
        pixel_size=in_one_unit(y, x, z),
        t_step=seconds(pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s")),
        channel_names=known_names([one.get("Name", "") for one in pixels.findall("{*}Channel")]),
        files=tuple(name for name in files if name),
    )


def known_names(names: list[str]) -> tuple[str, ...]:
    """Return the names of channels; empty where none has one."""
    stripped = tuple(name.strip() for name in names)
    return stripped if any(stripped) else ()
