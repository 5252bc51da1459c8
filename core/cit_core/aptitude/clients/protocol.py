"""The protocol of a measured LLM, and two clients which need no provider.

A client asks once. Retries, rate limits, timing and budgets belong to the runner; a client only says, by raising
`Transient` or `Refused`, whether another attempt may help. No prompt and no key goes into a log or an error.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from cit_core._provider_words import CUT_OFF
from cit_core.aptitude.clients._daemon_threads import DaemonThreads
from cit_core.errors import AnswerError, InvalidInput
from cit_core.provider_errors import answering, require_text

__all__ = ["Answer", "CallableClient", "Client", "FakeClient", "checked_answer", "token_count"]


@dataclass(frozen=True)
class Answer:
    """Answer of an LLM. A number is None where the client does not report it."""

    text: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    """Tokens of the completion, those of its reasoning included."""
    cost_usd: float | None = None
    """Charge as the provider states it; a candidate's prices are applied by the runner."""
    cut_off: bool = False
    """True if the provider says that the answer reached the limit of its tokens."""


class Client(Protocol):
    """Client of one LLM.

    It may also have `async def aclose(self) -> None`, called after the last question, and a mapping `settings` of
    what shapes its answers (model, system, temperature, effort): a test is resumed with the same settings only.
    """

    name: str
    """Id of the candidate if the caller gives none."""

    async def ask(self, prompt: str, *, key: str) -> Answer:
        """Ask once.

        Args:
            prompt: Sent as it is.
            key: Stable for one question to one candidate. It is sent as the Idempotency-Key where the protocol has
                one, so that a server which honours it bills a question once, however often it is asked.

        Raises:
            Transient: If another attempt may help.
            Refused: If it will not.
        """
        ...


class FakeClient:
    """Client for tests and examples: answers by a function of the prompt, and fails on demand.

    Args:
        answers: Prompt to answer; may raise, too.
        name: Id of the candidate.
        failures: The n-th call raises the n-th of them; None, and every call after the last, answers.
        settings: Settings in the protocol's names.
    """

    def __init__(
        self,
        answers: Callable[[str], str | Answer],
        *,
        name: str = "fake",
        failures: Iterable[Exception | None] = (),
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.settings = settings or {}
        self.calls: list[tuple[str, str]] = []
        """(prompt, key) of every call, failed ones included, in order."""
        self._answers = answers
        self._failures = iter(failures)

    async def ask(self, prompt: str, *, key: str) -> Answer:
        """Return the answer to a prompt, or raise the next failure."""
        self.calls.append((prompt, key))
        await asyncio.sleep(0)  # lets other tasks run, as a real client does
        failure = next(self._failures, None)
        if failure is not None:
            raise failure
        return _as_answer(self._answers(prompt), self.name)


class CallableClient:
    """Client of any Python function, plain (each call in a daemon thread of its own) or async.

    Args:
        function: Prompt to answer. Its timeouts, lost connections and HTTP statuses are understood; any other
            exception is raised as it came.
        name: Id of the candidate; the function's own name if not given.
    """

    def __init__(
        self, function: Callable[[str], str | Answer | Awaitable[str | Answer]], name: str | None = None
    ) -> None:
        self.name = str(getattr(function, "__name__", type(function).__name__)) if name is None else name
        self._function = function
        self._threads = DaemonThreads()

    async def ask(self, prompt: str, *, key: str) -> Answer:  # noqa: ARG002  # a function takes no key
        """Call the function.

        Raises:
            InvalidInput: If it returns neither a text nor an `Answer`.
        """
        run = contextvars.copy_context().run
        with answering():
            answer: Any = await asyncio.get_running_loop().run_in_executor(self._threads, run, self._function, prompt)
            if inspect.isawaitable(answer):
                answer = await answer
        return _as_answer(answer, self.name)


def checked_answer(
    text: object,
    finish_reason: object = None,
    *,
    prompt_tokens: object = None,
    completion_tokens: object = None,
    cost_usd: float | None = None,
) -> Answer:
    """Return an answer, or raise why there is none with what it was billed.

    Args:
        text: Text of the answer; None where the response has none.
        finish_reason: Why the provider ended it, in its own word.
        prompt_tokens: Count reported by the provider; anything that is not a count is dropped.
        completion_tokens: Likewise.
        cost_usd: Charge as the provider states it.

    Raises:
        Refused: If the provider ended the answer before its text began. The tokens were paid and count.
        Transient: If there is no text, or the provider broke off within it.
    """
    tokens = token_count(prompt_tokens), token_count(completion_tokens)
    try:
        cut_off = isinstance(finish_reason, str) and finish_reason.lower() in CUT_OFF
        return Answer(require_text(text, finish_reason), *tokens, cost_usd, cut_off)
    except AnswerError as error:
        error.prompt_tokens, error.completion_tokens = tokens
        error.cost_usd = cost_usd
        raise


def token_count(tokens: object) -> int | None:
    """Return a provider's token count, or None for anything that is not a count."""
    return tokens if isinstance(tokens, int) and not isinstance(tokens, bool) and tokens >= 0 else None


def _as_answer(answer: str | Answer, name: str) -> Answer:
    if isinstance(answer, str):
        return Answer(answer)
    if not isinstance(answer, Answer):
        raise InvalidInput(f"{name} returned {type(answer).__name__}; it must return a str or an Answer")
    return answer
