"""Constraints exclude with a reason, policies choose as their docs say; ties and prices hold no surprise."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cit_core.errors import CITError, InvalidInput, NoCandidate
from cit_core.policy import (
    HELP,
    Best,
    Constraints,
    CostAware,
    Policy,
    Quality,
    QueryFacts,
    Scored,
    Threshold,
    as_policy,
    parse_policy,
    rank,
)
from cit_core.records import Candidate, PriceTier, Ranked

FULL = Candidate(
    id="full",
    context_window=1000,
    price_in=1.0,
    price_out=2.0,
    modalities=("text",),
    tools=False,
    structured_output=False,
    price_tiers=(PriceTier(above=500, price_in=3.0, price_out=6.0),),
)
BARE = Candidate(id="bare")
"""Of whom nothing is known."""


def scored(**numbers: tuple[float, float | None]) -> list[Scored]:
    """Candidate id = (probability, cost)."""
    return [Scored(Candidate(id=id_), probability, cost) for id_, (probability, cost) in numbers.items()]


def order(entries: list[Scored], policy: Policy) -> list[str]:
    return [ranked.model for ranked in rank(entries, policy, {})[0]]


cents = st.integers(0, 20).map(lambda n: n / 100)
probabilities = st.integers(0, 20).map(lambda n: n / 20)
zoos = st.lists(st.tuples(probabilities, cents), min_size=1, max_size=8).map(
    lambda numbers: [Scored(Candidate(id=f"m{n}"), *pair) for n, pair in enumerate(numbers)]
)
policies = st.one_of(st.just(Best()), st.floats(0, 1).map(Threshold), st.floats(1e-6, 1e6).map(CostAware))

# -- constraints ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("constraints", "query", "reason"),
    [
        (Constraints(allow=frozenset({"other"})), QueryFacts(), "not in the allowed list"),
        (Constraints(deny=frozenset({"full"})), QueryFacts(), "denied"),
        (Constraints(max_price_in=0.5), QueryFacts(), "price_in 1.0 is above 0.5 USD per 1M tokens"),
        (Constraints(max_price_out=1.5), QueryFacts(), "price_out 2.0 is above 1.5 USD per 1M tokens"),
        (Constraints(max_price_in=1.0), QueryFacts(tokens=501), "price_in 3.0 is above 1.0 USD per 1M tokens"),
        (Constraints(tools=True), QueryFacts(), "cannot call tools"),
        (Constraints(), QueryFacts(tools=True), "cannot call tools"),
        (Constraints(structured_output=True), QueryFacts(), "cannot follow a schema"),
        (Constraints(), QueryFacts(structured_output=True), "cannot follow a schema"),
        (Constraints(modalities=frozenset({"image"})), QueryFacts(), "cannot read image"),
        (
            Constraints(modalities=frozenset({"image"})),
            QueryFacts(modalities=frozenset({"audio", "text"})),
            "cannot read audio, image",
        ),
    ],
)
def test_each_constraint_excludes_with_its_reason_and_never_what_is_not_known(
    constraints: Constraints, query: QueryFacts, reason: str
) -> None:
    assert constraints.reason_against(FULL, query) == reason
    unknown = BARE if constraints.allow is None else Candidate(id="other")
    assert constraints.exclude([FULL, unknown], query) == {"full": reason}


@pytest.mark.parametrize(
    "constraints",
    [
        Constraints(),
        Constraints(allow=frozenset({"full"}), deny=frozenset({"bare"})),
        Constraints(max_price_in=1.0, max_price_out=2.0),
        Constraints(max_price_in=math.inf),
        Constraints(modalities=frozenset({"text"})),
    ],
)
def test_who_is_just_within_a_constraint_is_not_excluded(constraints: Constraints) -> None:
    assert constraints.exclude([FULL]) == {}


def test_a_longer_query_goes_to_longer_context_windows() -> None:
    zoo = [FULL, Candidate(id="long", context_window=2000), BARE]
    assert Constraints().exclude(zoo, QueryFacts(tokens=1000)) == {}
    reason = "context window of 1000 tokens is shorter than the query (about 1001)"
    assert Constraints().exclude(zoo, QueryFacts(tokens=1001)) == {"full": reason}
    assert set(Constraints().exclude(zoo, QueryFacts(tokens=10**6))) == {"full", "long"}, "who knows about the bare one"


def test_length_alone_never_refuses_everybody() -> None:
    long = Candidate(id="long", context_window=2000)
    assert Constraints().exclude([FULL, long], QueryFacts(tokens=10**6)) == {}
    denied = Constraints(deny=frozenset({"long"})).exclude([FULL, long], QueryFacts(tokens=1500))
    assert denied == {"long": "denied"}, "the short one is all that is left"
    everyone = Constraints(deny=frozenset({"long", "full"})).exclude([FULL, long], QueryFacts(tokens=1500))
    assert everyone == {"long": "denied", "full": "denied"}


facts = st.none() | st.booleans()
candidates = st.builds(
    Candidate,
    id=st.sampled_from("abcdef"),
    context_window=st.none() | st.integers(1, 100),
    price_in=st.none() | cents,
    modalities=st.none() | st.sampled_from([("text",), ("text", "image")]),
    tools=facts,
    structured_output=facts,
)


@given(
    st.lists(candidates, min_size=1, max_size=6, unique_by=lambda candidate: candidate.id),
    st.builds(
        Constraints,
        allow=st.none() | st.frozensets(st.sampled_from("abcdef")),
        deny=st.frozensets(st.sampled_from("abcdef"), max_size=2),
        max_price_in=st.none() | cents,
        tools=st.booleans(),
    ),
    st.builds(QueryFacts, tokens=st.integers(0, 200), structured_output=st.booleans()),
)
def test_exactly_those_are_excluded_who_have_a_reason(
    zoo: list[Candidate], constraints: Constraints, query: QueryFacts
) -> None:
    reasons = constraints.exclude(zoo, query)
    for candidate in zoo:
        own = constraints.reason_against(candidate, query)
        found = reasons.get(candidate.id)
        assert found == own or (own is None and found is not None and "context window" in found)
    refused = {c.id for c in zoo if constraints.reason_against(c, query) is not None}
    assert len(reasons) < len(zoo) or len(refused) == len(zoo), "length alone leaves somebody"
    assert constraints.exclude(zoo[::-1], query) == reasons


def test_lists_become_sets_and_a_single_text_is_refused() -> None:
    assert Constraints(allow=["a"], deny=("b",), modalities=["image"]) == Constraints(  # type: ignore[arg-type]
        allow=frozenset("a"), deny=frozenset("b"), modalities=frozenset({"image"})
    )
    assert QueryFacts(modalities={"image"}) == QueryFacts(modalities=frozenset({"image"}))  # type: ignore[arg-type]
    for name in ("allow", "deny", "modalities"):
        with pytest.raises(InvalidInput, match=rf"{name} is one text, 'gpt-4o'; it must be a set: {{'gpt-4o'}}"):
            Constraints(**{name: "gpt-4o"})  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [math.nan, -1, "0.5"])
def test_a_limit_that_is_no_price_is_refused(limit: Any) -> None:
    for name in ("max_price_in", "max_price_out"):
        with pytest.raises(InvalidInput, match=f"{name} is {limit!r}; it must be a number, 0 or more"):
            Constraints(**{name: limit})
    with pytest.raises(InvalidInput, match=f"tokens is {limit!r}"):
        QueryFacts(tokens=limit)


# -- best -------------------------------------------------------------------------------------------------------------


def test_best_is_the_most_likely_then_the_cheaper_then_the_first_by_id() -> None:
    zoo = scored(d=(0.8, 0.1), c=(0.9, 0.2), b=(0.9, 0.1), a=(0.9, None), e=(0.9, 0.1))
    assert order(zoo, Best()) == ["b", "e", "c", "a", "d"]


def test_best_needs_no_price() -> None:
    ranking, reasons = rank(scored(a=(0.1, None), b=(0.2, None)), Best(), {})
    assert [ranked.model for ranked in ranking] == ["b", "a"]
    assert ranking[0] == Ranked(model="b", probability=0.2, expected_cost_usd=None, utility=0.2)
    assert reasons == {}


# -- threshold --------------------------------------------------------------------------------------------------------


@given(zoos, probabilities)
def test_threshold_is_the_cheapest_that_is_good_enough_or_else_the_best(zoo: list[Scored], tau: float) -> None:
    chosen = next(entry for entry in zoo if entry.candidate.id == order(zoo, Threshold(tau))[0])
    enough = [entry for entry in zoo if entry.probability >= tau]
    if enough:
        assert chosen.probability >= tau
        assert chosen.cost == min(entry.cost for entry in enough if entry.cost is not None)
        rivals = [entry.probability for entry in enough if entry.cost == chosen.cost]
        assert chosen.probability == max(rivals), "of two as cheap the more likely"
    else:
        assert chosen.probability == max(entry.probability for entry in zoo)


@given(zoos)
def test_threshold_0_is_the_cheapest_and_above_everybody_the_best(zoo: list[Scored]) -> None:
    by_cost = sorted(zoo, key=lambda entry: (entry.cost, -entry.probability, entry.candidate.id))
    assert order(zoo, Threshold(0)) == [entry.candidate.id for entry in by_cost]
    low = [Scored(entry.candidate, entry.probability * 0.99, entry.cost) for entry in zoo]
    assert order(low, Threshold(1)) == order(low, Best())


def test_threshold_ranks_everyone_who_is_good_enough_above_the_rest() -> None:
    zoo = scored(a=(0.69, 0.0), b=(0.7, 0.5), c=(0.99, 0.6), d=(0.5, 0.0))
    ranking, _ = rank(zoo, Threshold(0.7), {})
    assert [(ranked.model, ranked.utility) for ranked in ranking] == [("b", 1), ("c", 1), ("a", 0), ("d", 0)]


# -- cost -------------------------------------------------------------------------------------------------------------


@given(zoos, st.floats(0.001, 1000))
def test_cost_is_the_highest_worth_less_cost(zoo: list[Scored], value: float) -> None:
    ranking, _ = rank(zoo, CostAware(value), {})
    utilities = {entry.candidate.id: value * entry.probability - (entry.cost or 0.0) for entry in zoo}
    assert ranking[0].utility == max(utilities.values())
    assert [ranked.utility for ranked in ranking] == sorted(utilities.values(), reverse=True)
    assert {ranked.model: ranked.utility for ranked in ranking} == utilities


@given(zoos)
def test_cost_with_a_huge_worth_is_best_and_with_a_tiny_one_the_cheapest(zoo: list[Scored]) -> None:
    assert order(zoo, CostAware(1e300)) == order(zoo, Best())
    assert order(zoo, CostAware(1e-9)) == order(zoo, Threshold(0))


def test_cost_trades_a_worth_against_a_price() -> None:
    zoo = scored(small=(0.6, 0.001), large=(0.8, 0.011))  # 0.2 more likely for one cent more: worth it above 5 cents
    assert order(zoo, CostAware(0.049)) == ["small", "large"]
    assert order(zoo, CostAware(0.051)) == ["large", "small"]


# -- all policies -----------------------------------------------------------------------------------------------------


@given(zoos, policies, st.data())
def test_a_ranking_holds_everybody_who_is_not_excluded_once_in_any_order_of_the_zoo(
    zoo: list[Scored], policy: Policy, data: Any
) -> None:
    out = data.draw(st.sets(st.sampled_from([entry.candidate.id for entry in zoo]), max_size=len(zoo) - 1))
    excluded = dict.fromkeys(out, "denied")
    ranking, reasons = rank(zoo, policy, excluded)
    assert sorted([*(ranked.model for ranked in ranking), *out]) == sorted(entry.candidate.id for entry in zoo)
    assert reasons == excluded
    given_ = {entry.candidate.id: (entry.probability, entry.cost) for entry in zoo}
    assert all((ranked.probability, ranked.expected_cost_usd) == given_[ranked.model] for ranked in ranking)
    assert rank(data.draw(st.permutations(zoo)), policy, excluded) == (ranking, reasons)


@pytest.mark.parametrize("policy", [Threshold(0.5), CostAware(0.02)])
def test_who_has_no_price_is_excluded_with_the_command_that_helps(policy: Policy) -> None:
    ranking, reasons = rank(scored(a=(0.9, None), b=(0.1, 0.1), c=(0.9, None)), policy, {"c": "denied"})
    assert [ranked.model for ranked in ranking] == ["b"]
    assert reasons["c"] == "denied", "the first reason stays"
    assert f"policy {policy.name} needs one" in reasons["a"]
    assert "`cit models add a --price-in 0.15 --price-out 0.6`" in reasons["a"]
    with pytest.raises(NoCandidate, match="a: no price is known") as caught:
        rank(scored(a=(0.9, None)), policy, {"d": "denied"})
    assert set(caught.value.reasons) == {"a", "d"}


def test_nobody_left_is_an_error_with_every_reason() -> None:
    with pytest.raises(NoCandidate) as caught:
        rank(scored(a=(0.9, 1), b=(0.1, 1)), Best(), {"a": "denied", "b": "cannot read image"})
    assert caught.value.reasons == {"a": "denied", "b": "cannot read image"}


def test_what_was_passed_as_excluded_is_left_alone() -> None:
    excluded: dict[str, str] = {}
    rank(scored(a=(0.9, None), b=(0.1, 0.1)), Threshold(0.5), excluded)
    assert excluded == {}


@given(
    st.sampled_from([0.7, 0.0, 1.0]) | st.floats(0, 1), st.floats(min_value=0, exclude_min=True, allow_infinity=False)
)
def test_a_policy_can_be_read_back_from_its_name(tau: float, value: float) -> None:
    for policy in (Best(), Threshold(tau), CostAware(value)):
        assert parse_policy(policy.name) == policy


def test_the_names_are_short_where_that_is_exact() -> None:
    assert [policy.name for policy in (Best(), Threshold(0.7), Threshold(1.0), CostAware(0.02), CostAware(1 / 3))] == [
        "best",
        "threshold:0.7",
        "threshold:1",
        "cost:0.02",
        "cost:0.3333333333333333",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "worst",
        "Best",
        "best:0.5",
        "threshold",
        "threshold:",
        "threshold:high",
        "cost",
        "cost:",
        "cost:cheap",
        ":1",
        "0.7",
    ],
)
def test_what_is_no_policy_is_refused_with_those_that_are(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_policy(text)
    assert str(caught.value) == f"no policy {text!r}; use {HELP}"


@pytest.mark.parametrize("tau", [-0.1, 1.1, math.nan, math.inf, "0.7", None])
def test_a_threshold_is_a_probability(tau: Any) -> None:
    with pytest.raises(InvalidInput, match=r"needs a probability between 0 and 1, got .*; try threshold:0\.7"):
        Threshold(tau)


@pytest.mark.parametrize("value", [0, -0.01, math.nan, math.inf, "0.02", None])
def test_a_right_answer_is_worth_something_finite(value: Any) -> None:
    with pytest.raises(
        InvalidInput, match=r"needs the worth of a correct answer in USD, above 0, got .*; try cost:0\.02"
    ):
        CostAware(value)


@pytest.mark.parametrize("text", ["threshold:-0.1", "threshold:1.1", "threshold:nan", "cost:0", "cost:-1", "cost:inf"])
def test_a_number_that_cannot_be_is_refused_when_read_too(text: str) -> None:
    with pytest.raises(InvalidInput, match=f"{text.partition(':')[0]} needs"):
        parse_policy(text)


# -- quality, risk, time, functions -----------------------------------------------------------------------------------


def test_quality_takes_the_cheapest_that_keeps_its_share_on_every_query() -> None:
    entries = scored(strong=(0.9, 0.01), middle=(0.885, 0.004), weak=(0.5, 0.0001))
    assert order(entries, Quality(0.98)) == ["middle", "strong", "weak"]
    assert order(entries, Quality(1.0))[0] == "strong"
    assert order(entries, Quality(0.5))[0] == "weak"
    assert order(entries, Quality(0.98, value=0.001)) == order(entries, CostAware(0.001))


def test_risk_takes_off_what_is_not_known_of_a_level() -> None:
    known, guessed = Candidate(id="known"), Candidate(id="guessed")
    entries = [Scored(known, 0.70, 0.01, None, 0.01), Scored(guessed, 0.75, 0.01, None, 0.10)]
    assert order(entries, Best()) == ["guessed", "known"]
    assert order(entries, Best(risk=1)) == ["known", "guessed"]
    assert order(entries, CostAware(1.0, risk=1)) == ["known", "guessed"]


def test_time_has_a_price_and_unknown_time_is_the_mean_of_the_others() -> None:
    fast, slow, silent = (Candidate(id=id_) for id_ in ("fast", "slow", "silent"))
    entries = [Scored(fast, 0.7, 0.0, 1.0), Scored(slow, 0.8, 0.0, 9.0), Scored(silent, 0.72, 0.0, None)]
    assert order(entries, CostAware(1.0)) == ["slow", "silent", "fast"]
    assert order(entries, CostAware(1.0, time=0.1)) == ["fast", "silent", "slow"]


def test_a_function_is_a_policy() -> None:
    entries = scored(a=(0.9, 0.01), b=(0.8, 0.001))
    assert order(entries, as_policy(lambda one: -one.cost)) == ["b", "a"]
    assert order(entries, as_policy(lambda one: (1, one.probability))) == ["a", "b"]
    with pytest.raises(CITError, match="the policy function:<lambda> returned None; it must be a number"):
        order(entries, as_policy(lambda one: None))
    with pytest.raises(CITError, match=r"the policy function:<lambda> failed \(ZeroDivisionError\)"):
        order(entries, as_policy(lambda one: 1 / 0))
