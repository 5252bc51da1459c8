"""RunnableRouter keeps every promise of a Runnable: runs, tags, events, streams, batches, config, graph, pickling."""

import asyncio
import json
import pickle
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField, RunnableConfig, RunnableLambda, RunnablePassthrough
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler
from parrot import Parrot

from cit_core.errors import InvalidInput, NoCandidate, UnknownCandidate
from cit_core.policy import Constraints, Threshold
from cit_core.records import Candidate, Decision
from cit_core.router import FakeScorer, Router
from langchain_cit import ChatCIT, RunnableRouter
from langchain_cit.middleware import CITCallMiddleware

QUERIES = ["easy one", "hard one", "hard two", "easy two"]
ANSWERS = ["small heard easy one", "large heard hard one", "large heard hard two", "small heard easy two"]
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


@pytest.fixture
def chain(router, models):
    prompt = ChatPromptTemplate.from_messages([("system", "be brief"), ("human", "{question}")])
    return prompt | RunnableRouter(models, router) | StrOutputParser()


# -- every way to call it ---------------------------------------------------------------------------------------------


def test_invoke_and_stream_in_a_chain(chain) -> None:
    assert chain.invoke({"question": "hard one"}) == "large heard hard one"
    assert list(chain.stream({"question": "easy one"})) == ["small", " heard", " easy", " one", ""]


async def test_ainvoke_and_astream_in_a_chain(chain) -> None:
    assert await chain.ainvoke({"question": "hard one"}) == "large heard hard one"
    assert [c async for c in chain.astream({"question": "easy one"})] == ["small", " heard", " easy", " one", ""]


async def test_batch_and_abatch_in_a_chain(chain) -> None:
    questions = [{"question": query} for query in QUERIES]
    assert chain.batch(questions) == ANSWERS
    assert await chain.abatch(questions) == ANSWERS
    assert chain.batch([]) == []
    assert sorted(answer for _, answer in chain.batch_as_completed(questions)) == sorted(ANSWERS)


async def test_transform_routes_once_the_input_is_complete(router, models, scorer) -> None:
    routing = RunnableRouter(models, router) | StrOutputParser()

    async def slowly() -> AsyncIterator[str]:
        for piece in ["ha", "rd ", "one"]:
            yield piece

    assert "".join(routing.transform(iter(["ha", "rd ", "one"]))) == "large heard hard one"
    assert "".join([chunk async for chunk in routing.atransform(slowly())]) == "large heard hard one"
    assert scorer.calls == [("hard one",), ("hard one",)]


async def test_transform_of_nothing_gives_nothing_and_what_cannot_be_added_is_replaced(router, models) -> None:
    async def nothing() -> AsyncIterator[str]:
        for piece in ():
            yield piece

    routing = RunnableRouter(models, router) | StrOutputParser()
    assert list(routing.transform(iter([]))) == []
    assert [chunk async for chunk in routing.atransform(nothing())] == []
    two = iter([{"q": "hard"}, {"q": "easy"}])
    assert list(RunnableRouter({id_: lambda x: x["q"] for id_ in models}, router).transform(two)) == ["easy"]


@pytest.mark.parametrize(
    "value",
    ["hard", HumanMessage("hard"), [("human", "hard")], ChatPromptTemplate.from_template("hard").invoke({})],
    ids=["text", "message", "list", "prompt value"],
)
def test_a_model_is_given_its_input_as_it_came(router, models, value: Any) -> None:
    assert RunnableRouter(models, router).invoke([value] if isinstance(value, HumanMessage) else value).text == (
        "large heard hard"
    )


def test_a_chain_is_given_the_whole_dict(router) -> None:
    routing = RunnableRouter({"small": lambda x: x, "large": lambda x: x}, router, query_key="question")
    value = {"question": "hard", "context": "c"}
    assert routing.invoke(value) is value
    other = {"context": "c", "topic": "t"}
    assert routing.invoke(other) is other, "a chain may know what to do with it"
    with pytest.raises(InvalidInput, match="no key 'question'"):
        RunnableRouter(routing.routes, router, query_key="question", strict=True).invoke(other)


