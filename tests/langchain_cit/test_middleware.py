"""Agents made by `create_agent` route once per run or per model call; everything else of the agent stays as it is."""

import asyncio
import operator
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any

import pytest
from blockbuster import blockbuster_ctx
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ModelCallLimitMiddleware,
    ModelFallbackMiddleware,
    ModelRequest,
    before_agent,
    wrap_model_call,
)
from langchain.agents.structured_output import ToolStrategy
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler
from langgraph.checkpoint.memory import InMemorySaver
from parrot import Listener, Parrot
from pydantic import BaseModel
from scripted import Scripted

from cit_core.errors import InvalidInput, NoCandidate, UnknownCandidate
from cit_core.records import Candidate, Decision
from cit_core.router import FakeScorer, Fallback, Router
from langchain_cit import ChatCIT, RunnableRouter
from langchain_cit.middleware import CITCallMiddleware, CITRunMiddleware

PICTURE = {"type": "image", "base64": "AAAA", "mime_type": "image/png"}
BOTH = pytest.mark.parametrize("kind", [CITRunMiddleware, CITCallMiddleware])

needs_the_config = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="before Python 3.11 LangGraph hands no config to a model in an async node"
)


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture
def candidates() -> dict[str, Scripted]:
    return {"small": Scripted(model_name="s"), "large": Scripted(model_name="l")}


@pytest.fixture
def default() -> Scripted:
    """What the agent is made with; nobody should ask it."""
    return Scripted(model_name="default", fails=AssertionError("the agent's own model was asked"))


def asked(text: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text)]}


def answered_by(result: dict[str, Any]) -> list[str]:
    return [m.response_metadata["model_name"] for m in result["messages"] if isinstance(m, AIMessage)]


async def both_ways(agent: Any, value: dict[str, Any], config: Any = None) -> list[dict[str, Any]]:
    return [agent.invoke(value, config), await agent.ainvoke(value, config)]


# -- deciding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "decisions"), [(CITRunMiddleware, 1), (CITCallMiddleware, 2)])
async def test_once_per_run_or_once_per_model_call(kind, decisions, candidates, default, router, scorer) -> None:
    agent = create_agent(default, [add], middleware=[kind(candidates, router)])
    for question, chosen in (("hard: 3", "l"), ("easy: 4", "s")):
        before = len(scorer.calls)
        result = agent.invoke(asked(question))
        assert answered_by(result) == [chosen, chosen]
        assert [m.content for m in result["messages"] if isinstance(m, ToolMessage)] == ["6" if chosen == "l" else "8"]
        assert len(scorer.calls) - before == decisions
        before = len(scorer.calls)
        assert answered_by(await agent.ainvoke(asked(question))) == [chosen, chosen]
        assert len(scorer.calls) - before == decisions


@BOTH
async def test_the_decision_is_private_state(kind, candidates, default, router) -> None:
    agent = create_agent(default, middleware=[kind(candidates, router)], checkpointer=InMemorySaver())
    for place, result in enumerate(
        [agent.invoke(asked("hard"), thread("0")), await agent.ainvoke(asked("hard"), thread("1"))]
    ):
        assert "cit_route" not in result
        kept = agent.get_state(thread(str(place))).values["cit_route"]
        assert Decision.model_validate(kept).model == "large"
        agent.invoke(asked("easy"), thread(str(place)))
        assert agent.get_state(thread(str(place))).values["cit_route"]["model"] == "small"
    assert "cit_route" not in agent.get_input_jsonschema()["properties"]
    assert "cit_route" not in agent.get_output_jsonschema()["properties"]


