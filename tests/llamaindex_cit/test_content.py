"""What fills a prompt is seen: media, files, tool calls and their results, and what providers keep beside the text."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_voice import Voice
from pydantic import BaseModel

from cit_core.records import Candidate
from cit_core.router import FakeScorer, Router, estimate_tokens
from llamaindex_cit import CITLLM
from llamaindex_cit._content import read_content
from llamaindex_cit._inputs import of_messages

PICTURE = ImageBlock(image=b"", image_mimetype="image/png")
TOOL = MessageRole.TOOL


class Call(BaseModel):
    """As the openai SDK keeps a tool call."""

    id: str
    arguments: str


def says(*blocks: Any, role: MessageRole = MessageRole.USER, **more: Any) -> ChatMessage:
    return ChatMessage(role=role, blocks=list(blocks), additional_kwargs=more)


@pytest.mark.parametrize(
    ("message", "media"),
    [
        (says(TextBlock(text="q")), set()),
        (says(PICTURE, role=TOOL), {"image"}),
        (says(AudioBlock(audio=b"", format="mp3")), {"audio"}),
        (says(DocumentBlock(data=b"%PDF-1.7", document_mimetype="application/pdf")), {"pdf"}),
        (says(DocumentBlock(url="https://example.com/a")), {"pdf"}),
        (says(DocumentBlock(data=b"PK", document_mimetype="application/vnd.ms-excel")), {"pdf"}),
        (says(CitationBlock(cited_content=PICTURE, source="s", title="t", additional_location_info={})), {"image"}),
        (says(parts=[{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]), {"image"}),
        (says(content=[{"type": "tool_result", "content": [{"type": "document", "source": {}}]}], role=TOOL), {"pdf"}),
        (says(content=[{"document": {"format": "pdf", "source": {"bytes": "x"}}}]), {"pdf"}),
        (says(content=[{"type": "input_audio", "input_audio": {"data": "xx"}}]), {"audio"}),
        (says(url="data:image/png;base64,xx"), {"image"}),
        (says(reference_audio_id="audio_1", role=MessageRole.ASSISTANT), {"audio"}),
        (says(tool_calls=[{"function": {"arguments": {"image": "the name of a picture"}}}]), set()),
    ],
)
def test_media_are_seen_wherever_they_are(message: ChatMessage, media: set[str]) -> None:
    assert read_content(message).media == media


def test_a_text_only_candidate_is_not_given_a_picture_that_a_tool_returned() -> None:
    zoo = [Candidate(id="text", modalities=("text",)), Candidate(id="all", modalities=("text", "image"))]
    router = Router(FakeScorer({"text": 0.9, "all": 0.5}), zoo)
    llm = CITLLM({"text": Voice(called="text"), "all": Voice(called="all")}, router)
    messages = [says(TextBlock(text="Look.")), says(TextBlock(text="done"), PICTURE, role=TOOL)]
    assert llm.chat(messages).additional_kwargs["cit_model"] == "all"


LONG = "A long text about many things. " * 1000


@pytest.mark.parametrize(
    "message",
    [
        says(ToolCallBlock(tool_name="write", tool_kwargs={"text": LONG})),
        says(ToolCallBlock(tool_name="write", tool_kwargs=LONG)),
        says(ThinkingBlock(content=LONG)),
        says(TextBlock(text=LONG), role=TOOL),
        says(DocumentBlock(data=LONG.encode(), document_mimetype="text/plain")),
        says(DocumentBlock(data=base64.b64encode(LONG.encode()), document_mimetype="text/markdown")),
        says(tool_calls=[Call(id="1", arguments=LONG)]),
        says(tool_calls=[{"function": {"name": "write", "arguments": LONG}}]),
        says(documents=[{"title": "t", "snippet": LONG}]),
    ],
)
def test_all_text_that_fills_the_prompt_is_counted(message: ChatMessage) -> None:
    length = estimate_tokens("".join(read_content(message).filling))
    assert length == pytest.approx(estimate_tokens(LONG), rel=0.01)


def test_a_text_file_counts_with_its_size(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text(LONG)
    block = DocumentBlock(path=tmp_path / "notes.txt", document_mimetype="text/plain")
    assert read_content(says(block)).file_tokens == len(LONG) // 4
    gone = DocumentBlock(path=str(tmp_path / "gone.txt"), document_mimetype="text/plain")
    assert read_content(says(gone)).file_tokens == 0


def test_what_holds_itself_ends() -> None:
    endless: dict[str, Any] = {"name": "x"}
    endless["again"] = endless
    assert read_content(says(meta=endless)).media == set()


FOUR_PAGES = b"%PDF-1.4 " + b"/Type /Page " * 4
ENCODED = base64.b64encode(FOUR_PAGES).decode()


@pytest.mark.parametrize(
    ("message", "tokens"),
    [
        (says(PICTURE), 1_600),
        (says(PICTURE, PICTURE, role=TOOL), 3_200),
        (says(DocumentBlock(data=FOUR_PAGES, document_mimetype="application/pdf")), 12_000),
        (says(DocumentBlock(url="https://example.com/a.pdf")), 3_000),
        (says(content=[{"document": {"format": "pdf", "source": {"bytes": FOUR_PAGES}}}]), 12_000),
        (says(content=[{"type": "file", "file": {"file_data": f"data:application/pdf;base64,{ENCODED}"}}]), 12_000),
        (says(parts=[{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]), 1_600),
        (says(url="data:image/png;base64,xx"), 1_600),
    ],
)
def test_pictures_and_pages_count_once_each(message: ChatMessage, tokens: int) -> None:
    assert read_content(message).file_tokens == tokens
    assert tokens <= of_messages([says(TextBlock(text="Look.")), message]).facts.tokens <= tokens + 40


def test_a_pdf_that_is_given_by_its_path_counts_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(bytes(500_000))
    document = DocumentBlock(path=path, document_mimetype="application/pdf")
    assert read_content(says(document)).file_tokens == 15_000
