"""A zoo of two, an LLM that is both, and what LlamaIndex's dispatcher is told."""

from collections.abc import Iterator
from typing import Any

import pytest
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_voice import Voice
from llama_zoo import IDS, prefer_large_for_hard

from cit_core.records import Candidate
from cit_core.router import FakeScorer, Router
from llamaindex_cit import CITLLM


@pytest.fixture
def scorer() -> FakeScorer:
    return FakeScorer(prefer_large_for_hard)


@pytest.fixture
def router(scorer: FakeScorer) -> Router:
    zoo = [Candidate(id="small", modalities=("text",)), Candidate(id="large", modalities=("text", "image"))]
    return Router(scorer, zoo)


@pytest.fixture
def events() -> Iterator[list[Any]]:
    heard: list[Any] = []

    class Handler(BaseEventHandler):
        @classmethod
        def class_name(cls) -> str:
            return "Handler"

        def handle(self, event: Any, **_: Any) -> None:
            heard.append(event)

    root, handler = get_dispatcher(), Handler()
    root.add_event_handler(handler)
    yield heard
    root.event_handlers.remove(handler)


@pytest.fixture
def voices() -> dict[str, Voice]:
    return {id_: Voice(called=id_) for id_ in IDS}


@pytest.fixture
def llm(voices, router) -> CITLLM:
    return CITLLM(voices, router)
