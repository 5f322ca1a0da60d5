"""Runs are generators; for those who do not look at the steps, what comes at their end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from napari_diffseg.core.device import own_settings

Step = TypeVar("Step")
Sent = TypeVar("Sent")
Result = TypeVar("Result")
Given = ParamSpec("Given")


def undisturbed(
    run: Callable[Given, Generator[Step, Sent | None, Result]],
) -> Callable[Given, Generator[Step, Sent | None, Result]]:
    """Have a run compute with settings of its own, and whoever looks at its steps with theirs."""

    @wraps(run)
    def stepped(*args: Given.args, **kwargs: Given.kwargs) -> Generator[Step, Sent | None, Result]:
        sent: Sent | None = None
        with closing(run(*args, **kwargs)) as steps:
            while True:
                with own_settings():
                    try:
                        step = next(steps) if sent is None else steps.send(sent)
                    except StopIteration as end:
                        result: Result = end.value
                        return result
                sent = yield step

    return stepped


def result_of(steps: Generator[Any, Any, Result]) -> Result:
    """Let a generator run to its end, and return what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result
