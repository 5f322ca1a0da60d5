"""Write the table of parameters in docs/method.md from the dataclass: nothing is typed twice.

python scripts/parameter_table.py
"""

from __future__ import annotations

from pathlib import Path

from napari_diffseg.params import SegmentationParams

PAGE = Path(__file__).parents[1] / "docs" / "method.md"
BEGIN, END = "<!-- parameters: begin -->\n", "<!-- parameters: end -->\n"


def parameter_table() -> str:
    """Return the Markdown table of all parameters with both presets."""
    paper = SegmentationParams.paper().to_dict()
    lines = [
        "| parameter | symbol | default | `paper` | allowed | what it does |",
        "|---|---|---|---|---|---|",
    ]
    for spec in SegmentationParams.specs():
        unit = f" {spec.unit}" if spec.unit else ""
        cells = (
            f"`{spec.name}`",
            spec.symbol,
            f"{spec.default}{unit}",
            f"{paper[spec.name]}{unit}",
            spec.range_text,
            spec.about(),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def with_table(page: str) -> str:
    """Return the page with the table between its two marks made anew."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + parameter_table() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
