"""What others have set for all of torch and NumPy does not reach a run, and stays as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Event, Timer

import numpy as np
import pytest
import torch
from threadpoolctl import OpenBLASController, threadpool_info, threadpool_limits

from napari_diffseg import segment
from napari_diffseg.core import device
from napari_diffseg.core.device import in_turn, own_settings, thread_limit
from napari_diffseg.core.segmentation import segment_steps
from napari_diffseg.params import PRESETS, RunOptions

SIDE = 64
Y, X = np.mgrid[:SIDE, :SIDE] - SIDE // 2
IMAGE = (np.where(np.hypot(Y, X) < 15, 150, 60) + (Y * 7 + X * 3) % 11).astype(np.uint8)
STROKES = np.zeros((SIDE, SIDE), np.uint8)
STROKES[2, 2:20], STROKES[32, 28:36] = 1, 2
OPTIONS = RunOptions(device="cpu", threads=1)


@contextmanager
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def errors_of_numpy() -> Iterator[None]:
    with np.errstate(all="raise"):
        yield


SETTINGS = {
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
    "float64": float64,
    "NumPy raises": errors_of_numpy,
    "another device": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}


def state() -> tuple[object, ...]:
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_autocast_enabled("cpu"),
        torch.get_num_threads(),
        torch.random.initial_seed(),
        str(np.geterr()),
    )


def labels_of(what: str) -> np.ndarray:
    if what == "published":
        return segment(IMAGE, params=PRESETS["paper"](n_iterations=4), options=OPTIONS).labels
    result = segment(IMAGE, options=OPTIONS)
    if what == "applied":
        assert result.model is not None
        return result.model.apply(IMAGE, options=OPTIONS)
    if what == "corrected":
        corrected = result.correct(STROKES, options=OPTIONS)
        assert corrected.uncertainty.shape == IMAGE.shape
        return corrected.labels
    return result.labels


@pytest.mark.parametrize("what", ["default", "published", "applied", "corrected"])
@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_others_do_not_reach_a_run(name: str, what: str) -> None:
    usual = labels_of(what)
    with SETTINGS[name]():
        before = state()
        found = labels_of(what)
        assert state() == before
    np.testing.assert_array_equal(found, usual)


def test_whoever_looks_at_the_steps_has_settings_of_their_own() -> None:
    with torch.no_grad():
        steps = segment_steps(IMAGE, params=PRESETS["paper"](n_iterations=3), options=OPTIONS)
        for _ in steps:
            assert not torch.is_grad_enabled()
        closed = segment_steps(IMAGE, params=PRESETS["paper"](n_iterations=3), options=OPTIONS)
        next(closed)
        closed.close()
        assert not torch.is_grad_enabled()


FORKED = """
import multiprocessing, sys
import numpy as np
from napari_diffseg import segment

image = np.random.default_rng(0).integers(0, 255, (128, 128)).astype(np.uint8)
usual = segment(image).labels
context = multiprocessing.get_context("fork")
found = context.Queue()
child = context.Process(target=lambda: found.put(segment(image).labels), daemon=True)
child.start()
sys.exit(not np.array_equal(found.get(timeout=100), usual))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not fork, or should not")
def test_a_process_that_was_forked_after_a_run_can_do_one() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], env=environment, check=True)


def test_runs_beside_each_other_leave_the_size_of_floats_as_it_was():
    """One begins while another is at work, and ends after it."""
    with float64():
        with ExitStack() as second:
            with own_settings():
                second.enter_context(own_settings())
            assert torch.get_default_dtype() == torch.float32, "the second is still at work"
        assert torch.get_default_dtype() == torch.float64


def blas_threads() -> set[int]:
    return {
        one["num_threads"] for one in threadpool_info() if one.get("threading_layer") == "pthreads"
    }


HAS_BLAS = pytest.mark.skipif(not blas_threads(), reason="NumPy computes with another library")


@HAS_BLAS
def test_products_of_numpy_are_computed_on_one_thread_until_all_runs_are_done():
    with threadpool_limits(2, user_api="blas"):
        with ExitStack() as second:
            with own_settings():
                second.enter_context(own_settings())
            assert blas_threads() == {1}, "the second is still at work"
        assert blas_threads() == {2}


@HAS_BLAS
def test_products_of_numpy_have_their_threads_back_after_an_error():
    with threadpool_limits(2, user_api="blas"):
        with pytest.raises(KeyboardInterrupt), own_settings():
            raise KeyboardInterrupt
        assert blas_threads() == {2}


