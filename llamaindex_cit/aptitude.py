"""The aptitude test for LlamaIndex's LLMs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.llms import LLM

from cit_core.aptitude.clients import Answer, checked_answer, load_object
from cit_core.aptitude.clients.blocking import BlockingCalls
from cit_core.arms import Arm
from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.provider_errors import answering, from_library
from cit_core.router.arm_options import told_effort
from llamaindex_cit._response_metadata import billed_tokens, endings_of

if TYPE_CHECKING:
    from pathlib import Path

    from cit_core.aptitude.runner import RunReport
    from cit_core.records import Candidate
    from cit_core.store import CapabilityStore

__all__ = ["LLMClient", "aaptitude_test", "aptitude_test", "from_string"]

UNNAMED = "unknown"
"""LlamaIndex's name of a model without a name."""


class LLMClient:
    """Client of a LlamaIndex LLM. LlamaIndex has no place for the key of a question, so it is not sent.

    Questions are asked through the LLM's blocking `chat`, in threads: what an event loop has opened for it stays as it
    is, and the LLM is as usable afterwards as before.

    Args:
        llm: The LLM, asked with its own settings, callbacks and retries.
        name: Name of the candidate; the model's name at its provider if not given.
        system: Text of a system message before the prompt.

    Raises:
        InvalidInput: If it is not a LlamaIndex LLM.
    """

    def __init__(self, llm: LLM, name: str | None = None, *, system: str | None = None) -> None:
        if not isinstance(llm, LLM):
            raise InvalidInput(f"llm is {type(llm).__name__}; it must be a LlamaIndex LLM")
        self.name = _name(llm) if name is None else name
        self._calls = BlockingCalls(llm.chat, llm.achat)
        self._system = [] if system is None else [ChatMessage(role=MessageRole.SYSTEM, content=system)]

    async def ask(self, prompt: str, *, key: str) -> Answer:  # noqa: ARG002
        """Ask the LLM once; its own retries are inside."""
        with answering(from_library):
            response = await self._calls.ask([*self._system, ChatMessage(role=MessageRole.USER, content=prompt)])
        counted = billed_tokens(response)
        return checked_answer(
            response.message.content,
            next(iter(endings_of(response)), None),
            prompt_tokens=counted.prompt,
            completion_tokens=counted.completion,
        )


def from_string(path: str, *, system: str | None = None) -> LLMClient:
    """Return the client behind `llamaindex:PATH`.

    Args:
        path: `package.module:name` of an LLM, or of a function that makes one and needs no argument.
        system: Text of a system message before every prompt.

    Raises:
        InvalidInput: If there is no LLM at this path.
    """
    found = load_object(path)
    llm = found() if callable(found) and not isinstance(found, LLM) else found
    if not isinstance(llm, LLM):
        raise InvalidInput(f"{shown(path)} is {type(llm).__name__}; it must be a LlamaIndex LLM or make one")
    return LLMClient(llm, system=system)


def aptitude_test(
    llm: LLM,
    *,
    store: CapabilityStore | str,
    suite: str = "cit-basics",
    texts: str | Path | None = None,
    candidate: str | Candidate | None = None,
    **options: Any,
) -> RunReport:
    """Measure an LLM, so that a router over this store can choose it. Blocks until it is done.

    Args:
        llm: The LLM to measure.
        store: Store of the outcomes, its address, or `default` for this user's own; a test that was cut off is resumed.
        suite: Name or file of a suite.
        texts: File or dataset with the suite's texts; `cit-basics` generates its own.
        candidate: Id in the store, or a record with facts; the LLM's name if not given.
        options: Fields of `cit_core.aptitude.runner.RunOptions`, or `progress`, as for `cit_core.aptitude.measure`.

    Raises:
        InvalidInput: If the suite, the texts or an option cannot be used.
    """
    from cit_core.aptitude.measure import measure
    from cit_core.router.loading import opened_store

    asked = LLMClient(llm)
    with opened_store(store, create=True) as opened:
        return measure(asked, store=opened, suite=suite, texts=texts, candidate=candidate, **options)


async def aaptitude_test(llm: LLM, *, store: CapabilityStore | str, **options: Any) -> RunReport:
    """Measure as `aptitude_test` does, with its arguments; the event loop is never blocked."""
    from cit_core.aptitude.measure import ameasure
    from cit_core.router.loading import open_store

    asked, opened = LLMClient(llm), await asyncio.to_thread(open_store, store, create=True)
    try:
        return await ameasure(asked, store=opened, **options)
    finally:
        if opened is not store:
            await asyncio.to_thread(opened.close)


def _name(llm: LLM) -> str:
    name = llm.metadata.model_name
    return type(llm).__name__ if name in ("", UNNAMED) else Arm(name, told_effort(llm)).name
