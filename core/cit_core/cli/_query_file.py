"""Queries as JSON lines, `{"id": ..., "instruction": ...}`, read and checked one by one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cit_core.errors import InvalidInput

__all__ = ["Query", "in_chunks", "parse_object", "read_queries", "require_text"]


@dataclass(frozen=True)
class Query:
    """A line of the input. The id, a text or a whole number, is repeated in the decision."""

    id: str | int
    instruction: str
    correct: Mapping[str, float] = field(default_factory=dict)
    """Labels: how well a candidate answers it, 0 to 1, by its id."""


def read_queries(lines: Iterable[bytes], name: str) -> Iterator[Query]:
    """Read and check queries line by line; blank lines and other fields are ignored.

    Only the ids are kept in memory: each must be unique.

    Args:
        lines: Lines of a file in binary mode.
        name: Name of the file, for messages.

    Raises:
        InvalidInput: At the first line that is not a query; names the file and the line.
    """
    seen: dict[str | int, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{name} line {number}"
        query = _query(parse_object(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line, where), where)
        if query.id in seen:
            raise InvalidInput(f"{where}: id {query.id!r} is on line {seen[query.id]} already; each id must be unique")
        seen[query.id] = number
        yield query


def parse_object(line: bytes, where: str) -> dict[str, Any]:
    """Parse a line as a JSON object in UTF-8.

    Raises:
        InvalidInput: If it is anything else.
    """
    try:
        record = json.loads(line.decode())
    except (ValueError, RecursionError) as error:  # ValueError: not UTF-8, or not JSON
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidInput(f"{where}: not JSON ({reason}); each line must be a JSON object in UTF-8") from None
    if not isinstance(record, dict):
        raise InvalidInput(f"{where}: got {type(record).__name__}; each line must be a JSON object")
    return record


def _query(record: dict[str, Any], where: str) -> Query:
    need = 'each line must be {"id": ..., "instruction": "..."}'
    for name, kinds in (("id", (str, int)), ("instruction", (str,))):
        if name not in record:
            raise InvalidInput(f"{where}: no {name}; {need}")
        if not isinstance(record[name], kinds) or isinstance(record[name], bool):
            wanted = " or ".join("a text" if kind is str else "a whole number" for kind in kinds)
            raise InvalidInput(f"{where}: {name} is {type(record[name]).__name__}, it must be {wanted}; {need}")
    require_text(record["instruction"], f"{where}: the instruction")
    return Query(record["id"], record["instruction"], _labels(record.get("correct"), where))


def _labels(given: object, where: str) -> dict[str, float]:
    if given is None or isinstance(given, bool | int | float | str):  # a field of somebody else's
        return {}
    if isinstance(given, dict) and all(isinstance(one, int | float) and 0 <= one <= 1 for one in given.values()):
        return {id_: float(one) for id_, one in given.items()}
    raise InvalidInput(f'{where}: correct must be labels by model: {{"gpt-5-mini": 1}}, each a number from 0 to 1')


def require_text(text: str, what: str) -> None:
    """Refuse a text that no tokenizer can read.

    Raises:
        InvalidInput: If it is empty or contains a lone surrogate.
    """
    if not text.strip():
        raise InvalidInput(f"{what} is empty; give the text that the LLM will be asked")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        broken = text[error.start]
        raise InvalidInput(f"{what} is not valid Unicode: {broken!r} at character {error.start}") from None


def in_chunks(queries: Iterator[Query], size: int) -> Iterator[list[Query]]:
    """Group queries by `size`; the last group may be shorter. Queries before a bad line come before its error."""
    chunk: list[Query] = []
    try:
        for query in queries:
            chunk.append(query)
            if len(chunk) == size:
                yield chunk
                chunk = []
    except InvalidInput:
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk
