"""Every baseline finds what was planted, scores whoever it should, and chooses on validation items alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from planted import SPECIALISTS, TASKS, Planted, planted, profile

from cit_core.errors import InvalidInput, MissingExtra, UnknownCandidate
from cit_core.evaluate.baselines import (
    IRT,
    MLP,
    Baseline,
    BaselineData,
    BestByAptitude,
    Clusters,
    Fitted,
    Forest,
    KNearest,
    MatrixFactorisation,
    Random,
    Ridge,
    TextOnly,
    baselines,
    profiles,
)
from cit_core.evaluate.metrics import routed
from cit_core.records import Candidate, Capability
from cit_core.router import Scorer

NAMES = (
    "random",
    "single best by aptitude",
    "k nearest neighbours",
    "clusters",
    "ridge",
    "MLP",
    "random forest",
    "matrix factorisation",
    "multidimensional IRT",
    "text only",
)
READ_THE_QUERY = NAMES[2:]
USE_RESPONSES = ("k nearest neighbours", "clusters", "ridge", *NAMES[7:])

COARSE_OR_FINE: dict[str, tuple[Callable[..., Baseline], str, float, float]] = {
    "k nearest neighbours": (KNearest, "neighbours", 10_000, 10),
    "clusters": (Clusters, "clusters", 1, 3),
    "ridge": (Ridge, "alpha", 1e7, 1e-2),
    "MLP": (MLP, "alpha", 30.0, 1e-3),
    "random forest": (Forest, "leaf", 10_000, 5),
    "matrix factorisation": (lambda decays: MatrixFactorisation((3,), decays), "decay", 1e6, 1e-1),
    "multidimensional IRT": (lambda decays: IRT((3,), decays), "decay", 1e6, 1e-1),
    "text only": (lambda decays: TextOnly((8,), decays), "decay", 1e6, 1e-1),
}
"""For each: what is chosen, a setting that can hardly tell one question from another, and one that can."""


@pytest.fixture(scope="module")
def plan() -> Planted:
    return planted()


@pytest.fixture(scope="module")
def fitted(plan: Planted) -> dict[str, Scorer]:
    return {baseline.name: baseline.fit(plan.known, plan.encode) for baseline in baselines()}


def accuracy(plan: Planted, scorer: Scorer, zoo: list[Capability]) -> float:
    return float(routed(scorer.score(plan.texts, zoo), plan.chance[:, plan.columns(zoo)]).mean())


def test_the_order_of_our_tables() -> None:
    assert tuple(baseline.name for baseline in baselines()) == NAMES
    assert tuple(baseline.name for baseline in baselines() if baseline.uses == "responses") == USE_RESPONSES


@pytest.mark.parametrize("name", READ_THE_QUERY)
def test_it_routes_questions_to_the_models_that_learned_from_are_good_at_them(
    plan: Planted, fitted: dict[str, Scorer], name: str
) -> None:
    zoo = [c for c in plan.trained if 0.2 < c.mean_accuracy < 0.8][:5]
    chance = plan.chance[:, plan.columns(zoo)]
    assert accuracy(plan, fitted[name], zoo) > chance.mean() + 0.25
    assert accuracy(plan, fitted[name], zoo) > accuracy(plan, fitted["single best by aptitude"], zoo) + 0.05


@pytest.mark.parametrize("name", [name for name in READ_THE_QUERY if name != "text only"])
def test_it_routes_questions_to_new_models_that_are_good_at_them(
    plan: Planted, fitted: dict[str, Scorer], name: str
) -> None:
    assert accuracy(plan, fitted["random"], plan.new) == pytest.approx(np.mean(SPECIALISTS), abs=0.01)
    assert accuracy(plan, fitted[name], plan.new) > 0.8


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_probabilities_of_queries_by_candidates(plan: Planted, fitted: dict[str, Scorer], name: str) -> None:
    zoo = [plan.new[1], *plan.trained[:4], plan.new[0]]
    scores = fitted[name].score(plan.texts[:7], zoo)
    assert isinstance(fitted[name], Scorer)
    assert getattr(fitted[name], "name", None) == name
    assert scores.shape == (7, 6)
    assert scores.dtype == np.float64
    assert ((scores >= 0.0) & (scores <= 1.0)).all()
    alone = np.column_stack([fitted[name].score(plan.texts[:7], [capability])[:, 0] for capability in zoo])
    assert np.array_equal(scores, alone), "nobody's score depends on the zoo"
    assert fitted[name].score([], zoo).shape == (0, 6)
    assert fitted[name].score(plan.texts[:7], []).shape == (7, 0)


@pytest.mark.parametrize("baseline", baselines(), ids=lambda baseline: baseline.name)
def test_the_same_again_whatever_the_global_state(plan: Planted, fitted: dict[str, Scorer], baseline: Baseline) -> None:
    np.random.seed(7)
    before = np.random.get_state()[1].copy()
    again = baseline.fit(plan.known, plan.encode)
    assert np.array_equal(before, np.random.get_state()[1])
    zoo = plan.known.capabilities
    assert np.array_equal(again.score(plan.texts, zoo), fitted[baseline.name].score(plan.texts, zoo))


@pytest.mark.parametrize("name", USE_RESPONSES)
def test_who_has_no_responses_is_unknown(plan: Planted, fitted: dict[str, Scorer], name: str) -> None:
    with pytest.raises(UnknownCandidate, match=f"no candidate 'model-99' among the 15 in what '{name}' was fitted on"):
        fitted[name].score(plan.texts[:2], [plan.new[0], profile("model-99", (0.5, 0.5, 0.5))])


@pytest.mark.parametrize("name", [name for name in NAMES if name not in USE_RESPONSES])
def test_a_profile_is_enough(plan: Planted, fitted: dict[str, Scorer], name: str) -> None:
    twin = replace_id(plan.new[0], "model-99")
    scores = fitted[name].score(plan.texts, [plan.new[0], twin, Capability(candidate=Candidate(id="unmeasured"))])
    assert np.array_equal(scores[:, 0], scores[:, 1])


def replace_id(capability: Capability, id_: str) -> Capability:
    return capability.model_copy(update={"candidate": Candidate(id=id_)})


def test_a_task_that_was_not_measured_counts_as_the_mean(plan: Planted, fitted: dict[str, Scorer]) -> None:
    whole = profile("whole", (0.9, 0.2, 0.55))
    part = whole.model_copy(update={"results": whole.results[:2]})
    for name in ("MLP", "random forest"):
        scores = fitted[name].score(plan.texts, [whole, part])
        assert np.array_equal(scores[:, 0], scores[:, 1]), name


@pytest.mark.parametrize("name", COARSE_OR_FINE)
def test_validation_items_choose(plan: Planted, name: str) -> None:
    make, chosen, coarse, fine = COARSE_OR_FINE[name]
    for known, expected in ((plan.known, fine), (contrary(plan), coarse)):
        for order in ((coarse, fine), (fine, coarse)):
            scorer = make(order).fit(known, plan.encode)
            assert isinstance(scorer, Fitted)
            assert scorer.chosen[chosen] == expected
            assert scorer.chosen.get(f"{chosen}, new models", expected) == expected


def contrary(plan: Planted) -> BaselineData:
    """The same training items; on validation items a model is bad at what it is good at, around its own mean."""
    region = [[task.id for task in TASKS].index(task) for task in plan.known.tasks_I]
    skill = np.array([[result.accuracy for result in c.results] for c in plan.known.capabilities])
    opposite = np.clip(2 * skill.mean(axis=1, keepdims=True) - skill, 0.02, 0.98).T[region]
    drawn = np.random.default_rng(1).random(opposite.shape) < opposite
    correct = np.where(plan.known.validation_I[:, None], drawn, plan.known.correct_IM)
    return replace(plan.known, correct_IM=correct)


def test_who_has_few_answers_gets_a_setting_for_few() -> None:
    """Sixty neighbours are finer than three among hundreds of answers, and no neighbourhood at all among 24."""
    plan = planted(core=24)
    scorer = KNearest((3, 60)).fit(plan.known, plan.encode)
    assert scorer.chosen == {"neighbours": 60, "neighbours, new models": 3}


def test_the_network_is_that_of_the_chosen_epoch(plan: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    known = contrary(plan)
    stopped = MLP((1e-3,)).fit(known, plan.encode)
    assert stopped.chosen["epochs"] == 2
    monkeypatch.setattr(profiles, "EPOCHS", 2)
    trained = MLP((1e-3,)).fit(known, plan.encode)
    zoo = plan.known.capabilities
    assert np.array_equal(stopped.score(plan.texts, zoo), trained.score(plan.texts, zoo))


@pytest.mark.parametrize("name", COARSE_OR_FINE)
def test_validation_items_do_nothing_else(plan: Planted, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one setting to choose from, all that they change is the scale of new models."""
    monkeypatch.setattr(profiles, "EPOCHS", 1)
    make, _, _, fine = COARSE_OR_FINE[name]
    scorers = [make((fine,)).fit(known, plan.encode) for known in (plan.known, contrary(plan))]
    ours, theirs = (scorer.score(plan.texts, plan.trained) for scorer in scorers)
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("name", READ_THE_QUERY)
def test_what_a_new_model_answered_on_validation_items_is_not_looked_at(
    plan: Planted, fitted: dict[str, Scorer], name: str
) -> None:
    correct = plan.known.correct_IM.copy()
    correct[np.ix_(plan.known.validation_I, ~plan.known.trained_M)] = 1.0
    baseline = next(baseline for baseline in baselines() if baseline.name == name)
    again = baseline.fit(replace(plan.known, correct_IM=correct), plan.encode)
    zoo = plan.known.capabilities
    assert np.array_equal(again.score(plan.texts, zoo), fitted[name].score(plan.texts, zoo))


