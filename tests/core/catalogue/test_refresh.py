"""`cit models update`: facts from data that is installed, in the shape in which litellm and genai-prices have it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import date, datetime, timezone
from pathlib import Path
from types import ModuleType

import pytest

from cit_core.catalogue import refresh
from cit_core.catalogue.facts import current_models, find_model, last_check, reread
from cit_core.catalogue.last_check import refreshed_file
from cit_core.catalogue.resolve import resolve_models
from cit_core.errors import CITError, MissingExtra
from cit_core.records import Candidate

ROW = {"mode": "chat", "litellm_provider": "openai", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
LATER = date(2030, 1, 31)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    for name in ("litellm", "genai_prices"):  # whether they are installed or not
        monkeypatch.setitem(sys.modules, name, None)
    yield
    monkeypatch.undo()
    reread()


def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: dict[str, object], release: str = "9.0.0") -> None:
    """Put a package with litellm's table on the path."""
    package = tmp_path / "packages" / "litellm"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('it is read, and never imported')")
    (package / refresh.LITELLM_TABLE).write_text(json.dumps(table))
    monkeypatch.delitem(sys.modules, "litellm")
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setattr(refresh, "_version", lambda _: release)


def test_newer_facts_go_before_the_shipped_ones_and_ones_own_before_both(tmp_path, monkeypatch):
    more = {"deprecation_date": "2031-01-01", "successor_model": "openai/gpt-9", "max_output_tokens": 64_000}
    install(tmp_path, monkeypatch, {"gpt-5-mini": ROW | more, "openai/gpt-5-nano": {"mode": "chat"}, "sample_spec": 1})
    done = refresh.refresh_facts(LATER)
    assert (list(done.models), done.sources) == (["openai:gpt-5-mini"], ("litellm 9.0.0",))
    model = find_model("gpt-5-mini")
    assert model is not None
    assert (model.price_in, model.price_out, model.deprecated, model.successor) == (1.0, 2.0, "2031-01-01", "gpt-9")
    [resolved] = resolve_models([Candidate(id="gpt-5-mini", price_out=0.5)])
    candidate = resolved.capability.candidate
    assert (candidate.price_in, candidate.price_out) == (1.0, 0.5)
    assert candidate.source.startswith("litellm 9.0.0, 2030-01-31 (gpt-5-mini#")


def test_a_price_of_0_replaces_none(tmp_path, monkeypatch):
    free = {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0}
    install(tmp_path, monkeypatch, {"gpt-5-mini": ROW | free, "gpt-5-nano": ROW})
    assert list(refresh.refresh_facts(LATER).models) == ["openai:gpt-5-nano"]


def test_a_list_without_prices_of_long_prompts_takes_none_away_unless_others_changed(tmp_path, monkeypatch):
    shipped = find_model("anthropic:claude-sonnet-4-5")
    assert shipped is not None
    assert shipped.price_tiers
    same = {"input_cost_per_token": shipped.price_in / 1e6, "output_cost_per_token": shipped.price_out / 1e6}
    one = ROW | {"litellm_provider": "anthropic"}
    install(tmp_path, monkeypatch, {"claude-sonnet-4-5": one | same, "claude-haiku-5-5": one})
    changed = refresh.refresh_facts(LATER).models["anthropic:claude-haiku-5-5"]
    assert list(changed)[:3] == ["price_in", "price_out", "price_tiers"]
    assert find_model("anthropic:claude-sonnet-4-5").price_tiers == shipped.price_tiers
    assert find_model("anthropic:claude-haiku-5-5").price_tiers == ()