@pytest.mark.parametrize("queries", [QUERIES, QUERIES[:1], QUERIES * 3])
def test_batch_scores_all_inputs_at_once_and_hands_each_route_one_batch(router, scorer, queries) -> None:
    batches = []

    class Counting(RunnableLambda):
        def batch(self, inputs, config=None, *, return_exceptions=False, **kwargs):
            batches.append(list(inputs))
            return super().batch(inputs, config, return_exceptions=return_exceptions, **kwargs)

    routing = RunnableRouter({"small": Counting(str.upper), "large": Counting(str.title)}, router)
    assert routing.batch(queries) == [q.title() if "hard" in q else q.upper() for q in queries]
    assert scorer.calls == [tuple(queries)]
    assert sorted(batches) == sorted(
        share for share in ([q for q in queries if "hard" in q], [q for q in queries if "hard" not in q]) if share
    )


@settings(deadline=None)
@given(queries=st.lists(st.text(min_size=1).filter(str.strip), max_size=8), salt=st.integers())
def test_batch_equals_invoke_one_by_one_in_order(queries: list[str], salt: int) -> None:
    ids = ["a", "b", "c"]
    scorer = FakeScorer(lambda text, id_: (hash((text, id_, salt)) % 1000) / 1000)
    routes = {id_: RunnableLambda(lambda text, id_=id_: (id_, text)) for id_ in ids}
    routing = RunnableRouter(routes, Router(scorer, [Candidate(id=id_) for id_ in ids]))
    one_by_one = [routing.invoke(query) for query in queries]
    assert routing.batch(queries) == one_by_one
    assert asyncio.run(routing.abatch(queries)) == one_by_one


# -- runs, tags, metadata, events -------------------------------------------------------------------------------------


async def call(routing: Any, how: str, value: str, config: RunnableConfig) -> None:
    """Call it in the way named, to the end."""
    match how:
        case "invoke":
            routing.invoke(value, config)
        case "stream":
            list(routing.stream(value, config))
        case "transform":
            list(routing.transform(iter([value]), config))
        case "batch":
            routing.batch([value], config)
        case "ainvoke":
            await routing.ainvoke(value, config)
        case "astream":
            [_ async for _ in routing.astream(value, config)]
        case "abatch":
            await routing.abatch([value], config)


WAYS = ["invoke", "stream", "transform", "batch", "ainvoke", "astream", "abatch"]


@pytest.mark.parametrize("how", WAYS)
async def test_the_candidate_runs_inside_the_routers_run_with_tag_and_metadata(router, models, how: str) -> None:
    tracer = RunCollectorCallbackHandler()
    config: RunnableConfig = {"callbacks": [tracer], "tags": ["mine"], "metadata": {"user": "u"}, "run_name": "choose"}
    routes = {id_: RunnablePassthrough() | model for id_, model in models.items()}
    await call(RunnableRouter(routes, router), how, "hard one", config)
    (run,) = tracer.traced_runs
    assert run.name == "choose"
    assert "cit_model" not in run.metadata
    (candidate,) = run.child_runs
    assert candidate.name == "RunnableSequence"
    assert {"cit_model:large", "mine"} <= set(candidate.tags)
    llm = candidate.child_runs[-1]
    assert llm.run_type == "llm"
    assert llm.metadata["cit_model"] == "large"
    assert llm.metadata["user"] == "u"
    assert "mine" in llm.tags
    assert "cit_model:large" not in llm.tags


