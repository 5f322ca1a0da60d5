"""Runs are generators; for those who do not look at the steps, what comes at their end."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from typing import Any, ParamSpec, TypeVar

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


def result_of(steps: Generator[Any, Any, Result]) -> Result:
    """Let a generator run to its end, and return what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


def with_arguments_of(
    steps: Callable[Arguments, Any], *, without: str = ""
) -> Callable[[Callable[..., Result]], Callable[Arguments, Result]]:
    """Say that a function takes what another one takes (but one), so that it is written once."""

    def decorate(function: Callable[..., Result]) -> Callable[Arguments, Result]:
        taken = inspect.signature(steps)
        function.__signature__ = taken.replace(  # type: ignore[attr-defined]
            parameters=[one for one in taken.parameters.values() if one.name != without],
            return_annotation=inspect.signature(function).return_annotation,
        )
        return function

    return decorate
