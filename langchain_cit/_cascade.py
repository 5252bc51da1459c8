"""Cascades of LangChain's models: what verifiers see of an answer, its cost, and where the steps are told."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseLanguageModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.output_parsers import BaseLLMOutputParser
from langchain_core.outputs import ChatGeneration, ChatResult, LLMResult
from langchain_core.prompts import BasePromptTemplate
from langchain_core.runnables import Runnable, RunnableSequence, RunnableWithFallbacks
from langchain_core.runnables.base import RunnableBindingBase
from pydantic import BaseModel

from cit_core.errors import InvalidInput
from cit_core.records import Decision
from cit_core.router import Answer, Attempts, Cascade, Router
from cit_core.router.settlement import UNKNOWN, Bill, bill_of, sum_of
from cit_core.tokens import counted_tokens
from langchain_cit._content import text_of
from langchain_cit._inputs import Asking, read_query
from langchain_cit._streams import END, join
from langchain_cit._trace import CIT_CASCADE

__all__ = ["Messages", "Meter", "answer_of", "message_bill", "require_repeatable"]

Again = Callable[[Attempts, Decision], Callable[..., Any]]
"""Returns a function that asks a candidate once more; with `later=True`, it returns an awaitable."""


class Messages:
    """LangChain's part in the steps of one answer.

    Args:
        asking: The router with its settings.
        value: The input.
        beside: Asks a candidate by its route, outside of this run.
        again: Asks the candidate of some attempts once more; only for cascades.
        meters: What chat models answered within each candidate's run, if it has one.
    """

    def __init__(
        self,
        asking: Asking,
        value: Any,
        beside: Callable[[Any], Any],
        again: Again | None = None,
        meters: Mapping[str, Meter] | None = None,
    ) -> None:
        self._asking, self._value, self._again, self._beside = asking, value, again, beside
        self._meters, self._marked = {} if meters is None else meters, False

    def attempts(self, decision: Decision) -> Attempts:
        """Return the attempts at a step."""
        return self._asking.attempts(decision)

    def question(self) -> str:
        """Return the question, as verifiers read it."""
        return read_query(self._value, self._asking.query_key, whole=self._asking.whole).text

    def answer(self, given: Any, attempts: Attempts, decision: Decision) -> Answer:
        """Return an answer as verifiers see it."""
        assert self._again is not None  # whatever is verified has steps
        once, model = self._again(attempts, decision), attempts.model

        async def aagain() -> Answer:
            return answer_of(await once(later=True), model)

        return answer_of(given, model, again=lambda: answer_of(once(), model), aagain=aagain)

    def bill(self, given: Any, model: str) -> Bill:
        """Return what an answer took by the tokens that the provider counted: of all chat models in a chain.

        It is unknown where a chain was left while one of several was answering.
        """
        meter = self._meters.get(model)
        if meter is not None and meter.messages and meter.under_way:
            return UNKNOWN
        answered: Sequence[object] = meter.messages if meter is not None else ()
        answered = answered or [_message(_whole(given))]
        return sum_of(message_bill(message, self._asking.router, model) for message in answered)

    def words(self, given: Any, model: str) -> str:
        """Return the text of an answer; none where it calls tools."""
        said = answer_of(given, model)
        return "" if said.tool_calls else said.text

    def reference(self, model: str) -> Callable[[], Any] | None:
        """Return what asks a candidate in the same way, for a shadow."""
        route = self._asking.routes.get(model)
        return None if route is None else lambda: answer_of(self._beside(route), model).text

    def marked(self, given: Any, report: Mapping[str, Any]) -> Any:
        """Return an answer with the steps in the metadata of its message, or of a stream's first piece, once.

        What is no message is as it was: a text has no place for them.
        """
        if self._marked:
            return given
        self._marked = True
        return _marked(given, report)

    def accepted(self, decision: Decision, model: str) -> None:
        """Do nothing: a run's trace has been written by then."""


