"""`cit aptitude`: measure a model with a short test, so that it can be chosen."""

from __future__ import annotations

import shlex
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cit_core.cli import _aptitude_build, _output, _run_progress
from cit_core.cli._group import REFUSED
from cit_core.cli._options import JsonOption, StoreOption, open_store, sqlite_file, typed_store
from cit_core.cli._options import settings as chosen_settings

if TYPE_CHECKING:
    from cit_core.aptitude.clients import Client
    from cit_core.records import Candidate

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Measure a model with a short test, so that it can be chosen.")

INTERRUPTED = 130
"""The exit code that shells give to Ctrl-C."""
PATIENT_CLIENT = "openai:"
"""Prefix of the client that needs the time limit itself: its own is ten minutes."""

ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="The id of a model in cit.toml, openai:NAME, langchain:WHAT_INIT_CHAT_MODEL_TAKES, "
        "llamaindex:module:object or python:module:function.",
        show_default=False,
    ),
]
SuiteOption = Annotated[
    str,
    typer.Option("--suite", metavar="NAME|FILE", help="cit-basics, cit-basics:SEED, mmlu-pro-core, or a suite's JSON."),
]
TextsOption = Annotated[
    str | None,
    typer.Option("--texts", metavar="FILE|HUB_ID", help="Texts of the suite's questions; cit-basics makes its own."),
]
QuestionsOption = Annotated[
    Path | None,
    typer.Option(
        "--questions",
        metavar="FILE",
        help="Your own questions in place of a suite: a table of question and answer, and if there are any options and "
        "task. CSV, JSONL or Parquet.",
    ),
]
EffortOption = Annotated[
    str | None,
    typer.Option(
        "--effort", metavar="LEVEL", help="Reasoning effort, as low or high; part of the default id: NAME@LEVEL."
    ),
]
IdOption = Annotated[
    str | None,
    typer.Option("--as", metavar="ID", help="Id of the model in the store. Default: its own name."),
]
PriceInOption = Annotated[float | None, typer.Option("--price-in", metavar="USD", help="USD per 1M prompt tokens.")]
PriceOutOption = Annotated[
    float | None, typer.Option("--price-out", metavar="USD", help="USD per 1M completion tokens.")
]
ConcurrencyOption = Annotated[
    int, typer.Option("--concurrency", metavar="N", help="Maximum number of concurrent requests.")
]
PerMinuteOption = Annotated[
    float | None, typer.Option("--per-minute", metavar="N", help="Maximum number of requests per minute.")
]
CircleOption = Annotated[
    int,
    typer.Option(
        "--circle",
        metavar="N",
        help="Ask every multiple-choice question in N rotations of its options; all must be right.",
    ),
]
BaseUrlOption = Annotated[
    str | None, typer.Option("--base-url", metavar="URL", help="An OpenAI-compatible server, for openai:NAME.")
]
KeyOption = Annotated[
    str | None,
    typer.Option("--api-key-env", metavar="NAME", help="Environment variable of the key. Default: the provider's own."),
]


@app.callback()
def aptitude() -> None:
    """Measure a model with a short test, so that it can be chosen."""


app.command("build")(_aptitude_build.build)


@app.command()
def run(
    model: ModelArgument,
    suite: SuiteOption = "cit-basics",
    store: StoreOption = None,
    texts: TextsOption = None,
    questions: QuestionsOption = None,
    as_: IdOption = None,
    base_url: BaseUrlOption = None,
    api_key_env: KeyOption = None,
    effort: EffortOption = None,
    temperature: Annotated[
        float | None, typer.Option(metavar="T", help="Sampling temperature. Default: the provider's own.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(metavar="N", help="Maximum number of tokens of an answer, reasoning included.")
    ] = None,
    system: Annotated[str | None, typer.Option(metavar="TEXT", help="A system message before every question.")] = None,
    concurrency: ConcurrencyOption = 8,
    per_minute: PerMinuteOption = None,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="Time limit of one request, in seconds.")] = 120.0,
    attempts: Annotated[
        int, typer.Option(metavar="N", help="Attempts at one question before it counts as failed.")
    ] = 6,
    max_cost_usd: Annotated[
        float | None,
        typer.Option(metavar="USD", help="Stop before this test costs more, in USD, earlier runs included."),
    ] = None,
    price_in: PriceInOption = None,
    price_out: PriceOutOption = None,
    max_failed: Annotated[
        float,
        typer.Option(metavar="SHARE", help="Share of the questions that may fail; with more, nothing is published."),
    ] = 0.05,
    circle: CircleOption = 0,
    retest: Annotated[
        bool, typer.Option("--retest", help="Ask every question again; earlier answers to this test are removed first.")
    ] = False,
    adaptive: Annotated[
        bool,
        typer.Option(
            "--adaptive",
            help="Ask only the questions that tell most, and estimate the accuracies on the whole suite from them.",
        ),
    ] = False,
    precision: Annotated[
        float, typer.Option(metavar="ERROR", help="Standard error of the accuracy at which an adaptive test ends.")
    ] = 0.02,
    most: Annotated[int, typer.Option(metavar="N", help="Maximum number of questions of an adaptive test.")] = 100,
    json_: JsonOption = False,
) -> None:
    """Ask a model every question of a suite that it has not answered yet, and store each answer as it comes."""
    from cit_core.aptitude.evidence_fit import fit_store
    from cit_core.aptitude.runner import RunOptions, run_aptitude
    from cit_core.aptitude.suites.sources import suite_and_items
    from cit_core.runtime import load_scorer

    options = RunOptions(concurrency, per_minute, timeout, attempts, max_cost_usd, max_failed, circle, retest)
    options = replace(options, adaptive=adaptive, precision=precision, most=most)
    asked, items = suite_and_items(suite, texts, questions)
    settings = {"temperature": temperature, "max_tokens": max_tokens, "system": system, "effort": effort}
    client, candidate = _client(model, timeout, base_url=base_url, api_key_env=api_key_env, **settings)
    candidate = _stated(candidate, as_, price_in, price_out)
    with open_store(store, create=True) as opened:
        try:
            with _run_progress.live() as progress:
                report = run_aptitude(
                    client, asked, items, opened, candidate=candidate, options=options, progress=progress
                )
        except KeyboardInterrupt:
            _output.note(
                f"stopped; every answer so far is in {opened.url}; the same command asks the remaining questions"
            )
            raise typer.Exit(INTERRUPTED) from None
        if report.published:  # its questions become evidence, too
            with _output.counting() as count:
                fit_store(opened, load_scorer(), anew=retest, progress=count)
        again = ["cit", "aptitude", "run", model, "--as", candidate.id]
        again += ["--suite", suite] if questions is None else ["--questions", str(questions)]
        again += ["--texts", texts] if texts else []
        again += ["--adaptive"] if adaptive else []
        typed = typed_store(store)
        _run_progress.tell_run(report, opened.url, shlex.join(again), options, typed=typed, json_=json_)
    if not report.published or report.stopped is not None:
        raise typer.Exit(REFUSED)