@HAS_BLAS
def test_a_part_of_a_run_has_settings_of_its_own_while_the_run_waits():
    begun, looked = Event(), Event()

    def part() -> tuple[set[int], torch.dtype]:
        begun.set()
        looked.wait(10)
        return blas_threads(), torch.get_default_dtype()

    with threadpool_limits(2, user_api="blas"), float64():
        parts = in_turn([part], 2)
        try:
            assert next(parts) is None, "it is waited for"
            begun.wait(10)
            assert blas_threads() == {1}
        finally:
            looked.set()
        assert [one for one in parts if one is not None] == [({1}, torch.float32)]
        assert blas_threads() == {2}
        assert torch.get_default_dtype() == torch.float64


@HAS_BLAS
def test_a_run_that_ends_on_another_thread_leaves_threadpoolctl_to_others():
    def limited() -> set[int]:
        with threadpool_limits(1, user_api="blas"):
            return blas_threads()

    with ThreadPoolExecutor(1) as other, threadpool_limits(2, user_api="blas"):
        first, second = own_settings(), own_settings()
        first.__enter__()
        other.submit(second.__enter__).result()
        first.__exit__(None, None, None)
        other.submit(second.__exit__, None, None, None).result()
        assert blas_threads() == {2}
    with threadpool_limits(2, user_api="blas"):
        pass
    with ThreadPoolExecutor(1) as other:
        assert other.submit(limited).result() == {1}


def test_no_part_is_at_work_once_a_run_is_closed():
    begun, goes_on = Event(), Event()

    def part() -> None:
        begun.set()
        goes_on.wait(10)

    with float64():
        parts = in_turn([part], 2)
        next(parts)
        begun.wait(10)
        Timer(0.2, goes_on.set).start()
        parts.close()
        assert goes_on.is_set()
        assert torch.get_default_dtype() == torch.float64


def test_limits_of_one_thread_may_end_in_any_order():
    usual = torch.get_num_threads()
    first, second = thread_limit(1), thread_limit(usual + 1)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert torch.get_num_threads() == usual + 1
    second.__exit__(None, None, None)
    assert torch.get_num_threads() == usual


def test_a_thread_goes_back_to_the_number_that_it_had_set_itself():
    def other() -> int:
        torch.set_num_threads(3)
        with thread_limit(1):
            assert torch.get_num_threads() == 1
        return torch.get_num_threads()

    usual = torch.get_num_threads()
    with ThreadPoolExecutor(1) as pool:
        with thread_limit(1):
            assert pool.submit(other).result() == 3
        assert torch.get_num_threads() == usual


@HAS_BLAS
def test_ctrl_c_while_settings_are_put_back_leaves_none_behind(monkeypatch):
    calls, set_threads = [], OpenBLASController.set_num_threads

    def pressed(library, n_threads):
        set_threads(library, n_threads)
        calls.append(n_threads)
        if calls.count(2) == 1 and n_threads == 2:
            raise KeyboardInterrupt

    with threadpool_limits(2, user_api="blas"), float64():
        monkeypatch.setattr(OpenBLASController, "set_num_threads", pressed)
        with pytest.raises(KeyboardInterrupt), own_settings():
            pass
        monkeypatch.undo()
        assert blas_threads() == {2}
        assert torch.get_default_dtype() == torch.float64


def exit_code_of_fork(child: Callable[[], bool]) -> int:
    """Fork while another thread holds all locks; return how the child has ended."""
    with device._limits.lock, device._for_all_threads.lock:
        number = os.fork()
        if number == 0:
            signal.alarm(60)
            code = 1
            try:
                code = 0 if child() else 1
            finally:
                os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="other systems do not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_that_was_forked_ends_what_it_was_in_and_leaves_all_as_before():
    with ExitStack() as here:
        here.enter_context(threadpool_limits(2, user_api="blas"))
        here.enter_context(float64())

        def child() -> bool:
            mine.close()
            with own_settings():
                assert torch.get_default_dtype() == torch.float32
            return torch.get_default_dtype() == torch.float64 and blas_threads() <= {2}

        with ThreadPoolExecutor(1) as other, ExitStack() as mine:
            theirs = own_settings()
            other.submit(theirs.__enter__).result()
            mine.enter_context(thread_limit(1))
            mine.enter_context(own_settings())
            code = exit_code_of_fork(child)
            other.submit(theirs.__exit__, None, None, None).result()
        assert code == 0