@pytest.mark.parametrize("how", WAYS)
async def test_every_way_announces_the_decision_once(router, models, listener, how: str) -> None:
    tracer = RunCollectorCallbackHandler()
    config: RunnableConfig = {"callbacks": [listener, tracer], "tags": ["mine"]}
    await call(RunnableRouter(models, router), how, "a hard and secret question", config)
    (event,) = listener.events
    assert event["name"] == "cit_route"
    assert event["run_id"] == tracer.traced_runs[0].id
    assert "mine" in event["tags"]
    assert "secret" not in json.dumps(event["data"])
    decision = Decision(**event["data"])
    assert decision.model == "large"
    assert decision.scores == {"large": 0.9, "small": 0.4}


async def test_each_input_of_a_batch_has_its_own_run_and_event(router, models, listener) -> None:
    tracer = RunCollectorCallbackHandler()
    config: RunnableConfig = {"callbacks": [listener, tracer]}
    RunnableRouter(models, router).batch(QUERIES, config)
    assert [event["data"]["model"] for event in listener.events] == ["small", "large", "large", "small"]
    assert [event["run_id"] for event in listener.events] == [run.id for run in tracer.traced_runs]
    for run, query, answer in zip(tracer.traced_runs, QUERIES, ANSWERS, strict=True):
        assert run.inputs == {"input": query}
        assert run.outputs["output"].text == answer
        assert [child.outputs["generations"][0][0]["text"] for child in run.child_runs] == [answer]


async def test_events_of_a_streaming_chain(chain) -> None:
    seen = [event async for event in chain.astream_events({"question": "hard one"}, version="v2")]
    (custom,) = [event for event in seen if event["event"] == "on_custom_event"]
    assert (custom["name"], custom["data"]["model"]) == ("cit_route", "large")
    tokens = [event for event in seen if event["event"] == "on_chat_model_stream"]
    assert "".join(event["data"]["chunk"].text for event in tokens) == "large heard hard one"
    assert all(event["metadata"]["cit_model"] == "large" and "cit_model:large" in event["tags"] for event in tokens)
    router_run = custom["run_id"]
    assert all(router_run in event["parent_ids"] for event in tokens)


def test_a_failing_candidate_fails_the_routers_run(router) -> None:
    tracer = RunCollectorCallbackHandler()

    def fail(_: str) -> str:
        raise RuntimeError("rate limit")

    with pytest.raises(RuntimeError, match="rate limit"):
        RunnableRouter({"large": fail}, router).invoke("hard", {"callbacks": [tracer]})
    assert "rate limit" in tracer.traced_runs[0].error
    assert "rate limit" in tracer.traced_runs[0].child_runs[0].error


# -- config and keyword arguments -------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["invoke", "batch", "stream", "ainvoke", "abatch", "astream"])
async def test_bound_arguments_reach_the_candidate(router, models, how: str) -> None:
    tracer = RunCollectorCallbackHandler()
    bound = RunnableRouter(models, router).bind(stop=["\n"], temperature=0)
    await call(bound, how, "hard one", {"callbacks": [tracer]})
    (llm,) = tracer.traced_runs[0].child_runs
    assert llm.outputs["generations"][0][0]["text"] == "large heard hard one with ['stop', 'temperature']"


async def test_limits_in_the_config_reach_the_candidate(router) -> None:
    seen = []

    def look(value: str, config: RunnableConfig) -> str:
        seen.append((config["recursion_limit"], config.get("max_concurrency"), config["configurable"]["thread_id"]))
        return value

    routing = RunnableRouter({"small": look, "large": look}, router)
    config: RunnableConfig = {"recursion_limit": 7, "max_concurrency": 3, "configurable": {"thread_id": "t"}}
    routing.invoke("hard", config)
    routing.batch(["hard", "easy"], config)
    list(routing.stream("hard", config))
    await routing.ainvoke("hard", config)
    assert len(seen) == 5
    assert set(seen) == {(7, 3, "t")}


