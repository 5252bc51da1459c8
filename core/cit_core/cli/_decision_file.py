"""Deciding a file of queries: bounded memory, and a run that was killed goes on where it stopped.

The output file is the only record of progress: its lines are compared with the input, the rest is appended.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from cit_core.cli._output import decision_record
from cit_core.cli._query_file import Query, in_chunks, parse_object
from cit_core.errors import InvalidInput
from cit_core.router import Router

__all__ = ["CHUNK", "DecisionFile", "Tally", "decide"]

CHUNK = 64
"""Queries a scorer call."""
TOLERANCE = 0.01
"""How far a probability may be from what an earlier run wrote: the last digits depend on the machine."""

Record = dict[str, Any]
"""A line of the output."""


@dataclass(frozen=True)
class Tally:
    """What a run did: queries decided now, and decided before by a run that stopped."""

    decided: int = 0
    resumed: int = 0


class DecisionFile:
    """Decisions as JSON lines, perhaps those of an earlier run at the beginning. Nothing is written until `append`.

    Args:
        stream: Where they go. For a run that resumes: open for reading and writing, at its beginning.
        name: Of the file, for messages.
        candidates: Who the decisions are made among.
        resumes: Whether there may be decisions in it; no for a pipe.
    """

    def __init__(self, stream: BinaryIO, name: str, candidates: Sequence[str], *, resumes: bool = True) -> None:
        self._stream = stream
        self._name = name
        self._candidates = set(candidates)
        self._resumes = resumes
        self._number = 0
        self._end = 0

    def decisions(self, queries: Sequence[Query]) -> list[Record]:
        """The decisions that are there of these queries, up to the first that is not; to be asked in order.

        Raises:
            InvalidInput: If the next line is something else.
        """
        there: list[Record] = []
        for query in queries:
            line = self._stream.readline() if self._resumes else b""
            if not line.endswith(b"\n"):
                self._require_half_written(line, query)
                break
            self._number += 1
            there.append(self._decision(line, query))
            self._end += len(line)
        return there

    def require_same(self, there: Sequence[Record], now: Sequence[Record]) -> None:
        """Refuse a file whose decisions are not what the router would decide.

        Args:
            there: As they stand in the file.
            now: Of the same queries, and perhaps of more.

        Raises:
            InvalidInput: If another model was chosen, or a probability is not what it was.
        """
        for before, after in zip(there, now, strict=False):
            if difference := _difference(before, after):
                raise self._foreign(
                    f"was made with another policy, checkpoint, store or other texts ({after['id']!r} {difference})"
                )

    def append(self, records: Sequence[Record]) -> None:
        """Write decisions, in place of a half-written line if there is one."""
        if self._resumes:
            self._stream.seek(self._end)
            self._stream.truncate()
        data = "".join(f"{json.dumps(record, allow_nan=False)}\n" for record in records).encode()
        self._stream.write(data)
        self._stream.flush()
        self._end += len(data)

    def require_end(self) -> None:
        """Refuse a file with more decisions than there were queries.

        Raises:
            InvalidInput: If anything is left in it.
        """
        if self._resumes and self._stream.readline():
            raise self._foreign(f"goes on after line {self._number}, where the input ends")

    def _decision(self, line: bytes, query: Query) -> Record:
        where = f"{self._name} line {self._number}"
        record = parse_object(line, where)
        if record.get("id") != query.id:
            raise self._foreign(f"line {self._number} has id {record.get('id')!r} where the input has {query.id!r}")
        candidates = {
            id_ for part in ("scores", "excluded") if isinstance(record.get(part), dict) for id_ in record[part]
        }
        if candidates != self._candidates:
            different = ", ".join(map(repr, sorted(candidates ^ self._candidates)[:3]))
            raise self._foreign(f"line {self._number} was decided among other candidates (different: {different})")
        return record

    def _require_half_written(self, line: bytes, query: Query) -> None:
        """A run that was killed leaves the beginning of a line that it would have written; other text is somebody's."""
        begins = json.dumps({"id": query.id})[:-1].encode()
        if line[: len(begins)] != begins[: len(line)]:
            raise self._foreign(f"ends with a line that is not the decision of {query.id!r}")

    def _foreign(self, what: str) -> InvalidInput:
        return InvalidInput(
            f"{self._name} {what}: it belongs to another run and was left as it is; "
            "give another --output, or remove the file to start again"
        )


def decide(router: Router, queries: Iterator[Query], output: DecisionFile) -> Tally:
    """Route what is not decided yet, if the router agrees with what is.

    Chunks begin at the same queries in every run and are scored whole: a scorer may let the queries of a call change
    each other's last digits, and a resumed run must get the same numbers as an uninterrupted one.

    Of the decisions that are there the last ones are made again, at least `CHUNK` where there are so many: the file
    does not say which policy, checkpoint, store and texts it was made with.

    Raises:
        InvalidInput: At a line that is not a query, after everything before it was decided; or if the output belongs to
            other queries or was made by another router, before anything was written.
        NoCandidate: If every candidate is excluded.
    """
    decided = resumed = 0
    last: deque[tuple[list[Query], list[Record]]] = deque(maxlen=2)  # two, since the one at the end may be short

    def require_same() -> None:
        while last:
            chunk, there = last.popleft()
            output.require_same(there, _decide(router, chunk))

    for chunk in in_chunks(queries, CHUNK):
        there = output.decisions(chunk)
        resumed += len(there)
        if len(there) == len(chunk):
            last.append((chunk, there))
            continue
        require_same()
        records = _decide(router, chunk)
        output.require_same(there, records)
        output.append(records[len(there) :])
        decided += len(chunk) - len(there)
    output.require_end()
    require_same()
    return Tally(decided, resumed)


def _decide(router: Router, chunk: Sequence[Query]) -> list[Record]:
    decisions = router.route_many([query.instruction for query in chunk])
    return [decision_record(decision, query.id) for decision, query in zip(decisions, chunk, strict=True)]


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What became of a decision; empty if it is the same."""
    if before.get("model") != now["model"]:
        return f"went to {before.get('model')!r} and would go to {now['model']!r}"
    stood = before["scores"] if isinstance(before.get("scores"), dict) else {}
    for id_ in {**now["scores"], **stood}:
        was, would_be = stood.get(id_), now["scores"].get(id_)
        if not _near(was, would_be):
            return f"had probability {was!r:.30} with {id_!r} and would have {would_be!r}"
    return ""


def _near(was: object, would_be: float | None) -> bool:
    if would_be is None or not isinstance(was, (int, float)):
        return False
    return would_be - TOLERANCE <= was <= would_be + TOLERANCE  # not their difference: a file may hold any number
