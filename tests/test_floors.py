"""The floors of the house: who may import whom, and what an import may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import napari_diffseg

ROOT = Path(napari_diffseg.__file__).parent
PACKAGE = ROOT.name
FLOORS = {
    "errors": 0,
    "parameters": 0,
    "files": 0,
    "memory": 0,
    "params": 0,
    "model_file": 0,
    "_version": 0,
    "image": 1,
    "numeric": 2,
    # Stand on the floors below the core only, so that a sample opens without torch.
    "sample_data": 3,
    # So do objects and their measurements: they know arrays only.
    "instances": 3,
    "core": 3,
    "io": 4,
    "metrics": 4,
    "batch": 5,
    "cli": 6,
    "widgets": 6,
}
WINDOW_LIBRARIES = ("napari", "qtpy", "magicgui", "superqt")
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
PARTS = sorted({path.relative_to(ROOT).with_suffix("").parts[0] for path in FILES})


def part_of(dotted: str) -> str:
    """Name what stands on a floor: ``io`` for ``io.reading``, ``core`` for ``segment``."""
    home = napari_diffseg._HOMES.get(dotted.partition(".")[0], dotted)
    return home.partition(".")[0]


def imported_names(nodes: Iterator[ast.AST]) -> Iterator[str]:
    """Yield the full dotted name of everything that these nodes import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import hides its floor"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def run_on_import(node: ast.AST) -> Iterator[ast.AST]:
    """Walk what importing a module runs: no function bodies, nothing for type checkers."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        yield child
        yield from run_on_import(child)


def own_part(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after this statement."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert fresh.returncode == 0, fresh.stderr
    return set(fresh.stdout.split())


def files_of(part: str) -> list[Path]:
    return [path for path in FILES if own_part(path) == part]


@pytest.mark.parametrize("own", PARTS)
def test_a_floor_imports_only_floors_below(own: str) -> None:
    assert own in FLOORS, f"'{own}' is new: say here on which floor it stands"
    for path in files_of(own):
        for name in imported_names(ast.walk(TREES[path])):
            top, _, inside = name.partition(".")
            if top != PACKAGE or inside in ("", "__version__"):
                continue
            other = part_of(inside)
            assert other in FLOORS, f"{name}: say here on which floor '{other}' stands"
            if own == other or FLOORS[own] == FLOORS[other] == 0:
                continue
            assert FLOORS[other] < FLOORS[own], (
                f"{module_name(path)} (floor {FLOORS[own]}) imports {name} (floor {FLOORS[other]})"
            )


@pytest.mark.parametrize("own", [part for part in PARTS if part != "core"])
def test_torch_is_loaded_late_outside_the_core(own: str) -> None:
    for path in files_of(own):
        for name in imported_names(run_on_import(TREES[path])):
            top, _, inside = name.partition(".")
            said = f"{module_name(path)} imports {name} at module level"
            assert top != "torch", said
            assert top != PACKAGE or part_of(inside) != "core", f"{said}: it loads torch"


def test_importing_the_package_loads_neither_torch_nor_napari() -> None:
    loaded = loaded_by(f"import {PACKAGE}; {PACKAGE}.SegmentationParams, {PACKAGE}.InputError")
    assert not loaded & {"torch", *WINDOW_LIBRARIES}


def test_only_the_core_loads_torch_and_only_the_widgets_load_a_window_library() -> None:
    modules = [module_name(path) for path in FILES if own_part(path) not in ("core", "widgets")]
    loaded = loaded_by(f"import {', '.join(modules)}")
    assert not loaded & {"torch", *WINDOW_LIBRARIES}


def test_the_widgets_open_without_torch() -> None:
    modules = [module_name(path) for path in FILES if own_part(path) == "widgets"]
    assert "torch" not in loaded_by(f"import {', '.join([PACKAGE, *modules])}")


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import torch", ["torch"]),
        ("def late():\n    import torch", []),
        ("if TYPE_CHECKING:\n    from torch import nn", []),
        ("try:\n    import torch.nn\nexcept ImportError:\n    pass", ["torch.nn"]),
        ("class Eager:\n    from torch import nn", ["torch.nn"]),
    ],
)
def test_the_search_for_early_imports(source: str, names: list[str]) -> None:
    assert list(imported_names(run_on_import(ast.parse(source)))) == names
