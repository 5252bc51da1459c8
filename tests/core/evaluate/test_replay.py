"""A log under another policy: costs are those that it would have had, another zoo needs texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from logs import LARGE, SMALL, TRUTH, router, write_log

from cit_core.errors import InvalidInput
from cit_core.evaluate.log_records import Logged, read_logged
from cit_core.evaluate.replay import replay
from cit_core.policy import Best, CostAware, Scored, parse_policy
from cit_core.records import Candidate
from cit_core.router.decision_log import read_log


def logged(path: Path, **options: object) -> list[Logged]:
    write_log(path, **options)  # type: ignore[arg-type]
    return read_logged(read_log(path))


def test_costs_and_shares_are_those_that_routing_would_have_had(tmp_path: Path) -> None:
    records = logged(tmp_path / "log.jsonl", queries=200, texts=True)
    found = replay(records, Best())
    routed = router("best").route_many([one.text for one in records])
    assert found.cost_usd is not None
    assert found.cost_usd.mean == pytest.approx(sum(d.expected_cost_usd or 0 for d in routed) / 200)
    assert found.shares == {LARGE: 1.0}
    assert 0.0 < found.same < 1.0
    assert found.saved_usd is not None
    assert found.saved_usd.high < 0.0, "always the best costs more"
    same = replay(records, CostAware(0.01))
    assert same.same == 1.0
    assert same.off_policy.inverse_propensity == same.rewards, "what was logged is its own estimate"


def test_a_limit_is_paced_by_the_times_of_the_log(tmp_path: Path) -> None:
    found = replay(logged(tmp_path / "log.jsonl", queries=400), parse_policy("budget:1/1k"))
    assert found.cost_usd is not None
    assert found.cost_usd.mean == pytest.approx(0.001, rel=0.06)


def test_another_zoo(tmp_path: Path) -> None:
    records = logged(tmp_path / "log.jsonl", queries=50, texts=True)
    decided = router("best").route_many([one.text for one in records])
    found = replay(records, Best(), {one.id: d for one, d in zip(records, decided, strict=True)})
    assert found.quality.mean == pytest.approx(
        found.shares[LARGE] * (TRUTH["easy", LARGE] + TRUTH["hard", LARGE]) / 2, abs=0.05
    )
    assert SMALL not in found.shares


def test_another_zoo_is_paced_by_the_times_of_the_log_too(tmp_path: Path) -> None:
    records = logged(tmp_path / "log.jsonl", queries=400, texts=True)
    decided = router("best").route_many([one.text for one in records])
    found = replay(records, parse_policy("budget:1/1k"), {one.id: d for one, d in zip(records, decided, strict=True)})
    assert found.cost_usd is not None
    assert found.cost_usd.mean == pytest.approx(0.001, rel=0.06)


def test_a_choice_that_a_limit_would_never_make_has_no_chance_under_it() -> None:
    """Chance tells `cheap` from `good` at the multiplier; `logged` is neither, so the log says nothing of the limit."""
    zoo = (("logged", 0.1, 0.02), ("cheap", 0.5, 0.0), ("good", 0.9, 0.002))
    scored = tuple(Scored(Candidate(id=id_), p, usd) for id_, p, usd in zoo)
    records = [
        Logged(str(n), float(n), "logged", "policy", 1.0, "best", "d", 5, scored, correct=1.0) for n in range(200)
    ]
    found = replay(records, parse_policy("budget:1/1k"))
    assert set(found.shares) == {"cheap", "good"}
    assert found.off_policy.matched == 0


def test_an_empty_log() -> None:
    with pytest.raises(InvalidInput, match="holds no decision of a policy"):
        replay([], Best())
