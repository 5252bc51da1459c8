"""`--keywords FILE`: the words by which the network knows a task."""

from __future__ import annotations

from pathlib import Path

from cit_core.errors import InvalidInput

__all__ = ["read_keywords"]


def read_keywords(path: Path | None) -> dict[str, list[str]]:
    """Read a JSON object of tasks, each with a list of words; nothing for no file.

    Raises:
        InvalidInput: If the file holds anything else.
    """
    from cit_core.aptitude.importers.files import read_json

    given = {} if path is None else read_json(path)
    lists = given.values() if isinstance(given, dict) else [None]
    if not all(isinstance(words, list) and words and all(isinstance(word, str) for word in words) for words in lists):
        raise InvalidInput(f'{path} must hold a JSON object of tasks, each with a list of words: {{"task": ["word"]}}')
    return given
