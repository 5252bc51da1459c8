"""What `cit aptitude` shows while a run goes on and afterwards."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cit_core.aptitude.runner.runs import DEFAULTS, Progress, RunReport, Tally
from cit_core.cli import _output, _run_progress


def test_on_a_terminal_a_run_is_drawn_while_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=100)
    monkeypatch.setattr(_output, "console", lambda *, stderr=False: terminal)
    with _run_progress.live() as show:
        assert show is not None
        show(Progress(30, 10, 0, 0, 0, 0.0, {}))
        show(Progress(30, 12, 2, 1, 3, 0.25, {"sums": Tally(3, 4), "words": Tally(0, 1)}, {"HTTP 503": 1}))
    drawn = screen.getvalue()
    for part in ("12/30", "$0.2500", "3 repeated", "1 failed", "HTTP 503", "sums 75% of 4", "words 0% of 1"):
        assert part in drawn


def test_elsewhere_each_reason_is_told_once_while_the_run_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    with _run_progress.live() as show:
        show(Progress(30, 10, 0, 0, 0, 0.0, {}))
        assert capsys.readouterr().err == ""
        for failed in (1, 2):
            show(Progress(30, 12, 2, failed, 3, 0.25, {}, {"HTTP 503": failed}, "HTTP 429"))
        assert capsys.readouterr().err == "12 of 30 answered, 1 failed: HTTP 503\n"
        for retries in (8, 9):
            show(Progress(30, 12, 2, 1, retries, 0.25, {}, {"HTTP 503": 1}, "HTTP 429"))
    assert capsys.readouterr().err == "12 of 30 answered, asking again: HTTP 429\n"


@pytest.mark.parametrize(
    ("progress", "shown"),
    [
        (Progress(30, 10, 0, 0, 0, 0.0, {}), "$0.0000"),
        (Progress(30, 10, 2, 1, 0, 0.25, {}), "$0.2500 · "),
    ],
)
def test_the_state_is_one_line(progress: Progress, shown: str) -> None:
    assert _run_progress.state(progress).startswith(shown)
    assert "\n" not in _run_progress.state(progress)


def test_answers_that_were_cut_off_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    report = RunReport("m", "s", 2, 0, 2, (), {"t": Tally(0, 2)}, 0.0, 0, None, True, cut_off=2)
    _run_progress.tell_run(report, "sqlite:///zoo.db", "cit aptitude run m", DEFAULTS, typed="zoo", json_=False)
    told = "2 answers were cut off at the limit of their tokens and graded as they are; with a higher limit: --retest"
    assert told in capsys.readouterr().err