class Meter(BaseCallbackHandler):
    """Collects what chat models answer within a candidate's run: a chain's own answer may be a text or an object."""

    run_inline = True  # before the answer is there

    def __init__(self) -> None:
        self.messages: list[BaseMessage] = []
        self.under_way: set[UUID] = set()
        """Runs of models that have not ended, or that were left."""

    def on_chat_model_start(self, *_: Any, run_id: UUID, **__: Any) -> None:
        """Note that a model is asked."""
        self.under_way.add(run_id)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """Forget a model that has failed; one that was left (GeneratorExit, CancelledError) is paid."""
        if isinstance(error, Exception):
            self.under_way.discard(run_id)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """Keep the answer of a model: of several to one prompt (`n`) the first, each has the usage of them all."""
        found = (_message(generation) for prompt in response.generations for generation in prompt[:1])
        self.under_way.discard(run_id)
        self.messages += [message for message in found if message is not None]


def message_bill(message: object, router: Router, model: str) -> Bill:
    """Return what a message took by its usage metadata; unknown where there is none."""
    candidate = next(one for one in router.candidates if one.id == model)
    usage = getattr(message, "usage_metadata", None) or {}
    bill = bill_of(candidate, *counted_tokens(usage))
    return bill._replace(cost_usd=0.0) if usage.get("total_cost") == 0 else bill  # from the candidate's cache


def answer_of(given: Any, model: str, **again: Any) -> Answer:
    """Return an answer as verifiers see it: of a message, the pieces of a stream, a text, or what a parser made."""
    value = _whole(given)
    message = _message(value)
    if message is None:
        text = value if isinstance(value, str) else _written(value)
        return Answer(text, model, value, **again)
    calls = tuple(call["name"] for call in getattr(message, "tool_calls", ()))
    return Answer(text_of(message), model, message, _mean_logprob(message), calls, **again)


def require_repeatable(routes: Mapping[str, Runnable[Any, Any]], cascade: Cascade | None) -> None:
    """Refuse routes that may do more than answer: a cascade may ask two of them, and a tool would run twice.

    Raises:
        InvalidInput: If one is neither a model nor a chain of prompts, models and parsers.
    """
    if cascade is None or cascade.any_route:
        return
    for id_, route in routes.items():
        if not _only_answers(route):
            raise InvalidInput(
                f"the route of {id_!r} is {type(route).__name__}, which may do more than answer, and a cascade may ask "
                "two routes; use models, or chains of prompts, models and parsers, or Cascade(..., any_route=True)"
            )


def _only_answers(route: object) -> bool:
    while isinstance(route, RunnableBindingBase):
        route = route.bound
    if isinstance(route, RunnableSequence):
        return all(map(_only_answers, route.steps))
    if isinstance(route, RunnableWithFallbacks):
        return all(map(_only_answers, route.runnables))
    return isinstance(route, BaseLanguageModel | BasePromptTemplate | BaseLLMOutputParser)


def _marked(given: Any, report: Mapping[str, Any]) -> Any:
    if isinstance(given, list):
        return [_marked(given[0], report), *given[1:]] if given else given
    if isinstance(given, ChatResult):
        return ChatResult(generations=_marked(given.generations, report), llm_output=given.llm_output)
    if isinstance(given, ChatGeneration):
        return given.model_copy(update={"message": _marked(given.message, report)})
    if isinstance(given, BaseMessage):
        return given.model_copy(update={"response_metadata": {**given.response_metadata, CIT_CASCADE: dict(report)}})
    return given


def _whole(given: Any) -> Any:
    """Return the whole of an answer that may be the pieces of a stream."""
    if not isinstance(given, list):
        return given
    whole = join(given)
    return "" if whole is END else whole


def _message(value: Any) -> BaseMessage | None:
    if isinstance(value, ChatResult):
        value = value.generations[0]
    if isinstance(value, Mapping) and "raw" in value:  # with_structured_output(include_raw=True)
        value = value["raw"]
    value = getattr(value, "message", value)
    return value if isinstance(value, BaseMessage) else None


def _written(value: Any) -> str:
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return str(value)


def _mean_logprob(message: BaseMessage) -> float | None:
    """Return the mean log-probability of the tokens, as OpenAI and those like it tell it."""
    told = message.response_metadata.get("logprobs") if isinstance(message, AIMessage) else None
    tokens = told.get("content") if isinstance(told, Mapping) else told
    found = [token["logprob"] for token in tokens or () if isinstance(token, Mapping) and "logprob" in token]
    return sum(found) / len(found) if found else None
