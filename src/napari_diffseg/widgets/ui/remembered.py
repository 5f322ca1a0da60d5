"""What a person set last, kept from one session of napari to the next."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from napari.settings import get_settings

from napari_diffseg.errors import ParameterError
from napari_diffseg.parameters import Scalar, SelfDescribing

_is_off = False


def remember(typed: Mapping[type[SelfDescribing], Mapping[str, Scalar]]) -> None:
    """Keep the values of parameters beside napari's own settings; only those that can be used."""
    if _is_off:
        return
    usable = {kind.__name__: _usable(kind, values) for kind, values in typed.items()}
    kept = _read() | usable
    # Where nothing can be written, nothing is kept; no work depends on it.
    with suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        _file().write_text(json.dumps(kept, indent=1), encoding="utf-8")


def recall(described: type[SelfDescribing], but_for: Collection[str] = ()) -> dict[str, Scalar]:
    """Return what was kept and can still be used; empty where nothing was."""
    values = _usable(described, _read().get(described.__name__, {}))
    return {name: value for name, value in values.items() if name not in but_for}


@contextmanager
def defaults_only() -> Iterator[None]:
    """Neither use nor replace what a person set, so that all begins with the defaults."""
    global _is_off
    _is_off = True
    try:
        yield
    finally:
        _is_off = False


def _usable(described: type[SelfDescribing], values: Mapping[str, Scalar]) -> dict[str, Scalar]:
    found = {}
    for spec in described.specs():
        try:
            spec.check(values[spec.name])
        except (KeyError, ParameterError):
            continue
        found[spec.name] = values[spec.name]
    return found


def _read() -> dict[str, dict[str, Scalar]]:
    if _is_off:
        return {}
    try:
        kept = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # nothing was kept, or a person has edited the file: the defaults count
    named = kept.items() if isinstance(kept, dict) else ()
    return {name: values for name, values in named if isinstance(values, dict)}


def _file() -> Path:
    # napari always has a place of its own for what a person sets, a temporary one under test.
    return Path(get_settings().config_path).parent / "napari-diffseg.json"
