"""The documentation says what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from napari_diffseg import cli

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
        r"`((?:core|images|io|metrics|widgets|tests|benchmarks)/[\w/]+\.py)`",
        page.read_text(encoding="utf-8"),
    ):
        assert (ROOT / name).exists() or (ROOT / "src/napari_diffseg" / name).exists(), name


def test_the_commands_of_the_readme_are_known(capsys):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^napari-diffseg (\w+)", readme, re.MULTILINE)
    assert set(commands) == {"segment", "info"}
    for command in commands:
        with pytest.raises(SystemExit) as end:
            cli.main([command, "--help"])
        assert end.value.code == 0
    options = set(
        re.findall(r"(--[a-z-]+)", "\n".join(re.findall(r"^napari-diffseg .*", readme, re.M)))
    )
    with pytest.raises(SystemExit):
        cli.main(["segment", "--help"])
    assert options - {"--help"} <= set(re.findall(r"--[a-z-]+", capsys.readouterr().out))


def test_the_python_of_the_readme_runs():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    names: dict = {}
    exec(compile(example, "README.md", "exec"), names)
    assert names["result"].labels.shape == (512, 512)
