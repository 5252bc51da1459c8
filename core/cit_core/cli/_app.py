"""The root command: its verbs, `--version`, and the entry point `main`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cit_core.cli import (
    _output,
    _stdio,
    aptitude,
    bench,
    calibrate,
    demo,
    doctor,
    import_,
    models,
    replay,
    report,
    route,
    serve,
    store,
    train,
)
from cit_core.cli._group import Group
from cit_core.cli._options import OpenRouter
from cit_core.cli._options import config as chosen_config

__all__ = ["app", "main"]

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("route")(route.route)
app.add_typer(models.app, name="models")
app.add_typer(import_.app, name="import")
app.add_typer(aptitude.app, name="aptitude")
app.add_typer(store.app, name="store")
app.command("serve")(serve.serve)
app.command("calibrate")(calibrate.calibrate)
app.command("replay")(replay.replay)
app.command("report")(report.report)
app.command("train")(train.train)
app.command("bench")(bench.bench)
app.command("doctor")(doctor.doctor)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        _output.say(f"cit-router {version('cit-router')}")
        raise typer.Exit


@app.callback()
def cit(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Settings: store, models, policy. Default: the file that CIT_CONFIG names; cit.toml in this folder.",
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 - its callback acts
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Send every query to the LLM that is most likely to get it right. `cit demo` shows how, offline."""
    chosen_config.set(config)


def main(open_router: OpenRouter | None = None) -> None:
    """Run the command line and exit with its exit code.

    Args:
        open_router: Builds the router of `cit route` in place of `cit_core.cli._options.open_router`; a test or a
            tool can bring its own scorer with it.
    """
    with _stdio.checked():
        app(obj=open_router, prog_name="cit")
