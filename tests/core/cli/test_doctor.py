"""`cit doctor`: what is there, what is not, and what is broken with its remedy."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path

import pytest
from fake_cit import absolute

from cit_core import Candidate, CapabilityStore
from cit_core.catalogue.facts import facts_as_of, reread, shipped_models
from cit_core.catalogue.last_check import refreshed_file
from cit_core.cli.doctor import OPTIONAL
from cit_core.records import Item, Outcome, Task
from cit_core.runtime import Checkpoint, shipped_checkpoints

URL = "sqlite:///zoo.db"


def checks(result) -> dict[str, dict]:
    return {check["what"]: check for check in json.loads(result.stdout)}


def test_a_sound_installation_is_exit_code_0(cit, tmp_path):
    result = cit("doctor", "--json")
    assert result.exit_code == 0, result.stdout
    found = checks(result)
    assert found["cit-router"]["found"] == version("cit-router")
    assert found["checkpoint"]["found"].startswith("mini@")
    assert f"sha256 {Checkpoint.open(shipped_checkpoints()['mini']).sha256}," in found["checkpoint"]["found"]
    assert re.match(
        r"facts of \d{3} current models, profiles of 1\d\d; 22 models of 2024,", found["catalogue"]["found"]
    )
    assert " ms among " in found["decision"]["found"]
    assert not any(check["broken"] for check in found.values())
    assert found["store"]["found"].startswith("none yet at ")
    assert list(tmp_path.iterdir()) == [], "a store that does not exist is not made"


def test_what_is_optional_and_absent_names_its_extra(cit):
    for name, check in checks(cit("doctor", "--json")).items():
        if check["found"] == "not installed":
            assert check["remedy"] == f"pip install 'cit-router[{OPTIONAL[name]}]'"
            assert not check["broken"]


def test_the_report_for_people(cit):
    result = cit("doctor")
    assert result.exit_code == 0
    assert "✓" in result.stdout
    assert "✗" not in result.stdout


def test_a_store_is_counted(cit):
    with CapabilityStore(URL) as store:
        store.add_candidates([Candidate(id="mine")])
    found = checks(cit("doctor", "--store", URL, "--json"))["store"]["found"]
    assert found == f"{absolute(URL)}: 1 models, 0 outcomes, version 1"


@pytest.mark.parametrize(("make", "says"), [(None, "no store at "), (b"not a database" * 100, "zoo.db")])
def test_a_store_that_cannot_be_used_is_exit_code_1(cit, make, says):
    if make:
        Path("zoo.db").write_bytes(make)
    result = cit("doctor", "--store", URL, "--json")
    assert result.exit_code == 1
    check = checks(result)["store"]
    assert check["broken"]
    assert says in check["remedy"]
    assert make is None or Path("zoo.db").read_bytes() == make


def test_a_checkpoint_that_is_not_there_is_exit_code_1(cit):
    result = cit("doctor", "--checkpoint", "nowhere", "--json")
    assert result.exit_code == 1
    found = checks(result)
    assert found["checkpoint"]["broken"]
    assert "nowhere" in found["checkpoint"]["remedy"]
    assert "decision" not in found
    assert "✗" in cit("doctor", "--checkpoint", "nowhere").stdout


def test_a_damaged_checkpoint_is_exit_code_1(cit):
    shutil.copytree(shipped_checkpoints()["mini"], "copy")
    assert cit("doctor", "--checkpoint", "copy").exit_code == 0
    largest = max(Path("copy").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.write_bytes(data)
    result = cit("doctor", "--checkpoint", "copy", "--json")
    assert result.exit_code == 1
    assert checks(result)["checkpoint"]["broken"]


def test_it_says_whether_a_stores_evidence_is_fitted_and_what_helps(cit):
    with CapabilityStore(URL) as store, store.transaction() as writer:
        writer.add_candidates([Candidate(id="mine")])
        writer.add_tasks([Task(id="sums", keywords=("sums",))])
        writer.add_items([Item(id="1", task="sums")])
        writer.add_outcomes([Outcome(candidate="mine", item="1", correct=1.0, source="log")])
    found = checks(cit("doctor", "--store", URL, "--json"))["evidence"]
    assert found["found"].startswith("profiles alone")
    assert found["remedy"].startswith("cit import table")
    with CapabilityStore(URL) as store, store.transaction() as writer:
        writer.add_items([Item(id="2", task="sums", instruction="What is 2 plus 2?")])
        writer.add_outcomes([Outcome(candidate="mine", item="2", correct=1.0, source="log")])
    found = checks(cit("doctor", "--store", URL, "--json"))["evidence"]
    assert found["remedy"].startswith("cit calibrate --store sqlite:///")
    assert cit(*found["remedy"].split()[1:]).exit_code == 0, "the remedy works"
    assert checks(cit("doctor", "--store", URL, "--json"))["evidence"]["found"].startswith("fitted on 1 questions")


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[date], None]:
    """Sets the day on which the doctor looks."""
    from cit_core.cli import doctor

    def set_day(day: date) -> None:
        class Fixed(doctor.date):
            @classmethod
            def today(cls):
                return cls(day.year, day.month, day.day)

        monkeypatch.setattr(doctor, "date", Fixed)

    return set_day


@pytest.fixture
def update() -> Iterator[Callable[..., None]]:
    """Writes the file of `cit models update`."""

    def write(**content: object) -> None:
        file = refreshed_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"models": {}} | content))
        reread()

    yield write
    refreshed_file().unlink(missing_ok=True)
    reread()


SHIPPED = date.fromisoformat(facts_as_of())
NAMES = [f"{model.provider}:{model.id}" for model in shipped_models()]


def test_facts_are_as_old_as_the_check_of_those_that_newer_data_knows(cit, on, update):
    day = SHIPPED + timedelta(days=400)
    on(day)
    known, sources = [*NAMES[:300], "nobody:nothing"], ["litellm 1.110.2", "genai-prices 9.0.0"]
    update(as_of=day.isoformat(), sources=sources, checked=NAMES)
    check = checks(cit("doctor", "--json"))["facts"]
    assert check["found"].startswith(f"{len(NAMES)} of {len(NAMES)} models checked on {day} by genai-prices 9.0.0")
    assert check["remedy"] is None, "though none differed"
    update(as_of=day.isoformat(), sources=sources, checked=known, models={known[0]: {"as_of": day.isoformat()}})
    check = checks(cit("doctor", "--json"))["facts"]
    assert check["found"].startswith(f"300 of {len(NAMES)} models checked on {day}")
    assert check["found"].endswith(f"the others of {SHIPPED}")
    assert check["remedy"] == "for the others: `pip install -U cit-router`", "one that differs makes not all fresh"
    on(day + timedelta(days=400))
    assert "pip install -U genai-prices" in checks(cit("doctor", "--json"))["facts"]["remedy"]


def test_a_check_by_data_that_is_not_newer_makes_no_facts_fresh_and_names_what_helps(cit, on, update):
    day = SHIPPED + timedelta(days=400)
    on(day)
    differs = {NAMES[0]: {"price_in": 1.0, "as_of": day.isoformat()}}
    update(as_of=day.isoformat(), sources=["genai-prices 0.2.3", "litellm 1.110.2"], checked=NAMES, models=differs)
    check = checks(cit("doctor", "--json"))["facts"]
    assert check["found"] == (
        f"prices and limits of {SHIPPED}; genai-prices 0.2.3 and litellm 1.110.2, read on {day}, is no newer"
    )
    assert "pip install -U genai-prices" in check["remedy"]
    assert "pip install -U cit-router" in check["remedy"]


def test_entries_of_the_facts_file_that_are_ignored_are_named_with_the_command_that_mends_it(cit, update):
    day = (SHIPPED + timedelta(days=9)).isoformat()
    update(as_of=day, models={"openai:gpt-5": {"deprecated": "soon"}, "openai:gpt-5-mini": {"as_of": "nonsense"}})
    result = cit("doctor", "--json")
    assert result.exit_code == 0
    check = checks(result)["facts file"]
    assert str(refreshed_file()) in check["found"]
    assert "openai:gpt-5 (deprecated), openai:gpt-5-mini (as_of)" in check["found"]
    assert check["remedy"] == "`cit models update`"
    assert cit("models", "list").exit_code == 0


def test_models_that_nothing_is_known_of_are_named_with_the_closest(cit):
    ids = ("gpt-5@hihg", "gpt-5@high", "gemma-7b", "stored", "measured")
    Path("cit.toml").write_text(
        "".join(f'[[models]]\nid = "{id_}"\n' for id_ in ids[:3]) + '[[models]]\nid = "measured"'
    )
    with CapabilityStore(URL) as store, store.transaction() as writer:
        writer.add_candidates([Candidate(id="stored"), Candidate(id="measured")])
        writer.add_tasks([Task(id="sums", keywords=("sums",))])
        writer.add_items([Item(id="1", task="sums")])
        writer.add_outcomes([Outcome(candidate="measured", item="1", correct=1.0, source="log")])
    check = checks(cit("doctor", "--store", URL, "--json"))["unknown models"]
    assert check["found"].endswith(": gpt-5@hihg, stored")
    assert check["remedy"].startswith("closest to gpt-5@hihg: gpt-5, ")
    assert "xhigh" in check["remedy"]
    assert not check["broken"]


def test_a_model_that_is_no_longer_served_and_old_facts_are_named(cit, on):
    on(date(2036, 1, 1))
    Path("cit.toml").write_text('[[models]]\nid = "cheap"\nmodel = "gpt-5-mini"\n[[models]]\nid = "mine"')
    found = json.loads(cit("doctor", "--json").stdout)
    stale = [check for check in found if check["what"] == "stale model"]
    assert [check["found"].split(":")[0] for check in stale] == ["cheap"]
    assert "no longer served since 20" in stale[0]["found"]
    assert "recommends gpt-" in stale[0]["remedy"]
    assert "cit models update" in next(check for check in found if check["what"] == "facts")["remedy"]
