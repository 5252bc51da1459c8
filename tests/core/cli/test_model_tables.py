"""Tables of models: facts with units, in 80 columns."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from cit_core import Candidate, Capability, Task
from cit_core.cli import _output
from cit_core.cli._model_tables import by_accuracy, facts_table, models_table, summary, task_table
from cit_core.records import TaskResult

NEW = Candidate(id="new")
KNOWN = Candidate(
    id="organisation/a-model-with-a-long-name-70B-Instruct",
    context_window=1_048_576,
    price_in=0.15,
    price_out=12.5,
    params_b=70.6,
    released=date(2024, 9, 24),
    tools=True,
)


def measured(candidate: Candidate, *accuracies: float) -> Capability:
    results = [
        TaskResult(
            task=Task(id=f"task-{n}-with-a-rather-long-name", keywords=("Treaties", "Human Rights")),
            accuracy=a,
            count=20,
        )
        for n, a in enumerate(accuracies)
    ]
    return Capability(candidate=candidate, results=tuple(results))


def printed(table: Any, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    _output.show(table)
    return capsys.readouterr().out


def test_the_most_accurate_first_and_unmeasured_models_last() -> None:
    good, bad, none = measured(Candidate(id="z"), 0.9), measured(Candidate(id="a"), 0.1), measured(NEW)
    assert sorted([none, bad, good], key=by_accuracy) == [good, bad, none]


def test_a_summary_has_facts_and_counts() -> None:
    assert summary(measured(NEW))["mean_accuracy"] is None
    record = summary(measured(KNOWN, 0.5, 1.0))
    assert (record["mean_accuracy"], record["tasks"], record["questions"], record["tools"]) == (0.75, 2, 40, True)


@pytest.mark.parametrize("width", [80, 200])
def test_a_list_fits_its_width_and_keeps_every_figure(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(models_table("2 models", [measured(KNOWN, 0.5), measured(NEW)]), width, monkeypatch, capsys)
    assert max(map(len, text.splitlines())) <= width
    for figure in ("50.0%", "70.6B", "2024-09", "1,048,576", "0.15 / 12.5"):
        assert figure in text
    names = [line.split()[0] for line in text.splitlines() if line.strip()]
    assert KNOWN.id in "".join(names)
    assert len(text.splitlines()) <= 12, "one name is not folded letter by letter"


@pytest.mark.parametrize("width", [80, 200])
def test_facts_and_tasks_fit_too(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(facts_table(KNOWN, {"facts": "a source " * 20}), width, monkeypatch, capsys)
    text += printed(task_table(measured(KNOWN, 0.25, 0.75)), width, monkeypatch, capsys)
    assert max(map(len, text.splitlines())) <= width
    assert "12.5 USD per 1M tokens" in text
    assert text.index("75.0%") < text.index("25.0%")
    assert "not known" in text


def test_a_model_that_was_never_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert "never measured" in printed(task_table(measured(NEW)), 80, monkeypatch, capsys)
