"""Five lines from keys to a routed chain: models by name, as objects, or as chains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda

from cit_core.arms import Arm
from cit_core.errors import InvalidInput
from langchain_cit import ChatCIT, RunnableRouter


class Named(GenericFakeChatModel):
    """A chat model that tells its name as provider packages do."""

    called: str
    maker: str = "openai"
    reasoning_effort: str | None = None

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        return LangSmithParams(ls_provider=self.maker, ls_model_name=self.called, ls_model_type="chat")


def chat(called: str, **options: Any) -> Named:
    return Named(messages=iter([AIMessage(f"by {called}")] * 9), called=called, **options)


def test_chat_models_are_known_by_what_they_tell() -> None:
    router = RunnableRouter.from_models([chat("gpt-5-mini"), chat("claude-sonnet-4-5", maker="anthropic")])
    assert set(router.routes) == {"openai:gpt-5-mini", "anthropic:claude-sonnet-4-5"}
    assert {one.basis for one in router.router.basis.values()} == {"linked"}
    assert router.invoke("Prove that the square root of 2 is irrational.").content.startswith("by ")


@pytest.mark.parametrize("opens", [RunnableRouter, ChatCIT])
def test_the_model_behind_a_name_of_ones_own_is_known(opens: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("langchain.chat_models.init_chat_model", lambda name, **_: chat(name.partition(":")[2]))
    named = {
        "fast": "openai:gpt-5-nano",
        "bound": chat("gpt-5-mini").bind(reasoning_effort="low"),
        "deep": chat("gpt-5"),
    }
    router = opens.from_models({**named, "openai:gpt-4o": chat("my-deployment")}, policy="cost:0.02")
    decision = router.router.route("What is 2 + 2?")
    assert {id_: one.basis for id_, one in router.router.basis.items()} == dict.fromkeys(router.routes, "linked")
    assert (decision.excluded, router.router.candidates[1].effort) == ({}, "low")


def test_an_object_is_the_arm_that_it_is_set_to() -> None:
    objects = [chat("gpt-5", reasoning_effort="low"), chat("gpt-5", reasoning_effort="high"), chat("gpt-5")]
    router = RunnableRouter.from_models(objects).router
    assert [c.id for c in router.candidates] == ["openai:gpt-5@low", "openai:gpt-5@high", "openai:gpt-5"]
    assert [c.effort for c in router.candidates] == ["low", "high", None]
    with pytest.raises(InvalidInput, match=r"'openai:gpt-5'; give each model a name of its own: \{'first': model"):
        RunnableRouter.from_models([chat("gpt-5"), chat("gpt-5")])
    assert len(RunnableRouter.from_models({"first": chat("gpt-5"), "second": chat("gpt-5")}).routes) == 2


def test_chains_are_named_by_a_mapping() -> None:
    chains = {"openai:gpt-5": RunnableLambda(lambda _: "large"), "openai:gpt-5-nano": RunnableLambda(lambda _: "small")}
    router = RunnableRouter.from_models(chains, policy="cost:0.00001")
    assert router.invoke("What is 2 + 2?") == "small"


def test_strings_are_opened_by_init_chat_model_with_their_effort(monkeypatch: pytest.MonkeyPatch) -> None:
    import langchain.chat_models

    opened = []

    def open_one(name: str, **options: Any) -> Named:
        opened.append((name, options))
        return chat(name.partition(":")[2])

    monkeypatch.setattr(langchain.chat_models, "init_chat_model", open_one)
    router = RunnableRouter.from_models(["openai:gpt-5-mini@low", "anthropic:claude-sonnet-4-5"])
    assert opened == [("openai:gpt-5-mini", {"reasoning_effort": "low"}), ("anthropic:claude-sonnet-4-5", {})]
    assert set(router.routes) == {"openai:gpt-5-mini@low", "anthropic:claude-sonnet-4-5"}
    with pytest.raises(InvalidInput, match="make the chat model yourself"):
        RunnableRouter.from_models(["cohere:command-a@high"])


def test_every_provider_names_an_arm_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    import langchain.chat_models

    opened: dict[str, dict[str, Any]] = {}
    open_one = lambda name, **options: opened.update({name: options}) or chat(name)  # noqa: E731
    monkeypatch.setattr(langchain.chat_models, "init_chat_model", open_one)
    arms = [
        Arm("openai:gpt-5-mini", effort="low", max_tokens=500),
        Arm("anthropic:claude-sonnet-4-5", effort="low"),
        Arm("anthropic:claude-haiku-4-5", effort="high", max_tokens=4000),
        Arm("anthropic:claude-opus-4-6", effort="high"),
        Arm("anthropic:claude-opus-4-1", effort="none"),
        Arm("google_genai:gemini-2.5-flash", effort="medium"),
        Arm("google_genai:gemini-3.6-flash", effort="max", max_tokens=900),
        Arm("google_vertexai:gemini-3-pro-preview", effort="medium"),
        Arm("mistralai:mistral-large", max_tokens=100),
    ]
    router = RunnableRouter.from_models(arms)
    assert set(router.routes) == {arm.name for arm in arms}
    assert list(opened.values()) == [
        {"reasoning_effort": "low", "max_tokens": 500},
        {"thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": 2048 + 4096},
        {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 4000},
        {"effort": "high"},
        {"thinking": {"type": "disabled"}, "max_tokens": 4096},
        {"thinking_budget": 8192, "max_tokens": 8192 + 4096},
        {"thinking_level": "high", "max_tokens": 900},
        {"thinking_level": "high"},
        {"max_tokens": 100},
    ]


def test_what_a_profile_says_goes_before_the_catalogue() -> None:
    profile = {"max_input_tokens": 1000, "image_inputs": True, "tool_calling": False}
    router = RunnableRouter.from_models([chat("gpt-5-mini", profile=profile)])
    (candidate,) = router.router.candidates
    assert (candidate.context_window, candidate.modalities, candidate.tools) == (1000, ("text", "image"), False)
    assert candidate.price_in == 0.25, "of which the profile says nothing"


def test_a_chat_model_among_models_is_one_chat_model() -> None:
    model = ChatCIT.from_models([chat("gpt-5-mini"), chat("gpt-5")], policy="cost:0.00001")
    assert model.invoke("What is 2 + 2?").content == "by gpt-5-mini"


@pytest.mark.parametrize("models", ["openai:gpt-5", [], [7], {}])
def test_what_is_no_list_of_models_is_refused(models: Any) -> None:
    with pytest.raises(InvalidInput, match="openai:gpt-5-mini"):
        RunnableRouter.from_models(models)


@pytest.fixture
def twin(monkeypatch: pytest.MonkeyPatch) -> str:
    """A name that two makers give to models of theirs."""
    from cit_core.catalogue import facts

    index = facts._index()
    pairs = zip(facts.current_models(), "ab", strict=False)
    both = tuple(replace(model, id="twin", provider=maker) for model, maker in pairs)
    monkeypatch.setattr(facts, "_index", lambda: {**index, "twin": both})
    return "twin"


@pytest.mark.parametrize("opens", [RunnableRouter, ChatCIT])
def test_an_unknown_model_refuses_no_router_and_an_ambiguous_name_lists_the_choices(opens: Any, twin: str) -> None:
    opened = opens.from_models({"openai:gpt-5": chat("gpt-5"), "my-own-model": chat("mine")})
    assert opened.router.basis["my-own-model"].basis == "average"
    with pytest.raises(InvalidInput, match="no model 'my-own-model' is known"):
        opens.from_models(dict(opened.routes), strict=True)
    with pytest.raises(InvalidInput, match="'twin' may be one of a:twin, b:twin; write the one that is meant"):
        opens.from_models({"openai:gpt-5": chat("gpt-5"), twin: chat("x")})