def thread(name: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": name}}


@BOTH
@needs_the_config
async def test_the_trace_shows_who_ran_and_tokens_count_once(kind, candidates, default, router) -> None:
    agent = create_agent(default, middleware=[kind(candidates, router)])
    for way in ("invoke", "ainvoke"):
        runs, usage, listener = RunCollectorCallbackHandler(), UsageMetadataCallbackHandler(), Listener()
        config = {"callbacks": [runs, usage, listener], "tags": ["mine"], "metadata": {"user": "u"}}
        if way == "invoke":
            agent.invoke(asked("hard"), config)
        else:
            await agent.ainvoke(asked("hard"), config)
        models = [run for run in all_runs(runs.traced_runs) if run.run_type == "llm"]
        assert [(run.extra["metadata"]["cit_model"], run.extra["metadata"]["user"]) for run in models] == [
            ("large", "u")
        ]
        assert {"mine", "cit_model:large"} <= set(models[0].tags)
        assert usage.usage_metadata["l"]["total_tokens"] == len("hard") + len("l says: hard")
        events = [event for event in listener.events if event["name"] == "cit_route"]
        assert [event["data"]["model"] for event in events] == ["large"]


def all_runs(runs: Sequence[Any]) -> list[Any]:
    return [found for run in runs for found in [run, *all_runs(run.child_runs)]]


@BOTH
@needs_the_config
async def test_tokens_stream_once_and_bear_the_route(kind, candidates, default, router) -> None:
    agent = create_agent(default, middleware=[kind(candidates, router)])
    streamed = list(agent.stream(asked("hard one"), stream_mode="messages"))
    astreamed = [piece async for piece in agent.astream(asked("hard one"), stream_mode="messages")]
    for pieces in (streamed, astreamed):
        chunks = [chunk for chunk, _ in pieces if isinstance(chunk, AIMessageChunk)]
        assert reduce(operator.add, chunks).text == "l says: hard one"
        assert {metadata["cit_model"] for _, metadata in pieces} == {"large"}


@BOTH
def test_the_config_may_force_a_candidate_or_a_policy(kind, candidates, default, router) -> None:
    agent = create_agent(default, middleware=[kind(candidates, router)])
    assert answered_by(agent.invoke(asked("hard"), {"configurable": {"cit_model": "small"}})) == ["s"]
    with pytest.raises(UnknownCandidate, match="closest: 'small'"):
        agent.invoke(asked("hard"), {"configurable": {"cit_model": "smal"}})


@BOTH
def test_a_thread_keeps_its_candidate(kind, candidates, default) -> None:
    close = Router(FakeScorer(lambda q, id_: 0.5 + 0.05 * (id_ == q.split()[-1])), [*map(candidate, candidates)])
    agent = create_agent(default, middleware=[kind(candidates, close, sticky="conversation")])
    assert answered_by(agent.invoke(asked("ask small"), thread("a"))) == ["s"]
    assert answered_by(agent.invoke(asked("ask large"), thread("a"))) == ["s"]
    assert answered_by(agent.invoke(asked("ask large"), thread("b"))) == ["l"]


@BOTH
async def test_another_process_goes_on_with_the_candidate_of_the_checkpoint(kind, candidates, default) -> None:
    close = Router(FakeScorer(lambda q, id_: 0.5 + 0.05 * (id_ == q.split()[-1])), [*map(candidate, candidates)])
    checkpoints = InMemorySaver()

    def process() -> Any:
        """An agent that remembers nothing of the others but what is in the checkpoints."""
        middleware = [kind(candidates, close, sticky="conversation")]
        return create_agent(default, middleware=middleware, checkpointer=checkpoints)

    last = {"messages": [HumanMessage("ask large")]}
    assert answered_by(process().invoke(asked("ask small"), thread("a"))) == ["s"]
    assert answered_by(process().invoke(last, thread("a")))[-1] == "s"
    result = await process().ainvoke(last, thread("a"))
    assert answered_by(result)[-1] == "s"
    assert "cit_conversation" not in result
    assert process().get_state(thread("a")).values["cit_conversation"] == {"model": "small", "probability": 0.55}
    assert answered_by(process().invoke(last, thread("b"))) == ["l"]


@BOTH
def test_without_a_thread_stickiness_says_that_it_is_off(kind, candidates, default, router, caplog, listener) -> None:
    agent = create_agent(default, middleware=[kind(candidates, router, sticky="conversation")])
    for _ in range(2):
        agent.invoke(asked("easy"), {"callbacks": [listener]})
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert told[0].startswith("sticky is off for this call: its config has no thread_id")
    routes = [event["data"] for event in listener.events if event["name"] == "cit_route"]
    assert [route["warnings"] for route in routes] == [told, told]
    agent.invoke(asked("easy"), {"callbacks": [listener], **thread("a")})
    assert listener.events[-1]["data"]["warnings"] == []


@BOTH
async def test_what_cannot_be_decided_goes_to_the_default(kind, candidates, default, router) -> None:
    agent = create_agent(default, middleware=[kind(candidates, router, default="large")])
    for result in await both_ways(agent, asked("")):
        assert answered_by(result) == ["l"]
    blind = {id_: Scripted(model_name=id_, profile={"image_inputs": False}) for id_ in candidates}
    picture = {"messages": [HumanMessage([{"type": "text", "text": "easy"}, PICTURE])]}
    assert len(answered_by(create_agent(default, middleware=[kind(blind, router)]).invoke(picture))) == 1
    with pytest.raises(NoCandidate, match="cannot read image"):
        create_agent(default, middleware=[kind(blind, router, strict=True)]).invoke(picture)


def candidate(id_: str) -> Candidate:
    return Candidate(id=id_)


@BOTH
def test_context_may_be_the_whole_conversation(kind, candidates, default, router) -> None:
    history = {"messages": [HumanMessage("something hard"), AIMessage("yes?"), HumanMessage("go on")]}
    for context, chosen in (("turn", "s"), ("conversation", "l")):
        agent = create_agent(default, middleware=[kind(candidates, router, context=context)])
        assert answered_by({"messages": agent.invoke(history)["messages"][3:]}) == [chosen]


async def test_a_run_that_skips_its_beginning_is_routed_all_the_same(candidates, default, router) -> None:
    @before_agent(can_jump_to=["tools"])
    def jump(state: Any, runtime: Any) -> dict[str, Any]:
        call = {"name": "add", "args": {"a": 1, "b": 2}, "id": "0", "type": "tool_call"}
        return {
            "jump_to": "tools",
            "messages": [AIMessage("", tool_calls=[call], response_metadata={"model_name": "-"})],
        }

    ours = CITRunMiddleware(candidates, router)
    agent = create_agent(default, [add], middleware=[jump, ours], checkpointer=InMemorySaver())
    for way, result in enumerate(
        [agent.invoke(asked("hard"), thread("0")), await agent.ainvoke(asked("hard"), thread("1"))]
    ):
        assert answered_by(result) == ["-", "l"]
        assert agent.get_state(thread(str(way))).values["cit_route"]["model"] == "large"


# -- what a call needs ------------------------------------------------------------------------------------------------


@BOTH
async def test_who_cannot_call_tools_is_not_handed_any(kind, default, router) -> None:
    routes = {"small": Scripted(model_name="s"), "large": Parrot(called="l")}
    agent = create_agent(default, [add], middleware=[kind(routes, router)])
    for result in await both_ways(agent, asked("hard: 2")):
        assert answered_by(result) == ["s", "s"]
    unable = create_agent(default, [add], middleware=[kind({"large": Parrot(called="l")}, router)])
    with pytest.raises(NoCandidate, match="has no bind_tools"):
        unable.invoke(asked("hard: 2"))


@BOTH
def test_a_picture_from_a_tool_goes_to_who_can_see_it(kind, candidates, default) -> None:
    @tool
    def look() -> list[Any]:
        """Take a picture."""
        return [PICTURE]

    zoo = [Candidate(id="small", modalities=("text",)), Candidate(id="large", modalities=("text", "image"))]
    router = Router(FakeScorer({"small": 0.9, "large": 0.4}), zoo)
    agent = create_agent(default, [look], middleware=[kind(candidates, router)])
    assert answered_by(agent.invoke(asked("what is there?"))) == ["s", "l"]


class Fact(BaseModel):
    """A fact."""

    number: int


@BOTH
@pytest.mark.parametrize("schema", [Fact, ToolStrategy(Fact)], ids=["auto", "tool"])
async def test_structured_answers_come_from_the_candidate(kind, schema, candidates, default, router) -> None:
    agent = create_agent(default, response_format=schema, middleware=[kind(candidates, router)])
    for result in await both_ways(agent, asked("hard: 42")):
        assert result["structured_response"] == Fact(number=42)
        assert answered_by(result) == ["l"]


@BOTH
@pytest.mark.parametrize("schema", [Fact, ToolStrategy(Fact)], ids=["auto", "tool"])
def test_who_cannot_give_structured_answers_is_not_asked_for_one(kind, schema, default) -> None:
    """By tool calls it takes `bind_tools`; else it may be either, so what the router knows of the candidate decides."""
    auto = schema is Fact
    zoo = [Candidate(id="small"), Candidate(id="large", structured_output=False if auto else None)]
    routes = {"small": Scripted(model_name="s"), "large": Scripted(model_name="l") if auto else Parrot(called="l")}
    router = Router(FakeScorer({"small": 0.4, "large": 0.9}), zoo)
    agent = create_agent(default, response_format=schema, middleware=[kind(routes, router)])
    assert answered_by(agent.invoke(asked("42"))) == ["s"]


# -- failure, and other middleware ------------------------------------------------------------------------------------


@BOTH
@needs_the_config
async def test_the_next_best_answers_for_who_cannot_be_reached(kind, candidates, default, router) -> None:
    candidates["large"].fails = TimeoutError("slow")
    listener = Listener()
    agent = create_agent(default, middleware=[kind(candidates, router, fallback=Fallback(failures=99))])
    for result in await both_ways(agent, asked("hard"), {"callbacks": [listener]}):
        assert answered_by(result) == ["s"]
    told = [event["data"] for event in listener.events if event["name"] == "cit_fallback"]
    assert [(one["chosen"], one["model"], one["failures"][0]["error"]) for one in told] == [
        ("large", "small", "TimeoutError")
    ] * 2


@BOTH
@needs_the_config
async def test_nobody_else_begins_once_tokens_were_streamed(kind, candidates, default, router) -> None:
    candidates["large"].fails, candidates["large"].fails_after = TimeoutError("slow"), 1
    agent = create_agent(default, middleware=[kind(candidates, router, fallback=Fallback(failures=99))])
    seen = []
    with pytest.raises(TimeoutError):
        seen.extend(chunk.text for chunk, _ in agent.stream(asked("hard"), stream_mode="messages"))
    with pytest.raises(TimeoutError):
        seen.extend([chunk.text async for chunk, _ in agent.astream(asked("hard"), stream_mode="messages")])
    assert candidates["small"].heard == []
    candidates["large"].fails_after = 0
    pieces = list(agent.stream(asked("hard"), stream_mode="messages"))
    assert reduce(operator.add, [c for c, _ in pieces if isinstance(c, AIMessageChunk)]).text == "s says: hard"


@BOTH
@pytest.mark.parametrize("outer", ["fallback", "router"])
@pytest.mark.parametrize("error", [TimeoutError("slow"), ZeroDivisionError("a bug")], ids=["unreachable", "a bug"])
async def test_model_fallback_works_further_out_and_further_in(kind, outer, error, candidates, default, router) -> None:
    for model in candidates.values():
        model.fails = error
    ours = kind(candidates, router, fallback=Fallback(failures=99))
    fallback = ModelFallbackMiddleware(Scripted(model_name="backup"))
    agent = create_agent(default, [add], middleware=[fallback, ours] if outer == "fallback" else [ours, fallback])
    for result in await both_ways(agent, asked("hard: 1")):
        assert answered_by(result) == ["backup", "backup"]


@BOTH
async def test_a_fallback_further_out_may_be_a_candidate_too(kind, candidates, default, router) -> None:
    candidates["large"].fails = ZeroDivisionError("a bug")
    fallback = ModelFallbackMiddleware(candidates["small"])
    agent = create_agent(default, [add], middleware=[fallback, kind(candidates, router)])
    for result in await both_ways(agent, asked("hard: 1")):
        assert answered_by(result) == ["s", "s"]


@BOTH
def test_one_middleware_serves_several_agents_and_runs(kind, candidates, router) -> None:
    ours = kind(candidates, router)
    agents = [create_agent(Scripted(model_name=f"d{n}"), middleware=[ours]) for n in range(2)]
    for question, chosen in (("hard", "l"), ("easy", "s")) * 2:
        assert [answered_by(agent.invoke(asked(question))) for agent in agents] == [[chosen], [chosen]]


@BOTH
def test_other_middleware_sees_the_candidate_and_stays_in_charge(kind, candidates, default, router) -> None:
    seen: list[str] = []

    @wrap_model_call
    def inner(request: ModelRequest, handler: Callable[[ModelRequest], Any]) -> Any:
        seen.append(request.model.model_name)
        return handler(request.override(model_settings={"temperature": 0}))

    limit = ModelCallLimitMiddleware(run_limit=1, exit_behavior="end")
    agent = create_agent(default, [add], middleware=[kind(candidates, router), inner, limit])
    agent.invoke(asked("hard: 1"))
    assert seen == ["l"]
    assert candidates["large"].heard[0]["temperature"] == 0


async def test_nothing_blocks_the_event_loop(candidates, default, router) -> None:
    for kind in (CITRunMiddleware, CITCallMiddleware):
        agent = create_agent(default, [add], middleware=[kind(candidates, router)])
        with blockbuster_ctx():
            assert answered_by(await agent.ainvoke(asked("hard: 1"))) == ["l", "l"]


async def test_many_runs_at_once_each_keep_their_own_candidate(candidates, default, router) -> None:
    agent = create_agent(default, [add], middleware=[CITRunMiddleware(candidates, router)])
    questions = [f"{'hard' if place % 3 else 'easy'}: {place}" for place in range(60)]
    results = await asyncio.gather(*(agent.ainvoke(asked(question)) for question in questions))
    for place, (question, result) in enumerate(zip(questions, results, strict=True)):
        assert answered_by(result) == ["l" if "hard" in question else "s"] * 2
        assert result["messages"][-2].content == str(2 * place)


# -- making one -------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("routes", "error", "says"),
    [
        ({}, InvalidInput, "at least one"),
        ({"middle": Parrot(called="m")}, UnknownCandidate, "middle"),
        ({"small": Parrot(called="s") | str}, InvalidInput, "must be a chat model"),
    ],
)
def test_what_cannot_be_a_route_is_refused(kind, routes, error, says, router) -> None:
    with pytest.raises(error, match=says):
        kind(routes, router)


