"""Parts of contents, as providers write them: the media in them, and the texts."""

from __future__ import annotations

from typing import Any

import pytest

from cit_core.content_parts import media_of_part, modalities_of_part, texts_in, texts_of_part

PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}


@pytest.mark.parametrize(
    ("part", "media"),
    [
        (PNG, [("image", "iVBORw0KGgo=")]),
        ([PNG, {"type": "text", "text": "an image.png"}], [("image", "iVBORw0KGgo=")]),
        ({"type": "computer_screenshot", "file_id": "f"}, [("image", None)]),
        ({"type": "image_generation_call", "result": "iVBORw0KGgo="}, [("image", None)]),
        ({"type": "document", "source": {"type": "base64", "data": "JVBERi0="}}, [("pdf", "JVBERi0=")]),
        ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}, []),
        ({"document": {"format": "pdf", "source": {"bytes": b"%PDF"}}}, [("pdf", b"%PDF")]),
        ({"role": "assistant", "audio": None}, []),
        ({"type": "tool_use", "input": {"url": "https://example.org/a.pdf"}}, []),
    ],
)
def test_media(part: Any, media: list[tuple[str, str | bytes | None]]) -> None:
    assert list(media_of_part(part)) == media
    assert set(modalities_of_part(part)) == {kind for kind, _ in media}


@pytest.mark.parametrize(
    ("part", "texts"),
    [
        ({"type": "text", "text": "a"}, ["a"]),
        (
            {"type": "document", "title": "t", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
            ["t", "x"],
        ),
        ({"type": "tool_use", "id": "1", "name": "f", "input": {"data": "x"}}, ["f", "data", "x"]),
        ({"type": "reasoning", "encrypted_content": "gAAAA", "summary": []}, []),
        ({"type": "image_generation_call", "revised_prompt": "a cat", "result": "iVBORw0KGgo="}, ["a cat"]),
        ({"type": "web_search_call", "result": "found"}, ["found"]),
        ({"extra_content": {"google": {"thought_signature": "CiQB"}}, "thoughtSignature": "CiQB"}, []),
        (PNG, []),
    ],
)
def test_texts(part: Any, texts: list[str]) -> None:
    assert list(texts_of_part(part)) == texts


def test_texts_of_values_of_a_framework() -> None:
    found = texts_in({"a": [object(), 3]}, others=lambda value, _: iter(["own"]) if type(value) is object else None)
    assert list(found) == ["a", "own", "3"]
