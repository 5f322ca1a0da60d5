from __future__ import annotations

import errno
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, active_count
from typing import Any

import pytest

from napari_diffseg.batch import schedulers
from napari_diffseg.batch.schedulers import check_scheduler, run_units
from napari_diffseg.errors import ClusterError, InputError, ParameterError


def square(number: int, stopped: Callable[[], bool] | None = None) -> int:
    return number**2


def linger(number: int, stopped: Callable[[], bool] = lambda: False) -> int:
    for _ in range(40):
        if not stopped():
            time.sleep(0.01)
    return number


def who(number: int) -> tuple[int, int]:
    time.sleep(0.01)
    return number, os.getpid()


def refuse(number: int, stopped: Callable[[], bool] | None = None) -> int:
    if number == 3:
        raise InputError("not three")
    return number


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def needs_more(number: int) -> int:
    raise ModuleNotFoundError("No module named 'napari_diffseg'")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two workers that is there already."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0", protocol="tcp"
    ) as cluster:
        yield cluster.scheduler_address


@pytest.mark.parametrize("n_workers", [1, 3])
def test_every_unit_is_done_once_on_threads(n_workers: int) -> None:
    assert sorted(run_units(range(20), square, "threads", n_workers)) == [n**2 for n in range(20)]


def test_every_unit_is_done_once_in_processes_that_end() -> None:
    results = list(run_units(range(20), who, "processes", 2))
    assert sorted(number for number, _ in results) == list(range(20))
    pids = {pid for _, pid in results}
    assert os.getpid() not in pids
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_every_unit_is_done_once_on_a_cluster(address: str) -> None:
    assert sorted(run_units(range(20), square, address)) == [n**2 for n in range(20)]


@pytest.mark.slow
def test_units_of_a_killed_worker_are_done_by_another() -> None:
    seen = []
    for number, pid in run_units(range(40), who, "processes", 2):
        seen.append(number)
        if len(seen) in (5, 15):
            os.kill(pid, signal.SIGKILL)
    assert sorted(seen) == list(range(40))


def test_a_unit_that_kills_every_worker_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedulers, "DEATHS", 0)
    with pytest.raises(ClusterError, match="every worker that had it died"):
        list(run_units(range(1), die, "processes", 1))


class Ends:
    """Kills whoever reads it: a worker dies of it before it says that it has begun."""

    def __reduce__(self) -> Any:
        return os._exit, (1,)


def test_workers_that_die_as_they_begin_are_no_fault_of_a_script_once_others_began(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schedulers, "DEATHS", 1)
    begin, n_pools = schedulers._begin_worker, itertools.count()
    pool_of = schedulers.ProcessPoolExecutor

    def pool(n: int, context: Any, _: Any, told: tuple[Any, ...]) -> Any:
        return pool_of(n, context, begin, told if next(n_pools) == 0 else (*told, Ends()))

    monkeypatch.setattr(schedulers, "ProcessPoolExecutor", pool)
    with pytest.raises(ClusterError, match="every worker that had it died"):
        list(run_units(range(1), die, "processes", 1))
    assert next(n_pools) == 2


def test_a_system_that_gives_no_more_processes_is_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse_it(*_: Any) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.util.spawnv_passfds", refuse_it)
    with pytest.raises(ClusterError, match=r"begun \(Resource temporarily .* or threads\.$"):
        list(run_units(range(3), abs, "processes", 2))


def refuse_a_parameter(number: int) -> int:
    raise ParameterError("n_labels", "n_labels is too many.")


def test_an_error_comes_whole_from_a_process() -> None:
    with pytest.raises(ParameterError, match="too many") as raised:
        list(run_units(range(2), refuse_a_parameter, "processes", 1))
    assert raised.value.field == "n_labels"


