"""Five lines from keys to a routed LLM: models by name or as LLMs."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from llama_index.core.llms import CompletionResponse, CompletionResponseGen, CustomLLM, LLMMetadata

from cit_core.errors import InvalidInput
from llamaindex_cit import CITLLM


class Named(CustomLLM):
    """An LLM that tells its name and its window."""

    model: str
    window: int = 100_000
    reasoning_effort: str | None = None

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


def test_strings_are_opened_by_llamaindexs_class(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("llama_index.llms.openai")
    package.OpenAI = Named  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "llama_index.llms.openai", package)
    llm = CITLLM.from_models(["openai:gpt-5-mini@low"])
    (opened,) = llm.models.values()
    assert isinstance(opened, Named)
    assert (opened.model, opened.reasoning_effort) == ("gpt-5-mini", "low")


def test_a_package_that_is_not_installed_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llama_index.llms.cohere", None)
    with pytest.raises(InvalidInput, match="pip install llama-index-llms-cohere"):
        CITLLM.from_models(["cohere:command-a-03-2025"])


@pytest.mark.parametrize("models", ["openai:gpt-5", [], [7], {}, ["gpt-5"]])
def test_what_is_no_list_of_models_is_refused(models: Any) -> None:
    with pytest.raises(InvalidInput, match=r"openai:"):
        CITLLM.from_models(models)
