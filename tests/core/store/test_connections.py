"""Transactions: whole, in turn, by threads, processes and forked children."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url
from store_records import outcome, seed

from cit_core.errors import InvalidInput, MissingExtra, StoreError
from cit_core.records import Candidate, Item
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


def test_a_connection_in_use_when_its_store_is_closed_is_closed_when_it_is_given_back(store: CapabilityStore) -> None:
    """An iterator that somebody still holds, for one."""
    with store._connections.reading() as connection:
        held = connection.connection.dbapi_connection
        assert held is not None
        store.close()
        assert connection.scalar(text("SELECT 1")) == 1
    with pytest.raises((sqlite3.ProgrammingError, psycopg.OperationalError), match="closed"):
        held.cursor().execute("SELECT 1")
    assert store.version == 0


@pytest.mark.parametrize("what", ["deleted", "replaced by another file"])
def test_a_file_that_goes_while_it_is_open_is_noticed(sqlite_url: str, tmp_path: Path, what: str) -> None:
    with CapabilityStore(sqlite_url) as store:
        store.add_candidates([Candidate(id="small")])
        for path in tmp_path.glob("store.db*"):
            path.unlink()
        if what != "deleted":
            CapabilityStore(sqlite_url).close()
        for use in (store.candidates, lambda: store.add_candidates([Candidate(id="big")])):
            with pytest.raises(StoreError, match=f"was {what} while it was open; nothing was written"):
                use()
        assert (tmp_path / "store.db").exists() == (what != "deleted"), "no empty store in its place"
        store.close()
        if what != "deleted":
            assert store.candidates() == (), "opened again"


def test_a_file_that_goes_during_a_transaction_is_noticed(sqlite_url: str, tmp_path: Path) -> None:
    with CapabilityStore(sqlite_url) as store:

        def delete_halfway() -> None:
            with store.transaction() as writer:
                writer.add_candidates([Candidate(id="small")])
                (tmp_path / "store.db").unlink()

        with pytest.raises(StoreError, match="deleted while it was open; what was just written went with it"):
            delete_halfway()


def test_a_full_disk_is_one_clear_error_and_nothing_is_half_written(sqlite_url: str) -> None:
    with CapabilityStore(sqlite_url) as store:
        seed(store)
        version = store.version

        def write_more_than_fits() -> None:
            with store.transaction() as writer:
                pages = writer._connection.exec_driver_sql("PRAGMA page_count").scalar()
                writer._connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
                writer.add_items(Item(id=f"long {n}", task="law", instruction="x" * 5000) for n in range(100))

        with pytest.raises(StoreError, match="disk is full; make room on the disk; nothing of this transaction"):
            write_more_than_fits()
        store.close()
        assert (store.version, len(store.items())) == (version, 4)
        store.add_candidates([Candidate(id="again")])


def test_an_idle_connection_that_the_server_dropped_is_replaced(postgres_url: str) -> None:
    url = make_url(postgres_url).update_query_dict({"application_name": "doomed"})
    with CapabilityStore(url.render_as_string(hide_password=False)) as store:
        assert store.version == 0
        engine = create_engine(postgres_url)
        with engine.connect() as connection:
            idle = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'doomed'"
            assert connection.scalars(text(idle)).all() == [True]
        engine.dispose()
        assert store.add_candidates([Candidate(id="small")]) == 1


def test_a_role_that_may_only_read_reads(postgres_url: str) -> None:
    with CapabilityStore(postgres_url) as store:
        seed(store)
    url = make_url(postgres_url)
    schema = str(url.query["options"]).partition("=")[2]
    role = f"reader_{schema[-8:]}"
    engine = create_engine(postgres_url)
    try:
        with engine.begin() as connection:
            connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'read'"))
            connection.execute(text(f"GRANT USAGE ON SCHEMA {schema} TO {role}"))
            connection.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}"))
        reading = url.set(username=role, password="read").render_as_string(hide_password=False)
        with CapabilityStore(reading) as store:
            assert [c.id for c in store.candidates()] == ["small", "big"]
            assert store.version == 1
            with pytest.raises(StoreError, match=r"permission denied .* the role needs"):
                store.add_candidates([Candidate(id="another")])
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP OWNED BY {role}; DROP ROLE {role}"))
        engine.dispose()


@contextmanager
def pgbouncer(server: URL, folder: Path) -> Iterator[URL]:
    """PgBouncer in transaction mode with three connections; skips where it is not installed."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    database = f"host=127.0.0.1 port={server.port} user={server.username} password={server.password}"
    options = f"listen_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\npool_mode = transaction\n"
    options += f"default_pool_size = 3\nunix_socket_dir =\nlogfile = {folder}/log\npidfile = {folder}/pid\n"
    (folder / "ini").write_text(f"[databases]\n{server.database} = {database}\n[pgbouncer]\n{options}")
    as_postgres = []
    folder.chmod(0o755)
    if os.getuid() == 0:  # it refuses to run as root
        folder.chmod(0o777)
        as_postgres = ["runuser", "-u", "postgres", "--"]
    process = subprocess.Popen([*as_postgres, program, "-q", str(folder / "ini")])
    try:
        yield server.set(port=port, password="any", query={})
    finally:
        subprocess.run(["kill", (folder / "pid").read_text().strip()], check=True)
        process.wait(30)


@contextmanager
def own_database(server: URL) -> Iterator[URL]:
    """A database that is dropped afterwards, also where the test is skipped."""
    engine, name = create_engine(server, isolation_level="AUTOCOMMIT"), f"pooled_{uuid.uuid4().hex[:8]}"
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        yield server.set(database=name)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        engine.dispose()


def test_a_store_works_behind_pgbouncer_in_transaction_mode(postgres_url: str) -> None:
    with TemporaryDirectory() as name, own_database(make_url(postgres_url)) as own, pgbouncer(own, Path(name)) as url:
        store = opened_in_time(url.render_as_string(hide_password=False))
        seed(store, items=60)

        def work(place: int) -> int:
            for n in range(12):
                store.add_outcomes([outcome(f"i{12 * place + n}")])
                assert store.capabilities()
                assert list(store.outcomes())
            return 12

        with ThreadPoolExecutor(5) as pool:
            assert sum(pool.map(work, range(5))) == store.outcome_count() == 60
        store.close()


def opened_in_time(url: str) -> CapabilityStore:
    deadline = time.monotonic() + 30
    while True:
        try:
            return CapabilityStore(url)
        except StoreError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)
