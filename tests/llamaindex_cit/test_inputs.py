"""What a call to an LLM is routed on."""

import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    CitableBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool

from cit_core.router import estimate_tokens
from cit_core.tokens import estimate_media_tokens
from llamaindex_cit._inputs import made_of_template, of_messages, of_prompt, with_tools


def says(role: MessageRole, *blocks: object) -> ChatMessage:
    """Texts may stand for blocks of text."""
    return ChatMessage(role=role, blocks=[TextBlock(text=b) if isinstance(b, str) else b for b in blocks])


SYSTEM, USER, ASSISTANT, TOOL = (MessageRole(role) for role in ("system", "user", "assistant", "tool"))
PICTURE = ImageBlock(image=b"", image_mimetype="image/png")
NOTES = DocumentBlock(data=b"x", document_mimetype="text/plain", title="d")


@pytest.mark.parametrize(
    ("messages", "text", "opening"),
    [
        ([says(USER, "q")], "q", "q"),
        ([says(SYSTEM, "s"), says(USER, "a"), says(ASSISTANT, "b"), says(USER, "c")], "c", "a"),
        ([says(USER, "a"), says(ASSISTANT, ToolCallBlock(tool_name="t", tool_kwargs={})), says(TOOL, "3")], "a", "a"),
        ([says(USER, "a"), says(ASSISTANT, "Action: t"), says(USER, "Observation: 3")], "a", "a"),
        ([says(USER, "a"), says(ASSISTANT, "?"), says(USER, "Error while parsing the output: no action")], "a", "a"),
        ([says(USER, "a"), says(USER, "FAILURE: Your previous response was empty.\nAgain.")], "a", "a"),
        ([says(USER, "one", "two")], "one\ntwo", "one\ntwo"),
        ([says(USER, "look"), says(USER, PICTURE)], "look", "look"),
        ([says(SYSTEM, "Describe it."), says(USER, PICTURE)], "Describe it.", None),
        ([says(USER, PICTURE)], "Look at the attached image and answer.", None),
        ([says(USER, NOTES)], "Look at the attached file and answer.", None),
        ([says(USER, NOTES, PICTURE)], "Look at the attached image and answer.", None),
        ([says(ASSISTANT, ThinkingBlock(content="hm"), "so")], "so", None),
        ([says(USER, CitableBlock(title="t", source="s", content=[TextBlock(text="cited")]))], "cited", "cited"),
        ([], "", None),
    ],
)
def test_the_last_turn_of_the_user_decides(messages, text, opening) -> None:
    question = of_messages(messages)
    assert (question.text, question.opening) == (text, opening)


@pytest.mark.parametrize(
    ("block", "modalities"),
    [
        (PICTURE, {"text", "image"}),
        (AudioBlock(audio=b"", format="mp3"), {"text", "audio"}),
        (VideoBlock(video=b"", video_mimetype="video/mp4"), {"text", "video"}),
        (DocumentBlock(data=b"x", document_mimetype="application/pdf", title="d"), {"text", "pdf"}),
        (NOTES, {"text"}),
        (CitableBlock(title="t", source="s", content=[PICTURE]), {"text", "image"}),
    ],
)
def test_the_facts_are_of_the_whole_conversation(block, modalities) -> None:
    facts = of_messages([says(USER, "x" * 400, block), says(ASSISTANT, "y" * 400), says(USER, "z")], tools=True).facts
    media = sum(estimate_media_tokens(kind) for kind in modalities)
    assert (facts.modalities, facts.tokens, facts.tools) == (modalities, 200 + media, True)
    assert not of_messages([says(USER, "z")]).facts.tools


@pytest.mark.parametrize(("messages", "text"), [([], "Call a tool."), ([says(USER, " ")], "Call a tool.")])
def test_tools_may_be_handed_over_without_a_word(messages, text) -> None:
    assert (of_messages(messages, tools=True).text, of_messages(messages).text) == (text, "")


def test_a_template_tells_the_query_for_what_was_made_of_it_alone() -> None:
    template = PromptTemplate("{context} {query_str}")
    prompt = " ".join(["long", "texts", "why?"])
    assert of_prompt(prompt).text == prompt
    made_of_template(prompt, template, {"context": "long texts", "query_str": "why?"})
    question = of_prompt(prompt)
    assert (question.text, question.facts.tokens, question.opening) == ("why?", estimate_tokens(prompt), None)
    assert of_prompt(prompt[:-1]).text == prompt[:-1]
    messages = [says(USER, prompt)]
    made_of_template(messages, template.partial_format(query_str="how?"), {})
    assert (of_messages(messages).text, of_messages(messages).opening) == ("how?", None)
    assert of_messages(list(messages)).text == prompt


@pytest.mark.parametrize("arguments", [{}, {"query_str": " "}, {"query_str": None}])
def test_a_template_without_a_query_says_nothing(arguments) -> None:
    messages = [says(USER, "all of it")]
    made_of_template(messages, PromptTemplate("{x}"), arguments)
    assert (of_messages(messages).text, of_messages(messages).opening) == ("all of it", None)


def test_tool_definitions_fill_the_prompt_too() -> None:
    tools = [
        FunctionTool.from_defaults(lambda number=0: number, name=f"t{n}", description="d" * 4_000) for n in range(3)
    ]
    facts = with_tools(tools, "q", None).facts
    assert 3000 < facts.tokens < 4000
    assert with_tools([], "q", [says(USER, "x" * 400)]).facts.tokens == 100


def test_the_pictures_of_the_last_message_that_has_any_go_along() -> None:
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (30).to_bytes(4, "big") + (20).to_bytes(4, "big")
    question = of_messages(
        [says(USER, ImageBlock(image=png), "how large?"), says(ASSISTANT, "So."), says(USER, "sure?")]
    )
    assert [(one.width, one.height) for one in question.pictures] == [(30, 20)]
    told = ChatMessage(
        "and now?", additional_kwargs={"content": [{"type": "image_url", "image_url": "u", "alt": "a map"}]}
    )
    assert [one.kind for one in of_messages([told]).pictures] == ["map"]
    assert of_messages([says(USER, "no picture")]).pictures == ()
