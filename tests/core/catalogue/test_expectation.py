"""A planted line of ability over facts is found, and what is not known of a model is expected from what is."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cit_core.catalogue.expectation import FACTS, Expectation, facts_of
from cit_core.records import Candidate

MODELS, WEIGHTS = 400, np.array([0.15, 0.6, 0.3, 0.1])


def planted(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Facts of models, the second going with the first, and abilities that lie on a line over them but for 0.2."""
    draw = np.random.default_rng(seed)
    facts_MF = draw.normal(size=(MODELS, len(FACTS)))
    facts_MF[:, 1] = 0.8 * facts_MF[:, 0] + 0.6 * facts_MF[:, 1]
    return facts_MF, facts_MF @ WEIGHTS + 0.5 + draw.normal(0, 0.2, MODELS)


def fitted(seed: int = 0) -> Expectation:
    facts_MF, ability_M = planted(seed)
    return Expectation.of_facts(facts_MF).fitted(facts_MF, ability_M, np.zeros(MODELS))


def test_a_planted_line_is_found() -> None:
    found = fitted()
    np.testing.assert_allclose(found.weight_F, WEIGHTS, atol=0.05)
    assert found.level == pytest.approx(0.5, abs=0.1)
    assert found.variance**0.5 == pytest.approx(0.2, abs=0.03)


def test_doubt_about_the_abilities_is_doubt_about_the_line() -> None:
    facts_MF, ability_M = planted(0)
    line = Expectation.of_facts(facts_MF)
    sure, unsure = (line.fitted(facts_MF, ability_M, np.full(MODELS, doubt)) for doubt in (0.0, 0.3))
    assert unsure.variance == pytest.approx(sure.variance + 0.3, abs=0.01)


@pytest.mark.parametrize("missing", range(len(FACTS)))
def test_a_fact_that_is_not_known_is_expected_from_the_others(missing: int) -> None:
    facts_MF, ability_M = planted(1)
    facts_MF[:, missing] = np.nan
    mean_M, variance_M = fitted().of(facts_MF)
    left_M = ability_M - mean_M
    assert abs(left_M.mean()) < 0.1
    assert left_M.std() == pytest.approx(variance_M[0] ** 0.5, rel=0.15), "the variance is what is left"
    if missing == 1:  # it goes with the first: to leave both out is worse
        facts_MF[:, 0] = np.nan
        assert (ability_M - fitted().of(facts_MF)[0]).std() > left_M.std() + 0.1


def test_of_nothing_the_average_is_expected_with_the_most_doubt() -> None:
    line = fitted()
    (mean,), (variance,) = line.of(np.full((1, len(FACTS)), np.nan))
    assert mean == pytest.approx(line.level)
    assert variance == pytest.approx(line.variance + line.weight_F @ line.covariance_FF @ line.weight_F)


@given(known=st.sets(st.integers(0, len(FACTS) - 1)), more=st.integers(0, len(FACTS) - 1))
def test_to_know_more_never_adds_doubt(known: set[int], more: int) -> None:
    facts_2F = np.full((2, len(FACTS)), np.nan)
    facts_2F[:, sorted(known)] = 1.0
    facts_2F[1, more] = -1.0
    _, (before, after) = fitted().of(facts_2F)
    assert after <= before + 1e-9


def test_from_few_models_nothing_is_expected() -> None:
    facts_MF, ability_M = planted(0)
    line = Expectation.of_facts(facts_MF[:19]).fitted(facts_MF[:19], ability_M[:19], np.zeros(19))
    mean_M, variance_M = line.of(facts_MF)
    assert not mean_M.any()
    assert (variance_M == 1.0).all()


@pytest.mark.parametrize(
    ("odd", "end"),
    [
        ({"released": date(2050, 1, 1)}, {"released": date(2026, 12, 31)}),
        ({"released": date(1970, 1, 1)}, {"released": date(2022, 11, 30)}),
        ({"context_window": 10**15}, {"context_window": 2_097_152}),
        ({"context_window": 1}, {"context_window": 2_048}),
        ({"price_out": 1e9}, {"price_out": 200.0}),
        ({"price_out": 1e-9}, {"price_out": 0.01}),
    ],
)
def test_what_lies_beyond_all_models_counts_as_the_last_of_them(odd: dict[str, Any], end: dict[str, Any]) -> None:
    """A date of 1970 or 2050, or a window of a trillion, must make nobody sure of a model."""
    np.testing.assert_array_equal(facts_of(Candidate(id="m", **odd)), facts_of(Candidate(id="m", **end)))


def test_facts_are_read_from_a_candidate() -> None:
    candidate = Candidate(id="m", price_out=1.0, released=date(2026, 1, 1), reasoning=True, context_window=8_192)
    np.testing.assert_allclose(facts_of(candidate), [0.0, 1.0, 1.0, np.log(8_192)], atol=0.01)
    assert np.isnan(facts_of(Candidate(id="m"))).all()
    assert np.isnan(facts_of(Candidate(id="m", price_out=0.0))[0]), "what nobody is paid for says nothing of ability"
