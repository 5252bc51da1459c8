"""Tables of every kind, encoding and delimiter give the same rows; a wrong line is named, and the others are read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from cit_core.aptitude.importers.files import check_files, json_records, read_json, read_rows
from cit_core.aptitude.importers.limits import Limits
from cit_core.aptitude.importers.table import import_table
from cit_core.errors import InvalidInput
from cit_core.store import CapabilityStore

REQUIRED = ("item_id", "model", "correct")
ROWS = [{"item_id": "1", "model": "Café", "correct": "1"}, {"item_id": "2", "model": "日本", "correct": "0"}]


def table(sign: str = ",", end: str = "\n") -> str:
    return end.join([sign.join(REQUIRED), *(sign.join(row.values()) for row in ROWS)]) + end


def read(path: Path, **options: Any) -> list[Any]:
    return [fields for _, fields in read_rows(path, required=REQUIRED, **options)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("packed", [False, True])
def test_csv(tmp_path: Path, encoding: str, sign: str, end: str, packed: bool) -> None:
    content = table(sign, end).encode(encoding)
    path = tmp_path / ("t.csv.gz" if packed else "t.csv")
    path.write_bytes(gzip.compress(content) if packed else content)
    assert read(path) == ROWS


def test_tsv_keeps_commas(tmp_path: Path) -> None:
    (path := tmp_path / "t.tsv").write_text("item_id\tmodel\tcorrect\n1,2;3\tm\t1\n")
    assert read(path) == [{"item_id": "1,2;3", "model": "m", "correct": "1"}]


@pytest.mark.parametrize(
    "content",
    [
        "sep=;\n" + table(";"),
        "item_id, model, correct\n1, Café, 1\n2, 日本, 0\n",
        'item_id, model, correct\n1, "Café", 1\n2, 日本, 0\n',
        "item_id,model,correct,,\n1,Café,1,,\n2,日本,0,,\n",
        "item_id;model;correct\n1;Café;1\n;;\n2;日本;0\n;;\n  ;;\n",
    ],
)
def test_tables_of_spreadsheets(tmp_path: Path, content: str) -> None:
    (path := tmp_path / "t.csv").write_text(content, encoding="utf-8")
    assert read(path) == ROWS


def test_lines_are_counted_from_the_first_of_the_file(tmp_path: Path) -> None:
    (path := tmp_path / "t.csv").write_text("sep=;\nitem_id;model;correct\n1;m;1\n2;m\n")
    assert [where.rpartition(":")[2] for where, _ in read_rows(path, required=REQUIRED)] == ["3", "4"]


@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.jsonl.gz", "list.jsonl", "lines.json"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json(tmp_path: Path, name: str, encoding: str) -> None:
    """Early releases of lm-evaluation-harness wrote a list under the name of JSON lines."""
    as_list = name in ("t.json", "list.jsonl")
    text = json.dumps(ROWS, indent=2) if as_list else "".join(json.dumps(row) + "\n" for row in ROWS)
    content = text.encode(encoding)
    (path := tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert read(path) == ROWS


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_a_byte_that_is_no_text_is_named_with_its_line_and_left_out(sqlite_url: str, tmp_path: Path, name: str) -> None:
    rows = [("q1", "m"), ("q2", "Café"), ("q3", "m")]
    if name == "t.csv":
        lines = ["item_id,model,correct", *(f"{item},{model},1" for item, model in rows)]
    else:
        objects = [{"item_id": item, "model": model, "correct": 1} for item, model in rows]
        lines = [json.dumps(one, ensure_ascii=False) for one in objects]
    (path := tmp_path / name).write_bytes("\n".join(lines).encode("latin-1"))
    line = lines.index(next(text for text in lines if "Café" in text)) + 1
    with CapabilityStore(sqlite_url) as store:
        with pytest.raises(InvalidInput, match=rf"{name}:{line}: .*holds the byte 0xe9, which is not valid UTF-8"):
            import_table([path], store)
        report = import_table([path], store, skip_bad=True)
        assert (report.new, report.refused_count, report.refused[0][0]) == (2, 1, f"{path}:{line}")
        assert import_table([path], store, encoding="latin-1").new == 1
        assert "Café" in {candidate.id for candidate in store.candidates()}


def test_a_long_field_is_read_and_a_longer_row_is_left_out(tmp_path: Path) -> None:
    (path := tmp_path / "t.csv").write_text(f"item_id,model,correct\n1,{'x' * 200_000},1\n2,{'x' * 300_000},1\n3,m,1\n")
    first, second, third = read(path, limits=Limits(record_bytes=250_000))
    assert len(first["model"]) == 200_000
    assert "is a row of more than 250,000 bytes; the limit record_bytes" in second
    assert third["item_id"] == "3"


def test_a_quotation_mark_that_is_wrong_costs_its_row(tmp_path: Path) -> None:
    (path := tmp_path / "t.csv").write_text('item_id,model,correct\n"1"x,m,1\n2,m,1\n"3,m,1\n4,m,1\n')
    numbered = list(read_rows(path, required=REQUIRED))
    assert [where.rpartition(":")[2] for where, _ in numbered] == ["2", "3", "4"]
    assert [isinstance(fields, str) for _, fields in numbered] == [True, False, True]
    assert "a quotation mark that opens here is not closed" in numbered[2][1]


def test_a_header_of_any_length_is_told_in_a_few_words(tmp_path: Path) -> None:
    (path := tmp_path / "t.csv").write_text(",".join(f"column{n}" for n in range(4_000)) + "\n1\n")
    with pytest.raises(InvalidInput, match=r"no column item_id, model, correct among .*and 3,980 more") as caught:
        read(path)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("before", ["", "\n", " \r\n\n"])
def test_lines_under_the_name_json(tmp_path: Path, before: str) -> None:
    (path := tmp_path / "t.json").write_text(f'{before}{{"item_id": "1", "model": "m", "correct": 1}}\n' * 2)
    assert [fields["item_id"] for _, fields in read_rows(path, required=REQUIRED)] == ["1", "1"]


def test_lists_and_whole_files(tmp_path: Path) -> None:
    (path := tmp_path / "t.json").write_text('[1, {"a": [2]}, "x"]')
    assert list(json_records(path, Limits())) == [(1, 1), (2, {"a": [2]}), (3, "x")]
    assert read_json(path) == [1, {"a": [2]}, "x"]
    for content, says in (
        ('{"a": 1}', "holds an object in JSON"),
        ("[1, 2", "is not JSON"),
        ("[1] 2", "follows after"),
    ):
        path.write_text(content)
        with pytest.raises(InvalidInput, match=says):
            list(json_records(path, Limits()))
    path.write_bytes(b'"\xff"')
    with pytest.raises(InvalidInput, match="holds the byte 0xff"):
        read_json(path)


@pytest.mark.parametrize("name", ["t.gz", "t.xlsx", "t.parquet.gz", "t"])
def test_names_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    (path := tmp_path / name).write_bytes(b"x")
    with pytest.raises(InvalidInput, match="cannot be imported by its name"):
        check_files([path], (".csv", ".parquet"))
