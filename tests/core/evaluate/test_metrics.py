"""Each metric against a loop that does word for word what its docstring says, and against scikit-learn where it can."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cit_core.errors import InvalidInput
from cit_core.evaluate.metrics import (
    auroc,
    bootstrap,
    brier,
    calibration_error,
    paired_interval,
    ranking_accuracy,
    routed,
)

Matrix = NDArray[np.float64]
quick = settings(max_examples=60, deadline=None)
tied = st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.5001, 0.9, 1.0])
"""Scores of which many are equal."""


@st.composite
def tables(draw: st.DrawFn, missing: bool = False) -> tuple[Matrix, Matrix]:
    """Scores and outcomes, (N, K)."""
    items, candidates = draw(st.integers(1, 8)), draw(st.integers(1, 6))
    outcome = st.sampled_from([0.0, 1.0, math.nan] if missing else [0.0, 1.0])

    def matrix(each: st.SearchStrategy[float]) -> Matrix:
        flat = draw(st.lists(each, min_size=items * candidates, max_size=items * candidates))
        return np.array(flat).reshape(items, candidates)

    return matrix(st.one_of(tied, st.floats(0, 1))), matrix(outcome)


@quick
@given(table=tables())
def test_routed_is_the_outcome_of_the_best_candidate_and_equal_ones_share(table: tuple[Matrix, Matrix]) -> None:
    scores_NK, correct_NK = table
    for scores, correct, found in zip(scores_NK, correct_NK, routed(scores_NK, correct_NK), strict=True):
        best = [c for s, c in zip(scores, correct, strict=True) if s == max(scores)]
        assert found == pytest.approx(sum(best) / len(best))


@quick
@given(table=tables())
def test_ranking_accuracy_counts_pairs_of_a_right_and_a_wrong_candidate(table: tuple[Matrix, Matrix]) -> None:
    scores_NK, correct_NK = table
    found_N = ranking_accuracy(scores_NK, correct_NK)
    for scores, correct, found in zip(scores_NK, correct_NK, found_N, strict=True):
        pairs = [(a, b) for a, b in itertools.product(range(len(scores)), repeat=2) if correct[a] > correct[b]]
        won = [1.0 if scores[a] > scores[b] else 0.5 if scores[a] == scores[b] else 0.0 for a, b in pairs]
        assert found == pytest.approx(sum(won) / len(won)) if pairs else math.isnan(found)


@quick
@given(table=tables(missing=True))
def test_auroc_is_the_chance_that_a_right_answer_is_scored_higher(table: tuple[Matrix, Matrix]) -> None:
    scores, correct = (part.ravel() for part in table)
    right, wrong = scores[correct == 1.0], scores[correct == 0.0]
    assume(len(right) and len(wrong))
    won = [1.0 if a > b else 0.5 if a == b else 0.0 for a in right for b in wrong]
    assert auroc(*table) == pytest.approx(sum(won) / len(won))
    assert auroc(-table[0], table[1]) == pytest.approx(1.0 - sum(won) / len(won))


@quick
@given(table=tables(missing=True))
def test_brier_is_the_mean_squared_distance(table: tuple[Matrix, Matrix]) -> None:
    pairs = [(p, y) for p, y in zip(table[0].ravel(), table[1].ravel(), strict=True) if not math.isnan(y)]
    assume(pairs)
    assert brier(*table) == pytest.approx(sum((p - y) ** 2 for p, y in pairs) / len(pairs))


@quick
@given(table=tables(missing=True), bins=st.sampled_from([1, 4, 15]))
def test_calibration_error_is_the_gap_in_each_bin_by_its_size(table: tuple[Matrix, Matrix], bins: int) -> None:
    pairs = [(p, y) for p, y in zip(table[0].ravel(), table[1].ravel(), strict=True) if not math.isnan(y)]
    assume(pairs)
    expected = 0.0
    for number in range(bins):
        inside = [(p, y) for p, y in pairs if min(int(p * bins), bins - 1) == number]
        if inside:
            gap = sum(p for p, _ in inside) / len(inside) - sum(y for _, y in inside) / len(inside)
            expected += len(inside) / len(pairs) * abs(gap)
    assert calibration_error(*table, bins=bins) == pytest.approx(expected)


def test_scikit_learn_agrees() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    generator = np.random.default_rng(0)
    for _ in range(20):
        p = np.round(generator.random((50, 7)), 1)  # with ties
        y = (generator.random(p.shape) < p).astype(float)
        assert auroc(p, y) == pytest.approx(metrics.roc_auc_score(y.ravel(), p.ravel()))
        assert brier(p, y) == pytest.approx(metrics.brier_score_loss(y.ravel(), p.ravel()))
        for scores, correct, found in zip(p, y, ranking_accuracy(p, y), strict=True):
            if 0 < correct.sum() < len(correct):
                assert found == pytest.approx(metrics.roc_auc_score(correct, scores))


def test_honest_probabilities_are_calibrated_and_boasts_are_not() -> None:
    p = np.random.default_rng(0).random((4000, 5))
    y = (np.random.default_rng(1).random(p.shape) < p).astype(float)
    assert calibration_error(p, y) < 0.02
    assert calibration_error(np.sqrt(p), y) > 0.1


# ---- intervals


def test_an_interval_is_the_bootstrap_of_the_mean() -> None:
    values = np.random.default_rng(0).normal(2.0, 3.0, 300)
    found = paired_interval(values)
    generator = np.random.default_rng(5)
    means = [generator.choice(values, len(values)).mean() for _ in range(5000)]
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.06)


def test_an_interval_covers_the_truth_about_95_times_in_100() -> None:
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        interval = paired_interval((generator.random(120) < 0.3).astype(float), resamples=400)
        hits += interval.low <= 0.3 <= interval.high
    assert 0.90 <= hits / 300 <= 0.99


@quick
@given(values=st.lists(st.one_of(st.floats(-100, 100), st.just(math.nan)), min_size=1, max_size=30))
def test_items_that_say_nothing_do_not_count(values: list[float]) -> None:
    known = [value for value in values if not math.isnan(value)]
    assume(known)
    found = paired_interval(np.array(values), resamples=200)
    assert found == paired_interval(np.array(known), resamples=200)
    assert found.mean == pytest.approx(sum(known) / len(known), abs=1e-9)
    assert min(known) - 1e-9 <= found.low <= found.high <= max(known) + 1e-9


def test_a_paired_difference_is_surer_than_two_intervals() -> None:
    generator = np.random.default_rng(0)
    ours = generator.normal(50, 30, 400)
    theirs = ours - 1.0 + generator.normal(0, 2, 400)
    assert paired_interval(ours - theirs).low > 0
    assert paired_interval(ours).low < paired_interval(theirs).high


def test_the_bootstrap_of_any_number_is_that_of_the_mean_where_it_is_a_mean() -> None:
    values = np.random.default_rng(0).normal(2.0, 3.0, 300)
    seen: list[list[int]] = []

    def mean(rows: NDArray[np.intp]) -> float:
        seen.append(rows.tolist())
        return float(values[rows].mean())

    found = bootstrap(mean, 300, resamples=2000)
    assert found.mean == pytest.approx(values.mean()), "over all items, each once"
    assert found == pytest.approx(paired_interval(values), abs=0.06)
    assert {len(rows) for rows in seen} == {300}
    assert len(seen) == 2001
    assert bootstrap(mean, 300, resamples=2000) == found


def test_intervals_can_be_repeated() -> None:
    values = np.random.default_rng(0).random(40)
    assert paired_interval(values) == paired_interval(values) != paired_interval(values, seed=1)


@pytest.mark.parametrize("values", [[], [math.nan], [math.nan] * 9])
def test_nothing_has_no_interval(values: list[float]) -> None:
    with pytest.raises(InvalidInput, match=f"none of {len(values)} items tells these candidates apart"):
        paired_interval(np.array(values))


def test_where_nothing_can_be_told_apart_there_is_no_auroc() -> None:
    assert np.isnan(auroc(np.array([0.2, 0.9]), np.array([1.0, 1.0])))
    assert np.isnan(auroc(np.array([0.2, 0.9]), np.array([0.0, np.nan])))
