"""Validated options of CITLLM; every error is an InvalidInput that shows no user's `__repr__`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import LLM
from llama_index.core.types import BaseOutputParser
from pydantic import ValidationError

from cit_core.errors import InvalidInput
from cit_core.messages import closest, shown
from cit_core.router import Fallback, Router
from cit_core.router.options import as_fallback, check_ids

__all__ = ["FAILOVER", "as_models", "invalid_options", "pick_fallback", "require_options"]

FAILOVER = "failover"
"""Alias of the option `fallback`."""
UNCHECKED = {"callback_manager": CallbackManager, "output_parser": BaseOutputParser}
"""Options that LlamaIndex takes with any value."""


def as_models(given: Any, router: Router) -> dict[str, LLM]:
    """Return the LLM of each candidate.

    Raises:
        UnknownCandidate: If an id is not a candidate of the router.
        InvalidInput: If there is no LLM, or one is not LlamaIndex's.
    """
    models = check_ids(given, router, what="models", kind="LlamaIndex LLM")
    for id_, llm in models.items():
        if not isinstance(llm, LLM):
            raise InvalidInput(f"models[{id_!r}] is {type(llm).__name__}; it must be a LlamaIndex LLM")
    return models


def pick_fallback(fallback: Any, options: dict[str, Any]) -> Fallback:
    """Return the fallback, given by its name or by the alias, and take the alias out of the options.

    Raises:
        InvalidInput: If both are given, or it is no `Fallback`.
    """
    other = options.pop(FAILOVER, None)
    if fallback is not None and other is not None:
        raise InvalidInput("fallback and failover are two names of one option; give one of them")
    return as_fallback(other if fallback is None else fallback)


def require_options(given: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse an option that LlamaIndex's LLMs would ignore, or take and trip over later.

    Raises:
        InvalidInput: If there is no such option, which names the closest, or it is of another type.
    """
    for name, kind in UNCHECKED.items():
        value = given.get(name)
        if value is not None and not isinstance(value, kind):
            raise InvalidInput(f"{name} is {type(value).__name__}; it must be a LlamaIndex {kind.__name__}")
    for name in given:
        if name not in known:
            hint = ", ".join(map(repr, closest(name, known)))
            raise InvalidInput(f"CITLLM has no option {shown(name)}" + (f"; closest: {hint}" if hint else ""))


def invalid_options(error: ValidationError) -> InvalidInput:
    """Return our error for pydantic's, which would print what came."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    names = dict.fromkeys(str(detail["loc"][0]) for detail in found if detail["loc"])
    return InvalidInput(
        f"CITLLM cannot use {', '.join(names)} as given; these options are LlamaIndex's: "
        "see llama_index.core.llms.LLM for their types"
    )