def test_a_route_may_be_the_name_of_a_model(router, monkeypatch) -> None:
    made = Scripted(model_name="made")
    opened = []
    monkeypatch.setattr(
        "langchain.chat_models.init_chat_model", lambda *name, **run: opened.append((name, run)) or made
    )
    assert CITCallMiddleware({"small": "openai:gpt-5@low"}, router).routes == {"small": made}
    assert opened == [(("openai:gpt-5",), {"reasoning_effort": "low"})]


@BOTH
def test_called_by_hand_it_needs_no_graph(kind, candidates, default, router) -> None:
    ours: AgentMiddleware = kind(candidates, router)
    state: Any = {**asked("hard"), **(ours.before_agent(asked("hard"), None) or {})}
    request = ModelRequest(model=default, messages=state["messages"], state=state)
    result: Any = ours.wrap_model_call(request, lambda request: request.model.model_name)
    assert getattr(result, "model_response", result) == "l"


def test_a_chat_model_and_a_router_do_as_the_model_of_an_agent(candidates, router) -> None:
    for model in (ChatCIT(candidates, router), RunnableRouter(candidates, router)):
        result = create_agent(model, [add]).invoke(asked("hard: 3"))  # type: ignore[arg-type]
        assert answered_by(result) == ["l", "l"]
        assert result["messages"][-1].text == "l says: 6"


