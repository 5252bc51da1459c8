"""The classifier is the textbook's: scikit-learn's discriminant analysis with the same shrinkage gives its odds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import multivariate_normal
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from cit_core.evidence.task_classifier import SHRINKAGE, TEMPERATURE, TaskClassifier
from cit_core.outcomes import NO_TASK


def shrunk(centred: NDArray[np.floating]) -> NDArray[np.floating]:
    covariance = centred.T @ centred / len(centred)
    width = len(covariance)
    return (1.0 - SHRINKAGE) * covariance + SHRINKAGE * np.trace(covariance) / width * np.eye(width)


def fitted(features_ID: NDArray[np.floating], task_I: NDArray[np.integer]) -> TaskClassifier:
    return TaskClassifier.fit(features_ID.astype(np.float32), task_I, int(task_I.max(initial=NO_TASK)) + 1)


def guessed(classifier: TaskClassifier, vector_D: NDArray[np.floating]) -> NDArray[np.floating]:
    return classifier(vector_D[None].astype(np.float32)).probability_NT[0]


def drawn(
    seed: int, questions: int = 80, tasks: int = 4, width: int = 5
) -> tuple[NDArray[np.floating], NDArray[np.intp]]:
    draw = np.random.default_rng(seed)
    task_I = draw.integers(0, tasks, questions)
    return draw.normal(size=(questions, width)) + draw.normal(size=(tasks, width))[task_I], task_I


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_its_odds_are_those_of_discriminant_analysis(seed: int) -> None:
    vectors_ID, task_I = drawn(seed)
    reference = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=SHRINKAGE).fit(vectors_ID, task_I)
    found_T = guessed(fitted(vectors_ID, task_I), vectors_ID[0])
    expected_T = np.exp(reference.predict_log_proba(vectors_ID[:1])[0] / TEMPERATURE)
    assert found_T / found_T.sum() == pytest.approx(expected_T / expected_T.sum(), abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_none_is_weighed_by_the_density_of_all_questions(seed: int) -> None:
    vectors_ID, task_I = drawn(seed)
    found_T = guessed(fitted(vectors_ID, task_I), vectors_ID[0])
    means = [vectors_ID[task_I == t].mean(axis=0) for t in range(4)]
    within = np.concatenate([vectors_ID[task_I == t] - means[t] for t in range(4)])
    weights = [
        np.mean(task_I == t) * multivariate_normal(means[t], shrunk(within)).pdf(vectors_ID[0]) for t in range(4)
    ]
    mean = vectors_ID.mean(axis=0)
    weights.append(multivariate_normal(mean, shrunk(vectors_ID - mean)).pdf(vectors_ID[0]))
    raised = np.array(weights) ** (1.0 / TEMPERATURE)
    assert found_T == pytest.approx(raised[:-1] / raised.sum(), rel=2e-3)


def test_a_question_of_a_new_kind_is_like_none() -> None:
    """Two tasks in two directions; a third direction, along which no stored question lies."""
    draw = np.random.default_rng(0)
    task_I = np.arange(200) % 2
    vectors_ID = 0.1 * draw.normal(size=(200, 6)) + np.eye(6)[task_I]
    classifier = fitted(vectors_ID, task_I)
    assert guessed(classifier, np.eye(6)[0])[0] > 0.6
    assert guessed(classifier, np.eye(6)[2]).sum() < 0.1


def test_questions_without_a_task_are_left_out_and_a_task_without_questions_is_never_found() -> None:
    vectors_ID, task_I = drawn(0)
    task_I[task_I == 2] = NO_TASK
    found_T = guessed(fitted(vectors_ID, task_I), vectors_ID[3])
    with_task = task_I != NO_TASK
    assert found_T == pytest.approx(guessed(fitted(vectors_ID[with_task], task_I[with_task]), vectors_ID[3]))
    assert found_T[2] == 0.0
    assert 0.0 < found_T.sum() < 1.0


@pytest.mark.parametrize("questions", [0, 5])
def test_where_no_question_has_a_task_it_knows_nothing(questions: int) -> None:
    classifier = fitted(np.ones((questions, 3)), np.full(questions, NO_TASK))
    assert guessed(classifier, np.ones(3)).sum() == 0.0


def test_a_question_for_each_task_is_enough_to_be_sure_of_the_nearest() -> None:
    found_T = guessed(fitted(np.eye(3), np.arange(3)), np.array([0.0, 1.0, 0.0]))
    assert found_T.argmax() == 1
    assert np.isfinite(found_T).all()
