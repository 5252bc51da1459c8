"""Cascades of LlamaIndex's LLMs: what verifiers see of a response, its cost, and where the steps are told."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, cast

from llama_index.core.base.llms.types import ChatResponse
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM

from cit_core.records import Candidate, Decision
from cit_core.router import Answer, Attempts
from cit_core.router.settlement import UNKNOWN, Bill, bill_of
from llamaindex_cit._inputs import Question
from llamaindex_cit._response_metadata import CIT_CASCADE, billed_tokens, unstamped
from llamaindex_cit._trail import note

__all__ = ["Blocking", "Responses"]

ASYNCHRONOUS = frozenset(
    f"a{name}{tools}"
    for name in ("chat", "complete", "stream_chat", "stream_complete")
    for tools in ("", "_with_tools")
)


class Responses:
    """LlamaIndex's part in the steps of one answer.

    Args:
        models: The LLMs by candidate.
        candidates: Their prices.
        attempts: Makes the attempts at a step.
        question: The question that was routed.
        call: Asks one LLM.
    """

    def __init__(
        self,
        models: Mapping[str, LLM],
        candidates: Mapping[str, Candidate],
        attempts: Callable[[Decision], Attempts],
        question: Question,
        call: Callable[[LLM], Any],
    ) -> None:
        self._models, self._candidates, self._attempts = models, candidates, attempts
        self._question, self._call = question, call

    def attempts(self, decision: Decision) -> Attempts:
        """Return the attempts at a step."""
        return self._attempts(decision)

    def question(self) -> str:
        """Return the question, as verifiers read it."""
        return self._question.text

    def answer(self, given: Any, attempts: Attempts, _decision: Decision) -> Answer:
        """Return a response, or the last chunk of a stream, as verifiers see it."""
        model = attempts.model
        llm = self._models[model]

        def again() -> Answer:
            said = self._call(llm)
            return self._seen(list(said) if isinstance(said, Iterator) else said, model)

        async def aagain() -> Answer:
            said = self._call(llm)
            said = await said if inspect.isawaitable(said) else said
            return self._seen([chunk async for chunk in said] if isinstance(said, AsyncIterator) else said, model)

        return self._seen(given, model, again=again, aagain=aagain)

    def bill(self, given: Any, model: str) -> Bill:
        """Return what a response took by the tokens that the provider counted."""
        response = _whole(given)
        if response is None:
            return UNKNOWN
        return bill_of(self._candidates[model], *billed_tokens(response))

    def words(self, given: Any, model: str) -> str:
        """Return the text of a response; none where it calls tools."""
        said = self._seen(given, model)
        return "" if said.tool_calls else said.text

    def reference(self, model: str) -> Callable[[], Any] | None:
        """Return what asks a candidate in the same way, for a shadow."""
        llm = self._models.get(model)
        if llm is None:
            return None

        def ask() -> str:
            said = self._call(cast("LLM", Blocking(llm)))
            return self._seen(list(said) if isinstance(said, Iterator) else said, model).text

        return ask

    def marked(self, given: Any, report: Mapping[str, Any]) -> Any:
        """Return a response, or every chunk, with the steps in its metadata."""
        if isinstance(given, list):
            return [self.marked(chunk, report) for chunk in given]
        if given is None:
            return None
        return given.model_copy(update={"additional_kwargs": {**given.additional_kwargs, CIT_CASCADE: dict(report)}})

    def accepted(self, decision: Decision, model: str) -> None:
        """Note for the engine or agent that runs now which candidate's answer is accepted."""
        note(decision, model)

    def _seen(self, given: Any, model: str, **again: Any) -> Answer:
        response = _whole(given)
        if not isinstance(response, ChatResponse):
            return Answer(response.text, model, response, _mean_logprob(response), **again)
        calls = self._calls(response, model) if self._question.facts.tools else ()
        return Answer(response.message.content or "", model, response, _mean_logprob(response), calls, **again)

    def _calls(self, response: ChatResponse, model: str) -> tuple[str, ...]:
        llm = self._models[model]
        assert isinstance(llm, FunctionCallingLLM)  # a call with tools is decided among these
        found = llm.get_tool_calls_from_response(unstamped(response), error_on_no_tool_call=False)
        return tuple(call.tool_name for call in found)


class Blocking:
    """An LLM of which the asynchronous methods answer at once: a thread without an event loop asks it.

    Its asynchronous client belongs to the loop of whoever waits for answers, and no other may use it.
    """

    def __init__(self, llm: LLM) -> None:
        self._llm = llm

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._llm)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._llm, name[1:] if name in ASYNCHRONOUS else name)


def _whole(given: Any) -> Any:
    """Return the response, or the last chunk of a stream, which holds all of it."""
    return next((chunk for chunk in reversed(given) if chunk is not None), None) if isinstance(given, list) else given


def _mean_logprob(response: Any) -> float | None:
    """Return the mean log-probability of the tokens; LlamaIndex keeps the likeliest ones of each place."""
    found = [place[0].logprob for place in getattr(response, "logprobs", None) or () if place]
    return sum(found) / len(found) if found else None
