"""Context windows that LLMs state are limits; LlamaIndex's default is none."""

import pytest
from llama_calls import user
from llama_index.core.base.llms.types import LLMMetadata
from llama_index.core.llms import MockLLM
from llama_voice import Voice

from cit_core.records import Candidate
from cit_core.router import FakeScorer, Router
from llamaindex_cit import CITLLM
from llamaindex_cit._windows import own_window, shorter, too_short


class Unknown(MockLLM):
    """As OpenAI's class, for a model that it does not know."""

    @property
    def metadata(self) -> LLMMetadata:
        raise ValueError("Unknown model")


def test_what_an_llm_states_and_what_it_only_repeats() -> None:
    assert own_window(Voice(called="a", window=16_000)) == 16_000
    assert own_window(MockLLM()) is None
    assert own_window(Voice(called="a", window=-1)) is None
    assert own_window(Unknown()) is None


def test_the_smaller_limit_holds() -> None:
    assert [shorter(None, None), shorter(5, None), shorter(None, 4), shorter(5, 4)] == [None, 5, 4, 4]


def test_a_length_excludes_the_too_short_but_never_everybody() -> None:
    windows = {"a": 1000, "b": 5000, "c": 5000}
    assert list(too_short(windows, 900)) == []
    assert list(too_short(windows, 2000)) == ["a"]
    assert list(too_short(windows, 9000)) == ["a"], "the longest stay"
    assert list(too_short({**windows, "d": None}, 9000)) == ["a", "b", "c"]
    assert too_short(windows, 2000)["a"] == "context window of 1000 tokens is shorter than the query (about 2000)"


@pytest.mark.parametrize(("characters", "chosen"), [(1000, "short"), (80_000, "long")])
def test_the_metadata_of_llms_decides_where_the_router_knows_nothing(characters, chosen) -> None:
    router = Router(FakeScorer({"short": 0.9, "long": 0.5}), [Candidate(id="short"), Candidate(id="long")])
    llm = CITLLM({"short": Voice(called="short", window=16_000), "long": Voice(called="long", window=200_000)}, router)
    response = llm.chat([user("w" * characters)])
    assert response.additional_kwargs["cit_model"] == chosen
