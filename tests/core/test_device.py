"""How a run borrows torch's threads."""

from __future__ import annotations

from threading import Event, Thread

import pytest
import torch

from napari_diffseg.core.device import thread_limit


@pytest.fixture(autouse=True)
def usual():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def of_a_new_thread():
    found = []
    asking = Thread(target=lambda: found.append(torch.get_num_threads()))
    asking.start()
    asking.join()
    return found[0]


def test_a_limit_within_a_limit_goes_back_to_it():
    with thread_limit(2):
        with thread_limit(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 3


def test_limits_at_the_same_time_are_not_left_to_later_threads():
    limited, go_on = Event(), Event()
    found = []

    def second():
        with thread_limit(1):
            limited.set()
            go_on.wait()
        found.append(torch.get_num_threads())

    other = Thread(target=second)
    with thread_limit(1):
        other.start()
        limited.wait()
    go_on.set()
    other.join()
    assert found == [3]
    assert of_a_new_thread() == 3
    assert torch.get_num_threads() == 3


def test_a_generator_may_be_closed_in_another_thread():
    def limited():
        with thread_limit(1):
            yield

    steps = limited()
    next(steps)
    closing = Thread(target=steps.close)
    closing.start()
    closing.join()
    assert of_a_new_thread() == 3