@pytest.mark.parametrize("limit", [1, 2])
async def test_max_concurrency_holds_across_routes(router, limit: int) -> None:
    lock, busy, peak = threading.Lock(), 0, 0

    def enter(change: int) -> None:
        nonlocal busy, peak
        with lock:
            busy += change
            peak = max(peak, busy)

    def work(value: str) -> str:
        enter(1)
        time.sleep(0.01)
        enter(-1)
        return value

    async def awork(value: str) -> str:
        enter(1)
        await asyncio.sleep(0.01)
        enter(-1)
        return value

    route = RunnableLambda(work, awork)
    routing = RunnableRouter({"small": route, "large": route}, router)
    assert routing.batch(QUERIES * 2, {"max_concurrency": limit}) == QUERIES * 2
    assert await routing.abatch(QUERIES * 2, {"max_concurrency": limit}) == QUERIES * 2
    assert peak <= limit


async def test_routes_of_a_batch_work_side_by_side(router) -> None:
    meeting = threading.Barrier(2, timeout=10)
    routing = RunnableRouter({"small": lambda _: meeting.wait() >= 0, "large": lambda _: meeting.wait() >= 0}, router)
    assert routing.batch(["easy", "hard"]) == [True, True]


async def test_scoring_never_runs_on_the_event_loop(models) -> None:
    threads = set()

    def score(_: str, __: str) -> float:
        threads.add(threading.get_ident())
        return 0.5

    routing = RunnableRouter(models, Router(FakeScorer(score), [Candidate(id="small"), Candidate(id="large")]))
    await routing.ainvoke("q")
    await routing.abatch(["q", "r"])
    assert [chunk async for chunk in routing.astream("q")]
    assert threads
    assert threading.get_ident() not in threads


async def test_many_at_once_do_not_mix(router, models) -> None:
    routing = RunnableRouter(models, router)
    answers = await asyncio.gather(*(routing.ainvoke(f"{query} {n}") for n in range(10) for query in QUERIES))
    assert [a.text for a in answers] == [f"{answer} {n}" for n in range(10) for answer in ANSWERS]


# -- errors -----------------------------------------------------------------------------------------------------------


async def test_return_exceptions_keeps_each_error_in_its_place(router, models, listener) -> None:
    async def afail(value: str) -> str:
        return fail(value)

    def fail(value: str) -> str:
        if "two" in value:
            raise RuntimeError(value)
        return value

    routing = RunnableRouter(
        {"small": RunnableLambda(fail, afail), "large": RunnableLambda(fail, afail)}, router, strict=True
    )
    values: list[Any] = ["easy one", "", "hard two", 42, "hard one"]
    config: RunnableConfig = {"callbacks": [listener]}
    for results in (
        routing.batch(values, config, return_exceptions=True),
        await routing.abatch(values, config, return_exceptions=True),
    ):
        assert results[0] == "easy one"
        assert results[4] == "hard one"
        assert [type(results[place]) for place in (1, 2, 3)] == [InvalidInput, RuntimeError, InvalidInput]
    assert len(listener.events) == 6


def test_one_input_that_nobody_may_take_costs_the_others_nothing(scorer) -> None:
    router = Router(scorer, [Candidate(id=id_, modalities=("text",)) for id_ in ("small", "large")])
    routing = RunnableRouter({"small": lambda _: "s", "large": lambda _: "l"}, router, strict=True)
    image = HumanMessage([{"type": "text", "text": "hard"}, PICTURE])
    results = routing.batch(["easy", "hard", image, "easy", "hard"], return_exceptions=True)
    assert isinstance(results[2], NoCandidate)
    assert "cannot read image" in str(results[2])
    assert [results[place] for place in (0, 1, 3, 4)] == ["s", "l", "s", "l"]
    assert sum(map(len, scorer.calls)) == 4


async def test_without_return_exceptions_a_bad_input_ends_the_batch_before_anything_is_paid_for(router) -> None:
    called = []
    routing = RunnableRouter({"small": called.append, "large": called.append}, router, strict=True)
    with pytest.raises(InvalidInput, match="no text"):
        routing.batch(["easy", " "])
    with pytest.raises(InvalidInput, match="no text"):
        await routing.abatch(["easy", " "])
    assert called == []


