"""Tables say the same to a terminal, in Markdown and on the page; Markdown is read back by a parser of it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from example_results import FACTS, NEW_MODELS, RESULTS, ROUTERS
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console

from cit_core.evaluate.figures import write_figures
from cit_core.evaluate.metrics import Interval
from cit_core.evaluate.results import Cell, Column, Kind, Table
from cit_core.evaluate.tables import as_markdown, as_rich, benchmarks_page, provenance, written

# ---- cells


@pytest.mark.parametrize(
    ("cell", "kind", "text"),
    [
        (None, "percent", "–"),
        ("n/a", "percent", "n/a"),
        (68.063, "percent", "68.06"),
        (0.519, "points", "+0.52"),
        (-33.777, "points", "-33.78"),
        (-0.0004, "points", "+0.00"),
        (0.7486, "precise", "0.749"),
        (0.01206, "signed", "+0.012"),
        (-0.0001, "signed", "+0.000"),
        (1838, "count", "1,838"),
        (1838.0, "count", "1,838"),
        (1.2345, "ms", "1.23"),
        (1.194, "ratio", "1.19x"),
        (0.00031234, "usd", "$0.000312"),
        (0.0000005, "usd", "$0.000000500"),
        (0.02, "usd", "$0.0200"),
        (0, "usd", "$0.00"),
        (1234.5, "usd", "$1,234.50"),
        (-0.5, "usd", "-$0.500"),
        (1234567, "text", "1,234,567"),
        (0.25, "text", "0.25"),
        (Interval(68.06, 65.887, 70.131), "percent", "68.06 [65.89, 70.13]"),
        (Interval(0.5, -0.001, 1.25), "points", "+0.50 [+0.00, +1.25]"),
        (Interval(1.0, 0.5, 1.5), "ratio", "1.00x [0.50x, 1.50x]"),
    ],
)
def test_a_cell_is_written_as_its_column_says(cell: Cell, kind: Kind, text: str) -> None:
    assert written(cell, kind) == text


# ---- Markdown

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def shown(token: Token) -> str:
    """What a reader sees of an inline token."""
    return "".join(child.content for child in token.children or [])


def cells_of(text: str) -> list[list[str]]:
    """The rows of the only table, heading first."""
    tokens = MARKDOWN.parse(text)
    rows: list[list[str]] = []
    for place, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in {"th_open", "td_open"}:
            rows[-1].append(shown(tokens[place + 1]))
    return rows


def paragraphs_of(text: str) -> list[str]:
    tokens = MARKDOWN.parse(text)
    return [shown(tokens[place + 1]) for place, token in enumerate(tokens) if token.type == "paragraph_open"]


def test_markdown_holds_every_cell_as_it_is_written() -> None:
    heading, *rows = cells_of(as_markdown(ROUTERS))
    assert heading == [column.name for column in ROUTERS.columns]
    assert rows == [
        [written(cell, column.kind) for cell, column in zip(row, ROUTERS.columns, strict=True)] for row in ROUTERS.rows
    ]
    assert "| kNN \\| k=40 | 31.20 [29.90, 32.60] |" in as_markdown(ROUTERS), "readable as it stands, too"


def test_rows_that_are_ours_are_bold_and_no_others() -> None:
    lines = as_markdown(ROUTERS).splitlines()
    assert [line for line in lines if line.startswith("| **")] == [line for line in lines if "mini" in line]
    (ours,) = (line for line in lines if "mini" in line)
    assert all(re.fullmatch(r"\*\*.+\*\*", cell) for cell in ours.strip("| ").split(" | "))


def test_words_stand_left_and_numbers_right() -> None:
    assert "| --- | ---: |" in as_markdown(replace(ROUTERS, columns=ROUTERS.columns[:2], rows=(), emphasis=()))


marks = st.text("ab1 |*_<>$[]\\~&#;-+=.)(!:\n", max_size=14)


@settings(max_examples=300, deadline=None)
@given(cell=marks, heading=marks, bold=st.booleans())
def test_whatever_a_cell_says_markdown_shows_it(cell: str, heading: str, bold: bool) -> None:
    table = Table("t", (Column("first"), Column(heading)), (("row", cell),), emphasis=(0,) if bold else ())
    assert cells_of(as_markdown(table)) == [["first", " ".join(heading.split())], ["row", " ".join(cell.split())]]


@settings(max_examples=300, deadline=None)
@given(note=marks.filter(str.strip))
@example(note="&amp; is &#38;, R&D; is not")
def test_whatever_a_note_says_markdown_shows_it(note: str) -> None:
    assert paragraphs_of(as_markdown(Table("t", (Column("a"),), (("b",),), note))) == ["t", " ".join(note.split())]


def test_backticks_mark_code_everywhere() -> None:
    table = Table("of `a_*b`", (Column("`x|y`"),), (("lone ` tick",),), note="`cit bench` makes *it*")
    text = as_markdown(table)
    assert cells_of(text) == [["x|y"], ["lone ` tick"]]
    assert paragraphs_of(text) == ["of a_*b", "cit bench makes *it*"]
    assert "`cit bench` makes" in text


# ---- a terminal


def printed(table: Table, width: int) -> str:
    console = Console(width=width, record=True, file=None, quiet=False, color_system="standard", force_terminal=True)
    with console.capture() as captured:
        console.print(as_rich(table))
    return captured.get()


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_a_terminal_shows_every_cell_and_the_note() -> None:
    text = plain(printed(ROUTERS, 240))
    for row in ROUTERS.rows:
        for cell, column in zip(row, ROUTERS.columns, strict=True):
            assert written(cell, column.kind) in text
    assert ROUTERS.title in text
    assert ROUTERS.note in text


def test_in_a_terminal_ours_are_bold() -> None:
    bold = [line for line in printed(ROUTERS, 240).splitlines() if "\x1b[1m" in line]
    assert [plain(line).split()[0] for line in bold] == ["Zoos", "router", "mini@7ee143ad"]


def test_a_narrow_terminal_loses_no_digit() -> None:
    table = Table("", (Column("n", "percent"),), ((Interval(27.45, 26.14, 28.83),), (Interval(123456.78, 1, 2),)))
    assert "27.45[26.14,28.83]123456.78[1.00,2.00]" in "".join(plain(printed(table, 9)).split())


def test_a_cell_is_no_markup() -> None:
    table = Table("[bold]t[/]", (Column("[red]c"),), (("[/] :smile: [link=x]",),), note="[i]n")
    text = plain(printed(table, 80))
    assert all(part in text for part in ("[bold]t[/]", "[red]c", "[/] :smile: [link=x]", "[i]n"))


# ---- the page


def test_the_page_leads_to_every_experiment_and_to_figures_that_are_there(tmp_path: Path) -> None:
    write_figures(RESULTS, tmp_path / "figures")
    page = benchmarks_page(RESULTS, "figures")
    for result in RESULTS:
        assert f"- [{result.title}](#{result.experiment})" in page
        assert page.count(f'<a id="{result.experiment}"></a>\n\n## {result.title}\n') == 1
    images = re.findall(r"!\[(.*)\]\((.*)\)", page)
    assert [target for _, target in images] == [
        f"figures/{figure.name}.svg" for result in RESULTS for figure in result.figures
    ]
    assert all(alt for alt, _ in images)
    assert all((tmp_path / target).is_file() for _, target in images)


def test_the_page_says_of_each_experiment_what_was_asked_held_out_and_done() -> None:
    page = benchmarks_page(RESULTS, "figures")
    said = paragraphs_of(page)
    for result in RESULTS:
        assert result.question in said
        assert f"Held out. {result.held_out}" in said
        assert provenance(result.facts).replace("`", "") in said
    assert as_markdown(ROUTERS) in page
    assert "Each line is one router over all values of cost:." in said


def test_commands_on_the_page_are_shown_and_not_run() -> None:
    fences = [token for token in MARKDOWN.parse(benchmarks_page(RESULTS, "figures")) if token.type == "fence"]
    assert [(token.info, token.content) for token in fences] == [("sh", f"{FACTS.command}\n")] * len(RESULTS)


def test_provenance_says_what_is_known_and_leaves_out_what_is_not() -> None:
    assert provenance(FACTS) == (
        "Commit `61b4856+changes`, data mmlu-pro `21b0513ec3291610`, checkpoint `mini@7ee143ad`, seed `cit-2502`; "
        "1,312.4 s on Linux x86_64, 2 cores, 2026-11-22; python 3.11.7, cit-router 0.1.0, numpy 2.4.6."
    )
    bare = replace(FACTS, commit=None, data={}, checkpoint=None, seed=0)
    assert provenance(bare).startswith("Seed `0`; 1,312.4 s on")


def test_an_experiment_without_figures_or_notes_leaves_no_holes() -> None:
    page = benchmarks_page([replace(NEW_MODELS, figures=(), tables=(replace(ROUTERS, note=""),))], "figures")
    assert "\n\n\n" not in page
    assert page.endswith("|\n")
