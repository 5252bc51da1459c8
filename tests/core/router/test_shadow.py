"""Shadow answers: a sample, blind, in the background, and nothing that goes wrong reaches anybody."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import pytest
from logs import router

from cit_core.errors import InvalidInput
from cit_core.router.decision_log import DecisionLog, read_log
from cit_core.router.shadow import Shadow


def shadow(tmp_path: Path, **options: Any) -> Shadow:
    options.setdefault("ask", lambda question: "reference")
    return Shadow("large", log=DecisionLog(tmp_path / "log.jsonl"), draw=random.Random(0).random, **options)


def scores(one: Shadow, tmp_path: Path) -> list[float]:
    assert one.flush()
    assert one.log.flush()
    if not (tmp_path / "log.jsonl").exists():
        return []
    return [record["score"] for record in read_log(tmp_path / "log.jsonl") if record["kind"] == "shadow"]


def test_a_judge_that_prefers_a_place_learns_nothing_and_one_that_sees_does(tmp_path: Path) -> None:
    decision = router("cost:0.0001").route("easy")
    first = shadow(tmp_path, judge=lambda question, one, another: 1.0, rate=1.0, waiting=1_000)
    for _ in range(400):
        assert first.offer(decision, "easy", "ours")
    found = scores(first, tmp_path)
    assert len(found) == 400
    assert sum(found) / 400 == pytest.approx(0.5, abs=0.08), "the places are drawn"
    seen = shadow(tmp_path, judge=lambda question, one, another: float(one == "ours"), rate=1.0)
    for _ in range(20):
        seen.offer(decision, "easy", "ours")
    assert scores(seen, tmp_path)[400:] == [1.0] * 20


def test_a_sample_is_compared_and_never_the_reference_itself(tmp_path: Path) -> None:
    weak, strong = router("cost:0.0001").route("easy"), router("best").route("easy")
    one = shadow(tmp_path, metric=lambda question, answer: float(answer == "reference"), rate=0.1, waiting=1_000)
    taken = sum(one.offer(weak, "easy", "ours") for _ in range(1_000))
    assert 60 < taken < 140
    assert not any(one.offer(strong, "easy", "ours") for _ in range(100))
    assert set(scores(one, tmp_path)) == {0.0}
    assert one.compared == taken


def test_nobody_waits_and_nothing_is_raised(tmp_path: Path) -> None:
    decision, go = router("cost:0.0001").route("easy"), threading.Event()

    def ask(question: str) -> str:
        go.wait(10)
        raise RuntimeError("provider is down")

    one = shadow(tmp_path, ask=ask, judge=lambda *_: 1.0, rate=1.0, waiting=3)
    taken = [one.offer(decision, "easy", "ours") for _ in range(10)]
    assert 3 <= sum(taken) <= 4
    assert one.passed_over == 10 - sum(taken)
    go.set()
    assert scores(one, tmp_path) == []
    assert one.failed == sum(taken)


def test_what_it_refuses(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="needs either judge"):
        shadow(tmp_path)
    with pytest.raises(InvalidInput, match="rate is 2"):
        shadow(tmp_path, judge=lambda *_: 1.0, rate=2)
