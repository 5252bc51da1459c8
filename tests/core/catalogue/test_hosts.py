"""Facts of a model from those who host it: what most say, and nothing where too few speak."""

from __future__ import annotations

from typing import Any

import pytest

from cit_core.catalogue.hosts import day, going_price, hosted_entry, hosted_facts, plain_name, whole

FACTS = {
    "context_window": 1000,
    "max_output": 100,
    "modalities_in": "text",
    "tools": True,
    "structured_output": None,
    "reasoning": False,
    "released": "2025-08",
    "open_weights": True,
    "source": "a list",
    "price_in": 1.0,
    "price_out": 2.0,
}


def row(provider: str, model: str = "openai/gpt-oss-7b", **facts: Any) -> dict[str, Any]:
    return {**FACTS, "provider": provider, "model": model, **facts}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", "llama-4-scout"),
        ("Qwen/Qwen3-235B-A22B-Instruct-2507", "qwen/qwen3-235b-a22b-2507:free"),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "llama3.1-8b"),
        ("google/gemma-3-12b-it", "gemma-3-12b"),
        ("accounts/host/models/kimi-k2-instruct", "Kimi-K2"),
    ],
)
def test_hosts_spell_one_model_in_many_ways(one: str, other: str) -> None:
    assert plain_name(one) == plain_name(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("qwen3-235b-a22b-thinking-2507", "qwen3-235b-a22b-instruct-2507"),
        ("deepseek-r1", "deepseek-r1-0528"),
        ("qwq-32b-preview", "qwq-32b"),
        ("kimi-k2-instruct", "kimi-k2-instruct-0905"),
    ],
)
def test_another_model_is_spelled_otherwise(one: str, other: str) -> None:
    assert plain_name(one) != plain_name(other)


def test_the_going_price_is_the_median_of_hosts_that_take_money() -> None:
    paid = [row(f"host {n}", price_in=price, price_out=2 * price) for n, price in enumerate([1.0, 2.0, 3.0, 90.0])]
    assert going_price(paid) == (2.5, 5.0, 4)
    assert going_price([*paid, row("free", price_in=0.0, price_out=0.0), row("silent", price_in=None)]) == (2.5, 5.0, 4)
    assert going_price(paid[:3]) is None
    assert going_price([*paid[:3], row("host 0", price_in=5.0)]) is None, "one host with two rows is one host"


def test_facts_are_what_most_hosts_state_and_two_must_agree() -> None:
    found = hosted_facts([row("a"), row("b"), row("c", context_window=500, tools=False)])
    assert (found["context_window"], found["tools"], found["released"]) == (1000, True, "2025-08-01")
    assert hosted_facts([row("a"), row("b", context_window=500)]) == {}
    assert hosted_facts([row("a"), row("a")]) == {}, "one host with two rows is one host"
    assert hosted_facts([]) == {}


def test_an_open_model_of_a_known_maker_becomes_an_entry() -> None:
    rows = [*(row(f"host {n}") for n in range(4)), row("host 5", "GPT-OSS-7B-instruct")]
    entry = hosted_entry(rows, {"openai"})
    assert entry is not None
    assert (entry["id"], entry["provider"], entry["aliases"]) == ("gpt-oss-7b", "openai", ["GPT-OSS-7B-instruct"])
    assert (entry["open"], entry["agree"], entry["source"]) == (True, False, "median of 5 hosts, a list")
    assert hosted_entry(rows, {"google"}) is None, "a maker that nobody knows"
    assert hosted_entry(rows[:3], {"openai"}) is None, "too few hosts for a price"
    assert hosted_entry([{**one, "open_weights": False} for one in rows], {"openai"}) is None, "not open"
    assert hosted_entry([{**one, "released": "2024-07"} for one in rows], {"openai"}) is None, "old"


def test_numbers_and_days_of_lists_are_read() -> None:
    assert (whole(0), whole(None), whole(8.0)) == (None, None, 8)
    assert (day("2025"), day("2025-08"), day("2025-08-05"), day(None)) == (
        "2025-01-01",
        "2025-08-01",
        "2025-08-05",
        None,
    )
