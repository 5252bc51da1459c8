"""Whatever name a model is given by, a router gets a candidate with a profile, and says what that rests on."""

from __future__ import annotations

import pytest

from cit_core.catalogue.resolve import resolve_models
from cit_core.errors import InvalidInput
from cit_core.records import Candidate, Capability, Task, TaskResult


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


def test_an_old_model_of_the_catalogue_is_measured() -> None:
    (found,) = resolve_models(["gemma-7b"])
    assert found.basis == "measured"


def test_ones_own_measurements_go_first() -> None:
    task = Task(id="law", keywords=("law",))
    own = Capability(
        candidate=Candidate(id="openai:gpt-5-mini"), results=(TaskResult(task=task, accuracy=0.5, count=40),)
    )
    (found,) = resolve_models(["openai:gpt-5-mini"], measured={"openai:gpt-5-mini": own})
    assert found.capability is own
    assert (found.basis, found.because) == ("measured", "40 answers in the store")


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
