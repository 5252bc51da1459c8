"""pytest plugin: in LlamaIndex's own tests, every fake LLM stands behind a CITLLM, and selectors are ours."""

import math
from typing import Any

import pytest
from llama_index.core.llms import LLM, mock

from cit_core import Candidate, FakeScorer, Router
from llamaindex_cit import CITLLM, CITMultiSelector, CITSingleSelector

CHOICES = {"apple": 0.9, "pear": 0.8, "peach": 0.7, "a": 0.9, "b": 0.8}
"""What the tests call what they choose from. They expect the first of it, or all of it in order."""
made: list[str] = []
"""The test that each of ours was made in."""
decided: list[str] = []
"""The test that each decision was made in."""
running = ""


class Scorer(FakeScorer):
    """Notes that it was asked."""

    def score(self, *args: Any) -> Any:
        """As the fake does."""
        decided.append(running)
        return super().score(*args)


def router(scores: dict[str, float]) -> Router:
    """One among these candidates."""
    made.append(running)
    return Router(Scorer(scores), [Candidate(id=id_) for id_ in scores])


def behind(kind: type[LLM]) -> Any:
    """What takes the place of a fake's class."""
    return lambda *args, **kwargs: CITLLM({"only": kind(*args, **kwargs)}, router({"only": 0.9}))


class Single(CITSingleSelector):
    """Made as LlamaIndex's are, without their LLM."""

    def __init__(self, **_: Any) -> None:
        super().__init__(router(CHOICES))

    @classmethod
    def from_defaults(cls, **options: Any) -> "Single":
        """Another name for it."""
        return cls(**options)


class Multi(CITMultiSelector):
    """Made as LlamaIndex's are, without their LLM; selects all unless told how many."""

    def __init__(self, max_outputs: int = len(CHOICES), **_: Any) -> None:
        super().__init__(router(CHOICES), margin=math.inf, max_outputs=max_outputs)

    @classmethod
    def from_defaults(cls, **options: Any) -> "Multi":
        """Another name for it."""
        return cls(**options)


SELECTORS = {
    "LLMSingleSelector": Single,
    "LLMMultiSelector": Multi,
    "PydanticSingleSelector": Single,
    "PydanticMultiSelector": Multi,
    "_AlwaysMultiSelector": Multi,
}


def pytest_collection_finish(session: pytest.Session) -> None:
    for module in {item.module for item in session.items if isinstance(item, pytest.Function)}:
        for name, kind in list(vars(module).items()):
            if name in SELECTORS:
                setattr(module, name, SELECTORS[name])
            elif (
                isinstance(kind, type) and issubclass(kind, LLM) and kind.__module__ in (mock.__name__, module.__name__)
            ):
                setattr(module, name, behind(kind))


def pytest_runtest_logstart(nodeid: str) -> None:
    global running
    running = nodeid


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not decided:  # then nothing of ours was tested, however green
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    terminalreporter.write_line(
        f"LLMs and selectors with a router: {len(made)}, in {len(set(made))} tests; "
        f"decisions: {len(decided)}, in {len(set(decided))} tests"
    )
