"""Profiles from published scores: better models have better ones, and what is not known is believed less."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from outcome_tables import SHARED

from cit_core.arms import EFFORTS
from cit_core.catalogue.build import build_links
from cit_core.catalogue.facts import current_models, facts_as_of, find_model
from cit_core.catalogue.linked import _read, expected, expected_release, linked, linked_capability
from cit_core.catalogue.score_tables import SOURCES, read_scores
from cit_core.records import Candidate, Capability


def profile(model: str, effort: str | None = None) -> Capability:
    found = linked(model, effort)
    assert found is not None
    return linked_capability(Candidate(id=model), found)


def test_a_hundred_current_models_have_profiles() -> None:
    known = {f"{model.provider}:{model.id}" for model in current_models()}
    have = {model for model, *_ in _read()["models"]}
    assert len(have) >= 100
    assert have <= known
    assert all(len(sources) >= 2 for _, effort, *_, sources in _read()["models"] if not effort)
    assert all(sources for *_, sources in _read()["models"])


def test_better_models_have_better_profiles() -> None:
    order = ["openai:gpt-4o-mini", "openai:gpt-4o", "openai:gpt-5-mini", "openai:gpt-5.5"]
    means = [profile(model).mean_accuracy for model in order]
    assert means == sorted(means)
    assert 0.4 < means[0] < means[-1] < 0.97


def test_effort_is_part_of_a_model() -> None:
    efforts = ["minimal", "low", "high"]
    assert [profile("openai:gpt-5-mini", effort).mean_accuracy for effort in efforts] == sorted(
        profile("openai:gpt-5-mini", effort).mean_accuracy for effort in efforts
    )
    low, plain, high = (profile("openai:gpt-5", effort).mean_accuracy for effort in ("low", None, "high"))
    assert low < plain + 0.002 < high
    unscored = linked("openai:gpt-4o", "high")
    assert unscored is not None
    assert not unscored.exact, "the model in general stands in for an effort that no source has scored"


def test_fewer_scores_are_believed_less() -> None:
    def questions(model: str) -> float:
        return float(np.mean([result.count for result in profile(model).results]))

    for price in (0.3, 1.0, 3.0, 15.0, None):
        unknown = Candidate(id="unknown", price_out=price)
        average = linked_capability(unknown, expected(unknown))
        assert np.mean([result.count for result in average.results]) < 0.6 * questions("openai:gpt-4o"), price


def test_a_model_without_scores_is_as_good_as_others_of_its_price_and_age() -> None:
    old, new = (
        expected(Candidate(id="m", price_out=1.0, released=day, reasoning=reasoning))
        for day, reasoning in ((date(2024, 6, 1), False), (date(2026, 6, 1), True))
    )
    assert old.ability + 1.0 < new.ability, "two years and reasoning are more than a standard deviation"
    cheap, dear = (expected(Candidate(id="m", price_out=price)) for price in (0.3, 15.0))
    assert cheap.ability < dear.ability
    assert new.deviation < dear.deviation < expected(Candidate(id="m")).deviation
    assert linked("nobody:knows-it") is None


def test_an_effort_moves_what_is_expected_of_a_model() -> None:
    efforts = ["minimal", "low", "medium", "high"]
    found = [expected(Candidate(id="m", price_out=1.0, effort=effort)) for effort in efforts]
    assert [one.ability for one in found] == sorted({one.ability for one in found})
    assert found[0].deviation > expected(Candidate(id="m", price_out=1.0)).deviation


def test_more_effort_is_never_less_able() -> None:
    for model in sorted({model for model, *_ in _read()["models"]}):
        abilities = [found.ability for effort in EFFORTS if (found := linked(model, effort)) is not None]
        assert abilities == sorted(abilities), model


def test_a_release_that_no_source_says_is_expected_by_the_version() -> None:
    def day(name: str) -> date:
        found = find_model(name)
        assert found is not None
        released = expected_release(found)
        assert released is not None
        return released

    assert day("gpt-5") == date(2025, 8, 7), "as its source has it"
    unsaid = find_model("openai:gpt-6-sol")
    assert unsaid is not None
    assert unsaid.released is None
    assert day("openai:gpt-5.5") < day("openai:gpt-6-sol") < date.fromisoformat(facts_as_of())
    assert day("gemini-1-5-pro") <= day("gemini-2.0-flash")
    nameless = find_model("openai:chat-latest")
    assert nameless is not None
    assert expected_release(nameless) is None


def test_a_model_that_another_maker_serves_has_the_scores_of_its_own_makers() -> None:
    assert linked("alibaba:glm-5.2") == linked("zai:glm-5.2") is not None
    assert linked("openai:gpt-3-5-turbo-instruct") is None, "another model than gpt-3.5-turbo"


def test_the_shipped_links_are_built_from_the_data() -> None:
    if not (SHARED / "more" / "scores-livebench.parquet").is_file():
        pytest.skip(f"{SHARED}/more is not there")
    built = build_links(read_scores(SHARED / "more"), _read()["as_of"])
    assert built["interval_scale"] == pytest.approx(_read()["interval_scale"], abs=0.01)
    assert [entry[:2] for entry in built["models"]] == [entry[:2] for entry in _read()["models"]]
    np.testing.assert_allclose([e[2] for e in built["models"]], [e[2] for e in _read()["models"]], atol=0.01)
    np.testing.assert_allclose(built["expected"]["weights"], _read()["expected"]["weights"], atol=0.01)
    assert built["efforts"] == pytest.approx(_read()["efforts"], abs=0.01)


@pytest.mark.parametrize(
    ("source", "task", "counts"),
    [
        ("eee", "GPQA - EM", True),
        ("eee", "GPQA - # output tokens", False),
        ("eee", "MMLU - # eval", False),
        ("eee", "BoolQ - truncated", False),
        ("eee", "CNN/DailyMail - Compression", False),
        ("eee", None, True),
        ("benchpress", "GPQA Diamond", True),
        ("benchpress", "FActScore (hallucination rate)", False),
        ("benchpress", None, True),
    ],
)
def test_counts_and_rates_of_error_are_no_accuracies(source: str, task: str | None, counts: bool) -> None:
    """They are in [0, 1] as well, are easy to predict, and made the intervals of everything else too narrow."""
    row = {"benchmark": "helm_lite", "task": task, "lower_is_better": False}
    assert SOURCES[source](row) is counts
