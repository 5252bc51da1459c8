"""Pictures of messages: sizes from headers, captions of any provider's parts, words for scorers; nothing is fetched."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.base.llms.types import ImageBlock
from PIL import Image

from cit_core.pictures import (
    LONGEST_WORDS,
    Picture,
    described,
    picture_kind,
    picture_size,
    pictures_in,
    split_pictures,
    with_pictures,
)

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (640).to_bytes(4, "big") + (200).to_bytes(4, "big") + b"\x08\x02\0\0\0"
TEXT = base64.b64encode(PNG).decode()
URL = f"data:image/png;base64,{TEXT}"
PARTS: dict[str, Any] = {
    "OpenAI": {"type": "image_url", "image_url": {"url": URL}, "alt": "A bar chart"},
    "OpenAI, a text": {"type": "image_url", "image_url": URL, "alt_text": "A bar chart"},
    "responses": {"type": "input_image", "image_url": URL, "caption": "A bar chart"},
    "LangChain": {"type": "image", "base64": TEXT, "mime_type": "image/png", "extras": {"caption": "A bar chart"}},
    "LangChain 0.3": {"type": "image", "source_type": "base64", "data": TEXT, "metadata": {"alt": "A bar chart"}},
    "Anthropic": {"type": "image", "source": {"type": "base64", "data": TEXT}, "title": "A bar chart"},
    "Bedrock": {"image": {"format": "png", "source": {"bytes": PNG}, "caption": "A bar chart"}},
    "Google": {"type": "media", "mime_type": "image/png", "data": PNG, "description": "A bar chart"},
    "tool result": {"type": "tool_result", "content": [{"type": "image", "base64": TEXT, "alt": "A bar chart"}]},
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_the_parts_of_every_provider_are_read(part: Any) -> None:
    (found,) = pictures_in([{"type": "text", "text": "what?"}, part])
    assert (found.width, found.height, found.caption, found.kind) == (640, 200, "A bar chart", "bar chart")
    assert found.content(1_000) == PNG
    assert TEXT[:20] not in repr(found)


def test_a_block_of_llamaindex_and_what_is_not_known() -> None:
    (block,) = pictures_in([ImageBlock(image=PNG)])
    assert (block.width, block.content(1_000)) == (640, PNG)
    (address,) = pictures_in([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}, "ocr": "Hi"}])
    assert (address.width, address.data, address.text) == (None, None, "Hi")
    assert pictures_in([{"type": "text", "text": "image"}, {"type": "tool_use", "input": PARTS["OpenAI"]}]) == ()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_the_size_is_read_from_the_first_bytes(form: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (321, 45)).save(file, form, **({"lossless": True} if form == "WEBP" else {}))
    assert picture_size(file.getvalue()[:1000]) == (321, 45)
    assert Picture.of(file.getvalue()).width == 321


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda rest: b"\xff\xd8\xff\xe0" + rest))
def test_damaged_files_have_no_size_and_cost_no_error(data: bytes) -> None:
    found = Picture.of(data)
    assert found.width is None or found.width > 0
    Picture.of("data:image/png;base64," + data.decode("latin-1"))
    assert Picture.of(data).content(0) is None


def test_words_for_a_scorer() -> None:
    chart = Picture.of(PNG, "A bar  chart of sales.", "2019 12 2020 15")
    said = described([chart])
    assert said == "[picture: bar chart, wide, middling, few words]\nA bar chart of sales.\n2019 12 2020 15"
    both = with_pictures("Which is larger?", [chart, Picture()])
    assert both.startswith("Which is larger?\n\n[pictures: 2]\n[picture: bar chart")
    assert split_pictures(both)[0] == "Which is larger?"
    assert with_pictures("q", [Picture()]) == "q"  # that it is there is a fact of the query, not of its text
    assert split_pictures("no picture\n\n[1] here") == ("no picture\n\n[1] here", "")
    assert len(Picture.of(None, "word " * 100_000).caption) <= LONGEST_WORDS


@pytest.mark.parametrize(
    ("caption", "kind"),
    [
        ("The pie chart shows", "pie chart"),
        ("a right triangle ABC", "geometry diagram"),
        ("a table with prices", "table"),
        ("The image shows a food web", "diagram"),
        ("two men standing in front of a house", "people"),
        ("", "other"),
    ],
)
def test_the_kind_is_told_by_the_caption(caption: str, kind: str) -> None:
    assert picture_kind(caption) == kind
