"""Every command: it has help, it stands in docs/cli.md, and every option of it does too."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer

from cit_core.cli import app

DOCS = (Path(__file__).parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")
CONSOLE_SCRIPT = Path(sys.executable).with_name("cit")


def commands(group: Any, path: str = "cit") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_the_verbs():
    assert {
        "cit demo",
        "cit doctor",
        "cit import table",
        "cit models add",
        "cit models list",
        "cit models remove",
        "cit models show",
        "cit route",
    } <= COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help_and_stands_in_the_docs(name):
    command = COMMANDS[name]
    assert command.help
    section = DOCS.partition(f"\n### `{name}")[2].partition("\n### ")[0]
    assert section, f"docs/cli.md has no section `{name}`"
    for parameter in command.params:
        assert parameter.help, f"{name} {parameter.name} has no help"
        if parameter.param_type_name == "option":
            assert f"`{parameter.opts[0]}" in section, (
                f"{name} {parameter.opts[0]} is not in its section of docs/cli.md"
            )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_verb_has_json(name):
    assert "--json" in [option for parameter in COMMANDS[name].params for option in parameter.opts]


def test_version(cit):
    assert cit("--version").stdout == f"cit-router {version('cit-router')}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["models", "--help"], ["import", "--help"]])
def test_help(cit, arguments):
    result = cit(*arguments)
    assert result.exit_code == 0
    assert "Usage: " in result.stdout


@pytest.mark.parametrize("arguments", [["fly"], ["route", "--fly"], ["models", "add"], ["import", "table", "no.csv"]])
def test_a_slip_of_the_pen_is_exit_code_2(cit, arguments):
    assert cit(*arguments).exit_code == 2


def test_the_console_script_loads_no_heavy_library_for_help():
    code = (
        "import sys, cit_core.cli; "
        "print(sorted({'torch', 'onnxruntime', 'transformers', 'pyarrow', 'rich.progress'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.strip() == "[]"


def test_the_console_script_is_installed():
    done = subprocess.run([str(CONSOLE_SCRIPT), "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"cit-router {version('cit-router')}\n"
