"""`cit models`: a store is listed, shown, added to and removed from; the catalogue is read."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from fake_cit import absolute

from cit_core import Candidate, CapabilityStore, Item, Outcome, Task
from cit_core.catalogue import catalogue_candidates, catalogue_capabilities, core_suite, provenance
from cit_core.records import PriceTier

URL = "sqlite:///zoo.db"
STORE = ("--store", URL)


@pytest.fixture
def zoo(tmp_path: Path) -> str:
    """Two measured models, one that was not."""
    with CapabilityStore(URL) as store:
        store.add_candidates([Candidate(id="weak"), Candidate(id="strong", params_b=7), Candidate(id="new")])
        store.add_tasks([Task(id="sums", keywords=("addition",)), Task(id="law", keywords=("contracts", "torts"))])
        store.add_items([Item(id="1", task="sums"), Item(id="2", task="law")])
        right = {"weak": (0, 1), "strong": (1, 1)}
        store.add_outcomes(
            Outcome(candidate=who, item=item, correct=correct, source="test")
            for who, results in right.items()
            for item, correct in zip(("1", "2"), results, strict=True)
        )
    return URL


def test_a_store_is_listed_the_most_accurate_first(cit, zoo):
    result = cit("models", "list", *STORE)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert "3 models in" in lines[0]
    rows = [line.split() for line in lines if line.split()[:1] and line.split()[0] in {"weak", "strong", "new"}]
    assert [row[:4] for row in rows] == [
        ["strong", "100.0%", "measured", "–"],
        ["weak", "50.0%", "measured", "–"],
        ["new", "–", "–", "–"],
    ]


def test_a_list_as_json(cit, zoo):
    records = json.loads(cit("models", "list", *STORE, "--json").stdout)
    assert [(r["id"], r["mean_accuracy"], r["tasks"], r["questions"]) for r in records] == [
        ("strong", 1.0, 2, 2),
        ("weak", 0.5, 2, 2),
        ("new", None, 0, 0),
    ]
    assert records[0]["params_b"] == 7


def test_an_empty_store_is_said_to_be_empty(cit):
    CapabilityStore(URL).close()
    result = cit("models", "list", *STORE)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "the store holds no model;" in result.stderr


def test_a_model_is_shown_with_its_facts_and_tasks(cit, zoo):
    text = cit("models", "show", "weak", *STORE).stdout
    assert "50.0% over 2 tasks" in text
    assert text.index("law") < text.index("sums"), "the best task first"
    assert "contracts, torts" in text
    assert "not known" in text
    record = json.loads(cit("models", "show", "weak", *STORE, "--json").stdout)
    assert record["results"] == [
        {"task": "sums", "accuracy": 0.0, "count": 1},
        {"task": "law", "accuracy": 1.0, "count": 1},
    ]
    assert "never measured" in cit("models", "show", "new", *STORE).stdout


@pytest.mark.parametrize("verb", ["show", "remove"])
def test_an_unknown_model_names_the_closest(cit, zoo, verb):
    result = cit("models", verb, "strnog", *STORE)
    assert result.exit_code == 2
    assert "'strnog'" in result.stderr
    assert "closest: 'strong'" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("written", ["200000", "2e5:1:2", "1:2", "1:2:x", "1:2:3:4:5", "0:1:2", "9:-1:2"])
def test_a_tier_that_is_none_is_refused_before_a_store_is_made(cit, written: str) -> None:
    result = cit("models", "add", "mine", *STORE, "--price-tier", written)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "price" in result.stderr or "above" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not Path(URL.removeprefix("sqlite:///")).exists()


def test_add_with_every_fact_makes_the_store(cit):
    result = cit(
        *("models", "add", "mine [v1]", *STORE, "--context-window", "8192", "--price-in", "0.5", "--price-out", "1.5"),
        *("--params-b", "7", "--released", "2024-05-13", "--tools", "--no-structured-output", "--modality", "text"),
        *("--modality", "image", "--license", "MIT", "--notes", "tuned on our tickets"),
        *("--price-cached", "0.05", "--max-output", "1024", "--no-reasoning"),
        *("--price-cache-write", "0.625"),
        *("--price-tier", "2000:1:3", "--price-tier", "4000:2:6:0.2"),
    )
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"added: mine [v1] in {absolute(URL)}\n"
    with CapabilityStore(URL) as store:
        assert store.candidate("mine [v1]") == Candidate(
            id="mine [v1]",
            context_window=8192,
            price_in=0.5,
            price_out=1.5,
            params_b=7,
            released="2024-05-13",  # type: ignore[arg-type]
            tools=True,
            structured_output=False,
            modalities=("text", "image"),
            license="MIT",
            notes="tuned on our tickets",
            price_cached=0.05,
            price_cache_write=0.625,
            price_tiers=(
                PriceTier(above=2000, price_in=1.0, price_out=3.0),
                PriceTier(above=4000, price_in=2.0, price_out=6.0, price_cached=0.2),
            ),
            max_output=1024,
            reasoning=False,
        )
    shown = cit("models", "show", "mine [v1]", *STORE).stdout
    for fact in (
        "8,192 tokens",
        "1,024 tokens",
        "0.5 USD per 1M tokens",
        "prompt above 4,000 tokens",
        "in 2, 0.2 cached, out 6 USD per 1M tokens",
        "text, image",
        "2024-05-13",
        "7 billion",
        "MIT",
        "our tickets",
    ):
        assert fact in shown


def test_add_goes_to_the_default_store_and_default_names_it(cit):
    assert cit("models", "add", "mine", "--json").exit_code == 0
    assert [r["id"] for r in json.loads(cit("models", "list", "--store", "default", "--json").stdout)] == ["mine"]
    assert Path("data-home").exists()


def test_the_same_facts_again_change_nothing_and_other_facts_need_replace(cit):
    cit("models", "add", "mine", *STORE, "--price-in", "1", "--notes", "ours")
    assert (
        json.loads(cit("models", "add", "mine", *STORE, "--price-in", "1", "--notes", "ours", "--json").stdout)["done"]
        == "unchanged"
    )
    result = cit("models", "add", "mine", *STORE, "--price-in", "2")
    assert result.exit_code == 2
    assert result.stderr == (
        f"error: 'mine' is in {absolute(URL)} with other facts; --replace changes the facts that you give\n"
    )
    assert cit("models", "add", "mine", *STORE, "--price-in", "2", "--replace").stdout.startswith("changed: mine")
    with CapabilityStore(URL) as store:
        assert store.candidate("mine") == Candidate(id="mine", price_in=2, notes="ours")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--price-in", "-1"), "price_in: "),
        (("--price-in", "nan"), "price_in: "),
        (("--context-window", "0"), "context_window: "),
        (("--released", "yesterday"), "released: "),
        (("--store", "zoo.db"), "'zoo.db' is not a store URL; write a file as 'sqlite:///zoo.db'"),
    ],
)
def test_bad_facts_make_no_store(cit, tmp_path, arguments, says):
    result = cit("models", "add", "mine", *(() if "--store" in arguments else STORE), *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_remove(cit, zoo):
    assert cit("models", "remove", "weak", *STORE).stdout == f"removed: weak from {absolute(URL)}\n"
    with CapabilityStore(URL) as store:
        assert [candidate.id for candidate in store.candidates()] == ["strong", "new"]
        assert store.outcome_count() == 2


@pytest.mark.parametrize("arguments", [("list",), ("show", "x"), ("remove", "x")])
def test_verbs_that_read_make_no_store(cit, tmp_path, arguments):
    result = cit("models", *arguments, *STORE)
    assert result.exit_code == 1
    assert result.stderr.startswith(
        f"error: no store at {tmp_path / 'zoo.db'}; `cit models add`, `cit import` and `cit aptitude run`"
    )
    assert list(tmp_path.iterdir()) == []


# -- the shipped catalogue --------------------------------------------------------------------------------------------


def has_ended(record):
    return record["deprecated"] is not None and record["deprecated"] <= date.today().isoformat()


def test_the_catalogue_lists_todays_models_first_and_marks_those_of_2024(cit):
    records = json.loads(cit("models", "list", "--json").stdout)
    old = [r["profile"] == "2024" for r in records]
    assert sum(old) == len(catalogue_candidates())
    assert old == sorted(old), "today's first"
    linked = [(has_ended(r), -r["mean_accuracy"]) for r in records if r["profile"] == "linked"]
    assert len(linked) >= 100
    assert linked == sorted(linked), "those that their makers no longer serve after the others"
    assert any(ended for ended, _ in linked)
    assert len(json.loads(cit("models", "list", "--all", "--json").stdout)) >= 400
    result = cit("models", "list")
    assert "more without published scores: cit models list --all" in result.stderr
    assert "2024: of an older test" in result.stderr
    assert "linked, ended" in result.stdout
    assert "ended: its maker no longer serves it" in result.stderr
    unknown = sum(r["released"] is None for r in json.loads(cit("models", "list", "--all", "--json").stdout))
    assert f"{unknown} more whose day of release is not known" in cit("models", "list", "--since", "2026-01-01").stderr


@pytest.mark.parametrize(
    ("arguments", "fits"),
    [
        (["--provider", "google_genai"], lambda r: r["provider"] == "google"),
        (["--open"], lambda r: r["open"] is True),
        (["--max-price", "1.5"], lambda r: r["price_out"] <= 1.5),
        (["--since", "2026-01-01"], lambda r: r["released"] >= "2026-01-01"),
    ],
)
def test_filters_leave_what_is_known_to_fit(cit, arguments, fits):
    records = json.loads(cit("models", "list", *arguments, "--all", "--json").stdout)
    assert 5 < len(records) < 400
    assert all(map(fits, records))


def test_a_filter_that_nothing_fits_names_the_makers_and_a_bad_day_is_refused(cit, zoo):
    assert "makers: ai21, alibaba" in cit("models", "list", "--provider", "nobody").stderr
    refused = cit("models", "list", "--since", "May")
    assert (refused.exit_code, refused.stderr) == (2, "error: --since 'May' is no day; write it as 2026-01-31\n")
    assert [r["id"] for r in json.loads(cit("models", "list", *STORE, "--open", "--json").stdout)] == []


def test_a_model_is_shown_by_any_name_with_every_fact_and_its_source(cit, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("gpt-5-mini-2025-08-07", "openrouter/openai/gpt-5-mini", "openai:gpt-5-mini"):
        shown = json.loads(cit("models", "show", name, "--json").stdout)
        assert (shown["id"], shown["profile"], len(shown["results"])) == ("openai:gpt-5-mini", "linked", 50)
    for fact in ("max_output", "price_cached", "reasoning", "deprecated", "successor", "aliases", "source"):
        assert shown[fact] not in (None, []), fact
    assert "2026" in shown["source"]
    text = cit("models", "show", "gpt-5-mini").stdout
    assert max(map(len, text.splitlines())) <= 80
    assert len(text.splitlines()) < 90
    assert "not known" in text
    old = cit("models", "show", "gemma-7b").stdout
    assert "source: outcomes" in old
    assert json.loads(cit("models", "show", "gemma-7b", "--json").stdout)["provenance"] == provenance("gemma-7b")


def test_an_unknown_model_of_the_catalogue_names_the_closest(cit):
    known = catalogue_candidates()[0].id
    result = cit("models", "show", known.upper() + "x")
    assert result.exit_code == 2
    assert "in the catalogue; closest: " in result.stderr
    assert repr(known) in result.stderr


def test_add_begins_with_the_facts_of_the_catalogue(cit):
    known = next(candidate for candidate in catalogue_candidates() if candidate.license and candidate.context_window)
    assert cit("models", "add", known.id, *STORE, "--price-in", "3").exit_code == 0
    with CapabilityStore(URL) as store:
        assert store.candidate(known.id) == known.model_copy(update={"price_in": 3.0})
        assert store.outcome_count() == 0


def test_from_catalogue_brings_the_profile_along(cit):
    """The capability that the store computes is the catalogue's own, and copying again adds nothing."""
    capability = catalogue_capabilities()[0]
    questions = sum(result.count for result in capability.results)
    add = ("models", "add", capability.candidate.id, *STORE, "--from-catalogue")
    assert cit(*add).stdout == f"added: {capability.candidate.id} in {absolute(URL)}, with {questions:,} new outcomes\n"
    assert json.loads(cit(*add, "--json").stdout)["new_outcomes"] == 0
    with CapabilityStore(URL) as store:
        copied = store.capability(capability.candidate.id)
    assert copied.candidate == capability.candidate
    mine, theirs = ({r.task: (r.accuracy, r.count) for r in c.results} for c in (copied, capability))
    assert mine.keys() == theirs.keys()
    for task, result in theirs.items():
        assert mine[task] == pytest.approx(result, abs=1e-8), "a store rounds accuracies"


