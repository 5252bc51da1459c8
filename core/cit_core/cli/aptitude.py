"""`cit aptitude`: measure a model with a short test, so that it can be chosen."""

from __future__ import annotations

import shlex
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cit_core.cli import _aptitude_build, _output, _run_progress
from cit_core.cli._group import REFUSED
from cit_core.cli._options import JsonOption, StoreOption, open_store, sqlite_file, typed_store

if TYPE_CHECKING:
    from cit_core.aptitude.clients import Client
    from cit_core.records import Candidate, Item, Suite

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
        help="openai:NAME, langchain:WHAT_INIT_CHAT_MODEL_TAKES, llamaindex:module:object or python:module:function.",
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
    as_: IdOption = None,
    base_url: BaseUrlOption = None,
    api_key_env: KeyOption = None,
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
    json_: JsonOption = False,
) -> None:
    """Ask a model every question of a suite that it has not answered yet, and store each answer as it comes."""
    from cit_core.aptitude.evidence_fit import fit_store
    from cit_core.aptitude.runner import RunOptions, run_aptitude
    from cit_core.runtime import load_scorer

    options = RunOptions(concurrency, per_minute, timeout, attempts, max_cost_usd, max_failed, circle)
    asked, items = _suite(suite, texts)
    settings = {"temperature": temperature, "max_tokens": max_tokens, "system": system}
    client = _client(model, timeout, base_url=base_url, api_key_env=api_key_env, **settings)
    candidate = _candidate(as_ or client.name, price_in, price_out)
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
                fit_store(opened, load_scorer(), progress=count)
        again = ["cit", "aptitude", "run", model, "--as", candidate.id, "--suite", suite]
        again += ["--texts", texts] if texts else []
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

    options = RunOptions(concurrency, per_minute, circle=circle)
    asked, items = _suite(suite, texts)
    name = as_ or _client(model, options.timeout_s, base_url=base_url, api_key_env=api_key_env).name
    file = sqlite_file(store)
    with nullcontext() if file is not None and not file.exists() else open_store(store) as opened:
        found = estimated(asked, items, opened, candidate=_candidate(name, price_in, price_out), options=options)
    _run_progress.tell_estimate(found, json_=json_)


def _suite(name: str, source: str | None) -> tuple[Suite, tuple[Item, ...]]:
    from cit_core.aptitude.suites import find_suite
    from cit_core.aptitude.suites.sources import texts

    suite = find_suite(name)
    return suite, texts(suite, source)


def _client(model: str, timeout_s: float, **settings: Any) -> Client:
    from cit_core.aptitude.clients import client

    if model.startswith(PATIENT_CLIENT):
        settings["timeout_s"] = timeout_s
    return client(model, **settings)


def _candidate(id_: str, price_in: float | None, price_out: float | None) -> Candidate:
    from cit_core.records import Candidate

    return Candidate(id=id_, price_in=price_in, price_out=price_out)
