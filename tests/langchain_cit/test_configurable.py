"""What a call may set in its config: the policy, the one candidate, the conversation; and what is declared of it."""

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import ConfigurableField, ConfigurableFieldSpec, RunnableConfig, RunnableLambda

from cit_core.errors import InvalidInput, NoCandidate, UnknownCandidate
from cit_core.policy import Best, Constraints
from cit_core.records import Candidate
from cit_core.router import FakeScorer, Router, Sticky
from langchain_cit import RunnableRouter

ZOO = [Candidate(id="small", price_in=0.1, price_out=0.1), Candidate(id="large", price_in=9, price_out=9)]


@pytest.fixture
def priced(scorer) -> Router:
    return Router(scorer, ZOO)


@pytest.fixture
def routing(priced, models) -> RunnableRouter:
    return RunnableRouter(models, priced)


def with_knobs(**knobs: Any) -> RunnableConfig:
    return {"configurable": knobs}


async def everywhere(routing: RunnableRouter, value: Any, config: RunnableConfig) -> set[str]:
    """Who answers, in every way to call."""
    first, *_ = routing.stream(value, config)
    afirst, *_ = [chunk async for chunk in routing.astream(value, config)]
    answers = [
        routing.invoke(value, config),
        await routing.ainvoke(value, config),
        *routing.batch([value], config),
        *(await routing.abatch([value], config)),
        first,
        afirst,
        *(answer for _, answer in routing.batch_as_completed([value], config)),
    ]
    return {answer.text.split()[0] for answer in answers}


@pytest.mark.parametrize(
    ("knobs", "model"),
    [
        ({}, "large"),
        ({"cit_policy": "threshold:0.3"}, "small"),
        ({"cit_policy": "cost:1e-9"}, "small"),
        ({"cit_policy": Best()}, "large"),
        ({"cit_constraints": {"deny": ["large"]}}, "small"),
        ({"cit_constraints": Constraints(allow=frozenset({"small"}))}, "small"),
        ({"cit_tradeoff": 1e-9}, "small"),
        ({"cit_tradeoff": 1e6}, "large"),
        ({"cit_tradeoff": "0.000000001"}, "small"),
        ({"cit_model": "small"}, "small"),
        ({"cit_model": "small", "cit_policy": "best"}, "small"),
        ({"cit_model": None, "cit_policy": None, "cit_tradeoff": None}, "large"),
    ],
)
async def test_a_call_sets_its_own_policy_or_candidate(routing, knobs: dict[str, Any], model: str) -> None:
    assert await everywhere(routing, "hard", with_knobs(**knobs)) == {model}
    assert await everywhere(routing.with_config(configurable=knobs), "hard", {}) == {model}
    assert routing.invoke("hard").text.startswith("large"), "and for that call alone"


@pytest.mark.parametrize(
    "knobs",
    [
        {"cit_model": "gpt-5"},
        {"cit_constraints": {"allow": ["gpt-5"]}},
        {"cit_constraints": {"deny": ["openai:gpt-4o"]}},
        {"cit_policy": "share:gpt-5=100%"},
    ],
)
async def test_a_call_may_use_the_plain_name_of_an_arm(knobs: Any) -> None:
    arms = {
        name: RunnableLambda(lambda _, name=name: AIMessage(name)) for name in ("openai:gpt-5@low", "gpt-4o@samples=2")
    }
    zoo = [Candidate(id=name, price_in=1.0, price_out=1.0) for name in arms]
    routing = RunnableRouter(arms, Router(FakeScorer(lambda _, id_: 0.9 if "4o" in id_ else 0.5), zoo))
    assert await everywhere(routing, "q", {}) == {"gpt-4o@samples=2"}
    assert await everywhere(routing, "q", with_knobs(**knobs)) == {"openai:gpt-5@low"}


async def test_a_batch_may_set_them_one_by_one(routing, scorer) -> None:
    configs = [with_knobs(cit_model=id_) if id_ else {} for id_ in ("small", None, "large", None)]
    queries = ["hard", "hard", "easy", "easy"]
    assert [a.text.split()[0] for a in routing.batch(queries, configs)] == ["small", "large", "large", "small"]
    assert [a.text.split()[0] for a in await routing.abatch(queries, configs)] == ["small", "large", "large", "small"]
    assert scorer.calls == [tuple(queries)] * 2


