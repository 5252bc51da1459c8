"""When an answer has begun to reach somebody: from then on, nobody else may begin another one."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, BaseCallbackHandler, CallbackManagerForLLMRun

from cit_core.router import Attempts

__all__ = ["FirstToken", "watched"]

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


def watched(run: Run | None, attempts: Attempts) -> Run | None:
    """The run manager of a model call, with somebody who notices the first token.

    Args:
        run: Of the call, if there is one.
        attempts: At the answer.
    """
    if run is None:
        return None
    watching = copy.copy(run)
    watching.handlers = [FirstToken(attempts), *run.handlers]
    return watching
