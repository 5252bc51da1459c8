"""Few answers of everyone, on a small log: the tables, the halves, and the evidence that is measured."""

from __future__ import annotations

import numpy as np
from bench_tables import log_table, text_vectors

from cit_core.evaluate.experiments.few import BLIND, EVIDENCE, LEVEL, Halved, evidence_scores, few
from cit_core.evidence import Evidence
from cit_core.outcomes import Split


def halved(items: int = 240) -> Halved:
    table = log_table(items=items)
    return Halved(table, text_vectors(table.instructions), Split())


def test_halves_share_no_question_and_draws_hold_one_another() -> None:
    one = halved()
    assert not {*one.pool.tolist()} & {*one.routed.tolist()}
    assert not {one.table.questions[row] for row in one.pool} & {one.table.questions[row] for row in one.routed}
    assert one.drawn(32, 1).tolist()[:8] == one.drawn(8, 1).tolist()
    assert set(one.drawn(32, 1)) != set(one.drawn(32, 2))
    np.testing.assert_array_equal(one.encode(one.texts(one.pool[:3])), one.vectors_ID[one.pool[:3]])


def test_every_router_is_compared_with_the_best_by_the_mean_of_the_same_questions() -> None:
    (table,), (figure,) = few([halved()], (8, 32, 256), seeds=2)
    assert table.title == "log: 4 models, 120 questions"
    assert [column.name for column in table.columns[1:]] == ["8 known", "32 known"], "there are no 256"
    names = [row[0] for row in table.rows]
    assert {LEVEL, "k nearest neighbours", "ridge", "multidimensional IRT", EVIDENCE, BLIND} <= {*names}
    assert [table.rows[place][0] for place in table.emphasis] == [EVIDENCE]
    drawn = {series.name: series.y for series in figure.series}
    rows = {row[0]: [cell.mean for cell in row[1:]] for row in table.rows}  # type: ignore[union-attr]
    np.testing.assert_allclose(np.subtract(drawn[EVIDENCE], drawn[LEVEL]), rows[EVIDENCE])


def test_evidence_knows_the_drawn_questions_alone() -> None:
    one = halved()
    rows, asked = one.drawn(32, 0), one.routed[:5]
    outcomes = one.table.rows(rows)
    object.__setattr__(outcomes, "vectors_ID", one.vectors_ID[rows])
    expected = Evidence(outcomes).log_odds(one.vectors_ID[asked], one.texts(asked))
    np.testing.assert_allclose(evidence_scores(one, rows, asked), 1 / (1 + np.exp(-expected)), rtol=1e-5)
