"""Open LLMs by name, for `from_models`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from llama_index.core.llms import LLM, LLMMetadata

from cit_core.arms import Arm, samples_of
from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.policy import Constraints, Policy
from cit_core.records import Candidate
from cit_core.router import Router
from cit_core.router.arm_options import (
    arm_options,
    gemini_thinking,
    limited,
    reasoning_budget,
    told_effort,
    with_reasoning_effort,
)
from cit_core.router.options import behind_names, named_models
from llamaindex_cit._windows import own_window
from llamaindex_cit.sampled import SampledLLM

if TYPE_CHECKING:
    from cit_core.store import CapabilityStore

__all__ = ["Models", "open_models", "router_among"]

Models = Iterable[str | Arm | LLM] | Mapping[str, str | Arm | LLM]
"""Argument of `from_models`."""

CLASSES: Mapping[str, tuple[str, str]] = {
    "anthropic": ("anthropic", "Anthropic"),
    "cohere": ("cohere", "Cohere"),
    "deepseek": ("deepseek", "DeepSeek"),
    "google": ("google-genai", "GoogleGenAI"),
    "google_genai": ("google-genai", "GoogleGenAI"),
    "groq": ("groq", "Groq"),
    "mistralai": ("mistralai", "MistralAI"),
    "ollama": ("ollama", "Ollama"),
    "openai": ("openai", "OpenAI"),
    "openrouter": ("openrouter", "OpenRouter"),
}
"""Prefix of a name to the package `llama-index-llms-...` and the class that opens it."""


def _anthropic(arm: Arm) -> dict[str, Any]:
    if arm.effort is None:
        return limited(arm)
    budget, limit = reasoning_budget(arm)
    thinking = {"thinking_dict": {"type": "enabled", "budget_tokens": budget}} if budget else {}
    return {**thinking, "max_tokens": limit}


def _google(arm: Arm) -> dict[str, Any]:
    """Return the options of an arm as `GoogleGenAI` takes them: typed, and the limit in two places."""
    thinking, limit = gemini_thinking(arm)
    if not thinking:
        return limited(arm)
    try:
        types: Any = importlib.import_module("google.genai.types")
    except ImportError:  # told where the class is opened
        return {}
    given = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(**thinking), max_output_tokens=limit)
    return {"generation_config": given} if limit is None else {"generation_config": given, "max_tokens": limit}


SETTERS: Mapping[str, Callable[[Arm], dict[str, Any]]] = {
    "openai": with_reasoning_effort,
    "anthropic": _anthropic,
    "google": _google,
    "google_genai": _google,
}
"""Provider to the options of its LLM for an arm."""


def open_models(
    models: Models,
    policy: Policy | str | None,
    constraints: Constraints | Mapping[str, Any] | None,
    store: CapabilityStore | str | None,
    *,
    strict: bool,
) -> tuple[dict[str, LLM], Router]:
    """Return the LLM of each name, and a router among them.

    Args:
        models: `provider:model` strings, LLMs, or a mapping from names to either.
        policy: What to maximise.
        constraints: Limits on which candidates may be chosen.
        store: Outcomes of one's own; a store or its address.
        strict: Refuse a model of which nothing is known.

    Raises:
        InvalidInput: If there is none, one is neither of these, or the package of a provider is not installed.
    """
    named = named_models(models, _name)
    llms = {name: _opened(model) if isinstance(model, str) else model for name, model in named.items()}
    return llms, router_among(named, policy, constraints, store, strict=strict, opened=llms)


def router_among(
    models: Models,
    policy: Policy | str | None,
    constraints: Constraints | Mapping[str, Any] | None,
    store: CapabilityStore | str | None,
    *,
    strict: bool,
    opened: Mapping[str, LLM] | None = None,
) -> Router:
    """Return a router among models; the LLMs of names tell their facts where they are opened; else as `open_models`."""
    named = named_models(models, _name)
    candidates = [_candidate(name, llm) for name, llm in (opened or named).items()]
    behind, options = behind_names(named, _name), {"policy": policy, "constraints": constraints}
    return Router.from_models(candidates, store=store, known_as=behind, strict=strict, **options)  # type: ignore[arg-type]


def _name(model: object) -> str:
    if not isinstance(model, LLM):
        raise InvalidInput(
            f"a model is {shown(model)}; it must be a 'provider:model' string or a LlamaIndex LLM, or have a name: "
            "{'openai:gpt-5-mini': llm}"
        )
    samples = model.samples if isinstance(model, SampledLLM) else None
    if not (name := _metadata(model).model_name):
        raise InvalidInput(
            f"{type(model).__name__} does not tell the name of its model; pass {{'provider:model': it}} instead"
        )
    return Arm(name, told_effort(getattr(model, "llm", model)), samples=samples).name


def _metadata(llm: LLM) -> LLMMetadata:
    """Return what an LLM says of itself.

    Raises:
        InvalidInput: If its class does not know its model: no call would work either.
    """
    try:
        return llm.metadata
    except ValueError as error:  # of OpenAI's class, with all names that it knows
        name = getattr(llm, "model", None)
        raise InvalidInput(
            f"LlamaIndex's {type(llm).__name__} does not know the model {shown(name)}; update its package, or use "
            "OpenAILike(model=..., is_chat_model=True) of llama-index-llms-openai-like, which knows no list"
        ) from error


def _opened(model: str) -> LLM:
    """Open an LLM by its name; its key is read from the environment by the provider's own class."""
    name, options = arm_options(model, SETTERS, "LLM")
    prefix, _, rest = name.partition(":")
    if prefix not in CLASSES or not rest:
        known = ", ".join(f"{prefix}:..." for prefix in CLASSES)
        raise InvalidInput(
            f"no class is known for {model!r}; names begin with {known}. Or pass {{{model!r}: your LLM}}"
        )
    package, class_ = CLASSES[prefix]
    try:
        module = importlib.import_module(f"llama_index.llms.{package.replace('-', '_')}")
    except ImportError as error:
        raise InvalidInput(
            f"llama-index-llms-{package}, which opens {prefix} models, is not installed: "
            f"pip install llama-index-llms-{package}"
        ) from error
    opened: LLM = getattr(module, class_)(model=rest, **options)
    samples = samples_of(model)
    return opened if samples == 1 else SampledLLM(opened, samples)


def _candidate(name: str, llm: object) -> Candidate:
    """Give the router what the LLM says of itself."""
    if not isinstance(llm, LLM):
        return Candidate(id=name)
    tools = True if _metadata(llm).is_function_calling_model else None
    return Candidate(id=name, context_window=own_window(llm), tools=tools)
