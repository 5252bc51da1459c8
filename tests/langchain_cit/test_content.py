"""All that fills a prompt is seen: media in tool results, documents, and the length of what is not plain text."""

import base64
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from cit_core.router import estimate_tokens
from langchain_cit._content import count_tokens, modalities_of
from langchain_cit._inputs import read_query

PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}


@pytest.mark.parametrize(
    ("part", "kinds"),
    [
        (PNG, {"image"}),
        (PDF, {"pdf"}),
        ({"type": "document", "source": {"type": "url", "url": "https://example.org/a"}}, {"pdf"}),
        ({"type": "document", "source": {"type": "file", "file_id": "f"}}, {"pdf"}),
        ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}, set()),
        ({"type": "document", "source": {"type": "content", "content": [PNG]}}, {"image"}),
        ({"document": {"format": "pdf", "name": "d", "source": {"bytes": b"%PDF"}}}, {"pdf"}),
        ({"document": {"format": "docx", "name": "d", "source": {"bytes": b"x"}}}, {"pdf"}),
        ({"document": {"format": "md", "name": "d", "source": {"text": "x"}}}, set()),
        ({"image": {"format": "png", "source": {"bytes": b"x"}}}, {"image"}),
        ({"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://a/b"}}}}, {"video"}),
        ({"type": "file", "url": "https://example.org/a.pdf?x=1"}, {"pdf"}),
        ({"type": "file", "url": "https://example.org/a.PNG"}, {"image"}),
        ({"type": "file", "base64": "x", "mime_type": "application/pdf"}, {"pdf"}),
        ({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,x"}}, {"pdf"}),
        ({"type": "input_file", "file_url": "https://example.org/report.pdf"}, {"pdf"}),
        ({"type": "media", "mime_type": "audio/mp3", "data": "x"}, {"audio"}),
        ({"type": "file", "file_id": "f"}, set()),
        ({"type": "tool_result", "tool_use_id": "1", "content": [PNG, PDF]}, {"image", "pdf"}),
        ({"type": "tool_result", "tool_use_id": "1", "content": "a.pdf"}, set()),
        ({"toolResult": {"toolUseId": "1", "content": [{"image": {"format": "png"}}]}}, {"image"}),
        ({"toolResult": {"toolUseId": "1", "content": [{"document": {"format": "pdf"}}]}}, {"pdf"}),
        ({"type": "tool_use", "id": "1", "name": "f", "input": {"url": "https://example.org/a.pdf"}}, set()),
        ({"type": "text", "text": "an image.png"}, set()),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
)
def test_media_are_seen_wherever_a_provider_puts_them(part: dict[str, Any], kinds: set[str]) -> None:
    assert modalities_of(HumanMessage([part, {"type": "text", "text": "look"}])) == kinds
    assert modalities_of(ToolMessage([part], tool_call_id="1")) == kinds


LONG = "a long clause of a contract " * 1000


@pytest.mark.parametrize(
    "message",
    [
        AIMessage("", tool_calls=[{"name": "write", "args": {"url": LONG}, "id": "1"}]),
        AIMessage("", invalid_tool_calls=[{"name": "write", "args": LONG, "id": "1", "error": None}]),
        AIMessage([{"type": "tool_use", "id": "1", "name": "write", "input": {"text": LONG}}]),
        ToolMessage(LONG, tool_call_id="1"),
        ToolMessage([{"type": "text", "text": LONG}], tool_call_id="1"),
        HumanMessage([{"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": LONG}]}]),
        HumanMessage([{"toolResult": {"toolUseId": "1", "content": [{"json": {"data": [LONG]}}]}}]),
        HumanMessage(
            [{"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": LONG}]}}]
        ),
        HumanMessage([{"type": "search_result", "title": "t", "content": [{"type": "text", "text": LONG}]}]),
        HumanMessage([{"guardContent": {"text": {"text": LONG}}}]),
    ],
    ids=lambda message: str(message.content)[:40] or "tool calls",
)
def test_what_fills_a_prompt_counts_as_tokens(message: Any) -> None:
    tokens = read_query([HumanMessage("q"), message]).known_facts.tokens
    assert estimate_tokens(LONG) <= tokens <= estimate_tokens(LONG) + 40


def test_a_document_of_plain_text_counts_though_its_key_is_data() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": LONG}
    assert count_tokens(HumanMessage([{"type": "document", "source": source}])) >= estimate_tokens(LONG)


def test_bytes_and_addresses_are_no_text() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    assert count_tokens(HumanMessage([picture, PNG, {"image": {"source": {"bytes": b"x" * 10_000}}}])) < 4_800 + 10


PAGES = base64.b64encode(b"%PDF-1.4 " + b"/Type /Page " * 4).decode()


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        (PNG, 1_600),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}, 1_600),
        ({"type": "input_image", "image_url": "https://example.org/a.png"}, 1_600),
        ({"toolResult": {"toolUseId": "1", "content": [{"image": {"format": "png"}}, PNG]}}, 3_200),
        ({"type": "file", "base64": PAGES, "mime_type": "application/pdf"}, 12_000),
        ({"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PAGES}"}}, 12_000),
        ({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PAGES}}, 12_000),
        ({"document": {"format": "pdf", "name": "a", "source": {"bytes": base64.b64decode(PAGES)}}}, 12_000),
        ({"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}}, 3_000),
    ],
    ids=lambda given: str(given)[:60],
)
def test_pictures_and_pages_count_once_each(part: dict[str, Any], tokens: int) -> None:
    for message in (HumanMessage([part]), ToolMessage([part], tool_call_id="1")):
        assert tokens <= count_tokens(message) <= tokens + 20
        assert tokens <= count_tokens({"history": [message]}) <= tokens + 20


def test_a_tool_call_that_is_told_twice_counts_once() -> None:
    call = {"type": "tool_use", "id": "1", "name": "write", "input": {"text": LONG}}
    message = AIMessage([call], tool_calls=[{"name": "write", "args": {"text": LONG}, "id": "1"}])
    assert count_tokens(message) < 1.1 * estimate_tokens(LONG)


def test_what_stands_beside_the_query_counts_where_a_chain_is_handed_it() -> None:
    value = {"question": "q", "documents": [Document(LONG)], "history": [HumanMessage(LONG)]}
    assert read_query(value, "question").known_facts.tokens == 1
    assert read_query(value, "question", beside=True).known_facts.tokens > 1.9 * estimate_tokens(LONG)


def test_a_value_without_end_is_read_to_a_depth() -> None:
    endless: list[Any] = ["a"]
    endless.append(endless)
    assert count_tokens(endless) < 100