async def test_what_cannot_be_decided_goes_to_the_default_route(router, models, listener) -> None:
    routing = RunnableRouter(models, router, default=models["large"])
    config: RunnableConfig = {"callbacks": [listener]}
    for empty in ("", [HumanMessage("")], [AIMessage(""), HumanMessage(" ")]):
        assert routing.invoke(empty, config).text.startswith("large heard")
    assert (await routing.ainvoke("", config)).text.startswith("large")
    assert [one.text[:5] for one in routing.batch(["easy", ""], config)] == ["small", "large"]
    routes = [event["data"] for event in listener.events if event["name"] == "cit_route"]
    assert [route["chosen_by"] for route in routes] == ["default"] * 4 + ["policy", "default"]
    assert routes[0]["warnings"] == ["the input holds no text to route on: the default route, large"]
    picture = HumanMessage([{"type": "text", "text": "easy"}, {"type": "video", "url": "http://x/y.mp4"}])
    assert routing.pick().invoke([picture]).chosen_by == "default", "nobody can see it: the provider has the last word"
    with pytest.raises(NoCandidate, match="denied"):
        routing.invoke("", {"configurable": {"cit_constraints": {"deny": ["small", "large"]}}})
    with pytest.raises(InvalidInput, match="default is Parrot; it must be the id of a route, or one of the routes"):
        RunnableRouter(models, router, default=Parrot(called="x"))


def test_without_return_exceptions_a_candidates_error_is_raised(router) -> None:
    def fail(_: str) -> str:
        raise RuntimeError("rate limit")

    tracer = RunCollectorCallbackHandler()
    with pytest.raises(RuntimeError, match="rate limit"):
        RunnableRouter({"small": str.upper, "large": fail}, router).batch(["easy", "hard"], {"callbacks": [tracer]})
    assert [run.error is None for run in tracer.traced_runs] == [True, False]


def test_routes_are_checked_when_it_is_built(router) -> None:
    with pytest.raises(UnknownCandidate, match="no candidate 'smal' among the 2 in the router; closest: 'small'"):
        RunnableRouter({"smal": str.upper}, router)
    with pytest.raises(InvalidInput, match="the route of 'small' is int; it must be a Runnable or callable"):
        RunnableRouter({"small": 3}, router)
    with pytest.raises(InvalidInput, match="at least one entry"):
        RunnableRouter({}, router)
    with pytest.raises(InvalidInput, match="no config of a router: a dict with 1 keys"):
        RunnableRouter(router, {"small": str.upper})
    with pytest.raises(TypeError, match="querykey"):
        RunnableRouter({"small": str.upper}, router, querykey="q")


# -- who takes part ---------------------------------------------------------------------------------------------------


def test_only_candidates_with_a_route_take_part(router, listener) -> None:
    routing = RunnableRouter({"small": lambda _: "small"}, router)
    config: RunnableConfig = {"callbacks": [listener]}
    assert routing.invoke("hard", config) == "small"
    assert routing.batch(["hard", "easy"], config) == ["small", "small"]
    assert all(event["data"]["excluded"] == {"large": "no route leads to it"} for event in listener.events)


def test_the_routers_own_constraints_stay(scorer) -> None:
    zoo = [Candidate(id=id_) for id_ in ("small", "large", "other")]
    routes = {"small": lambda _: "small", "large": lambda _: "large"}
    denying = Router(scorer, zoo, constraints=Constraints(deny=frozenset({"large"})))
    assert RunnableRouter(routes, denying).invoke("hard") == "small"
    allowing = Router(scorer, zoo, constraints=Constraints(allow=frozenset({"other", "small"})))
    assert RunnableRouter(routes, allowing).invoke("hard") == "small"
    elsewhere = Router(scorer, zoo, constraints=Constraints(allow=frozenset({"other"})))
    with pytest.raises(NoCandidate, match="not in the allowed list"):
        RunnableRouter(routes, elsewhere).invoke("hard")


