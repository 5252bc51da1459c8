"""The text that is routed on, and what fills a prompt, in three protocols."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from cit_core.server.prompts import read_prompt

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"messages": [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]}, "two"),
        ({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]}, "q"),
        ({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}, "q"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}, PICTURE]}]}, "q"),
        ({"messages": [{"role": "user", "content": "q"}, {"role": "tool", "content": "42"}]}, "q"),
        ({"messages": [{"role": "system", "content": "s"}]}, "s"),
        ({"input": "q"}, "q"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "q"}]}], "instructions": "s"}, "q"),
        ({"system": "s", "messages": [{"role": "user", "content": [{"type": "tool_result", "content": "r"}]}]}, "s"),
        ({"messages": [3, None, {"role": "user"}]}, ""),
        ({"messages": "x"}, "x"),
        ({}, ""),
    ],
)
def test_the_text(fields: dict[str, Any], text: str) -> None:
    assert read_prompt(fields).text == text


@pytest.mark.parametrize(
    ("part", "modality"),
    [
        (PICTURE, "image"),
        ({"type": "input_image", "image_url": "https://x/y.png"}, "image"),
        ({"type": "image", "source": {"type": "base64", "data": "AAAA"}}, "image"),
        ({"type": "document", "source": {"type": "base64", "data": "AAAA"}}, "pdf"),
        ({"type": "input_file", "file_id": "f"}, "pdf"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA"}}, "audio"),
        ({"type": "tool_result", "content": [{"type": "image", "source": {"data": "AAAA"}}]}, "image"),
    ],
)
def test_what_is_no_text(part: dict[str, Any], modality: str) -> None:
    prompt = read_prompt({"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}, part]}]})
    assert prompt.facts.modalities == {"text", modality}
    assert 1_000 <= prompt.facts.tokens < 10_000  # base64 is no text


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": "user", "content": "word " * 40_000}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": "word " * 40_000}}]}]},
        {"messages": [{"role": "tool", "content": [{"type": "text", "text": "word " * 40_000}]}]},
        {"messages": [], "tools": [{"description": "word " * 40_000}]},
        {"input": [{"type": "function_call_output", "output": "word " * 40_000}]},
        {"system": [{"type": "text", "text": "word " * 40_000}]},
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "input": {"data": "word " * 40_000}}]}]},
    ],
)
def test_everything_that_fills_a_prompt_counts(fields: dict[str, Any]) -> None:
    assert 30_000 < read_prompt(fields).facts.tokens < 60_000


@pytest.mark.parametrize(
    ("item", "modality"),
    [
        ({"type": "function_call_output", "output": [{"type": "input_image", "image_url": "https://x/y"}]}, "image"),
        ({"type": "function_call_output", "output": [{"type": "input_file", "file_id": "f"}]}, "pdf"),
        (
            {"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": "https://x/y"}},
            "image",
        ),
        ({"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "A" * 300_000}, "image"),
        ({"role": "user", "content": [{"type": "audio_url", "audio_url": {"url": "https://x/y"}}]}, "audio"),
        ({"role": "user", "content": [{"type": "input_file", "filename": "a.txt", "file_id": "f"}]}, "text"),
        ({"role": "assistant", "content": "a", "audio": None}, "text"),
    ],
)
def test_media_in_the_items_of_responses(item: dict[str, Any], modality: str) -> None:
    prompt = read_prompt({"input": [{"role": "user", "content": "q"}, item]})
    assert prompt.facts.modalities == {"text", modality}
    assert len(prompt.pictures) == (modality == "image")


def test_a_document_of_plain_text_counts_with_its_length() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "word " * 40_000}
    facts = read_prompt({"messages": [{"role": "user", "content": [{"type": "document", "source": source}]}]}).facts
    assert facts.modalities == {"text"}
    assert 30_000 < facts.tokens < 60_000


def test_every_page_of_a_document_counts() -> None:
    data = base64.b64encode(b"%PDF-1.4 " + b"/Type /Page " * 30).decode()
    file = {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{data}"}}
    assert 90_000 <= read_prompt({"messages": [{"role": "user", "content": [file]}]}).facts.tokens < 91_000


def test_tools_and_schemas() -> None:
    assert read_prompt({"output_config": {"format": {"type": "json_schema"}}}).facts.structured_output
    assert read_prompt({"tools": [{"type": "function"}]}).facts.tools
    assert read_prompt({"response_format": {"type": "json_schema"}}).facts.structured_output
    assert read_prompt({"text": {"format": {"type": "json_schema"}}}).facts.structured_output
    plain = read_prompt({"tools": [], "response_format": {"type": "text"}, "text": {"format": {"type": "text"}}}).facts
    assert not plain.tools
    assert not plain.structured_output


def test_pictures_go_along_with_the_users_words() -> None:
    told = {"type": "image_url", "image_url": {"url": "https://x/y.png"}, "alt": "a bar chart"}
    prompt = read_prompt({"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}, told]}]})
    assert [one.kind for one in prompt.pictures] == ["bar chart"]
    assert read_prompt({"messages": [{"role": "user", "content": "q"}]}).pictures == ()
