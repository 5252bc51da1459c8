"""Records of a log are joined by decision; the same query again soon is a signal."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from logs import write_log

from cit_core.evaluate.log_records import read_logged
from cit_core.router.decision_log import read_log


def record(id_: str, model: str, minute: float, by: str = "policy", digest: str = "d") -> dict[str, Any]:
    when = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(minutes=minute)
    both = [[model, 0.7, 0.01, None], ["other", 0.6, 0.001, None]]
    facts = {"policy": "best", "digest": digest, "tokens": 5, "ranking": both, "propensity": 1.0}
    return {"kind": "decision", "id": id_, "model": model, "by": by, "when": when.isoformat(), **facts}


def test_feedback_costs_and_signals_belong_to_their_decision(tmp_path: Path) -> None:
    decisions = write_log(tmp_path / "log.jsonl", 20, rated=1.0)
    logged = read_logged(read_log(tmp_path / "log.jsonl"))
    assert [one.id for one in logged] == [decision.id for decision in decisions]
    assert all(one.correct in (0.0, 1.0) for one in logged)
    assert all(one.cost_usd == 2.0 * (one.chosen.cost or 0.0) for one in logged)


def test_the_same_query_again_soon_is_a_signal() -> None:
    logged = read_logged(
        [
            record("a", "m", 0),
            record("b", "m", 5),
            record("c", "strong", 6, by="caller"),
            record("d", "m", 60),
            record("e", "m", 61, digest="another"),
        ]
    )
    assert [sorted(one.signals) for one in logged] == [["retried"], ["switched"], [], [], []]


def test_damaged_and_foreign_records_are_passed_over() -> None:
    broken = [
        {"kind": "decision", "id": "x"},
        {"kind": "feedback", "decision": "absent"},
        {**record("y", "m", 0), "model": "z"},
    ]
    wrong_model = {"kind": "feedback", "decision": "a", "model": "other", "correct": 0}
    logged = read_logged([*broken, record("a", "m", 0), wrong_model])
    assert [(one.id, one.correct) for one in logged] == [("a", None)]
