"""Abilities and columns that were planted are found, and intervals hold as often as they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cit_core.catalogue.link import Link, Observations, fit_link, interval_scale

BENCHMARKS, TASKS, MODELS = 8, 4, 60


def planted(seed: int, *, shared: float = 0.2) -> tuple[Observations, np.ndarray]:
    """Scores of 60 models on 8 benchmarks of 4 tasks, a third of them missing; whole benchmarks lean to a model."""
    draw = np.random.default_rng(seed)
    ability_M = draw.normal(size=MODELS)
    slope_C, offset_C = draw.uniform(0.6, 1.4, BENCHMARKS * TASKS), draw.normal(0, 1, BENCHMARKS * TASKS)
    lean_MB = draw.normal(0, shared, (MODELS, BENCHMARKS))
    truth_MC = offset_C + slope_C * ability_M[:, None] + np.repeat(lean_MB, TASKS, axis=1)
    seen_MC = truth_MC + draw.normal(0, 0.2, truth_MC.shape)
    arm_O, column_O = np.nonzero(draw.random(seen_MC.shape) > 1 / 3)
    columns = tuple((f"s{c // TASKS}", f"b{c // TASKS}", f"t{c}") for c in range(BENCHMARKS * TASKS))
    arms = tuple((f"m{m}", "") for m in range(MODELS))
    observed = Observations(arms, columns, arm_O, column_O, seen_MC[arm_O, column_O], np.full(len(arm_O), 0.01))
    return observed, ability_M


def test_planted_abilities_are_found_in_their_order() -> None:
    observed, ability_M = planted(0)
    found: Link = fit_link(observed)
    assert np.corrcoef(found.ability_M, ability_M)[0, 1] > 0.97


@pytest.mark.parametrize("seed", range(3))
def test_intervals_of_left_out_benchmarks_hold_as_often_as_they_say(seed: int) -> None:
    observed, _ = planted(seed)
    benchmark_O = observed.column_O // TASKS
    held_O = (benchmark_O == observed.arm_O % BENCHMARKS) & (observed.arm_O % 2 == 0)
    found = fit_link(observed.only(~held_O))
    arm, column = observed.arm_O[held_O], observed.column_O[held_O]
    predicted = found.offset_C[column] + found.slope_C[column] * found.ability_M[arm]
    spread = np.sqrt(found.slope_C[column] ** 2 * found.variance_M[arm] + found.noise_C[column])
    inside = np.abs(observed.logit_O[held_O] - predicted) < 1.2816 * spread
    assert 0.7 < inside.mean() < 0.95


def test_many_columns_of_one_benchmark_weigh_less_than_many_benchmarks() -> None:
    columns = tuple(("s", "one", f"t{n}") for n in range(20)) + tuple(("s", f"b{n}", "all") for n in range(20))
    arms = (("wide", ""), ("narrow", ""), ("zero", ""))
    arm_O = np.repeat([0, 1, 2, 2], 20)
    column_O = np.concatenate([np.arange(20, 40), np.arange(20), np.arange(20), np.arange(20, 40)])
    observed = Observations(arms, columns, arm_O, column_O, np.where(arm_O == 2, 0.0, 1.0), np.full(80, 0.01))
    found = fit_link(observed)
    assert found.variance_M[1] > 1.5 * found.variance_M[0]


def with_efforts(added: float) -> Observations:
    """Scores of 60 models, the last 30 of which are the first 30 at effort `high`, where all are more able."""
    observed, _ = planted(3)
    arms = tuple((f"m{m % 30}", "" if m < 30 else "high") for m in range(MODELS))
    alike_O = observed.arm_O < 30
    arm_O = np.concatenate([observed.arm_O[alike_O], observed.arm_O[alike_O] + 30])
    logit_O = np.concatenate([observed.logit_O[alike_O], observed.logit_O[alike_O] + added])
    column_O = np.tile(observed.column_O[alike_O], 2)
    return Observations(arms, observed.columns, arm_O, column_O, logit_O, np.full(len(arm_O), 0.01))


def test_an_effort_adds_what_it_adds_to_other_models() -> None:
    observed = with_efforts(0.5)
    unscored = observed.only(observed.arm_O != 59)  # m29 at effort high
    found = fit_link(unscored)
    slope = np.median(found.slope_C)
    assert found.effort["high"] * slope == pytest.approx(0.5, abs=0.15)
    assert found.ability_M[59] - found.ability_M[29] == pytest.approx(found.effort["high"], abs=0.05)
    assert fit_link(with_efforts(0.0)).effort["high"] == pytest.approx(0.0, abs=0.05)


def test_models_without_scores_are_expected_to_be_what_their_facts_say() -> None:
    observed, ability_M = planted(4)
    facts_MF = np.random.default_rng(0).normal(size=(MODELS, 4))
    facts_MF[:, 0] = ability_M
    told = replace(observed, facts_MF=facts_MF)
    unscored_O = np.isin(told.arm_O, np.arange(10))
    found = fit_link(told.only(~unscored_O))
    assert np.corrcoef(found.ability_M[:10], ability_M[:10])[0, 1] > 0.95
    assert (found.variance_M[:10] < 0.5).all()
    blind = fit_link(observed.only(~unscored_O))
    np.testing.assert_allclose(blind.ability_M[:10], 0.0)
    unknown = facts_MF.copy()
    unknown[0] = np.nan
    assert fit_link(replace(told, facts_MF=unknown).only(~unscored_O)).ability_M[0] == 0.0


def test_an_effort_without_scores_has_its_models_ability_and_more_doubt() -> None:
    observed, _ = planted(1)
    more = Observations(
        (*observed.arms, ("m0", "high")),
        observed.columns,
        observed.arm_O,
        observed.column_O,
        observed.logit_O,
        observed.variance_O,
    )
    found = fit_link(more)
    assert found.ability_M[-1] == pytest.approx(found.ability_M[0], abs=0.3)
    assert found.variance_M[-1] > found.variance_M[0]


def test_the_scale_of_intervals_corrects_a_variance_that_is_wrong() -> None:
    observed, _ = planted(2)
    narrow = interval_scale(observed)
    noisy = Observations(
        observed.arms,
        observed.columns,
        observed.arm_O,
        observed.column_O,
        observed.logit_O,
        np.full(len(observed.logit_O), 1.0),
    )
    assert 0.6 < narrow < 1.2
    assert interval_scale(noisy) < 0.6 * narrow, "a sampling variance that is not there makes intervals too wide"
