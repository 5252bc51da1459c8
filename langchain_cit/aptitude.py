"""The aptitude test for LangChain's chat models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.exceptions import (
    ModelAuthenticationError,
    ModelError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
)
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from cit_core.aptitude.clients import Answer, token_count
from cit_core.errors import InvalidInput, MissingExtra, Refused, Transient
from cit_core.provider_errors import answering, from_library, http_status, require_text

if TYPE_CHECKING:
    from pathlib import Path

    from cit_core.aptitude.runner import RunReport
    from cit_core.records import Candidate
    from cit_core.store import CapabilityStore

__all__ = ["ChatModelClient", "aptitude_test", "from_string"]

FATAL = (ModelAuthenticationError, ModelNotFoundError, ModelPermissionDeniedError)
"""What is wrong with the key or the model, not with the question."""


class ChatModelClient:
    """Asks a LangChain chat model. LangChain has no place for the key of a question, so it is not sent.

    Args:
        model: Is asked with its own settings, callbacks and retries.
        name: What the candidate is called; the model's name at its provider if not given.
        system: Text of a system message before the prompt.
    """

    def __init__(self, model: BaseChatModel, name: str | None = None, *, system: str | None = None) -> None:
        if not isinstance(model, BaseChatModel):
            raise InvalidInput(f"model is {type(model).__name__}; it must be a LangChain chat model")
        self.name = _name(model) if name is None else name
        self._model = model
        self._system = [] if system is None else [SystemMessage(system)]

    async def ask(self, prompt: str, *, key: str) -> Answer:  # noqa: ARG002
        """Invoke the model once; its own retries are inside."""
        with answering(_tell):
            message = await self._model.ainvoke([*self._system, HumanMessage(prompt)])
        usage: Any = message.usage_metadata or {}
        return Answer(
            require_text(str(message.text), _finish_reason(message)),
            prompt_tokens=token_count(usage.get("input_tokens")),
            completion_tokens=token_count(usage.get("output_tokens")),
        )


def from_string(
    model: str,
    *,
    temperature: float | None = None,
    max_tokens: int | None = None,
    system: str | None = None,
    timeout_s: float | None = None,
) -> ChatModelClient:
    """The client behind `langchain:MODEL`.

    Args:
        model: As `init_chat_model` takes it: `openai:gpt-4o-mini`, `anthropic:claude-sonnet-4-5`. Keys and addresses
            come from where the provider's package looks for them.
        temperature: Of the sampling; the provider's default if not given.
        max_tokens: Of an answer, at most.
        system: Text of a system message before every prompt.
        timeout_s: Of a request [s].

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
    store: CapabilityStore,
    suite: str = "cit-basics",
    texts: str | Path | None = None,
    candidate: str | Candidate | None = None,
    **options: Any,
) -> RunReport:
    """Measure a chat model, so that a router over this store can choose it. Blocks until it is done.

    Where an event loop is running, as in a notebook, await `cit_core.aptitude.runner.arun_aptitude` with a
    `ChatModelClient` instead.

    Args:
        model: Who is measured.
        store: Where the outcomes go; a test that was cut off goes on where it was.
        suite: Name or file of a suite.
        texts: A file or dataset with the suite's texts; `cit-basics` makes its own.
        candidate: What it is called in the store; the client's name if not given.
        options: As `cit_core.aptitude.runner.RunOptions` takes them.

    Raises:
        InvalidInput: If an event loop is running, or something given cannot be used.
    """
    from cit_core.aptitude.runner import RunOptions, run_aptitude
    from cit_core.aptitude.suites import find_suite, sources

    client, asked = ChatModelClient(model), find_suite(suite)
    items = sources.texts(asked, texts)
    return run_aptitude(client, asked, items, store, candidate=candidate, options=RunOptions(**options))


def _name(model: BaseChatModel) -> str:
    """What providers' classes call it is not settled: `model_name`, or `model`."""
    for field in ("model_name", "model"):
        name = getattr(model, field, None)
        if isinstance(name, str) and name:
            return name
    return type(model).__name__


def _finish_reason(message: AIMessage) -> object:
    told = message.response_metadata
    return told.get("finish_reason") or told.get("stop_reason")


def _tell(error: Exception) -> Transient | Refused | None:
    """As the core does, and with LangChain's own classes where a provider's error carries no status."""
    if isinstance(error, ModelError) and http_status(error) is None:
        name = type(error).__name__
        if error.is_retryable:
            return Transient(f"no usable response ({name})")
        return Refused(f"the provider refused ({name})", fatal=isinstance(error, FATAL))
    return from_library(error)
