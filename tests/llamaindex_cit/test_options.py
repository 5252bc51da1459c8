"""Options of CITLLM: every error is ours, names what came by its type, and quotes no key."""

import pytest
from llama_index.core.llms import MockLLM
from llama_voice import Voice

from cit_core.errors import CITError, InvalidInput, UnknownCandidate
from cit_core.router import Fallback
from llamaindex_cit import CITLLM


@pytest.mark.parametrize(
    ("models", "error", "message"),
    [
        ({}, InvalidInput, "models must be a dict with at least one entry: candidate id to LlamaIndex LLM"),
        ([MockLLM()], InvalidInput, "models must be a dict with at least one entry"),
        ({"larg": MockLLM()}, UnknownCandidate, "no candidate 'larg' among the 2 in the router; closest: 'large'"),
        ({"large": "gpt"}, InvalidInput, r"models\['large'\] is str; it must be a LlamaIndex LLM"),
    ],
)
def test_what_cannot_work_is_refused(router, models, error, message) -> None:
    with pytest.raises(error, match=message):
        CITLLM(models, router)


def test_a_router_is_a_router(voices) -> None:
    with pytest.raises(InvalidInput, match=r"router is 'mini'; it must be a cit_core\.Router"):
        CITLLM(voices, "mini")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"contxt": 1}, "CITLLM has no option 'contxt'; closest: "),
        ({"stiky": "conversation"}, "no option 'stiky'; closest: 'sticky'"),
        ({"sticky": "conversations"}, "sticky is 'conversations'; use 'conversation', or Sticky"),
    ],
)
def test_what_is_misspelt_is_refused(voices, router, options, message) -> None:
    with pytest.raises(InvalidInput, match=message):
        CITLLM(voices, router, **options)


def test_failover_is_an_alias_of_fallback(voices, router) -> None:
    given = Fallback(failures=7)
    for llm in (CITLLM(voices, router, failover=given), CITLLM(voices, router, fallback=given)):
        assert llm.fallback is llm.failover is given
    with pytest.raises(InvalidInput, match="two names of one option"):
        CITLLM(voices, router, failover=given, fallback=given)


KEY = "sk-proj-abcdefghijklmnop"


class Telling:
    """An object whose text is a key."""

    def __repr__(self) -> str:
        return KEY


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("models", [MockLLM(), Voice(called="x", api_key=KEY)]),
        ("models", {"large": Telling()}),
        ("models", Telling()),
        ("models", KEY),
        ("models", {"large": KEY}),
        ("router", Telling()),
        ("router", KEY),
        ("fallback", Telling()),
        ("failover", KEY),
        ("sticky", Telling()),
        ("sticky", KEY),
        ("callback_manager", Telling()),
        ("system_prompt", Telling()),
        ("output_parser", KEY),
        ("completion_to_prompt", {"key": KEY}),
    ],
)
def test_no_error_quotes_what_came(voices, router, place, value) -> None:
    given = {"models": voices, "router": router, place: value}
    with pytest.raises(CITError) as refused:
        CITLLM(given.pop("models"), given.pop("router"), **given)
    error = refused.value
    assert KEY not in f"{error} {error!r} {error.__cause__} {error.__dict__}"
    assert error.__cause__ is None or error.__suppress_context__


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda llm: llm.chat("hello"), "the messages are 'hello'; they must be a list of ChatMessage"),
        (lambda llm: llm.chat(None), "the messages are None"),
        (lambda llm: llm.chat(["hello"]), "a message is 'hello'; it must be a ChatMessage"),
        (lambda llm: llm.stream_chat([Telling()]), "a message is Telling"),
        (lambda llm: llm.complete(5), "the prompt is 5; it must be a text"),
        (lambda llm: llm.complete(Telling()), "the prompt is Telling"),
        (lambda llm: llm.chat_with_tools([], user_msg=7), "a message is 7"),
        (lambda llm: llm.chat_with_tools([], chat_history="hello"), "the messages are 'hello'"),
        (lambda llm: llm.conversation(7).__enter__(), "the name of a conversation is 7; it must be a text"),
    ],
)
def test_calls_have_our_errors_too(llm, call, said) -> None:
    with pytest.raises(InvalidInput) as refused:
        call(llm)
    assert str(refused.value).startswith(said)
    assert KEY not in str(refused.value)
