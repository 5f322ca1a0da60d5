"""Where units of work are done: on threads, in processes of this machine, or on a cluster.

Only so many units are handed out at a time that every worker has one at hand and one to
come; memory therefore does not grow with their number. A worker process loads this module first:
it has to know soon whether the program that it works for is still there.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import chain, islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Event, Thread
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

_ENDED_AT_ONCE = "ignore::UserWarning:multiprocessing.resource_tracker"
"""Of a program that is stopped or killed its helper says what it cleans up: nobody need know."""

Unit = TypeVar("Unit")
Result = TypeVar("Result")


def is_address(scheduler: str) -> bool:
    """Whether this is the address of a scheduler of dask."""
    return "://" in scheduler


def check_scheduler(scheduler: str) -> None:
    """Refuse, before a run, a scheduler that is none, or needs a dask that is not there."""
    if scheduler in (THREADS, PROCESSES):
        return
    if not is_address(scheduler):
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
        yield from _in_processes(units, work, n_workers, pulse)
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
    closed = Event()
    with _quick_turns(n_workers), ThreadPoolExecutor(n_workers, "napari-diffseg") as pool:

        def begin(unit: Unit) -> Future[Result]:
            return pool.submit(work, unit, stopped=closed.is_set)

        try:
            yield from _results_of(iter(units), begin, n_workers, pulse, {})
        finally:
            closed.set()
            pool.shutdown(wait=False, cancel_futures=True)


def _results_of(
    units: Iterator[Unit],
    begin: Callable[[Unit], Future[Result]],
    n_workers: int,
    pulse: float | None,
    in_hand: dict[Future[Result], Unit],
) -> Iterator[Result | None]:
    """Begin unit after unit, and yield what comes of them; `in_hand` are those under way."""
    while True:
        for unit in islice(units, _IN_HAND * n_workers - len(in_hand)):
            in_hand[begin(unit)] = unit
        if not in_hand:
            return
        # Not for ever: on some systems Ctrl-C is not heard while a thread waits.
        done, _ = wait(in_hand, pulse or 1, FIRST_COMPLETED)
        if pulse and not done:
            yield None
        for future in done:
            result = future.result()
            del in_hand[future]
            yield result


# --- processes of this machine -----------------------------------------------------


def _in_processes(
    units: Iterable[Unit], work: Callable[..., Result], n_workers: int, pulse: float | None
) -> Iterator[Result | None]:
    """Have units done by processes; where one of these is killed, by new ones all that was lost."""
    units, lost, deaths, any_began = iter(units), list[Unit](), Counter[Unit](), False
    while True:
        in_hand: dict[Future[Result], Unit] = {}
        with _pool_of_processes(n_workers) as (pool, end):

            def begin(unit: Unit, pool: Executor = pool) -> Future[Result]:
                try:
                    with _deaf_to_interrupts(), _told_if_refused():
                        return pool.submit(work, unit)
                except BrokenProcessPool as error:
                    future = Future[Result]()
                    future.set_exception(error)
                    return future

            try:
                yield from _results_of(chain(lost, units), begin, n_workers, pulse, in_hand)
                return
            except BrokenProcessPool as error:
                lost = list(in_hand.values())
                deaths.update(lost)
                any_began = any_began or end.poll()
                _check_deaths(deaths, any_began=any_began, error=error)


@contextmanager
def _pool_of_processes(n_workers: int) -> Iterator[tuple[Executor, Connection]]:
    """Give workers, and the end of a pipe to them: they end when it is closed, at once.

    The system closes it where this program is killed.
    """
    context = get_context("spawn")
    if sys.platform == "win32":
        n_workers = min(n_workers, 61)  # it can wait for no more at a time
    with _helpers_told(_ENDED_AT_ONCE), _told_if_refused():
        mine, theirs = context.Pipe()
        pool = ProcessPoolExecutor(n_workers, context, _begin_worker, (theirs,))
    try:
        yield pool, mine
    finally:
        mine.close()
        pool.shutdown(cancel_futures=True)
        theirs.close()


def _begin_worker(program: Connection) -> None:
    """Have this process end with the program that it works for, whatever it is at then."""
    # A terminal sends Ctrl-C to every process; the one that hands out the units answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):
        program.send_bytes(b"begun")
    Thread(target=_end_with, args=(program,), daemon=True).start()


def _end_with(program: Connection) -> None:
    with suppress(EOFError, OSError):
        program.recv_bytes()
    os._exit(1)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Have the processes that are begun meanwhile not hear Ctrl-C: this program alone answers."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _helpers_told(filter_: str) -> Iterator[None]:
    """Give the processes that are begun meanwhile a filter of warnings."""
    sys.warnoptions.append(filter_)
    try:
        yield
    finally:
        sys.warnoptions.remove(filter_)


@contextmanager
def _told_if_refused() -> Iterator[None]:
    """Say in one sentence that the system gives no more processes, or what these need."""
    try:
        yield
    except OSError as error:
        raise ClusterError(
            f"No more worker processes can be begun ({error.strerror or error}); take fewer "
            "workers, or threads.",
            Remedy.RESUME,
        ) from error


def _check_deaths(deaths: Counter[Any], *, any_began: bool, error: Exception) -> None:
    """Refuse to go on where workers do not even begin, or die again and again over a unit."""
    if not any_began:
        raise ClusterError(
            "No worker process could be begun; a script that asks for them must do so below "
            "if __name__ == '__main__': every worker reads it."
        ) from error
    if max(deaths.values()) > DEATHS:
        raise _given_up() from error


def _given_up() -> ClusterError:
    return ClusterError(
        "A frame was given up because every worker that had it died; give the workers more "
        "memory, and run again.",
        Remedy.RESUME,
    )


# --- dask --------------------------------------------------------------------------


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
        raise _given_up() from error
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
