"""A cascade in every way to call: verified before it is handed on, never two side effects, an account of each step."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from pydantic import BaseModel
from scripted import Scripted

from cit_core.errors import InvalidInput
from cit_core.records import Candidate
from cit_core.router import Agreement, Cascade, FakeScorer, Fallback, FollowsSchema, MeanLogprob, Rates, Router
from langchain_cit import ChatCIT, RunnableRouter

SHARP = Rates(true_positive=0.95, false_positive=0.05)
WAYS = ["invoke", "stream", "batch", "batch_as_completed", "ainvoke", "astream", "abatch", "abatch_as_completed"]
PRICES = {"small": (1.0, 1.0), "large": (10.0, 20.0)}


class Speaker(Scripted):
    """Says who it is, in pieces where it streams; fails if told to."""

    tokens: tuple[int, int] = (1000, 100)
    logprob: float | None = None
    spoken: list[str] = []  # noqa: RUF012  # a field of a pydantic model

    def _answer(self, messages: Any, kwargs: Any) -> AIMessage:
        said = super()._answer(messages, kwargs)
        read, written = self.tokens
        usage = {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}
        told = {} if self.logprob is None else {"logprobs": {"content": [{"token": "a", "logprob": self.logprob}]}}
        return said.model_copy(
            update={"usage_metadata": usage, "response_metadata": {**said.response_metadata, **told}}
        )

    def _pieces(self, whole: AIMessage) -> Iterator[AIMessageChunk]:
        for piece in super()._pieces(whole):
            self.spoken.append(piece.text)
            yield piece


def zoo(policy: str = "best") -> Router:
    candidates = [Candidate(id=id_, price_in=i, price_out=o, tools=True) for id_, (i, o) in PRICES.items()]
    return Router(FakeScorer({"small": 0.7, "large": 0.9}), candidates, policy=policy)


def speakers(**options: Any) -> dict[str, Speaker]:
    return {name: Speaker(model_name=name, **options.get(name, {})) for name in PRICES}


def cascade(verify: Any = None, **options: Any) -> Cascade:
    return Cascade(verify or (lambda question, answer: "hard" not in question), reliability=SHARP, **options)


def called(route: Any, way: str, value: str) -> tuple[Any, list[Any]]:
    """Return an answer and its pieces."""

    async def later() -> Any:
        if way == "ainvoke":
            return await route.ainvoke(value)
        if way == "astream":
            return [chunk async for chunk in route.astream(value)]
        if way == "abatch":
            return (await route.abatch([value]))[0]
        return [answer async for _, answer in route.abatch_as_completed([value])].pop()

    if way.startswith("a"):
        came = asyncio.run(later())
    elif way == "stream":
        came = list(route.stream(value))
    elif way == "batch":
        came = route.batch([value])[0]
    elif way == "batch_as_completed":
        ((_, came),) = route.batch_as_completed([value])
    else:
        came = route.invoke(value)
    if not isinstance(came, list):
        return came, [came]
    whole = came[0]
    for chunk in came[1:]:
        whole += chunk
    return whole, came


@pytest.mark.parametrize("kind", [RunnableRouter, ChatCIT])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_call(kind: Any, way: str) -> None:
    models = speakers()
    route = kind(models, zoo(), cascade=cascade())
    easy, pieces = called(route, way, "an easy question")
    assert easy.text == "small says: an easy question"
    told = easy.response_metadata["cit_cascade"]
    assert (told["model"], len(told["steps"])) == ("small", 1)
    assert told["spent_usd"] == pytest.approx((1000 * 1.0 + 100 * 1.0) / 1e6)
    assert told["steps"][0]["measured"]
    hard, _ = called(route, way, "a hard question")
    assert hard.text == "large says: a hard question"
    told = hard.response_metadata["cit_cascade"]
    assert [(step["model"], step["accepted"]) for step in told["steps"]] == [("small", False), ("large", True)]
    assert told["steps"][0]["score"] == 0.0
    assert told["spent_usd"] > 0.0011
    if "stream" in way:
        assert len(pieces) > 2


def test_a_question_that_needs_none_is_answered_at_once() -> None:
    certain = FakeScorer({"small": 0.9, "large": 0.9})
    route = ChatCIT(speakers(), Router(certain, zoo().candidates), cascade=cascade())
    said = route.invoke("a hard question")
    assert said.text.startswith("small")
    assert "cit_cascade" not in said.response_metadata


class Follower(BaseCallbackHandler):
    """Notes every token and every event."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.events: list[tuple[str, Any]] = []

    def on_llm_new_token(self, token: str, **_: Any) -> None:
        self.tokens.append(token)

    def on_custom_event(self, name: str, data: Any, **_: Any) -> None:
        self.events.append((name, data))


