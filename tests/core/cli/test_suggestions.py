"""Commands that messages, docstrings and pages suggest are commands that exist, with options that they have."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cit_core.cli import app

ROOT = Path(__file__).parents[3]
SOURCES = [
    *(path for folder in ("core", "langchain_cit", "llamaindex_cit") for path in (ROOT / folder).rglob("*.py")),
    *(path for path in ROOT.glob("*.md") if path.name != "CHANGELOG.md"),
    *(path for path in (ROOT / "docs").rglob("*.md") if path.name != "lab-notes.md"),
]
COMMAND = re.compile(r"`(cit\s[^`]+)`")
HOLE = re.compile(r"\{[^{}]*(\{[^{}]*\}[^{}]*)*\}")
GLUE = re.compile(r"[\"']\s*\n\s*f?[\"']")
"""What is between two pieces of one text in Python."""


def suggested() -> Iterator[tuple[str, str]]:
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        for match in COMMAND.finditer(GLUE.sub("", text) if path.suffix == ".py" else text):
            yield str(path.relative_to(ROOT)), " ".join(HOLE.sub("X", match[1]).split())


SUGGESTED = sorted(set(suggested()))


@pytest.mark.parametrize(("source", "command"), SUGGESTED, ids=lambda text: text.replace("/", "."))
def test_a_suggested_command_exists_with_its_options(source: str, command: str) -> None:
    words = shlex.split(command.partition(" | ")[0].replace("...", "").replace("…", ""))[1:]
    here: Any = typer.main.get_command(app)
    while words and hasattr(here, "commands") and not words[0].startswith("-"):
        assert words[0] in here.commands, f"{source}: `{command}`: there is no `{words[0]}`"
        here = here.commands[words.pop(0)]
    known = {name for parameter in here.params for name in (*parameter.opts, *parameter.secondary_opts)} | {
        "--help",
        "-h",
    }
    options = {word.partition("=")[0] for word in words if re.match(r"-[-a-z]", word)}
    assert options <= known, f"{source}: `{command}`: there is no {', '.join(sorted(options - known))}"


def test_there_are_some() -> None:
    assert len(SUGGESTED) > 30


def said() -> Iterator[tuple[str, str]]:
    """Yield the commands in texts that the code says, with 1 for every value that is put in: what a user can paste."""
    for path in SOURCES:
        if path.suffix != ".py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if id(node) not in silent | inside and isinstance(node, ast.Constant | ast.JoinedStr):
                for command in PASTED.findall(_text(node)):
                    yield str(path.relative_to(ROOT)), " ".join("".join(command).split())


def _text(node: ast.Constant | ast.JoinedStr) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "1" for part in node.values)


PASTED = re.compile(r"`(cit [^`]+)`|(?<=: )(cit [a-z][^`;()]*)")
NAMED = {"cit train --preset paper", "cit train --preset mini", "cit train --config"}
"""A preset or an option that a message names, no command."""
SAID = sorted(set(said()))


@pytest.mark.parametrize(("source", "command"), SAID, ids=lambda text: text.replace("/", "."))
def test_a_command_that_a_message_says_can_be_pasted(source: str, command: str) -> None:
    words = shlex.split(command.replace("…", ""))[1:]
    here: Any = typer.main.get_command(app)
    while words and hasattr(here, "commands") and not words[0].startswith("-"):
        here = here.commands[words.pop(0)]
    if words and command not in NAMED:  # a verb alone is a name
        here.make_context("cit", words)
