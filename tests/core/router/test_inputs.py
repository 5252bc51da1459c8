"""Whatever holds a text is routed: prompts and messages of both frameworks, their JSON, query bundles."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.runnables import RunnableLambda
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole, TextBlock
from llama_index.core.schema import QueryBundle

from cit_core.errors import InvalidInput
from cit_core.records import Candidate
from cit_core.router import FakeScorer, Router
from cit_core.router.inputs import read_input

ASKED = "Who wrote Emma?"
TALK = [SystemMessage("Be brief."), HumanMessage("Hello"), AIMessage("Hi."), HumanMessage(ASKED), AIMessage("Well ...")]
HOLDERS: dict[str, Any] = {
    "text": ASKED,
    "string prompt": PromptTemplate.from_template("{q}").invoke({"q": ASKED}),
    "chat prompt": ChatPromptTemplate([("system", "Be brief."), ("human", "{q}")]).invoke({"q": ASKED}),
    "message": HumanMessage(ASKED),
    "parts": HumanMessage([{"type": "text", "text": ASKED}]),
    "messages": TALK,
    "a tool's result last": [HumanMessage(ASKED), ToolMessage("found", tool_call_id="1")],
    "pairs": [("system", "Be brief."), ("human", ASKED)],
    "json": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": ASKED}],
    "a dict with one text": {"question": ASKED, "k": 4, "documents": [object()]},
    "a dict with one prompt": {"input": [HumanMessage(ASKED)]},
    "state": {"messages": TALK, "step": "two"},
    "bundle": QueryBundle(ASKED),
    "LlamaIndex message": ChatMessage(ASKED, role=MessageRole.USER),
    "LlamaIndex messages": [ChatMessage("Be brief.", role="system"), ChatMessage(ASKED)],
    "system alone": [SystemMessage(ASKED)],
}


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
async def test_whatever_holds_a_text_is_routed_on_it(holder: Any) -> None:
    scorer = FakeScorer({"a": 0.5})
    router = Router(scorer, [Candidate(id="a")], strict=True)
    router.route(holder)
    await router.aroute(holder)
    router.route_many([holder])
    assert scorer.calls == [(ASKED,)] * 3


def test_the_facts_are_of_everything() -> None:
    text, facts, _ = read_input([SystemMessage("x" * 4000), HumanMessage(ASKED)])
    assert text == ASKED
    assert facts.tokens > 500
    picture = {"type": "image_url", "image_url": {"url": "data:"}}
    for holder in (
        [HumanMessage([picture, {"type": "text", "text": ASKED}])],
        ChatMessage(blocks=[ImageBlock(url="http://x/y.png"), TextBlock(text=ASKED)]),
        QueryBundle(ASKED, image_path="y.png"),
    ):
        text, facts, _ = read_input(holder)
        assert (text, facts.modalities) == (ASKED, {"text", "image"})
    assert read_input(HumanMessage([picture]))[0] == "Look at the attached image and answer."
    captioned = {**picture, "alt": "a map"}
    talk = [HumanMessage([picture]), AIMessage("What of it?"), HumanMessage([captioned]), HumanMessage(ASKED)]
    assert [one.kind for one in read_input(talk)[2]] == ["map"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": "x", "b": "y"}, "several texts"),
        ({}, "no text"),
        (["x", "y"], "use route_many"),
        (3, "the query is int"),
        ([[[[[[[["x"]]]]]]]], "nested too deep"),
        (HumanMessage, "the query is"),
    ],
)
def test_what_holds_none_or_several_says_so(value: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read_input(value)


def test_a_lambda_in_a_chain_routes_as_the_card_says() -> None:
    scorer = FakeScorer(lambda text, id_: float((id_ == "large") == ("Prove" in text)))
    router = Router(scorer, [Candidate(id="small"), Candidate(id="large")])
    routes = {id_: RunnableLambda(lambda _, id_=id_: f"by {id_}") for id_ in ("small", "large")}
    chain = ChatPromptTemplate([("system", "Be brief."), ("human", "{q}")]) | RunnableLambda(
        lambda x: routes[router.route(x).model]
    )
    assert chain.invoke({"q": "Prove that 2 is even."}) == "by large"
    assert chain.batch([{"q": "What is 2 + 2?"}, {"q": "Prove it."}]) == ["by small", "by large"]
