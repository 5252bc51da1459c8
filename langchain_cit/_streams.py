"""When an answer has begun to reach somebody: from then on, nobody else may begin another one."""

from __future__ import annotations

import copy
import operator
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from functools import reduce
from typing import Any, Final, TypeVar

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    BaseCallbackHandler,
    BaseCallbackManager,
    CallbackManagerForLLMRun,
    Callbacks,
)
from langchain_core.tracers._streaming import _StreamingCallbackHandler
from langchain_core.tracers.base import AsyncBaseTracer, BaseTracer

from cit_core.router import Attempts

__all__ = ["END", "FirstToken", "closing", "followed", "join", "watched"]

THEIR_BASE = BaseCallbackHandler.__module__
OF_A_TOKEN = ("on_llm_new_token", "on_stream_event")
Run = TypeVar("Run", bound=CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun)


class FirstToken(BaseCallbackHandler):
    """Tells attempts that the model whose turn it is has handed out a token.

    Args:
        attempts: At the answer.
    """

    run_inline = True  # before the token goes on to anybody else

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        self._told = False

    def on_llm_new_token(self, *_: Any, **__: Any) -> None:
        """A piece of the answer."""
        if not self._told:
            self._told = True
            self._attempts.begun()

    def on_stream_event(self, *_: Any, **__: Any) -> None:
        """The same in LangChain's newer protocol."""
        self.on_llm_new_token()


def followed(callbacks: Callbacks, route: object = None) -> bool:
    """Whether somebody may see an answer token by token; tracers, which keep what they see, are nobody.

    Args:
        callbacks: Those that the candidate's run is going to have from further out.
        route: The candidate, which may have callbacks of its own.
    """
    return any(
        _follows(handler) for given in (callbacks, getattr(route, "callbacks", None)) for handler in _each(given)
    )


def _each(callbacks: Callbacks) -> list[BaseCallbackHandler]:
    return callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks or []


def _follows(handler: BaseCallbackHandler) -> bool:
    if isinstance(handler, _StreamingCallbackHandler):
        return True
    methods = (getattr(handler, name, None) for name in OF_A_TOKEN)
    theirs = any(getattr(method, "__module__", THEIR_BASE) != THEIR_BASE for method in methods)
    return theirs and not isinstance(handler, BaseTracer | AsyncBaseTracer)


def watched(run: Run | None, attempts: Attempts) -> Run | None:
    """The run manager of a model call, with somebody who notices the first token if it has followers.

    Args:
        run: Of the call, if there is one.
        attempts: At the answer.
    """
    if run is None:
        return None
    if not followed(run.handlers):
        return run
    watching = copy.copy(run)
    watching.handlers = [FirstToken(attempts), *run.handlers]
    return watching


T = TypeVar("T")


class _End(Enum):
    END = 0


END: Final = _End.END
"""Where there is no piece, or no more."""


def join(parts: Sequence[Any]) -> Any:
    """The pieces as one; `END` if there is none."""
    if not parts:
        return END
    try:
        return reduce(operator.add, parts)
    except TypeError:  # as everywhere in LangChain: what cannot be added is replaced by what came last
        return parts[-1]


@asynccontextmanager
async def closing(pieces: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """A stream that is closed when its reader is, not when the garbage collector comes: a connection hangs on it."""
    try:
        yield pieces
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()