def test_nothing_is_handed_on_before_it_is_accepted() -> None:
    """A refused answer is never seen; the last step's is seen as it comes."""
    models = speakers()
    chunks = RunnableRouter(models, zoo(), cascade=cascade()).stream("a hard question")
    seen = [(chunk.text, len(models["large"].spoken)) for chunk in chunks]
    assert "".join(text for text, _ in seen) == "large says: a hard question"
    assert seen[0][1] < len(models["large"].spoken)
    follower = Follower()
    ChatCIT(speakers(), zoo(), cascade=cascade()).invoke("a hard question", {"callbacks": [follower]})
    assert "small" not in "".join(follower.tokens)


def test_steps_are_events_of_a_chain() -> None:
    follower = Follower()
    chain = (
        ChatPromptTemplate.from_template("{q}")
        | RunnableRouter(speakers(), zoo(), cascade=cascade())
        | StrOutputParser()
    )
    assert chain.invoke({"q": "a hard one"}, {"callbacks": [follower]}) == "large says: a hard one"
    assert [name for name, _ in follower.events] == ["cit_route", "cit_cascade", "cit_cascade"]
    route, first, last = (data for _, data in follower.events)
    assert (route["model"], route["chosen_by"]) == ("small", "cascade")
    assert (first["model"], last["model"]) == ("small", "large")
    assert first["decision"] == route["id"]


def test_langgraph_shows_the_accepted_answer_alone() -> None:
    for kind in (RunnableRouter, ChatCIT):
        route = kind(speakers(), zoo(), cascade=cascade())
        graph = StateGraph(MessagesState)
        graph.add_node("ask", lambda state, route=route: {"messages": [route.invoke(state["messages"])]})
        graph.add_edge(START, "ask")
        shown = graph.compile().stream({"messages": [("user", "a hard question")]}, stream_mode="messages")
        text = "".join(message.text for message, _ in shown)
        assert "small" not in text
        assert "large says" in text


def test_tools_run_once() -> None:
    """The verdict on a call is there before the tool runs, and what was accepted is not asked again."""
    ran = []

    @tool
    def send(text: str) -> str:
        """Send a mail."""
        ran.append(text)
        return "sent"

    judged = []

    def verify(question: str, answer: Any) -> bool:
        judged.append((answer.model, answer.tool_calls, len(ran)))
        return not answer.tool_calls

    for kind in (RunnableRouter, ChatCIT):
        ran.clear()
        judged.clear()
        agent = create_agent(kind(speakers(), zoo(), cascade=cascade(verify)), [send])
        said = agent.invoke({"messages": [("user", "send 'hello'")]})
        assert len(ran) == 1
        assert judged[0] == ("small", ("send",), 0)
        assert said["messages"][1].response_metadata["cit_cascade"]["model"] == "large"
        assert said["messages"][-1].text.startswith("small says")


def test_a_route_that_may_do_more_than_answer_is_refused() -> None:
    agent = RunnableLambda(lambda value: value)
    with pytest.raises(InvalidInput, match=re.escape("Cascade(..., any_route=True)")):
        RunnableRouter({**speakers(), "small": agent}, zoo(), cascade=cascade())
    RunnableRouter({**speakers(), "small": agent}, zoo(), cascade=cascade(any_route=True))
    spare = {id_: model.with_fallbacks([model.with_retry()]) for id_, model in speakers().items()}
    RunnableRouter(spare, zoo(), cascade=cascade())
    prompt = ChatPromptTemplate.from_template("{q}")
    RunnableRouter(
        {id_: prompt | model | StrOutputParser() for id_, model in speakers().items()}, zoo(), cascade=cascade()
    )
    with pytest.raises(InvalidInput, match="cascade is True"):
        ChatCIT(speakers(), zoo(), cascade=True)


