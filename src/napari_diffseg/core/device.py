"""Devices and threads: what the machine has, and how a run borrows it."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import islice
from threading import Lock, get_ident
from typing import Any, TypeVar

import numpy as np
import torch
from threadpoolctl import OpenBLASController, ThreadpoolController

from napari_diffseg.errors import DeviceError, OutOfMemoryError, TrainingError, first_line
from napari_diffseg.image.pieces import kept_memory, window_memory
from napari_diffseg.image.windows import Shape
from napari_diffseg.memory import as_many_as_fit

Given = TypeVar("Given")
Found = TypeVar("Found")

_POLL_S = 0.1


def available_devices() -> tuple[str, ...]:
    """Names of the devices that a run can use, the best first; ``"cpu"`` is always there."""
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return (*cuda, *mps, "cpu")


def choose_device(name: str) -> torch.device:
    """Turn ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"`` into a device.

    Raises DeviceError where there is no such device on this machine.
    """
    devices = available_devices()
    if name == "auto":
        return torch.device(devices[0])
    if name == "cuda" and "cuda:0" in devices:
        return torch.device("cuda:0")
    if name in devices:
        return torch.device(name)
    raise DeviceError(
        f"Device {name!r} is not on this machine, which has {', '.join(devices)}; "
        "choose one of these, or 'auto'."
    )


@dataclass(eq=False, slots=True)
class _Limits:
    """Which threads have limited torch's number at this moment: what each had, and its limits.

    To set a thread's number sets that of new threads too: whoever begins while others are limited
    would go back to their limit, and leave it to all threads that come after.
    """

    lock: Lock = field(default_factory=Lock)
    holders: dict[int, list[int]] = field(default_factory=dict)
    usual: int = 0
    is_forked: bool = False  # from a process whose threads OpenMP would wait for, for ever

    def begin(self, threads: int) -> None:
        """Set the number for this thread."""
        mine = get_ident()
        with self.lock:
            if mine not in self.holders:
                before = torch.get_num_threads()
                if any(before in limits for _, *limits in self.holders.values()):
                    before = self.usual
                elif not self.holders:
                    self.usual = before
                self.holders[mine] = [before]
            self.holders[mine].append(threads)
            torch.set_num_threads(threads)

    def end(self, holder: int, threads: int) -> None:
        """Go back to the limit before, or to what the thread had."""
        with self.lock:
            held = self.holders.get(holder)
            if held is None:  # after a fork, if it was another thread's
                return
            held.remove(threads)
            torch.set_num_threads(held[-1])
            if len(held) == 1:
                del self.holders[holder]


_limits = _Limits()


@contextmanager
def thread_limit(threads: int) -> Iterator[None]:
    """Run with this many processor threads, then give torch its old number back; 0: as it is.

    Several threads can be limited at the same time.
    """
    if _limits.is_forked:
        threads = 1
    if threads == 0:
        yield
        return
    holder = get_ident()
    _limits.begin(threads)
    try:
        yield
    finally:
        _limits.end(holder, threads)


@dataclass(eq=False, slots=True)
class _ForAllThreads:
    """Settings that a program has once: the first of those at work makes them, the last undoes it.

    Whoever sets one of them meanwhile, as others that use threadpoolctl may, finds that undone too.
    """

    lock: Lock = field(default_factory=Lock)
    holders: Counter[int] = field(default_factory=Counter)  # threads, and how often each
    made: ExitStack = field(default_factory=ExitStack)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Have them until all are done."""
        mine = get_ident()
        try:
            with self.lock:
                is_first = not self.holders
                self.holders[mine] += 1
                if is_first:
                    self.made.enter_context(_floats_put_back())
                    self.made.enter_context(_one_blas_thread())
                # Each time: somebody may have set another since.
                torch.set_default_dtype(torch.float32)
            yield
        finally:
            with self.lock:
                self.holders -= Counter(
                    [mine]
                )  # none is left below 1: a fork may have forgotten it
                if not self.holders:
                    self.made.close()


@contextmanager
def _floats_put_back() -> Iterator[None]:
    """Put back the size of floats; meanwhile have all of their digits.

    cuDNN rounds what it convolves to 10 bits unless told not to, and labels are others then.
    """
    cudnn: Any = torch.backends.cudnn
    usual = torch.get_default_dtype()
    rounded = torch.version.cuda is not None and cudnn.allow_tf32
    try:
        if rounded:
            cudnn.allow_tf32 = False
        yield
    finally:
        torch.set_default_dtype(usual)
        if rounded:
            cudnn.allow_tf32 = True


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Let NumPy's and SciPy's products and decompositions use one thread, where they use OpenBLAS.

    They are small here: several threads gain nothing, and on a machine that does something else
    too, or has many processors, they wait for each other far longer than they compute.
    """
    before = {one: one.num_threads for one in _blas_of_its_own()}
    try:
        _set_blas_threads(dict.fromkeys(before, 1))
        yield
    finally:
        try:
            _set_blas_threads(before)
        except KeyboardInterrupt:  # which may come between two libraries
            _set_blas_threads(before)
            raise


@cache
def _blas_of_its_own() -> Sequence[Any]:
    """Return the libraries whose threads nobody else uses: torch may compute with OpenMP's too."""
    found: Sequence[Any]
    found = ThreadpoolController().select(threading_layer="pthreads").lib_controllers
    return found


def _set_blas_threads(wanted: dict[Any, int]) -> None:
    """Have each library compute on so many threads."""
    # From threadpoolctl 3.8 on it obeys one thread alone, until it is told to forget which.
    forget = getattr(OpenBLASController, "clear_controlling_thread", lambda force: None)
    forget(force=True)
    for library, n_threads in wanted.items():
        library.set_num_threads(n_threads)
    forget(force=True)


_for_all_threads = _ForAllThreads()


def _forget_other_threads() -> None:
    """Begin anew in a process that was forked: of the threads that are at work it has this one.

    What others had set is put back when its next run is done.
    """
    _limits.is_forked = True
    for shared in (_limits, _for_all_threads):
        shared.lock = Lock()
        for other in shared.holders.keys() - {get_ident()}:
            del shared.holders[other]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)


def threads_for(device: torch.device, shape: Shape, n_colors: int) -> int:
    """Return on how many threads parts of an image ``(z) y x`` are done: of a volume, on a CPU."""
    if device.type != "cpu" or len(shape) < 3:
        return 1
    n_threads = torch.get_num_threads()
    return as_many_as_fit(n_threads, window_memory(shape, n_colors), kept_memory(shape))


def in_turn(
    jobs: Iterable[Callable[[], Found]], n_threads: int
) -> Generator[Found | None, None, None]:
    """Do jobs on some threads, each of which has one processor.

    Yields what they return, in their order, and None now and then while one is waited for. A job is
    asked for when there is a thread for it.
    """
    if n_threads == 1:
        yield from (job() for job in jobs)
        return

    def alone(job: Callable[[], Found]) -> Found:
        with thread_limit(1), _for_all_threads.held():
            return job()

    jobs, waiting = iter(jobs), deque[Future[Found]]()
    pool = ThreadPoolExecutor(n_threads, "napari-diffseg")
    try:
        while True:
            n_busy = sum(not one.done() for one in waiting)
            waiting += (pool.submit(alone, job) for job in islice(jobs, n_threads - n_busy))
            if not waiting:
                return
            is_done = wait([*waiting][:1], _POLL_S).done
            yield waiting.popleft().result() if is_done else None
    finally:
        # Parts at work are waited for: their settings are those of all threads.
        pool.shutdown(cancel_futures=True)


def each_of(work: Callable[[Given], Found], given: Sequence[Given], n_threads: int) -> list[Found]:
    """Do work on each of some things, as `in_turn`; on one alone with all processors."""
    found = in_turn((partial(work, one) for one in given), n_threads if len(given) > 1 else 1)
    return [one for one in found if one is not None]


@contextmanager
def own_settings() -> Iterator[None]:
    """Compute as if nobody had set anything for all of torch and NumPy; then put it back.

    The size of floats, and the threads of NumPy, where no part is at work on another thread. Only
    what is not as usual is set: the mode for a device costs time at each of torch's calls.
    """
    with ExitStack() as stack:
        stack.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            stack.enter_context(torch.enable_grad())
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(_for_all_threads.held())
        yield


@contextmanager
def readable_torch_errors() -> Iterator[None]:
    """Turn torch's RuntimeErrors and a MemoryError into our own errors with one sentence.

    One that left the core would be swallowed without a trace by a napari generator worker.
    """
    try:
        yield
    except MemoryError as error:
        raise _out_of_memory("the machine") from error
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise _out_of_memory("the GPU") from error
        # On the processor torch reports a failed allocation as a plain RuntimeError.
        if "can't allocate memory" in str(error) or "not enough memory" in str(error):
            raise _out_of_memory("the machine") from error
        raise TrainingError(f"The computation failed: {first_line(error)}") from error


def _out_of_memory(where: str) -> OutOfMemoryError:
    return OutOfMemoryError(
        f"There is not enough memory on {where} for this run; use the default preset, "
        "fewer feature channels or clusters, or a smaller image."
    )
