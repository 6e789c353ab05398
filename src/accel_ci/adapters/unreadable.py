"""Answers of another shape than their API's: whoever reads them stumbles, which is no bug of ours."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, TypeVar

from accel_ci.domain.errors import TransientError

Reader = TypeVar("Reader", bound=type)

# RecursionError: JSON that is nested too deep. ValueError: none at all, or a number of ten thousand digits.
ERRORS = (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError)


def told_by(api: str) -> Callable[[Reader], Reader]:
    """Has the public methods of a class that reads this API's documents raise TransientError where it stumbles over one."""

    def wrapped(reader: Reader) -> Reader:
        """The same class."""
        for name, method in inspect.getmembers(reader, inspect.isfunction):
            if not name.startswith("_"):
                setattr(reader, name, (_pages if inspect.isgeneratorfunction(method) else _answer)(method, api))
        return reader

    return wrapped


def _answer(method: Callable[..., Any], api: str) -> Callable[..., Any]:
    @wraps(method)
    def read(*asked: Any, **more: Any) -> Any:
        """What the method returns."""
        try:
            return method(*asked, **more)
        except ERRORS as error:
            raise _unreadable(api, error) from error

    return read


def _pages(method: Callable[..., Iterator[Any]], api: str) -> Callable[..., Iterator[Any]]:
    @wraps(method)
    def read(*asked: Any, **more: Any) -> Iterator[Any]:
        """What the method yields."""
        try:
            yield from method(*asked, **more)
        except ERRORS as error:
            raise _unreadable(api, error) from error

    return read


def _unreadable(api: str, error: Exception) -> TransientError:
    # By the error's own word only: what is missing, and never what is there.
    missing = f" has no {error}" if isinstance(error, KeyError) else f" has another shape ({type(error).__name__})"
    return TransientError(
        f"an answer of {api}{missing}",
        what_to_do="run this step again; should it stay so, see what is on the way there",
    )
