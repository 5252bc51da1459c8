"""Halves of logs: a row for each, their mean, and the content-blind control beside evidence."""

from __future__ import annotations

import numpy as np
import pytest
from bench_tables import log_table, text_vectors

from cit_core.evaluate.comparison import content_blind
from cit_core.evaluate.experiments.few import Halved, evidence_scores
from cit_core.evaluate.experiments.halves import QUICK, halves
from cit_core.outcomes import Split


def test_every_table_has_a_row_and_the_mean_is_theirs() -> None:
    logs = [log_table(name=name, seed=seed) for seed, name in enumerate(("one", "two"))]
    tables = [Halved(log, text_vectors(log.instructions), Split()) for log in logs]
    (whole, others), figures = halves(tables, QUICK)
    assert figures == ()
    assert [row[0] for row in whole.rows] == ["one", "two", "mean"]
    cells = [dict(zip([column.name for column in whole.columns], row, strict=True)) for row in whole.rows]
    for name in ("level, %", "content-blind, %", "evidence, %", "AUROC", "ECE", "worst zoo"):
        assert cells[2][name] == pytest.approx((cells[0][name] + cells[1][name]) / 2)
    assert [row[0] for row in others.rows] == ["best by the mean", "content-blind", "k nearest neighbours", "ridge"]
    one = tables[0]
    blind = content_blind(evidence_scores(one, one.pool, one.routed), one.table.correct_IK[one.routed])
    assert cells[0]["content-blind, %"] == pytest.approx(100.0 * blind.mean())


def test_the_content_blind_control_has_the_shares_and_no_query() -> None:
    correct = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert content_blind(correct, correct).tolist() == [0.5] * 4, "right on all of them with a look at the query"
    assert content_blind(np.ones((4, 2)), correct).tolist() == [0.5] * 4, "ties share"
    assert content_blind(np.tile([1.0, 0.0], (4, 1)), correct).tolist() == [1.0, 1.0, 0.0, 0.0]
