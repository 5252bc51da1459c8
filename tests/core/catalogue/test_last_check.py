"""The file of `cit models update` is its user's: whatever stands in it, nothing fails, and what is valid counts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from cit_core.catalogue.facts import Model, find_model, last_check, reread
from cit_core.catalogue.last_check import REFRESHED, LastCheck, refreshed_file
from cit_core.catalogue.model_lists import public_models


@pytest.fixture
def own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Gives the file of `cit models update`, of which nothing is there yet."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    reread()
    file = refreshed_file()
    file.parent.mkdir()
    yield file
    monkeypatch.undo()
    reread()


def written(file: Path, content: object) -> LastCheck:
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    reread()
    return last_check()


NO_FACTS = (None, True, [], ["1.0"], {}, "", "\x1b[31m", "\ud800", -1, math.nan, math.inf, 10**400)
BAD = {
    "price": (*NO_FACTS, "1.0"),
    "tokens": (*NO_FACTS, "1", 0, 1.5),
    "day": (*NO_FACTS, "nonsense", "20301101", "2030-11-31", 20301101),
    "text": (*NO_FACTS, "x" * 1000, 1),
    "tiers": (
        *(bad for bad in NO_FACTS if bad != []),
        *([tier] for tier in (1, [], [1, 2.0, 3.0], [0, 1.0, 2.0, None], [9, 1.0, None, 0.1], [9, 1.0, 2.0, "0.1"])),
        [[9, 1.0, 2.0, None]] * 1000,
    ),
}
GOOD = {
    "price": (0, 1.5, 3),
    "tokens": (1, 64_000),
    "day": ("2031-01-01",),
    "text": ("gpt-9",),
    "tiers": ((), ((200_000, 2.5, 15.0, None), (400_000, 5.0, 20.0, 0.5))),
}


@pytest.mark.parametrize(("fact", "kind"), REFRESHED.items())
def test_an_entry_of_the_users_file_with_a_fact_of_another_kind_is_left_out(
    own_file: Path, fact: str, kind: str
) -> None:
    shipped = find_model("gpt-5")
    for bad in BAD[kind]:
        entries = {"openai:gpt-5": {"price_out": 7.0, fact: bad}, "openai:gpt-5-mini": {"price_out": 9.0}}
        last = written(own_file, {"as_of": "2030-11-20", "sources": ["x 1"], "models": entries})
        assert last.ignored == (f"openai:gpt-5 ({fact})",), bad
        assert find_model("gpt-5") == shipped
        assert last.models["openai:gpt-5-mini"] == {"price_out": 9.0}, "the others count"
    for good in GOOD[kind]:
        last = written(own_file, {"as_of": "2030-11-20", "models": {"openai:gpt-5": {fact: good}}})
        assert not last.ignored
        assert getattr(find_model("gpt-5"), fact) == good
    assert public_models(), "what reads them takes them"


@pytest.mark.parametrize(
    "content",
    [
        "[damaged",
        "[" * 100_000,
        "[]",
        {"models": {}},
        {"as_of": "nonsense", "models": {"openai:gpt-5": {"price_out": 7.0}}},
        {"as_of": 20301101, "models": {}},
        {"as_of": "2030-11-20"},
        {"as_of": "2030-11-20", "models": ["openai:gpt-5"]},
        {"as_of": "2030-11-20", "models": {"openai:gpt-5": 7.0}},
    ],
)
def test_a_file_of_another_form_counts_for_nothing_and_is_told(own_file: Path, content: object) -> None:
    shipped = find_model("gpt-5")
    last = written(own_file, content)
    assert len(last.ignored) == 1
    assert not last.models
    assert find_model("gpt-5") == shipped


def test_no_file_and_one_older_than_the_shipped_facts_are_no_fault(own_file: Path) -> None:
    assert last_check() == LastCheck()
    assert written(own_file, {"as_of": "2020-01-01", "models": {"openai:gpt-5": {"price_in": "1"}}}) == LastCheck()


def test_unknown_facts_and_models_are_passed_over_and_odd_sources_do_not_count(own_file: Path) -> None:
    entries = {"openai:gpt-5": {"price_out": 7.0, "colour": "red", "aliases": 1}, "nobody:nothing": {"price_out": 1.0}}
    last = written(own_file, {"as_of": "2030-11-20", "sources": [1, "x 1"], "models": entries, "checked": "all"})
    assert (last.sources, last.checked, last.ignored) == (("x 1",), frozenset(), ())
    found = find_model("gpt-5")
    assert isinstance(found, Model)
    assert found.price_out == 7.0
