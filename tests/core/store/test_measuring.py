"""What measuring keeps in the store: answers, usage, held sources, vectors, settings; stores of the first release."""

from __future__ import annotations

import pickle
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, text

import cit_core.store.migrations
from cit_core.errors import UnknownCandidate
from cit_core.records import Candidate, Item, Outcome, Task, Usage
from cit_core.store import UNASSIGNED, CapabilityStore
from cit_core.store.migrations import VERSION_TABLE

ALGEBRA = Task(id="algebra", keywords=("equations", "groups"))
LAW = Task(id="law", keywords=("contracts",))
ITEMS = [Item(id=f"i{n}", task=("algebra", "law")[n % 2], instruction=f"question {n}") for n in range(4)]


@pytest.fixture
def seeded(store: CapabilityStore) -> CapabilityStore:
    """Two tasks, four items, two candidates."""
    with store.transaction() as writer:
        writer.add_tasks([ALGEBRA, LAW])
        writer.add_items(ITEMS)
        writer.add_candidates([Candidate(id="small"), Candidate(id="big")])
    return store


def outcome(item: str, correct: float = 1.0, candidate: str = "small", source: str = "run", **facts: float) -> Outcome:
    return Outcome(candidate=candidate, item=item, correct=correct, source=source, **facts)


def lines(store: CapabilityStore, candidate: str) -> dict[str, tuple[float, int]]:
    return {r.task.id: (r.accuracy, r.count) for r in store.capability(candidate).results}


def test_an_outcome_comes_back_with_everything_that_was_said(seeded: CapabilityStore) -> None:
    full = Outcome(
        candidate="small", item="i1", correct=0.5, source="run", when=datetime(2026, 11, 1, tzinfo=timezone.utc),
        cost_usd=0.25, latency_s=1.5, prompt_tokens=12, completion_tokens=3, answer="C\nbecause … 🙂",
    )  # fmt: skip
    others = [outcome("i0", candidate="big"), outcome("i0", 0.0, source="again")]
    seeded.add_outcomes([full, *others])
    assert list(seeded.outcomes(candidate="small", source="run")) == [full]
    assert set(seeded.outcomes()) == {full, *others}
    assert [o.item for o in seeded.outcomes(candidate="small")] == ["i0", "i1"]
    with pytest.raises(UnknownCandidate, match="'smal'"):
        list(seeded.outcomes(candidate="smal"))


def test_a_held_source_does_not_count_until_it_is_released(seeded: CapabilityStore) -> None:
    seeded.hold("test")
    seeded.add_outcomes([outcome("i0", 1.0, source="test", cost_usd=1.0), outcome("i1", 0.0)])
    assert seeded.held() == ("test",)
    assert lines(seeded, "small") == {"law": (0.0, 1)}
    assert seeded.capability("small").usage == Usage()
    assert seeded.measured("small", "test") == {"i0"}, "a resumed run finds it"
    seeded.release("test")
    assert seeded.held() == ()
    assert lines(seeded, "small") == {"algebra": (1.0, 1), "law": (0.0, 1)}
    assert seeded.capability("small").usage == Usage(cost_usd=1.0)


def test_holding_counts_a_version_only_if_it_changes_something(seeded: CapabilityStore) -> None:
    seeded.hold("test")
    version = seeded.version
    seeded.hold("test")
    assert seeded.version == version
    seeded.release("test")
    assert seeded.version == version + 1


def test_usage_is_the_mean_over_the_outcomes_that_say_so(seeded: CapabilityStore) -> None:
    seeded.add_outcomes(
        [
            outcome("i0", latency_s=1.0, prompt_tokens=10, completion_tokens=5, cost_usd=0.5),
            outcome("i1", latency_s=3.0, prompt_tokens=20),
            outcome("i2"),
            outcome("i0", candidate="big"),
        ]
    )
    assert seeded.capability("small").usage == Usage(prompt_tokens=15, completion_tokens=5, cost_usd=0.5, latency_s=2.0)
    assert {c.candidate.id: c.usage.latency_s for c in seeded.capabilities()} == {"small": 2.0, "big": None}


def test_what_has_no_task_yet_is_no_line_of_a_capability(seeded: CapabilityStore) -> None:
    with seeded.transaction() as writer:
        writer.add_tasks([Task(id=UNASSIGNED, keywords=("unassigned",))])
        writer.add_items([Item(id="loose", task=UNASSIGNED)])
    seeded.add_outcomes([outcome("loose"), outcome("i0")])
    assert lines(seeded, "small") == {"algebra": (1.0, 1)}


def test_an_assigned_task_gives_way_to_a_stated_one_and_to_nothing_else(seeded: CapabilityStore) -> None:
    seeded.add_tasks([Task(id=UNASSIGNED, keywords=("unassigned",))])

    def now(task: str, *, assigned: bool = False) -> tuple[str, bool]:
        seeded.add_items([Item(id="loose", task=task, assigned=assigned)])
        (item,) = seeded.items(["loose"])
        return item.task, item.assigned

    assert now(UNASSIGNED) == (UNASSIGNED, False)
    assert now("law", assigned=True) == ("law", True)
    assert now("algebra", assigned=True) == ("law", True)
    assert now(UNASSIGNED) == ("law", True)
    assert now("algebra") == ("algebra", False)
    assert now("law", assigned=True) == ("algebra", False)


