"""Who is asked: an LLM behind one small protocol.

A client asks once. Asking again, pacing, timing and counting money are the runner's; a client only says, by
`Transient` or `Refused`, whether asking again may help. No prompt and no key goes into a log or an error.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import inspect
import sys
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import entry_points
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol

from cit_core.errors import InvalidInput
from cit_core.provider_errors import answering, from_exception

__all__ = [
    "Answer",
    "CallableClient",
    "Client",
    "FakeClient",
    "client",
    "from_exception",
    "load_object",
    "token_count",
]

ENTRY_POINTS = "cit_router.clients"
"""Group of entry points that add prefixes: each is a function from what stands after the colon to a client."""
THREADS = 128
"""Of a `CallableClient` at most; they are made as they are needed, and the runner decides how many it asks at once."""


@dataclass(frozen=True)
class Answer:
    """What an LLM answered; None where its client does not tell."""

    text: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    """What the provider says that it charged; a candidate's prices are the runner's to apply."""


class Client(Protocol):
    """Asks one LLM. It may also have `async def aclose(self) -> None`, to be called when nobody will ask again."""

    name: str
    """What the candidate is called if nobody gives it an id."""

    async def ask(self, prompt: str, *, key: str) -> Answer:
        """Ask once.

        Args:
            prompt: Sent as it is.
            key: Stable for one question to one candidate. It is sent as the Idempotency-Key where the protocol has
                one, so that a server that honours it bills a question once, however often it is asked.

        Raises:
            Transient: If asking again may help.
            Refused: If it will not.
        """
        ...


class FakeClient:
    """A client for tests and examples: answers by a function of the prompt, and fails where it is told to.

    Args:
        answers: Prompt to answer; may raise, too.
        name: What the candidate is called.
        failures: The n-th call raises the n-th of them; None, and whatever comes after the last, is an answer.
    """

    def __init__(
        self,
        answers: Callable[[str], str | Answer],
        *,
        name: str = "fake",
        failures: Iterable[Exception | None] = (),
    ) -> None:
        self.name = name
        self.calls: list[tuple[str, str]] = []
        """(prompt, key) of every call, failed ones included, in order."""
        self._answers = answers
        self._failures = iter(failures)

    async def ask(self, prompt: str, *, key: str) -> Answer:
        """Look the answer up."""
        self.calls.append((prompt, key))
        await asyncio.sleep(0)  # as a real one it lets others run
        failure = next(self._failures, None)
        if failure is not None:
            raise failure
        return _as_answer(self._answers(prompt), self.name)


class CallableClient:
    """Asks any Python function, plain (each call in a thread of its own) or async.

    Args:
        function: Prompt to answer. What it raises of timeouts, lost connections and HTTP statuses is understood; any
            other exception of it passes as it came.
        name: What the candidate is called; the function's own name if not given.
    """

    def __init__(
        self, function: Callable[[str], str | Answer | Awaitable[str | Answer]], name: str | None = None
    ) -> None:
        self.name = str(getattr(function, "__name__", type(function).__name__)) if name is None else name
        self._function = function
        self._threads = _threads()

    async def ask(self, prompt: str, *, key: str) -> Answer:  # noqa: ARG002  # a function has no place for a key
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

    async def aclose(self) -> None:
        """Give the threads back; one that still waits for its function is left to it. Asking again takes new ones."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._threads = _threads()


def client(
    model: str,
    *,
    base_url: str | None = None,
    api_key_env: str | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    system: str | None = None,
    timeout_s: float | None = None,
) -> Client:
    """A client from what stands on a command line.

    Args:
        model: `openai:NAME`, `python:package.module:function`, or a prefix that an installed package adds:
            `langchain:` with what `init_chat_model` takes, `llamaindex:package.module:object`.
        base_url: Of the server; not every prefix takes every option.
        api_key_env: The environment variable that holds the key.
        temperature: Of the sampling; the provider's default if not given.
        max_tokens: Of an answer, at most.
        system: Text of a system message before every prompt.
        timeout_s: Without a byte from the server [s].

    Raises:
        InvalidInput: If there is no such prefix, it does not take an option, or there is no key.
        MissingExtra: If the package behind the prefix is not installed.
    """
    options = {
        "base_url": base_url,
        "api_key_env": api_key_env,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "system": system,
        "timeout_s": timeout_s,
    }
    given = {name: value for name, value in options.items() if value is not None}
    prefix, _, rest = model.partition(":")
    door = _door(prefix, model) if rest else _no_door(model)
    try:
        inspect.signature(door).bind(rest, **given)
    except TypeError as error:
        raise InvalidInput(f"{prefix}: {error}; set it where the model is made") from None
    return door(rest, **given)


def load_object(path: str) -> Any:
    """The object at `package.module:name`; modules in the working directory are found as well.

    Raises:
        InvalidInput: If there is no such module, or nothing of this name in it.
    """
    module, _, name = path.partition(":")
    if not module or not name:
        raise InvalidInput(f"{path!r} names no object; it is given as package.module:name")
    here = str(Path.cwd())
    if here not in sys.path:  # a console script does not have it there, and `python -m` does
        sys.path.append(here)
    try:
        return attrgetter(name)(importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        raise InvalidInput(f"cannot load {path!r}: {error}") from error


def token_count(tokens: object) -> int | None:
    """A number of tokens as a provider gives it, or None where it is none."""
    return tokens if isinstance(tokens, int) and not isinstance(tokens, bool) and tokens >= 0 else None


def _door(prefix: str, model: str) -> Callable[..., Client]:
    if prefix in DOORS:
        return DOORS[prefix]
    for entry in entry_points(group=ENTRY_POINTS, name=prefix):
        loaded: Callable[..., Client] = entry.load()
        return loaded
    return _no_door(model)


def _no_door(model: str) -> Callable[..., Client]:
    prefixes = sorted({*DOORS, *entry_points(group=ENTRY_POINTS).names})
    listed = ", ".join(f"{prefix}:…" for prefix in prefixes)
    raise InvalidInput(f"no client for {model!r}; a model is given as {listed} (`openai:gpt-4o-mini`)")


def _openai(model: str, **options: Any) -> Client:
    from cit_core.aptitude.clients.openai_client import OpenAIClient

    return OpenAIClient.from_environment(model, **options)


def _python(path: str) -> Client:
    function = load_object(path)
    if not callable(function):
        raise InvalidInput(f"{path!r} is {type(function).__name__}; it must be a function from a prompt to an answer")
    return CallableClient(function, name=path)


DOORS: dict[str, Callable[..., Client]] = {"openai": _openai, "python": _python}
"""The prefixes that the core knows by itself."""


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="cit-client")


def _as_answer(answer: str | Answer, name: str) -> Answer:
    if isinstance(answer, str):
        return Answer(answer)
    if not isinstance(answer, Answer):
        raise InvalidInput(f"{name} returned {type(answer).__name__}; it must return a str or an Answer")
    return answer
