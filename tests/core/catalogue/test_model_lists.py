"""Lists of models say what is served today, by whom, and what the profile rests on."""

from __future__ import annotations

from datetime import date

from cit_core.catalogue.facts import find_model
from cit_core.catalogue.model_lists import list_model, list_stored, public_models
from cit_core.records import Candidate, Capability


def test_todays_models_with_a_profile_come_first_then_ended_ones_and_those_of_2024() -> None:
    order = [
        (one.basis == "2024", one.capability.candidate.has_ended(), one.basis == "none") for one in public_models()
    ]
    assert order == sorted(order)
    assert len(set(order)) >= 3


def test_a_stored_model_has_its_maker_and_its_own_facts_whatever_their_source() -> None:
    for source in (None, "our contract of 2026", "litellm 1.0.0, 2020-01-01"):
        one = list_stored(Capability(candidate=Candidate(id="gpt-5-mini", price_in=9.0, source=source)))
        assert (one.basis, one.provider, one.capability.candidate.price_in) == ("none", "openai", 9.0)


def test_an_end_is_a_day() -> None:
    ended = Candidate(id="old", deprecated=date(2026, 10, 23))
    days = (date(2026, 10, 22), date(2026, 10, 23), date(2026, 10, 24))
    assert [ended.has_ended(day) for day in days] == [False, True, True]
    assert not Candidate(id="new").has_ended()


def test_an_arm_is_listed_with_what_its_effort_does() -> None:
    model = find_model("openai:gpt-5")
    assert model is not None
    plain, arm = list_model(model), list_model(model, "minimal")
    assert arm.capability.candidate.id == "openai:gpt-5@minimal"
    assert arm.capability.mean_accuracy < plain.capability.mean_accuracy