def test_every_constructor_takes_a_policy_and_constraints(router, models) -> None:
    only, one = {"allow": ["small"]}, "threshold:0.1"
    made = [
        RunnableRouter(models, router, policy=one, constraints=only),
        ChatCIT(models, router, policy=one, constraints=only),
        CITCallMiddleware(models, router, policy=one, constraints=only),
    ]
    assert {(each.router.policy, each.router.route("hard").model) for each in made} == {(Threshold(0.1), "small")}
    with pytest.raises(InvalidInput, match="no policy 'cheapest'"):
        RunnableRouter(models, router, policy="cheapest")


def test_pictures_go_to_those_who_can_see(router, models, listener) -> None:
    routing = RunnableRouter(models, router)
    for message in (HumanMessage([{"type": "text", "text": "easy"}, PICTURE]), HumanMessage([PICTURE])):
        routing.invoke([message], {"callbacks": [listener]})
    assert [event["data"]["model"] for event in listener.events] == ["large", "large"]
    assert listener.events[0]["data"]["excluded"] == {"small": "cannot read image"}


def test_bound_tools_and_schemas_are_for_those_who_can(scorer) -> None:
    zoo = [Candidate(id="small"), Candidate(id="large", tools=False, structured_output=False)]
    routing = RunnableRouter({"small": lambda _, **__: "small", "large": lambda _, **__: "large"}, Router(scorer, zoo))
    assert routing.invoke("hard") == "large"
    assert routing.bind(tools=[{"name": "t"}]).invoke("hard") == "small"
    assert routing.bind(response_format={"type": "json_object"}).batch(["hard"]) == ["small"]


# -- as an object -----------------------------------------------------------------------------------------------------


def test_types_are_those_the_candidates_share(router, models) -> None:
    same = RunnableRouter(models, router)
    assert same.InputType == models["small"].InputType
    assert same.OutputType == models["small"].OutputType
    mixed = RunnableRouter({"small": models["small"], "large": models["large"] | StrOutputParser()}, router)
    assert mixed.OutputType is Any
    assert mixed.get_input_jsonschema()
    assert mixed.get_output_jsonschema()


def test_what_is_configurable_in_a_candidate_stays_configurable(router, models) -> None:
    field = ConfigurableField(id="voice")
    routing = RunnableRouter({**models, "large": models["large"].configurable_fields(called=field)}, router)
    assert "voice" in [spec.id for spec in routing.config_specs]
    assert routing.with_config(configurable={"voice": "loud"}).invoke("hard").text == "loud heard hard"


def test_its_own_fields_can_be_made_configurable(router, models) -> None:
    routing = RunnableRouter(models, router, query_key="a").configurable_fields(query_key=ConfigurableField(id="key"))
    values = {"a": "easy", "b": "hard"}
    choose = routing.with_config(configurable={"key": "b"})
    assert (routing.invoke(values).text, choose.invoke(values).text) == ("small heard easy", "large heard hard")


def test_the_graph_has_an_edge_for_every_candidate(router, models, chain) -> None:
    routing = RunnableRouter({"small": models["small"], "large": models["large"] | StrOutputParser()}, router)
    graph = routing.get_graph()
    edges = {edge.data: graph.nodes[edge.target].name for edge in graph.edges if edge.conditional}
    assert edges == {"small": "Parrot", "large": "Parrot"}
    assert graph.first_node() is not None
    assert graph.last_node() is not None
    assert "large" in routing.get_graph().draw_mermaid()
    whole = chain.get_graph()
    names = {id_: node.name for id_, node in whole.nodes.items()}
    assert "StrOutputParser" in names.values()
    assert sorted(edge.data for edge in whole.edges if edge.conditional) == ["large", "small"]
    assert whole.first_node().name == "PromptInput"
    assert whole.last_node().name == "StrOutputParserOutput"


