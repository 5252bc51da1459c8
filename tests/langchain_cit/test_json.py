"""A router as JSON and back: its own config, and LangChain's serialisation."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from langchain_core._api import LangChainBetaWarning
from langchain_core.language_models import FakeListChatModel
from langchain_core.load import dumpd, load
from langchain_core.prompts import ChatPromptTemplate, HumanMessagePromptTemplate, PromptTemplate
from langchain_core.runnables import RunnablePassthrough, RunnableSequence
from langchain_openai import ChatOpenAI

from cit_core import Best, CapabilityStore, Constraints, Threshold
from cit_core.errors import InvalidInput
from cit_core.records import Candidate
from cit_core.router import Batching, FakeScorer, Fallback, Router, Sticky
from cit_core.router.loading import Origin
from cit_core.router.serialization import fallback_from_config, fallback_to_config, router_from_config, router_to_config
from langchain_cit import ChatCIT, RunnableRouter

SMALL, LARGE = "Meta-Llama-3.1-8B-Instruct", "gemini-1.5-pro-002"

THEIRS = [ChatPromptTemplate, HumanMessagePromptTemplate, PromptTemplate, RunnableSequence, RunnablePassthrough]


class OwnError(Exception):
    """For `fallback_on`."""


@pytest.fixture(scope="module")
def shipped() -> Router:
    return Router.from_pretrained(
        models=[SMALL, LARGE],
        policy=Threshold(0.5),
        constraints=Constraints(max_price_out=99.0, modalities=frozenset({"text"})),
        batching=Batching(0.0, 7),
    )


@pytest.fixture
def routes() -> dict[str, Any]:
    return {SMALL: FakeListChatModel(responses=["s"]), LARGE: FakeListChatModel(responses=["l"])}


@pytest.fixture
def routing(shipped, routes) -> RunnableRouter:
    return RunnableRouter(
        routes,
        shipped,
        query_key="q",
        context="conversation",
        sticky=Sticky(0.3, remembered=5),
        fallback=Fallback((OwnError, TimeoutError), max_attempts=2, failures=4, cool_down_s=9.0),
        name="mine",
    )


def same(one: RunnableRouter, other: RunnableRouter) -> bool:
    return one.to_config() == other.to_config()


def test_a_router_comes_back_from_its_config(routing, routes) -> None:
    config = json.loads(json.dumps(routing.to_config()))
    assert config == {
        "routes": [SMALL, LARGE],
        "router": {
            "checkpoint": "mini",
            "evidence": True,
            "models": [SMALL, LARGE],
            "policy": "threshold:0.5",
            "constraints": {"max_price_out": 99.0, "modalities": ["text"]},
            "batching": {"max_wait_s": 0.0, "max_size": 7},
            "default": None,
            "strict": False,
        },
        "query_key": "q",
        "context": "conversation",
        "sticky": {"margin": 0.3, "remembered": 5},
        "fallback": {
            "fallback_on": [f"{__name__}:OwnError", "builtins:TimeoutError"],
            "max_attempts": 2,
            "failures": 4,
            "cool_down_s": 9.0,
            "long_cool_down_s": 600.0,
            "timeout_s": None,
            "attempt_timeout_s": None,
            "first_token_timeout_s": None,
            "sdk_retries": None,
        },
        "unable": {},
        "default": None,
        "strict": None,
        "name": "mine",
    }
    again = RunnableRouter.from_config(config, routes)
    assert same(again, routing)
    assert again.fallback.fallback_on == (OwnError, TimeoutError)
    assert again.router.constraints == routing.router.constraints
    value = {"q": "What is 2 + 2?"}
    assert again.pick().invoke(value).scores == routing.pick().invoke(value).scores


def test_defaults_come_back_too(routes) -> None:
    routing = RunnableRouter(routes, Router.from_pretrained(models=[SMALL, LARGE], evidence=False))
    again = RunnableRouter.from_config(json.loads(json.dumps(routing.to_config())), routes)
    assert same(again, routing)
    assert (again.sticky, again.fallback.fallback_on, again.router.policy) == (None, None, Best())


def test_a_router_of_a_store_comes_back_with_what_is_in_it_now(tmp_path: Path) -> None:
    with CapabilityStore(f"sqlite:///{tmp_path}/s.db") as store, store.transaction() as writer:
        writer.add_candidates([Candidate(id=id_) for id_ in ("a", "b")])
    routing = RunnableRouter({"a": str.upper}, Router.from_store(store, models=["a", "b"]))
    config = json.loads(json.dumps(routing.to_config()))
    assert config["router"]["store"].endswith("s.db")
    assert RunnableRouter.from_config(config, {"a": str.upper}).invoke("q") == "Q"
    again = RunnableRouter.from_config(config, {"a": str.upper}, store=store)
    assert [candidate.id for candidate in again.router.candidates] == ["a", "b"]


def test_a_store_stands_in_it_under_its_address_without_password() -> None:
    """`CapabilityStore.url` masks it; nothing else of the store is written."""
    router = Router(FakeScorer({"a": 0.5}), [Candidate(id="a")])
    router.origin = Origin(store="postgresql://me:***@host/db")
    assert router_to_config(router)["store"] == "postgresql://me:***@host/db"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fallback": Fallback(lambda _: True)}, "fallback_on is .* which JSON cannot hold; use exception classes"),
        ({}, "put together from parts"),
    ],
)
def test_what_json_cannot_hold_is_said(options: Any, said: str, shipped, routes) -> None:
    parts = Router(FakeScorer({SMALL: 0.1, LARGE: 0.2}), [Candidate(id=SMALL), Candidate(id=LARGE)])
    routing = RunnableRouter(routes, shipped if options else parts, **options)
    with pytest.raises(InvalidInput, match=said):
        routing.to_config()
    assert dumpd(routing)["type"] == "not_implemented"


def test_a_policy_of_ones_own_is_refused(shipped) -> None:
    class Cheapest(Best):
        name = "cheapest"

    with pytest.raises(InvalidInput, match="policy 'cheapest' is of your own making"):
        router_to_config(_opened(Cheapest()))


def _opened(policy: Any) -> Router:
    return Router.from_pretrained(models=[SMALL], policy=policy)


def test_configs_that_are_none_are_refused(routing, routes) -> None:
    config = routing.to_config()
    with pytest.raises(InvalidInput, match=r"routes are of \['x'\]; the config names"):
        RunnableRouter.from_config(config, {"x": str.upper})
    with pytest.raises(InvalidInput, match="no config of a router"):
        RunnableRouter.from_config({**config, "router": {}}, routes)
    with pytest.raises(InvalidInput, match="no exception class 'os:system' among what is imported"):
        fallback_from_config({"fallback_on": ["os:system"]})
    with pytest.raises(InvalidInput, match="`import not_imported_module` before"):
        fallback_from_config({"fallback_on": ["not_imported_module:Error"]})
    assert fallback_from_config(fallback_to_config(Fallback(OwnError))).fallback_on == (OwnError,)
    with pytest.raises(InvalidInput, match="no config of a router"):
        router_from_config("mini")  # type: ignore[arg-type]


# -- LangChain's own --------------------------------------------------------------------------------------------------


def test_langchain_writes_and_reads_it(shipped) -> None:
    prompt = ChatPromptTemplate.from_template("{q}")
    routes = {SMALL: prompt | RunnablePassthrough(), LARGE: RunnablePassthrough()}
    routing = RunnableRouter(routes, shipped, query_key="q", sticky="conversation")
    dumped = json.loads(json.dumps(dumpd(routing)))
    assert dumped["id"] == ["langchain_cit", "runnable", "RunnableRouter"]
    with pytest.warns(LangChainBetaWarning, match="load"):
        again = load(dumped, allowed_objects=[RunnableRouter, *THEIRS], valid_namespaces=["langchain_cit"])
    assert isinstance(again, RunnableRouter)
    assert same(again, routing)
    assert list(again.routes) == [SMALL, LARGE]
    assert again.pick().invoke({"q": "2 + 2?"}).scores == routing.pick().invoke({"q": "2 + 2?"}).scores


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")  # once in a process
def test_langchain_writes_and_reads_a_chat_model(shipped) -> None:
    model = ChatOpenAI(model="gpt-5-mini", api_key="sk-secret", use_responses_api=False)
    chat = ChatCIT({SMALL: model.bind(seed=3), LARGE: model}, shipped, sticky="conversation", default=LARGE)
    dumped = json.loads(json.dumps(dumpd(chat)))
    assert dumped["id"] == ["langchain_cit", "chat_models", "ChatCIT"]
    assert "sk-secret" not in json.dumps(dumped)
    keys = {"OPENAI_API_KEY": "sk-other"}
    allowed = [ChatCIT, ChatOpenAI, type(model.bind(seed=3))]
    again = load(dumped, allowed_objects=allowed, valid_namespaces=["langchain_cit"], secrets_map=keys)
    assert isinstance(again, ChatCIT)
    assert (list(again.routes), again.default, again.sticky.margin) == ([SMALL, LARGE], LARGE, 0.1)
    assert again._wrappers == chat._wrappers
    assert again.routes[SMALL].model_name == "gpt-5-mini"
    assert again.router.route("2 + 2?").scores == chat.router.route("2 + 2?").scores
    assert again._get_llm_string() == chat._get_llm_string()
    parts = ChatCIT({"a": model}, Router(FakeScorer({"a": 0.5}), [Candidate(id="a")]))
    assert dumpd(parts)["type"] == "not_implemented"


def test_nothing_of_a_candidates_secrets_is_in_it(shipped) -> None:
    routing = RunnableRouter({SMALL: FakeListChatModel(responses=["secret"])}, shipped)
    assert "secret" not in json.dumps(routing.to_config())


def test_it_pickles_with_everything(routing) -> None:
    again = pickle.loads(pickle.dumps(routing))
    assert same(again, routing)
    assert again.routes[SMALL].invoke("x").text == "s"
    assert again.pick().invoke({"q": "x"}, {"configurable": {"cit_model": SMALL}}).model == SMALL
