"""pytest plugin: in langchain-core's own tests, every fake chat model stands behind a ChatCIT of one candidate."""

from typing import Any

import pytest
from langchain_core.language_models import fake_chat_models  # noqa: F401  # the tests take their fakes from it

from cit_core import Candidate, FakeScorer, Router
from langchain_cit import ChatCIT

FAKES = (
    "FakeListChatModel",
    "GenericFakeChatModel",
    "FakeMessagesListChatModel",
    "ParrotFakeChatModel",
    "FakeChatModel",
)
made = []


def behind(kind: Any) -> Any:
    """What takes the place of a fake's class."""

    def make(*args: Any, **kwargs: Any) -> ChatCIT:
        made.append(kind.__name__)
        router = Router(FakeScorer({"only": 0.9}), [Candidate(id="only")])
        return ChatCIT({"only": kind(*args, **kwargs)}, router, annotate=False)

    make.__name__ = kind.__name__
    return make


def pytest_collection_finish(session: pytest.Session) -> None:
    for module in {item.module for item in session.items if isinstance(item, pytest.Function)}:
        for name in FAKES:
            if isinstance(kind := getattr(module, name, None), type):
                setattr(module, name, behind(kind))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    terminalreporter.write_line(f"chat models behind a router: {len(made)}")
