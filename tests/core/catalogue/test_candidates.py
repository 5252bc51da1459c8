"""A candidate has the facts of its model, and no fact that is another's."""

from __future__ import annotations

import hashlib
from datetime import date

import pytest

from cit_core.catalogue.candidates import public_candidate, with_newer_facts, with_own_facts
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


def test_a_long_prompt_has_its_price_and_ones_own_price_changes_it_in_proportion() -> None:
    public = public_candidate("google_genai:gemini-2.5-pro")
    assert public is not None
    assert public.expected_cost(200_000, 1_000) == pytest.approx(0.2 * 1.25 + 0.01)
    assert public.expected_cost(300_000, 1_000, 100_000) == pytest.approx(0.2 * 2.5 + 0.1 * 0.25 + 0.015)
    [tier] = with_own_facts(public, {"price_in": 2.5}).price_tiers
    assert (tier.above, tier.price_in, tier.price_out, tier.price_cached) == (200_000, 5.0, 15.0, 0.5)
    [tier] = with_own_facts(public, {"price_out": 1.0}).price_tiers
    assert (tier.price_in, tier.price_out, tier.price_cached) == (2.5, 1.5, 0.25)
    assert with_own_facts(public, {"price_in": 2.5, "price_tiers": ()}).price_tiers == ()
    local = public_candidate("vllm:qwen3-coder-plus")
    assert local is not None
    assert local.price_tiers == (), "nobody asks a price"
    claude = public_candidate("anthropic:claude-sonnet-4-5")
    assert claude is not None
    assert claude.expected_cost(100_000, 0, 0, 80_000) == pytest.approx(0.02 * 3 + 0.08 * 3.75)
    assert claude.expected_cost(300_000, 0, 100_000, 200_000) == pytest.approx(0.1 * 0.6 + 0.2 * 7.5)
    assert with_own_facts(claude, {"price_in": 6.0}).price_cache_write == 7.5


def test_facts_that_were_stored_before_there_were_tiers_are_still_known_as_public() -> None:
    public = public_candidate("openai:gpt-5.4")
    assert public is not None
    facts = public.model_dump_json(exclude={"id", "notes", "source", "price_tiers", "price_cache_write"})
    digest = hashlib.sha256(facts.encode()).hexdigest()[:8]
    before = public.model_copy(update={"source": f"a table, 2026-11-01 (openai:gpt-5.4#{digest})", "price_tiers": ()})
    before = before.model_copy(update={"price_cache_write": None})
    assert with_newer_facts(before) == public
    own = before.model_copy(update={"price_in": 1.0})
    assert with_newer_facts(own) is own
