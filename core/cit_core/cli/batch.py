"""Deciding a file of queries: bounded memory, and a run that was killed goes on where it stopped.

The output file is the only record of progress: its lines are compared with the input, the rest is appended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import BinaryIO

from cit_core.cli.output import decision_record
from cit_core.cli.queries import Query, in_chunks, parse_object
from cit_core.errors import InvalidInput
from cit_core.router import Router

__all__ = ["CHUNK", "DecisionFile", "Tally", "decide"]

CHUNK = 64
"""Queries a scorer call."""


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

    def holds(self, query: Query) -> bool:
        """Whether the next line is this query's decision; to be asked in order, until the first that is not there.

        Raises:
            InvalidInput: If the next line is something else.
        """
        line = self._stream.readline() if self._resumes else b""
        if not line.endswith(b"\n"):
            self._require_half_written(line, query)
            return False
        self._number += 1
        self._require_decision(line, query)
        self._end += len(line)
        return True

    def append(self, lines: Sequence[str]) -> None:
        """Write lines, in place of a half-written one if there is one."""
        if self._resumes:
            self._stream.seek(self._end)
            self._stream.truncate()
        data = "".join(f"{line}\n" for line in lines).encode()
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

    def _require_decision(self, line: bytes, query: Query) -> None:
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
    """Route what is not decided yet.

    Chunks begin at the same queries in every run and are scored whole: a scorer may let the queries of a call change
    each other's last digits, and a resumed run must get the same numbers as an uninterrupted one.

    Raises:
        InvalidInput: At a line that is not a query, after everything before it was decided; or if the output belongs to
            other queries, before anything was written.
        NoCandidate: If every candidate is excluded.
    """
    decided = resumed = 0
    for chunk in in_chunks(queries, CHUNK):
        there = sum(1 for _ in takewhile(output.holds, chunk))
        resumed += there
        if there < len(chunk):
            decisions = router.route_many([query.instruction for query in chunk])
            records = [decision_record(decision, query.id) for decision, query in zip(decisions, chunk, strict=True)]
            output.append([json.dumps(record, allow_nan=False) for record in records[there:]])
            decided += len(chunk) - there
    output.require_end()
    return Tally(decided, resumed)
