"""Whatever name a model is given by, a router gets a candidate with a profile, and says what that rests on."""

from __future__ import annotations

import pytest

from cit_core.catalogue.linked import expected, linked_capability
from cit_core.catalogue.resolve import resolve_models
from cit_core.errors import InvalidInput
from cit_core.records import Candidate, Capability, Task, TaskResult, Usage


def test_a_current_model_has_facts_and_a_linked_profile() -> None:
    (found,) = resolve_models(["openai:gpt-5-mini"])
    candidate = found.capability.candidate
    assert (candidate.id, candidate.price_in, candidate.price_out) == ("openai:gpt-5-mini", 0.25, 2.0)
    assert candidate.context_window == 400_000
    assert candidate.tools is True
    assert candidate.modalities is not None
    assert "image" in candidate.modalities
    assert found.basis == "linked"
    assert "livebench" in found.because
    assert len(found.capability.results) == 50


def test_efforts_of_a_model_are_two_candidates_that_share_facts() -> None:
    low, high = resolve_models(["openai:gpt-5-mini@low", "openai:gpt-5-mini@high"])
    assert low.capability.candidate.price_out == high.capability.candidate.price_out
    assert low.capability.mean_accuracy < high.capability.mean_accuracy


def test_an_effort_beside_a_name_is_that_arm_under_the_name() -> None:
    arm, beside, own = resolve_models(
        ["openai:gpt-5@low", Candidate(id="openai:gpt-5", effort="low"), Candidate(id="mine", effort="low")],
        known_as={"mine": "gpt-5"},
    )
    assert [one.capability.candidate.id for one in (beside, own)] == ["openai:gpt-5", "mine"]
    assert arm.capability.results == beside.capability.results == own.capability.results
    assert arm.because == beside.because
    assert resolve_models([Candidate(id="mine", effort="32k")])[0].capability.candidate.effort == "32k"


def test_an_arm_that_reasons_longer_costs_more() -> None:
    names = ["openai:gpt-5-mini@low", "openai:gpt-5-mini", "openai:gpt-5-mini@high", "anthropic:claude-sonnet-4-5@low"]
    usd = [one.capability.expected_cost(0.0, 256) for one in resolve_models(names)]
    assert usd[:3] == pytest.approx([0.53 * 256 * 2e-6, 256 * 2e-6, 1.8 * 256 * 2e-6])
    assert usd[3] == pytest.approx(0.53 / 0.3 * 256 * 15e-6), "Claude does not reason by default"
    task = TaskResult(task=Task(id="law", keywords=("law",)), accuracy=0.5, count=40)
    own = Capability(
        candidate=Candidate(id="openai:gpt-5-mini"), results=(task,), usage=Usage(completion_tokens=1000, latency_s=3)
    )
    (found,) = resolve_models(["openai:gpt-5-mini@high"], stored=[own])
    assert found.capability.usage == Usage(completion_tokens=1800), "what was measured, moved as the profile is"


def test_an_old_model_of_the_catalogue_is_measured() -> None:
    (found,) = resolve_models(["gemma-7b"])
    assert found.basis == "measured"


def test_ones_own_measurements_go_first() -> None:
    task = Task(id="law", keywords=("law",))
    own = Capability(
        candidate=Candidate(id="openai:gpt-5-mini"), results=(TaskResult(task=task, accuracy=0.5, count=200),)
    )
    (found,) = resolve_models(["openai:gpt-5-mini"], stored=[own])
    assert found.capability.results == own.results
    assert found.capability.candidate.price_out == 2.0, "what the store does not know, the catalogue does"
    assert (found.basis, found.because) == ("measured", "200 answers in the store")


def test_few_answers_of_ones_own_stand_beside_what_is_publicly_known() -> None:
    (public,) = resolve_models(["openai:gpt-5-mini"])
    shared = public.capability.results[0]
    law = TaskResult(task=Task(id="law", keywords=("law",)), accuracy=0.0, count=1)
    own = Capability(
        candidate=Candidate(id="openai:gpt-5-mini"),
        results=(TaskResult(task=shared.task, accuracy=0.0, count=20), law),
        usage=Usage(completion_tokens=700),
    )
    (found,) = resolve_models(["openai:gpt-5-mini"], stored=[own])
    both = found.capability.results
    count = shared.count + 20
    assert both[0] == TaskResult(task=shared.task, accuracy=shared.accuracy * shared.count / count, count=count)
    assert both[1:] == (*public.capability.results[1:], law)
    assert found.capability.usage == own.usage
    assert found.because.startswith("21 answers in the store, and scores of gpt-5-mini by ")
    (low,) = resolve_models(["openai:gpt-5-mini@low"], stored=[own])
    assert len(low.capability.results) == len(both)
    assert low.because.startswith("21 answers of openai:gpt-5-mini in the store, and scores of gpt-5-mini by ")
    (unknown,) = resolve_models(["ours"], stored=[own.model_copy(update={"candidate": Candidate(id="ours")})])
    assert unknown.capability.results == own.results, "nothing is publicly known of it"


