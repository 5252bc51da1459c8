"""`cit models update`: facts from data that is installed, in the shape in which litellm and genai-prices have it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from cit_core.catalogue import refresh
from cit_core.catalogue.facts import find_model, refreshed_file, reread
from cit_core.catalogue.resolve import public_candidate, resolve_models
from cit_core.errors import MissingExtra
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
    assert (candidate.price_in, candidate.price_out, candidate.source) == (1.0, 0.5, None), "one's own in part"
    assert public_candidate("gpt-5-mini").source == "litellm 9.0.0, 2030-01-31"


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


def test_genai_prices_is_asked_as_it_is(monkeypatch):
    monkeypatch.delitem(sys.modules, "genai_prices")
    pytest.importorskip("genai_prices", reason="the extra `prices`")
    done = refresh.refresh_facts(LATER)
    assert len(done.models) < 100, "it agrees with most shipped prices"
    assert done.sources[0].startswith("genai-prices ")
