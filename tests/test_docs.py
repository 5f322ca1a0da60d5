"""The documentation says what the program does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_diffseg import ObjectParams, cli
from napari_diffseg.sample_data import layers

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_table_of_parameters_is_the_dataclass():
    source = (ROOT / "scripts" / "parameter_table.py").read_text(encoding="utf-8")
    script: dict = {"__file__": str(ROOT / "scripts" / "parameter_table.py"), "__name__": "table"}
    exec(compile(source, "parameter_table.py", "exec"), script)
    page = script["PAGE"].read_text(encoding="utf-8")
    assert script["with_table"](page) == page, "run python scripts/parameter_table.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_repository_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page):
    for name in re.findall(
        r"`((?:core|image|numeric|batch|cli|instances|io|metrics|widgets|tests|benchmarks)/[\w/]+\.py)`",
        page.read_text(encoding="utf-8"),
    ):
        assert (ROOT / name).exists() or (ROOT / "src/napari_diffseg" / name).exists(), name


def command_lines(page: Path) -> list[list[str]]:
    """The lines of a page that call the program, as words."""
    text = page.read_text(encoding="utf-8")
    lines = re.findall(r"^napari-diffseg (\w.*)", text, re.MULTILINE)
    return [line.partition("#")[0].split() for line in lines]


def test_the_readme_shows_every_command():
    shown = {line[0] for line in command_lines(ROOT / "README.md")}
    assert shown == {"segment", "train", "apply", "objects", "measure", "export", "card", "info"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_the_pages_are_known(page, capsys):
    for command, *words in command_lines(page):
        with pytest.raises(SystemExit) as end:
            cli.main([command, "--help"])
        assert end.value.code == 0
        known = re.findall(r"--[a-z-]+", capsys.readouterr().out)
        assert {word for word in words if word.startswith("--")} <= set(known)


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert len(examples) == 2
    names: dict = {}
    for example in examples:
        exec(compile(example, "README.md", "exec"), names)
    assert names["result"].labels.shape == (512, 512)
    assert (tmp_path / "cell.safetensors").exists()


def test_the_python_of_the_page_on_tissue_runs():
    page = (ROOT / "docs" / "tissue.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict = {}
    exec(compile(example, "tissue.md", "exec"), names)
    assert sum(names["shares"].values()) == pytest.approx(1)
    assert 0.2 < names["of_tissue"] < 0.8


@pytest.mark.slow
def test_the_site_builds_and_every_link_leads_somewhere(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    assert "napari_diffseg.segment" in (tmp_path / "reference" / "index.html").read_text()


@pytest.mark.parametrize("page", ["z-stack.md", "several-channels.md"])
def test_the_python_of_the_guides_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # A part of the volume does as well, and is quicker.
    part = [(pixels[:, :64], *rest) for pixels, *rest in layers.simulated_stack()]
    monkeypatch.setattr(layers, "simulated_stack", lambda: part)
    guide = (ROOT / "docs" / page).read_text(encoding="utf-8")
    [example] = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    names: dict = {}
    exec(compile(example, page, "exec"), names)
    assert set(np.unique(names["result"].labels)) == set(np.unique(names["strokes"])) - {0}


def test_the_python_of_the_page_on_objects_runs():
    page = (ROOT / "docs" / "objects.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict = {}
    exec(compile(example, "objects.md", "exec"), names)
    # As many as the truth has, or nearly.
    assert abs(names["nuclei"].max() - names["truth"].max()) <= 3
    assert (names["table"]["class"] == 2).all()


def test_the_python_of_the_page_on_export_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict = {}
    exec(compile(example, "export.md", "exec"), names)
    assert {path.name for path in names["paths"]} == {
        "result labels.ome.tif",
        "result mask 1 background.ome.tif",
        "result mask 2 nucleus.ome.tif",
        "result objects.ome.tif",
        "result objects.csv",
        "result summary.csv",
    }


def test_the_page_on_objects_names_every_parameter():
    page = (ROOT / "docs" / "objects.md").read_text(encoding="utf-8")
    for spec in ObjectParams.specs():
        assert f"*{spec.title}*" in page, spec.title
