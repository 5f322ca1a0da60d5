"""A run on one page that any browser shows: pictures, figures, parameters, versions."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.color import label2rgb
from skimage.segmentation import find_boundaries

from napari_diffseg.files import as_unicode, written_whole
from napari_diffseg.params import SegmentationParams

_MOST_PIXELS = 1 << 20
"""Larger pictures are thinned out: a report is looked at, not measured in."""

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em }
figure { display: inline-block; margin: 0 1em 1em 0; vertical-align: top }
img { max-width: 32em; image-rendering: pixelated } figcaption { color: #555 }
table { border-collapse: collapse; margin: 1em 0 } td, th { padding: .2em .8em; text-align: left;
border-bottom: 1px solid #ddd } td:first-child + td { font-variant-numeric: tabular-nums }
pre { background: #f4f4f4; padding: 1em; overflow-x: auto }
"""


def write_report(
    path: str | PathLike[str],
    labels: NDArray[np.integer[Any]],
    channels: NDArray[Any],
    *,
    title: str,
    provenance: Mapping[str, Any],
    rgb: bool = False,
    class_names: Mapping[int, str] | None = None,
    notes: Sequence[str] = (),
    recipe: str = "",
    force: bool = False,
) -> None:
    """Write a report of a run as one HTML file, pictures included.

    Of a volume ``(z, y, x)`` the middle plane is shown, and all planes are counted. `channels` are
    the image, ``(c, y, x)`` or ``(c, z, y, x)``; `recipe` is the same run as lines of Python.
    Raises `OutputError` where the file cannot be written, or is there already.
    """
    plane = labels if labels.ndim == 2 else labels[len(labels) // 2]
    seen = channels if channels.ndim == 3 else channels[:, channels.shape[1] // 2]
    step = max(int(np.ceil(np.sqrt(plane.size / _MOST_PIXELS))), 1)
    picture = _picture(seen[:, ::step, ::step], rgb)
    parts = [
        f"<h1>{escape(title)}</h1>",
        *_figures(picture, plane[::step, ::step]),
        *(f"<p>{escape(note)}</p>" for note in notes),
        "<h2>Classes</h2>",
        _table(_areas(labels, class_names or {})),
    ]
    if recipe:
        parts += ["<h2>The same run again</h2>", f"<pre>{escape(recipe)}</pre>"]
    facts = dict(_flat(provenance))
    parts += ["<h2>How it was made</h2>"]
    parts += [_table({"what": list(facts), "value": [str(one) for one in facts.values()]})]
    text = (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{escape(title)}</title>"
        f"<style>{_STYLE}</style><body>{''.join(parts)}</body></html>"
    )
    with written_whole(Path(path), force=force) as file:
        file.write(as_unicode(text).encode())


def _picture(channels: NDArray[Any], rgb: bool) -> NDArray[np.uint8]:
    """Return the image as it is seen on a screen, (y, x, 3): up to three channels as colours."""
    shown = []
    for channel in channels[:3]:
        values = channel.astype(np.float64)
        finite = values[np.isfinite(values)]
        whole = rgb and channel.dtype == np.uint8
        low, high = (
            (0, 255) if whole else np.percentile(finite, (0.5, 99.5)) if finite.size else (0, 1)
        )
        shown.append(np.nan_to_num(np.clip((values - low) / max(high - low, 1e-12), 0, 1)))
    if len(shown) == 1:
        shown *= 3
    shown += [np.zeros_like(shown[0])] * (3 - len(shown))
    return (np.stack(shown, -1) * 255).astype(np.uint8)


def _figures(picture: NDArray[np.uint8], labels: NDArray[np.integer[Any]]) -> Iterable[str]:
    colored = (label2rgb(labels, bg_label=0) * 255).astype(np.uint8)
    outlined = picture.copy()
    outlined[find_boundaries(labels, mode="inner")] = (255, 220, 0)
    for pixels, caption in ((picture, "image"), (colored, "labels"), (outlined, "outlines")):
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        yield (
            f"<figure><img alt='{caption}' src='data:image/png;base64,{data}'>"
            f"<figcaption>{caption}</figcaption></figure>"
        )


def _areas(labels: NDArray[np.integer[Any]], names: Mapping[int, str]) -> dict[str, list[Any]]:
    numbers, counts = np.unique(labels, return_counts=True)
    content = "pixels" if labels.ndim == 2 else "voxels"
    columns: dict[str, list[Any]] = {"label": numbers.tolist(), content: counts.tolist()}
    if names:
        columns["name"] = [names.get(number, "") for number in numbers.tolist()]
    columns["share"] = [f"{count / labels.size:.1%}" for count in counts.tolist()]
    return columns


def _flat(facts: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Yield facts, but for parameters that change nothing in the design of the run."""
    designs = {spec.name: spec.design for spec in SegmentationParams.specs()}
    for name, value in facts.items():
        if designs.get(name, "") not in ("", facts.get("design", "")):
            continue
        if isinstance(value, Mapping):
            yield from _flat(value)
        else:
            yield name, value


def _table(columns: Mapping[str, Sequence[Any]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    rows = [
        "".join(f"<td>{escape(str(value))}</td>" for value in row)
        for row in zip(*columns.values(), strict=True)
    ]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"
