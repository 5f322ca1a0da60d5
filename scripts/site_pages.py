"""A hook of mkdocs: the tables of the benchmarks, which lie outside docs/, are pages too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, InclusionLevel

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
ABOVE, WITHIN = "](../benchmarks/results/", "](results/"


def on_files(files: Any, config: Any) -> Any:
    """Add the results."""
    for table in sorted(RESULTS.glob("*.md")):
        page = File.generated(config, f"results/{table.name}", content=table.read_text("utf-8"))
        page.inclusion = InclusionLevel.NOT_IN_NAV
        files.append(page)
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Lead the links of the pages there."""
    return markdown.replace(ABOVE, WITHIN)
