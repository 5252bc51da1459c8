"""The aptitude test for LangChain's chat models."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage

from cit_core.aptitude.clients import Answer, checked_answer
from cit_core.aptitude.clients.blocking import BlockingCalls
from cit_core.arms import Arm
from cit_core.errors import InvalidInput, MissingExtra
from cit_core.provider_errors import answering, from_library
from cit_core.router.arm_options import told_effort
from cit_core.router.empty_answer import endings_in
from cit_core.tokens import counted_tokens

if TYPE_CHECKING:
    from pathlib import Path

    from cit_core.aptitude.runner import RunReport
    from cit_core.records import Candidate
    from cit_core.store import CapabilityStore

__all__ = ["ChatModelClient", "aaptitude_test", "aptitude_test", "from_string"]


class ChatModelClient:
    """Client of a LangChain chat model. LangChain has no place for the key of a question, so it is not sent.

    Questions are asked through the model's blocking `invoke`, in threads: what an event loop has opened for it stays as
    it is, and the model is as usable afterwards as before.

    Args:
        model: The chat model, asked with its own settings, callbacks and retries.
        name: Name of the candidate; the model's name at its provider if not given.
        system: Text of a system message before the prompt.
    """

    def __init__(self, model: BaseChatModel, name: str | None = None, *, system: str | None = None) -> None:
        if not isinstance(model, BaseChatModel):
            raise InvalidInput(f"model is {type(model).__name__}; it must be a LangChain chat model")
        self.name = _name(model) if name is None else name
        self._calls = BlockingCalls(model.invoke, model.ainvoke)
        self._system = [] if system is None else [SystemMessage(system)]

    async def ask(self, prompt: str, *, key: str) -> Answer:  # noqa: ARG002
        """Invoke the model once; its own retries are inside."""
        with answering(from_library):
            message = await self._calls.ask([*self._system, HumanMessage(prompt)])
        counted = counted_tokens(message.usage_metadata)
        return checked_answer(
            str(message.text),
            next(iter(endings_in(message.response_metadata)), None),
            prompt_tokens=counted.prompt,
            completion_tokens=counted.completion,
        )


def from_string(
    model: str,
    *,
    temperature: float | None = None,
    max_tokens: int | None = None,
    system: str | None = None,
    timeout_s: float | None = None,
) -> ChatModelClient:
    """Return the client behind `langchain:MODEL`.

    Args:
        model: Name as `init_chat_model` takes it: `openai:gpt-4o-mini`, `anthropic:claude-sonnet-4-5`. Keys and
            addresses come from where the provider's package looks for them.
        temperature: Sampling temperature; the provider's default if not given.
        max_tokens: Longest answer [tokens].
        system: Text of a system message before every prompt.
        timeout_s: Time limit of a request [s].

    Raises:
        MissingExtra: If `langchain` is not installed.
        InvalidInput: If it cannot make this model: the provider is not known, or its package or key is missing.
    """
    try:
        from langchain.chat_models import init_chat_model
    except ImportError as error:
        raise MissingExtra("langchain", "agents") from error
    options = {"temperature": temperature, "max_tokens": max_tokens, "timeout": timeout_s}
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    try:
        made = init_chat_model(model, **given)
    except Exception as error:  # each provider's package has errors of its own
        what = (str(error).splitlines() or [""])[0]  # further lines of pydantic's hold what came
        raise InvalidInput(f"cannot make langchain:{model}: {type(error).__name__}: {what}") from error
    return ChatModelClient(made, system=system)


def aptitude_test(
    model: BaseChatModel,
    *,
    store: CapabilityStore | str,
    suite: str = "cit-basics",
    texts: str | Path | None = None,
    candidate: str | Candidate | None = None,
    **options: Any,
) -> RunReport:
    """Measure a chat model, so that a router over this store can choose it. Blocks until it is done.

    Args:
        model: The chat model to measure.
        store: Store of the outcomes, its address, or `default` for this user's own; a test that was cut off is resumed.
        suite: Name or file of a suite.
        texts: File or dataset with the suite's texts; `cit-basics` generates its own.
        candidate: Id in the store, or a record with facts; the model's name if not given.
        options: Fields of `cit_core.aptitude.runner.RunOptions`, or `progress`, as for `cit_core.aptitude.measure`.

    Raises:
        InvalidInput: If the suite, the texts or an option cannot be used.
    """
    from cit_core.aptitude.measure import measure
    from cit_core.router.loading import opened_store

    asked = ChatModelClient(model)
    with opened_store(store, create=True) as opened:
        return measure(asked, store=opened, suite=suite, texts=texts, candidate=candidate, **options)


async def aaptitude_test(model: BaseChatModel, *, store: CapabilityStore | str, **options: Any) -> RunReport:
    """Measure as `aptitude_test` does, with its arguments; the event loop is never blocked."""
    from cit_core.aptitude.measure import ameasure
    from cit_core.router.loading import open_store

    asked, opened = ChatModelClient(model), await asyncio.to_thread(open_store, store, create=True)
    try:
        return await ameasure(asked, store=opened, **options)
    finally:
        if opened is not store:
            await asyncio.to_thread(opened.close)


def _name(model: BaseChatModel) -> str:
    """Return the model's name, which providers' classes call `model_name` or `model`, with its effort."""
    for field in ("model_name", "model"):
        name = getattr(model, field, None)
        if isinstance(name, str) and name:
            return Arm(name, told_effort(model)).name
    return type(model).__name__
