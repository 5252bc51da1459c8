"""Calls that another middleware repeats with a model of its own choice; they are not routed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cit_core.fork import renew_after_fork

if TYPE_CHECKING:
    from langchain.agents.middleware import ModelRequest
    from langchain_core.language_models import BaseChatModel

__all__ = ["Unanswered"]


class Unanswered:
    """Remember the model that each call came with, until it is answered. Safe for threads and forked processes.

    Args:
        remembered: Calls in memory; the oldest is forgotten.
    """

    def __init__(self, remembered: int = 10_000) -> None:
        self._remembered = remembered
        self._models: OrderedDict[str, BaseChatModel] = OrderedDict()
        self._lock = threading.Lock()
        renew_after_fork(self)

    def _renew_after_fork(self) -> None:
        self._lock = threading.Lock()

    def is_made_again(self, request: ModelRequest[Any]) -> bool:
        """Return whether the same call came before with another model and was not answered."""
        task = _task(request)
        with self._lock:
            return task is not None and self._models.get(task, request.model) is not request.model

    @contextmanager
    def until_answered(self, request: ModelRequest[Any]) -> Iterator[None]:
        """Remember a call; forget it if what is done within does not fail."""
        task = _task(request)
        if task is None:
            yield
            return
        with self._lock:
            self._models[task] = request.model
            while len(self._models) > self._remembered:
                self._models.popitem(last=False)
        yield
        with self._lock:
            self._models.pop(task, None)


def _task(request: ModelRequest[Any]) -> str | None:
    """Return the id of the agent's task; None where a middleware is called by hand."""
    task = getattr(getattr(request.runtime, "execution_info", None), "task_id", None)
    return task if isinstance(task, str) else None
