"""A candidate of another provider than wrote in a conversation is given what it can read of it."""

from typing import Any

import pytest
from llama_calls import CHATS, DOUBLE, WITH_TOOLS, drained, settled, user
from llama_index.core.base.llms.types import ChatMessage, TextBlock, ThinkingBlock, ToolCallBlock
from llama_voice import Voice

from cit_core.records import Candidate
from cit_core.router import FakeScorer, Router
from llamaindex_cit import CITLLM
from llamaindex_cit._history import in_common
from llamaindex_cit.sampled import SampledLLM


def of(provider: str) -> Voice:
    return type("Its", (Voice,), {"__module__": f"llama_index.llms.{provider}.base"})(called="it")


def thought(**marks: str) -> ThinkingBlock:
    return ThinkingBlock(content="hm", additional_information=marks)


CLAUDE, GEMINI, GPT, PLAIN = thought(signature="x"), thought(thought_signature="x"), thought(id="rs_1"), thought()
TEXT = TextBlock(text="Let me look.")
CALL = ToolCallBlock(tool_call_id="1", tool_name="weather", tool_kwargs='{"city": "Paris"}')
PARSED = ToolCallBlock(tool_call_id="1", tool_name="weather", tool_kwargs={"city": "Paris"})


@pytest.mark.parametrize(
    ("provider", "left"),
    [
        ("anthropic", [CLAUDE]),
        ("bedrock_converse", [CLAUDE]),
        ("google_genai", [GEMINI]),
        ("mistralai", [GPT, PLAIN]),
    ],
)
def test_only_reasoning_of_its_own_and_arguments_as_a_dict_are_handed_on(provider: str, left: list[Any]) -> None:
    given = [ChatMessage(role="assistant", blocks=[CLAUDE, GEMINI, GPT, PLAIN, TEXT, CALL])]
    for llm in (of(provider), SampledLLM(of(provider), 2)):
        [message] = in_common(given, llm)
        assert message.blocks == [*left, TEXT, PARSED]
    assert given[0].blocks[-1] is CALL, "the caller's own messages stay as they are"


def test_all_else_stays_the_very_same() -> None:
    broken = ToolCallBlock(tool_name="weather", tool_kwargs='{"city": "Par')
    kept = {"openai": [CLAUDE, CALL], "anthropic": [CLAUDE, TEXT, PARSED, broken], "mine": [CALL]}
    for provider, blocks in kept.items():
        messages = [ChatMessage(role="assistant", blocks=blocks)]
        assert in_common(messages, of(provider)) is messages


def test_the_signatures_of_gemini_stay_at_their_places() -> None:
    """Its class keeps them in a list beside the blocks; what it has reasoned has seldom one, the call after it has."""
    placed = {"thought_signatures": [None, b"x"]}
    messages = [ChatMessage(role="assistant", blocks=[PLAIN, PARSED], additional_kwargs=placed)]
    assert in_common(messages, of("google_genai")) is messages


@pytest.mark.parametrize("method", [*CHATS, *WITH_TOOLS])
async def test_every_method_hands_on_what_can_be_read(method: str) -> None:
    llm = CITLLM({"it": of("anthropic")}, Router(FakeScorer({"it": 0.9}), [Candidate(id="it")]))
    turns = [user("q"), ChatMessage(role="assistant", blocks=[PLAIN, TEXT, CALL]), user("and?")]
    given = ([DOUBLE], "more", turns) if "tools" in method else (turns,)
    made = await settled(getattr(llm, method)(*given))
    if "stream" in method:
        await drained(made)
    _, heard, _ = llm.models["it"].heard[-1]
    assert [message.blocks for message in heard[:3]] == [turns[0].blocks, [TEXT, PARSED], turns[2].blocks]
