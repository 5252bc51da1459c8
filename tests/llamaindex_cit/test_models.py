"""Five lines from keys to a routed LLM: models by name or as LLMs."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from llama_index.core.constants import DEFAULT_CONTEXT_WINDOW
from llama_index.core.llms import CompletionResponse, CompletionResponseGen, CustomLLM, LLMMetadata, MockLLM
from llama_index.core.tools.types import ToolMetadata

from cit_core.errors import InvalidInput
from llamaindex_cit import CITLLM, CITMultiSelector, CITSingleSelector


class Named(CustomLLM):
    """An LLM that tells its name and its window."""

    model: str
    window: int = 100_000
    reasoning_effort: str | None = None
    generation_config: Any = None
    max_tokens: int | None = None

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name=self.model, context_window=self.window)

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=f"by {self.model}")

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        yield CompletionResponse(text=f"by {self.model}", delta=f"by {self.model}")


def test_llms_are_known_by_what_they_tell() -> None:
    llm = CITLLM.from_models([Named(model="gpt-5-mini", window=9000), Named(model="gpt-5")], policy="cost:0.00001")
    assert {one.basis for one in llm.router.basis.values()} == {"linked"}
    assert llm.router.candidates[0].context_window == 9000
    assert llm.complete("What is 2 + 2?").text == "by gpt-5-mini"


@pytest.mark.parametrize("opens", [CITLLM, CITSingleSelector, CITMultiSelector])
def test_the_model_behind_a_name_of_ones_own_is_known_with_its_effort(opens: Any) -> None:
    deep = Named(model="gpt-5", reasoning_effort="high")
    opened = opens.from_models({"fast": Named(model="gpt-5-mini"), "deep": deep})
    router = opened.router if opens is CITLLM else opened._router
    assert [(c.price_in, c.effort) for c in router.candidates] == [(0.25, None), (1.25, "high")]
    assert [c.id for c in CITLLM.from_models([deep]).router.candidates] == ["gpt-5@high"]


def test_the_window_that_llamaindex_assumes_of_every_model_is_no_fact() -> None:
    llm = CITLLM.from_models([Named(model="gpt-oss-120b", window=DEFAULT_CONTEXT_WINDOW)])
    assert llm.router.candidates[0].context_window == 131_072


def test_a_model_that_the_class_does_not_know_is_refused_with_what_helps() -> None:
    openai = pytest.importorskip("llama_index.llms.openai", reason="pip install llama-index-llms-openai")
    llm = openai.OpenAI(model="gpt-99", api_key="sk-secret")
    for models in ([llm], {"openai:gpt-99": llm}):
        with pytest.raises(
            InvalidInput, match="LlamaIndex's OpenAI does not know the model 'gpt-99'; update its package"
        ):
            CITLLM.from_models(models)


def test_an_llm_without_a_name_needs_one() -> None:
    with pytest.raises(InvalidInput, match="Named does not tell the name of its model; pass"):
        CITLLM.from_models([Named(model="")])


def test_strings_are_opened_by_llamaindexs_class(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("llama_index.llms.openai")
    package.OpenAI = Named  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "llama_index.llms.openai", package)
    llm = CITLLM.from_models(["openai:gpt-5-mini@low"])
    (opened,) = llm.models.values()
    assert isinstance(opened, Named)
    assert (opened.model, opened.reasoning_effort) == ("gpt-5-mini", "low")


def test_gemini_is_told_its_arm_with_its_own_types(monkeypatch: pytest.MonkeyPatch) -> None:
    package, types = ModuleType("llama_index.llms.google_genai"), ModuleType("google.genai.types")
    package.GoogleGenAI = Named  # type: ignore[attr-defined]
    types.ThinkingConfig = types.GenerateContentConfig = dict  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.setitem(sys.modules, types.__name__, types)
    names = [
        "google:gemini-3.6-flash@low,max_tokens=700",
        "google_genai:gemini-2.5-flash@medium",
        "google:gemini-2.5-pro",
    ]
    llm = CITLLM.from_models(names)
    assert [(one.generation_config, one.max_tokens) for one in llm.models.values() if isinstance(one, Named)] == [
        ({"thinking_config": {"thinking_level": "low"}, "max_output_tokens": 700}, 700),
        ({"thinking_config": {"thinking_budget": 8192}, "max_output_tokens": 8192 + 4096}, 8192 + 4096),
        (None, None),
    ]


def test_a_package_that_is_not_installed_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llama_index.llms.cohere", None)
    with pytest.raises(InvalidInput, match="pip install llama-index-llms-cohere"):
        CITLLM.from_models(["cohere:command-a-03-2025"])


@pytest.mark.parametrize("models", ["openai:gpt-5", [], [7], {}, ["gpt-5"]])
def test_what_is_no_list_of_models_is_refused(models: Any) -> None:
    with pytest.raises(InvalidInput, match=r"openai:"):
        CITLLM.from_models(models)


@pytest.fixture
def twin(monkeypatch: pytest.MonkeyPatch) -> str:
    """A name that two makers give to models of theirs."""
    from cit_core.catalogue import facts

    index = facts._index()
    pairs = zip(facts.current_models(), "ab", strict=False)
    both = tuple(replace(model, id="twin", provider=maker) for model, maker in pairs)
    monkeypatch.setattr(facts, "_index", lambda: {**index, "twin": both})
    return "twin"


def test_selectors_need_names_alone_and_open_nothing() -> None:
    names = ["openai:gpt-5", "anthropic:claude-haiku-4-5-20251001", "my-finetune"]
    single = CITSingleSelector.from_models(names, policy="cost:1000", mapping={"mine": "my-finetune"})
    result = single.select([ToolMetadata("x", name=names[0]), ToolMetadata("y", name=names[1])], "Prove it.")
    assert result.ind == 0
    several = CITMultiSelector.from_models(names, margin=1.0, max_outputs=3)
    assert sorted(several.select(names, "Prove it.").inds) == [0, 1, 2]
    with pytest.raises(InvalidInput, match="no model 'my-finetune' is known"):
        CITSingleSelector.from_models(names, strict=True)


@pytest.mark.parametrize("opens", [CITSingleSelector, CITMultiSelector, CITLLM])
def test_an_unknown_model_refuses_no_router_and_an_ambiguous_name_lists_the_choices(opens: Any, twin: str) -> None:
    opens.from_models({"openai:gpt-5": MockLLM(), "my-own-model": MockLLM()})
    with pytest.raises(InvalidInput, match="'twin' may be one of a:twin, b:twin; write the one that is meant"):
        opens.from_models({"openai:gpt-5": MockLLM(), twin: MockLLM()})
