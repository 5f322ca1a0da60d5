"""What the measurement ran on, how much memory it took, and where results are kept."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import skimage
import torch

import napari_diffseg

RESULTS = Path(__file__).parent / "results"


def machine_facts() -> dict[str, Any]:
    """Return versions, processor, threads and commit."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "threads": torch.get_num_threads(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scikit-image": skimage.__version__,
        "napari-diffseg": napari_diffseg.__version__,
        "commit": commit.stdout.strip() or None,
    }


def reset_peak_memory() -> None:
    """Forget the peak so far, so that `peak_memory_mb` tells of what comes next (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb() -> float:
    """Return the largest resident size since `reset_peak_memory`, in MB (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status has no VmHWM line.")


def markdown_table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table; the first row's keys are the columns."""
    columns = list(rows[0])
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(str(row.get(column, "")) for column in columns) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def write_results(name: str, tables: dict[str, list[dict[str, Any]]]) -> None:
    """Print the tables and keep them as ``results/<name>.json`` and ``.md``."""
    facts = machine_facts()
    parts = [f"# {name}", ", ".join(f"{key}: {value}" for key, value in facts.items())]
    parts += [f"## {title}\n\n{markdown_table(rows)}" for title, rows in tables.items()]
    text = "\n\n".join(parts) + "\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text)
    content = {"machine": facts, "tables": tables}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    print(text)
