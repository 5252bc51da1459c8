"""Chat models and chains by the names that they are called by, for `from_models`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable

from cit_core.catalogue.aliases import effort_of
from cit_core.errors import InvalidInput, MissingExtra
from cit_core.messages import shown
from cit_core.policy import Constraints, Policy
from cit_core.records import Candidate
from cit_core.router import Router

if TYPE_CHECKING:
    from cit_core.store import CapabilityStore

__all__ = ["Models", "open_models"]

Route = Runnable[Any, Any] | Callable[[Any], Any]
Models = Iterable[str | BaseChatModel] | Mapping[str, str | Route]
"""Argument of `from_models`."""

EFFORT_OPTIONS: Mapping[str, str] = {
    "openai": "reasoning_effort",
    "azure_openai": "reasoning_effort",
    "xai": "reasoning_effort",
}
"""Providers with chat models that take an effort as written after the `@`, and the name of the option."""
MODALITIES = {"image_inputs": "image", "audio_inputs": "audio", "video_inputs": "video", "pdf_inputs": "pdf"}
"""Keys of LangChain's model profile, and the modality that each is about."""


def open_models(
    models: Models,
    policy: Policy | str | None,
    constraints: Constraints | Mapping[str, Any] | None,
    store: CapabilityStore | str | None,
    *,
    strict: bool,
) -> tuple[dict[str, Any], Router]:
    """Return what answers for each model, by name, and a router among them.

    Args:
        models: `provider:model` strings, which `init_chat_model` opens, with an effort where one is meant
            (`openai:gpt-5-mini@low`); chat models; or a mapping from names to strings, chat models or any chain.
        policy: What to maximise.
        constraints: Limits on which candidates may be chosen.
        store: Outcomes of one's own; a store or its address.
        strict: Refuse a model of which nothing is known.

    Raises:
        InvalidInput: If there is none, or one is neither of these.
        MissingExtra: If a string is given and langchain is not installed.
    """
    named = dict(models) if isinstance(models, Mapping) else {_name(model): model for model in _listed(models)}
    if not named:
        raise InvalidInput("from_models needs at least one model, for instance ['openai:gpt-5-mini']")
    routes = {name: _opened(model) if isinstance(model, str) else model for name, model in named.items()}
    candidates = [_candidate(name, route) for name, route in routes.items()]
    return routes, Router.from_models(candidates, store=store, strict=strict, policy=policy, constraints=constraints)


def _listed(models: object) -> list[Any]:
    if isinstance(models, str) or not isinstance(models, Iterable):
        raise InvalidInput(f"models is {shown(models)}; pass a list of models, for instance ['openai:gpt-5-mini']")
    return list(models)


def _name(model: object) -> str:
    if isinstance(model, str):
        return model
    if not isinstance(model, BaseChatModel):
        raise InvalidInput(
            f"a model is {shown(model)}; it must be a 'provider:model' string or a chat model, or have a name: "
            "{'openai:gpt-5-mini': chain}"
        )
    told = model._get_ls_params()
    provider, name = told.get("ls_provider"), told.get("ls_model_name")
    if not name:
        raise InvalidInput(
            f"{type(model).__name__} does not tell the name of its model; pass {{'provider:model': it}} instead"
        )
    return f"{provider}:{name}" if provider else name


def _opened(model: str) -> BaseChatModel:
    """Open a model by its name; its key is read from the environment by the provider's own class."""
    try:
        from langchain.chat_models import init_chat_model
    except ImportError as error:
        raise MissingExtra("langchain, which opens models by name,", "agents") from error
    name, effort = effort_of(model)
    if effort is None:
        return init_chat_model(name)
    provider = name.partition(":")[0]
    if provider not in EFFORT_OPTIONS:
        raise InvalidInput(
            f"how an effort is set is not known of {provider!r}; make the chat model yourself and pass "
            f"{{{model!r}: it}}"
        )
    options: Any = {EFFORT_OPTIONS[provider]: effort}
    opened: BaseChatModel = init_chat_model(name, **options)
    return opened


def _candidate(name: str, route: object) -> Candidate:
    """Give the router what LangChain's profile says of a model, so that it counts where the catalogue is silent."""
    profile = (getattr(route, "profile", None) if isinstance(route, BaseChatModel) else None) or {}
    facts: dict[str, Any] = {}
    if profile.get("max_input_tokens"):
        facts["context_window"] = profile["max_input_tokens"]
    if any(key in profile for key in MODALITIES):
        facts["modalities"] = ("text", *(kind for key, kind in MODALITIES.items() if profile.get(key)))
    if "tool_calling" in profile:
        facts["tools"] = profile["tool_calling"]
    if "structured_output" in profile:
        facts["structured_output"] = profile["structured_output"]
    return Candidate(id=name, **facts)
