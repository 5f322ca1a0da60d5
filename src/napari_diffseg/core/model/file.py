"""Models as files: safetensors, with what is no array as JSON beside the arrays.

Nothing in such a file is ever executed. Two digests stand in it: that of all that makes
the labels (`checksum_of`), by which runs know each other, and that of the whole, by which
a file that was altered is refused.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from napari_diffseg.core.clusters.class_head import ClassHead
from napari_diffseg.core.features.extraction import Features
from napari_diffseg.core.features.weights import features_digest
from napari_diffseg.core.model.check import check_model
from napari_diffseg.core.model.model_facts import Color, ModelFacts
from napari_diffseg.core.published.clustering_net import FeatureClusteringNet
from napari_diffseg.errors import DiffSegError, ModelFileError
from napari_diffseg.files import as_unicode
from napari_diffseg.image.channels import Channel
from napari_diffseg.image.intensity import IntensityRange, stated_range
from napari_diffseg.image.pixel_size import PixelSize
from napari_diffseg.image.space import Space
from napari_diffseg.numeric.hierarchy import ClusterHierarchy
from napari_diffseg.params import SegmentationParams

if TYPE_CHECKING:
    from napari_diffseg.core.model.model import Model

FORMAT = 4
"""Number of the format; a file with a higher one comes from a newer version."""

_FORMAT, _MODEL, _FACTS, _DIGEST = "napari-diffseg", "model", "facts", "sha256"
_NETWORK, _STAGE = "network.", "stage."
_CHANNEL = ("index", "name", "weight", "low", "high")  # what is always there of one
_STAGE_ARRAYS = ("axes", "centres", "projection")
_WITHOUT_FEATURES = 2  # the last format whose default had no learned features
_GONE = ("region_size",)  # parameters of earlier formats that changed nothing here

Arrays = dict[str, NDArray[Any]]

_NONSENSE = (
    SafetensorError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    ArithmeticError,
)
"""What reading raises where the bytes are no model, or other numbers than a model has."""


def checksum_of(model: Model) -> str:
    """Return the SHA-256 of all that makes the labels; see `Model.checksum`."""
    return _digest(_arrays(model), _json(_science(model)))


def model_to_bytes(model: Model) -> bytes:
    """Return a model as the bytes of its file; the same model gives the same bytes."""
    arrays, science, facts = _arrays(model), _json(_science(model)), _json(_facts(model.facts))
    metadata = {
        _FORMAT: str(FORMAT),
        _MODEL: science,
        _FACTS: facts,
        _DIGEST: _digest(arrays, science, facts),
    }
    return _sorted_header(save(arrays, metadata))


def model_from_bytes(data: bytes, name: str, kind: type[Model]) -> Model:
    """Build a model from the bytes of its file; see `Model.from_bytes`.

    The class comes with the call, so that this file need not know the model's, which knows it.
    """
    metadata = _metadata(data, name)
    try:
        arrays = load(data)
        said = metadata[_DIGEST]
        model, facts = metadata[_MODEL], metadata[_FACTS]
        if said != _digest(arrays, model, facts):
            raise ModelFileError(
                f"{name} was altered after it was saved, or is damaged; copy or save it again."
            )
        science = json.loads(model)
        _check_version(science, int(metadata[_FORMAT]), name)
        return _build(kind, arrays, science, json.loads(facts))
    except ModelFileError:
        raise
    except (*_NONSENSE, RuntimeError, DiffSegError) as error:
        # RuntimeError: torch says so of weights of other shapes.
        raise ModelFileError(
            f"{name} is truncated or no whole model; copy or save it again."
        ) from error


def _check_version(science: Mapping[str, Any], number: int, name: str) -> None:
    """Refuse what newer versions say of channels, and other features than the shipped ones."""
    known = {one.name for one in fields(Channel)}
    strange = sorted({said for one in science.get("channels", ()) for said in one} - known)
    if strange:
        raise ModelFileError(
            f"{name} comes from a newer version of napari-diffseg, which says of a channel what "
            f"this one does not know ({', '.join(strange)}); update napari-diffseg."
        )
    if science["stage"] is None:
        return
    if number <= _WITHOUT_FEATURES or science["features"] != features_digest():
        raise ModelFileError(
            f"{name} was trained by another version of napari-diffseg, which saw images "
            "differently; train it again with this one."
        )


def _metadata(data: bytes, name: str) -> dict[str, str]:
    """Read the text beside the arrays: eight bytes say how long the header is."""
    foreign = ModelFileError(
        f"{name} is no model of this program; choose a file that napari-diffseg has saved."
    )
    try:
        (length,) = struct.unpack("<Q", data[:8])
        metadata = json.loads(data[8 : 8 + length])["__metadata__"]
        number = int(metadata[_FORMAT])
    except (*_NONSENSE, struct.error, RecursionError) as error:
        raise foreign from error
    if number > FORMAT:
        raise ModelFileError(
            f"{name} comes from a newer version of napari-diffseg (format {number}, where "
            f"{FORMAT} is known); update napari-diffseg."
        )
    found: dict[str, str] = metadata
    return found


def _sorted_header(data: bytes) -> bytes:
    """Write the header of a file with its names in order: a mapping of Rust has none."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    text = json.dumps(header, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def _arrays(model: Model) -> Arrays:
    arrays: Arrays = {
        "merges": model.hierarchy.merges.astype(np.int64),
        "costs": model.hierarchy.costs.astype(np.float64),
        "numbers": model.numbers.astype(np.int64),
    }
    if model.network is not None:
        weights = model.network.state_dict()
        arrays |= {_NETWORK + name: value.cpu().numpy() for name, value in weights.items()}
    if model.head is not None:
        arrays["clusters.weights"] = model.head.weights.astype(np.float64)
    if model.stage is not None:
        arrays |= {_STAGE + name: getattr(model.stage, name) for name in _STAGE_ARRAYS}
    if model.classes is not None:
        head = model.classes[0]
        arrays["head.weights"] = head.weights.astype(np.float64)
        if head.wide is not None:
            arrays["wide.weights"] = head.wide.weights.astype(np.float64)
    return {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}


