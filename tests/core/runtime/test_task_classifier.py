"""The classifier is the textbook's: scikit-learn's discriminant analysis with the same shrinkage gives its odds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from cit_core.runtime.effects import NO_TASK
from cit_core.runtime.task_classifier import SHRINKAGE, TEMPERATURE, TaskClassifier


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
    found_T = TaskClassifier(vectors_ID, task_I).probabilities(vectors_ID[0])
    expected_T = np.exp(reference.predict_log_proba(vectors_ID[:1])[0] / TEMPERATURE)
    assert found_T == pytest.approx(expected_T / expected_T.sum(), abs=1e-6)


def test_questions_without_a_task_are_left_out_and_a_task_without_questions_is_never_found() -> None:
    vectors_ID, task_I = drawn(0)
    task_I[task_I == 2] = NO_TASK
    found_T = TaskClassifier(vectors_ID, task_I).probabilities(vectors_ID[3])
    with_task = task_I != NO_TASK
    assert found_T == pytest.approx(
        TaskClassifier(vectors_ID[with_task], task_I[with_task]).probabilities(vectors_ID[3])
    )
    assert found_T[2] == 0.0
    assert found_T.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("questions", [0, 5])
def test_where_no_question_has_a_task_it_knows_nothing(questions: int) -> None:
    classifier = TaskClassifier(np.ones((questions, 3)), np.full(questions, NO_TASK))
    assert classifier.probabilities(np.ones(3)).sum() == 0.0


def test_a_question_for_each_task_is_enough_to_be_sure_of_the_nearest() -> None:
    found_T = TaskClassifier(np.eye(3), np.arange(3)).probabilities(np.array([0.0, 1.0, 0.0]))
    assert found_T.argmax() == 1
    assert np.isfinite(found_T).all()