def test_prices_of_long_prompts_are_read_in_both_forms_and_what_is_odd_is_not(tmp_path, monkeypatch):
    above = {"input_cost_per_token_above_200k_tokens": 2e-6, "output_cost_per_token_above_200k_tokens": 3e-6}
    batches = {"input_cost_per_token_above_200k_tokens_batches": 1e-6, "cache_read_input_token_cost": 1e-7}
    batches |= {"cache_creation_input_token_cost": 1.25e-6}
    low = {"range": [0, 32_000], "input_cost_per_token": 7e-6, "output_cost_per_token": 8e-6}
    ranges = [
        {"range": [64_000, 128_000], "input_cost_per_token": 9e-6, "output_cost_per_token": 9.5e-6},
        {"range": [32_000, 64_000], "input_cost_per_token": 8e-6, "output_cost_per_token": 9e-6},
        low,
        {"range": "all"},
        {"range": [9_000]},
        None,
    ]
    bare = {name: value for name, value in ROW.items() if "cost" not in name}
    table = {"gpt-5-mini": ROW | above | batches, "gpt-5-nano": bare | {"tiered_pricing": ranges}}
    install(tmp_path, monkeypatch, table | {"gpt-5": ROW | {"tiered_pricing": "odd"}})
    refresh.refresh_facts(LATER)
    mini, nano, plain = map(find_model, ("gpt-5-mini", "gpt-5-nano", "gpt-5"))
    assert (mini.price_cache_write, mini.price_tiers) == (1.25, ((200_000, 2.0, 3.0, 0.1),))
    assert (nano.price_in, nano.price_tiers) == (7.0, ((32_000, 8.0, 9.0, None), (64_000, 9.0, 9.5, None)))
    assert (plain.price_in, plain.price_tiers) == (1.0, ())


def test_what_is_older_than_the_shipped_facts_or_cannot_be_read_changes_nothing(tmp_path, monkeypatch):
    shipped = find_model("gpt-5-mini")
    install(tmp_path, monkeypatch, {"gpt-5-mini": ROW})
    refresh.refresh_facts(date(2020, 1, 1))
    assert find_model("gpt-5-mini") == shipped, "a later release's facts go before an old update"
    refreshed_file().write_text("[damaged")
    reread()
    assert find_model("gpt-5-mini") == shipped
    monkeypatch.setattr(refresh, "_version", lambda _: "1.2.3")
    with pytest.raises(MissingExtra, match=r"pip install 'cit-router\[prices\]'"):
        refresh.refresh_facts(LATER)


