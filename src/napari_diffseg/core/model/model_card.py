"""A model in words: what it was trained on, what comes out, how to use it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from napari_diffseg.errors import count_in_words
from napari_diffseg.image.channels import Channel
from napari_diffseg.params import SegmentationParams

if TYPE_CHECKING:
    from napari_diffseg.core.model.model import Model

_USE = """## Use

```python
from napari_diffseg import Model
labels = Model.load("model.safetensors").apply(image)
```

```sh
napari-diffseg apply model.safetensors images/ -o labels/
```
"""


def model_card(model: Model) -> str:
    """Return a model card in Markdown; see `Model.card`."""
    lines = [
        "# Model for napari-diffseg",
        "",
        "Differentiable feature clustering (Kim, Kanezaki & Tanaka, IEEE TIP 2020).",
        "",
        "## Images",
        "",
        *_images(model),
        "",
        "Images with other channels are refused; with another magnification, staining or",
        "exposure look at the result before you trust it.",
        "",
        "## Labels",
        "",
        *_labels(model),
        "",
        "## Parameters",
        "",
        "| parameter | value | default |",
        "|---|---|---|",
        *_changed(model.params),
        "",
        "## Where it comes from",
        "",
        *(f"- {name.replace('_', ' ')}: {_shown(value)}" for name, value in _known(model)),
        f"- learned weights: {_n_weights(model)}",
        f"- checksum: `{model.checksum}`",
        "",
        _USE,
    ]
    return "\n".join(lines)


def _images(model: Model) -> list[str]:
    facts, ranges = model.facts, model.ranges
    channels = "colours (RGB)" if facts.rgb else count_in_words(model.n_channels, "channel")
    lines = [
        f"- Axes `{facts.axes}`, {channels}, `{facts.dtype}`",
        f"- {_space(model)}",
        f"- Pixel size: {facts.pixel_size or 'not known'}",
    ]
    for channel, low, high in zip(model.channels, ranges.low, ranges.high, strict=True):
        lines.append(f"- {_channel(channel)}: intensities {low:g} to {high:g} became 0 to 1")
    if model.fill is not None:
        lines.append(f"- The value {model.fill:g} is fill and gets label 0")
    return lines


def _n_weights(model: Model) -> int:
    if model.network is not None:
        return sum(weight.numel() for weight in model.network.parameters())
    head = model.clusters if model.classes is None else model.classes[0]
    return int(head.weights.size)


def _space(model: Model) -> str:
    if not model.space.is_volume:
        return "Planes; stacks plane by plane"
    return f"Volumes, whose planes are {model.z_step:.3g} pixels apart"


def _channel(channel: Channel) -> str:
    # The range stands in what follows, as measured where it is not said.
    said = [
        f", {spec.name} {next(iter(values.values())):g}"
        for spec, values in channel.changed.items()
        if spec.bounds
    ]
    return channel.title[0].upper() + channel.title[1:] + "".join(said)


def _labels(model: Model) -> list[str]:
    names, labels = model.facts.class_names, model.labels
    painted = set(map(int, re.findall(r"\d+", str(model.facts.provenance.get("painted_classes")))))
    lines = [f"- {number}: {names[number]}" for number in labels if number in names]
    if not painted and model.classes is None:
        most = count_in_words(len(labels), "label")
        first = f"At most {most}, found without anything being painted."
        return [first, "", *lines] if lines else [first]
    unnamed = [number for number in labels if number not in names]
    others = "not painted (the rest)" if painted else "not named"
    for kind, are_painted in (("painted, not named", True), (others, False)):
        of_kind = [str(one) for one in unnamed if (one in painted) is are_painted]
        lines += [f"- {', '.join(of_kind)}: {kind}"] if of_kind else []
    return lines


def _changed(params: SegmentationParams) -> list[str]:
    default = SegmentationParams().to_dict()
    mine = params.to_dict()
    rows = [f"| {k} | {mine[k]} | {default[k]} |" for k in mine if mine[k] != default[k]]
    return rows or ["| all as the default | | |"]


def _known(model: Model) -> list[tuple[str, Any]]:
    at_once = model.params.n_iterations == 1
    left_out = {"params", *(("iterations", "stop_reason") if at_once else ())}
    return [(k, v) for k, v in model.facts.provenance.items() if k not in left_out]


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
