"""Commands that messages, docstrings and pages suggest are commands that exist, with options that they have."""

from __future__ import annotations

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