@pytest.mark.parametrize("name", USE_RESPONSES)
def test_who_answered_nothing_is_refused(plan: Planted, name: str) -> None:
    correct = plan.known.correct_IM.copy()
    correct[~plan.known.validation_I, 13] = np.nan
    known = replace(plan.known, correct_IM=correct)
    baseline = next(baseline for baseline in baselines() if baseline.name == name)
    if name == "text only":
        assert accuracy(plan, baseline.fit(known, plan.encode), plan.new) > 0
    else:
        with pytest.raises(InvalidInput, match=r"none of 'model-13': run the aptitude test"):
            baseline.fit(known, plan.encode)


def test_random_shares_among_all(plan: Planted) -> None:
    scorer = Random().fit(plan.known, plan.encode)
    assert accuracy(plan, scorer, plan.trained) == pytest.approx(plan.chance[:, :12].mean())


def test_text_only_knows_the_level_of_a_new_model_and_no_more(plan: Planted) -> None:
    new = [profile("strong", (0.9, 0.8, 0.9)), profile("weak", (0.3, 0.2, 0.2)), plan.new[2]]
    known = replace(plan.known, capabilities=(*plan.trained, *new))
    scores = TextOnly().fit(known, plan.encode).score(plan.texts, new)
    assert (scores == scores[0]).all()
    assert scores[0].argsort().tolist() == BestByAptitude().score([""], new)[0].argsort().tolist()


@pytest.mark.parametrize("baseline", baselines()[2:], ids=lambda baseline: baseline.name)
def test_what_is_not_installed_is_asked_for(plan: Planted, baseline: Baseline, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("neighbors", "cluster", "linear_model", "neural_network", "ensemble"):
        monkeypatch.setitem(sys.modules, f"sklearn.{module}", None)
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(MissingExtra, match=r"(sklearn|scipy), which .* pip install 'cit-router\[bench\]'"):
        baseline.fit(plan.known, plan.encode)


def test_importing_baselines_imports_no_library_of_theirs() -> None:
    code = "import sys, cit_core.evaluate.baselines; print({'sklearn', 'scipy', 'torch'} & sys.modules.keys())"
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | path
    )
    assert found.stdout == "set()\n"
