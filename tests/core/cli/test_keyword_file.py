"""`--keywords FILE`."""

from __future__ import annotations

from pathlib import Path

import pytest

from cit_core.cli._keyword_file import read_keywords
from cit_core.errors import InvalidInput


def test_tasks_and_their_words(tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    path.write_text('{"contracts": ["Lease", "Breach"]}')
    assert read_keywords(path) == {"contracts": ["Lease", "Breach"]}
    assert read_keywords(None) == {}


@pytest.mark.parametrize("text", ["[]", "1", '{"a": "b"}', '{"a": []}', '{"a": [1]}', '{"a": null}', "not json"])
def test_anything_else_is_refused_with_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "words.json"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=r"words\.json"):
        read_keywords(path)
