"""What each baseline computes, beside the same thing written out; and what `BaselineData` accepts and offers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from planted import TASKS, Planted, planted, profile
from scipy.optimize import approx_fprime
from sklearn.linear_model import LogisticRegression

from cit_core.calibration import log_odds, sigmoid
from cit_core.errors import InvalidInput
from cit_core.evaluate.baselines import (
    IRT,
    Baseline,
    BaselineData,
    Clusters,
    Forest,
    KNearest,
    MatrixFactorisation,
    Ridge,
    TextOnly,
    latent,
    profiles,
)
from cit_core.evaluate.baselines.local import PSEUDO_OUTCOMES
from cit_core.evaluate.metrics import ranking_accuracy

Objective = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]
MODELS = 4
TEXTS = tuple(map(str, range(40, 46)))


def random_known(seed: int = 0, measured: float = 0.8) -> Planted:
    """Forty items of which the last ten are for validation, four models to learn from, six texts; all by chance."""
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(46, 5))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    correct = (draw.random((40, MODELS)) < 0.5).astype(float)
    correct[draw.random(correct.shape) > measured] = np.nan
    correct[[0, 1, 30]] = [[0.0] * MODELS, [1.0] * MODELS, [0.0, 1.0] * (MODELS // 2)]
    known = BaselineData(
        vectors_ID=vectors[:40],
        tasks_I=(TASKS[0].id,) * 40,
        correct_IM=correct,
        capabilities=tuple(profile(f"model-{number}", (0.5, 0.5, 0.5)) for number in range(MODELS)),
        trained=(True,) * MODELS,
        validation_I=np.arange(40) >= 30,
    )
    return Planted(known, vectors, TEXTS, np.full((len(TEXTS), MODELS), 0.5))


def scores_of(baseline: Baseline, plan: Planted) -> NDArray[np.floating]:
    return baseline.fit(plan.known, plan.encode).score(plan.texts, plan.known.capabilities)


def own_answers(plan: Planted, model: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Vectors and outcomes of the training items that a model was measured on."""
    correct = plan.known.training_correct_IM[:, model]
    return plan.known.training_vectors_ID[~np.isnan(correct)].astype(float), correct[~np.isnan(correct)]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), neighbours=st.sampled_from([1, 4, 1000]), measured=st.sampled_from([0.4, 1.0]))
def test_k_nearest_is_the_mean_over_the_nearest_of_its_own_items(seed: int, neighbours: int, measured: float) -> None:
    plan = random_known(seed, measured)
    scores = scores_of(KNearest((neighbours,)), plan)
    for model in range(MODELS):
        vectors, correct = own_answers(plan, model)
        for row, query in enumerate(plan.encode(plan.texts)):
            nearest = np.argsort(-(vectors @ query))[:neighbours]
            assert scores[row, model] == pytest.approx(correct[nearest].mean())


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), alpha=st.sampled_from([0.1, 3.0]), measured=st.sampled_from([0.4, 1.0]))
def test_ridge_is_the_closed_form_on_its_own_items(seed: int, alpha: float, measured: float) -> None:
    plan = random_known(seed, measured)
    scores = scores_of(Ridge((alpha,)), plan)
    queries = plan.encode(plan.texts).astype(float)
    for model in range(MODELS):
        vectors, correct = own_answers(plan, model)
        centred = vectors - vectors.mean(axis=0)
        weights = np.linalg.solve(centred.T @ centred + alpha * np.eye(5), centred.T @ (correct - correct.mean()))
        expected = correct.mean() + (queries - vectors.mean(axis=0)) @ weights
        assert scores[:, model] == pytest.approx(np.clip(expected, 0.0, 1.0), abs=1e-4)


def test_clusters_are_accuracies_shrunk_towards_the_mean() -> None:
    plan = planted()
    scores = scores_of(Clusters((3,)), plan)
    task = np.array(plan.known.tasks_I)[~plan.known.validation_I]
    region = plan.encode(plan.texts)[:, :3].argmax(axis=1)
    for model, trained in enumerate(plan.known.trained):
        correct = plan.known.training_correct_IM[:, model]
        mean = np.nanmean(correct)
        for place in range(3):
            own = correct[(task == TASKS[place].id) & ~np.isnan(correct)]
            expected = (own.sum() + PSEUDO_OUTCOMES * mean) / (len(own) + PSEUDO_OUTCOMES)
            found = scores[region == place, model]
            assert (found == found[0]).all()
            if trained:
                assert found[0] == pytest.approx(expected)


@pytest.mark.parametrize("baseline", [KNearest((5,)), Clusters((4,)), Ridge((1.0,))], ids=lambda one: one.name)
def test_what_others_answered_is_nothing_to_a_candidate(baseline: Baseline) -> None:
    plan = random_known()
    correct = plan.known.correct_IM.copy()
    correct[:30, 1] = 1.0 - correct[:30, 1]
    others = replace(plan, known=replace(plan.known, correct_IM=correct))
    before, after = scores_of(baseline, plan), scores_of(baseline, others)
    assert np.array_equal(np.delete(before, 1, axis=1), np.delete(after, 1, axis=1))
    assert not np.array_equal(before[:, 1], after[:, 1])


