"""A verifier is measured on a log of cascades, whether users judged all answers or only those which they saw."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cit_core.evaluate.log_records import read_logged
from cit_core.evaluate.replay import replay
from cit_core.evaluate.report import report_on
from cit_core.policy import Best
from cit_core.records import Candidate
from cit_core.router import Answer, Cascade, FakeScorer, Fallback, Rates, Router, logged_verdicts
from cit_core.router.decision_log import DecisionLog, read_log
from cit_core.router.settlement import Settlement, bill_of
from cit_core.router.steps import Steps

USD = {"small": 1.0, "large": 20.0}
ZOO = {id_: Candidate(id=id_, price_in=0, price_out=usd) for id_, usd in USD.items()}
TRUE, FALSE = 0.9, 0.2
"""Rates of the simulated verifier."""


class Marked:
    """Answers are whether they are right."""

    def __init__(self, fallback: Fallback) -> None:
        self.fallback = fallback

    def attempts(self, decision: Any) -> Any:
        return self.fallback.attempts(decision)

    def question(self) -> str:
        return "What?"

    def answer(self, given: Any, attempts: Any, decision: Any) -> Answer:
        return Answer(str(given), attempts.model)

    def bill(self, given: Any, model: str) -> Any:
        return bill_of(ZOO[model], 10, 100)

    def words(self, given: Any, model: str) -> str:
        return str(given)

    def reference(self, model: str) -> None:
        return None

    def marked(self, given: Any, report: Any) -> Any:
        return given, report

    def accepted(self, decision: Any, model: str) -> None:
        pass


def _mark(right: dict[str, bool], attempts: Any) -> bool:
    return right[attempts.model]


@pytest.fixture(scope="module", params=["seen", "all"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a log of 600 answers; feedback is on those that users saw, or on all that were asked for."""
    path, draw = tmp_path_factory.mktemp("cascades") / "log.jsonl", np.random.default_rng(0)
    router = Router(FakeScorer({"small": 0.7, "large": 0.9}), ZOO.values(), log=DecisionLog(path, waiting=100_000))

    def verify(question: str, answer: Answer) -> bool:
        return bool(draw.random() < (TRUE if answer.text == "True" else FALSE))

    cascade, fallback = Cascade(verify, value=0.01, reliability=Rates(TRUE, FALSE)), Fallback()
    for number in range(600):
        decision = cascade.planned(router.route(f"question {number}"))
        right = {model: bool(draw.random() < p) for model, p in (("small", 0.7), ("large", 0.9))}
        steps = Steps(cascade, decision, fallback, Marked(fallback), Settlement.of(router, decision))
        _, report = steps.answer(partial(_mark, right))
        seen = [report["model"]] if request.param == "seen" else [step["model"] for step in report["steps"]]
        for model in seen if draw.random() < 0.5 else ():
            router.feedback(decision, model, float(right[model]))
    assert router.log is not None
    assert router.log.flush()
    return path


def test_the_verifier_is_measured_on_the_log(path: Path) -> None:
    fitted = Cascade(lambda question, answer: True).fitted(logged_verdicts(path)).reliability
    assert isinstance(fitted, Rates)
    assert fitted.true_positive == pytest.approx(TRUE, abs=0.06)
    assert fitted.false_positive == pytest.approx(FALSE, abs=0.1)


def test_the_report_counts_all_steps_and_who_answered(path: Path) -> None:
    logged = read_logged(read_log(path))
    refused = [one for one in logged if len(one.steps) == 2]
    assert {one.giver for one in refused} == {"large"}
    assert all(one.cost_usd == pytest.approx(0.0021) for one in refused)
    numbers = report_on(logged).numbers
    told, shares = numbers["cascades"], numbers["shares"]
    assert isinstance(told, dict)
    assert isinstance(shares, dict)
    assert told["queries"] == 600
    assert told["first_accepted"][0] == pytest.approx(1 - len(refused) / 600)
    spent, choice = 0.0001 * 600 + 0.002 * len(refused), 0.00512 * 600
    assert told["relative_to_choice"][0] == pytest.approx(spent / choice, rel=1e-3)
    assert shares == {"small": pytest.approx(told["first_accepted"][0]), "large": pytest.approx(len(refused) / 600)}
    assert "Cascades" in [table.title for table in report_on(logged).tables]
    found = replay(logged, Best()).logged_cost_usd
    assert found is not None
    assert found.mean == pytest.approx(told["usd_per_query"][0])


def test_a_log_without_cascades_has_no_verdicts(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "log.jsonl")
    Router(FakeScorer({"small": 0.7, "large": 0.9}), ZOO.values(), log=log).route("question")
    assert log.flush()
    assert logged_verdicts(tmp_path / "log.jsonl") == []
