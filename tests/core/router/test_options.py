"""Options: what each door takes, and one style of error for what it does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from cit_core import Candidate, CapabilityStore, CITError, Constraints, CostAware, FakeScorer, Router, Threshold
from cit_core.errors import InvalidInput, StoreError, UnknownCandidate
from cit_core.router import Batching, Failover, Fallback, Sticky
from cit_core.router.options import (
    as_batching,
    as_constraints,
    as_context,
    as_fallback,
    as_policy,
    as_router,
    as_sticky,
    check_ids,
    check_options,
)

SECRET = "sk-proj-1234567890abcdef"


class Ghost:
    """An object whose repr would tell a secret."""

    def __repr__(self) -> str:
        return SECRET


@pytest.fixture
def router() -> Router:
    return Router(FakeScorer({"small": 0.4, "large": 0.9}), [Candidate(id="small"), Candidate(id="large")])


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/zoo.db"
    with CapabilityStore(url) as store:
        store.add_candidates([Candidate(id="small"), Candidate(id="large")])
    return url


def test_a_router_comes_as_itself_as_a_config_as_a_store_or_as_its_address(router: Router, store_url: str) -> None:
    assert as_router(router) is router
    assert [c.id for c in as_router({"store": store_url, "models": ["large"]}).candidates] == ["large"]
    assert {c.id for c in as_router(store_url).candidates} == {"small", "large"}
    with CapabilityStore(store_url) as store:
        assert {c.id for c in as_router(store).candidates} == {"small", "large"}


def test_a_policy_and_constraints_stand_in_place_of_the_routers_own(router: Router, store_url: str) -> None:
    dear = Router(router.scorer, router.candidates, policy="threshold:0.5", constraints={"deny": ["large"]})
    changed = as_router(dear, "cost:0.01")
    assert (changed.policy, changed.constraints) == (CostAware(0.01), dear.constraints)
    assert (dear.policy, changed.scorer) == (Threshold(0.5), dear.scorer)
    allowed = as_router(dear, constraints={"allow": ["large"]})
    assert (allowed.policy, allowed.route("hard").model) == (Threshold(0.5), "large")
    assert as_router(store_url, "cost:0.01").policy == CostAware(0.01)
    with pytest.raises(InvalidInput, match="no policy 'cheap'"):
        as_router(dear, "cheap")


def test_a_router_of_a_store_takes_the_address_too(store_url: str) -> None:
    scorer = FakeScorer({"small": 0.4, "large": 0.9})
    router = Router.from_store(store_url, scorer, policy="cost:0.01", constraints={"deny": ["large"]})
    assert router.policy == CostAware(0.01)
    assert router.constraints == Constraints(deny=frozenset({"large"}))


def test_an_address_that_leads_nowhere_is_an_error_of_the_store() -> None:
    with pytest.raises(StoreError):
        as_router("sqlite:////proc/no/such/zoo.db")


def test_a_policy_comes_as_itself_or_as_text() -> None:
    assert as_policy("threshold:0.7") == Threshold(0.7)
    assert as_policy(CostAware(0.01)) == CostAware(0.01)


def test_a_policy_of_ones_own_is_taken() -> None:
    class Cheapest:
        name = "cheapest"
        needs_prices = True

        def utility(self, scored: Any) -> tuple[float, ...]:
            return (-scored.cost,)

    mine = Cheapest()
    assert as_policy(mine) is mine
    with pytest.raises(InvalidInput, match="policy is type"):
        as_policy(Cheapest)


def test_constraints_come_as_themselves_or_as_a_mapping() -> None:
    assert as_constraints({"deny": ["a"], "max_price_in": 2}) == Constraints(deny=frozenset({"a"}), max_price_in=2)
    with pytest.raises(InvalidInput, match="denny: there is no such field; closest: deny"):
        as_constraints({"denny": ["a"]})


def test_sticky_fallback_and_batching_come_as_themselves_as_configs_or_not_at_all() -> None:
    sticky, fallback, batching = Sticky(0.2), Fallback(max_attempts=2), Batching(0.01)
    assert as_sticky(sticky) is sticky
    assert as_sticky(None) is None
    assert as_sticky("conversation") is not None
    assert as_sticky({"margin": 0.3}).margin == 0.3  # type: ignore[union-attr]
    assert as_fallback(fallback) is fallback
    assert as_fallback(None).max_attempts == Fallback().max_attempts
    assert as_fallback({"max_attempts": 1}).max_attempts == 1
    assert as_batching(batching) is batching
    assert as_batching(None) is None
    assert as_batching({"max_size": 8}) == Batching(max_size=8)


def test_failover_is_another_name_of_fallback() -> None:
    assert Failover is Fallback


def test_a_context_is_one_of_two() -> None:
    assert [as_context(given) for given in ("turn", "conversation")] == ["turn", "conversation"]


@pytest.mark.parametrize(
    "check", [as_router, as_policy, as_constraints, as_sticky, as_fallback, as_batching, as_context]
)
@pytest.mark.parametrize(
    "given",
    [5, 1.5, "nonsense", b"raw", ["a"], {"nonsense": 1}, {("a",): 1}, Ghost(), [Ghost()], SECRET, Ghost, 10**5000],
    ids=range(12),
)
def test_anything_else_is_an_error_of_ours_that_tells_no_secret(check: Callable[[Any], Any], given: Any) -> None:
    with pytest.raises(CITError) as raised:
        check(given)
    assert SECRET not in str(raised.value)
    assert len(str(raised.value)) < 500


def test_ids_are_those_of_the_router(router: Router) -> None:
    routes = {"small": print, "large": len}
    assert check_ids(routes, router) == routes
    with pytest.raises(UnknownCandidate, match="'smal' among the 2 in the router; closest: 'small'"):
        check_ids({"smal": print}, router)
    for nothing in ({}, None, ["small"], 5):
        with pytest.raises(InvalidInput, match="models must be a dict with at least one entry: candidate id to an LLM"):
            check_ids(nothing, router, what="models", kind="an LLM")


class Chat(BaseModel):
    """A model with two options."""

    temperature: float = 0.0
    window: int = Field(default=1, alias="n_ctx")


class Open(BaseModel):
    """A model which takes any option."""

    model_config = ConfigDict(extra="allow")


@pytest.mark.parametrize("given", [{"temperature": 1}, {"window": 2}, {"n_ctx": 2}, {"api_key": SECRET}, {}])
def test_options_are_fields_or_names_that_are_accepted_besides(given: Mapping[str, Any]) -> None:
    check_options(given, Chat, also={"api_key"})


def test_an_option_that_would_be_ignored_is_refused_without_its_value() -> None:
    with pytest.raises(InvalidInput, match="Chat has no option 'temprature'; closest: 'temperature'") as raised:
        check_options({"temprature": SECRET}, Chat)
    assert SECRET not in str(raised.value)
    check_options({"temprature": 1}, Open)


async def test_every_door_takes_a_policy_and_a_store_as_the_command_line_writes_them(sqlite_url: str) -> None:
    with CapabilityStore(sqlite_url) as store:
        store.add_candidates([Candidate(id="a", price_in=1, price_out=1)])
    for router in (
        Router.from_store(sqlite_url, policy="cost:0.01"),
        Router.from_models(["openai:gpt-5"], store=sqlite_url, policy="cost:0.01"),
        Router.from_pretrained(policy="cost:0.01"),
        Router(FakeScorer({"a": 0.5}), [Candidate(id="a")], policy="cost:0.01"),
    ):
        assert router.policy == CostAware(0.01)
    assert as_router(sqlite_url).candidates[0].id == "a"
    decision = router.route("q", policy="best", constraints={"deny": []})  # type: ignore[arg-type]
    assert decision.policy == "best"
    with pytest.raises(InvalidInput, match=r"store is 'zoo\.db'; it must be a CapabilityStore, the address of one"):
        Router.from_models(["openai:gpt-5"], store="zoo.db")


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ("openai:gpt-5", "pass a list of models"),
        (3, "models is 3; pass a list"),
        ([], "at least one model"),
        ({"fast": 3}, "the model of 'fast' is 3; it must be a name such as 'openai:gpt-5-mini'"),
        ([3], "a model is 3; it must be a name such as 'openai:gpt-5-mini', or a Candidate"),
    ],
)
def test_what_is_no_list_of_names_is_refused_at_once(models: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Router.from_models(models)
