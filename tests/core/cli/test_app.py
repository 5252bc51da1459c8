"""Every command: it has help that prints in full, `--json`, and an up-to-date option list in docs/cli.md."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

GENERATOR = Path(__file__).parents[3] / "docs" / "generate_cli.py"
CONSOLE_SCRIPT = Path(sys.executable).with_name("cit")


def _generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate_cli", GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = _generator()
PAGE = REFERENCE.PAGE.read_text(encoding="utf-8")
COMMANDS = dict(REFERENCE.commands())


def words(text: str) -> list[str]:
    """The words of a text, without the frames that rich draws around columns."""
    return re.sub(r"[\s─│╭╮╰╯]+", " ", text).split()


def test_the_verbs() -> None:
    assert {name.split()[1] for name in COMMANDS} == {
        "aptitude",
        "bench",
        "calibrate",
        "demo",
        "doctor",
        "import",
        "models",
        "replay",
        "report",
        "route",
        "serve",
        "store",
        "train",
    }


def test_the_option_lists_of_the_docs_are_those_of_the_commands() -> None:
    assert REFERENCE.generated(PAGE) == PAGE, "run `python docs/generate_cli.py`"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_section_in_the_docs_with_its_options(name: str) -> None:
    section = PAGE.partition(f"\n### `{name}`\n")[2].partition("\n### ")[0]
    assert f"<!-- options: {name} -->" in section


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_text_is_printed_in_full(cit: Any, name: str) -> None:
    command = COMMANDS[name]
    shown = " ".join(words(cit(*name.split()[1:], "--help").stdout))
    assert command.help
    for text in command.help.split("\n\n"):
        assert " ".join(words(text)) in shown
    for parameter in command.params:
        assert parameter.help, f"{name} {parameter.name} has no help"
        assert parameter.is_eager or getattr(parameter, "is_flag", False) or parameter.metavar, (
            f"{parameter.name}: metavar"
        )
        if not getattr(parameter, "hidden", False):
            assert " ".join(words(parameter.help)) in shown, f"{name} {parameter.name}: rich dropped a part of its help"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_verb_has_json(name: str) -> None:
    assert "--json" in [option for parameter in COMMANDS[name].params for option in parameter.opts]


def test_version(cit: Any) -> None:
    assert cit("--version").stdout == f"cit-router {version('cit-router')}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["models", "--help"], ["import", "--help"]])
def test_help(cit: Any, arguments: list[str]) -> None:
    result = cit(*arguments)
    assert result.exit_code == 0
    assert "Usage: " in result.stdout


def test_the_console_script_loads_no_heavy_library_for_help() -> None:
    code = (
        "import sys, cit_core.cli; "
        "print(sorted({'torch', 'onnxruntime', 'transformers', 'pyarrow', 'rich.progress'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.strip() == "[]"


def test_the_console_script_is_installed() -> None:
    done = subprocess.run([str(CONSOLE_SCRIPT), "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"cit-router {version('cit-router')}\n"
