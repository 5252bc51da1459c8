"""Output of `cit aptitude`: the progress of a run, its result, and an estimate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cit_core.cli import _output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cit_core.aptitude.runner.estimate import Estimate
    from cit_core.aptitude.runner.runs import Progress, RunOptions, RunReport

__all__ = ["live", "tell_estimate", "tell_run"]

TROUBLED = 8
"""Repeated requests from which on a wait is told: as many as are under way by default."""


@contextmanager
def live() -> Iterator[Callable[[Progress], None]]:
    """Show the progress of a run on stderr; if that is no terminal, each reason of a failure when it first occurs.

    There a wait is told where requests are repeated more often than answered: a rate limit may last for minutes.
    """
    console = _output.console(stderr=True)
    if not console.is_terminal:
        told: set[str] = set()

        def tell(progress: Progress) -> None:
            waits = progress.retries >= TROUBLED and progress.retries > progress.answered
            if waits and progress.trouble is not None and progress.trouble not in told:
                told.add(progress.trouble)
                _output.note(f"{progress.done:,} of {progress.total:,} answered, asking again: {progress.trouble}")
            for reason in progress.reasons.keys() - told:
                told.add(reason)
                _output.note(f"{progress.done:,} of {progress.total:,} answered, {progress.failed:,} failed: {reason}")

        yield tell
        return
    from rich.live import Live
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    left = TextColumn("left")
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(), left)
    bar = Bar(*columns, TextColumn("{task.description}"), console=console)
    with Live(console=console, transient=True) as view:

        def show(progress: Progress) -> None:
            if not bar.tasks:
                bar.add_task("", total=progress.total, completed=progress.done)
            bar.update(bar.task_ids[0], completed=progress.done, description=state(progress))
            view.update(picture(bar, progress))

        yield show


def state(progress: Progress) -> str:
    """Format a line: money spent, requests repeated, questions failed, and why."""
    counts = {"repeated": progress.retries, "failed": progress.failed}
    told = [f"{count:,} {what}" for what, count in counts.items() if count]
    reason = next(iter(progress.reasons), None) or progress.trouble
    return " · ".join([f"${progress.cost_usd:.4f}", *told, *([reason[:60]] if reason else [])])


def picture(bar: RenderableType, progress: Progress) -> RenderableType:
    """Build the bar and, below it, the share of right answers so far, task by task."""
    from rich.columns import Columns
    from rich.console import Group
    from rich.text import Text

    tasks = sorted(progress.tasks.items())
    cells = [Text(f"{task} {tally.share:.0%} of {tally.answered}") for task, tally in tasks]
    return Group(bar, Columns(cells, column_first=True, padding=(0, 3)))


def tell_run(report: RunReport, url: str, command: str, options: RunOptions, *, typed: str, json_: bool) -> None:
    """Report a run: the accuracy on stdout; on stderr what is missing and the next command.

    Args:
        report: Report of the run.
        url: URL of the store.
        command: Command that made the run.
        options: Options of the run.
        typed: The store as an argument of a command.
        json_: Print JSON, all of it on stdout.
    """
    if json_:
        _output.as_json(_run_record(report, url))
        return
    missing = max(0, report.total - report.known - report.answered)
    if report.failed:
        reasons = "; ".join(f"{count:,} × {reason}" for reason, count in report.reasons.items())
        _output.note(f"{len(report.failed):,} of {report.total:,} questions failed: {reasons}")
    if report.cut_off:
        _output.note(
            f"{report.cut_off:,} answers were cut off at the limit of their tokens and graded as they are; "
            "with a higher limit: --retest --max-tokens N"
        )
    if report.stopped is not None:
        _output.note(f"stopped: {report.stopped}")
    if not report.asked and (not missing or (report.published and report.error is not None)):
        _output.note(f"nothing to do: {report.candidate!r} has answered {_asked(report)}")
    _output.say(_result(report))
    if not report.published:
        limit = "" if report.stopped is not None else f", more than the {options.max_failed:.0%} that may fail"
        _output.note(f"not published: {missing:,} questions have no answer{limit}; what was answered is kept")
    if not report.published or report.stopped is not None:
        _output.note(f"Go on with the same command and options: {command} --store {typed} …")
    else:
        _output.note(f"Next: cit route 'What is 7 times 8?' --store {typed}")


def _result(report: RunReport) -> str:
    if report.mean_accuracy is None:
        return f"{report.candidate}: none of {report.total:,} questions answered"
    answered = f"{report.known + report.answered:,} of {report.total:,} questions, {len(report.tasks)} tasks"
    if report.error is not None:
        answered = f"estimated from {answered}, ± {_output.percent(1.96 * report.error)}"
        return f"{report.candidate}: {_output.percent(report.mean_accuracy)} right, {answered}{_spent(report)}"
    return f"{report.candidate}: {_output.percent(report.mean_accuracy)} right in {answered}{_spent(report)}"


def _asked(report: RunReport) -> str:
    return (
        f"all {report.total:,} questions" if report.error is None else f"{report.known:,} questions, which tell enough"
    )


def _spent(report: RunReport) -> str:
    return f", {_output.usd(report.cost_usd)} spent" if report.cost_usd else ""


def _run_record(report: RunReport, url: str) -> dict[str, Any]:
    names = (
        "candidate",
        "source",
        "total",
        "known",
        "asked",
        "answered",
        "cost_usd",
        "retries",
        "stopped",
        "published",
        "cut_off",
    )
    failed = [{"item": item, "reason": reason} for item, reason in report.failed]
    facts = {name: getattr(report, name) for name in names}
    return {
        **facts,
        "accuracy": report.mean_accuracy,
        "error": report.error,
        "tasks": report.right,
        "failed": failed,
        "store": url,
    }


def tell_estimate(found: Estimate, *, json_: bool) -> None:
    """Print an estimate on stdout."""
    if json_:
        _output.as_json(asdict(found))
        return
    length = "measured" if found.measured else "assumed"
    _output.say(f"{found.candidate}: {found.items:,} questions left, {found.known:,} answered")
    _output.say(f"calls   {found.calls:,} at most")
    _output.say(
        f"tokens  about {found.prompt_tokens:,} in (from the texts), {found.completion_tokens:,} out (length {length})"
    )
    _output.say(
        "cost    not known; give --price-in and --price-out"
        if found.cost_usd is None
        else f"cost    about ${found.cost_usd:.4f}"
    )
    _output.say(
        "time    not known; no answer was timed yet"
        if found.minutes is None
        else f"time    about {found.minutes:.1f} min"
    )
    price = "" if found.adaptive_cost_usd is None else f", about ${found.adaptive_cost_usd:.4f}"
    _output.say(f"with --adaptive: {found.adaptive_calls:,} calls at most{price}")
