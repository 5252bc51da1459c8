"""Printing: escaped, without markup, in the width that there is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from cit_core import Candidate, CapabilityStore
from cit_core.cli import _output

HOSTILE = "evil\x1b]0;title\x07\x1b[2J\x9b1m\r\u202egpj"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain – é 漢字 🙂", "plain – é 漢字 🙂"),
        ("tab\tand\nnewline", "tab\tand\nnewline"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\r\x00\x7f\x9b", r"\r\x00\x7f\x9b"),
        ("\u202e\u2066", r"\u202e\u2066"),
        ("\ud800", r"\ud800"),
    ],
)
def test_control_characters_are_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert _output.escaped(text) == shown
    assert _output.escaped(shown) == shown


@pytest.mark.parametrize("print_", [_output.say, _output.note, lambda text: _output.complain(ValueError(text))])
def test_every_way_to_print_escapes(print_: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    print_(HOSTILE)
    shown = "".join(capsys.readouterr())
    assert r"evil\x1b]0;title\x07\x1b[2J\x9b1m\r\u202egpj" in shown
    assert not _output.CONTROL.search(shown)


def test_tables_escape_texts_of_any_kind(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.text import Text

    _output.show(_output.table(HOSTILE, {"a": "left", "b": "fold"}, [(HOSTILE, Text(HOSTILE))]))
    shown = capsys.readouterr().out
    assert shown.count(r"evil\x1b]0;title") == 3
    assert not _output.CONTROL.search(shown)


def test_colours_of_our_own_are_kept_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    target = _output.console()
    with target.capture() as captured:
        target.print("[bold]b\x1b[2J[/bold]")
    assert captured.get().startswith("\x1b[1mb\\x1b[2J")


def test_markup_in_a_text_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    _output.say("[bold]free[/bold] :smile: [s]")
    assert capsys.readouterr().out == "[bold]free[/bold] :smile: [s]\n"


@pytest.mark.parametrize(("value", "shown"), [(None, "–"), (float("nan"), "–"), (0.5, "50.0%")])
def test_percent(value: float | None, shown: str) -> None:
    assert _output.percent(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(None, "–"), (0.0, "$0"), (1.5, "$1.5"), (0.000123, "$0.00012")])
def test_usd(value: float | None, shown: str) -> None:
    assert _output.usd(value) == shown


def test_a_hostile_model_in_a_store_reaches_no_terminal(cit: Any, tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path}/my.db"
    with CapabilityStore(url) as store:
        store.add_candidates([Candidate(id=HOSTILE, notes=HOSTILE)])
    for verb in (
        ["models", "list", "--store", url],
        ["models", "show", HOSTILE, "--store", url],
        ["models", "show", "evil", "--store", url],
        ["models", "show", "evil", "--store", url, "--json"],
        ["models", "add", HOSTILE, "--store", url],
        ["models", "remove", HOSTILE, "--store", url],
        ["route", "hi", "--models", HOSTILE],
        ["route", "--input", HOSTILE],
        ["import", "table", HOSTILE],
        ["models", "list", "--store", f"sqlite:///{HOSTILE}"],
        ["aptitude", "run", HOSTILE],
    ):
        result = cit(*verb, open_router=None)
        assert "evil" in result.output, verb
        assert not _output.CONTROL.search(result.output), verb


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    _output.as_json({HOSTILE: 1})
    line = capsys.readouterr().out
    assert json.loads(line) == {HOSTILE: 1}
    assert line.isascii()
    assert not _output.CONTROL.search(line)


LONG = (
    "  not considered: "
    + ", ".join(f"model-{n}" for n in range(9))
    + " (no price: `cit models add model-0 --price-in 0.15`)"
)


def test_long_lines_are_folded_between_words_and_commands_stay_whole() -> None:
    lines = _output.folded(LONG, 60).split("\n")
    assert len(lines) > 2
    assert max(map(len, lines)) <= 60
    assert all(line.startswith("      ") for line in lines[1:])
    assert any("`cit models add model-0 --price-in 0.15`" in line for line in lines)
    assert " ".join(" ".join(lines).split()) == " ".join(LONG.split())
    assert _output.folded("short\nlines", 60) == "short\nlines"
    next_ = "Next: cit route 'What is 7 times 8?' --store sqlite:////a/rather/long/path/to/a/store/zoo.db"
    assert _output.folded(next_, 60).split("\n")[-1].strip() == next_.removeprefix("Next: ")


@pytest.mark.parametrize(("columns", "lines"), [("70", 3), ("400", 1), (None, 1)])
def test_text_is_folded_in_a_narrow_window_only(
    columns: str | None, lines: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns) if columns else monkeypatch.delenv("COLUMNS")
    _output.say(LONG)
    _output.complain(ValueError(LONG.strip()))
    out, err = capsys.readouterr()
    assert (out.count("\n"), err.count("\n")) == (lines, lines)


def test_json_is_one_line_in_any_window(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    _output.as_json({"text": LONG})
    assert capsys.readouterr().out.count("\n") == 1


def test_a_decision_with_many_excluded_candidates_fits_80_columns(cit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for policy in ("cost:0.02", "threshold:0.7"):
        said = cit("route", "What is 7 times 8?", "--policy", policy, open_router=None).stdout.splitlines()
        assert len(said) < 15
        assert max(map(len, said)) <= 80
