"""Model calls of agents that were routed and not answered: whoever makes one again with another model meant that model.

A middleware further out, such as ModelFallbackMiddleware, calls the next one again with a model of its own when a call
has failed. Routing that call too would undo it: the fallback would be the failed model once more. Nothing in a request
says that it is such a call, but the task of the graph's node is the same.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain.agents.middleware import ModelRequest
    from langchain_core.language_models import BaseChatModel

__all__ = ["Unanswered"]


class Unanswered:
    """Remembers the model that each call came with, until it is answered. Thread-safe.

    Args:
        remembered: Calls in memory; the oldest is forgotten.
    """

    def __init__(self, remembered: int = 10_000) -> None:
        self._remembered = remembered
        self._models: OrderedDict[str, BaseChatModel] = OrderedDict()
        self._lock = threading.Lock()

    def is_made_again(self, request: ModelRequest[Any]) -> bool:
        """Whether the same call came before with another model and was not answered."""
        task = _task(request)
        with self._lock:
            return task is not None and self._models.get(task, request.model) is not request.model

    @contextmanager
    def until_answered(self, request: ModelRequest[Any]) -> Iterator[None]:
        """Remember a call; it is forgotten if what is done within does not fail."""
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
    """None where a middleware is called by hand."""
    task = getattr(getattr(request.runtime, "execution_info", None), "task_id", None)
    return task if isinstance(task, str) else None
