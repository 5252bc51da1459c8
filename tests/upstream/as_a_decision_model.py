"""pytest plugin: in LangChain's own tests of ModelRouterMiddleware, the decision model is a CITDecisionModel."""

from typing import Any

import pytest
from langchain_core.decisions import ChoiceAnswer
from pydantic import Field

from cit_core import Candidate, FakeScorer, Router
from langchain_cit import CITDecisionModel

ROUTES = ("fast", "powerful")
answered: list[str] = []


class Classifier(CITDecisionModel):
    """Prefers one route and notes what it was asked, as the one in LangChain's tests does."""

    requests: list[Any] = Field(default_factory=list)
    error: str | None = None

    def __init__(self, route: str = "fast", error: str | None = None) -> None:
        router = Router(FakeScorer({id_: float(id_ == route) for id_ in ROUTES}), [Candidate(id=id_) for id_ in ROUTES])
        super().__init__(router)
        self.error = error

    def _note(self, *request: Any) -> None:
        self.requests.append(request)
        if self.error is not None:
            raise RuntimeError(self.error)
        answered.append("")

    def _classify(self, state: Any, questions: Any) -> Any:
        self._note(state, questions)
        return super()._classify(state, questions)

    async def _aclassify(self, state: Any, questions: Any) -> Any:
        self._note(state, questions)
        return await super()._aclassify(state, questions)


def answer(route: str) -> ChoiceAnswer:
    """The same answer with the probability of every route, which theirs leaves out."""
    probabilities = {id_: float(id_ == route) for id_ in ROUTES}
    return ChoiceAnswer(type="choice", choice=route, probabilities=probabilities, confidence=1.0)


def pytest_collection_finish(session: pytest.Session) -> None:
    for module in {item.module for item in session.items if isinstance(item, pytest.Function)}:
        if hasattr(module, "_RouteClassifier"):
            module._RouteClassifier, module._answer = Classifier, answer


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not answered:  # then nothing of ours was tested, however green
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    terminalreporter.write_line(f"choices answered by a router: {len(answered)}")
