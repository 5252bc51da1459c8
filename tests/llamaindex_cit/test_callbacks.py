"""Callbacks of a routed LLM and of its candidates: each handler hears each call once."""

import pytest
from llama_calls import CHATS, COMPLETIONS, call
from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler, TokenCountingHandler
from llama_voice import Voice

from llamaindex_cit import CITLLM


@pytest.mark.parametrize("method", CHATS + COMPLETIONS)
async def test_tokens_are_counted_once(voices, router, method) -> None:
    def counted(counter: TokenCountingHandler) -> tuple[int, int]:
        return len(counter.llm_token_counts), counter.total_llm_token_count

    alone = TokenCountingHandler(tokenizer=str.split)
    await call(Voice(called="large", callback_manager=CallbackManager([alone])), method, "hard words")
    routed = TokenCountingHandler(tokenizer=str.split)
    await call(CITLLM(voices, router, callback_manager=CallbackManager([routed])), method, "hard words")
    assert counted(routed) == counted(alone)
    assert counted(alone)[0] == 1


def test_candidates_tell_those_who_listen_to_the_router_and_their_own(router) -> None:
    own, given, later = (TokenCountingHandler(tokenizer=str.split) for _ in range(3))
    voices = {
        "small": Voice(called="small"),
        "large": Voice(called="large", callback_manager=CallbackManager([own, given])),
    }
    llm = CITLLM(voices, router, callback_manager=CallbackManager([given]))
    llm.complete("easy")
    llm.complete("hard")
    assert (len(own.llm_token_counts), len(given.llm_token_counts)) == (1, 2)
    llm.callback_manager.add_handler(later)
    llm.complete("hard")
    assert [len(handler.llm_token_counts) for handler in (own, given, later)] == [2, 3, 1]
    llm.callback_manager = CallbackManager([])
    llm.complete("hard")
    assert [len(handler.llm_token_counts) for handler in (own, given, later)] == [3, 4, 1]  # `given` is its own too


def test_llms_that_share_candidates_keep_what_they_tell_apart(voices, router) -> None:
    own, first, second, third, fourth = (TokenCountingHandler(tokenizer=str.split) for _ in range(5))
    voices["small"].callback_manager = manager = CallbackManager([own])
    llms = [CITLLM(voices, router, callback_manager=CallbackManager([handler])) for handler in (first, second)]
    llms.append(llms[0].model_copy())
    llms[2].callback_manager = CallbackManager([third])
    llms.append(CITLLM({"small": llms[0]}, router, callback_manager=CallbackManager([fourth])))
    for place in (0, 1, 0, 2, 0, 3):
        llms[place].complete("easy")
    voices["small"].complete("easy")
    heard = [len(handler.llm_token_counts) for handler in (first, second, third, fourth, own)]
    assert heard == [4, 1, 1, 1, 7]  # the last of the first is told by the nested one
    assert voices["small"].callback_manager is manager


@pytest.mark.parametrize("handlers", [0, 1])
def test_a_call_is_in_the_trace_that_it_is_made_in(voices, router, handlers) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    manager = CallbackManager([debug])
    own = CallbackManager([LlamaDebugHandler(print_trace_on_end=False) for _ in range(handlers)])
    voices["large"].callback_manager = own
    llm = CITLLM(voices, router, callback_manager=manager)
    for _ in range(2):
        with manager.as_trace("outer"):
            llm.complete("hard")
        started, _ = debug.get_llm_inputs_outputs()[-1]
        assert debug._trace_map == {"root": [started.id_]}


def test_settings_hand_their_callbacks_on(llm, monkeypatch) -> None:
    for name in ("_llm", "_callback_manager"):
        monkeypatch.setattr(Settings, name, None)
    debug = LlamaDebugHandler(print_trace_on_end=False)
    Settings.llm, Settings.callback_manager = llm, CallbackManager([debug])
    assert Settings.llm.complete("hard").text == "large: hard"
    assert len(debug.get_llm_inputs_outputs()) == 1
