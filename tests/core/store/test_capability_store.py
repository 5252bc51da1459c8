"""The store: facts are added once and never changed, capabilities are computed from them.

Writers take turns, in threads and processes, and readers see whole transactions.
"""

from __future__ import annotations

import gc
import itertools
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from cit_core.capability import capability_from_outcomes
from cit_core.errors import InvalidInput, MissingExtra, StoreError, StoreTooNew, UnknownCandidate
from cit_core.records import Candidate, Item, Outcome, Suite, Task
from cit_core.store import CapabilityStore, database
from cit_core.store import queries as reading
from cit_core.store.capability_store import _let_go
from cit_core.store.migrations import REVISIONS, VERSION_TABLE
from cit_core.store.schema import candidates as candidates_table
from cit_core.store.schema import metadata

ALGEBRA = Task(id="algebra", keywords=("equations", "groups"))
LAW = Task(id="law", keywords=("contracts",))


def seed(store: CapabilityStore, items: int = 4, candidates: Sequence[str] = ("small", "big")) -> None:
    """Two tasks, items i0, i1, ... that alternate between them, and candidates."""
    with store.transaction() as writer:
        writer.add_tasks([ALGEBRA, LAW])
        writer.add_items(Item(id=f"i{n}", task=("algebra", "law")[n % 2]) for n in range(items))
        writer.add_candidates(Candidate(id=id_) for id_ in candidates)


def outcome(item: str, correct: float = 1.0, candidate: str = "small", source: str = "run") -> Outcome:
    return Outcome(candidate=candidate, item=item, correct=correct, source=source)


def lines(store: CapabilityStore, candidate: str, suite: Suite | None = None) -> dict[str, tuple[float, int]]:
    return {r.task.id: (r.accuracy, r.count) for r in store.capability(candidate, suite).results}


# What is kept


def test_records_come_back_as_they_went_in(store: CapabilityStore) -> None:
    full = Candidate(
        id="modèle/大 7b", context_window=8192, price_in=0.1, price_out=0.3, modalities=("text", "image"), tools=True,
        structured_output=False, released=date(2026, 5, 1), params_b=7.5, license="Apache-2.0", notes="two\nlines",
    )  # fmt: skip
    item = Item(id="q", task="law", instruction="Is it? 🙂", options=("yes", "no"), answer="no")
    store.add_candidates([full, Candidate(id="bare")])
    store.add_tasks([LAW, ALGEBRA])
    store.add_items([item, Item(id="textless", task="algebra")])
    assert store.candidates() == (full, Candidate(id="bare"))
    assert store.candidate("bare") == Candidate(id="bare")
    assert store.tasks() == (LAW, ALGEBRA)
    assert store.items() == (item, Item(id="textless", task="algebra"))
    assert store.items(["textless", "unheard of"]) == (Item(id="textless", task="algebra"),)


def test_every_fact_about_a_candidate_has_a_column() -> None:
    assert set(candidates_table.c.keys()) == {"key", *Candidate.model_fields}


def test_a_new_store_is_empty(store: CapabilityStore) -> None:
    assert (store.version, store.outcome_count(), store.capabilities(), store.items()) == (0, 0, (), ())


def test_adding_outcomes_again_adds_nothing(store: CapabilityStore) -> None:
    seed(store)
    facts = [outcome(f"i{n}", candidate=c) for n in range(4) for c in ("small", "big")]
    first = store.add_outcomes(facts)
    version = store.version
    again = store.add_outcomes(facts)
    assert (first.new, first.known, first.refused_count) == (8, 0, 0)
    assert (again.new, again.known, again.refused_count) == (0, 8, 0)
    assert store.outcome_count() == 8
    assert store.version == version, "nothing was changed"


def test_a_conflicting_outcome_is_refused_with_a_reason(store: CapabilityStore) -> None:
    seed(store)
    store.add_outcomes([outcome("i0", 1.0)])
    summary = store.add_outcomes([outcome("i0", 0.25), outcome("i1")])
    assert (summary.new, summary.known, summary.refused_count) == (1, 0, 1)
    ((what, reason),) = summary.refused
    assert what == "'small' on item 'i0' from 'run'"
    assert "correct=0.25 came and 1 is stored" in reason
    assert lines(store, "small")["algebra"] == (1.0, 1), "never overwritten"


