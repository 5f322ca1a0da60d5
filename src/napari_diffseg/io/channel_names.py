"""What image files call their channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree


def from_ome_xml(xml: str) -> tuple[str, ...]:
    """Read the names of the channels of the first image in OME-XML; empty where there are none."""
    try:
        channels = ElementTree.fromstring(xml).findall(".//{*}Image[1]/{*}Pixels/{*}Channel")
    except ElementTree.ParseError:
        return ()
    return _known([channel.get("Name", "") for channel in channels])


def from_omero(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Read the labels of the channels in the metadata of an OME-Zarr; empty where there are none.

    Parameters
    ----------
    attributes : mapping
        Those that NGFF is about. What is not as it should be counts as missing: names are
        for people, and no pixel depends on them.
    """
    omero = attributes.get("omero")
    channels = omero.get("channels") if isinstance(omero, Mapping) else None
    if not isinstance(channels, Sequence) or isinstance(channels, str):
        return ()
    labels = [one.get("label", "") if isinstance(one, Mapping) else "" for one in channels]
    return _known([label if isinstance(label, str) else "" for label in labels])


def _known(names: list[str]) -> tuple[str, ...]:
    stripped = tuple(name.strip() for name in names)
    return stripped if any(stripped) else ()
