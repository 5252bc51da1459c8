"""CITLLM: every way of calling an LLM reaches the routed candidate once, as if it had been called by itself."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
from llama_calls import CHATS, COMPLETIONS, DOUBLE, WITH_TOOLS, call, drained, said_by, settled, user
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ImageBlock, MessageRole
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionStartEvent,
)
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.llms import MockLLM
from llama_index.core.prompts import PromptTemplate
from llama_voice import Voice
from llama_zoo import IDS

from cit_core.errors import InvalidInput, NoCandidate
from cit_core.policy import Constraints
from cit_core.records import Candidate
from cit_core.router import FakeScorer, Router, Sticky
from llamaindex_cit import CITLLM, CITRouteEvent

# -- dispatch ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", CHATS + COMPLETIONS + WITH_TOOLS)
@pytest.mark.parametrize(("text", "chosen"), [("a hard question", "large"), ("an easy question", "small")])
async def test_every_method_reaches_the_routed_candidate_and_nobody_else(llm, voices, method, text, chosen) -> None:
    responses = await call(llm, method, text)
    assert len(responses) == (2 if "stream" in method else 1)
    last = responses[-1]
    assert (last.text if "complete" in method else last.message.content) == f"{chosen}: {text}"
    assert [len(voices[id_].heard) for id_ in IDS] == [int(id_ == chosen) for id_ in IDS]
    for response in responses:
        assert response.additional_kwargs["cit_model"] == chosen
        assert response.additional_kwargs["cit_route"]["model"] == chosen
    if "stream" in method:
        assert "".join(chunk.delta for chunk in responses) == f"{chosen}: {text}"


@pytest.mark.parametrize("method", CHATS + COMPLETIONS)
async def test_arguments_go_through(llm, voices, method) -> None:
    given = getattr(llm, method)("easy" if "complete" in method else [user("easy")], temperature=0.3)
    given = await settled(given)
    if "stream" in method:
        await drained(given)
    assert voices["small"].heard[0][-1]["temperature"] == 0.3


async def test_what_is_asked_may_be_given_by_name_and_once(llm) -> None:
    assert llm.complete(prompt="easy").text == (await llm.acomplete(prompt="easy")).text == "small: easy"
    assert [chunk.text for chunk in llm.stream_complete(prompt="hard")][-1] == "large: hard"
    assert llm.chat(messages=[user("hard")]).message.content == "large: hard"
    with pytest.raises(TypeError):
        llm.complete("q", prompt="q")


async def test_what_holds_no_text_goes_to_the_default(router, voices) -> None:
    routed = CITLLM(voices, router, default=voices["large"])
    for answer in (routed.complete(" "), await routed.acomplete(" "), routed.chat([user("")])):
        assert answer.additional_kwargs["cit_model"] == "large"
        assert answer.additional_kwargs["cit_route"]["chosen_by"] == "default"
    assert pickle.loads(pickle.dumps(CITLLM(voices, router, default="large"))).default == "large"
    with pytest.raises(InvalidInput, match="the query is empty"):
        CITLLM(voices, router, strict=True).complete(" ")
    with pytest.raises(InvalidInput, match="default is MockLLM; it must be the id of a route, or one of the routes"):
        CITLLM(voices, router, default=MockLLM())


@pytest.mark.parametrize("method", COMPLETIONS)
async def test_no_prompt_is_the_error_that_llamaindexs_llms_raise(llm, method) -> None:
    for any_llm in (MockLLM(), llm):
        with pytest.raises(ValueError, match=r"(?i)no prompt"):
            await settled(getattr(any_llm, method)())


async def test_options_of_tool_calls_go_through(llm, voices) -> None:
    llm.chat_with_tools([DOUBLE], "easy", [user("before")], False, True, tool_required=True, tool_choice="any")
    _, messages, options = voices["small"].heard[0]
    assert [message.content for message in messages] == ["before", "easy"]
    assert options == {"required": True, "tool_choice": "any"}


def test_what_a_candidate_says_beside_the_answer_stays(llm) -> None:
    said = llm.chat([user("easy")]).additional_kwargs
    assert (said["prompt_tokens"], said["completion_tokens"]) == (7, 3)
    assert json.loads(json.dumps(said))["cit_route"]["ranking"]


@pytest.mark.parametrize("text", ["hard", "easy"])
async def test_tool_calls_are_read_by_who_wrote_them(llm, text) -> None:
    for method in WITH_TOOLS:
        for response in await call(llm, method, text):
            assert [call.tool_name for call in llm.get_tool_calls_from_response(response)] == ["double"]
    plain = llm.chat([user(text)])
    assert llm.get_tool_calls_from_response(plain, error_on_no_tool_call=False) == []
    with pytest.raises(ValueError, match="finds no tool call"):
        llm.get_tool_calls_from_response(plain)


async def test_a_routed_llm_may_be_a_candidate(voices, router) -> None:
    inner = CITLLM({"small": Voice(called="other small"), "large": Voice(called="other large")}, router)
    outer = CITLLM({"small": voices["small"], "large": CITLLM({"large": inner}, router)}, router)
    for method in WITH_TOOLS:
        for response in await call(outer, method, "hard"):
            assert response.additional_kwargs["cit_model"] == "large"
            assert response.additional_kwargs["cit_inner"]["cit_inner"]["cit_model"] == "large"
            assert [call.tool_name for call in outer.get_tool_calls_from_response(response)] == ["double"]
    assert response.message.content == "other large: hard"
    assert "cit_inner" not in outer.chat([user("easy")]).additional_kwargs


async def test_a_candidates_own_response_is_left_as_it_is(router) -> None:
    kept = ChatResponse(message=said_by(MessageRole.ASSISTANT, "always this"), additional_kwargs={"own": 1})

    class Cached(Voice):
        def chat(self, messages, **kwargs) -> ChatResponse:
            return kept

        def stream_chat(self, messages, **kwargs):
            return iter([kept, kept])

    llm = CITLLM({id_: Cached(called=id_) for id_ in IDS}, router)
    first, second = llm.chat([user("easy")]), llm.chat([user("hard")])
    chunks = list(llm.stream_chat([user("easy")]))
    given = [response.additional_kwargs["cit_model"] for response in (first, second, *chunks)]
    assert (given, kept.additional_kwargs) == (["small", "large", "small", "small"], {"own": 1})


def test_calls_with_tools_go_to_those_who_can_call(router) -> None:
    mixed = CITLLM({"small": Voice(called="small"), "large": MockLLM()}, router)
    response = mixed.chat_with_tools([DOUBLE], "hard")
    assert response.message.content == "small: hard"
    assert response.additional_kwargs["cit_route"]["excluded"] == {"large": "not in the allowed list"}
    assert "hard" in mixed.complete("hard").text
    nobody = CITLLM({"large": MockLLM(), "small": Voice(called="small", calls_functions=False)}, router)
    with pytest.raises(InvalidInput, match="none of 'large', 'small' can call functions"):
        nobody.chat_with_tools([DOUBLE], "hard")
    with pytest.raises(InvalidInput, match="none can read calls"):
        nobody.get_tool_calls_from_response(response)


def test_constraints_hold(voices, scorer) -> None:
    zoo = [Candidate(id="small", tools=True, modalities=("text",)), Candidate(id="large", tools=False)]
    llm = CITLLM(voices, Router(scorer, zoo))
    assert llm.chat([user("hard")]).additional_kwargs["cit_model"] == "large"
    assert llm.chat_with_tools([DOUBLE], "hard").additional_kwargs["cit_model"] == "small"
    picture = ChatMessage(role=MessageRole.USER, blocks=[ImageBlock(image=b"", image_mimetype="image/png")])
    assert llm.chat([picture]).additional_kwargs["cit_model"] == "large"
    with pytest.raises(NoCandidate, match="denied"):
        CITLLM(voices, Router(scorer, zoo, constraints=Constraints(deny=frozenset(IDS)))).complete("q")


def test_candidates_without_an_llm_do_not_take_part(router) -> None:
    assert CITLLM({"small": Voice(called="small")}, router).complete("hard").text == "small: hard"


# -- as others see it -------------------------------------------------------------------------------------------------


def test_it_promises_what_all_can_do() -> None:
    zoo = Router(FakeScorer(lambda _, __: 0.5), [Candidate(id=id_) for id_ in "abc"])
    voices = {
        "a": Voice(called="a", window=4000, outputs=300),
        "b": Voice(called="b", window=9000, outputs=200),
        "c": Voice(called="c", window=8000, outputs=-1),  # LlamaIndex's way to say that it does not know
    }
    least = CITLLM(voices, zoo).metadata
    assert (least.context_window, least.num_output, least.model_name) == (4000, 200, "cit-router")
    assert (least.is_chat_model, least.is_function_calling_model) == (True, True)
    assert CITLLM({"c": voices["c"]}, zoo).metadata.num_output == -1
    for change in ({"chat_model": False}, {"calls_functions": False}):
        meta = CITLLM({**voices, "b": voices["b"].model_copy(update=change)}, zoo).metadata
        assert (meta.is_chat_model, meta.is_function_calling_model) == (
            "chat_model" not in change,
            "calls_functions" not in change,
        )
    assert not CITLLM({**voices, "b": MockLLM(is_chat_model=True)}, zoo).metadata.is_function_calling_model


def test_no_key_is_written_down(llm) -> None:
    for written in (llm.to_json(), json.dumps(llm.to_payload()), repr(llm), str(llm.model_dump())):
        assert "secret" not in written
    assert llm.to_payload()["candidates"] == IDS
    assert (llm.to_payload()["class_name"], llm.to_payload()["policy"]) == ("CITLLM", "best")


def test_it_is_written_as_what_it_is_made_with(voices, router) -> None:
    llm = CITLLM(voices, router, system_prompt="Be brief.")
    data = llm.to_dict()
    assert (data["class_name"], data["system_prompt"]) == ("CITLLM", "Be brief.")
    again = CITLLM.from_dict(json.loads(json.dumps(data)), models=voices, router=router)
    assert (again.system_prompt, again.complete("hard").text) == ("Be brief.", "large: hard")


# -- events, spans and tokens: once -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", CHATS + COMPLETIONS + WITH_TOOLS)
async def test_events_and_spans_exactly_once(llm, events, method) -> None:
    root, spans = get_dispatcher(), SimpleSpanHandler()
    root.add_span_handler(spans)
    try:
        await call(llm, method, "hard")
    finally:
        root.span_handlers.remove(spans)
    kind = (LLMCompletionStartEvent, LLMCompletionEndEvent) if "complete" in method else ()
    starts, ends = kind or (LLMChatStartEvent, LLMChatEndEvent)
    assert [sum(isinstance(event, which) for event in events) for which in (starts, ends, CITRouteEvent)] == [1, 1, 1]
    (started,) = [event for event in events if isinstance(event, starts)]
    assert started.model_dict["model_name"] == "large"
    (routed,) = [event for event in events if isinstance(event, CITRouteEvent)]
    assert (routed.decision.model, routed.class_name()) == ("large", "CITRouteEvent")
    assert "hard" not in routed.model_dump_json()
    if "stream_chat" in method:
        assert sum(isinstance(event, LLMChatInProgressEvent) for event in events) == 2
    names = [span.id_.rpartition("-")[0].split("-")[0] for span in spans.completed_spans]
    asked = method.removesuffix("_with_tools")
    assert names.count(f"CITLLM.{asked}") == ("tools" not in method)
    assert names.count(f"Voice.{asked}") == 1
    (outer, inner) = (
        [span for span in spans.completed_spans if span.id_.startswith(f"{who}.{asked}")] for who in ("CITLLM", "Voice")
    )
    if outer:
        assert inner[0].parent_id == outer[0].id_ == routed.span_id


# -- what it routes on ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chat_model", [True, False])
async def test_a_template_is_routed_on_the_query_in_it_not_on_the_texts(voices, router, chat_model) -> None:
    for voice in voices.values():
        voice.chat_model = chat_model
    llm = CITLLM(voices, router)
    template = PromptTemplate("Context: {context}\nQuery: {query_str}\n")
    answers = [
        llm.predict(template, context="hard texts", query_str="easy?"),
        llm.predict(template.partial_format(query_str="easy?"), context="hard texts"),
        await llm.apredict(template, context="hard texts", query_str="easy?"),
        "".join(llm.stream(template, context="hard texts", query_str="easy?")),
        "".join([token async for token in await llm.astream(template, context="hard texts", query_str="easy?")]),
    ]
    assert {answer.strip() for answer in answers} == {"small: Context: hard texts\nQuery: easy?"}
    assert llm.predict(template, context="easy texts", query_str="hard?").startswith("large: ")
    assert llm.predict(PromptTemplate("Say {what}"), what="something hard").startswith("large: ")


def test_what_was_made_of_a_template_says_nothing_about_the_next_call(llm) -> None:
    llm.predict(PromptTemplate("{query_str} {context}"), query_str="easy", context="hard")
    assert llm.chat([user("hard")]).additional_kwargs["cit_model"] == "large"
    assert llm.complete("hard").additional_kwargs["cit_model"] == "large"


def test_a_template_says_nothing_about_what_was_said_since(llm) -> None:
    messages = llm._get_messages(PromptTemplate("{query_str}"), query_str="easy")
    messages += [said_by(MessageRole.ASSISTANT, "yes"), user("hard")]
    assert llm.chat(messages).additional_kwargs["cit_model"] == "large"


def test_each_candidate_puts_its_own_format_around_a_prompt(voices, router) -> None:
    for voice in voices.values():
        voice.chat_model = False
    llm, template = CITLLM(voices, router), PromptTemplate("{query_str}")
    llm.predict(template, query_str="easy")
    assert voices["small"].heard[-1][-1] == {"formatted": False}
    llm.complete("<s>easy</s>", formatted=True)
    assert voices["small"].heard[-1][-1] == {"formatted": True}
    formats = CITLLM(voices, router, completion_to_prompt=lambda prompt: f"<s>{prompt}</s>")
    formats.predict(template, query_str="easy")
    assert voices["small"].heard[-1][1:] == ("<s>easy</s>", {"formatted": True})


# -- conversations ----------------------------------------------------------------------------------------------------


def turns(*texts: str) -> list[ChatMessage]:
    """A conversation: the user, the LLM, the user, ..."""
    roles = [MessageRole.USER, MessageRole.ASSISTANT]
    return [said_by(roles[place % 2], text) for place, text in enumerate(texts)]


@pytest.fixture
def drifting() -> Router:
    """Who is best depends on the turn, by less than a margin of 0.3 and by more."""
    scores = {"one": (0.8, 0.7), "two": (0.6, 0.9), "three": (0.3, 0.9)}
    return Router(
        FakeScorer(lambda text, id_: scores[text.split()[-1]][IDS.index(id_)]), [Candidate(id=id_) for id_ in IDS]
    )


@pytest.mark.parametrize("method", CHATS)
async def test_a_conversation_keeps_its_candidate_until_that_is_much_worse(voices, drifting, method) -> None:
    async def route(llm: CITLLM, *texts: str) -> str:
        given = getattr(llm, method)(turns(*texts))
        given = await settled(given)
        last = (await drained(given))[-1] if "stream" in method else given
        return last.additional_kwargs["cit_model"]

    for sticky, second in ((None, "large"), (Sticky(0.3), "small")):
        llm = CITLLM(voices, drifting, sticky=sticky)
        assert await route(llm, "one") == "small"
        assert await route(llm, "one", "yes", "two") == second
        assert await route(llm, "one", "yes", "three") == "large"
        assert await route(llm, "another two") == "large"


def test_a_conversation_may_have_a_name(voices, drifting) -> None:
    llm = CITLLM(voices, drifting, sticky=Sticky(0.3))
    with llm.conversation("7"):
        assert llm.complete("one").text == "small: one"
        assert llm.complete("two").text == "small: two"
    with llm.conversation("8"):
        assert llm.chat(turns("one", "yes", "two")).additional_kwargs["cit_model"] == "large"
    assert llm.complete("two").text == "large: two"  # no conversation


def test_a_named_conversation_reaches_other_llms_and_with_its_context_threads(voices, drifting) -> None:
    llm, other = (CITLLM(voices, drifting, sticky="conversation") for _ in range(2))
    assert llm.sticky is not other.sticky
    with llm.conversation("7"), ThreadPoolExecutor(1) as pool:
        assert other.complete("one").text == "small: one"
        assert pool.submit(copy_context().run, llm.complete, "one").result().text == "small: one"
    assert [list(routed.sticky._chosen) for routed in (llm, other)] == [[("name", "7")]] * 2


def test_a_template_is_no_conversation(voices, drifting) -> None:
    llm = CITLLM(voices, drifting, sticky=Sticky(0.3))
    template = PromptTemplate("Summarize. {query_str}")
    assert [llm.predict(template, query_str=text).split(":")[0] for text in ("one", "two")] == ["small", "large"]