def test_duplicates_inside_one_batch_are_known_or_refused(store: CapabilityStore) -> None:
    seed(store)
    summary = store.add_outcomes([outcome("i0", 1.0), outcome("i0", 1.0), outcome("i0", 0.0)])
    assert (summary.new, summary.known, summary.refused_count) == (1, 1, 1)


def test_many_refusals_are_all_counted_and_the_first_hundred_named(store: CapabilityStore) -> None:
    seed(store, items=120)
    store.add_outcomes(outcome(f"i{n}", 1.0) for n in range(120))
    summary = store.add_outcomes((outcome(f"i{n}", 0.0) for n in range(120)), batch_size=50)
    assert (summary.refused_count, len(summary.refused)) == (120, 100)


def test_times_are_kept_to_the_microsecond(store: CapabilityStore) -> None:
    seed(store)
    when = datetime(2026, 7, 1, 1, 2, 3, 456789, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    store.add_outcomes([outcome("i0").model_copy(update={"when": when.astimezone(timezone.utc)})])
    with store.transaction() as writer:
        (conflict,) = writer.add_outcomes([outcome("i0", 0.0)]).conflicts
    assert conflict.since == when


def test_batches_and_progress(store: CapabilityStore) -> None:
    seed(store, items=10)
    seen: list[int] = []
    before = store.version
    summary = store.add_outcomes((outcome(f"i{n}") for n in range(10)), batch_size=4, progress=seen.append)
    assert (summary.new, seen, store.version - before) == (10, [4, 8, 10], 3)
    with pytest.raises(InvalidInput, match="batch_size is 0"):
        store.add_outcomes([], batch_size=0)


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (outcome("i9"), InvalidInput, "no item 'i9' in the store; add it with add_items first"),
        (outcome("i0", candidate="smal"), UnknownCandidate, "no candidate 'smal' .* closest: 'small'"),
    ],
)
def test_an_unknown_id_rolls_its_batch_back(
    store: CapabilityStore, bad: Outcome, error: type[InvalidInput], message: str
) -> None:
    seed(store)
    with pytest.raises(error, match=message):
        store.add_outcomes([outcome("i0"), outcome("i1"), outcome("i2"), bad, outcome("i3")], batch_size=2)
    assert store.measured("small") == {"i0", "i1"}, "the batch before it stays, nothing of its own does"


def test_a_number_that_does_not_fit_is_refused(store: CapabilityStore) -> None:
    seed(store)
    with pytest.raises(InvalidInput, match="the store cannot keep"):
        store.add_outcomes([outcome("i0").model_copy(update={"prompt_tokens": 10**30})])
    assert store.outcome_count() == 0


# Changing what is known about candidates, tasks and items


def test_other_facts_need_replace(store: CapabilityStore) -> None:
    assert store.add_candidates([Candidate(id="small", price_in=1.0)]) == 1
    assert store.add_candidates([Candidate(id="small", price_in=1.0), Candidate(id="new")]) == 1
    with pytest.raises(
        InvalidInput, match=r"'small' has other facts \(price_in: 1.0 is stored and 2.0 came\).*replace"
    ):
        store.add_candidates([Candidate(id="newer"), Candidate(id="small", price_in=2.0)])
    assert [c.id for c in store.candidates()] == ["small", "new"], "all or nothing"
    assert store.add_candidates([Candidate(id="small", price_in=2.0)], replace=True) == 1
    assert store.candidate("small").price_in == 2.0
    store.add_tasks([LAW])
    with pytest.raises(InvalidInput, match="'law' has other facts"):
        store.add_tasks([Task(id="law", keywords=("torts",))])
    store.add_tasks([Task(id="law", keywords=("torts",))], replace=True)
    assert store.tasks()[0].description == "torts"


def test_the_same_id_twice_in_one_call_is_refused(store: CapabilityStore) -> None:
    with pytest.raises(InvalidInput, match="duplicate ids of candidates: 'x'"):
        store.add_candidates([Candidate(id="x"), Candidate(id="x", notes="other")])


