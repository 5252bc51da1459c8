"""A cascade asks what pays: its plan before, its verdicts during, its account after, checked by hand."""

import math

import pytest

from cit_core.errors import InvalidInput
from cit_core.records import Decision, Ranked
from cit_core.router import Cascade, Fallback, Matches, Rates, Verdict

YES, NO = Verdict(1.0), Verdict(0.0)
SHARP = Rates(true_positive=0.9, false_positive=0.1)


def decided(policy="best", chosen_by="policy", **models):
    """Return a decision among models, P(right) and cost of each, in the order of the policy."""
    ranking = tuple(
        Ranked(model=name, probability=p, expected_cost_usd=cost, utility=p) for name, (p, cost) in models.items()
    )
    return Decision(
        model=ranking[0].model,
        probability=ranking[0].probability,
        ranking=ranking,
        policy=policy,
        scorer="fake",
        chosen_by=chosen_by,
    )


def cascade(**options):
    return Cascade(Matches("."), **{"reliability": SHARP, "dependence": 0.0} | options)


def test_the_same_quality_for_less():
    run = cascade().begin(cascade().planned(decided(large=(0.9, 0.1), small=(0.7, 0.01))))
    assert (run.decision.model, run.decision.chosen_by, run.final) == ("small", "cascade", False)
    assert "first of a cascade" in run.decision.explain()
    assert run.verified("small", "4", YES, 0.02)
    assert run.answer == "4"
    told = run.report()
    # .7 x .9 / (.7 x .9 + .3 x .1)
    assert told["probability"] == pytest.approx(0.63 / 0.66)
    assert (told["model"], told["spent_usd"], told["steps"][0]["accepted"]) == ("small", 0.02, True)
    assert told["steps"][0]["measured"]


def test_a_refused_answer_goes_to_the_better_one_and_costs_what_it_cost():
    run = cascade(value=1.0).begin(cascade(value=1.0).planned(decided(large=(0.9, 0.1), small=(0.7, 0.01))))
    assert not run.verified("small", "5", NO)
    assert (run.decision.model, run.final) == ("large", True)
    assert [ranked.model for ranked in run.decision.ranking] == ["large"]
    run.finished("large")
    told = run.report()
    assert [(step["model"], step["accepted"]) for step in told["steps"]] == [("small", False), ("large", True)]
    assert told["spent_usd"] == pytest.approx(0.11)
    assert told["utility_usd"] == pytest.approx(0.9 - 0.11)


def test_what_is_spent_changes_no_decision_but_the_limit():
    """Both ways have paid for the first answer: only what the next one costs against what it adds decides."""
    found = decided("cost:0.2", large=(0.9, 0.05), small=(0.7, 0.005))
    for spent in (0.0, 0.01, 10.0):
        run = cascade().begin(cascade().planned(found))
        assert not run.verified("small", "5", NO, spent)
    limited = cascade(limit_usd=0.054)
    run = limited.begin(limited.planned(found))
    assert run.verified("small", "5", NO)
    assert run.report()["model"] == "small"


def test_the_plan_counts_costs_before_they_are_spent():
    """Where a first answer costs nearly as much, or a verdict says nothing, the policy's own choice answers at once."""
    for models, options in (
        ({"large": (0.9, 0.1), "small": (0.68, 0.095)}, {}),
        ({"large": (0.9, 0.1), "small": (0.7, 0.01)}, {"reliability": Rates(0.5, 0.5)}),
        ({"large": (0.9, 0.1), "small": (0.02, 0.01)}, {}),
        ({"small": (0.9, 0.01), "large": (0.7, 0.3)}, {}),
    ):
        for policy in ("best", "cost:0.5"):
            found = decided(policy, **models)
            assert cascade(**options).planned(found) is found
            assert cascade(**options).begin(found).final


def test_a_choice_of_a_caller_or_a_conversation_stays():
    for chosen_by in ("caller", "conversation", "default"):
        found = decided(chosen_by=chosen_by, large=(0.9, 0.1), small=(0.7, 0.01))
        assert cascade().planned(found) is found
    drawn = decided(large=(0.9, 0.1), small=(0.7, 0.01)).model_copy(update={"propensity": 0.3})
    assert cascade().planned(drawn) is drawn
    unpriced = cascade().planned(decided(large=(0.9, None), small=(0.7, 0.01)))
    assert unpriced.model == "large"
    assert "no price is known of large" in unpriced.warnings[0]
    priced = cascade().planned(decided(large=(0.9, 0.1), small=(0.7, 0.01), other=(0.8, None)))
    assert priced.model == "small"


def test_three_steps():
    taken = cascade(max_steps=3, value=1.0)
    run = taken.begin(taken.planned(decided(large=(0.95, 0.2), middle=(0.85, 0.08), small=(0.6, 0.001))))
    assert run.decision.model == "small"
    assert not run.verified("small", "a", NO)
    assert (run.decision.model, run.final) == ("middle", False)
    assert not run.verified("middle", "b", NO)
    assert (run.decision.model, run.final) == ("large", True)


def test_the_better_of_two_refused_answers_is_kept():
    taken = cascade(max_steps=3, value=0.2)
    run = taken.begin(taken.planned(decided("cost:0.2", large=(0.9, 0.5), middle=(0.8, 0.03), small=(0.85, 0.001))))
    assert not run.verified("small", "a", NO)
    assert not run.final
    assert run.verified("middle", "b", Verdict(0.0, cost_usd=0.5))
    assert run.answer == "a"  # 0.85 before the same verdict is more than 0.8
    assert run.report()["model"] == "small"
    assert run.report()["steps"][1]["verify_usd"] == 0.5


def test_no_verdict_leaves_the_probability_as_it_was():
    run = cascade(value=0.01).begin(cascade(value=0.01).planned(decided(large=(0.9, 0.001), small=(0.85, 0.0001))))
    assert run.verified("small", "a", Verdict(None))
    assert run.report()["probability"] == pytest.approx(0.85)


def test_a_next_step_that_fails_leaves_the_answer_that_is_there():
    run = cascade().begin(cascade().planned(decided(large=(0.9, 0.1), small=(0.7, 0.01))))
    assert not run.rescued(TimeoutError("nothing is there"), Fallback())
    run.verified("small", "a", NO)
    assert not run.rescued(ValueError("a mistake of ours"), Fallback())
    assert run.rescued(TimeoutError("secret"), Fallback())
    told = run.report()
    assert (run.answer, told["model"]) == ("a", "small")
    assert told["steps"][1] == {"model": "large", "error": "TimeoutError", "accepted": False}


def test_fitted_on_logged_verdicts():
    taken = Cascade(Matches(".")).fitted([(True, 1)] * 9 + [(False, 1)] + [(True, 0)] * 2 + [(False, 0)] * 8)
    assert taken.known_reliability == Rates(9.5 / 11, 2.5 / 11)
    assert Cascade(Matches(".")).known_reliability.true_positive == 0.99
    assert Cascade(lambda question, answer: True).known_reliability.true_positive == 0.9


def test_bad_options():
    for options, told in (
        ({"verify": "yes"}, "verify"),
        ({"max_steps": 1}, "max_steps"),
        ({"value": -1}, "value"),
        ({"limit_usd": math.inf}, "limit_usd"),
        ({"dependence": 2}, "dependence"),
        ({"tolerance": -0.1}, "tolerance"),
        ({"reliability": 0.9}, "reliability"),
    ):
        with pytest.raises(InvalidInput, match=told):
            Cascade(**{"verify": Matches("."), **options})
