"""`cit route`: route one query, or a file of them."""

from __future__ import annotations

import logging
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal

import typer

from cit_core.cli import _output
from cit_core.cli._lock import lock
from cit_core.cli._options import CheckpointOption, JsonOption, StoreOption, open_router, settings, split_ids
from cit_core.errors import InvalidInput

if TYPE_CHECKING:
    from cit_core.cli._decision_file import Tally
    from cit_core.policy import Constraints
    from cit_core.router import Router

__all__ = ["route"]

PIPE = Path("-")
ABILITIES = ("tools", "structured_output")
KINDS = ("image", "audio", "video", "pdf")


def route(
    ctx: typer.Context,
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="One query.", show_default=False)] = None,
    source: Annotated[
        Path | None,
        typer.Option("--input", metavar="FILE", help="Queries as JSON lines with id and instruction; - is stdin."),
    ] = None,
    target: Annotated[
        Path,
        typer.Option("--output", metavar="FILE", help="Decisions as JSON lines; resumes where an earlier run stopped."),
    ] = PIPE,
    models: Annotated[
        str | None,
        typer.Option(
            "--models",
            metavar="ID,ID",
            help="Choose among these models only. Default: all of the store, or today's models.",
        ),
    ] = None,
    store: StoreOption = None,
    policy: Annotated[
        str | None,
        typer.Option(
            "--policy",
            metavar="POLICY",
            help="best: the model most likely to be right. threshold:TAU: the cheapest with P(correct) of TAU or more. "
            "cost:VALUE: the highest P(correct) x VALUE - cost, VALUE being what a correct answer is worth in USD. "
            "quality:0.98, budget:20/day, budget:1.5/1k, share:MODEL=20%, latency:SECONDS, file:PATH: docs/money.md. "
            "Default: the settings' policy, else best.",
        ),
    ] = None,
    max_price_in: Annotated[
        float | None, typer.Option(metavar="USD", min=0.0, help="Only with at most this price per 1M prompt tokens.")
    ] = None,
    max_price_out: Annotated[
        float | None, typer.Option(metavar="USD", min=0.0, help="Only with at most this price per 1M answer tokens.")
    ] = None,
    max_latency: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0.0, help="Only where answers took at most this on average.")
    ] = None,
    needs: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT", help="Only with tools, structured-output, image, audio, video or pdf. Repeatable."
        ),
    ] = None,
    deny: Annotated[str | None, typer.Option(metavar="ID,ID", help="Never these models.")] = None,
    checkpoint: CheckpointOption = "mini",
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(
            "--engine",
            metavar="ENGINE",
            help="local, or ray: Parquet or JSON lines, on a Ray cluster, into a folder of Parquet files.",
        ),
    ] = "local",
    json_: JsonOption = False,
) -> None:
    """Choose the LLM for a query, or for every query in a file, among the catalogue or the candidates of a store."""
    from cit_core.cli._query_file import require_text
    from cit_core.policy import parse_policy
    from cit_core.router.choice import limits_among

    if (text is None) == (source is None):
        raise InvalidInput("give either one TEXT or --input FILE; try: cit route 'What is 7 times 8?'")
    if text is not None and engine != "local":
        raise InvalidInput(f"--engine {engine} needs --input FILE; a single TEXT is decided here, without it")
    if text is not None:
        if target != PIPE:
            raise InvalidInput(f"--output {target} needs --input FILE; the decision of a single TEXT is printed")
        require_text(text, "the query")
    router = (ctx.obj or open_router)(checkpoint, store, split_ids(models), parse_policy(policy or settings().policy))
    limits = {"max_price_in": max_price_in, "max_price_out": max_price_out, "max_latency_s": max_latency}
    router.constraints = _narrowed(router.constraints, limits, needs or [], frozenset(split_ids(deny, "--deny") or []))
    router.constraints = limits_among(router.constraints, router.candidates)
    if text is not None:
        with _warned_below():
            decision = router.route(text)
        _output.as_json(_output.decision_record(decision)) if json_ else _output.say(decision.explain())
    elif source is not None and engine == "ray":
        _route_on_ray(router, source, target, json_=json_)
    elif source is not None:
        _report(_route_file(router, source, target), target, json_=json_)


