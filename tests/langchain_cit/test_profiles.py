"""Tools and schemas are bound to every candidate that can have them; the others do not take part and it is said why."""

import sys
from collections.abc import Sequence
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from parrot import Parrot
from pydantic import BaseModel

from cit_core.errors import NoCandidate
from cit_core.policy import QueryFacts
from cit_core.records import Candidate
from cit_core.router import FakeScorer, Router
from langchain_cit import ChatCIT, RunnableRouter
from langchain_cit._profiles import conjunction, reasons_against, windows_of


class Person(BaseModel):
    """A person."""

    name: str


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"it rains in {city}"


class Handy(Parrot):
    """A parrot that calls the first of its tools once, with the last word of the question."""

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        made = super()._generate(messages, stop, run_manager, **kwargs)
        tools = kwargs.get("tools", [])
        if tools and not isinstance(messages[-1], ToolMessage):
            name, *_ = tools[0]["parameters"]
            args = {name: messages[-1].text.split()[-1]}
            call = {"name": tools[0]["name"], "args": args, "id": "1", "type": "tool_call"}
            made.generations[0].message = AIMessage("", tool_calls=[call])
        return made

    def _stream(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def _should_stream(self, **kwargs: Any) -> bool:
        return False

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        def described(one: Any) -> dict[str, Any]:
            if isinstance(one, type):
                return {"name": one.__name__, "parameters": list(one.model_fields)}
            return {"name": one.name, "parameters": list(one.args)}

        return self.bind(tools=[described(one) for one in tools], **kwargs)


@pytest.fixture
def handy() -> dict[str, Handy]:
    return {"small": Handy(called="small"), "large": Handy(called="large")}


def test_every_candidate_is_bound_and_the_right_one_called(router, handy) -> None:
    bound = RunnableRouter(handy, router).bind_tools([weather])
    for question, model in (("hard: Paris", "large"), ("easy: Paris", "small")):
        (decision,) = bound.pick().batch([question])
        assert decision.model == model
        (call,) = bound.invoke(question).tool_calls
        assert (call["name"], call["args"]) == ("weather", {"city": "Paris"})


def test_the_choice_of_a_tool_and_other_arguments_reach_the_candidates(router, handy) -> None:
    bound = RunnableRouter(handy, router).bind_tools([weather], tool_choice="any", strict=True)
    for route in bound.routes.values():
        assert sorted(route.kwargs) == ["strict", "tool_choice", "tools"]
    plain = RunnableRouter(handy, router).bind_tools([weather])
    assert sorted(plain.routes["small"].kwargs) == ["tools"]


def test_structured_output_is_the_candidates_own(router, handy) -> None:
    person = RunnableRouter(handy, router).with_structured_output(Person)
    assert person.invoke("hard: who is Ada") == Person(name="Ada")
    raw = RunnableRouter(handy, router).with_structured_output(Person, include_raw=True).invoke("who is Ada")
    assert raw["parsed"] == Person(name="Ada")


def test_who_cannot_does_not_take_part_and_the_decision_says_why(scorer, handy, models) -> None:
    ids = ["small", "large", "forbidden", "chain", "function", "poor", "unable"]
    zoo = [Candidate(id=id_, tools=False if id_ == "forbidden" else None) for id_ in ids]
    routes = {
        "small": handy["small"],
        "large": models["large"],  # a BaseChatModel whose bind_tools is not implemented
        "forbidden": handy["large"],
        "chain": handy["large"] | (lambda message: message),
        "function": RunnableLambda(str),
        "poor": Handy(called="poor", profile={"tool_calling": False}),
        "unable": FakeListChatModel(responses=["x"]),
    }
    bound = RunnableRouter(routes, Router(scorer, zoo)).bind_tools([weather])
    assert list(bound.routes) == ["small"]
    assert bound.pick().invoke("hard").excluded == {
        "large": "its route, Parrot, cannot be bound",
        "forbidden": "cannot call tools",
        "chain": "its route, RunnableSequence, cannot be bound",
        "function": "its route, RunnableLambda, cannot be bound",
        "poor": "cannot call tools",
        "unable": "its route, FakeListChatModel, cannot be bound",
    }
    with pytest.raises(NoCandidate, match="poor: cannot call tools"):
        bound.invoke("q", {"configurable": {"cit_model": "poor"}})


def test_if_nobody_can_it_is_said_at_once(router, models) -> None:
    with pytest.raises(NoCandidate, match="small, large: its route, Parrot, cannot be bound"):
        RunnableRouter(models, router).bind_tools([weather])
    with pytest.raises(NoCandidate, match="large: its route, Parrot, cannot be bound"):
        RunnableRouter(models, router).with_structured_output(Person)


@pytest.mark.parametrize(
    ("candidate", "profile", "can"),
    [
        ({}, {}, True),
        ({"structured_output": False}, {}, False),
        ({}, {"structured_output": False}, True),  # by a tool call
        ({}, {"tool_calling": False}, True),
        ({}, {"structured_output": False, "tool_calling": False}, False),
    ],
)
def test_who_can_follow_a_schema(scorer, candidate: Any, profile: Any, can: bool) -> None:
    router = Router(scorer, [Candidate(id="large", **candidate), Candidate(id="small")])
    routes = {"large": Handy(called="large", profile=profile), "small": Handy(called="small")}
    bound = RunnableRouter(routes, router).with_structured_output(Person)
    assert ("large" in bound.routes) == can
    assert "small" in bound.routes


def test_a_mistake_in_the_tools_is_not_taken_for_a_candidate_without_tools(router, handy) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'name'"):
        RunnableRouter(handy, router).bind_tools([object()])


def test_the_copy_keeps_its_settings_and_the_original_its_routes(router, handy) -> None:
    routing = RunnableRouter(handy, router, sticky="conversation", name="mine")
    bound = routing.bind_tools([weather])
    assert (bound.sticky, bound.fallback, bound.get_name()) == (routing.sticky, routing.fallback, "mine")
    assert routing.routes == handy


@pytest.mark.parametrize("modality", ["image", "audio", "video", "pdf"])
def test_a_profile_says_what_a_model_cannot_read(scorer, models, modality: str) -> None:
    blind = Parrot(called="large", profile={f"{modality}_inputs": False})
    router = Router(scorer, [Candidate(id="small"), Candidate(id="large")])
    routing = RunnableRouter({**models, "large": blind}, router)
    kind = {"type": "file", "mime_type": "application/pdf"} if modality == "pdf" else {"type": modality}
    message = HumanMessage([{"type": "text", "text": "hard"}, {**kind, "base64": "AAAA"}])
    decision = routing.pick().invoke([message])
    assert (decision.model, dict(decision.excluded)) == ("small", {"large": f"cannot read {modality}"})
    assert routing.pick().invoke("hard").model == "large"


def test_with_fallbacks_distributes_binding_over_routers(router, handy) -> None:
    both = RunnableRouter(handy, router).with_fallbacks([RunnableRouter(handy, router)])
    assert both.bind_tools([weather]).invoke("hard: Paris").tool_calls[0]["args"] == {"city": "Paris"}


# -- agents -----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="before Python 3.11 LangGraph hands no config to a model in an async node"
)
async def test_it_is_the_model_of_an_agent(router, handy, scorer, listener) -> None:
    agent = create_agent(model=RunnableRouter(handy, router), tools=[weather])
    for question, model in (("hard: Paris", "large"), ("easy: Rome", "small")):
        result = await agent.ainvoke({"messages": [("human", question)]}, {"callbacks": [listener]})
        *_, said, answer = result["messages"]
        assert said.content == f"it rains in {question[6:]}"
        assert answer.text.startswith(f"{model} heard it rains")
    assert [call for (call,) in scorer.calls] == ["hard: Paris"] * 2 + ["easy: Rome"] * 2
    assert [event["data"]["model"] for event in listener.events] == ["large"] * 2 + ["small"] * 2


