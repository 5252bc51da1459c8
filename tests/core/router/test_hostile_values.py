"""Whatever comes in at a public constructor: a value, or an error of ours. Nothing else, and no secret in it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cit_core import (
    Best,
    Candidate,
    Capability,
    CITError,
    Constraints,
    CostAware,
    Decision,
    FakeScorer,
    Item,
    Outcome,
    Router,
    Task,
    Threshold,
    load_scorer,
)
from cit_core.calibration import Calibration
from cit_core.capability import capability_from_outcomes, capability_from_results
from cit_core.policy import QueryFacts, parse_policy
from cit_core.records import QueryReference, Suite, TaskResult, Usage
from cit_core.router import Batching, Fallback, Query, Sticky
from cit_core.router.options import as_router
from cit_core.router.serialization import fallback_from_config, router_from_config, sticky_from_config

SECRET = "sk-proj-1234567890abcdef"


class Ghost:
    """An object of a user, whose repr tells a secret."""

    def __repr__(self) -> str:
        return SECRET


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


DEEP = nested(2000)
NASTY = [
    None,
    True,
    -1,
    0,
    2**63,
    10**400,
    10**5000,
    -(10**5000),
    float("nan"),
    float("inf"),
    -float("inf"),
    "",
    "a\x00b",
    "half \ud800",
    "x" * 5000,
    "9" * 5000,
    "\x1b]0;title\x07",
    SECRET,
    b"raw",
    [],
    [[]],
    ["a", ["b"]],
    {},
    {"a": {}},
    {"a": [1]},
    {1: 2},
    {("a",): 1},
    {"x" * 5000: 1},
    DEEP,
    Ghost(),
    [Ghost()],
    {"a": Ghost()},
    Ghost,
    object(),
    1j,
]
SHOWABLE = [value for value in NASTY if not (isinstance(value, int) and abs(value) > 10**4000) and value is not DEEP]
"""What Hypothesis can print."""
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(SHOWABLE)
    | st.floats()
    | st.text(st.characters(codec=None), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ZOO = [Candidate(id="a", price_in=1, price_out=1), Candidate(id="b")]
ROUTER = Router(FakeScorer({"a": 0.5, "b": 0.6}), ZOO)
TASK = Task(id="t", keywords=("k",))

RECORDS = [Candidate, Task, Item, Outcome, Suite, TaskResult, Usage, Capability, Decision, QueryReference]
OPTIONS = [QueryFacts, Constraints, Batching]
DOORS: dict[str, Callable[[Any], Any]] = {
    "Threshold": Threshold,
    "CostAware": CostAware,
    "parse_policy": parse_policy,
    "Sticky.margin": Sticky,
    "Sticky.remembered": lambda value: Sticky(remembered=value),
    "Sticky.conversation": Sticky().conversation,
    "Fallback.fallback_on": Fallback,
    "Fallback.max_attempts": lambda value: Fallback(max_attempts=value),
    "Fallback.failures": lambda value: Fallback(failures=value),
    "Fallback.cool_down_s": lambda value: Fallback(cool_down_s=value),
    "Query.text": lambda value: ROUTER.decide(Query(value)),
    "Query.facts": lambda value: ROUTER.decide(Query("q", value)),
    "Query.policy": lambda value: ROUTER.decide(Query("q", policy=value)),
    "Query.constraints": lambda value: ROUTER.decide(Query("q", constraints=value)),
    "Query.model": lambda value: ROUTER.decide(Query("q", model=value)),
    "Query.conversation": lambda value: ROUTER.decide(Query("q", conversation=value)),
    "Query.excluded": lambda value: ROUTER.decide(Query("q", excluded=value)),
    "Router.scorer": lambda value: Router(value, ZOO),
    "Router.candidates": lambda value: Router(FakeScorer({}), value),
    "Router.policy": lambda value: Router(FakeScorer({}), ZOO, policy=value),
    "Router.constraints": lambda value: Router(FakeScorer({}), ZOO, constraints=value),
    "Router.store_version": lambda value: Router(FakeScorer({}), ZOO, store_version=value),
    "Router.completion_tokens": lambda value: Router(FakeScorer({}), ZOO, completion_tokens=value),
    "Router.excluded": lambda value: Router(FakeScorer({}), ZOO, excluded=value),
    "Router.feedback": lambda value: Router(FakeScorer({}), ZOO, feedback=value),
    "Router.batching": lambda value: Router(FakeScorer({}), ZOO, batching=value),
    "route": ROUTER.route,
    "route.facts": lambda value: ROUTER.route("q", facts=value),
    "route.policy": lambda value: ROUTER.route("q", policy=value),
    "route.constraints": lambda value: ROUTER.route("q", constraints=value),
    "route_many": ROUTER.route_many,
    "route_many.facts": lambda value: ROUTER.route_many(["q"], facts=value),
    "decide": ROUTER.decide,
    "decide_many": lambda value: ROUTER.decide_many(value),
    "from_pretrained": Router.from_pretrained,
    "from_pretrained.models": lambda value: Router.from_pretrained(models=value or ["nobody"]),
    "from_store": Router.from_store,
    "as_router": as_router,
    "router_from_config": router_from_config,
    "sticky_from_config": sticky_from_config,
    "fallback_from_config": fallback_from_config,
    "FakeScorer": lambda value: callable(value) or Router(FakeScorer(value), ZOO).route("q"),
    "load_scorer": load_scorer,
    "Calibration": Calibration,
    "feedback": lambda value: ROUTER.feedback(value, "a", 1.0),
    "capability_from_outcomes": lambda value: capability_from_outcomes(ZOO[0], [TASK], value),
    "capability_from_outcomes.correct": lambda value: capability_from_outcomes(ZOO[0], [TASK], [("t", value)]),
    "capability_from_results": lambda value: capability_from_results(ZOO[0], [TASK], {"t": value}),
    **{f"{kind.__name__}.model_validate": kind.model_validate for kind in RECORDS},
}


def refuses(door: Callable[[], Any]) -> None:
    """Call it: a value or an error of ours, of bounded length, of plain text, without a secret."""
    try:
        door()
    except CITError as error:
        said = str(error)
        assert SECRET not in said
        assert "\x1b" not in said
        assert len(said) < 5000
        said.encode()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("value", NASTY, ids=range(len(NASTY)))
def test_every_door_gives_a_value_or_an_error_of_ours(
    door: str, value: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refuses(lambda: DOORS[door](value))


@pytest.mark.parametrize("kind", [*RECORDS, *OPTIONS], ids=lambda kind: kind.__name__)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_field_gives_a_value_or_an_error_of_ours(kind: Any, data: st.DataObject) -> None:
    names = list(getattr(kind, "model_fields", None) or kind.__dataclass_fields__)
    fields = data.draw(st.dictionaries(st.sampled_from([*names, "api_key"]), JSON, max_size=4))
    refuses(lambda: kind(**fields))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    config=st.dictionaries(
        st.sampled_from(["store", "suite", "evidence", "models", "policy", "constraints", "batching", "api_key"]),
        JSON,
        max_size=4,
    )
)
def test_every_config_gives_a_router_or_an_error_of_ours(config: dict[str, Any]) -> None:
    for made in (router_from_config, sticky_from_config, fallback_from_config):
        refuses(lambda made=made: made({**config, "checkpoint": 7} if made is router_from_config else config))


@pytest.mark.parametrize(
    "door",
    [
        lambda: Candidate(id="a", api_key="hunter2-hunter2"),  # type: ignore[call-arg]
        lambda: Candidate.model_validate({"id": "a", "api_key": "hunter2-hunter2"}),
        lambda: router_from_config({"store": "postgresql://u:hunter2-hunter2@h/d", "batching": "hunter2-hunter2"}),
        lambda: router_from_config({"checkpoint": "mini", "api_key": "hunter2-hunter2"}),
        lambda: router_from_config({"checkpoint": "mini", "policy": "hunter2-hunter2"}),
        lambda: router_from_config(
            {"checkpoint": "mini", "models": 5, "constraints": {"max_price_in": "hunter2-hunter2"}}
        ),
        lambda: router_from_config({"store": "hunter2-hunter2"}),
        lambda: router_from_config("hunter2-hunter2"),  # type: ignore[arg-type]
        lambda: sticky_from_config({"api_key": "hunter2-hunter2"}),
        lambda: fallback_from_config({"api_key": "hunter2-hunter2"}),
    ],
    ids=range(10),
)
def test_a_secret_in_the_wrong_place_is_not_repeated(door: Callable[[], Any]) -> None:
    with pytest.raises(CITError) as raised:
        door()
    assert "hunter2" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_deep_json_is_refused_by_the_records() -> None:
    deep = '{"id": ' + "[" * 100_000 + "]" * 100_000 + "}"
    for text in (deep, '{"id": "a", "context_window": ' + "9" * 5000 + "}", "\ud800", '{"id": "\\ud800"}', "{"):
        with pytest.raises(CITError):
            Candidate.model_validate_json(text)


def test_numbers_with_too_many_digits_are_told_by_their_size() -> None:
    assert sys.get_int_max_str_digits() < 5000
    with pytest.raises(CITError, match="an integer of 16,610 bits"):
        Candidate(id="a", context_window=10**5000)
    assert ROUTER.route("q", policy=Best()).model == "b"
