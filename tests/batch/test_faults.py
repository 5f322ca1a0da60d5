"""Runs that are killed at any moment, that lose a worker, that meet a full disk."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread, current_thread
from typing import Any

import pytest

from napari_diffseg import Model
from napari_diffseg.batch import run, work
from napari_diffseg.batch.plan import output_kind
from napari_diffseg.batch.run import apply_stack
from napari_diffseg.errors import OutputError
from napari_diffseg.io.label_files.label_store import LabelStore
from tests.batch.conftest import FORMATS, N_FRAMES, apply, contents, leftovers, result_of

Contents = dict[str, dict[str, bytes | None]]

PROGRAM = [sys.executable, "-c", "from napari_diffseg.cli import main; raise SystemExit(main())"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


class Killed(BaseException):
    """Ends a run as a kill does; nothing catches it."""


def dies_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the program die before its next change of a file's name, counted from 0."""
    left = [step]

    def deadly(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return change(*args, **kwargs)

        return changed

    for name in ("replace", "rename", "touch", "rmdir"):
        monkeypatch.setattr(Path, name, deadly(getattr(Path, name)))
    monkeypatch.setattr(shutil, "rmtree", deadly(shutil.rmtree))


@pytest.mark.slow
@pytest.mark.parametrize("inputs", FORMATS, indirect=True)
def test_a_run_that_dies_at_any_step_is_finished_with_the_same_bytes(
    model: Model,
    inputs: Path,
    tmp_path: Path,
    undisturbed: Contents,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    name = request.node.callspec.params["inputs"]
    stride = 5 if name == "out" else 1  # a folder has many steps that are alike
    step, died = 0, True
    while died:
        home = tmp_path / str(step)
        home.mkdir()
        died = False
        with monkeypatch.context() as patch:
            dies_at(step, patch)
            try:
                apply(model, inputs, home / name, table=home / "areas.csv")
            except Killed:
                died = True
        if died:
            again = apply(model, inputs, home / name, table=home / "areas.csv", resume=True)
            assert again.failed == ()
        assert contents(home / name) == undisturbed[name], f"died before step {step}"
        assert leftovers(home) == [], f"died before step {step}"
        assert (home / "areas.csv").read_bytes() == (tmp_path / "0" / "areas.csv").read_bytes()
        step += stride
    assert step > 2 * N_FRAMES


@pytest.mark.parametrize("step", [12, 25])
def test_a_run_that_dies_again_and_again(
    model: Model,
    movie: Path,
    tmp_path: Path,
    undisturbed: Contents,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:
    for _ in range(100):
        with monkeypatch.context() as patch:
            dies_at(step, patch)
            try:
                apply(model, movie, tmp_path / "out.ome.tif", resume=True)
                break
            except Killed:
                pass
    assert contents(tmp_path / "out.ome.tif") == undisturbed["out.ome.tif"]


def command(model_file: Path, inputs: Path, output: Path, *more: str) -> list[str]:
    return [*PROGRAM, "apply", str(model_file), str(inputs), "-o", str(output), "--quiet", *more]


def wait_until(condition: Callable[[], bool], program: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 180
    while not condition() and program.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def n_done(folder: Path) -> int:
    try:
        return len(list(folder.rglob("done/[0-9]*.json")))
    except FileNotFoundError:  # a run at its end takes its folders away meanwhile
        return 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize(
    ("inputs", "kills"),
    list(zip(FORMATS, ([0, 3], [1], [2, 5]), strict=True)),
    indirect=["inputs"],
)
def test_a_process_that_was_killed_is_finished_by_another(
    model_file: Path,
    inputs: Path,
    kills: list[int],
    tmp_path: Path,
    undisturbed: Contents,
    request: pytest.FixtureRequest,
) -> None:
    name = request.node.callspec.params["inputs"]
    for n in kills:
        program = subprocess.Popen(
            command(model_file, inputs, tmp_path / name, "--resume", "--workers", "2"),
            env=ENVIRONMENT,
        )
        wait_until(lambda n=n: n_done(tmp_path) >= n and any(tmp_path.iterdir()), program)
        program.kill()
        program.wait()
    last = subprocess.run(
        command(model_file, inputs, tmp_path / name, "--resume"),
        env=ENVIRONMENT,
        capture_output=True,
        check=False,
    )
    assert (last.returncode, last.stderr) == (0, b"")
    assert contents(tmp_path / name) == undisturbed[name]
    assert leftovers(tmp_path) == []


def has_processes(group: int) -> bool:
    """Whether a process of a group is at work."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no signal to send")
@pytest.mark.parametrize(
    ("sent", "start"),
    [
        ([signal.SIGINT], signal.SIG_DFL),
        ([signal.SIGINT], signal.SIG_IGN),  # as in a script's `command &`
        ([signal.SIGINT, signal.SIGINT], signal.SIG_DFL),
        ([signal.SIGTERM], signal.SIG_DFL),
        ([signal.SIGKILL], signal.SIG_DFL),
    ],
    ids=["Ctrl-C", "ignored", "twice", "terminated", "killed"],
)
@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_a_run_that_is_stopped_keeps_the_frames_that_are_done(
    model_file: Path,
    movie: Path,
    tmp_path: Path,
    undisturbed: Contents,
    scheduler: str,
    sent: list[signal.Signals],
    start: signal.Handlers,
) -> None:
    """And no worker of it goes on."""
    output = tmp_path / "out.ome.zarr"
    program = subprocess.Popen(
        command(model_file, movie, output, "--workers", "1", "--scheduler", scheduler),
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, start),
    )
    wait_until(lambda: n_done(tmp_path) >= 1, program)
    begun = time.monotonic()
    for number in sent:
        # A terminal sends it to the workers too, others do not.
        (os.killpg if number == signal.SIGINT else os.kill)(program.pid, number)
    _, printed = program.communicate(timeout=60)
    assert time.monotonic() - begun < 5
    while has_processes(program.pid):
        assert time.monotonic() - begun < 10
        time.sleep(0.01)
    if sent == [signal.SIGKILL]:
        assert program.returncode == -signal.SIGKILL
    else:
        words = "stopped; the frames that are done are kept: run again with --resume."
        ended = program.returncode, printed.decode()
        assert ended == (128 + sent[0], f"napari-diffseg: {words}\n")
    last = subprocess.run(command(model_file, movie, output, "--resume"), env=ENVIRONMENT)
    assert last.returncode == 0
    assert contents(output) == undisturbed["out.ome.zarr"]
    assert leftovers(tmp_path) == []


def test_where_a_folder_cannot_be_renamed_the_journal_goes_all_the_same(
    model: Model, movie: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows renames none in which a file is open, by a scanner of viruses for example."""
    replaced = Path.replace

    def replace_not(self: Path, target: Path) -> Path:
        if target.name.startswith("trash-") and target.parent.name.endswith(".part"):
            raise PermissionError(13, "Access is denied")
        return replaced(self, target)

    monkeypatch.setattr(Path, "replace", replace_not)
    assert apply(model, movie, tmp_path / "out.ome.zarr").done == N_FRAMES
    assert leftovers(tmp_path) == []


# --- full disk ---------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS[:2])
@pytest.mark.parametrize("room", range(0, 40, 3))
def test_a_disk_that_fills_up(
    model: Model,
    movie: Path,
    tmp_path: Path,
    undisturbed: Contents,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    room: int,
) -> None:
    (tmp_path / "free").mkdir()
    with monkeypatch.context() as patch:
        left = fills_up(1000, patch)
        apply(model, movie, tmp_path / "free" / name)
    n_written = 1000 - left[0]
    assert n_written > N_FRAMES
    with monkeypatch.context() as patch:
        fills_up(room, patch)
        if room >= n_written:
            apply(model, movie, tmp_path / name)
        else:
            with pytest.raises(OutputError, match=r"cannot be written.*(space|full)"):
                apply(model, movie, tmp_path / name)
    if room < n_written:
        assert not (tmp_path / name).exists()
        apply(model, movie, tmp_path / name, resume=True)
    assert contents(tmp_path / name) == undisturbed[name]
    assert leftovers(tmp_path) == []


def fills_up(room: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let so many files be opened for writing, and then say that the disk is full.

    Return how many are left, as a list of one.
    """
    left = [room]
    opened = Path.open

    def open_path(self: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if set(mode) & set("wxa+") and self.name != "lock":
            left[0] -= 1
            if left[0] < 0:
                raise OSError(28, "No space left on device")
        return opened(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", open_path)
    return left


# --- workers -----------------------------------------------------------------------


@pytest.mark.slow
def test_processes_give_the_same_bytes(
    model: Model, folder: Path, tmp_path: Path, undisturbed: Contents
) -> None:
    report = apply(model, folder, tmp_path / "out", scheduler="processes", workers=2)
    assert report.done == N_FRAMES
    assert contents(tmp_path / "out") == undisturbed["out"]
    assert leftovers(tmp_path) == []


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, memory_limit=0, dashboard_address=":0", protocol="tcp"
    ) as cluster:
        yield cluster


@pytest.mark.parametrize("name", FORMATS[:2])
def test_a_cluster_gives_the_same_bytes(
    cluster: Any, model: Model, movie: Path, tmp_path: Path, undisturbed: Contents, name: str
) -> None:
    apply(model, movie, tmp_path / name, scheduler=cluster.scheduler_address)
    assert contents(tmp_path / name) == undisturbed[name]


@pytest.mark.slow
def test_a_worker_of_a_cluster_is_killed_in_mid_run(
    cluster: Any, model: Model, movie: Path, tmp_path: Path, undisturbed: Contents
) -> None:
    output = tmp_path / "out.ome.zarr"
    steps = apply_stack(model, movie, output, scheduler=cluster.scheduler_address)
    next(steps), next(steps)
    worker = next(iter(cluster.workers.values()))
    os.kill(worker.pid, signal.SIGKILL)
    report = result_of(steps)
    assert (report.done, report.failed) == (N_FRAMES, ())
    assert contents(output) == undisturbed["out.ome.zarr"]


def test_a_run_is_closed_on_a_cluster_and_finished_on_threads(
    cluster: Any, model: Model, movie: Path, tmp_path: Path, undisturbed: Contents
) -> None:
    output = tmp_path / "out.ome.tif"
    steps = apply_stack(model, movie, output, scheduler=cluster.scheduler_address)
    next(steps), next(steps)
    steps.close()
    apply(model, movie, output, resume=True)
    assert contents(output) == undisturbed["out.ome.tif"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no signal to send")
def test_ctrl_c_ends_a_run_on_a_cluster_whose_workers_let_it_go(
    cluster: Any, model_file: Path, movie: Path, tmp_path: Path, undisturbed: Contents
) -> None:
    output = tmp_path / "out.ome.zarr"
    program = subprocess.Popen(
        command(model_file, movie, output, "--scheduler", cluster.scheduler_address),
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
    )
    wait_until(lambda: n_done(tmp_path) >= 1, program)
    begun = time.monotonic()
    program.send_signal(signal.SIGINT)
    _, printed = program.communicate(timeout=60)
    assert time.monotonic() - begun < 5
    words = "stopped; the frames that are done are kept: run again with --resume."
    assert (program.returncode, printed.decode()) == (130, f"napari-diffseg: {words}\n")
    # What nobody waits for any more is not begun, and the cluster is free for others.
    while cluster.scheduler.tasks:
        assert time.monotonic() - begun < 20
        time.sleep(0.05)
    assert not output.exists()
    apply_again = command(model_file, movie, output, "--resume")
    assert subprocess.run(apply_again, env=ENVIRONMENT).returncode == 0
    assert contents(output) == undisturbed["out.ome.zarr"]
    assert leftovers(tmp_path) == []


def test_a_worker_that_sees_other_files_is_one_sentence(
    model: Model, movie: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = work.apply_unit

    def elsewhere(job: work.Job, *args: Any, **kwargs: Any) -> Any:
        journal = replace(job.journal, work=tmp_path / "elsewhere")
        return real(replace(job, journal=journal), *args, **kwargs)

    monkeypatch.setattr(run, "apply_unit", elsewhere)
    with pytest.raises(Exception, match="must have the same files under the same names"):
        apply(model, movie, tmp_path / "out.ome.zarr")


def test_what_a_straggler_writes_after_the_end_does_no_harm(
    model: Model,
    movie: Path,
    tmp_path: Path,
    undisturbed: Contents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker elsewhere may not hear that its run was closed, and a new one begun."""
    output = tmp_path / "out.ome.zarr"
    jobs = []
    real = work.apply_unit

    def noted(job: work.Job, unit: Any, **more: Any) -> Any:
        jobs.append((job, unit))
        return real(job, unit, **more)

    monkeypatch.setattr(run, "apply_unit", noted)
    other = apply_stack(model, movie, output, workers=1)
    next(other), next(other)
    other.close()
    again = apply_stack(model, movie, output, workers=1, force=True)
    next(again), next(again)
    with pytest.raises(Exception, match="cannot see"):
        real(*jobs[0])
    result_of(again)
    assert contents(output) == undisturbed["out.ome.zarr"]
    assert output_kind(output) == "zarr"


@pytest.mark.parametrize("how", ["resume", "force"])
@pytest.mark.parametrize("inputs", FORMATS, indirect=True)
def test_a_worker_at_its_frame_while_another_run_finishes_writes_nothing(
    model: Model,
    inputs: Path,
    tmp_path: Path,
    undisturbed: Contents,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    how: str,
) -> None:
    name = request.node.callspec.params["inputs"]
    jobs, asked, told = [], Event(), Event()
    real, write = work.apply_unit, LabelStore.write

    def noted(job: work.Job, unit: Any, **more: Any) -> Any:
        jobs.append((job, unit))
        return real(job, unit, **more)

    def late_write(*args: Any) -> None:
        if current_thread().name == "late":
            asked.set()
            told.wait()
        write(*args)

    monkeypatch.setattr(run, "apply_unit", noted)
    monkeypatch.setattr(LabelStore, "write", late_write)
    steps = apply_stack(model, inputs, tmp_path / name, workers=1)
    next(steps), next(steps)
    ends = []

    def straggle() -> None:
        with pytest.raises(OutputError, match="cannot be written: No such file"):
            real(*jobs[0])
        ends.append("refused")

    straggler = Thread(target=straggle, name="late")
    straggler.start()
    asked.wait()
    steps.close()
    apply(model, inputs, tmp_path / name, **{how: True})
    told.set()
    straggler.join()
    assert ends == ["refused"]
    assert contents(tmp_path / name) == undisturbed[name]
    assert leftovers(tmp_path) == []
