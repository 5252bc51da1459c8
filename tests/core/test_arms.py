"""A model with how it is run is a candidate of its own, wherever a model's name is taken."""

import math

import pytest

from cit_core import Candidate, Router
from cit_core.arms import Arm
from cit_core.calibration import sigmoid
from cit_core.catalogue.linked import effort_offset, linked
from cit_core.catalogue.resolve import resolve_models
from cit_core.errors import InvalidInput
from cit_core.records import Capability, Task, TaskResult, Usage
from cit_core.router.arm_options import reasoning_budget
from cit_core.router.options import named_models


def test_a_name_says_how_a_model_is_run():
    for name, arm in {
        "openai:gpt-5-mini@low": Arm("openai:gpt-5-mini", effort="low"),
        "openai:gpt-5-mini@max_tokens=500": Arm("openai:gpt-5-mini", max_tokens=500),
        "gpt-5-mini@samples=5": Arm("gpt-5-mini", samples=5),
        "gpt-5-mini@low,max_tokens=500,samples=16": Arm("gpt-5-mini", effort="low", max_tokens=500, samples=16),
        "gpt-5-mini@high,max_tokens=500": Arm("gpt-5-mini", effort="high", max_tokens=500),
    }.items():
        assert Arm.of(name) == arm
        assert arm.name == name
    for plain in ("gemini-2.5-flash@001", "gpt-5@", "gpt-5@low,low", "gpt-5@max_tokens=0", "@low"):
        assert Arm.parse(plain) is None
    assert Arm("gpt-5").name == "gpt-5"


def test_what_is_no_arm():
    for wrong in (
        lambda: Arm("gpt-5@low"),
        lambda: Arm("gpt-5", effort="lots"),
        lambda: Arm("gpt-5", max_tokens=0),
        lambda: Arm("gpt-5", max_tokens=True),
        lambda: Arm("gpt-5", samples=1),
        lambda: Arm("gpt-5", samples=2.0),
        lambda: Arm.of("gpt-5@samples=0"),
        lambda: Router.from_models(["gpt-5@samples=17"]),
        lambda: Router.from_models(["fast"], known_as={"fast": "gpt-5@samples=5"}),
        lambda: Arm(""),
        lambda: reasoning_budget(Arm("claude", effort="high", max_tokens=1000)),
    ):
        with pytest.raises(InvalidInput):
            wrong()


def test_an_arm_is_taken_where_a_name_is():
    low = Arm("openai:gpt-5-mini", effort="low", max_tokens=500)
    assert named_models([low, "openai:gpt-5"], str) == {low.name: low.name, "openai:gpt-5": "openai:gpt-5"}
    assert named_models({"fast": low}, str) == {"fast": low.name}
    router = Router.from_models([low, Arm("openai:gpt-5-mini")])
    first, second = router.candidates
    assert (first.id, first.effort, first.max_output) == (low.name, "low", 500)
    assert (second.id, second.effort) == ("openai:gpt-5-mini", None)
    assert first.price_in == second.price_in


def test_a_limit_bounds_the_expected_cost():
    facts = {"price_in": 1.0, "price_out": 1.0}
    short = Capability(candidate=Candidate(id="a", max_output=10, **facts))
    long = Capability(candidate=Candidate(id="b", **facts))
    assert short.expected_cost(100, 1000) == pytest.approx(110 / 1e6)
    assert long.expected_cost(100, 1000) == pytest.approx(1100 / 1e6)


def test_arms_share_a_profile_but_for_an_offset_that_is_linked():
    """Where no source tells an effort apart, the mean distance of that effort is added, with how much it differs."""
    offset, spread = effort_offset("low")
    assert offset < 0.0 < spread
    assert effort_offset(None) == (0.0, 0.0)
    model = "anthropic:claude-sonnet-4-5"
    plain, low = linked(model), linked(model, "low")
    if not low.exact:
        assert low.ability == pytest.approx(plain.ability + offset)
        assert low.deviation == pytest.approx(math.hypot(plain.deviation, spread))


def test_outcomes_of_a_model_are_those_of_its_arms_but_for_the_offset():
    result = TaskResult(task=Task(id="t", keywords=("a",)), accuracy=0.8, count=1000)
    own = {"gpt-5-mini": Capability(candidate=Candidate(id="gpt-5-mini"), results=(result,))}
    low, limited, plain = resolve_models(
        [Arm("gpt-5-mini", effort="low"), Arm("gpt-5-mini", max_tokens=100), "gpt-5-mini"], stored=own.values()
    )
    (moved,) = low.capability.results
    assert sigmoid(0.0) < moved.accuracy < 0.8
    assert moved.count < 1000
    assert low.basis == "linked"
    assert "moved by what effort low does" in low.because
    assert limited.capability.results == plain.capability.results == (result,)
    assert limited.capability.candidate.max_output == 100
    measured = {**own, "gpt-5-mini@low": Capability(candidate=Candidate(id="gpt-5-mini@low"), results=(result,))}
    assert resolve_models(["gpt-5-mini@low"], stored=measured.values())[0].capability.results == (result,)


def test_samples_are_paid_for_one_by_one_and_share_the_profile_of_one_answer():
    """The length of an answer and its probability stay those of the model; what was measured of an arm is its own."""
    result = TaskResult(task=Task(id="t", keywords=("a",)), accuracy=0.8, count=1000)
    usage = Usage(completion_tokens=100)
    own = {"gpt-5-mini": Capability(candidate=Candidate(id="gpt-5-mini"), results=(result,), usage=usage)}
    names = [
        "openai:gpt-5-mini",
        "openai:gpt-5-mini@low",
        "openai:gpt-5-mini@samples=5",
        "openai:gpt-5-mini@low,samples=5",
    ]
    for stored in ((), own.values()):
        found = resolve_models(names, stored=stored)
        cost = [one.capability.expected_cost(1000, 100) for one in found]
        assert cost[2:] == pytest.approx([5 * once for once in cost[:2]])
        assert [one.capability.results for one in found[2:]] == [one.capability.results for one in found[:2]]
        assert ["what 5 samples add was not measured" in one.because for one in found] == [False, False, True, True]
    five = Candidate(id="gpt-5-mini@samples=5", price_in=1.0, price_out=1.0)
    measured = Capability(candidate=five, results=(result,), usage=Usage(completion_tokens=5 * 40))
    assert measured.expected_cost(100, 1) == pytest.approx(5 * 140 / 1e6), "measured are the tokens of all answers"
    (known,) = resolve_models(["openai:gpt-5-mini@samples=5"], stored=[measured, *own.values()])
    assert (known.stored, known.basis, "not measured" in known.because) == (five.id, "measured", False)
    router = Router.from_models([Arm("openai:gpt-5-mini", samples=5), "openai:gpt-5-mini"])
    ranked = router.route("What is 2 + 2?").ranking
    assert ranked[0].probability == pytest.approx(ranked[1].probability)
    assert router.with_options(policy="cost:0.01").route("What is 2 + 2?").model == "openai:gpt-5-mini"
