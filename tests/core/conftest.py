"""Stores for the tests: a test that asks for one runs on SQLite and on a real PostgreSQL, each time on a new one."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from store_records import ALGEBRA, ITEMS, LAW

from cit_core.records import Candidate
from cit_core.store import CapabilityStore

POSTGRES = "CIT_TEST_POSTGRES_URL"


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """A schema of its own, dropped afterwards."""
    server = os.environ.get(POSTGRES)
    if not server:
        pytest.skip(f"{POSTGRES} is not set; `. .ci/postgres` in bash starts a throw-away server and sets it")
    engine, schema = create_engine(server), f"test_{uuid.uuid4().hex}"
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    yield (
        make_url(server).update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(hide_password=False)
    )
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest) -> str:
    """Of a database without tables."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def store(store_url: str) -> Iterator[CapabilityStore]:
    """An empty store."""
    with CapabilityStore(store_url) as opened:
        yield opened


@pytest.fixture
def seeded(store: CapabilityStore) -> CapabilityStore:
    """Two tasks, four items with texts, two candidates."""
    with store.transaction() as writer:
        writer.add_tasks([ALGEBRA, LAW])
        writer.add_items(ITEMS)
        writer.add_candidates([Candidate(id="small"), Candidate(id="big")])
    return store
