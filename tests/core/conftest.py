"""Stores for the tests: a test that asks for one runs on SQLite and on a real PostgreSQL, each time on a new one."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from store_records import ALGEBRA, ITEMS, LAW, outcome

from cit_core.policy import Spend
from cit_core.records import Candidate, Item, Task
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


@pytest.fixture
def full(seeded: CapabilityStore) -> CapabilityStore:
    """A store with one of everything: vectors, a held source, settings, texts in all scripts, odd numbers."""
    seeded.add_candidates([Candidate(id="modèle/大", price_in=0.1, released=date(2026, 5, 1), modalities=("text",))])
    seeded.add_tasks([Task(id="unassigned", keywords=("any",))])
    seeded.add_items([Item(id="q", task="unassigned", instruction="Is it?\u2028🙂", options=("a", "b"), answer="b")])
    seeded.hold("test")
    seeded.hold("empty")
    seeded.add_outcomes([outcome("i0", 1 / 3, cost_usd=1e-9, answer="C\n"), outcome("q", 0.1 + 0.2, source="test")])
    seeded.add_candidates([Candidate(id="gone")])
    seeded.remove_candidate("gone")
    with seeded.transaction() as writer:
        writer.set_vectors({"i1": np.array([1.0, -0.0, np.inf, 6e-8], np.float16)}, "trunk")
        writer.set_vectors({"q": np.array([0.5], np.float16)}, "another")
        writer.set_setting("evidence", {"bandwidth": 0.1, "list": [1, None, "ü"]})
    seeded.add_spend("budget:5/day/tenant", [Spend("team-a", 7, 3.0, 0.1 + 0.2)], keep_from=0)
    return seeded