@pytest.fixture
def genai_prices(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Gives the installed package back, which the other tests hide, as a release newer than the shipped facts."""
    monkeypatch.delitem(sys.modules, "genai_prices")
    monkeypatch.setattr(refresh, "_version", lambda _: "9.0.0")
    module: ModuleType = pytest.importorskip("genai_prices", reason="the extra `prices`")
    return module


def test_genai_prices_is_asked_as_it_is(genai_prices, monkeypatch):
    day = date(2026, 11, 20)
    done = refresh.refresh_facts(day)
    assert 0 < len(done.models) < 100, "it agrees with most shipped prices"
    assert done.sources == ("genai-prices 9.0.0",)
    by_hosts = {f"{m.provider}:{m.id}" for m in current_models() if m.source.startswith("median of")}
    assert by_hosts.isdisjoint(done.models), "one price replaces none that most hosts ask"
    monkeypatch.setattr(refresh, "_version", lambda _: "0.2.3")
    assert not refresh.refresh_facts(day).models, (
        "the shipped facts are of this release: it disagrees for other reasons"
    )


def test_shipped_prices_of_long_prompts_and_caches_are_those_of_genai_prices(genai_prices, monkeypatch):
    monkeypatch.setattr(refresh, "_version", lambda _: "0.2.3")
    [(_, look)] = refresh.installed_sources(date(2026, 11, 1))
    stated = [(model, look(model)) for model in current_models()]
    priced = [(model.id, model.price_tiers, facts) for model, facts in stated if facts and facts["price_tiers"]]
    written = [(model.price_cache_write, facts["price_cache_write"]) for model, facts in stated if facts]
    assert sum(asked is not None for _, asked in written) > 15
    assert all(asked in (None, shipped) for shipped, asked in written)
    assert len(priced) > 15
    for id_, shipped, facts in priced:
        [(above, *prices)], [(at, *asked)] = shipped, facts["price_tiers"]
        assert (abs(above - at) <= 1, prices) == (True, asked), id_


def test_prices_are_those_outside_discounts_whatever_the_hour(genai_prices, monkeypatch):
    import genai_prices.data_snapshot
    import genai_prices.types

    def at(hour: int, minute: int) -> dict[str, dict[str, object]]:
        class Clock(datetime):
            @classmethod
            def now(cls, tz=None):
                return cls(2026, 11, 20, hour, minute, tzinfo=timezone.utc).astimezone(tz)

        for module in (genai_prices.data_snapshot, genai_prices.types):
            monkeypatch.setattr(module, "datetime", Clock)
        return dict(refresh.refresh_facts(date(2026, 11, 20)).models)

    found = [at(*clock) for clock in ((0, 52), (1, 2), (5, 0), (9, 59), (16, 45), (23, 0))]
    assert found[0]
    assert all(one == found[0] for one in found)
    pro = find_model("deepseek-v4-pro")
    assert pro is not None
    assert (pro.price_in, pro.price_out) == (1.32, 3.96), "the peak price, which the shipped facts have too"


def test_a_time_of_day_is_read_in_its_zone_and_without_one_as_utc():
    from datetime import time, timedelta

    day, beijing = date(2026, 11, 20), timezone(timedelta(hours=8))
    assert refresh._moment(day, time(7, 30)) == datetime(2026, 11, 20, 7, 30, tzinfo=timezone.utc)
    assert refresh._moment(day, time(7, 30, tzinfo=beijing)) == datetime(2026, 11, 20, 23, 30, tzinfo=timezone.utc)


def test_genai_prices_older_than_the_shipped_facts_is_not_used(genai_prices, monkeypatch):
    monkeypatch.setattr(refresh, "_version", lambda _: "0.2.1")
    with pytest.raises(CITError, match=r"genai-prices 0\.2\.1 is older .* pip install -U genai-prices"):
        refresh.refresh_facts(LATER)
    assert not refreshed_file().exists()


@pytest.mark.parametrize(
    ("source", "newer"),
    [
        ("genai-prices 0.2.3", False),
        ("genai-prices 0.2.10", True),
        ("litellm 1.110.2", False),
        ("litellm 1.111.0", True),
        ("mine 9.9.9", False),
        ("", False),
    ],
)
def test_a_source_is_newer_by_its_release(source, newer):
    assert refresh.is_newer(source) is newer


def test_the_file_says_when_by_what_and_which_models_were_checked_though_none_differs(tmp_path, monkeypatch):
    shipped = find_model("gpt-5-mini")
    assert shipped is not None
    same = {"input_cost_per_token": shipped.price_in / 1e6, "output_cost_per_token": shipped.price_out / 1e6}
    install(tmp_path, monkeypatch, {"gpt-5-mini": ROW | same, "gpt-5-nano": {**ROW, "mode": "embedding"}})
    assert not refresh.refresh_facts(LATER).models
    last = last_check()
    assert (last.day, last.sources) == ("2030-01-31", ("litellm 9.0.0",))
    assert (set(last.checked), last.models) == ({"openai:gpt-5-mini"}, {})
    monkeypatch.setattr(refresh, "_version", lambda _: "1.110.2")
    refresh.refresh_facts(LATER)
    assert (last_check().sources, last_check().checked) == (("litellm 1.110.2",), frozenset()), "it is no newer"


def test_what_a_source_states_of_another_kind_is_not_kept(tmp_path, monkeypatch):
    odd = {
        "output_cost_per_token": "2e-6",
        "max_output_tokens": "many",
        "deprecation_date": "soon",
        "successor_model": 1,
    }
    install(tmp_path, monkeypatch, {"gpt-5-mini": ROW | odd})
    [facts] = refresh.refresh_facts(LATER).models.values()
    assert facts == {"price_in": 1.0, "source": "litellm 9.0.0", "as_of": "2030-01-31"}
    assert not last_check().ignored
    assert current_models()


def test_a_file_that_cannot_be_written_is_one_error_that_names_it(tmp_path, monkeypatch):
    (tmp_path / "occupied").write_text("a file")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "occupied"))
    install(tmp_path, monkeypatch, {"gpt-5-mini": ROW})
    with pytest.raises(
        CITError, match=r"occupied.*facts\.json cannot be written: .*XDG_DATA_HOME=/path cit models update"
    ):
        refresh.refresh_facts(LATER)