@pytest.mark.parametrize(
    ("knobs", "error", "said"),
    [
        ({"cit_policy": "bst"}, InvalidInput, "no policy 'bst'; use best"),
        ({"cit_policy": "best", "cit_tradeoff": 1.0}, InvalidInput, "both cit_policy and cit_tradeoff"),
        ({"cit_polcy": "best"}, InvalidInput, "configurable has no entry 'cit_polcy'; closest: 'cit_policy'"),
        ({"cit_constraints": 3}, InvalidInput, "constraints is 3; use Constraints"),
        ({"cit_constraints": {"denny": []}}, InvalidInput, "denny: there is no such field; closest: deny"),
        ({"cit_policy": object()}, InvalidInput, "policy is object; use 'best'"),
        ({"cit_tradeoff": "much"}, InvalidInput, "cost needs the worth of a correct answer in USD"),
        ({"cit_tradeoff": -1}, InvalidInput, "cost needs the worth"),
        ({"cit_tradeoff": [1]}, InvalidInput, "cost needs the worth"),
        ({"cit_model": 3}, InvalidInput, "cit_model is int; it must be the id of a candidate"),
        ({"cit_model": "lage"}, UnknownCandidate, r"no candidate 'lage' among the 2 in the routes \(in cit_model\)"),
    ],
)
async def test_what_cannot_be_set_is_refused_in_one_sentence(routing, knobs: Any, error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        routing.invoke("q", with_knobs(**knobs))
    with pytest.raises(ValueError, match=said):
        await routing.ainvoke("q", with_knobs(**knobs))
    (found,) = routing.batch(["q"], with_knobs(**knobs), return_exceptions=True)
    assert isinstance(found, error)


def test_a_caller_cannot_force_what_the_owner_excludes(scorer, models) -> None:
    routing = RunnableRouter(models, Router(scorer, ZOO, constraints=Constraints(deny=frozenset({"large"}))))
    with pytest.raises(NoCandidate, match="large: denied"):
        routing.invoke("q", with_knobs(cit_model="large"))
    assert routing.invoke("hard", with_knobs(cit_constraints={"allow": ["small", "large"]})).text.startswith("small")


def test_a_router_within_a_route_has_candidates_of_its_own(priced, models) -> None:
    inner = RunnableRouter({"small": models["small"]}, Router(FakeScorer({"small": 0.5}), [Candidate(id="small")]))
    outer = RunnableRouter({"large": inner}, priced)
    assert outer.invoke("q", with_knobs(cit_model="large")).text == "small heard q"
    seen: list[RunnableConfig] = []

    def look(value: str, config: RunnableConfig) -> str:
        seen.append(config)
        return value

    routing = RunnableRouter({"large": RunnableLambda(look)}, priced)
    routing.invoke("q", with_knobs(cit_model="large", cit_policy="best", thread_id="t"))
    list(routing.batch_as_completed(["q", "r"], with_knobs(cit_model="large", cit_policy="best", thread_id="t")))
    assert [config["configurable"] for config in seen] == [{"cit_policy": "best", "thread_id": "t"}] * 3


def test_knobs_are_declared_beside_those_of_the_candidates(routing, priced, models) -> None:
    specs = {spec.id: spec for spec in routing.config_specs}
    assert set(specs) == {"cit_policy", "cit_tradeoff", "cit_model", "cit_constraints"}
    assert routing.config_schema(include=["configurable"]).model_json_schema()
    kept = RunnableRouter(models, priced, sticky="conversation")
    assert {spec.id for spec in kept.config_specs} == {*specs, "thread_id"}
    nested = RunnableRouter({"small": kept, "large": models["large"]}, priced, sticky="conversation")
    assert {spec.id for spec in nested.config_specs} == {*specs, "thread_id"}
    chain = routing | (lambda message: message.text) | kept
    assert {spec.id for spec in chain.config_specs} == {*specs, "thread_id"}


def test_a_candidate_may_declare_its_thread_in_its_own_way(priced, models) -> None:
    class Threaded(RunnableLambda):
        @property
        def config_specs(self):
            return [ConfigurableFieldSpec(id="thread_id", annotation=int, default=0)]

    routing = RunnableRouter({"small": Threaded(str), "large": models["large"]}, priced, sticky="conversation")
    (thread,) = [spec for spec in routing.config_specs if spec.id == "thread_id"]
    assert thread.annotation is int


def test_what_is_configurable_in_two_candidates_must_agree(priced, models) -> None:
    one, other = ConfigurableField(id="voice"), ConfigurableField(id="voice", name="another")
    clash = {"small": models["small"].configurable_fields(called=one)}
    clash["large"] = models["large"].configurable_fields(called=other)
    with pytest.raises(ValueError, match="conflicting config specs"):
        _ = RunnableRouter(clash, priced).config_specs


# -- conversations ----------------------------------------------------------------------------------------------------


def in_thread(name: str) -> RunnableConfig:
    return with_knobs(thread_id=name)


@pytest.fixture
def fading() -> Router:
    """`hard N` is right with probability 0.9 from the large one, and with N/100 from the small one."""
    return Router(FakeScorer(lambda text, id_: 0.9 if id_ == "large" else int(text.split()[1]) / 100), ZOO)


async def test_a_conversation_keeps_its_model_until_it_becomes_a_bad_choice(fading, models, listener) -> None:
    routing = RunnableRouter(models, fading, sticky=Sticky(margin=0.2))

    async def turn(text: str, config: RunnableConfig) -> str:
        (model,) = await everywhere(routing, text, config)
        return model

    assert await turn("hard 95", in_thread("a")) == "small"
    assert await turn("hard 80", in_thread("a")) == "small"
    assert await turn("hard 80", in_thread("b")) == "large"
    assert await turn("hard 80", {}) == "large", "without a thread nothing is kept"
    routing.invoke("hard 80", {**in_thread("a"), "callbacks": [listener]})
    assert listener.events[0]["data"]["chosen_by"] == "conversation"
    assert await turn("hard 70", in_thread("a")) == "large"
    assert await turn("hard 95", in_thread("a")) == "large"


async def test_without_sticky_a_thread_means_nothing(fading, models) -> None:
    routing = RunnableRouter(models, fading)
    assert routing.invoke("hard 95", in_thread("a")).text.startswith("small")
    assert routing.invoke("hard 80", in_thread("a")).text.startswith("large")


def test_a_forced_turn_does_not_move_the_conversation(fading, models) -> None:
    routing = RunnableRouter(models, fading, sticky="conversation")
    assert routing.invoke("hard 95", in_thread("a")).text.startswith("small")
    assert routing.invoke("hard 95", with_knobs(thread_id="a", cit_model="large")).text.startswith("large")
    assert routing.invoke("hard 88", in_thread("a")).text.startswith("small")


def test_options_that_are_none_are_refused(priced, models) -> None:
    for options, said in (
        ({"sticky": "thread"}, "sticky is 'thread'; use 'conversation'"),
        ({"context": "all"}, "context is 'all'; use 'turn'"),
        ({"fallback": 3}, r"fallback is 3; use Fallback\("),
    ):
        with pytest.raises(InvalidInput, match=said):
            RunnableRouter(models, priced, **options)


# -- what is routed on ------------------------------------------------------------------------------------------------

TALK = [
    ("human", "a hard question"),
    ("ai", "an answer"),
    ("human", "and now?"),
    AIMessage("", tool_calls=[{"name": "look", "args": {}, "id": "1"}]),
    ToolMessage("it is a hard one", tool_call_id="1"),
]


def test_the_last_turn_or_the_whole_conversation(priced, models, scorer) -> None:
    RunnableRouter(models, priced).invoke(TALK)
    assert RunnableRouter(models, priced, context="conversation").invoke(TALK).text.startswith("large")
    assert scorer.calls == [
        ("and now?",),
        ("and now?\n\nit is a hard one\n\nan answer\n\na hard question",),
    ]


def test_in_a_whole_conversation_pictures_and_odd_parts_do_no_harm(priced, models, scorer) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    odd = [HumanMessage([picture]), ToolMessage([{"odd": 1}, {"type": "text", "text": "easy"}], tool_call_id="1")]
    RunnableRouter(models, priced, context="conversation").invoke(odd)
    assert scorer.calls == [("Look at the attached image and answer.\n\neasy",)]
