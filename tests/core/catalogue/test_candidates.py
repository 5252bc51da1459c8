"""A candidate has the facts of its model, and no fact that is another's."""

from __future__ import annotations

from datetime import date

import pytest

from cit_core.catalogue.resolve import resolve_models


@pytest.mark.parametrize(
    ("name", "price"),
    [
        ("google_genai:gemma-3-27b-it", 0.0),
        ("google:gemma-3-27b-it", 0.0),
        ("openrouter/google/gemma-3-27b-it", None),
        ("together:google/gemma-3-27b-it", None),
        ("gemma-3-27b-it", None),
        ("openrouter/openai/gpt-5-mini", 0.25),
        ("ollama:gpt-oss:20b", None),
        ("vllm:openai/gpt-oss-20b", None),
        ("hosted_vllm/openai/gpt-oss-20b", None),
        ("lmstudio:gpt-oss-20b", None),
        ("llamacpp:gpt-oss-20b", None),
    ],
)
def test_a_makers_free_tier_is_no_price_of_others_and_no_price_is_one_of_ones_own_machine(
    name: str, price: float | None
) -> None:
    [found] = resolve_models([name])
    assert (found.basis, found.capability.candidate.price_in) == ("linked", price)


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("azure_openai:gpt-5-mini", ", at the price of openai, "),
        ("openrouter/openai/gpt-5-mini", ", at the price of openai, "),
        ("groq:openai/gpt-oss-120b", "median of "),
        ("openai:gpt-5-mini", None),
        ("google_genai:gemini-2.5-flash", None),
        ("gpt-5-mini", None),
        ("vllm:qwen3-32b", None),
    ],
)
def test_the_source_says_whose_price_it_is_where_another_host_is_named(name: str, whose: str | None) -> None:
    [found] = resolve_models([name])
    source = found.capability.candidate.source
    assert source is not None
    assert (whose is None and "price" not in source) or (whose is not None and whose in source)


def test_a_model_that_a_source_calls_retired_has_ended_whether_it_says_the_day_or_not() -> None:
    [dayless, served] = resolve_models(["anthropic:claude-3-7-sonnet-20250219", "anthropic:claude-sonnet-4-5"])
    candidate = dayless.capability.candidate
    assert candidate.has_ended(date(2026, 11, 1))
    assert not served.capability.candidate.has_ended(date(2026, 11, 1))
    assert (candidate.modalities, candidate.reasoning) == (("text", "image", "pdf"), True)