def test_from_catalogue_needs_a_model_of_the_catalogue(cit, tmp_path):
    result = cit("models", "add", "mine", *STORE, "--from-catalogue")
    assert result.exit_code == 2
    assert "no candidate 'mine'" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_from_catalogue_keeps_the_keywords_that_a_store_has(cit):
    task = core_suite().tasks[0]
    with CapabilityStore(URL) as store:
        store.add_tasks([Task(id=task.id, keywords=("mine",))])
    assert cit("models", "add", catalogue_candidates()[0].id, *STORE, "--from-catalogue").exit_code == 0
    with CapabilityStore(URL) as store:
        assert {t.id: t.keywords for t in store.tasks()}[task.id] == ("mine",)


def test_sources_are_listed_and_one_is_removed(cit) -> None:
    for source in ("first", "second"):
        Path("r.csv").write_text(f"item_id,model,correct\n1,weak,{source == 'first':d}\n")
        assert (
            cit("import", "table", "r.csv", "--source", source, "--task", "law", "--no-vectors", *STORE).exit_code == 0
        )
    Path("r.csv").write_text("item_id,model,correct\n1,weak,1\n2,weak,1\n")
    again = cit("import", "table", "r.csv", "--source", "second", "--replace", "--no-vectors", *STORE)
    assert again.stdout == f"2 new in place of 1, 0 known, 0 refused in {absolute(URL)}\n"
    listed = json.loads(cit("models", "sources", *STORE, "--json").stdout)["sources"]
    assert [(s["id"], s["outcomes"], s["candidates"], s["held"]) for s in listed] == [
        ("first", 1, 1, False),
        ("second", 2, 1, False),
    ]
    assert listed[0]["since"] == listed[0]["until"] < listed[1]["since"]
    shown = cit("models", "sources", *STORE).stdout
    assert "2 sources in" in shown
    assert "first" in shown
    missing = cit("models", "sources", "--remove", "secnd", *STORE)
    assert missing.exit_code == 2
    assert "no source 'secnd' in the store; closest: 'second'" in missing.stderr
    assert cit("models", "sources", "--remove", "second", *STORE).stdout == f"removed: second from {absolute(URL)}\n"
    assert json.loads(cit("models", "show", "weak", *STORE, "--json").stdout)["mean_accuracy"] == 1.0
    assert cit("models", "sources", "--remove", "first", *STORE).exit_code == 0
    assert "the store holds no outcome" in cit("models", "sources", *STORE).stderr


@pytest.fixture
def prices():
    """Asks for genai-prices, and forgets what an update has found."""
    from cit_core.catalogue.facts import reread

    pytest.importorskip("genai_prices", reason="the extra `prices`")
    yield
    reread()


def test_update_says_whether_the_data_is_newer_than_what_is_shipped(cit, prices, monkeypatch):
    from cit_core.catalogue import refresh

    monkeypatch.setattr(refresh, "_version", lambda _: "0.2.3")
    assert "no source is newer than the shipped facts" in cit("models", "update").stderr
    monkeypatch.setattr(refresh, "_version", lambda _: "9.0.0")
    result = cit("models", "update")
    assert result.exit_code == 0
    assert "genai-prices 9.0.0" in result.stdout
    assert result.stderr == ""


def test_update_where_nothing_can_be_written_is_one_error_with_what_helps(cit, prices, tmp_path, monkeypatch):
    (tmp_path / "occupied").write_text("a file")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "occupied"))
    result = cit("models", "update")
    assert result.exit_code == 1
    [told] = result.stderr.splitlines()
    assert "facts.json cannot be written" in told
    assert told.endswith("XDG_DATA_HOME=/path cit models update")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "path"))
    assert cit("models", "update").exit_code == 0, "the remedy works"
