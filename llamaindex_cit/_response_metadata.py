"""Metadata of a routed response about its decision, in `additional_kwargs`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse

from cit_core.aptitude.clients import token_count
from cit_core.records import Decision

__all__ = [
    "CIT_CASCADE",
    "CIT_INNER",
    "CIT_MODEL",
    "CIT_ROUTE",
    "CIT_SAMPLES",
    "Response",
    "field_of",
    "stamped",
    "stamps",
    "tokens_of",
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
TOKENS = (("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens"))
"""Names that providers give to the tokens of a prompt and of an answer."""

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


def tokens_of(response: ChatResponse | CompletionResponse) -> tuple[int | None, int | None]:
    """Return the tokens of the prompt and of the answer, as the provider counted them; None where it did not."""
    for place in (_usage(response), response.additional_kwargs):
        for names in TOKENS:
            prompt_tokens, completion_tokens = (token_count(field_of(place, name)) for name in names)
            if prompt_tokens is not None or completion_tokens is not None:
                return prompt_tokens, completion_tokens
    return None, None


def billed_tokens(response: ChatResponse | CompletionResponse) -> tuple[int | None, int | None, int]:
    """Return the tokens of the whole prompt, of the answer, and those of the prompt that came from a cache."""
    prompt, completion = tokens_of(response)
    usage = _usage(response)
    details = field_of(usage, "prompt_tokens_details") or field_of(usage, "input_tokens_details")
    cached = token_count(field_of(details, "cached_tokens"))
    if cached is None and prompt is not None:  # Anthropic counts what is cached beside the prompt
        read, made = (token_count(field_of(usage, f"cache_{how}_input_tokens")) or 0 for how in ("read", "creation"))
        prompt, cached = prompt + read + made, read
    return prompt, completion, cached or 0


def _usage(response: ChatResponse | CompletionResponse) -> Any:
    """Return the count of the provider, or its sum over samples."""
    summed = response.additional_kwargs.get(CIT_SAMPLES, {})
    return summed if "prompt_tokens" in summed else field_of(response.raw, "usage")


def field_of(holder: object, name: str) -> Any:
    """Return an item of a mapping or an attribute of an object: raw responses are either."""
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