@app.command()
def estimate(
    model: ModelArgument,
    suite: SuiteOption = "cit-basics",
    store: StoreOption = None,
    texts: TextsOption = None,
    questions: QuestionsOption = None,
    as_: IdOption = None,
    base_url: BaseUrlOption = None,
    api_key_env: KeyOption = None,
    concurrency: ConcurrencyOption = 8,
    per_minute: PerMinuteOption = None,
    price_in: PriceInOption = None,
    price_out: PriceOutOption = None,
    circle: CircleOption = 0,
    json_: JsonOption = False,
) -> None:
    """Estimate what `cit aptitude run` would still take: calls, tokens, money, time. Calls no LLM, writes nothing."""
    from cit_core.aptitude.runner.estimate import estimate as estimated
    from cit_core.aptitude.runner.runs import RunOptions
    from cit_core.aptitude.suites.sources import suite_and_items
    from cit_core.records import Candidate

    options = RunOptions(concurrency, per_minute, circle=circle)
    asked, items = suite_and_items(suite, texts, questions)
    if as_ is None:
        candidate = _client(model, options.timeout_s, base_url=base_url, api_key_env=api_key_env)[1]
    else:
        candidate = Candidate(id=as_)
    candidate = _stated(candidate, as_, price_in, price_out)
    file = sqlite_file(store)
    with nullcontext() if file is not None and not file.exists() else open_store(store) as opened:
        found = estimated(asked, items, opened, candidate=candidate, options=options)
    _run_progress.tell_estimate(found, json_=json_)


def _client(
    model: str, timeout_s: float, *, base_url: str | None, api_key_env: str | None, **settings: Any
) -> tuple[Client, Candidate]:
    """Return the client of a model, and the candidate with the facts that the settings state."""
    from cit_core.aptitude.clients import client
    from cit_core.arms import Arm
    from cit_core.records import Candidate

    arm = Arm.parse(model)
    name, run = (model, "") if arm is None else (arm.model, model[len(arm.model) :])  # "@low"
    entry = chosen_settings().find(model)
    if entry is not None and entry.upstream is not None:
        model = f"{PATIENT_CLIENT}{entry.model or name.removeprefix(PATIENT_CLIENT)}{run}"
        base_url = base_url or entry.upstream
    if entry is not None:
        api_key_env = api_key_env or entry.api_key_env
    if model.startswith(PATIENT_CLIENT):
        settings["timeout_s"] = timeout_s
    made = client(model, base_url=base_url, api_key_env=api_key_env, **settings)
    if entry is not None:
        return made, entry.candidate
    effort = None if arm is not None and arm.effort else settings.get("effort")
    told = ",".join(filter(None, [effort, run.removeprefix("@")]))
    return made, Candidate(id=f"{made.name}@{told}" if told else made.name)


def _stated(candidate: Candidate, id_: str | None, price_in: float | None, price_out: float | None) -> Candidate:
    """Return the candidate with the facts of this command."""
    facts = {"id": id_, "price_in": price_in, "price_out": price_out}
    given = {name: value for name, value in facts.items() if value is not None}
    return type(candidate)(**{**candidate.model_dump(exclude_unset=True), **given})
