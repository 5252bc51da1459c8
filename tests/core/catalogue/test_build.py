"""The facts that ship follow from the table they are made of, to the byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from outcome_tables import SHARED

from cit_core.catalogue import build
from cit_core.catalogue.build import build_facts, read_facts_table
from cit_core.catalogue.facts import Model, _read
from cit_core.catalogue.score_tables import Score

EMPTY = dict.fromkeys(
    [
        *("modalities_in", "modalities_out", "released", "price_in", "mp_in", "gp_in", "price_out", "mp_out", "gp_out"),
        *("context_window", "max_input", "gp_context", "max_output", "price_cache_read", "tools", "structured_output"),
        *("reasoning", "deprecated", "successor", "open_weights", "source", "source_url", "status"),
    ]
)


def row(model: str, provider: str = "maker", **facts: Any) -> dict[str, Any]:
    given = {"price_in": 1.0, "price_out": 2.0, "context_window": 1000, "makers_own_price": True}
    return {
        **EMPTY,
        "model": model,
        "provider": provider,
        "n_price_sources": 1,
        "price_in_agree": True,
        **given,
        **facts,
    }


def test_spellings_of_a_model_are_one_entry_whose_facts_have_most_sources() -> None:
    rows = [row("Some-1.5", price_in=9.0, released="2025-03-01"), row("some-1-5", n_price_sources=3)]
    (entry,) = build_facts(rows, "2026-01-01")["models"]
    assert (entry["id"], entry["aliases"], entry["price_in"]) == ("some-1-5", ["Some-1.5"], 1.0)
    assert entry["released"] == "2025-03-01", "a fact that the better row lacks"


def test_a_snapshot_of_the_same_price_is_an_alias_and_another_price_is_another_model() -> None:
    rows = [row("a"), row("a-2025-01-02", released="2025-01-02"), row("a-2024-01-02", price_in=5.0)]
    entries = build_facts(rows, "2026-01-01")["models"]
    assert [entry["id"] for entry in entries] == ["a", "a-2024-01-02"]
    assert entries[0]["aliases"] == ["a-2025-01-02"]
    assert entries[0]["released"] == "2025-01-02"


def test_a_snapshot_fills_what_the_undated_name_lacks() -> None:
    told = {"modalities_in": "text,image", "max_output": 64, "tools": True, "status": "deprecated"}
    (bare,) = build_facts([row("a-latest"), row("a-2025-01-02", **told)], "2026-01-01")["models"]
    assert (bare["id"], bare["modalities"], bare["max_output"], bare["tools"]) == (
        "a-latest",
        ["text", "image"],
        64,
        True,
    )
    assert bare["retired"] is True
    known, dated = row("a", modalities_in="text", tools=False), row("a-2025-01-02", **told)
    (entry,) = build_facts([known, dated], "2026-01-01")["models"]
    assert (entry.get("modalities"), entry["tools"], entry["max_output"]) == (None, False, 64)
    assert "retired" not in entry, "the name is of a newer snapshot now"


def test_prices_that_the_data_lacks_are_each_of_the_first_source_whose_other_prices_are_the_same() -> None:
    models = [Model(id=id_, provider="maker", context_window=1000, price_in=1.0, price_out=2.0) for id_ in "abc"]
    tier, same = (100, 2.0, 3.0, None), {"price_in": 1.0, "price_out": 2.0}
    first = {"b": same | {"price_tiers": (tier,)}, "c": {"price_in": 9.0, "price_tiers": (tier,)}}
    second = {"b": {"price_cache_write": 1.25, "price_tiers": (tier, tier)}, "c": {"price_cache_write": 0.0}}
    sources = [("one 1", lambda x: first.get(x.id, {})), ("two 2", lambda x: same | second.get(x.id, {}))]
    built = build.build_prices(models, sources, "2026-01-01")
    assert built == {"as_of": "2026-01-01", "sources": ["one 1", "two 2"], "models": [["maker:b", 1.25, (tier,)]]}


def test_a_model_of_which_only_the_price_is_known_has_the_limits_that_most_hosts_state() -> None:
    known = {"makers_own_price": False, "context_window": 2000, "modalities_in": "text,image", "released": "2025-07-09"}
    hosted = [row("x/some", f"host {n}", **known, price_in=9.0) for n in range(2)]
    hosted.append(row("some", "another", makers_own_price=False, context_window=10))
    built = build_facts([row("some", context_window=None, released="2024-07-09"), *hosted], "2026-01-01")
    (entry,) = built["models"]
    assert (entry["price_in"], entry["context_window"], entry["released"]) == (1.0, 2000, "2025-07-09")
    assert entry["modalities"] == ["text", "image"]
    assert built["sources"][entry["source"]] == "model-prices, limits as most hosts have them"
    two_of_one_mind = build_facts([row("some", context_window=None), hosted[0], hosted[2]], "2026-01-01")
    assert two_of_one_mind["models"] == [], "each host says another"


def test_a_price_alone_is_no_second_model_beside_its_preview() -> None:
    hosted = [row("some", f"host {n}", makers_own_price=False) for n in range(2)]
    entries = build_facts([row("some-preview"), row("some", context_window=None), *hosted], "2026-01-01")["models"]
    assert [entry["id"] for entry in entries] == ["some-preview"]


def test_a_free_tier_in_one_list_is_no_price_and_two_lists_are_believed() -> None:
    hosted = [row("some", f"host {n}", makers_own_price=False, price_in=1.0 + n, price_out=2.0 + n) for n in range(5)]
    free = {"price_in": 0.0, "price_out": 0.0}
    (entry,) = build_facts([row("some", **free), *hosted], "2026-01-01")["models"]
    assert (entry["price_in"], entry["price_out"], entry["agree"]) == (3.0, 4.0, False)
    (entry,) = build_facts([row("some", **free, n_price_sources=2), *hosted], "2026-01-01")["models"]
    assert (entry["price_in"], entry["price_out"]) == (0.0, 0.0)


@pytest.mark.parametrize(
    "left_out",
    [
        row("text-embedding-3-small"),
        row("gpt-image-2"),
        row("speech", modalities_out="audio"),
        row("resold", makers_own_price=False),
        row("openai/gpt-5", provider="perplexity"),
        row("free-of-price", price_in=None),
        row("no-window", context_window=None),
    ],
)
def test_what_is_no_chat_model_with_a_price_is_left_out(left_out: dict[str, Any]) -> None:
    assert build_facts([left_out], "2026-01-01")["models"] == []


def test_the_shipped_facts_are_built_from_the_data() -> None:
    if not (SHARED / "more" / "facts-current.parquet").is_file():
        pytest.skip(f"{SHARED}/more/facts-current.parquet is not there")
    assert build_facts(read_facts_table(SHARED / "more"), _read("facts.json")["as_of"]) == _read("facts.json")


def test_models_of_a_table_are_known_by_what_their_names_mean_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten models, each a little better than the one before on twelve columns of three benchmarks."""
    arms = [(f"m{number}", "") for number in range(10)]
    scores = [
        Score(arm, ("source", f"benchmark {column % 3}", f"task {column}"), 0.2 + 0.06 * place + 0.01 * column, 200.0)
        for place, arm in enumerate(arms)
        for column in range(12)
    ]
    names = {
        ("outcomes-mine", "Best One (API)"): ("m9", ""),
        ("old:outcomes-theirs", "worst"): ("m0", ""),
        ("outcomes-mine", "worst, thinking hard"): ("m0", "high"),
        ("outcomes-mine", "stranger"): ("nobody", ""),
        ("scores-source", "m5"): ("m5", ""),
    }
    monkeypatch.setattr(build, "read_scores", lambda _folder: scores)
    monkeypatch.setattr(build, "read_names", lambda _folder: names)
    found = build.profiles_in_tables(Path("more"))
    assert {table: set(of) for table, of in found.items()} == {
        "mine": {"Best One (API)", "worst, thinking hard"},
        "theirs": {"worst"},
    }
    best, worst = found["mine"]["Best One (API)"], found["theirs"]["worst"]
    assert best.candidate.id == "Best One (API)"
    assert best.mean_accuracy > worst.mean_accuracy + 0.1
    assert found["mine"]["worst, thinking hard"].mean_accuracy == worst.mean_accuracy, "no source scored that effort"
