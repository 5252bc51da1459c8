"""A routed answer carries its decision and one model's name, however the candidate puts it."""

import operator
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from cit_core.records import Candidate
from cit_core.router import FakeScorer, Fallback, Router
from langchain_cit._response_metadata import Stamp, Unstamped, whole

ZOO = Router(FakeScorer({"only": 0.9, "other": 0.5}), [Candidate(id="only"), Candidate(id="other")])


@given(named=st.lists(st.booleans(), min_size=1, max_size=6), last=st.booleans(), in_info=st.booleans())
def test_chunks_add_up_to_one_name_wherever_the_candidate_puts_it(named, last, in_info) -> None:
    decision = ZOO.route("q")
    stamp = Stamp(decision, Fallback().attempts(decision), "fallback name")
    told = [{"model_name": "its own"} if one else {} for one in named]
    chunks = [
        ChatGenerationChunk(
            message=AIMessageChunk(
                "a",
                response_metadata={} if in_info else dict(metadata),
                chunk_position="last" if last and place == len(named) - 1 else None,
            ),
            generation_info=dict(metadata) if in_info and metadata else None,
        )
        for place, metadata in enumerate(told)
    ]
    before = [chunk.model_copy(deep=True) for chunk in chunks]
    passed = [*map(stamp.chunk, chunks), *stamp.rest()]
    whole = reduce(operator.add, passed)
    names = {**(whole.generation_info or {}), **whole.message.response_metadata}
    assert names["model_name"] == ("its own" if any(named) else "fallback name")
    assert whole.message.response_metadata["cit_route"]["id"] == decision.id
    assert whole.text == "a" * len(named)
    assert chunks == before


def test_a_whole_answer_is_a_copy_and_says_which_candidate_failed() -> None:
    decision = ZOO.route("q")
    attempts = Fallback().attempts(decision)
    attempts.failed(TimeoutError("SECRET"))
    result = ChatResult(generations=[ChatGeneration(message=AIMessage("a"))])
    stamped = Stamp(decision, attempts, "other's name").result(result).generations[0].message.response_metadata
    assert stamped["model_name"] == "other's name"
    assert stamped["cit_fallback"]["model"] == "other"
    failed = {"model": "only", "error": "TimeoutError", "reason": "no answer"}
    assert stamped["cit_fallback"]["failures"] == [failed]
    assert result.generations[0].message.response_metadata == {}
    assert Unstamped().result(result) is result


def test_an_answer_in_one_piece_is_the_last_piece_of_a_stream() -> None:
    piece = whole(ChatResult(generations=[ChatGeneration(message=AIMessage("a"))]))
    assert isinstance(piece.message, AIMessageChunk)
    assert (piece.text, piece.message.chunk_position) == ("a", "last")
