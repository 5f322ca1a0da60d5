"""What the measurement ran on, how much memory it took, and where results are kept."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def machine_facts() -> dict[str, Any]:
    """Return versions, processor, threads and commit."""
    # Not above: a process that measures a method loads no more than the method.
    import numpy as np
    import skimage
    import torch

    import napari_diffseg

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
    return _status_mb("VmHWM")


def resident_memory_mb() -> float:
    """Return the resident size of this process now, in MB (Linux)."""
    return _status_mb("VmRSS")


def _status_mb(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"/proc/self/status has no {field} line.")


def markdown_table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table; the keys of all rows are the columns."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
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


def merge_results(
    name: str, tables: dict[str, list[dict[str, Any]]], key: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Put rows into the tables that are kept, in the place of those of the same key; return all.

    Each row names the run that made it, and the runs are listed with command, machine and
    commit: a row that this run has not made stays as it is, and says so.
    """
    file = RESULTS / f"{name}.json"
    kept = json.loads(file.read_text()) if file.exists() else {"runs": {}, "tables": {}}
    runs = kept["runs"]
    number = str(1 + max(map(int, runs), default=0))
    words = ["python", "-m", f"benchmarks.{name}", *sys.argv[1:]]
    runs[number] = {"command": shlex.join(words), **machine_facts()}
    for title, rows in tables.items():
        table = {_key(row, key): row for row in kept["tables"].get(title, [])}
        table |= {_key(row, key): {**row, "run": number} for row in rows}
        kept["tables"][title] = list(table.values())
    used = {row["run"] for rows in kept["tables"].values() for row in rows}
    kept["runs"] = {number: facts for number, facts in runs.items() if number in used}
    file.write_text(json.dumps(kept, indent=1) + "\n")
    parts = [f"# {name}", *(_run_line(*run) for run in kept["runs"].items())]
    parts += [f"## {title}\n\n{markdown_table(rows)}" for title, rows in kept["tables"].items()]
    text = "\n\n".join(parts) + "\n"
    file.with_suffix(".md").write_text(text)
    print(text)
    kept_tables: dict[str, list[dict[str, Any]]] = kept["tables"]
    return kept_tables


def _key(row: dict[str, Any], columns: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row.get(column) for column in columns)


def _run_line(number: str, facts: dict[str, Any]) -> str:
    rest = ", ".join(f"{key}: {value}" for key, value in facts.items() if key != "command")
    return f"run {number}: `{facts['command']}`; {rest}"