def test_it_pickles_where_its_candidates_do(models) -> None:
    router = Router(FakeScorer({"small": 0.2, "large": 0.8}), [Candidate(id="small"), Candidate(id="large")])
    again = pickle.loads(pickle.dumps(RunnableRouter(models, router, query_key="q", name="choose")))
    assert again.invoke("hi").text == "large heard hi"
    assert (again.query_key, again.get_name()) == ("q", "choose")


def test_routers_nest(router, models, listener) -> None:
    inner = RunnableRouter({"small": models["small"]}, router)
    assert RunnableRouter({"large": inner}, router).invoke("q", {"callbacks": [listener]}).text == "small heard q"
    assert [event["data"]["model"] for event in listener.events] == ["large", "small"]


def test_it_can_stand_in_a_chain_as_a_fallback_or_with_one(router, models) -> None:
    def fail(_: str) -> AIMessage:
        raise RuntimeError

    failing = RunnableRouter({"small": fail, "large": fail}, router)
    assert failing.with_fallbacks([models["small"]]).invoke("hard").text == "small heard hard"
    assert failing.with_retry(stop_after_attempt=1).with_fallbacks([models["large"]]).batch(["hard"])[0].text == (
        "large heard hard"
    )


# -- the plain way ----------------------------------------------------------------------------------------------------


def test_a_runnable_lambda_routes_too(router, models) -> None:
    tracer = RunCollectorCallbackHandler()
    choose = RunnableLambda(lambda x: models[router.route(x).model])
    assert choose.invoke("hard one", {"callbacks": [tracer]}).text == "large heard hard one"
    assert [run.run_type for run in tracer.traced_runs[0].child_runs] == ["llm"]
    chunks: Iterator[Any] = choose.stream("hard one")
    assert [chunk.text for chunk in chunks][:2] == ["large", " heard"]


@pytest.mark.parametrize(
    ("value", "options"),
    [
        (HumanMessage("hard"), {}),
        ({"messages": [HumanMessage("hard")], "other": 1}, {"query_key": "messages"}),
        ({"only": "hard"}, {}),
    ],
    ids=["a message", "a state", "a single key"],
)
@pytest.mark.parametrize("bare", [True, False], ids=["bare", "bound"])
async def test_a_chat_model_is_handed_what_it_can_take(router, models, value, options, bare) -> None:
    routes = models if bare else {id_: model.with_config(tags=["x"]) for id_, model in models.items()}
    routing = RunnableRouter(routes, router, **options)
    assert routing.invoke(value).text == "large heard hard"
    assert (await routing.ainvoke(value)).text == "large heard hard"
    assert "".join(chunk.text for chunk in routing.stream(value)) == "large heard hard"
    assert "".join([chunk.text async for chunk in routing.astream(value)]) == "large heard hard"
    assert [answer.text for answer in routing.batch([value])] == ["large heard hard"]
    assert [answer.text for answer in await routing.abatch([value])] == ["large heard hard"]


# -- a router inside a candidate --------------------------------------------------------------------------------------


class Asks(Parrot):
    """A chat model that asks another router, as anybody's may, without handing its config on."""

    inner: Any

    def _answer(self, messages: Any, stop: Any, kwargs: Any) -> str:
        return self.inner.invoke(messages[-1].text).text


async def test_a_router_inside_a_candidate_of_a_batch_makes_its_own_decisions(models, router) -> None:
    asks = Asks(called="asks", inner=RunnableRouter(models, router))
    outer = RunnableRouter({"only": asks}, Router(FakeScorer({"only": 0.9}), [Candidate(id="only")]))
    questions = [HumanMessage("hard one"), HumanMessage("easy one")]
    expected = {0: "large heard hard one", 1: "small heard easy one"}
    assert {place: answer.text for place, answer in outer.batch_as_completed(questions)} == expected
    assert {place: answer.text async for place, answer in outer.abatch_as_completed(questions)} == expected
