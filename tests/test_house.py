"""The measures of the house: how long a file and a class may be, how full a room, no circles."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import napari_diffseg

ROOT = Path(napari_diffseg.__file__).parent
PACKAGE = ROOT.name
FILES = sorted(ROOT.rglob("*.py"))

FILE_LINES, CLASS_LINES, FUNCTION_LINES, ROOM_FILES = 400, 250, 40, 15


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def here(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def run_at_some_time(node: ast.AST) -> Iterator[ast.AST]:
    """Walk all that can ever run: bodies of functions too, nothing for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        yield child
        yield from run_at_some_time(child)


def imports_of(tree: ast.AST) -> set[str]:
    """Modules of this package that a module imports, at its head or within a function."""
    found = set()
    for node in run_at_some_time(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in MODULES else str(node.module))
    return found & MODULES.keys() - {PACKAGE}


def circles(graph: dict[str, set[str]]) -> set[frozenset[str]]:
    """Groups of modules each of which is reached from each other one."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        ahead = list(graph[start])
        while ahead:
            one = ahead.pop()
            if one not in seen:
                seen.add(one)
                ahead += graph[one]
        return seen

    reach = {name: reached(name) for name in graph}
    return {
        frozenset(other for other in reach[name] if name in reach[other])
        for name in graph
        if name in reach[name]
    }


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def length(node: ast.ClassDef | ast.FunctionDef, *, with_docstring: bool) -> int:
    text = node.body[0]
    is_docstring = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    lines = (node.end_lineno or 0) - node.lineno + 1
    if with_docstring or not is_docstring:
        return lines
    return lines - ((text.end_lineno or 0) - text.lineno + 1)


def sizes() -> Iterator[tuple[str, int, int]]:
    """Yield what is measured, its size, and the limit."""
    for path in FILES:
        yield here(path), lines_of(path), FILE_LINES
        for node in ast.walk(MODULES[module_name(path)]):
            if isinstance(node, ast.ClassDef):
                size = length(node, with_docstring=True)
                yield f"{here(path)}:{node.name}", size, CLASS_LINES
            if isinstance(node, ast.FunctionDef):
                size = length(node, with_docstring=False)
                yield f"{here(path)}:{node.name}", size, FUNCTION_LINES
    for room in sorted({path.parent for path in FILES}):
        yield here(room), len(list(room.glob("*.py"))), ROOM_FILES


def test_nothing_is_too_large_to_be_read_in_one_go() -> None:
    too_large = [
        f"{name} has {size}, where {limit} is the most"
        for name, size, limit in sizes()
        if size > limit
    ]
    assert not too_large, "divide it by subject"


def test_only_the_shell_names_its_switches() -> None:
    """An error holds for every door; the shell adds its own way out to it (`Remedy`)."""
    of_the_shell = (
        "napari_diffseg.cli",
        "napari_diffseg.batch.recipe",
        "napari_diffseg.widgets.demo",
    )
    named = [
        f"{name}:{node.lineno} {node.value}"
        for name, tree in MODULES.items()
        if not name.startswith(of_the_shell)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and re.search(r"(^|[ (`])--[a-z]", str(node.value))
    ]
    assert not named


def test_no_modules_import_each_other_in_a_circle() -> None:
    found = circles({name: imports_of(tree) for name, tree in MODULES.items()})
    assert not [sorted(one) for one in found]


@pytest.mark.parametrize(
    ("graph", "found"),
    [
        ({"a": {"b"}, "b": set()}, []),
        ({"a": {"b"}, "b": {"a"}}, [{"a", "b"}]),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}, [{"a", "b", "c"}]),
    ],
)
def test_the_search_for_circles(graph: dict[str, set[str]], found: list[set[str]]) -> None:
    assert circles(graph) == {frozenset(one) for one in found}