@pytest.mark.parametrize("activation", [latent.LINEAR, latent.POSITIVE, latent.HIDDEN])
def test_the_gradient_is_the_derivative(activation: latent._Activation, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Objective, NDArray[np.float64]]] = []

    def at_the_start(objective: Objective, start: NDArray[np.float64]) -> NDArray[np.float64]:
        seen.append((objective, start))
        return start

    monkeypatch.setattr(latent, "_minimise", at_the_start)
    known = random_known(measured=0.7).known
    latent._learn(activation, latent._with_one(known.training_vectors_ID), known.training_correct_IM, 2, 0.5)
    objective, start = seen[0]
    where = 10.0 * start
    numeric = approx_fprime(where, lambda packed: objective(packed)[0], 1e-3)
    assert objective(where)[1] == pytest.approx(numeric, rel=0.02, abs=0.05)


def test_a_model_is_placed_by_ridge_logistic_regression() -> None:
    known = random_known(measured=0.7).known
    x = latent._with_one(known.training_vectors_ID)
    weights = np.hstack([np.eye(6), np.zeros((6, 1))]).astype(np.float32)  # factors are the vector; no difficulty
    items = latent._Items(latent.LINEAR._replace(level=False), weights)
    placed = latent._place(items, x, known.training_correct_IM)
    for model in range(MODELS):
        rows = ~np.isnan(known.training_correct_IM[:, model])
        regression = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-8)
        regression.fit(x[rows].astype(float), known.training_correct_IM[rows, model])
        assert placed[model] == pytest.approx(regression.coef_[0], abs=1e-3)


@pytest.mark.parametrize("baseline", [MatrixFactorisation((2,), (1.0,)), IRT((3,), (1.0,))], ids=lambda one: one.name)
def test_factors_of_the_question_explain_who_is_good_at_what(baseline: Baseline) -> None:
    plan = planted(items=600, unseen=150, core=300)
    scores = scores_of(baseline, plan)
    assert np.corrcoef(scores[:, :12].ravel(), plan.chance[:, :12].ravel())[0, 1] > 0.95
    assert np.corrcoef(scores[:, 12:].ravel(), plan.chance[:, 12:].ravel())[0, 1] > 0.9


def test_with_one_ability_the_better_model_is_better_at_everything() -> None:
    plan = planted()
    scores = IRT((1,), (1.0,)).fit(plan.known, plan.encode).score(plan.texts, plan.trained)
    orders = scores.argsort(axis=1)
    assert (orders == orders[0]).all()
    assert len(np.unique(scores[:, 0].round(3))) > 10, "questions differ in difficulty all the same"


def core_of_hard_items() -> Planted:
    """The new models are doubles of models to learn from, known by their answers to hard items alone."""
    draw = np.random.default_rng(0)
    plan = planted(items=4000, core=0, validation=1000)
    hard = draw.random(4000) < 0.3
    chance = np.linspace(0.45, 0.8, 12)
    correct = (draw.random((4000, 12)) < np.where(hard[:, None], chance - 0.3, chance + 0.1)).astype(float)
    doubles = np.where((hard & ~plan.known.validation_I)[:, None], correct[:, [1, 6, 10]], np.nan)
    known = replace(plan.known, correct_IM=np.hstack([correct, doubles]))
    return replace(plan, known=known)


@pytest.mark.parametrize(
    "baseline",
    [
        KNearest((80, 160)),
        Clusters((1, 3)),
        Ridge((30.0, 300.0)),
        MatrixFactorisation((2,), (30.0,)),
        IRT((2,), (30.0,)),
    ],
    ids=lambda one: one.name,
)
def test_an_aptitude_test_of_hard_items_makes_nobody_weaker(baseline: Baseline) -> None:
    plan = core_of_hard_items()
    scores = scores_of(baseline, plan).mean(axis=0)
    on_the_test = np.nanmean(plan.known.training_correct_IM[:, 12:], axis=0)
    for double, original in zip((12, 13, 14), (1, 6, 10), strict=True):
        assert scores[double] == pytest.approx(scores[original], abs=0.06)
        assert scores[double] > on_the_test[double - 12] + 0.15


def test_text_only_puts_the_level_of_new_models_on_the_same_scale() -> None:
    plan = core_of_hard_items()
    levels = np.nanmean(plan.known.training_correct_IM[:, [*range(12), 1, 6, 10]], axis=0) - 0.3
    weak = tuple(profile(c.candidate.id, (x,) * 3) for c, x in zip(plan.known.capabilities, levels, strict=True))
    plan = replace(plan, known=replace(plan.known, capabilities=weak))
    scores = scores_of(TextOnly((4,), (300.0,)), plan).mean(axis=0)
    assert scores[[12, 13, 14]] == pytest.approx(scores[[1, 6, 10]], abs=0.06)