@pytest.mark.parametrize("scheduler", ["threads", "cluster"])
def test_units_are_asked_for_as_they_can_be_handed_out(scheduler: str, address: str) -> None:
    asked = []

    def units() -> Iterator[int]:
        for number in range(100):
            asked.append(number)
            yield number

    results = run_units(units(), square, address if scheduler == "cluster" else scheduler, 2)
    for n_results in range(1, 11):
        next(results)
        assert len(asked) <= n_results + 4
    results.close()
    assert len(asked) < 100


@pytest.mark.parametrize("scheduler", ["threads", "cluster"])
def test_an_error_of_a_unit_comes_through(scheduler: str, address: str) -> None:
    with pytest.raises(InputError, match="not three"):
        list(run_units(range(9), refuse, address if scheduler == "cluster" else scheduler, 2))


def test_closing_ends_the_threads_and_tells_what_is_under_way() -> None:
    before, left = active_count(), []
    running = Event()

    def slow(number: int, stopped: Callable[[], bool]) -> int:
        if number == 0:
            return 0
        running.set()
        while not stopped():
            time.sleep(0.001)
        left.append(number)
        return number

    results = run_units(range(100), slow, "threads", 2)
    assert next(results) == 0
    running.wait()
    results.close()
    assert active_count() == before
    assert 1 <= len(left) <= 2


@pytest.mark.parametrize("scheduler", ["threads", "processes", "cluster"])
def test_while_nothing_ends_there_are_pulses_at_which_a_run_can_be_closed(
    scheduler: str, address: str
) -> None:
    place = address if scheduler == "cluster" else scheduler
    results = run_units(range(100), linger, place, 2, pulse=0.05)
    begun = time.monotonic()
    assert next(results) is None
    results.close()
    assert time.monotonic() - begun < 1
    found = list(run_units(range(3), linger, place, 2, pulse=0.05))
    assert None in found
    assert sorted(one for one in found if one is not None) == [0, 1, 2]


def test_a_cluster_is_there_after_the_run_was_closed(address: str) -> None:
    results = run_units(range(100), square, address)
    next(results)
    results.close()
    assert len(list(run_units(range(5), square, address))) == 5


def test_a_scheduler_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(schedulers, "PATIENCE", 1)
    with socket.socket() as silent:  # bound, but nobody listens
        silent.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ClusterError, match=r"cannot be reached; check the address"):
            list(run_units(range(3), square, address))


def test_a_scheduler_that_is_lost_is_one_sentence() -> None:
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0", protocol="tcp"
    )
    results = run_units(range(100), square, cluster.scheduler_address)
    next(results)
    cluster.close()
    with pytest.raises(ClusterError, match=r"was lost; .* run again\.$"):
        list(results)


def test_a_worker_without_this_package_is_one_sentence(address: str) -> None:
    with pytest.raises(ClusterError, match=r"install the same\s+version"):
        list(run_units(range(1), needs_more, address))


@pytest.mark.parametrize("name", ["", "fast", "localhost:8786", "thread"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ParameterError, match="must be 'threads', 'processes' or the address"):
        check_scheduler(name)


def test_dask_is_asked_for_only_where_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_package(name: str) -> Any:
        return None

    monkeypatch.setattr(schedulers, "find_spec", no_package)
    check_scheduler("threads")
    check_scheduler("processes")
    with pytest.raises(ClusterError, match=r"pip install 'napari-diffseg\[cluster\]'"):
        check_scheduler("tcp://here:8786")


def test_a_worker_listens_for_the_end_of_the_program_before_it_loads_much() -> None:
    """What is being loaded when a program is killed would be loaded to its end first."""
    loaded = "sorted({'numpy', 'torch', 'zarr', 'distributed'} & set(__import__('sys').modules))"
    assert list(run_units([loaded], eval, "processes", 1)) == [[]]


@pytest.mark.slow
def test_a_script_that_workers_cannot_read_is_one_sentence(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from napari_diffseg.batch.schedulers import run_units\n"
        "print(list(run_units(range(3), abs, 'processes', 1)))\n"
    )
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert "must do so below if __name__ == '__main__'" in ended.stderr.splitlines()[-1]
