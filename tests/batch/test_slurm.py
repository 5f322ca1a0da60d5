"""The script of docs/cluster.md, run as it stands there; in place of SLURM are two programs.

They take the same script of a job as SLURM's own, and start and end it on this machine.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from napari_diffseg import Model
from tests.batch.conftest import apply, contents

PAGE = Path(__file__).parents[2] / "docs/cluster.md"

SBATCH = f"""#!{sys.executable}
import pathlib, subprocess, sys
jobs = pathlib.Path(__file__).parent / "jobs"
script = pathlib.Path(sys.argv[1])
job = subprocess.Popen(["bash", script.name], cwd=script.parent, start_new_session=True,
                       stdout=subprocess.DEVNULL, stderr=(jobs / "errors").open("a"))
(jobs / f"{{job.pid}}.sh").write_text(script.read_text())
# Not gone until it is started: dask-jobqueue removes the script at once.
subprocess.run(["sleep", "0.2"])
print("Submitted batch job", job.pid)
"""

SCANCEL = f"""#!{sys.executable}
import os, signal, sys
for job in sys.argv[1:]:
    try:
        os.killpg(int(job), signal.SIGTERM)
    except ProcessLookupError:
        pass
"""


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the stand-ins where SLURM's programs are looked for; the scripts of the jobs."""
    programs = tmp_path / "bin"
    (programs / "jobs").mkdir(parents=True)
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    shell = Path(sys.executable).parent  # where napari-diffseg is
    monkeypatch.setenv("PATH", f"{programs}:{shell}:{os.environ['PATH']}")
    return programs / "jobs"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    [text] = [
        block
        for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
        if "SLURMCluster" in block
    ]
    path = tmp_path / "on_slurm.py"
    path.write_text(text)
    return path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "labels.ome.zarr"


@pytest.fixture
def command(script: Path, model_file: Path, movie: Path, output: Path) -> list[str]:
    return [sys.executable, str(script), str(model_file), str(movie), "-o", str(output)]


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.mark.slow
def test_the_script_of_the_page_labels_on_jobs_that_end_with_it(
    jobs: Path, command: list[str], output: Path, model: Model, movie: Path, tmp_path: Path
) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr + (jobs / "errors").read_text()
    apply(model, movie, tmp_path / "here.ome.zarr")
    assert contents(output) == contents(tmp_path / "here.ome.zarr")
    submitted = list(jobs.glob("*.sh"))
    assert submitted
    for job in submitted:
        text = job.read_text()
        assert "#SBATCH --cpus-per-task=1" in text
        assert "#SBATCH --mem=" in text
        assert "#SBATCH -t " in text
    end = time.monotonic() + 20
    while any(is_running(int(job.stem)) for job in submitted) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(is_running(int(job.stem)) for job in submitted)


@pytest.mark.slow
def test_a_script_that_was_killed_is_started_again(
    jobs: Path, command: list[str], output: Path, model: Model, movie: Path, tmp_path: Path
) -> None:
    work = tmp_path / f".{output.name}.part"
    run = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
        start_new_session=True,
    )
    end = time.monotonic() + 200
    while not list(work.glob("*/done/*")) and run.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    subprocess.run([*command, "--resume"], check=True, capture_output=True, timeout=300)
    apply(model, movie, tmp_path / "here.ome.zarr")
    assert contents(output) == contents(tmp_path / "here.ome.zarr")
    for job in jobs.glob("*.sh"):  # those of the killed script would end by themselves in a minute
        subprocess.run(["scancel", job.stem], check=True)
