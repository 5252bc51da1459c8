"""What comes before the first token is held back, so that another candidate may still answer."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk

from cit_core.errors import Transient
from cit_core.records import Candidate
from cit_core.router import Attempts, FakeScorer, Fallback, Router
from cit_core.router.empty_answer import EmptyAnswer
from langchain_cit._first_token import (
    FirstToken,
    abuffered,
    afrom_first_token,
    buffered,
    from_first_token,
    is_blank,
    require_answer,
)


def attempts_at(id_: str) -> Attempts:
    return Fallback().attempts(Router(FakeScorer({id_: 0.9}), [Candidate(id=id_)]).route("q"))


@pytest.fixture
def attempts() -> Attempts:
    return attempts_at("a")


BLANK: list[Any] = [
    "",
    None,
    AIMessageChunk(""),
    AIMessageChunk([]),
    AIMessageChunk("", usage_metadata={"input_tokens": 9, "output_tokens": 0, "total_tokens": 9}),
    AIMessageChunk("", additional_kwargs={"reasoning_content": ""}),
    AIMessageChunk([{"type": "text", "text": "", "index": 0}]),
    AIMessageChunk([{"type": "thinking", "thinking": "", "index": 0}]),
    ChatGenerationChunk(message=AIMessageChunk("", response_metadata={"model_name": "m"})),
    {"raw": AIMessageChunk("")},
]
SAYING: list[Any] = [
    "a",
    0,
    {},
    {"answer": "a"},
    AIMessageChunk("a"),
    AIMessageChunk(["a"]),
    AIMessageChunk([{"type": "thinking", "thinking": "hm", "index": 0}]),
    AIMessageChunk([{"type": "tool_use", "id": "1", "name": "look", "input": {}}]),
    AIMessageChunk("", additional_kwargs={"reasoning_content": "hm"}),
    AIMessageChunk("", tool_call_chunks=[tool_call_chunk(name="look", args="", id="1", index=0)]),
    AIMessage("", tool_calls=[{"name": "look", "args": {}, "id": "1"}]),
]


@pytest.mark.parametrize("piece", BLANK, ids=repr)
def test_a_piece_that_says_nothing_is_no_beginning(piece: Any, attempts: Attempts) -> None:
    assert is_blank(piece)
    with pytest.raises(ConnectionError):
        list(from_first_token(broken(piece), attempts))
    assert not attempts.has_begun


@pytest.mark.parametrize("piece", SAYING, ids=repr)
def test_a_piece_that_says_something_is_one(piece: Any, attempts: Attempts) -> None:
    assert not is_blank(piece)
    stream = from_first_token(broken("", piece), attempts)
    assert [next(stream), next(stream)] == ["", piece]
    assert attempts.has_begun
    with pytest.raises(ConnectionError):
        next(stream)


def broken(*pieces: Any) -> Iterator[Any]:
    yield from pieces
    raise ConnectionError


async def apieces(*pieces: Any) -> AsyncIterator[Any]:
    for piece in pieces:
        yield piece


@pytest.mark.parametrize(
    "last",
    [
        AIMessageChunk("", response_metadata={"finish_reason": "stop"}),
        AIMessageChunk("", response_metadata={"stop_reason": "end_turn"}),
        AIMessageChunk("", usage_metadata={"input_tokens": 9, "output_tokens": 1, "total_tokens": 10}),
        ChatGenerationChunk(message=AIMessageChunk(""), generation_info={"finish_reason": "length"}),
    ],
)
async def test_an_empty_answer_that_has_ended_is_an_answer(last: Any, attempts: Attempts) -> None:
    assert list(from_first_token(iter(["", last]), attempts)) == ["", last]
    again = Fallback().attempts(attempts._decision)
    assert [piece async for piece in afrom_first_token(apieces("", last), again)] == ["", last]
    assert again.has_begun


async def test_a_stream_of_nothing_is_a_fault_that_holds_what_came(attempts: Attempts) -> None:
    for pieces in ([], [AIMessageChunk("")], [""]):
        with pytest.raises(EmptyAnswer) as caught:
            list(from_first_token(iter(pieces), attempts))
        assert (caught.value.held, caught.value.attempts) == (pieces, attempts)
        with pytest.raises(EmptyAnswer):
            [piece async for piece in afrom_first_token(apieces(*pieces), attempts)]


@pytest.mark.parametrize("begins", [[], [AIMessageChunk("half")]])
@pytest.mark.parametrize("reason", ["error", "network_error", "failed"])
async def test_a_stream_that_its_provider_breaks_off_is_a_fault_wherever_it_is(begins: Any, reason: str) -> None:
    pieces = [*begins, AIMessageChunk("", response_metadata={"finish_reason": reason})]
    ways = [lambda one: list(from_first_token(iter(pieces), one)), lambda one: list(buffered(iter(pieces), one))]
    for way in ways:
        with pytest.raises(Transient, match="broke off"):
            way(attempts_at("a"))
    for later in (afrom_first_token, abuffered):
        with pytest.raises(Transient, match="broke off"):
            [piece async for piece in later(apieces(*pieces), attempts_at("a"))]


def test_a_message_in_one_piece_is_held_to_the_same(attempts: Attempts) -> None:
    ended = AIMessage("", response_metadata={"finish_reason": "stop"})
    for answer in ("", None, {"x": ""}, AIMessage("a"), ended):
        assert require_answer(answer, attempts) is answer
    failed = {"finish_reason": "error"}
    used = {"input_tokens": 9, "output_tokens": 1, "total_tokens": 10}
    for none, error in (
        (AIMessage(""), EmptyAnswer),
        (AIMessage("half", response_metadata=failed), Transient),
        (AIMessage("", response_metadata=failed, usage_metadata=used), Transient),
    ):
        with pytest.raises(error):
            require_answer(none, attempts)
        with pytest.raises(error):
            require_answer("a result", attempts, none)


@pytest.mark.parametrize(("token", "chunk", "begun"), [("", None, False), ("", "", False), ("a", None, True)])
def test_a_handler_notices_the_first_token(token: str, chunk: Any, begun: bool, attempts: Attempts) -> None:
    FirstToken(attempts).on_llm_new_token(token, chunk=chunk)
    assert attempts.has_begun == begun


@pytest.mark.parametrize(("event", "begun"), [("message-start", False), ("content-block-delta", True)])
def test_and_the_first_event_of_the_newer_protocol(event: str, begun: bool, attempts: Attempts) -> None:
    FirstToken(attempts).on_stream_event({"event": event})
    assert attempts.has_begun == begun
