"""The options that all import commands share."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from cit_core.aptitude.importers import ImportReport
from cit_core.cli._import_options import SharedOptions, _namesakes, shares_options
from cit_core.cli.import_ import app
from cit_core.records import Candidate

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
SHARED = ["--store", "--source", "--skip-bad", "--suite", "--keywords", "--no-vectors", "--json"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_import_command_has_them(name: str) -> None:
    options = [parameter.opts[0] for parameter in COMMANDS[name].params if parameter.param_type_name == "option"]
    assert [option for option in options if option in SHARED] == SHARED


def test_a_command_gets_its_own_options_and_the_importer_the_shared_ones(tmp_path: Any) -> None:
    seen: dict[str, Any] = {}

    @shares_options
    def command(file: Annotated[str, typer.Argument()], loud: bool = False) -> Any:
        """Help."""
        seen.update(file=file, loud=loud)

        def importer(store: Any, **options: Any) -> ImportReport:
            seen.update(options, url=store.url)
            return ImportReport(0, 0, 0, ())

        return importer

    assert list(inspect.signature(command).parameters)[:2] == ["file", "loud"]
    assert list(inspect.signature(command).parameters)[2:] == list(SharedOptions.__dataclass_fields__)
    tool = typer.Typer()
    tool.command()(command)
    url = f"sqlite:///{tmp_path}/my.db"
    arguments = ["a", "--loud", "--store", url, "--source", "here", "--skip-bad", "--replace", "--no-vectors"]
    done = CliRunner().invoke(tool, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert seen.pop("progress")
    assert seen.pop("url").endswith("my.db")
    assert seen == {"file": "a", "loud": True, "source": "here", "skip_bad": True, "replace": True}


@pytest.mark.parametrize(
    ("ids", "pairs"),
    [
        (("gpt-5-mini", "claude-haiku-4-5", "openai/gpt-5-mini"), [("gpt-5-mini", "openai/gpt-5-mini")]),
        (("gpt-5-mini", "GPT-5-mini"), [("gpt-5-mini", "GPT-5-mini")]),
        (("groq:llama-3.3-70b", "together:llama-3.3-70b"), []),
        (("gpt-5@low", "gpt-5@high", "gpt-5", "gpt-5-nano"), []),
        (("our-8b", "our-70b"), []),
    ],
)
def test_two_names_of_one_model_are_told(ids: tuple[str, ...], pairs: list[tuple[str, str]]) -> None:
    assert _namesakes([Candidate(id=id_) for id_ in ids]) == pairs
