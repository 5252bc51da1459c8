"""Open chat models and chains by name, for `from_models`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable

from cit_core.arms import Arm, samples_of
from cit_core.errors import InvalidInput, MissingExtra
from cit_core.messages import shown
from cit_core.policy import Constraints, Policy
from cit_core.records import Candidate
from cit_core.router import Router
from cit_core.router.arm_options import (
    BUDGETED,
    arm_options,
    gemini_thinking,
    limited,
    reasoning_budget,
    told_effort,
    with_reasoning_effort,
)
from cit_core.router.options import behind_names, named_models
from langchain_cit._wrapper import unwrapped
from langchain_cit.sampled import SampledChatModel

if TYPE_CHECKING:
    from cit_core.store import CapabilityStore

__all__ = ["Models", "model_name", "open_model", "open_models", "router_among", "with_options"]

Route = Runnable[Any, Any] | Callable[[Any], Any]
Models = Iterable[str | Arm | BaseChatModel] | Mapping[str, str | Arm | Route]
"""Argument of `from_models`."""


def _anthropic(arm: Arm) -> dict[str, Any]:
    """Return the options of an arm: Claude's newer models take an effort, the others a budget of tokens."""
    if arm.effort is None:
        return limited(arm)
    if arm.effort != "none" and not BUDGETED.search(arm.model):
        return {"effort": "low" if arm.effort == "minimal" else arm.effort, **limited(arm)}
    budget, limit = reasoning_budget(arm)
    thinking = {"type": "enabled", "budget_tokens": budget} if budget else {"type": "disabled"}
    return {"thinking": thinking, "max_tokens": limit}


def _google(arm: Arm) -> dict[str, Any]:
    thinking, limit = gemini_thinking(arm)
    return thinking if limit is None else {**thinking, "max_tokens": limit}


SETTERS: Mapping[str, Callable[[Arm], dict[str, Any]]] = {
    "openai": with_reasoning_effort,
    "azure_openai": with_reasoning_effort,
    "xai": with_reasoning_effort,
    "groq": with_reasoning_effort,
    "anthropic": _anthropic,
    "google_genai": _google,
    "google_vertexai": _google,
}
"""Provider to the options of its chat model for an arm."""
LIMITS = {"ollama": "num_predict"}
"""Provider to the name of the limit of an answer, where its class overlooks `max_tokens`."""
MODALITIES = {"image_inputs": "image", "audio_inputs": "audio", "video_inputs": "video", "pdf_inputs": "pdf"}
"""Keys of LangChain's model profile, and the modality that each is about."""


def open_models(
    models: Models,
    policy: Policy | str | None,
    constraints: Constraints | Mapping[str, Any] | None,
    store: CapabilityStore | str | None,
    *,
    strict: bool,
    asked: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], Router]:
    """Return what answers for each model, by name, and a router among them.

    Args:
        models: `provider:model` strings, which `init_chat_model` opens, with an effort where one is meant
            (`openai:gpt-5-mini@low`); arms; chat models; or a mapping from names to strings, chat models or any chain.
        policy: What to maximise.
        constraints: Limits on which candidates may be chosen.
        store: Outcomes of one's own; a store or its address.
        strict: Refuse a model of which nothing is known.
        asked: Options of each model: its class is made with them, as far as it takes them; an object is bound to them.

    Raises:
        InvalidInput: If there is none, or one is neither of these.
        MissingExtra: If a string is given and langchain is not installed.
    """
    named = named_models(models, model_name)
    routes = {name: open_model(model, asked) if isinstance(model, str) else model for name, model in named.items()}
    router = router_among(named, policy, constraints, store, strict=strict, opened=routes)
    for name, model in named.items():
        if asked and isinstance(model, Runnable):
            routes[name] = with_options(model, asked)
    return routes, router


def router_among(
    named: Mapping[str, Any],
    policy: Policy | str | None,
    constraints: Constraints | Mapping[str, Any] | None,
    store: CapabilityStore | str | None,
    *,
    strict: bool,
    opened: Mapping[str, Any] | None = None,
) -> Router:
    """Return a router among models by name; the chat models of names tell their facts where they are opened."""
    candidates = [_candidate(name, model) for name, model in (opened or named).items()]
    behind, options = behind_names(named, model_name), {"policy": policy, "constraints": constraints}
    return Router.from_models(candidates, store=store, known_as=behind, strict=strict, **options)  # type: ignore[arg-type]


def model_name(model: object) -> str:
    """Return `provider:model` as a chat model tells it, with the effort that it is set to.

    Raises:
        InvalidInput: If it is none, or does not tell.
    """
    inside, wrapper = unwrapped(model)  # type: ignore[arg-type]  # anything else is as it is
    if not isinstance(inside, BaseChatModel):
        raise InvalidInput(
            f"a model is {shown(model)}; it must be a 'provider:model' string or a chat model, or have a name: "
            "{'openai:gpt-5-mini': chain}"
        )
    told = inside._get_ls_params()
    provider, name = told.get("ls_provider"), told.get("ls_model_name")
    if not name:
        raise InvalidInput(
            f"{type(inside).__name__} does not tell the name of its model; pass {{'provider:model': it}} instead"
        )
    name = f"{provider}:{name}" if provider else name
    samples = inside.samples if isinstance(inside, SampledChatModel) else None
    asked = inside.model if isinstance(inside, SampledChatModel) else inside
    return Arm(name, told_effort(wrapper.kwargs) or told_effort(asked), samples=samples).name


def open_model(model: str, asked: Mapping[str, Any] | None = None) -> BaseChatModel:
    """Open a model by its name; its key is read from the environment by the provider's own class.

    Args:
        model: Its name, or that of an arm.
        asked: Options that the class is made with, which knows what its model refuses; those of the arm go before them.
    """
    try:
        from langchain.chat_models import init_chat_model
    except ImportError as error:
        raise MissingExtra("langchain, which opens models by name,", "agents") from error
    name, options = arm_options(model, SETTERS, "chat model")
    opened = _opened(init_chat_model, name, {**(asked or {}), **options})
    if asked and (taken := _taken(opened, asked)) != asked:
        opened = _opened(init_chat_model, name, {**taken, **options})
    samples = samples_of(model)
    return opened if samples == 1 else SampledChatModel(model=opened, samples=samples)


def _opened(open_one: Any, name: str, options: Mapping[str, Any]) -> BaseChatModel:
    limit = LIMITS.get(name.partition(":")[0], "max_tokens")
    opened: BaseChatModel = open_one(name, **{limit if key == "max_tokens" else key: x for key, x in options.items()})
    return opened


def with_options(route: Runnable[Any, Any], asked: Mapping[str, Any]) -> Runnable[Any, Any]:
    """Bind a candidate to options of all of them, as far as its model takes them."""
    taken = _taken(unwrapped(route)[0], asked)
    return route.bind(**taken) if taken else route


def _taken(model: object, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the temperature where a model's profile says that it has none, or it thinks by a budget."""
    thinking = getattr(model, "thinking", None)
    budgeted = isinstance(thinking, Mapping) and thinking.get("type") == "enabled"
    without = budgeted or (getattr(model, "profile", None) or {}).get("temperature") is False
    return {name: value for name, value in asked.items() if not (without and name == "temperature")}


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
