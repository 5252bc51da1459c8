"""A candidate is found by any name of its model, and never by that of another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cit_core.catalogue.aliases import AmbiguousModel, find_id, version_of
from cit_core.records import Candidate


def among(*ids: str) -> list[Candidate]:
    return [Candidate(id=id_) for id_ in ids]


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("openai:gpt-5-mini", "gpt-5-mini"),
        ("gpt-5-mini", "openai:gpt-5-mini"),
        ("GPT-5-mini", "openai/gpt-5-mini"),
        ("openai:gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("gpt-5-mini", "azure_openai:gpt-5-mini-2025-08-07"),
        ("gpt-5-mini@low", "openai:gpt-5-mini@low"),
        ("openrouter/anthropic/claude-sonnet-4.5", "anthropic:claude-sonnet-4-5"),
        ("anthropic:claude-sonnet-4-5", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("gemini-2.5-flash", "publishers/google/models/gemini-2.5-flash@001"),
        ("mistral-large-latest", "mistralai:mistral-large"),
        ("ours", "vllm:ours"),
        ("bedrock/jp.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic:claude-sonnet-4-5"),
    ],
)
def test_a_name_finds_the_stored_model_and_the_reverse(name: str, stored: str) -> None:
    assert find_id(name, among("another", stored)) == stored
    assert find_id(stored, among("another", name)) == name


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("gpt-5", "gpt-5-mini"),
        ("gpt-5-mini@low", "gpt-5-mini"),
        ("gpt-5-mini", "gpt-5-mini@low"),
        ("gpt-4-1106", "gpt-4-0613"),
        ("gpt-4o-2024-05-13", "openai:gpt-4o-2024-08-06"),
        ("mistral-small-2506", "mistral-small-2603"),
        ("deepseek/deepseek-chat:free", "deepseek/deepseek-chat"),
    ],
)
def test_another_model_effort_or_snapshot_is_not_found(name: str, stored: str) -> None:
    assert find_id(name, among(stored)) is None


def test_an_exact_id_goes_first_then_the_provider_that_is_named_and_else_the_choices_are_listed() -> None:
    stored = among("gpt-5-mini", "openai:gpt-5-mini", "azure_openai:gpt-5-mini")
    assert find_id("gpt-5-mini", stored) == "gpt-5-mini"
    assert find_id("openrouter/openai/gpt-5-mini", stored) == "openai:gpt-5-mini"
    with pytest.raises(AmbiguousModel, match="'GPT-5-mini' may be one of azure_openai:gpt-5-mini, gpt-5-mini, openai"):
        find_id("GPT-5-mini", stored)


def test_other_names_and_the_effort_of_a_candidate_count() -> None:
    fast = Candidate(id="fast", aliases=("gpt-5-mini",), effort="low")
    assert find_id("openai:gpt-5-mini@low", [fast]) == "fast"
    assert find_id("openai:gpt-5-mini", [fast]) is None


@given(st.text(min_size=1, max_size=40).filter(str.strip))
def test_any_text_finds_itself_alone(name: str) -> None:
    assert find_id(name, among("gpt-5-mini", "another")) in (None, "gpt-5-mini", "another")


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("claude-opus-4-5", ("claude", 4.5)),
        ("claude-3-5-sonnet-20241022", ("claude", 3.5)),
        ("gpt-4o-2024-08-06", ("gpt", 4.0)),
        ("gpt-4-1-mini", ("gpt", 4.1)),
        ("o3-mini", ("o", 3.0)),
        ("qwen3-235b-a22b-instruct-2507", ("qwen", 3.0)),
        ("qwen2-5-72b-instruct", ("qwen", 2.5)),
        ("deepseek-r1-0528", ("deepseek", 1.0)),
        ("kimi-k2-5", ("kimi", 2.5)),
        ("gemma-3-27b-it", ("gemma", 3.0)),
        ("mistral-large-2411", None),
        ("moonshot-128k", None),
        ("chat-latest", None),
    ],
)
def test_versions_are_read_and_sizes_and_dates_are_none(name: str, version: tuple[str, float] | None) -> None:
    assert version_of(name) == version


def test_minor_versions_are_decimals() -> None:
    assert version_of("grok-4-20") == ("grok", 4.2) < version_of("grok-4-3")  # type: ignore[operator]
