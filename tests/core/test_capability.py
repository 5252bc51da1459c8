"""A capability is the plain average of outcomes, task by task, in the order of the tasks; bad numbers are refused."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cit_core.capability import capability_from_outcomes, capability_from_results
from cit_core.errors import InvalidInput
from cit_core.records import Candidate, Capability, Task

M = Candidate(id="m")
LAW, MATH, ART = (Task(id=id_, keywords=(id_.upper(),)) for id_ in ("law", "math", "art"))


def lines_of(capability: Capability) -> dict[str, tuple[float, int]]:
    return {line.task.id: (line.accuracy, line.count) for line in capability.results}


def test_outcomes_are_averaged_task_by_task_and_others_are_left_out() -> None:
    outcomes = [("law", 1), ("math", 0.5), ("law", 0), ("elsewhere", 1), ("math", 0.25), ("law", 1)]
    capability = capability_from_outcomes(M, [MATH, LAW, ART], outcomes)
    assert capability.candidate is M
    assert lines_of(capability) == {"math": (0.375, 2), "law": (pytest.approx(2 / 3), 3)}
    assert [line.task for line in capability.results] == [MATH, LAW], "in the order of the tasks; none for art"


def test_without_outcomes_nothing_was_measured() -> None:
    assert capability_from_outcomes(M, [LAW], []).results == ()
    assert capability_from_outcomes(M, [], [("law", 1)]).results == ()


@given(st.lists(st.tuples(st.sampled_from(["law", "math", "elsewhere"]), st.floats(0, 1))))
def test_each_line_is_the_mean_and_the_number_of_its_outcomes(outcomes: list[tuple[str, float]]) -> None:
    for id_, (accuracy, count) in lines_of(capability_from_outcomes(M, [LAW, MATH], iter(outcomes))).items():
        seen = [correct for task, correct in outcomes if task == id_]
        assert count == len(seen) > 0
        assert accuracy == pytest.approx(math.fsum(seen) / count)


@pytest.mark.parametrize("correct", [math.nan, -0.1, 1.1, math.inf, "1", None, np.float32("nan")])
@pytest.mark.parametrize("task", ["law", "elsewhere"])
def test_an_outcome_that_is_no_number_between_0_and_1_is_refused_with_who_and_where(correct: Any, task: str) -> None:
    with pytest.raises(InvalidInput, match=rf"outcome of 'm' on task '{task}' is .*; it must be in \[0, 1\]"):
        capability_from_outcomes(M, [LAW], [("law", 1), (task, correct)])


@pytest.mark.parametrize("one", [1, 1.0, True, np.float32(1), np.int8(1), np.float64(1)])
def test_any_number_will_do(one: Any) -> None:
    capability = capability_from_outcomes(M, [LAW], [("law", one), ("law", 0)])
    assert lines_of(capability) == {"law": (0.5, 2)}
    assert type(capability.results[0].accuracy) is float
    assert capability.fingerprint == capability_from_outcomes(M, [LAW], [("law", 1), ("law", 0)]).fingerprint


def test_averages_are_taken_as_they_are() -> None:
    capability = capability_from_results(M, [LAW, MATH], {"math": (0.3, 7), "law": (1.0, 20), "elsewhere": (0.1, 1)})
    assert lines_of(capability) == {"law": (1.0, 20), "math": (0.3, 7)}


@pytest.mark.parametrize(
    "result", [(math.nan, 5), (-0.5, 5), (1.5, 5), (0.5, 0), (0.5, -1), (0.5, math.nan), (0.5, 1.5)]
)
def test_an_average_that_cannot_be_is_refused(result: tuple[float, int]) -> None:
    with pytest.raises(InvalidInput, match=r"TaskResult is not valid: (accuracy|count): "):
        capability_from_results(M, [LAW], {"law": result})


def test_a_task_that_stands_twice_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="duplicate tasks in the capability of 'm': 'law'"):
        capability_from_outcomes(M, [LAW, MATH, LAW], [("law", 1)])
