"""Write the option lists of docs/cli.md from the commands: python docs/generate_cli.py."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from cit_core.cli import app

PAGE = Path(__file__).with_name("cli.md")
BLOCK = re.compile(r"(<!-- options: (?P<command>[^\n]+) -->\n).*?(<!-- end -->)", re.S)


def commands(group: Any | None = None, path: str = "cit") -> Iterator[tuple[str, Any]]:
    """Yield the full name of every command, and the command."""
    for name, command in (group or typer.main.get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def generated(text: str) -> str:
    """Return the page with the option list of each command between its marks."""
    known = dict(commands())
    return BLOCK.sub(lambda found: found[1] + options(known[found["command"]]) + found[3], text)


def options(command: Any) -> str:
    """Return arguments and options as a list, with metavar, help and default."""
    return "".join(f"- {line}\n" for parameter in command.params for line in _lines(parameter))


def _lines(parameter: Any) -> Iterator[str]:
    if getattr(parameter, "hidden", False) or parameter.name == "help":
        return
    if parameter.param_type_name == "argument":
        metavar = f"{parameter.metavar}{'...' if parameter.nargs == -1 else ''}"
        yield f"`{metavar}`: {parameter.help}"
        return
    names = [*parameter.opts, *parameter.secondary_opts]
    value = "" if parameter.is_flag else f" {parameter.metavar}"
    default = parameter.default
    shown = "" if default is None or isinstance(default, bool) or default in ((), []) else f" Default: `{default}`."
    required = " Required." if parameter.required else ""
    yield f"`{' / '.join(names)}{value}`: {parameter.help}{shown}{required}"


if __name__ == "__main__":
    PAGE.write_text(generated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
