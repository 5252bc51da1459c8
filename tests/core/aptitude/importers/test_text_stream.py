"""Text of any encoding, packed or not, up to a limit."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from cit_core.aptitude.importers.limits import Limits
from cit_core.aptitude.importers.text_stream import BoundedBytes, decoded, kind_of, open_text, undecodable
from cit_core.errors import InvalidInput

TEXT = "item_id,model\r\n1,Café 日本\n"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.csv", ".csv"), ("a.CSV.GZ", ".csv"), ("a.b.jsonl", ".jsonl"), ("a", ""), ("a.gz", ""), (".csv", "")],
)
def test_kinds(name: str, kind: str) -> None:
    assert kind_of(Path(name)) == kind


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_encodings_and_packing_are_found_out_whatever_the_name_says(
    tmp_path: Path, encoding: str, packed: bool, name: str
) -> None:
    content = TEXT.encode(encoding)
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if packed else content)
    with open_text(path, Limits()) as stream:
        assert stream.read() == TEXT


def test_others_are_named(tmp_path: Path) -> None:
    (path := tmp_path / "t.csv").write_bytes("Café".encode("latin-1"))
    with open_text(path, Limits(), "latin-1") as stream:
        assert stream.read() == "Café"
    with open_text(path, Limits()) as stream:
        text = stream.read()
    assert undecodable(text).startswith("holds the byte 0xe9, which is not valid UTF-8; save the file as UTF-8")
    assert undecodable("Café 日本") == ""
    with pytest.raises(InvalidInput, match="no encoding 'klingon'"), open_text(path, Limits(), "klingon"):
        pass


def test_no_more_than_the_limit_comes() -> None:
    limited = BoundedBytes(io.BytesIO(b"x" * 100), 50, "t.csv", "raise it")
    with pytest.raises(InvalidInput, match=r"t\.csv unpacks to more than 50 bytes; raise it"):
        decoded(limited).read()
    assert decoded(BoundedBytes(io.BytesIO(b"x" * 50), 50, "t.csv", "raise it")).read() == "x" * 50
