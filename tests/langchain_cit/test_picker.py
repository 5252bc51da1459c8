"""The decision alone: for RouterRunnable, RunnableLambda, and graphs that call their nodes themselves."""

import pickle
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AnyMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.runnables.router import RouterRunnable
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command

from cit_core.errors import InvalidInput
from cit_core.records import Candidate, Decision
from cit_core.router import FakeScorer, Router
from langchain_cit import RunnableRouter

QUERIES = ["easy one", "hard one"]


@pytest.fixture
def routing(router, models) -> RunnableRouter:
    return RunnableRouter(models, router)


async def test_pick_gives_the_decision_and_calls_nobody(router, scorer) -> None:
    called: list[Any] = []
    routing = RunnableRouter({"small": called.append, "large": called.append}, router)
    pick = routing.pick()
    assert isinstance(pick.invoke("hard"), Decision)
    assert [pick.invoke("hard").model, (await pick.ainvoke("easy")).model] == ["large", "small"]
    scorer.calls.clear()
    assert [decision.model for decision in pick.batch(QUERIES)] == ["small", "large"]
    assert [decision.model for decision in await pick.abatch(QUERIES)] == ["small", "large"]
    assert scorer.calls == [tuple(QUERIES)] * 2
    assert called == []


async def test_as_key_feeds_langchains_own_router(routing, models) -> None:
    key = routing.as_key()
    assert key.invoke("hard") == {"key": "large", "input": "hard"}
    chain = key | RouterRunnable(models)
    assert chain.invoke("hard").text == "large heard hard"
    assert (await chain.ainvoke("easy")).text == "small heard easy"
    assert [answer.text for answer in chain.batch(QUERIES)] == ["small heard easy one", "large heard hard one"]
    assert "".join(chunk.text for chunk in chain.stream("hard")) == "large heard hard"
    plain = key | RunnableLambda(lambda picked: models[picked["key"]].bind(stop=["x"]).invoke(picked["input"]))
    assert plain.invoke("hard").text == "large heard hard with ['stop']"


async def test_it_decides_as_the_router_does(router, models, listener) -> None:
    routing = RunnableRouter(models, router, query_key="q", sticky="conversation")
    tracer = RunCollectorCallbackHandler()
    config: RunnableConfig = {"callbacks": [listener, tracer], "configurable": {"cit_model": "small"}}
    value = {"q": "hard", "other": 1}
    assert routing.pick().invoke(value, config).chosen_by == "caller"
    assert await routing.as_key().ainvoke(value, config) == {"key": "small", "input": value}
    await routing.pick().abatch([value], config)
    routing.pick().batch([value], config)
    assert [event["data"]["model"] for event in listener.events] == ["small"] * 4
    assert [event["run_id"] for event in listener.events] == [run.id for run in tracer.traced_runs]


async def test_what_cannot_be_routed_keeps_its_place(routing) -> None:
    routing = routing.model_copy(update={"strict": True})
    for found in (
        routing.pick().batch(["hard", ""], return_exceptions=True),
        await routing.pick().abatch(["hard", ""], return_exceptions=True),
    ):
        assert (found[0].model, type(found[1])) == ("large", InvalidInput)
    with pytest.raises(InvalidInput):
        routing.as_key().batch(["hard", ""])


def test_with_keys_it_is_langchains_pick(router) -> None:
    routes = {id_: RunnableLambda(lambda text, id_=id_: {"by": id_, "text": text}) for id_ in ("small", "large")}
    assert RunnableRouter(routes, router).pick("by").invoke("hard") == "large"
    assert RunnableRouter(routes, router).pick(["text"]).invoke("hard") == {"text": "hard"}


def test_it_declares_what_a_call_may_set(routing) -> None:
    wanted = [spec.id for spec in routing.config_specs]
    assert "cit_model" in wanted
    for picker in (routing.pick(), routing.as_key()):
        assert [spec.id for spec in picker.config_specs] == wanted


def test_it_pickles(models) -> None:
    router = Router(FakeScorer({"small": 0.2, "large": 0.8}), [Candidate(id="small"), Candidate(id="large")])
    again = pickle.loads(pickle.dumps(RunnableRouter(models, router).as_key()))
    assert again.invoke("q") == {"key": "large", "input": "q"}


# -- LangGraph --------------------------------------------------------------------------------------------------------


class State(TypedDict):
    """A conversation."""

    messages: Annotated[list[AnyMessage], add_messages]


def node_of(model: Any) -> Any:
    async def node(state: State) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    return node


async def test_conditional_edges_of_a_graph(router, models, listener) -> None:
    routing = RunnableRouter(models, router, query_key="messages")
    graph = StateGraph(State)
    for id_, model in models.items():
        graph.add_node(id_, node_of(model))
        graph.add_edge(id_, END)
    graph.add_conditional_edges(START, routing.pick() | (lambda decision: decision.model), {id_: id_ for id_ in models})
    compiled = graph.compile()
    for text, model in (("hard", "large"), ("easy", "small")):
        result = await compiled.ainvoke({"messages": [("human", text)]}, {"callbacks": [listener]})
        assert result["messages"][-1].text == f"{model} heard {text}"
    assert [event["data"]["model"] for event in listener.events] == ["large", "small"]


def test_commands_of_a_graph(routing, models) -> None:
    def choose(state: State, config: RunnableConfig) -> Command[Any]:
        return Command(goto=routing.pick().invoke(state["messages"], config).model)

    graph = StateGraph(State)
    graph.add_node("choose", choose, destinations=tuple(models))
    graph.add_edge(START, "choose")
    for id_, model in models.items():
        graph.add_node(id_, RunnableLambda(lambda state, model=model: {"messages": [model.invoke(state["messages"])]}))
    assert graph.compile().invoke({"messages": [("human", "hard")]})["messages"][-1].text == "large heard hard"


async def test_the_router_is_a_node_and_its_tokens_stream_once(routing) -> None:
    async def answer(state: State, config: RunnableConfig) -> dict[str, Any]:
        return {"messages": [await routing.ainvoke(state["messages"], config)]}

    graph = StateGraph(State).add_node("answer", answer).add_edge(START, "answer").compile()
    stream = graph.astream({"messages": [("human", "hard")]}, stream_mode="messages")
    tokens = [(chunk.text, meta["cit_model"]) async for chunk, meta in stream]
    assert "".join(text for text, _ in tokens) == "large heard hard"
    assert {route for _, route in tokens} == {"large"}
