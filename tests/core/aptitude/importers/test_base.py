"""Rows become facts, all of them or none, while others write; and files are looked at before anything happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from cit_core.aptitude.importers import base
from cit_core.aptitude.importers.base import BadRow, ItemRow, Row, import_rows, row_or_bad, source_of
from cit_core.aptitude.importers.embedllm import import_embedllm
from cit_core.aptitude.importers.inspect_logs import import_inspect
from cit_core.aptitude.importers.lm_eval import import_lm_eval
from cit_core.aptitude.importers.mmlu_pro import import_mmlu_pro
from cit_core.aptitude.importers.routerbench import import_routerbench
from cit_core.aptitude.importers.table import import_table
from cit_core.errors import InvalidInput
from cit_core.records import Candidate, Item, Outcome, Task
from cit_core.store import CapabilityStore

NOW = datetime.now(timezone.utc)
FULL = ItemRow("f:1", "q", "math", "1+1?", ("1", "2"), "B")


def row(about: ItemRow, model: str = "m") -> Row:
    return Row(about, Outcome(candidate=model, item=about.item, correct=1, source="s", when=NOW))


def test_what_rows_say_about_an_item_comes_together(store: CapabilityStore) -> None:
    """In any order, and importing it again changes nothing."""
    bare = ItemRow("f:2", "q")
    parts = [bare, ItemRow("f:3", "q", "math"), ItemRow("f:4", "q", None, "1+1?", ("1", "2")), FULL, bare]
    for _ in range(2):
        report = import_rows([row(about, f"m{place}") for place, about in enumerate(parts)], store)
        assert report.refused_count == 0
    assert store.items() == (Item(id="q", task="math", instruction="1+1?", options=("1", "2"), answer="B"),)
    assert store.version == 1


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (FULL._replace(task="law"), "has task 'law' here and 'math' before"),
        (FULL._replace(instruction="2+2?"), "has another instruction here ('2+2?') than before"),
        (FULL._replace(options=("2", "1")), "has other options here (('2', '1')) than before"),
        (FULL._replace(answer="A"), "has another answer here ('A') than before"),
    ],
)
@pytest.mark.parametrize("apart", [False, True], ids=["in one import", "in two"])
def test_rows_that_contradict_what_is_known(store: CapabilityStore, other: ItemRow, says: str, apart: bool) -> None:
    other = other._replace(where="g:7")
    rows = [row(FULL), row(other, "another")]
    if apart:
        import_rows(rows[:1], store)
    with pytest.raises(InvalidInput) as caught:
        import_rows(rows, store)
    assert str(caught.value).startswith("g:7: item 'q'")
    assert says in str(caught.value)
    report = import_rows(rows, store, skip_bad=True)
    assert (report.new + report.known, report.refused_count) == (1, 1)
    assert [candidate.id for candidate in store.candidates()] == ["m"]


@pytest.mark.parametrize("task", ["math", "law"])
def test_a_task_that_was_found_by_similarity_gives_way(store: CapabilityStore, task: str) -> None:
    """To another, and to the same: it is then known, not guessed."""
    store.add_tasks([Task(id="law", keywords=("law",))])
    store.add_items([Item(id="q", task="law", instruction="1+1?", assigned=True)])
    import_rows([row(ItemRow("f:1", "q"))], store)
    assert store.items()[0].assigned
    import_rows([row(ItemRow("f:1", "q", task))], store)
    assert (store.items()[0].task, store.items()[0].assigned) == (task, False)


@pytest.mark.parametrize("assigned", [False, True])
def test_a_task_for_those_without_one_reaches_stored_items_too(store: CapabilityStore, assigned: bool) -> None:
    """But none whose task a source has named."""
    store.add_tasks([Task(id=id_, keywords=(id_,)) for id_ in ("law", "unassigned")])
    store.add_items(
        [Item(id="q", task="law" if assigned else "unassigned", assigned=assigned), Item(id="r", task="law")]
    )
    import_rows([row(ItemRow("f:1", "q")), row(ItemRow("f:2", "r"))], store, task="math")
    assert [(item.id, item.task, item.assigned) for item in store.items()] == [
        ("q", "math", False),
        ("r", "law", False),
    ]


IMPORTERS: dict[Callable[..., Any], str] = {
    import_table: ".csv",
    import_lm_eval: ".jsonl",
    import_inspect: ".json",
    import_mmlu_pro: ".json",
    import_routerbench: ".csv",
    import_embedllm: ".csv",
}


@pytest.mark.parametrize("importer", IMPORTERS, ids=lambda importer: importer.__name__)
def test_files_that_an_importer_cannot_read(sqlite_url: str, tmp_path: Path, importer: Callable[..., Any]) -> None:
    gone, other, folder = tmp_path / f"gone{IMPORTERS[importer]}", tmp_path / "r.xlsx", tmp_path / "folder.csv"
    other.write_bytes(b"x")
    folder.mkdir()
    with CapabilityStore(sqlite_url) as store:
        for paths, says in (
            ([], "no file to import; pass one or more"),
            ([gone], f"no file '{gone}'; pass "),
            ([folder], f"no file '{folder}'; pass "),
            ([other], "cannot be imported by its name; it must end in "),
        ):
            with pytest.raises(InvalidInput) as caught:
                importer(paths, store, skip_bad=True)
            assert says in str(caught.value)
        assert store.version == 0


def test_others_write_while_an_import_reads_and_see_all_of_it_or_nothing(store: CapabilityStore) -> None:
    """The rows come slowly, and a batch is two of them: feedback passes in between, and a router sees no half."""
    store.add_tasks([Task(id="math", keywords=("math",))])
    store.add_items([Item(id="asked", task="math")])
    store.add_candidates([Candidate(id="m")])
    seen: list[tuple[int, int]] = []

    def rows() -> Iterator[Row]:
        for number in range(6):
            other = Outcome(candidate="m", item="asked", correct=1, source=f"feedback {number}", when=NOW)
            with ThreadPoolExecutor(1) as thread:  # as another process does: within a lock it would wait for ever
                thread.submit(store.add_outcomes, [other]).result(timeout=30)
            results = store.capability("m").results
            seen.append((number, sum(result.count for result in results)))
            yield row(ItemRow(f"f:{number}", f"q{number}", "math"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "BATCH", 2)
        assert import_rows(rows(), store).new == 6
    assert seen == [(number, 1) for number in range(6)], "none of the import's own counts before its end"
    assert store.capability("m").results[0].count == 7


def test_an_import_that_fails_late_takes_back_what_it_wrote(store: CapabilityStore, monkeypatch: Any) -> None:
    monkeypatch.setattr(base, "BATCH", 2)
    rows = [row(ItemRow(f"f:{number}", f"q{number}", "math")) for number in range(5)]
    with pytest.raises(InvalidInput, match="f:9: broken; nothing was imported"):
        import_rows([*rows, BadRow("f:9", "broken")], store)
    assert (store.outcome_count(), store.items(), store.candidates(), store.version) == (0, (), (), 0)
    assert import_rows(rows, store).new == 5


def test_rows_are_grouped_by_their_length_too(store: CapabilityStore, monkeypatch: Any) -> None:
    monkeypatch.setattr(base, "BATCH_CHARACTERS", 100)
    read: list[int] = []
    rows = [row(ItemRow(f"f:{number}", f"q{number}", "math", "x" * 60)) for number in range(5)]
    import_rows(rows, store, progress=read.append)
    assert read == [2, 4, 5]


@pytest.mark.parametrize("error", [TypeError("x"), KeyError("x"), OverflowError("x"), AttributeError("x")])
def test_a_value_of_another_kind_is_a_bad_row(error: Exception) -> None:
    def make() -> Row:
        raise error

    assert row_or_bad("f:1", make) == BadRow(
        "f:1", f"holds a value of another kind than is needed ({type(error).__name__})"
    )


def test_the_source_of_a_file_can_be_stored_whatever_its_name() -> None:
    assert source_of("table", Path("a.csv")) == "table:a.csv"
    assert source_of("table", Path("\udce9.csv")) == "table:\\udce9.csv"


def corrected(store: CapabilityStore) -> tuple[set[tuple[str, str, float, str]], str | None]:
    """Return what is stored: outcomes, and the text of the item."""
    found = {(o.candidate, o.item, o.correct, o.source) for o in store.outcomes()}
    return found, store.items()[0].instruction


def test_a_corrected_file_takes_the_place_of_what_its_sources_had(store: CapabilityStore) -> None:
    """Other sources stay; texts are corrected too; what others see changes at the end, at once."""
    elsewhere = row(FULL, "m")
    elsewhere = elsewhere._replace(outcome=elsewhere.outcome.model_copy(update={"source": "elsewhere"}))
    import_rows([row(FULL, "m"), row(FULL, "misspelt"), elsewhere], store)
    before = corrected(store)
    other = FULL._replace(instruction="1+2?", options=("3", "4"), answer="A")
    again = Row(other, Outcome(candidate="m", item="q", correct=0, source="s", when=datetime.now(timezone.utc)))
    with pytest.raises(InvalidInput, match="has another instruction here"):
        import_rows([again], store)
    with pytest.raises(InvalidInput, match="g:9: broken"):
        import_rows([again, BadRow("g:9", "broken")], store, replace=True)
    assert corrected(store) == before
    seen: list[Any] = []
    report = import_rows([again], store, replace=True, progress=lambda _: seen.append(corrected(store)[0]))
    assert (report.new, report.known, report.replaced) == (1, 0, 2)
    assert seen == [before[0]]
    assert corrected(store) == ({("m", "q", 0.0, "s"), ("m", "q", 1.0, "elsewhere")}, "1+2?")
    assert store.items()[0] == Item(id="q", task="math", instruction="1+2?", options=("3", "4"), answer="A")
    assert import_rows([again], store, replace=True).replaced == 1
    assert corrected(store)[0] == {("m", "q", 0.0, "s"), ("m", "q", 1.0, "elsewhere")}


def test_a_corrected_file_that_contradicts_itself_is_refused(store: CapabilityStore) -> None:
    import_rows([row(FULL)], store)
    rows = [row(FULL._replace(answer=answer, where=f"g:{place}"), f"m{place}") for place, answer in enumerate("AC")]
    with pytest.raises(InvalidInput, match="g:1: item 'q' has another answer here"):
        import_rows(rows, store, replace=True)
    assert store.items()[0].answer == "B"


def test_a_conflict_says_how_a_corrected_file_is_taken(store: CapabilityStore) -> None:
    import_rows([row(FULL)], store)
    other = row(FULL)
    other = other._replace(
        outcome=other.outcome.model_copy(update={"correct": 0.0, "when": datetime.now(timezone.utc)})
    )
    report = import_rows([other], store)
    assert report.refused[0][1].endswith("outcomes are never changed; for a corrected file: --replace")
