"""Where units of work are done: on threads, in processes of this machine, or on a cluster.

Only so many units are handed out at a time that every worker has one at hand and one to
come; memory therefore does not grow with their number. dask is loaded only where it is used.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice
from threading import Event
from typing import Any, TypeVar

from napari_diffseg.errors import ClusterError, ParameterError, Remedy

THREADS, PROCESSES = "threads", "processes"

PATIENCE = 8
"""Seconds to wait for the answer of a scheduler elsewhere."""

DEATHS = 10
"""How many workers may die over one unit before it is given up."""

_IN_HAND = 2
"""Units handed out for each worker."""

_TURN = 0.0002  # seconds

_OFTEN = 1.0
"""Seconds between two questions for the workers there are: the answer grows with their number."""

_LOOK = 0.02
"""Seconds between two looks whether a unit elsewhere is done."""

_IN_WORKER = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.setswitchinterval({_TURN})
"""
"""Ctrl-C in a terminal reaches every process; the one that hands out the units answers it.
The thread in which a worker talks to the scheduler must not hold the other one up."""

_ALLOCATION = {
    f"distributed.nanny.pre-spawn-environ.{name}": value
    for name, value in (("MALLOC_TRIM_THRESHOLD_", 2**30), ("MALLOC_MMAP_MAX_", 0))
}
"""For glibc: keep memory between frames. dask has its workers give back what they can, and to
get it again costs as much as to label a frame."""

_ENDED_AT_ONCE = "ignore::UserWarning:multiprocessing.resource_tracker"
"""Of a program that is stopped or killed its helper says what it cleans up: nobody need know."""

_UNWATCHED = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
}
"""What dask does a hundred times a second for its dashboard, which takes some percent of a core."""

Unit = TypeVar("Unit")
Result = TypeVar("Result")


def check_scheduler(scheduler: str) -> None:
    """Refuse, before a run, a scheduler that is none, or needs a dask that is not there."""
    if scheduler == THREADS:
        return
    if scheduler != PROCESSES and "://" not in scheduler:
        raise ParameterError(
            "scheduler",
            f"scheduler is {scheduler!r}, but must be '{THREADS}', '{PROCESSES}' or the address of "
            "a dask scheduler such as 'tcp://host:8786'.",
        )
    if find_spec("distributed") is None:
        raise ClusterError(
            f"The scheduler {scheduler!r} needs dask, which is not installed; run "
            "pip install 'napari-diffseg[cluster]'."
        )