def test_as_if_new_is_what_new_models_answered() -> None:
    plan = planted(core=40)
    correct = plan.known.correct_IM.copy()
    correct[:40, 0] = np.nan  # this one keeps all of its own
    known = replace(plan.known, correct_IM=correct)
    full = known.training_correct_IM[:, :12]
    assert known.as_new_IT.shape == full.shape
    assert np.array_equal(known.as_new_IT[:40], full[:40], equal_nan=True)
    assert np.isnan(known.as_new_IT[40:, 1:]).all()
    assert np.array_equal(known.as_new_IT[40:, 0], full[40:, 0], equal_nan=True)
    nobody_new = random_known().known
    assert np.array_equal(nobody_new.as_new_IT, nobody_new.training_correct_IM, equal_nan=True)


def test_quality_is_the_ranking_of_models_to_learn_from_on_validation_items() -> None:
    known = planted().known
    correct = known.correct_IM[known.validation_I, :12]
    scores = np.random.default_rng(0).random(correct.shape)
    assert known.quality(scores) == pytest.approx(np.nanmean(ranking_accuracy(scores, correct)))
    assert known.quality(np.nan_to_num(correct, nan=0.5)) == 1.0


def test_scale_of_new_models_is_fitted_where_there_is_something_to_fit() -> None:
    known = planted().known
    correct = known.correct_IM[known.validation_I, :12]
    truth = np.where(np.isnan(correct), 0.5, 0.2 + 0.6 * correct)
    scale = known.scale_of_new(2.0 * log_odds(truth) - 1.0)
    assert scale(2.0 * log_odds(truth) - 1.0).mean() == pytest.approx(np.nanmean(correct), abs=0.02)
    against = known.scale_of_new(-log_odds(truth))
    assert (against.slope, against.intercept) == (1.0, 0.0)


def test_log_odds_are_finite_and_inverted_by_the_sigmoid() -> None:
    assert np.isfinite(log_odds(np.array([0.0, 1.0]))).all()
    assert sigmoid(log_odds(np.array([0.1, 0.5, 0.9]))) == pytest.approx([0.1, 0.5, 0.9])


def test_pairs_are_of_training_items_and_models_to_learn_from(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planted()
    reader = profiles._Profiles(plan.known.capabilities)
    x, right = reader.pairs(plan.known)
    assert len(x) == len(right) == (~np.isnan(plan.known.training_correct_IM[:, :12])).sum()
    rows = reader.rows(plan.trained)
    assert {tuple(row) for row in x[:, 8:]} <= {tuple(row) for row in rows}
    vectors = {tuple(row): place for place, row in enumerate(plan.known.training_vectors_ID)}
    accuracies = {tuple(row) for row in rows}
    assert len(accuracies) < 12 or all(
        right[pair] == plan.known.training_correct_IM[vectors[tuple(row[:8])], rows.tolist().index(row[8:].tolist())]
        for pair, row in enumerate(x[:200])
    )
    monkeypatch.setattr(profiles, "PAIRS", 500)
    some, _ = reader.pairs(plan.known)
    assert np.array_equal(some, x[:500])
    forest = Forest((5,)).fit(plan.known, plan.encode)
    routed_to = forest.score(plan.texts, plan.new).argmax(axis=1)
    assert (routed_to == plan.chance[:, 12:].argmax(axis=1)).mean() > 0.6


REFUSED: dict[str, Callable[[BaselineData], BaselineData]] = {
    r"450 vectors and 15 capabilities need .* got 449, 450, 15, \(450, 15\)": lambda known: replace(
        known, tasks_I=known.tasks_I[1:]
    ),
    r"got 450, 450, 15, \(450, 14\)": lambda known: replace(known, correct_IM=known.correct_IM[:, 1:]),
    "duplicate models: 'model-0'": lambda known: replace(
        known, capabilities=(known.capabilities[0], *known.capabilities[:14])
    ),
    r"an outcome must be in \[0, 1\] or NaN, got 1.5": lambda known: replace(known, correct_IM=known.correct_IM + 0.5),
    "the 12 models to learn from do not have both": lambda known: replace(
        known, correct_IM=np.where(known.validation_I[:, None], known.correct_IM, 1.0)
    ),
    "the 0 models to learn from do not have both": lambda known: replace(known, trained=(False,) * 15),
    "none of the 150 is such an item for the 12 models": lambda known: replace(
        known, correct_IM=np.where(known.validation_I[:, None], np.nan, known.correct_IM)
    ),
    "none of the 150 is such an item for the 1 models": lambda known: replace(known, trained=(True,) + (False,) * 14),
    "none of the 0 is such an item": lambda known: replace(known, validation_I=np.zeros(450, bool)),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_nobody_can_learn_from_is_refused(message: str) -> None:
    known = planted().known
    with pytest.raises(InvalidInput, match=message):
        REFUSED[message](known)
