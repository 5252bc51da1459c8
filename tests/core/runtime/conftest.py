"""What the runtime's tests share: the checkpoint that ships, and capabilities to put before it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cit_core.catalogue import catalogue_capabilities, known_tasks
from cit_core.records import Candidate, Capability, TaskResult
from cit_core.runtime import OnnxScorer, load_scorer, shipped_checkpoints

QUERIES = (
    "What is 2 + 2?",
    "Prove that every finite integral domain is a field.",
    "Which of the following is a fiduciary duty of a director?\nA. loyalty\nB. silence\nC. profit",
    "Summarise the plot of Hamlet in one sentence.",
    "def f(x):\n    return x[::-1]  # what does it do to 'abc'?",
    "Explain how vaccines train the immune system to a child of six.",
    "日本の首都はどこですか。",
    "",
)


@pytest.fixture(scope="session")
def scorer() -> OnnxScorer:
    return load_scorer("mini")


@pytest.fixture(scope="session")
def zoo() -> tuple[Capability, ...]:
    """Real profiles."""
    return catalogue_capabilities()


@pytest.fixture(scope="session")
def queries() -> tuple[str, ...]:
    return QUERIES


@pytest.fixture(scope="session")
def capability() -> Callable[..., Capability]:
    """Makes a capability from (accuracy, count) of the first tasks."""

    def make(results: Sequence[tuple[float, int]], id_: str = "made up") -> Capability:
        return Capability(
            candidate=Candidate(id=id_),
            results=tuple(
                TaskResult(task=task, accuracy=accuracy, count=count)
                for task, (accuracy, count) in zip(known_tasks(), results, strict=False)
            ),
        )

    return make


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the shipped checkpoint that a test may damage."""
    return Path(shutil.copytree(shipped_checkpoints()["mini"], tmp_path / "copied"))