def test_items_are_completed_but_not_changed(store: CapabilityStore) -> None:
    seed(store)
    with store.transaction() as writer:
        writer.add_tasks([Task(id="unassigned", keywords=("any",))])
        writer.add_items([Item(id="q", task="unassigned")])
    assert store.add_items([Item(id="q", task="law", instruction="Why?", answer="so")]) == 1
    assert store.add_items([Item(id="q", task="unassigned", options=("so", "not so"))]) == 1
    full = Item(id="q", task="law", instruction="Why?", options=("so", "not so"), answer="so")
    assert store.items(["q"]) == (full,)
    assert store.add_items([Item(id="q", task="law")]) == 0, "says nothing new"
    for other in (Item(id="q", task="algebra"), Item(id="q", task="law", instruction="When?")):
        with pytest.raises(InvalidInput, match="items: 'q' has other facts"):
            store.add_items([other])
    assert store.add_items([Item(id="q", task="algebra")], replace=True) == 1
    assert store.items(["q"]) == (Item(id="q", task="algebra"),)


def test_an_item_needs_its_task(store: CapabilityStore) -> None:
    with pytest.raises(InvalidInput, match="item 'q' names task 'law', which is not stored"):
        store.add_items([Item(id="q", task="law")])


def test_a_candidate_goes_with_its_outcomes(store: CapabilityStore) -> None:
    seed(store)
    store.add_outcomes(outcome(f"i{n}", candidate=c) for n in range(4) for c in ("small", "big"))
    version = store.version
    store.remove_candidate("small")
    assert (store.outcome_count(), [c.id for c in store.candidates()]) == (4, ["big"])
    assert store.version == version + 1
    for ask in (store.remove_candidate, store.candidate, store.capability, store.measured):
        with pytest.raises(UnknownCandidate, match=r"no candidate 'bigg' .* closest: 'big'"):
            ask("bigg")


def test_measured_is_what_a_resuming_runner_asks(store: CapabilityStore) -> None:
    seed(store)
    store.add_outcomes([outcome("i0"), outcome("i1", source="log"), outcome("i2", candidate="big")])
    assert store.measured("small") == {"i0", "i1"}
    assert store.measured("small", "run") == {"i0"}
    assert store.measured("small", "never seen") == set()


# Capabilities


def test_an_item_measured_by_several_sources_counts_once(store: CapabilityStore) -> None:
    seed(store)
    store.add_outcomes(
        [
            outcome("i0", 1.0, source="a"), outcome("i0", 0.0, source="b"), outcome("i0", 0.5, source="c"),
            outcome("i2", 1.0, source="a"),
        ]
    )  # fmt: skip
    assert lines(store, "small") == {"algebra": (0.75, 2)}


def test_a_candidate_that_was_not_measured_has_no_results(store: CapabilityStore) -> None:
    seed(store)
    store.add_outcomes([outcome("i0")])
    small, big = store.capabilities()
    assert (len(small.results), big.results, big.candidate.id) == (1, (), "big")


