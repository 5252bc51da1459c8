"""Pieces are joined as LangChain joins them, and streams are closed when their reader is done."""

from collections.abc import AsyncIterator

import pytest
from langchain_core.messages import AIMessageChunk

from langchain_cit._streams import END, closing, join


def test_pieces_are_added_up_and_what_cannot_be_is_replaced() -> None:
    assert join([]) is END
    assert join(["a", "b"]) == "ab"
    assert join([AIMessageChunk("a"), AIMessageChunk("b")]).text == "ab"
    assert join([object, 3]) == 3


async def test_a_stream_is_closed_even_if_its_reader_fails() -> None:
    closed = []

    async def pieces() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    async def read() -> None:
        async with closing(pieces()) as stream:
            assert await anext(stream) == 1
            raise KeyError

    with pytest.raises(KeyError):
        await read()
    assert closed == [True]
