"""Names that applications write lead to the model that is meant, or to none, or to a clear choice."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cit_core.catalogue.aliases import effort_of
from cit_core.catalogue.facts import (
    AmbiguousModel,
    current_models,
    facts_as_of,
    find_model,
    similar_names,
)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("gpt-5-mini", "gpt-5-mini"),
        ("gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("openai:gpt-5-mini", "gpt-5-mini"),
        ("openai:gpt-5-mini@low", "gpt-5-mini"),
        ("GPT-5", "gpt-5"),
        ("minimax-m3", "MiniMax-M3"),
        ("azure/gpt-4o", "gpt-4o"),
        ("azure_openai:gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-latest", "gpt-4o"),
        ("anthropic:claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("openrouter/anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        (
            "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0",
            "claude-sonnet-4-5",
        ),
        (
            "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-haiku-4-5-20251001-v1:0",
            "claude-haiku-4-5",
        ),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
        ("google_genai:gemini-2.5-flash", "gemini-2.5-flash"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("projects/p/locations/us/publishers/google/models/gemini-2.5-flash@001", "gemini-2.5-flash"),
        ("deepseek-ai/DeepSeek-V3.2", "deepseek-v3.2"),
        ("Qwen/Qwen3-32B", "qwen3-32b"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama-3.3-70b-instruct"),
        ("glm-5.2", "glm-5.2"),
        ("bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("bedrock/converse/eu.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
        ("bedrock/us-east-1/anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("bedrock_converse:jp.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("au.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
        ("openai.gpt-oss-120b-1:0", "gpt-oss-120b"),
        ("openrouter/deepseek/deepseek-chat:free", "deepseek-chat"),
        ("anthropic/claude-sonnet-4.5:beta", "claude-sonnet-4-5"),
        ("openai/gpt-5:online", "gpt-5"),
        ("openai/gpt-5:nitro", "gpt-5"),
        ("openai/gpt-5:floor", "gpt-5"),
        ("gpt-5:extended", "gpt-5"),
        ("anthropic/claude-3.7-sonnet:thinking", "claude-3-7-sonnet-latest"),
        ("claude-3.5-sonnet", "claude-3-5-sonnet-20241022"),
        ("claude-sonnet-3.5", "claude-3-5-sonnet-20241022"),
        ("claude-4.5-sonnet", "claude-sonnet-4-5"),
        ("claude-4-5-sonnet", "claude-sonnet-4-5"),
        ("claude-4-sonnet", "claude-sonnet-4-0"),
        ("claude-4-opus-20250514", "claude-opus-4-0"),
        ("claude-4.5-sonnet-20250929", "claude-sonnet-4-5"),
        ("xai:grok-4", "grok-4"),
        ("xai:grok-4-0709", "grok-4"),
        ("grok-4.1-fast-reasoning", "grok-4-1-fast"),
        ("grok-4-1-fast-non-reasoning", "grok-4-1-fast-non-reasoning"),
        ("DeepSeek-V3.1", "deepseek-v3.1"),
        ("deepseek-ai/DeepSeek-R1-0528", "deepseek-r1-0528"),
        ("deepseek-r1", "deepseek-r1"),
        ("Qwen/Qwen3-235B-A22B-Instruct-2507", "qwen3-235b-a22b-instruct-2507"),
        ("qwen/qwen3-235b-a22b-2507:free", "qwen3-235b-a22b-instruct-2507"),
        ("qwen/qwen3-235b-a22b-thinking-2507", "qwen3-235b-a22b-thinking-2507"),
        ("moonshotai/Kimi-K2-Instruct", "kimi-k2"),
        ("kimi-k2-0905", "kimi-k2-0905-preview"),
        ("kimi-k2-0711", "kimi-k2-0711-preview"),
        ("gpt-oss-20b", "gpt-oss-20b"),
        ("groq:openai/gpt-oss-120b", "gpt-oss-120b"),
        ("llama-4-maverick", "llama-4-maverick-17b-128e-instruct-fp8"),
        ("meta-llama/llama-4-scout", "llama-4-scout-17b-16e-instruct-fp8"),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", "llama-4-scout-17b-16e-instruct-fp8"),
        ("bedrock/us-west-2/deepseek.v3.2", "deepseek-v3.2"),
        ("groq:llama-3.3-70b-versatile", "llama-3.3-70b-instruct"),
        ("together:meta-llama/Llama-3.3-70B-Instruct-Turbo", "llama-3.3-70b-instruct"),
        ("fireworks:accounts/fireworks/models/llama-v3p3-70b-instruct", "llama-3.3-70b-instruct"),
        ("fireworks:accounts/fireworks/models/deepseek-v3p1", "deepseek-v3.1"),
        ("bedrock:meta.llama3-3-70b-instruct-v1:0", "llama-3.3-70b-instruct"),
        ("us.meta.llama4-maverick-17b-instruct-v1:0", "llama-4-maverick-17b-128e-instruct-fp8"),
        ("bedrock:us.deepseek.r1-v1:0", "deepseek-r1"),
        ("ollama:llama3.3:70b", "llama-3.3-70b-instruct"),
        ("ollama:llama3.3:70b-instruct-q4_K_M", "llama-3.3-70b-instruct"),
        ("ollama_chat/gpt-oss:20b", "gpt-oss-20b"),
        ("ollama:glm-4.6:cloud", "glm-4.6"),
        ("gemma3:27b", "gemma-3-27b-it"),
        ("groq:moonshotai/kimi-k2-instruct-0905", "kimi-k2-0905-preview"),
        ("openrouter:deepseek/deepseek-chat-v3.1:free", "deepseek-v3.1"),
        ("azure_openai:gpt-35-turbo", "gpt-3.5-turbo"),
        ("cerebras:qwen-3-235b-a22b-instruct-2507", "qwen3-235b-a22b-instruct-2507"),
    ],
)
def test_a_name_leads_to_its_model(name: str, model: str) -> None:
    found = find_model(name)
    assert found is not None
    assert found.id == model


@pytest.mark.parametrize(
    "name",
    [
        "deepseek-r1-0101",
        "ollama:deepseek-r1",
        "ollama:deepseek-r1:8b",
        "ollama/mistral-small:latest",
        "bedrock:deepseek.v3-v1:0",
        "groq:llama-3.1-8b-instant",
        "gpt-5-turbo",
        "gpt-4-0314",
        "qwen3.8-max-0902",
        "grok-2-2024-08-13",
        "claude-3-5-sonnet-20250101",
        "deepseek-v3.1-terminus",
        "phi-4-reasoning",
        "grok-3-fast-reasoning",
        "claude-5-3",
        "gpt-oss-safeguard-20b",
        "gpt-5:latest",
        "thinking",
        "openai:free",
        "meta-llama/Meta-Llama-3-8B",
    ],
)
def test_a_name_close_to_that_of_a_model_is_not_that_model(name: str) -> None:
    assert find_model(name) is None


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("gpt-5.5-2026-04-24", "gpt-5.5"),
        ("gpt-4o-0513", "gpt-4o"),
        ("claude-3-5-sonnet-2024-10-22", "claude-3-5-sonnet-20241022"),
    ],
)
def test_a_snapshot_without_facts_is_its_model_if_the_date_says_so(name: str, model: str) -> None:
    found = find_model(name)
    assert found is not None
    assert found.id == model


def test_an_open_model_that_its_maker_does_not_sell_costs_what_its_hosts_take() -> None:
    found = find_model("gpt-oss-120b")
    assert found is not None
    assert found.open
    assert not found.agree
    assert found.source.startswith("median of ")
    assert 0.0 < found.price_in < found.price_out < 1.0
    llama = find_model("llama-4-maverick")
    assert llama is not None
    assert llama.price_out > 0.0, "its maker's free tier is no price"


def test_a_model_served_by_others_too_is_its_makers() -> None:
    assert {model.provider for model in current_models() if model.id == "glm-5.2"} == {"alibaba", "tencent", "zai"}
    found = find_model("glm-5.2")
    assert found is not None
    assert found.provider == "zai"
    asked_of_alibaba = find_model("dashscope:glm-5.2")
    assert asked_of_alibaba is not None
    assert asked_of_alibaba.provider == "alibaba"


def test_an_unknown_name_is_no_model_and_close_ones_are_named() -> None:
    assert find_model("my-finetune") is None
    assert find_model("gpt-5-mimi") is None
    assert similar_names("openai:gpt-5-mimi")[0] == "gpt-5-mini"


def test_names_of_two_makers_are_an_error_that_lists_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from cit_core.catalogue import facts

    one, other = current_models()[:2]
    twins = tuple(
        facts.Model(**{**vars(model), "id": "twin", "provider": maker}) for model, maker in ((one, "a"), (other, "b"))
    )
    monkeypatch.setattr(facts, "_index", lambda: {"twin": twins})
    with pytest.raises(AmbiguousModel, match="a:twin, b:twin"):
        find_model("twin")
    assert find_model("b:twin") == twins[1]


def test_an_effort_is_told_from_a_version() -> None:
    assert effort_of("gpt-5-mini@HIGH") == ("gpt-5-mini", "high")
    assert effort_of("gemini-2.5-flash@001") == ("gemini-2.5-flash@001", None)


@given(st.text(max_size=60))
def test_any_text_is_a_model_or_none_or_a_choice(name: str) -> None:
    try:
        found = find_model(name)
    except AmbiguousModel:
        return
    assert found is None or found in current_models()


def test_every_name_of_every_model_leads_back_to_its_provider() -> None:
    for model in current_models():
        found = find_model(f"{model.provider}:{model.id}")
        assert found is not None
        assert (found.provider, found.id) == (model.provider, model.id)


def test_facts_are_complete_enough_to_route_on() -> None:
    models = current_models()
    assert len(models) >= 300
    assert facts_as_of() >= "2026-10"
    assert all(model.context_window > 0 and model.price_in >= 0 and model.price_out >= 0 for model in models)
    assert sum(model.tools is not None for model in models) >= 0.8 * len(models)
    assert all(model.source for model in models)


def test_importing_reads_no_facts() -> None:
    code = "import cit_core, cit_core.catalogue.facts as f; print(f._read.cache_info().currsize)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