def _science(model: Model) -> dict[str, Any]:
    wide = None if model.classes is None else model.classes[0].wide
    return {
        "params": model.params.to_dict(),
        "ranges": {"low": model.ranges.low, "high": model.ranges.high},
        "space": asdict(model.space),
        "channels": [_channel(one) for one in model.channels],
        "n_source_channels": model.n_source_channels,
        "stage": None if model.stage is None else _stage(model.stage),
        "features": None if model.stage is None else features_digest(),
        "rgb": model.facts.rgb,
        "fill": model.fill,
        "classes": None if model.classes is None else list(model.classes[1]),
        "head_loss": None if model.classes is None else model.classes[0].loss,
        "wide_loss": None if wide is None else wide.loss,
        "wide_share": 0.0 if model.classes is None else model.classes[0].share,
        "clusters_loss": None if model.head is None else model.head.loss,
    }


def _channel(channel: Channel) -> dict[str, Any]:
    """Return what is said of a channel.

    What could not be said in formats up to 4 is there only where it is said, so that models
    without it keep their checksum.
    """
    said = {one: value for values in channel.changed.values() for one, value in values.items()}
    return {name: getattr(channel, name) for name in _CHANNEL} | said


def _stage(stage: Features) -> dict[str, Any]:
    """Return the numbers of the first stage; its arrays are kept as such."""
    left_out = (*_STAGE_ARRAYS, "space")
    return {one.name: getattr(stage, one.name) for one in fields(stage) if one.name not in left_out}


def _facts(facts: ModelFacts) -> dict[str, Any]:
    size = facts.pixel_size
    return {
        "axes": facts.axes,
        "dtype": facts.dtype,
        "pixel_size": None if size is None else asdict(size),
        "class_names": {str(number): name for number, name in facts.class_names.items()},
        "class_colors": {str(number): _color(c) for number, c in facts.class_colors.items()},
        "provenance": dict(facts.provenance),
    }