def test_without_langchain_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['langchain.agents.middleware'] = None; import langchain_cit.middleware"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtra" in done.stderr
    assert "cit-router[agents]" in done.stderr


@BOTH
@needs_the_config
async def test_a_stall_before_the_first_token_ends_at_the_routers_limit(kind, candidates, default, router) -> None:
    """Followed token by token, an answer in one piece is a stream; after its first token it may take its time."""
    stalls = Stalling(model_name="l", after=0)
    fallback = Fallback(first_token_timeout_s=0.4, failures=99)
    for stalls.after, said in ((0, "s says: hard"), (1, "l says: hard")):
        agent = create_agent(default, middleware=[kind({**candidates, "large": stalls}, router, fallback=fallback)])
        streamed = list(agent.stream(asked("hard"), stream_mode="messages"))
        astreamed = [piece async for piece in agent.astream(asked("hard"), stream_mode="messages")]
        for pieces in (streamed, astreamed):
            assert reduce(operator.add, [c for c, _ in pieces if isinstance(c, AIMessageChunk)]).text == said
    assert answered_by(agent.invoke(asked("hard"))) == ["l"]


class Stalling(Scripted):
    """Streams, with a pause before the piece `after`."""

    after: int

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        for place, piece in enumerate(super()._stream(*args, **kwargs)):
            if place == self.after:
                time.sleep(0.9)
            yield piece