def processors() -> int:
    """Return how many processors this program may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_units(
    units: Iterable[Unit],
    work: Callable[..., Result],
    scheduler: str = THREADS,
    n_workers: int = 1,
    pulse: float | None = None,
) -> Generator[Result | None, None, None]:
    """Do units of work, asked for no sooner than they can be handed out; yield results as they end.

    Where none has ended for `pulse` seconds, None is yielded, so that the run can be closed. On
    threads `work` is also called with ``stopped=``: whether the run was closed. Elsewhere units
    are pickled, and `work` may get one twice where a worker was lost; dask ignores `n_workers`.
    """
    check_scheduler(scheduler)
    if scheduler == THREADS:
        yield from _on_threads(units, work, n_workers, pulse)
    elif scheduler == PROCESSES:
        with _local_client(n_workers) as client:
            yield from _on_client(units, work, client, scheduler, pulse)
    else:
        with _client_of(scheduler) as client:
            yield from _on_client(units, work, client, scheduler, pulse)


@contextmanager
def _quick_turns(n_workers: int) -> Iterator[None]:
    """Let threads hand Python on sooner than after 5 ms, its default.

    A frame is thousands of short computations in NumPy: after each its thread waits for the other's
    turn to end, and two threads are no faster than one.
    """
    before = sys.getswitchinterval()
    if n_workers > 1:
        sys.setswitchinterval(min(before, _TURN))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _on_threads(
    units: Iterable[Unit], work: Callable[..., Result], n_workers: int, pulse: float | None
) -> Iterator[Result | None]:
    closed, units = Event(), iter(units)
    waiting: set[Future[Result]] = set()
    with _quick_turns(n_workers), ThreadPoolExecutor(n_workers, "napari-diffseg") as pool:
        try:
            while True:
                for unit in islice(units, _IN_HAND * n_workers - len(waiting)):
                    waiting.add(pool.submit(work, unit, stopped=closed.is_set))
                if not waiting:
                    return
                # Not for ever: on some systems Ctrl-C is not heard while a thread waits.
                done, waiting = wait(waiting, pulse or 1, FIRST_COMPLETED)
                if pulse and not done:
                    yield None
                for future in done:
                    yield future.result()
        finally:
            closed.set()
            pool.shutdown(wait=False, cancel_futures=True)


# --- dask --------------------------------------------------------------------------


@contextmanager
def _local_client(n_workers: int) -> Iterator[Any]:
    """Give a client of workers on this machine, which end with it."""
    import dask
    from distributed import Client, LocalCluster

    # How much memory a unit takes is known to be little; dask's own watch over it would
    # only kill workers on a machine that is short of memory for other reasons.
    with (
        _helpers_told(_ENDED_AT_ONCE),
        dask.config.set(
            {"distributed.scheduler.allowed-failures": DEATHS, **_ALLOCATION, **_UNWATCHED}
        ),
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=0,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
            preload=_IN_WORKER,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def _helpers_told(filter_: str) -> Iterator[None]:
    """Give the processes that are begun meanwhile a filter of warnings."""
    sys.warnoptions.append(filter_)
    try:
        yield
    finally:
        sys.warnoptions.remove(filter_)


@contextmanager
def _client_of(address: str) -> Iterator[Any]:
    from distributed import Client

    # dask logs at length what comes here as one sentence.
    log = logging.getLogger("distributed")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        client = Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        log.setLevel(level)
        raise ClusterError(
            f"The scheduler {address} cannot be reached; check the address, and that dask's "
            "scheduler runs there."
        ) from error
    try:
        with client:
            yield client
    finally:
        log.setLevel(level)


def _on_client(
    units: Iterable[Unit],
    work: Callable[..., Result],
    client: Any,
    scheduler: str,
    pulse: float | None,
) -> Iterator[Result | None]:
    from distributed import as_completed

    units, waiting, finished = iter(units), set[Any](), as_completed()
    n_threads, asked, heard = 0, -_OFTEN, time.monotonic()
    try:
        while True:
            if time.monotonic() > asked + _OFTEN:
                n_threads, asked = _n_threads(client, scheduler), time.monotonic()
            room = _IN_HAND * n_threads - len(waiting)
            for unit in islice(units, max(0, room)):
                future = client.submit(work, unit, pure=False)
                waiting.add(future)
                finished.add(future)
            if not waiting:
                return
            while pulse and not finished.has_ready():
                time.sleep(_LOOK)
                if time.monotonic() > heard + pulse:
                    heard = time.monotonic()
                    yield None
            future, heard = next(finished), time.monotonic()
            result = _result_of(future, scheduler)
            waiting.discard(future)
            future.release()
            yield result
    finally:
        if client.status == "running":
            client.cancel(list(waiting))


def _n_threads(client: Any, scheduler: str) -> int:
    """Ask for the threads of all workers, which come and go on a cluster."""
    try:
        threads: dict[str, int] = client.nthreads()
    except OSError as error:
        raise _lost(scheduler) from error
    return max(1, sum(threads.values()))


def _result_of(future: Any, scheduler: str) -> Any:
    from concurrent.futures import CancelledError

    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        raise ClusterError(
            "A frame was given up because every worker that had it died; give the workers more "
            "memory, and run again.",
            Remedy.RESUME,
        ) from error
    except CancelledError as error:
        raise _lost(scheduler) from error
    except ImportError as error:
        raise ClusterError(
            f"A worker of {scheduler} has no complete napari-diffseg ({error}); install the same "
            "version there as here."
        ) from error


def _lost(scheduler: str) -> ClusterError:
    return ClusterError(
        f"The connection to the scheduler {scheduler} was lost; frames that are done are kept: "
        "run again.",
        Remedy.RESUME,
    )
