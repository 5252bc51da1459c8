"""Zip archives: members are streamed, and what is damaged or packed otherwise is said."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from cit_core.aptitude.importers.archive import open_archive
from cit_core.aptitude.importers.limits import Limits
from cit_core.errors import InvalidInput


def zipped(path: Path, members: dict[str, str], how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read_as_text(tmp_path: Path, how: int) -> None:
    path = zipped(tmp_path / "a.zip", {"a/b.json": "é", "folder/": "", "c.json": "[]"}, how)
    with open_archive(path, Limits()) as archive:
        assert archive.names() == ["a/b.json", "c.json"]
        with archive.text("a/b.json") as first, archive.text("c.json") as second:
            assert (first.read(), second.read()) == ("é", "[]")


def test_all_members_together_are_limited(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a": "x" * 600, "b": "x" * 600})
    with open_archive(path, Limits(unpacked_bytes=1000)) as archive:
        with archive.text("a") as text:
            text.read()
        with pytest.raises(InvalidInput, match=r"a\.zip/b unpacks to 600 bytes"), archive.text("b"):
            pass
    with (
        pytest.raises(InvalidInput, match=r"holds 2 files; the limit members is 1"),
        open_archive(path, Limits(members=1)),
    ):
        pass


@pytest.mark.parametrize("cut", [0, 1, 20, 60, 100, -30, -10, -1])
def test_an_archive_that_is_cut_is_refused(tmp_path: Path, cut: int) -> None:
    path = zipped(tmp_path / "a.zip", {"a": "some text", "b": "more"})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InvalidInput, match=r"a\.zip is not a readable zip"), open_archive(path, Limits()):
        pass


def test_any_byte_may_be_wrong(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a": "some text", "b": "more"})
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            with open_archive(path, Limits()) as archive:
                for name in archive.names():
                    with archive.text(name) as text:
                        text.read()
        except InvalidInput:
            continue
