"""Clients that people have: tools, structured output, pictures, responses, frameworks, curl."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from gateway_process import gateway
from scripted_provider import ANSWER, ScriptedProvider

openai = pytest.importorskip("openai", reason="pip install 'cit-router[openai]'")
ASK = [{"role": "user", "content": "What is 7 times 8?"}]
TOOL = {"type": "function", "function": {"name": "multiply", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ScriptedProvider]]:
    """A gateway whose models answer each in a way of their own."""
    models = {name: name for name in ("ok", "tool", "json", "response")}
    with ScriptedProvider() as provider, gateway(tmp_path_factory.mktemp("g"), provider.url, models) as url:
        yield url, provider


def test_tools_structured_output_and_pictures(served: tuple[str, ScriptedProvider]) -> None:
    url, provider = served
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True}}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    with openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0, timeout=20) as sdk:
        called = sdk.chat.completions.create(model="tool", messages=ASK, tools=[TOOL], tool_choice="required")
        assert json.loads(called.choices[0].message.tool_calls[0].function.arguments) == {"a": 7, "b": 8}
        chunks = sdk.chat.completions.create(
            model="tool", messages=ASK, tools=[TOOL], stream=True, stream_options={"include_usage": True}
        )
        assert [c.choices[0].delta.tool_calls[0].function.name for c in chunks if c.choices[0].delta.tool_calls] == [
            "multiply"
        ]
        sent = json.loads(provider.bodies[-1])
        assert (sent["tools"], sent["stream_options"]) == ([TOOL], {"include_usage": True})
        said = sdk.chat.completions.create(model="json", messages=ASK, response_format=schema)
        assert json.loads(said.choices[0].message.content) == {"product": 56}
        assert json.loads(provider.bodies[-1])["response_format"] == schema
        messages = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]}]
        sdk.chat.completions.create(model="cit", messages=messages)
        assert json.loads(provider.bodies[-1])["messages"] == messages


async def test_responses(served: tuple[str, ScriptedProvider]) -> None:
    url, _ = served
    with openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0, timeout=20) as sdk:
        assert sdk.responses.create(model="response", input="What is 7 times 8?").output_text == ANSWER
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as sdk:
        stream = await sdk.responses.create(model="response", input="What is 7 times 8?", stream=True)
        events = [event async for event in stream]
    assert [event.type for event in events] == [
        "response.created",
        "response.output_text.delta",
        "response.completed",
    ]


def test_langchain_openai(served: tuple[str, ScriptedProvider]) -> None:
    langchain_openai = pytest.importorskip("langchain_openai", reason="uv pip install --group test")
    url, _ = served
    model = langchain_openai.ChatOpenAI(model="cit", base_url=f"{url}/v1", api_key="x", max_retries=0)
    assert model.invoke("What is 7 times 8?").text == ANSWER
    assert "".join(chunk.text for chunk in model.stream("What is 7 times 8?")) == ANSWER
    calling = model.model_copy(update={"model_name": "tool"}).bind_tools([TOOL])
    assert calling.invoke("What is 7 times 8?").tool_calls[0]["args"] == {"a": 7, "b": 8}


async def test_llama_index_openai_like(served: tuple[str, ScriptedProvider]) -> None:
    openai_like = pytest.importorskip("llama_index.llms.openai_like", reason="uv pip install --group test")
    url, _ = served
    llm = openai_like.OpenAILike(model="cit", api_base=f"{url}/v1", api_key="x", is_chat_model=True, max_retries=0)
    assert llm.complete("What is 7 times 8?").text == ANSWER
    assert [piece async for piece in await llm.astream_complete("What is 7 times 8?")][-1].text == ANSWER


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_curl(served: tuple[str, ScriptedProvider]) -> None:
    url, _ = served
    body = json.dumps({"model": "cit", "stream": True, "messages": ASK})
    command = ["curl", "-sSN", "--noproxy", "*", f"{url}/v1/chat/completions", "-d", body]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.rstrip().endswith("data: [DONE]")
