"""A pool of threads that nobody waits for at exit: a cancelled step has seconds, and a cloud that hangs has none to give."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from types import TracebackType
from typing import Any


class DaemonThreads(Executor):
    """At most `at_once` calls at the same time. The interpreter would wait for the threads of the library's own pool."""

    def __init__(self, at_once: int) -> None:
        self._room = threading.BoundedSemaphore(at_once)
        self._over = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The call's future."""
        future: Future[Any] = Future()

        def work() -> None:
            """Make the call once there is room, unless nobody waits for it any more."""
            with self._room:
                if not self._over:
                    with _Told(future):
                        future.set_result(fn(*args, **kwargs))

        threading.Thread(target=work, name="look", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Begin no further call. Those that run are never waited for."""
        self._over = True


class _Told:
    """Whatever goes wrong inside is the future's error."""

    def __init__(self, future: Future[Any]) -> None:
        self._future = future

    def __enter__(self) -> None:
        """The call begins."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        if error is not None:
            self._future.set_exception(error)
        return True
