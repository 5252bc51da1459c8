"""A candidate of another provider than wrote in a conversation is given what it can read of it."""

import json
from contextlib import suppress
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from pydantic import BaseModel
from scripted_provider import ScriptedProvider

from cit_core.records import Candidate
from cit_core.router import FakeScorer, Router
from langchain_cit import ChatCIT, RunnableRouter
from langchain_cit._history import in_common
from langchain_cit.middleware import CITCallMiddleware

langchain_anthropic = pytest.importorskip("langchain_anthropic", reason="pip install langchain-anthropic")
langchain_openai = pytest.importorskip("langchain_openai", reason="pip install langchain-openai")

CALL = {"name": "weather", "args": {"city": "Paris"}, "id": "1", "type": "tool_call"}
TEXT = {"type": "text", "text": "Let me look."}
PICTURE = {"type": "image", "base64": "iVBORw0KGgo=", "mime_type": "image/png"}
CLAUDE = [
    {"type": "thinking", "thinking": "hm", "signature": "s"},
    {"type": "redacted_thinking", "data": "x"},
    {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}},
    TEXT,
    {"type": "tool_use", "id": "1", "name": "weather", "input": {"city": "Paris"}},
]
GPT = [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}, {**TEXT, "id": "msg_1"}]
GEMINI = [{"type": "thinking", "thinking": "hm"}, {**TEXT, "extras": {"signature": "x"}}]
MADE = {"created": 1, "output_version": "v1"}


def said(provider: str | None, content: Any) -> AIMessage:
    told = {} if provider is None else {"model_provider": provider, **MADE}
    return AIMessage(content, tool_calls=[CALL], response_metadata=told)


def gpt(url: str = "http://localhost") -> Any:
    return langchain_openai.ChatOpenAI(model="gpt-4o-mini", api_key="x", base_url=f"{url}/ok/v1", max_retries=0)


def claude(url: str = "http://localhost") -> Any:
    return langchain_anthropic.ChatAnthropic(model="claude-haiku-4-5", api_key="x", base_url=f"{url}/ok", max_retries=0)


@pytest.mark.parametrize(
    ("provider", "content", "reader", "left"),
    [
        ("anthropic", CLAUDE, gpt, "Let me look."),
        ("google_genai", GEMINI, claude, "Let me look."),
        ("openai", GPT, claude, "Let me look."),
        ("google_genai", [*GEMINI, PICTURE], gpt, [TEXT, PICTURE]),
        ("anthropic", CLAUDE[:3], gpt, ""),
    ],
)
def test_what_only_its_writer_understands_is_left_out(provider: str, content: Any, reader: Any, left: Any) -> None:
    [message] = in_common([said(provider, content)], reader())
    assert (message.content, message.tool_calls) == (left, [CALL])
    assert "output_version" not in message.response_metadata, "its content is no longer in that version"


def test_all_else_stays_the_very_same() -> None:
    for messages, reader in (
        ([said("anthropic", CLAUDE)], claude),
        ([said("openai", GPT)], gpt),
        ([said("openai", "text")], claude),
        ([said(None, CLAUDE)], gpt),
        ([said("amazon_bedrock", CLAUDE)], claude),
        ([("human", "q"), {"role": "user", "content": "q"}, HumanMessage([PICTURE])], gpt),
    ):
        assert in_common(messages, reader()) is messages


TURNS = [HumanMessage("q"), said("anthropic", CLAUDE), ToolMessage("It rains.", tool_call_id="1"), HumanMessage("and?")]


OBJECTS = ("object of ChatCIT", "object of RunnableRouter")


class Weather(BaseModel):
    """The weather."""

    city: str


@pytest.mark.parametrize("way", ["ChatCIT", "ChatCIT stream", "RunnableRouter", "chain", "batch", "agent", *OBJECTS])
def test_every_door_hands_on_what_can_be_read(way: str) -> None:
    router = Router(FakeScorer({"gpt": 0.9}), [Candidate(id="gpt")])
    with ScriptedProvider() as provider:
        models = {"gpt": gpt(provider.url)}
        if way in OBJECTS:
            routing: Any = (ChatCIT if "ChatCIT" in way else RunnableRouter)(models, router)
            chain = routing.with_structured_output(Weather, method="json_schema", include_raw="ChatCIT" in way)
            with suppress(ValueError):  # what was said is no object
                chain.invoke(TURNS)
        elif way.startswith("ChatCIT"):
            chat = ChatCIT(models, router)
            list(chat.stream(TURNS)) if "stream" in way else chat.invoke(TURNS)
        elif way == "agent":
            agent = create_agent(claude(), middleware=[CITCallMiddleware(models, router)])
            agent.invoke({"messages": TURNS})
        else:
            routing = RunnableRouter(models, router)
            chain = ChatPromptTemplate.from_messages([("placeholder", "{turns}")]) | routing
            given = chain if way == "chain" else routing
            given.batch([TURNS]) if way == "batch" else given.invoke({"turns": TURNS} if way == "chain" else TURNS)
        sent = json.loads(provider.bodies[-1])["messages"]
    assert [turn["role"] for turn in sent] == ["user", "assistant", "tool", "user"]
    assert sent[1]["content"] == "Let me look."
