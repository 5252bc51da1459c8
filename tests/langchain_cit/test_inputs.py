"""Any input of a chat model or chain gives a text to route on and facts about the rest, or one clear error."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompt_values import ChatPromptValue, StringPromptValue

from cit_core.errors import InvalidInput
from cit_core.router import Router
from langchain_cit import RunnableRouter
from langchain_cit._inputs import read_query

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
CALL = {"name": "weather", "args": {}, "id": "1"}
TOOL_LOOP = [
    SystemMessage("be brief"),
    HumanMessage("first question"),
    AIMessage("first answer"),
    HumanMessage("what is the weather?"),
    AIMessage("", tool_calls=[CALL]),
    ToolMessage("sunny", tool_call_id="1"),
]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a question", "a question"),
        ("  padded\n", "padded"),
        (HumanMessage("a question"), "a question"),
        (StringPromptValue(text="a question"), "a question"),
        (ChatPromptValue(messages=[SystemMessage("be brief"), HumanMessage("a question")]), "a question"),
        ([("system", "be brief"), ("human", "a question")], "a question"),
        ([{"role": "user", "content": "a question"}], "a question"),
        (["a question"], "a question"),
        ([ChatMessage("a question", role="user"), AIMessage("an answer")], "a question"),
        (TOOL_LOOP, "what is the weather?"),
        ([SystemMessage("only a system prompt")], "only a system prompt"),
        ([AIMessage("only an answer")], "only an answer"),
        ([HumanMessage([{"type": "text", "text": "look"}, PICTURE, "closely"])], "look\nclosely"),
        ([HumanMessage("what is in it?"), HumanMessage([PICTURE])], "what is in it?"),
        ([SystemMessage("caption pictures"), HumanMessage([PICTURE])], "caption pictures"),
        (HumanMessage([PICTURE]), "Look at the attached image and answer."),
        (HumanMessage([{"type": "file", "file_id": "f"}]), "Look at the attached file and answer."),
        ([AIMessage("", tool_calls=[CALL]), ToolMessage("a result", tool_call_id="1")], "a result"),
        (
            [AIMessage("", tool_calls=[CALL]), ToolMessage([PICTURE], tool_call_id="1")],
            "Look at the attached image and answer.",
        ),
        ({"anything": "a question"}, "a question"),
        ({"anything": [HumanMessage("a question")]}, "a question"),
    ],
)
def test_the_text_is_the_last_human_turn(value: Any, text: str) -> None:
    assert read_query(value).text == text


@pytest.mark.parametrize(
    ("part", "modality"),
    [
        (PICTURE, "image"),
        ({"type": "image", "base64": "AAAA", "mime_type": "image/png"}, "image"),
        ({"type": "image", "source_type": "url", "url": "http://example.com/a.png"}, "image"),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}, "image"),
        ({"image": {"format": "png", "source": {"bytes": b"AAAA"}}}, "image"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, "audio"),
        ({"type": "media", "mime_type": "audio/wav", "data": b"AAAA"}, "audio"),
        ({"type": "video", "url": "http://example.com/a.mp4"}, "video"),
        ({"type": "file", "mime_type": "application/pdf", "base64": "AAAA"}, "pdf"),
        ({"type": "file", "file": {"filename": "a", "file_data": "data:application/pdf;base64,AAAA"}}, "pdf"),
        ({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA"}}, "pdf"),
    ],
)
def test_parts_that_are_not_text_become_facts_wherever_they_stand(part: dict[str, Any], modality: str) -> None:
    tool_result = ToolMessage([{"type": "text", "text": "here it is"}, part], tool_call_id="1")
    query = read_query([HumanMessage("fetch it"), AIMessage(""), tool_result])
    assert query.text == "fetch it"
    assert query.facts.modalities == {"text", modality}


def test_what_is_not_known_is_no_fact() -> None:
    parts = [{"type": "reasoning", "reasoning": "hm"}, {"type": "file", "file_id": "f"}, {"type": ["odd"]}, {}]
    query = read_query([HumanMessage("go on"), AIMessage(parts), ToolMessage(parts, tool_call_id="1")])
    assert query.facts.modalities == {"text"}


def test_the_length_is_that_of_the_whole_conversation() -> None:
    assert read_query([SystemMessage("x" * 400), HumanMessage("y" * 40)]).facts.tokens == 110


def test_a_dict_is_read_at_its_query_key() -> None:
    assert read_query({"question": "q", "context": "c"}, "question").text == "q"


@pytest.mark.parametrize(
    ("value", "query_key", "message"),
    [
        ({"question": "q", "context": "c"}, None, r"several keys and no query_key \(its keys: 'question', 'context'\)"),
        ({"question": "q"}, "input", r"no key 'input' \(its keys: 'question'\).*query_key=KEY"),
        ({}, None, "its keys: none"),
        ({"question": {"nested": "q"}}, None, "holds dict where the query should be"),
        (42, None, "holds int"),
        (None, None, "holds NoneType"),
        (b"bytes", None, "holds bytes"),
        ([1, 2], None, "cannot be read as messages"),
        ([{"role": "user"}], None, "cannot be read as messages"),
        ([("user", "a", "b")], None, "cannot be read as messages"),
        ([], None, "no text to route on"),
        ("  ", None, "no text to route on"),
        (HumanMessage(""), None, "no text to route on"),
        ([AIMessage("", tool_calls=[{"name": "t", "args": {}, "id": "1"}])], None, "no text to route on"),
    ],
)
def test_an_input_without_a_query_is_refused_in_one_sentence(value: Any, query_key: str | None, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_query(value, query_key)


@pytest.mark.parametrize("whole", [False, True])
def test_a_text_twice_in_a_conversation_is_read_once(whole: bool) -> None:
    query = read_query([HumanMessage("go on"), AIMessage("so"), HumanMessage("go on")], whole=whole)
    assert query.text == ("go on\n\nso" if whole else "go on")


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=5)
json_like = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
part_names = st.sampled_from(["type", "text", "image_url", "image", "source", "mime_type", "file", "data"])
parts = st.lists(st.text(max_size=5) | st.dictionaries(part_names, json_like, max_size=4), max_size=4)


@settings(deadline=None)
@given(content=parts)
def test_no_content_crashes_it(content: list[Any]) -> None:
    query = read_query([HumanMessage("a question"), ToolMessage(content, tool_call_id="1")])
    assert query.text == "a question"
    whole = read_query([HumanMessage("a question"), ToolMessage(content, tool_call_id="1")], whole=True)
    assert whole.text.startswith("a question")
    assert whole.facts == query.facts


@settings(deadline=None)
@given(value=json_like)
def test_whatever_comes_is_read_or_refused(value: Any) -> None:
    with suppress(InvalidInput):
        assert read_query(value).text


def test_tools_and_schemas_fill_the_prompt_too(router: Router, models: dict[str, Any]) -> None:
    """A call's tools count whether they are passed or bound, and so does the schema of an answer."""
    tool = {"type": "function", "function": {"name": "send", "description": "Send a long mail. " * 50}}
    asking = RunnableRouter(models, router).asking
    plain = asking.query("hi", {}, {}).known_facts.tokens
    passed = asking.query("hi", {"tools": [tool]}, {}).known_facts.tokens
    assert passed > plain + 150
    assert asking.query("hi", {"tools": True, "response_format": False}, {}).known_facts.tokens == plain
    bound = RunnableRouter({id_: model.bind(tools=[tool]) for id_, model in models.items()}, router).asking
    assert bound.query("hi", {}, {}).known_facts.tokens == passed
    schema = {"response_format": {"type": "json_schema", "json_schema": {"name": "mail", "schema": tool}}}
    assert asking.query("hi", schema, {}).known_facts.tokens > passed


def test_the_pictures_of_the_last_message_that_has_any_go_along() -> None:
    first = HumanMessage([{**PICTURE, "alt": "a map"}, {"type": "text", "text": "where?"}])
    later = HumanMessage([{"type": "image", "url": "https://x/y", "metadata": {"caption": "a bar chart"}}])
    query = read_query([first, AIMessage("There."), later, HumanMessage("and here?")])
    assert [one.kind for one in query.pictures] == ["bar chart"]
    assert [one.kind for one in read_query([first, HumanMessage("and?")]).pictures] == ["map"]
    assert read_query("a text").pictures == ()
