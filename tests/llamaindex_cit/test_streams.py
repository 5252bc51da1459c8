"""When a streamed answer has begun."""

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, ThinkingBlock, ToolCallBlock
from pydantic import BaseModel, ValidationError

from llamaindex_cit._streams import aopened, has_content, opened


def chunk(delta: str | None = None, **message: object) -> ChatResponse:
    return ChatResponse(message=ChatMessage(role="assistant", **message), delta=delta)


@pytest.mark.parametrize(
    ("one", "begins"),
    [
        (chunk(), False),
        (chunk("", content=""), False),
        (chunk("a"), True),
        (chunk(None, content="a"), True),
        (chunk("", blocks=[ToolCallBlock(tool_name="t")]), True),
        (chunk("", blocks=[ThinkingBlock(content="hm")]), True),
        (chunk("", additional_kwargs={"tool_calls": [1]}), True),
        (CompletionResponse(text=""), False),
        (CompletionResponse(text="", delta="a"), True),
        (CompletionResponse(text="a"), True),
    ],
)
def test_a_chunk_with_content_begins_it(one, begins) -> None:
    assert has_content(one) is begins


class LLMChatEndEvent(BaseModel):
    """As LlamaIndex's, which cannot be made of a stream without chunks."""

    response: int


async def test_a_stream_without_chunks_is_empty_though_llamaindex_fails_at_its_end() -> None:
    def empty(_):
        yield from ()
        LLMChatEndEvent()

    def broken(_):
        yield chunk("a")
        LLMChatEndEvent()

    async def aempty(llm):
        async def chunks():
            for one in empty(llm):
                yield one

        return chunks()

    assert list(opened(empty, None)) == []
    assert [one async for one in aopened(aempty, None)] == []
    with pytest.raises(ValidationError):
        list(opened(broken, None))
