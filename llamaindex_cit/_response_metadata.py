"""Metadata of a routed response about its decision, in `additional_kwargs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse

from cit_core.records import Decision
from cit_core.router.empty_answer import endings_in
from cit_core.tokens import Counted, counted_tokens

__all__ = [
    "CIT_CASCADE",
    "CIT_INNER",
    "CIT_MODEL",
    "CIT_ROUTE",
    "CIT_SAMPLES",
    "Response",
    "billed_tokens",
    "endings_of",
    "stamped",
    "stamps",
    "unstamped",
]

CIT_MODEL = "cit_model"
"""The id of the candidate that answered; after a fallback another one than the decision's."""
CIT_ROUTE = "cit_route"
"""The decision, as JSON."""
CIT_INNER = "cit_inner"
"""Key for the inner metadata of these names, where the candidate is a routed LLM itself."""
CIT_CASCADE = "cit_cascade"
"""The steps of a cascade, as JSON."""
CIT_SAMPLES = "cit_samples"
"""How many answers were asked for, how many of them agree, and the tokens of all."""
STAMPS = (CIT_MODEL, CIT_ROUTE, CIT_INNER, CIT_CASCADE)

Response = TypeVar("Response", ChatResponse, CompletionResponse)


def stamps(model: str, decision: Decision) -> dict[str, Any]:
    """Return what a response of this candidate says."""
    return {CIT_MODEL: model, CIT_ROUTE: decision.model_dump(mode="json")}


def stamped(response: Response, more: Mapping[str, Any]) -> Response:
    """Return a copy that says it: the candidate may keep its response, and give it again."""
    given = response.additional_kwargs
    inner = {name: given[name] for name in STAMPS if name in given}
    own = {**more, CIT_INNER: inner} if inner else more
    return response.model_copy(update={"additional_kwargs": {**given, **own}})


def unstamped(response: ChatResponse) -> ChatResponse:
    """Return the response as the candidate gave it."""
    kwargs = response.additional_kwargs
    given = {name: value for name, value in kwargs.items() if name not in STAMPS}
    return response.model_copy(update={"additional_kwargs": {**given, **kwargs.get(CIT_INNER, {})}})


def billed_tokens(response: ChatResponse | CompletionResponse) -> Counted:
    """Return the tokens of an answer, as the provider counted them."""
    places = (_usage(response), response.additional_kwargs)
    return next((found for found in map(counted_tokens, places) if found[:2] != (None, None)), Counted())


def _usage(response: ChatResponse | CompletionResponse) -> Any:
    """Return the count of the provider, or its sum over samples."""
    summed = response.additional_kwargs.get(CIT_SAMPLES, {})
    return summed if "prompt_tokens" in summed else _field_of(response.raw, "usage")


def endings_of(response: ChatResponse | CompletionResponse) -> list[object]:
    """Return what the provider says of the answer's ending; nothing in the middle of a stream."""
    choices = _field_of(response.raw, "choices")
    first = choices[0] if isinstance(choices, Sequence) and choices else None
    return [*endings_in(first), *endings_in(response.raw)]


def _field_of(holder: object, name: str) -> Any:
    """Return an item of a mapping or an attribute of an object: raw responses are either."""
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