@pytest.mark.parametrize("way", ["invoke", "stream", "ainvoke", "astream"])
@pytest.mark.parametrize("kind", [RunnableRouter, ChatCIT])
def test_a_step_that_fails(kind: Any, way: str) -> None:
    """The first falls back to the next; where the next fails, the answer that is there is better than none."""
    down = TimeoutError("down")
    first, _ = called(kind(speakers(small={"fails": down}), zoo(), cascade=cascade()), way, "an easy question")
    assert first.text.startswith("large")
    kept, _ = called(kind(speakers(large={"fails": down}), zoo(), cascade=cascade()), way, "a hard question")
    assert kept.text.startswith("small")
    steps = kept.response_metadata["cit_cascade"]["steps"]
    assert steps[1] == {"model": "large", "error": "TimeoutError", "accepted": False}
    with pytest.raises(TimeoutError):
        called(kind(speakers(small={"fails": down}, large={"fails": down}), zoo(), cascade=cascade()), way, "easy")
    if "stream" in way:  # nobody has seen a piece of it: another may still answer
        late = kind(speakers(small={"fails": down, "fails_after": 1}), zoo(), cascade=cascade())
        assert called(late, way, "an easy question")[0].text.startswith("large")


def test_a_verifier_that_fails_costs_no_answer() -> None:
    def broken(question: str, answer: Any) -> bool:
        raise RuntimeError

    said = ChatCIT(speakers(), zoo(), cascade=cascade(broken)).invoke("an easy question")
    assert said.text.startswith("large")
    assert "failed (RuntimeError)" in said.response_metadata["cit_cascade"]["steps"][0]["reason"]


@pytest.mark.parametrize("kind", [RunnableRouter, ChatCIT])
def test_verifiers_get_what_they_need(kind: Any) -> None:
    models = speakers(small={"logprob": -0.01})
    sure = kind(models, zoo(), cascade=Cascade(MeanLogprob(), reliability=SHARP)).invoke("a question")
    assert sure.response_metadata["cit_cascade"]["steps"][0]["score"] == pytest.approx(0.99, abs=0.001)
    models = speakers()
    agreed = kind(models, zoo(), cascade=Cascade(Agreement(3), reliability=SHARP))
    assert agreed.invoke("a question").response_metadata["cit_cascade"]["steps"][0]["score"] == 1.0
    assert len(models["small"].heard) == 3
    assert asyncio.run(agreed.ainvoke("a question")).text.startswith("small")
    assert len(models["small"].heard) == 6


class City(BaseModel):
    """A city."""

    name: str


def test_structured_output() -> None:
    for kind in (RunnableRouter, ChatCIT):
        bound = kind(speakers(), zoo(), cascade=cascade(FollowsSchema(City))).with_structured_output(City)
        assert isinstance(bound.invoke("say 'Rome'"), City)


def test_a_named_model_and_a_conversation_have_no_cascade() -> None:
    models = speakers()
    named = ChatCIT(models, zoo(), cascade=cascade()).invoke("a hard question", model="small")
    assert named.text.startswith("small")
    assert not models["large"].heard
    routed = RunnableRouter(models, zoo(), cascade=cascade())
    assert routed.pick().invoke("a question").chosen_by == "cascade"
    assert routed.as_key().invoke("a question")["key"] == "large"  # whoever calls it does not verify


def test_with_fallback_limits_and_feedback() -> None:
    after = Fallback(attempt_timeout_s=5.0, first_token_timeout_s=5.0)
    for way in ("invoke", "astream"):
        said, _ = called(ChatCIT(speakers(), zoo(), cascade=cascade(), fallback=after), way, "a hard question")
        assert said.text.startswith("large")
    with pytest.raises(InvalidInput, match="JSON cannot hold"):
        RunnableRouter(speakers(), zoo(), cascade=cascade()).to_config()