def _build(
    kind: type[Model], arrays: Arrays, model: Mapping[str, Any], facts: Mapping[str, Any]
) -> Model:

    # Parameters of formats 1 and 2 that are gone told nothing of this design.
    kept = {name: value for name, value in model["params"].items() if name not in _GONE}
    params = SegmentationParams.from_dict(kept)
    measured = IntensityRange(*(tuple(map(float, model["ranges"][end])) for end in ("low", "high")))
    channels = _channels(model, len(measured.low))
    ranges = stated_range(measured, channels)
    space = _space(model)
    stage = None if model["stage"] is None else _read_stage(arrays, model["stage"], space)
    numbers, merges = arrays["numbers"], arrays["merges"]
    if numbers.shape != (params.n_clusters,):
        raise ValueError("numbers of labels")
    head = None
    if stage is not None:
        head = ClassHead(arrays["clusters.weights"], float(model["clusters_loss"]))
    built = kind(
        params=params,
        ranges=ranges,
        stage=stage,
        hierarchy=ClusterHierarchy(
            params.n_clusters, merges, arrays.get("costs", np.zeros(len(merges)))
        ),
        numbers=numbers,
        facts=_read_facts(facts, rgb=bool(model["rgb"])),
        channels=channels,
        n_source_channels=int(model.get("n_source_channels", len(ranges.low))),
        space=space,
        head=head,
        network=_network(arrays, params, len(ranges.low), space) if stage is None else None,
        classes=_classes(arrays, model, head),
        fill=None if model.get("fill") is None else float(model["fill"]),
    )
    check_model(built)
    return built


def _read_facts(said: Mapping[str, Any], *, rgb: bool) -> ModelFacts:
    size = said["pixel_size"]
    return ModelFacts(
        axes=str(said["axes"]),
        rgb=rgb,
        dtype=str(said["dtype"]),
        pixel_size=None if size is None else PixelSize(**size),
        class_names={int(k): str(v) for k, v in said["class_names"].items()},
        class_colors={int(k): _color(v) for k, v in said["class_colors"].items()},
        provenance=dict(said["provenance"]),
    )


def _read_stage(arrays: Arrays, said: Mapping[str, Any], space: Space) -> Features:
    values: dict[str, Any] = {name: arrays[_STAGE + name] for name in _STAGE_ARRAYS}
    values |= {name: tuple(map(float, said[name])) for name in ("means", "weights", "gammas")}
    values |= {name: float(said[name]) for name in ("low", "high", "spread", "slope", "edge")}
    return Features(rgb=bool(said["rgb"]), space=space, **values)


def _space(model: Mapping[str, Any]) -> Space:
    """Return planes or volumes; files of format 1 are of planes and do not say so."""
    said = model.get("space", {"n_axes": 2, "z_step": 1.0})
    n_axes, z_step = int(said["n_axes"]), float(said["z_step"])
    if n_axes not in (2, 3) or not 0 < z_step < float("inf"):
        raise ValueError("space")
    return Space(n_axes, z_step)


def _channels(model: Mapping[str, Any], n_channels: int) -> tuple[Channel, ...]:
    """Return the channels; those of files of format 1 are all that there are."""
    if "channels" not in model:
        return tuple(Channel(index) for index in range(n_channels))
    return tuple(Channel(**one) for one in model["channels"])


def _network(
    arrays: Arrays, params: SegmentationParams, n_inputs: int, space: Space
) -> FeatureClusteringNet:
    with torch.random.fork_rng(devices=()):  # torch fills new layers from the caller's numbers
        network = FeatureClusteringNet(
            n_inputs, params.n_features, params.n_clusters, params.n_blocks, space
        )
    weights = {
        name.removeprefix(_NETWORK): torch.from_numpy(np.array(value))
        for name, value in arrays.items()
        if name.startswith(_NETWORK)
    }
    network.load_state_dict(weights)
    return network.eval()


def _classes(
    arrays: Arrays, model: Mapping[str, Any], clusters: ClassHead | None
) -> tuple[ClassHead, tuple[int, ...]] | None:
    if model["classes"] is None:
        return None
    numbers = tuple(int(number) for number in model["classes"])
    wide = None  # as in files of formats up to 3
    if model.get("wide_loss") is not None:
        wide = ClassHead(arrays["wide.weights"], float(model["wide_loss"]), clusters)
    weights, loss = arrays["head.weights"], float(model["head_loss"])
    head = ClassHead(weights, loss, clusters, wide, float(model.get("wide_share", 0.0)))
    if head.n_classes != len(numbers):
        raise ValueError("classes")
    return head, numbers


def _color(values: Any) -> Color:
    red, green, blue, alpha = (float(value) for value in values)
    return red, green, blue, alpha


def _json(values: Mapping[str, Any]) -> str:
    return as_unicode(json.dumps(values, sort_keys=True, ensure_ascii=False, allow_nan=False))


def _digest(arrays: Arrays, *texts: str) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
        digest.update(array.tobytes())
    for text in texts:
        digest.update(text.encode())
    return digest.hexdigest()