def test_an_agents_thread_keeps_its_model(handy) -> None:
    router = Router(
        FakeScorer(lambda text, id_: 0.9 if id_ == "large" else (0.95 if "first" in text else 0.88)),
        [Candidate(id="small"), Candidate(id="large")],
    )
    model = RunnableRouter(handy, router, sticky="conversation")
    agent = create_agent(model=model, tools=[weather], checkpointer=InMemorySaver())

    def turn(text: str, thread: str) -> str:
        config = {"configurable": {"thread_id": thread}}
        return agent.invoke({"messages": [("human", text)]}, config)["messages"][-1].text.split()[0]

    assert [turn("first: Paris", "a"), turn("second: Rome", "a"), turn("second: Rome", "b")] == [
        "small",
        "small",
        "large",
    ]


def test_an_agent_with_a_response_format(router, handy) -> None:
    agent = create_agent(model=RunnableRouter(handy, router), tools=[], response_format=Person)
    assert agent.invoke({"messages": [("human", "hard: who is Ada")]})["structured_response"] == Person(name="Ada")


# -- what holds for all, and how long an input may be -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("profiles", "together"),
    [
        ([{"tool_calling": True}, {"tool_calling": True}], {"tool_calling": True}),
        ([{"tool_calling": True}, {"tool_calling": False}], {"tool_calling": False}),
        ([{"tool_calling": True}, {}], {}),
        ([{"tool_calling": False}, {}], {"tool_calling": False}),
        ([{"max_input_tokens": 8}, {"max_input_tokens": 4}], {"max_input_tokens": 4}),
        ([{"name": "a", "reasoning_effort_levels": ["low"]}, {"name": "a"}], {}),
        ([{"tool_calling": True}, None], None),
    ],
)
def test_the_profile_is_what_holds_for_all(profiles, together) -> None:
    assert conjunction(profiles) == together


def test_an_input_limit_excludes_unless_it_excludes_every_route() -> None:
    routes = {
        "short": Parrot(called="short", profile={"max_input_tokens": 100}),
        "long": Parrot(called="long", profile={"max_input_tokens": 1000}).bind(stop=["x"]),
        "silent": Parrot(called="silent"),
    }
    assert windows_of(routes) == {"short": 100, "long": 1000}
    assert reasons_against(routes, QueryFacts(tokens=50)) == {}
    reason = "its input limit of 100 tokens is shorter than the query (about 500)"
    assert reasons_against(routes, QueryFacts(tokens=500)) == {"short": reason}
    assert set(reasons_against(routes, QueryFacts(tokens=5000))) == {"short", "long"}
    del routes["silent"]
    assert reasons_against(routes, QueryFacts(tokens=5000)) == {}


def test_a_profiles_input_limit_is_a_constraint_in_every_router(router) -> None:
    short = {"small": Parrot(called="small", profile={"max_input_tokens": 100}), "large": Parrot(called="large")}
    long = "easy " * 500
    assert RunnableRouter(short, router).invoke("easy").text.startswith("small")
    assert RunnableRouter(short, router).invoke(long).text.startswith("large")
    assert ChatCIT(short, router).invoke(long).text.startswith("large")
