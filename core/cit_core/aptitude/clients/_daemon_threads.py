"""Threads which never keep a process from ending: a function that hangs past its timeout is left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

__all__ = ["DaemonThreads"]

P = ParamSpec("P")
T = TypeVar("T")


class DaemonThreads(ThreadPoolExecutor):
    """Executor that runs each call in a daemon thread of its own.

    The threads of a plain `ThreadPoolExecutor` are joined when the interpreter exits, so that one hanging call would
    keep the process alive for ever. It is a subclass because an event loop takes nothing else as its default executor.
    The caller limits how many calls are under way.
    """

    def __init__(self, name: str = "cit-client") -> None:
        super().__init__(max_workers=1)  # starts no thread: `submit` never reaches the pool
        self._name = name

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start a call."""
        future: Future[T] = Future()
        threading.Thread(target=_work, args=(future, fn, args, kwargs), name=self._name, daemon=True).start()
        return future


def _work(future: Future[Any], function: Callable[..., Any], args: Any, kwargs: Any) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001  # as the standard library's executor: raised in the waiting code
        future.set_exception(error)
    else:
        future.set_result(result)