@contextmanager
def _warned_below() -> Iterator[None]:
    """Keep a decision's warnings out of the log: they are printed with it."""

    def of_none(record: logging.LogRecord) -> bool:
        return not hasattr(record, "cit_decision")

    logger = logging.getLogger("cit_core.router")
    logger.addFilter(of_none)
    try:
        yield
    finally:
        logger.removeFilter(of_none)


def _route_on_ray(router: Router, source: Path, target: Path, *, json_: bool) -> None:
    from cit_core.batch import route_files

    if PIPE in (source, target):
        raise InvalidInput("--engine ray reads --input FILE or a folder, and writes a folder: --output FOLDER")
    done, before = route_files(source, target, router)
    if json_:
        _output.as_json({"blocks": done, "resumed": before, "output": str(target)})
    else:
        _output.note(f"{done:,} blocks decided" + (f", {before:,} were decided before" if before else ""))


def _narrowed(
    own: Constraints, limits: dict[str, float | None], needs: list[str], denied: frozenset[str]
) -> Constraints:
    """Add the limits of this command to those of the settings; a limit that is given goes before theirs."""
    kinds = {need.replace("-", "_") for need in needs}
    unknown = kinds - {*ABILITIES, *KINDS}
    if unknown:
        known = ", ".join(need.replace("_", "-") for need in (*ABILITIES, *KINDS))
        raise InvalidInput(f"--needs {min(unknown)!r} is nothing that a model may need; there are {known}")
    given: dict[str, Any] = {name: value for name, value in limits.items() if value is not None}
    given |= {name: True for name in ABILITIES if name in kinds}
    return replace(own, **given, deny=own.deny | denied, modalities=own.modalities | (kinds & {*KINDS}))


def _route_file(router: Router, source: Path, target: Path) -> Tally:
    from cit_core.cli._decision_file import DecisionFile, decide
    from cit_core.cli._query_file import read_queries

    if PIPE not in (source, target) and target.exists() and source.exists() and target.samefile(source):
        raise InvalidInput(f"--output {target} is the input file; write the decisions to another file")
    with _open_input(source) as lines, _open_output(target) as (stream, resumes):
        written = DecisionFile(stream, str(target), [c.id for c in router.candidates], resumes=resumes)
        return decide(router, read_queries(lines, "stdin" if source == PIPE else str(source)), written)


@contextmanager
def _open_input(path: Path) -> Iterator[BinaryIO]:
    """Open the input; reading it moves a progress bar if stderr is a terminal."""
    from rich.progress import Progress

    if path == PIPE:
        yield sys.stdin.buffer
        return
    console = _output.console(stderr=True)
    with _open(path, "rb", "--input") as stream, Progress(console=console, disable=not console.is_terminal) as progress:
        yield progress.wrap_file(stream, total=path.stat().st_size, description=path.name)


@contextmanager
def _open_output(path: Path) -> Iterator[tuple[BinaryIO, bool]]:
    """Open the output; the second value says whether it can hold lines of an earlier run (a pipe and a device cannot).

    Raises:
        CITError: If another run is writing to it.
    """
    if path == PIPE:
        yield sys.stdout.buffer, False
        return
    resumes = not path.exists() or stat.S_ISREG(path.stat().st_mode)
    if resumes:
        with _open(path, "ab", "--output"):  # creates it, changes nothing
            pass
    with _open(path, "r+b" if resumes else "wb", "--output") as stream:
        if resumes:
            lock(stream, path)
        yield stream, resumes


def _open(path: Path, mode: Literal["rb", "ab", "wb", "r+b"], option: str) -> BinaryIO:
    try:
        return path.open(mode)
    except OSError as error:
        raise InvalidInput(f"{option} {path} cannot be opened: {error.strerror}") from None


def _report(tally: Tally, target: Path, *, json_: bool) -> None:
    """Report the counts on stderr, or as JSON on stdout if the decisions go elsewhere."""
    if json_ and target != PIPE:
        _output.as_json({"decided": tally.decided, "resumed": tally.resumed, "output": str(target)})
        return
    before = f", {tally.resumed:,} were decided before" if tally.resumed else ""
    nothing = "nothing to do: " if not tally.decided else ""
    _output.note(f"{nothing}{tally.decided:,} queries decided{before}")
