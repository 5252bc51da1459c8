"""A call costs what its provider asks for a prompt of its length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cit_core.candidate import Candidate, PriceTier
from cit_core.errors import InvalidInput

LONG = Candidate(
    id="long",
    price_in=1.0,
    price_out=10.0,
    price_cached=0.1,
    price_tiers=[
        PriceTier(above=128_000, price_in=3.0, price_out=20.0),
        {"above": 32_000, "price_in": 2.0, "price_out": 15.0, "price_cached": 0.2},
    ],
)


def test_expected_cost_needs_both_prices() -> None:
    assert Candidate(id="m", price_in=2.0, price_out=10.0).expected_cost(500, 100) == pytest.approx(0.002)
    assert Candidate(id="m", price_in=0.0, price_out=0.0).expected_cost(500, 100) == 0.0
    assert Candidate(id="m", price_in=2.0).expected_cost(500, 100) is None
    assert Candidate(id="m", price_out=2.0).expected_cost(500, 100) is None


@pytest.mark.parametrize(
    ("prompt", "cached", "expected"),
    [
        (32_000, 0, 0.032 + 0.01),
        (32_001, 0, 0.064002 + 0.015),
        (32_001, 32_000, 0.000002 + 0.0064 + 0.015),
        (128_000, 0, 0.256 + 0.015),
        (200_000, 100_000, 0.6 + 0.02),
    ],
)
def test_a_long_prompt_has_the_prices_of_its_tier_for_the_whole_call(prompt, cached, expected):
    assert LONG.expected_cost(prompt, 1_000, cached) == pytest.approx(expected)


@given(st.integers(0, 300_000), st.integers(0, 300_000), st.integers(0, 10_000))
def test_a_longer_prompt_never_costs_less(one, other, answer):
    short, long = sorted((one, other))
    assert LONG.expected_cost(short, answer) <= LONG.expected_cost(long, answer)


@pytest.mark.parametrize(("write", "expected"), [(None, 2.0), (2.5, 2.5), (0.0, 0.0)])
def test_what_is_written_to_a_cache_has_its_own_price_which_may_be_nothing(write, expected):
    candidate = Candidate(id="m", price_in=2.0, price_out=1.0, price_cache_write=write)
    assert candidate.expected_cost(1_000_000, 0, stored_tokens=1_000_000) == pytest.approx(expected)


def test_a_tier_is_validated_and_named():
    with pytest.raises(InvalidInput, match=r"price_tiers\.0.*price_out"):
        Candidate(id="m", price_tiers=[{"above": 1, "price_in": 1.0}])
    assert Candidate.model_validate_json(LONG.model_dump_json()) == LONG
    assert hash(LONG)
