"""The zoo of those who named none: alive, known, and of the makers whose keys there are."""

from __future__ import annotations

import pytest

from cit_core.catalogue.default_zoo import DEFAULT_ZOO, KEYS, keys_of, zoo_for
from cit_core.catalogue.facts import find_model
from cit_core.catalogue.resolve import resolve_models


def test_every_model_has_published_scores_a_price_and_no_announced_end() -> None:
    for one in resolve_models(DEFAULT_ZOO, strict=True):
        candidate = one.capability.candidate
        assert (one.basis, candidate.deprecated) == ("linked", None), candidate.id
        assert candidate.price_in, candidate.id
        assert (candidate.price_out or 0) > 0, candidate.id
    assert {name.partition(":")[0] for name in DEFAULT_ZOO} == set(KEYS)


def test_every_maker_has_a_cheap_and_a_strong_one() -> None:
    for provider in KEYS:
        prices = [model.price_out for name in zoo_for({KEYS[provider][-1]: "x"}) if (model := find_model(name))]
        assert len(prices) >= 2
        assert max(prices) > 2 * min(prices)


@pytest.mark.parametrize(
    ("environment", "keys"),
    [
        ({}, {}),
        ({"OPENAI_API_KEY": ""}, {}),
        ({"SOME_API_KEY": "x"}, {}),
        (
            {"OPENAI_API_KEY": "x", "GEMINI_API_KEY": "y"},
            {"openai": "OPENAI_API_KEY", "google_genai": "GEMINI_API_KEY"},
        ),
        ({"GOOGLE_API_KEY": "x", "GEMINI_API_KEY": "y"}, {"google_genai": "GOOGLE_API_KEY"}),
    ],
)
def test_keys_in_the_environment_say_which(environment: dict[str, str], keys: dict[str, str]) -> None:
    assert keys_of(environment) == keys
    zoo = zoo_for(environment)
    assert {name.partition(":")[0] for name in zoo} == (set(keys) or set(KEYS))
    assert [name for name in DEFAULT_ZOO if name in zoo] == list(zoo)