@pytest.mark.parametrize(("name", "stored"), [("openai:gpt-5-mini", "gpt-5-mini"), ("gpt-5-mini", "openai:gpt-5-mini")])
def test_a_model_that_is_stored_under_another_name_is_found(name: str, stored: str) -> None:
    result = TaskResult(task=Task(id="law", keywords=("law",)), accuracy=0.5, count=200)
    own = Capability(candidate=Candidate(id=stored, price_out=3.0), results=(result,))
    (found,) = resolve_models([name], stored=[own])
    assert (found.basis, found.stored, found.capability.results) == ("measured", stored, (result,))
    assert (found.capability.candidate.id, found.capability.candidate.price_out) == (name, 3.0)
    (fast,) = resolve_models([Candidate(id="fast", price_out=4.0)], stored=[own], known_as={"fast": name})
    assert (fast.basis, fast.stored, fast.capability.candidate.price_out) == ("measured", stored, 4.0)
    assert resolve_models([f"{name}@low"], stored=[own])[0].basis == "linked", "another effort is another candidate"


def test_facts_of_a_stored_model_count_before_it_is_measured() -> None:
    (found,) = resolve_models(["vllm:ours"], stored=[Capability(candidate=Candidate(id="ours", price_out=0.2))])
    assert (found.basis, found.stored, found.capability.candidate.price_out) == ("average", "ours", 0.2)


def test_an_unknown_model_is_admitted_as_an_average_one_and_refused_when_asked_to() -> None:
    known, unknown = resolve_models(["openai:gpt-5", "my-finetune"])
    assert unknown.basis == "average"
    assert unknown.capability.results
    assert unknown.capability.mean_accuracy < known.capability.mean_accuracy
    with pytest.raises(InvalidInput, match="'gpt-5-mini'"):
        resolve_models(["openai:gpt-5-mimi"], strict=True)


def test_a_name_that_is_empty_or_stands_twice_is_refused() -> None:
    with pytest.raises(InvalidInput, match="openai:gpt-5-mini"):
        resolve_models([" "])
    with pytest.raises(InvalidInput, match="duplicate models"):
        resolve_models(["gpt-5", "gpt-5"])


@pytest.mark.parametrize("run", ["hihg", "minmal", "low,max_tokens=0", "reasoning_effort=low"])
def test_a_known_model_at_no_effort_is_refused_and_one_of_ones_own_is_not(run: str) -> None:
    told = f"no model 'openai:gpt-5@{run}' is known; '{run}' is none of none, minimal, low, medium, high, xhigh, max"
    with pytest.raises(InvalidInput, match=told):
        resolve_models([f"openai:gpt-5@{run}"])
    names = [f"my-own@{run}", "claude-sonnet-4-5@20250929", "jamba-1.5-large@001", "workers-ai/@cf/meta/llama-9"]
    stored = [Capability(candidate=Candidate(id=f"gpt-5@{run}"))]
    found = resolve_models([*names, f"gpt-5@{run}"], stored=stored)
    assert [one.basis for one in found] == ["average", "linked", "average", "average", "average"]


def test_the_names_that_an_unknown_one_may_mean_are_told() -> None:
    mistyped, own = resolve_models(["openai:gpt-5-mni", "my-finetune"])
    assert mistyped.because.startswith("no scores of it are known: an average model; closest: 'gpt-5-mini'")
    assert own.because == "no scores of it are known: an average model"


def test_what_does_not_reason_has_no_effort() -> None:
    plain, arm = resolve_models(["openai:gpt-4o", "openai:gpt-4o@high"])
    assert arm.capability.results == plain.capability.results
    assert arm.capability.expected_cost(100, 256) == plain.capability.expected_cost(100, 256)
    assert arm.because == f"{plain.because}; it does not reason: effort high changes nothing"
    law = TaskResult(task=Task(id="law", keywords=("law",)), accuracy=0.5, count=200)
    own = Capability(candidate=Candidate(id="openai:gpt-4o"), results=(law,))
    (moved,) = resolve_models(["openai:gpt-4o@high"], stored=[own])
    assert moved.capability.results == own.results


def test_an_arm_with_a_limit_says_that_its_profile_knows_none() -> None:
    told = "of answers without a limit: what 50 tokens cut off, reasoning included, was not measured"
    plain, short = resolve_models(["gpt-5@low", "gpt-5@low, max_tokens=50"])
    assert short.because == f"{plain.because}; {told}"
    assert short.capability.candidate.max_output == 50


def test_an_effort_names_those_that_scored_it_beside_those_that_scored_the_model() -> None:
    plain, arm, moved = (one.because for one in resolve_models(["gpt-5", "gpt-5@minimal", "claude-haiku-4-5@max"]))
    assert arm == f"{plain}, at effort minimal by lechmazur, livebench"
    assert moved.endswith(", moved by what effort max does to models")


def test_of_a_public_model_without_scores_the_version_counts_and_a_limit_of_ones_own_does_not() -> None:
    name = "openai:gpt-6-sol"
    (found,) = resolve_models([name])
    candidate = found.capability.candidate
    assert (found.basis, candidate.released) == ("average", None)
    undated = linked_capability(candidate, expected(candidate)).mean_accuracy
    assert found.capability.mean_accuracy > undated + 0.01, "it came after gpt-5.5"
    (limited,) = resolve_models([Candidate(id=name, context_window=8_192, price_out=0.5)])
    assert limited.capability.results == found.capability.results
    assert (limited.capability.candidate.context_window, limited.capability.candidate.price_out) == (8_192, 0.5)
