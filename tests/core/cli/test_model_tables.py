"""Tables of models: facts with units, in 80 columns."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from cit_core import Candidate, Capability, Task
from cit_core.catalogue.model_lists import Listed, by_accuracy
from cit_core.cli import _output
from cit_core.cli._model_tables import facts_table, models_table, summary, task_table
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


def listed(candidate: Candidate, *accuracies: float) -> Listed:
    return Listed(measured(candidate, *accuracies), "measured" if accuracies else "none")


def printed(table: Any, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    _output.show(table)
    return capsys.readouterr().out


def test_the_most_accurate_first_and_unmeasured_models_last() -> None:
    good, bad, none = measured(Candidate(id="z"), 0.9), measured(Candidate(id="a"), 0.1), measured(NEW)
    assert sorted([none, bad, good], key=by_accuracy) == [good, bad, none]


def test_a_summary_has_facts_and_counts() -> None:
    assert summary(listed(NEW))["mean_accuracy"] is None
    record = summary(listed(KNOWN, 0.5, 1.0))
    assert (record["mean_accuracy"], record["tasks"], record["questions"], record["tools"]) == (0.75, 2, 40, True)


@pytest.mark.parametrize("width", [80, 200])
def test_a_list_fits_its_width_and_keeps_every_figure(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(models_table("2 models", [listed(KNOWN, 0.5), listed(NEW)]), width, monkeypatch, capsys)
    assert max(map(len, text.splitlines())) <= width
    for figure in ("50.0%", "measured", "2024-09", "1M", "0.15 / 12.5"):
        assert figure in text
    names = [line.split()[0] for line in text.splitlines() if line.strip()]
    assert KNOWN.id in "".join(names)
    assert len(text.splitlines()) <= 12, "one name is not folded letter by letter"


@pytest.mark.parametrize("width", [80, 200])
def test_facts_and_tasks_fit_too(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(facts_table(listed(KNOWN), {"facts": "a source " * 20}), width, monkeypatch, capsys)
    text += printed(task_table(listed(KNOWN, 0.25, 0.75)), width, monkeypatch, capsys)
    assert max(map(len, text.splitlines())) <= width
    assert "12.5 USD per 1M tokens" in text
    assert text.index("75.0%") < text.index("25.0%")
    assert "not known" in text
    error = 100.0 * (0.75 * 0.25 / 20) ** 0.5
    assert f"75.0%   {error:.1f}" in text
    assert "questions" in text


def test_a_linked_profile_has_errors_and_no_questions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = replace(listed(KNOWN, 0.25, 0.75), basis="linked")
    text = printed(task_table(one), 80, monkeypatch, capsys)
    assert ("±" in text, "questions" in text) == (True, False)
    assert summary(one)["questions"] is None


def test_what_its_maker_no_longer_serves_is_marked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = listed(Candidate(id="old", deprecated=date(2020, 1, 1)), 0.5)
    text = printed(models_table("2 models", [ended, listed(KNOWN, 0.5)]), 80, monkeypatch, capsys)
    assert text.count("measured") == 2
    assert text.count("measured, ended") == 1


def test_many_tasks_are_folded_to_the_best_and_the_worst(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = listed(KNOWN, *(n / 50 for n in range(50)))
    text = printed(task_table(model, all_=False), 80, monkeypatch, capsys)
    assert text.count("Treaties") == 10
    assert "98.0%" in text
    assert "--all shows every one" in text
    assert printed(task_table(model), 80, monkeypatch, capsys).count("Treaties") == 50


def test_a_model_that_was_never_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert "never measured" in printed(task_table(listed(NEW)), 80, monkeypatch, capsys)
