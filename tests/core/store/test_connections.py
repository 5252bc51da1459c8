"""Transactions: whole, in turn, by threads, processes and forked children."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from store_records import outcome, seed

from cit_core.errors import InvalidInput, MissingExtra, StoreError
from cit_core.records import Candidate
from cit_core.store import CapabilityStore


def test_what_raises_inside_a_transaction_leaves_nothing(store: CapabilityStore) -> None:
    def fail_halfway() -> None:
        with store.transaction() as writer:
            writer.add_candidates([Candidate(id="small")])
            raise KeyError("of the caller")

    with pytest.raises(KeyError, match="of the caller"):
        fail_halfway()
    assert (store.candidates(), store.version) == ((), 0)


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


def test_a_writer_that_waits_too_long_says_so(store_url: str) -> None:
    with CapabilityStore(store_url) as one, CapabilityStore(store_url, timeout_s=0.2) as other:
        with one.transaction(), pytest.raises(StoreError, match="has been writing for"):
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


def test_postgresql_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"pip install 'cit-router\[postgres\]'"):
        CapabilityStore("postgresql+psycopg://127.0.0.1/none")


def test_a_store_that_nobody_holds_lets_go_of_its_connections(store_url: str) -> None:
    store = CapabilityStore(store_url)
    engine = store._connections._engine
    pool = engine.pool
    assert store.version >= 0
    assert pool.checkedin() > 0
    del store
    gc.collect()
    assert pool is not engine.pool, "disposing of an engine leaves it with a new pool"
    assert pool.checkedin() == 0