def test_a_suite_counts_its_items_alone_under_its_own_tasks(
    store: CapabilityStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(store, items=8)
    store.add_outcomes(outcome(f"i{n}", n / 8, candidate=c) for n in range(8) for c in ("small", "big"))
    low, all_ = Task(id="low", keywords=("little",)), Task(id="law", keywords=("words", "of the suite"))
    never = Task(id="never", keywords=("asked",))
    suite = Suite(
        name="s",
        tasks=(low, all_, never),
        items={"low": ("i0", "i1", "i2", "unheard of"), "law": ("i1", "i5", "i6", "i7"), "never": ("elsewhere",)},
    )
    expected = {"low": (pytest.approx(1 / 8), 3), "law": (pytest.approx(19 / 32), 4)}
    assert lines(store, "small", suite) == expected
    assert store.capability("small", suite).results[1].task.keywords == ("words", "of the suite")
    assert [c.candidate.id for c in store.capabilities(suite)] == ["small", "big"]
    monkeypatch.setattr(reading, "LOOKUP", 2)  # a suite that does not fit into one query
    assert lines(store, "small", suite) == expected
    assert store.capabilities(suite)[1].results == store.capability("big", suite).results


@given(
    correct=st.dictionaries(
        st.tuples(st.integers(0, 9), st.sampled_from("xyz")),
        st.floats(0, 1) | st.sampled_from([0.0, 1.0]),
        max_size=30,
    )
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_capability_equals_the_plain_computation(
    store: CapabilityStore, correct: dict[tuple[int, str], float]
) -> None:
    """Whatever the outcomes: mean over sources of every item, then mean over the items of every task."""
    me = f"c{len(store.candidates())}"
    if me == "c0":
        seed(store, items=10, candidates=())
    store.add_candidates([Candidate(id=me)])
    store.add_outcomes(outcome(f"i{n}", value, me, source) for (n, source), value in correct.items())
    by_item = {n: [value for (m, _), value in correct.items() if m == n] for n, _ in correct}
    means = [(("algebra", "law")[n % 2], sum(values) / len(values)) for n, values in by_item.items()]
    expected = capability_from_outcomes(Candidate(id=me), (ALGEBRA, LAW), means)
    found = store.capability(me)
    assert store.capabilities()[-1] == found, "to the last bit: the fingerprint depends on it"
    assert [(r.task, r.count) for r in found.results] == [(r.task, r.count) for r in expected.results]
    assert [r.accuracy for r in found.results] == pytest.approx([r.accuracy for r in expected.results], abs=1e-9)


def test_equal_outcomes_give_an_equal_capability_in_whatever_order(store: CapabilityStore) -> None:
    """To the last bit, because a scorer caches by fingerprint: 0.1 + 0.2 + 0.3 depends on the order of the sum."""
    seed(store, items=6)
    facts = {"i0": 0.1, "i2": 0.2, "i4": 0.3}
    store.add_outcomes(outcome(item, correct) for item, correct in facts.items())
    store.add_outcomes(outcome(item, correct, "big") for item, correct in reversed(facts.items()))
    small, big = store.capabilities()
    assert small.results[0].accuracy == 0.2
    assert small.fingerprint == big.fingerprint == store.capability("big").fingerprint


# Transactions


def test_what_raises_inside_a_transaction_leaves_nothing(store: CapabilityStore) -> None:
    def fail_halfway() -> None:
        with store.transaction() as writer:
            writer.add_candidates([Candidate(id="small")])
            raise KeyError("of the caller")

    with pytest.raises(KeyError, match="of the caller"):
        fail_halfway()
    assert (store.candidates(), store.version) == ((), 0)


def test_a_transaction_counts_one_version_and_says_what_it_did(store: CapabilityStore, store_url: str) -> None:
    seed(store)
    store.add_outcomes([outcome("i0")])
    store.remove_candidate("small")
    engine = create_engine(store_url)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT number, what FROM versions ORDER BY number")).all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [
        (1, "2 tasks, 4 items, 2 candidates"),
        (2, "1 outcomes"),
        (3, "1 candidate removed: 'small', 1 outcomes removed"),
    ]


def test_a_transaction_within_a_transaction_is_refused_at_once(store: CapabilityStore) -> None:
    with store.transaction(), pytest.raises(InvalidInput, match="write with the writer it gave"):
        store.add_candidates([Candidate(id="big")])


def test_a_reader_never_sees_half_a_batch_and_never_waits(store: CapabilityStore, store_url: str) -> None:
    seed(store)
    with CapabilityStore(store_url) as reader:
        with store.transaction() as writer:
            writer.add_outcomes([outcome("i0"), outcome("i1")])
            version = reader.version
            assert (reader.outcome_count(), reader.capabilities()[0].results) == (0, ())
            writer.add_outcomes([outcome("i2")])
            assert reader.outcome_count() == 0
        assert (reader.outcome_count(), reader.version) == (3, version + 1)


def test_a_writer_that_waits_too_long_says_so(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.2)
    with CapabilityStore(store_url) as one, CapabilityStore(store_url) as other:
        with one.transaction(), pytest.raises(StoreError, match="another process has been writing"):
            other.add_candidates([Candidate(id="small")])
        other.add_candidates([Candidate(id="small")])
        assert one.version == 1


def test_threads_write_at_once(store: CapabilityStore) -> None:
    """Every thread adds the same half and a half of its own: no row is lost, none is there twice."""
    seed(store, items=60, candidates=["shared", *"abcd"])
    versions: list[int] = []

    def work(me: str) -> int:
        facts = [outcome(f"i{n}", candidate=c) for n in range(60) for c in ("shared", me)]
        summary = store.add_outcomes(facts, batch_size=10, progress=lambda _: versions.append(store.version))
        return summary.new

    before = store.version
    with ThreadPoolExecutor(4) as pool:
        new = sum(pool.map(work, "abcd"))
    assert new == store.outcome_count() == 60 * 5
    assert store.measured("shared") == {f"i{n}" for n in range(60)}
    assert before < max(versions) <= store.version <= before + 4 * 12


WORKER = """
import sys, time
from pathlib import Path
from cit_core.records import Candidate, Item, Outcome, Task
from cit_core.store import CapabilityStore

url, me, go = sys.argv[1:]
while not Path(go).exists():
    time.sleep(0.002)
with CapabilityStore(url) as store:
    store.add_candidates([Candidate(id="shared")])
    store.add_candidates([Candidate(id=me)])
    store.add_tasks([Task(id="t", keywords=("k",))])
    store.add_items([Item(id=f"i{n}", task="t") for n in range(50)])
    seen = []
    summary = store.add_outcomes(
        (Outcome(candidate=c, item=f"i{n}", correct=1, source="run") for n in range(50) for c in ("shared", me)),
        batch_size=10, progress=lambda _: seen.append(store.version),
    )
    assert seen == sorted(seen), seen
    print(summary.new)
"""


def test_processes_open_and_write_the_same_new_store_at_once(store_url: str, tmp_path: Path) -> None:
    """Whoever comes first makes the tables; no row is lost, none is there twice, versions have no gap."""
    go = tmp_path / "go"
    workers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WORKER, store_url, f"p{n}", str(go)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(4)
    ]
    go.touch()
    printed = [worker.communicate(timeout=120)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 4
    with CapabilityStore(store_url) as store:
        assert sum(map(int, printed)) == store.outcome_count() == 50 * 5
        assert len(store.candidates()) == 5
    engine = create_engine(store_url)
    with engine.connect() as connection:
        numbers = list(connection.scalars(text("SELECT number FROM versions ORDER BY number")))
    engine.dispose()
    assert numbers == list(range(1, len(numbers) + 1))


def test_threads_open_the_same_new_store_at_once(store_url: str) -> None:
    barrier = threading.Barrier(4)

    def open_() -> int:
        barrier.wait()
        with CapabilityStore(store_url) as store:
            return store.version

    with ThreadPoolExecutor(4) as pool:
        assert [future.result() for future in [pool.submit(open_) for _ in range(4)]] == [0] * 4


# Opening


def test_the_tables_are_those_of_the_migrations(store: CapabilityStore, store_url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    engine = create_engine(store_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_known_revisions_are_those_of_the_migrations() -> None:
    from alembic.script import ScriptDirectory

    import cit_core.store.migrations

    scripts = ScriptDirectory(str(Path(cit_core.store.migrations.__file__).parent))
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == REVISIONS


def test_a_store_of_a_newer_release_is_refused_and_not_changed(store_url: str) -> None:
    with CapabilityStore(store_url) as store:
        seed(store)
    engine = create_engine(store_url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(StoreTooNew, match=r"revision '9999'.*not changed.*pip install -U cit-router"):
        CapabilityStore(store_url)
    with engine.connect() as connection:
        assert connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) == "9999"
        assert connection.scalar(text("SELECT count(*) FROM candidates")) == 2
    engine.dispose()


def test_an_interrupted_upgrade_leaves_nothing(store_url: str) -> None:
    """A table in the way fails the upgrade half-way: no other table is there, and without it the next try works."""
    engine = create_engine(store_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE outcomes (mine INTEGER)"))
    with pytest.raises(StoreError, match="outcomes"):
        CapabilityStore(store_url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE outcomes"))
    engine.dispose()
    with CapabilityStore(store_url) as store:
        assert store.version == 0


def test_opening_an_up_to_date_store_does_not_import_alembic(store: CapabilityStore, store_url: str) -> None:
    code = "import sys; from cit_core.store import CapabilityStore; CapabilityStore(sys.argv[1]).close(); "
    code += "assert 'alembic' not in sys.modules"
    assert subprocess.run([sys.executable, "-W", "error", "-c", code, store_url], check=False).returncode == 0


def test_sqlite_is_set_up_for_readers_beside_a_writer(sqlite_url: str) -> None:
    with CapabilityStore(sqlite_url) as store, store._reading() as connection:
        asked = ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        found = [connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() for pragma in asked]
    assert found == ["wal", 1, 1, 120_000]


def test_the_default_is_a_file_in_the_platforms_data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database.platformdirs, "user_data_path", lambda app, appauthor: tmp_path / "new" / app)
    with CapabilityStore() as store:
        assert store.url == f"sqlite:///{tmp_path}/new/cit-router/store.db"
    assert (tmp_path / "new" / "cit-router" / "store.db").is_file()


def test_a_password_is_masked_wherever_the_url_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match="check the host") as caught:
        CapabilityStore("postgresql://me:secret@127.0.0.1:1/none")
    assert "postgresql+psycopg://me:***@127.0.0.1:1/none" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("store.db", "'store.db' is not a store URL; write a file as 'sqlite:///store.db'"),
        (Path("/x/store.db"), "write a file as 'sqlite:////x/store.db'"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite://x/store.db", "names no file"),
        ("mysql://host/name", "cannot be kept in 'mysql'"),
        ("postgresql+asyncpg://host/name", "cannot be kept in"),
        ("postgresql://me:secret@host:port/name", "cannot be read"),
    ],
)
def test_what_is_no_store_url(url: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        CapabilityStore(url)
    assert "secret" not in str(caught.value)


def test_postgresql_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"pip install 'cit-router\[postgres\]'"):
        CapabilityStore("postgresql+psycopg://127.0.0.1/none")


def test_what_is_no_database_is_told_in_one_line(tmp_path: Path) -> None:
    text_file = tmp_path / "notes.txt"
    text_file.write_text("dear diary " * 100)
    for path, message in (
        (text_file, "file is not a database; give the path of a cit-router store"),
        (tmp_path, "unable to open database file; the path must be a file"),
        (text_file / "store.db", "cannot be made"),
    ):
        with pytest.raises(StoreError, match=message) as caught:
            CapabilityStore(f"sqlite:///{path}")
        assert "\n" not in str(caught.value)
    assert text_file.read_text() == "dear diary " * 100


def test_a_damaged_file_is_told_in_one_line(sqlite_url: str, tmp_path: Path) -> None:
    with CapabilityStore(sqlite_url) as store:
        seed(store, items=3000)
    path = tmp_path / "store.db"
    pages = bytearray(path.read_bytes())
    for start in itertools.islice(range(0, len(pages), 4096), 1, None):
        pages[start : start + 64] = b"\xff" * 64
    path.write_bytes(pages)
    with pytest.raises(StoreError, match="malformed; the file is damaged"), CapabilityStore(sqlite_url) as store:
        store.items()


def test_a_snapshot_is_of_one_moment(store: CapabilityStore) -> None:
    """While others write, the version that a snapshot names is the one its capabilities were computed from."""
    seed(store, items=100)
    stop = threading.Event()
    torn: list[tuple[int, int]] = []

    def read() -> None:
        while not stop.is_set():
            version, capabilities, _ = store.snapshot()
            asked = sum(result.count for capability in capabilities for result in capability.results)
            if version - before != asked:  # each write below is one outcome and one version
                torn.append((version, asked))

    before = store.version
    reader = threading.Thread(target=read)
    reader.start()
    for number in range(100):
        store.add_outcomes([outcome(f"i{number}")])
    stop.set()
    reader.join()
    assert torn == []
    assert store.snapshot() == (store.version, store.capabilities(), None)


def test_the_switch_to_wal_waits_its_turn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """SQLite answers it with "database is locked" at once, whatever the timeout, while another opens the new file."""
    tries: list[str] = []

    class Busy(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if "journal_mode" in sql:
                tries.append(sql)
                if len(tries) < 3:
                    raise sqlite3.OperationalError("database is locked")
            return super().execute(sql, *parameters)

    with closing(sqlite3.connect(tmp_path / "new.db", factory=Busy)) as connection:
        database._write_ahead(connection)
        assert len(tries) == 3
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        tries.clear()
        monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            database._write_ahead(connection)


def test_a_store_that_nobody_holds_lets_go_of_its_connections(store_url: str) -> None:
    store = CapabilityStore(store_url)
    pool = store._engine.pool
    assert store.version >= 0
    assert pool.checkedin() > 0
    engine = store._engine
    _let_go(engine, os.getpid() + 1)
    assert pool.checkedin() > 0, "a fork leaves its parent's connections alone"
    del store
    gc.collect()
    assert pool is not engine.pool, "disposing of an engine leaves it with a new pool"
    assert pool.checkedin() == 0
