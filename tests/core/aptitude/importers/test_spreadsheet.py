"""Excel sheets: rows as they were written, and nothing of a hostile file but one error."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from excel_sheets import write_sheet

from cit_core.aptitude.importers.files import read_rows
from cit_core.aptitude.importers.limits import Limits
from cit_core.aptitude.importers.spreadsheet import MOST_TEXTS
from cit_core.errors import InvalidInput

ROWS: list[dict[str, Any]] = [
    {"index": 1, "question": "1 < 2 & so?\nYes", "A": "π", "hit": True, "share": 0.25},
    {"index": 2, "question": None, "A": 3, "hit": False, "share": None},
]


def read(path: Path, **limits: int) -> list[Any]:
    return [fields for _, fields in read_rows(path, required=("index",), limits=Limits(**limits))]


@pytest.mark.parametrize("shared", [True, False])
def test_rows_come_back(tmp_path: Path, shared: bool) -> None:
    path = write_sheet(tmp_path / "a.xlsx", ROWS, shared=shared)
    assert read(path) == [{name: row.get(name) for name in ROWS[0]} for row in ROWS]


def test_rows_that_openpyxl_wrote_come_back(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl", reason="writes a sheet as users have it; pip install openpyxl")
    book = openpyxl.Workbook()
    book.active.append(list(ROWS[0]))
    for row in ROWS:
        book.active.append([row.get(name) for name in ROWS[0]])
    book.save(tmp_path / "a.xlsx")
    assert read(tmp_path / "a.xlsx") == [{name: row.get(name) for name in ROWS[0]} for row in ROWS]


def test_escaped_control_characters_and_reading_aids(tmp_path: Path) -> None:
    path = write_sheet(tmp_path / "a.xlsx", [{"index": "a_x000D_b"}])
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name).decode() for name in archive.namelist()}
    kept["xl/sharedStrings.xml"] = kept["xl/sharedStrings.xml"].replace(
        "</t></si></sst>", "</t><rPh><t>aid</t></rPh></si></sst>"
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in kept.items():
            archive.writestr(name, text)
    assert read(path) == [{"index": "a\rb"}]


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;">]>'


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("document type", "document type"),
        ("not a zip", "not a readable Excel sheet"),
        ("no sheet", "holds no sheet"),
        ("broken XML", "not a readable Excel sheet"),
        ("text that is not there", "which the file lacks"),
        ("no such column", "no column index"),
    ],
)
def test_a_damaged_or_hostile_file_is_one_error(tmp_path: Path, what: str, said: str) -> None:
    path = tmp_path / "a.xlsx"
    if what == "not a zip":
        path.write_text("index,question\n1,2\n")
    elif what == "no sheet":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("xl/other.xml", "<a/>")
    elif what == "no such column":
        write_sheet(path, [{"other": 1}])
    else:
        write_sheet(path, ROWS, head=BOMB if what == "document type" else "", shared=what != "broken XML")
        with zipfile.ZipFile(path) as archive:
            sheet = archive.read("xl/worksheets/sheet1.xml").decode()
        if what == "broken XML":
            sheet = sheet[:-30]
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("xl/worksheets/sheet1.xml", sheet)
    with pytest.raises(InvalidInput, match=re.escape(said)):
        read(path)


def test_limits_hold(tmp_path: Path) -> None:
    path = write_sheet(tmp_path / "a.xlsx", [{"index": 1, "b": "x" * 500}])
    with pytest.raises(InvalidInput, match="record_bytes"):
        read(path, record_bytes=100)
    with pytest.raises(InvalidInput, match="columns"):
        read(path, columns=1)
    with pytest.raises(InvalidInput, match="rows"):
        read(write_sheet(tmp_path / "b.xlsx", ROWS), rows=1)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet0.xml", " " * 40_000_000)
    with pytest.raises(InvalidInput, match="expansion"):
        read(path)
    assert MOST_TEXTS < 2**28