def test_vectors_belong_to_an_encoder_and_to_a_text(seeded: CapabilityStore) -> None:
    vectors = {"i0": np.array([1.0, 0.5, -0.25]), "i2": np.array([0.0, 1.0, 2.0])}
    with seeded.transaction() as writer:
        writer.set_vectors(vectors, "trunk")
    assert [item.id for item in seeded.without_vector("trunk", 10)] == ["i1", "i3"]
    assert [item.id for item in seeded.without_vector("another", 3)] == ["i0", "i1", "i2"]
    seeded.add_outcomes(
        [outcome("i0", 1.0), outcome("i0", 0.0, source="again"), outcome("i1"), outcome("i2", 0.0, candidate="big")]
    )
    seeded.hold("held")
    seeded.add_outcomes([outcome("i2", source="held")])
    evidence = seeded.outcome_matrix(encoder="trunk")
    assert evidence.item_ids == ("i0", "i2")
    assert evidence.vectors_ID.tolist() == [[1.0, 0.5, -0.25], [0.0, 1.0, 2.0]]
    assert evidence.candidates == ("small", "big")
    assert evidence.task_I.tolist() == [0, 0]
    nan = float("nan")
    assert evidence.correct_IK == pytest.approx(np.array([[0.5, nan], [nan, 0.0]]), nan_ok=True), (
        "the mean over sources, of what counts"
    )
    snapshot = seeded.snapshot(encoder="trunk")
    assert snapshot.evidence is not None
    assert (snapshot.version, snapshot.evidence.item_ids) == (seeded.version, ("i0", "i2"))
    assert seeded.outcome_matrix(encoder="another").item_ids == ()

    seeded.add_items([Item(id="i0", task="algebra", instruction="another question")], replace=True)
    assert seeded.outcome_matrix(encoder="trunk").item_ids == ("i2",), "a vector goes with its text"


def test_a_text_that_comes_later_keeps_the_vector_that_was_there(store: CapabilityStore) -> None:
    """The catalogue ships vectors of questions whose texts the user brings."""
    store.add_tasks([LAW])
    store.add_items([Item(id="q", task="law")])
    assert store.without_vector("trunk", 1) == (), "nothing to encode"
    with store.transaction() as writer:
        writer.set_vectors({"q": np.ones(2)}, "trunk")
    store.add_items([Item(id="q", task="law", instruction="the text")])
    assert store.outcome_matrix(encoder="trunk").item_ids == ("q",)


def test_what_has_no_task_yet_is_evidence_all_the_same(seeded: CapabilityStore) -> None:
    with seeded.transaction() as writer:
        writer.add_tasks([Task(id=UNASSIGNED, keywords=("unassigned",))])
        writer.add_items([Item(id="loose", task=UNASSIGNED)])
        writer.set_vectors({"loose": np.ones(2), "i1": np.ones(2)}, "trunk")
    assert seeded.outcome_matrix(encoder="trunk").task_I.tolist() == [0, -1]
    assert seeded.outcome_matrix(encoder="trunk").correct_IK.shape == (2, 2)


def test_a_store_is_pickled_as_its_url(seeded: CapabilityStore) -> None:
    with pickle.loads(pickle.dumps(seeded)) as again:
        assert again.candidates() == seeded.candidates()


def test_a_setting_stays_with_the_version_it_was_made_at(seeded: CapabilityStore) -> None:
    assert seeded.setting("evidence") is None
    for value in ({"bandwidth": 0.5}, {"bandwidth": 0.25}):
        with seeded.transaction() as writer:
            writer.set_setting("evidence", value)
        assert seeded.setting("evidence") == value
    engine = create_engine(seeded._engine.url)
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT version, name FROM settings ORDER BY version")).all()
        assert [tuple(row) for row in kept] == [(seeded.version - 1, "evidence"), (seeded.version, "evidence")]
    engine.dispose()


def test_a_store_of_the_first_release_is_brought_up_to_date_with_its_rows(store_url: str) -> None:
    from alembic import command
    from alembic.config import Config

    engine = create_engine(store_url)
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(Path(cit_core.store.migrations.__file__).parent))
        command.upgrade(config, "0001")
        for statement in (
            "INSERT INTO candidates (key, id, modalities, notes) VALUES (1, 'old', 'null', '')",
            "INSERT INTO tasks (key, id, keywords) VALUES (1, 'law', '[\"contracts\"]')",
            "INSERT INTO items (key, id, task_key, options) VALUES (1, 'q', 1, '[]')",
            "INSERT INTO sources (key, id) VALUES (1, 'run')",
            'INSERT INTO outcomes (candidate_key, item_key, source_key, correct, "when") VALUES (1, 1, 1, 0.5, 0)',
            "INSERT INTO versions (number, \"when\", what) VALUES (1, 0, 'all of it')",
        ):
            connection.execute(text(statement))
        assert connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) == "0001"
    engine.dispose()
    with CapabilityStore(store_url) as store:
        assert store.items() == (Item(id="q", task="law"),)
        assert lines(store, "old") == {"law": (0.5, 1)}
        store.hold("run")
        assert lines(store, "old") == {}
