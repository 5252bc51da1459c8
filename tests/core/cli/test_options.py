"""Options that several verbs share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cit_core import Candidate, CapabilityStore
from cit_core.cli._options import is_default, open_store, split_ids, sqlite_file
from cit_core.errors import InvalidInput, StoreError


@pytest.mark.parametrize(
    ("text", "ids"), [(None, None), ("a", ["a"]), (" a , b,,c ", ["a", "b", "c"]), ("org/a [x]", ["org/a [x]"])]
)
def test_ids_are_separated_by_commas(text: str | None, ids: list[str] | None) -> None:
    assert split_ids(text) == ids


@pytest.mark.parametrize("text", ["", " , "])
def test_no_id_at_all_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="names no model"):
        split_ids(text)


def test_the_default_store() -> None:
    assert [is_default(url) for url in (None, "default", "sqlite:///default")] == [True, True, False]


def test_the_settings_say_the_store_the_models_and_the_policy(cit, tmp_path: Path, monkeypatch) -> None:
    """An option goes before the environment, which goes before the file, which goes before the default."""
    for name in ("own", "file", "variable", "option"):
        with CapabilityStore(None if name == "own" else f"sqlite:///{name}.db") as store:
            store.add_candidates([Candidate(id=name, price_in=1, price_out=1)])
    listed = lambda *arguments: [m["id"] for m in json.loads(cit(*arguments, "models", "list", "--json").stdout)]  # noqa: E731
    assert listed() == ["own"], "the store that `cit aptitude run` writes"
    Path("cit.toml").write_text('[router]\nstore = "sqlite:///file.db"\npolicy = "cost:0.5"')
    assert listed() == ["file"]
    Path("other.toml").write_text('[router]\nstore = "catalogue"')
    assert len(listed("--config", "other.toml")) > 20
    decided = cit("route", "Hello?", open_router=None).stdout
    assert decided.startswith("file: ")
    assert "policy cost:0.5" in decided
    monkeypatch.setenv("CIT_STORE", "sqlite:///variable.db")
    monkeypatch.setenv("CIT_POLICY", "best")
    assert listed() == ["variable"]
    assert "policy best" in cit("route", "Hello?", open_router=None).stdout
    chosen = cit("route", "Hello?", "--store", "sqlite:///option.db", "--policy", "threshold:0.1", open_router=None)
    assert chosen.stdout.startswith("option: ")
    assert "policy threshold:0.1" in chosen.stdout
    assert "variable.db:1models" in "".join(cit("doctor").stdout.split()), "however it is folded"
    assert "holds no outcome" in cit("bench").stderr + cit("calibrate").stderr
    refused = cit("models", "add", "x", "--store", "catalogue")
    assert refused.exit_code == 2
    assert "the catalogue is read and never written" in refused.stderr


def test_models_come_from_the_settings_the_store_and_what_is_public(cit) -> None:
    Path("cit.toml").write_text('[[models]]\nid = "mine"\nprice_in = 1\nprice_out = 1\n[[models]]\nid = "gpt-5-mini"')
    scores = json.loads(cit("route", "Hello?", "--json", open_router=None).stdout)["scores"]
    assert set(scores) == {"mine", "gpt-5-mini"}
    arguments = ("route", "Hello?", "--models", "mine,anthropic:claude-sonnet-4-5", "--json")
    assert set(json.loads(cit(*arguments, open_router=None).stdout)["scores"]) == {
        "mine",
        "anthropic:claude-sonnet-4-5",
    }
    refused = cit("route", "Hello?", "--models", "mine,gpt-5-minni", open_router=None)
    assert refused.exit_code == 2
    assert "no candidate 'gpt-5-minni'" in refused.stderr
    assert "'gpt-5-mini'" in refused.stderr


def test_the_file_of_a_store(tmp_path: Path) -> None:
    assert sqlite_file(f"sqlite:///{tmp_path}/my.db") == tmp_path / "my.db"
    assert sqlite_file("postgresql+psycopg://host/name") is None


def test_only_a_verb_that_writes_creates_a_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/my.db"
    with pytest.raises(StoreError, match=r"no store at .*my\.db; .*create one"):
        open_store(url)
    assert not (tmp_path / "my.db").exists()
    with open_store(url, create=True) as store:
        assert store.candidates() == ()
    with open_store(url) as store:
        assert store.candidates() == ()
