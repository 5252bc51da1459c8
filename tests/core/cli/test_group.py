"""From an exception to an exit code and one line on stderr."""

from __future__ import annotations

from typing import Any

import pytest

from cit_core.errors import CITError, InvalidInput, StoreError


@pytest.mark.parametrize("arguments", [["fly"], ["route", "--fly"], ["models", "add"], ["import", "table", "no.csv"]])
def test_an_error_in_the_command_is_exit_code_2(cit: Any, arguments: list[str]) -> None:
    assert cit(*arguments).exit_code == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("no such thing"), 2),
        (StoreError("no such thing"), 1),
        (CITError("no such thing"), 1),
        (OSError(28, "no such thing"), 1),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(cit: Any, error: Exception, code: int) -> None:
    def broken(*_: object) -> Any:
        raise error

    result = cit("route", "hello", open_router=broken)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith("error: ")
    assert "no such thing" in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_error_of_ours_in_the_code_is_not_hidden(cit: Any) -> None:
    def broken(*_: object) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cit("route", "hello", open_router=broken)


@pytest.mark.parametrize(
    "arguments",
    [["\x1b]0;owned\x07"], ["route", "a", "\x1b[2J"], ["route", "--\x1b[2J"]],
)
def test_the_messages_of_typer_are_escaped_too(cit: Any, arguments: list[str]) -> None:
    result = cit(*arguments)
    assert result.exit_code == 2
    assert "\x1b]" not in result.output
    assert "\x1b[2J" not in result.output
    assert "x1b" in result.output
