"""Route a file of queries in bounded memory, and resume a run that was killed.

The output file is the only record of progress: its lines are compared with the input, the rest is appended.
"""

from __future__ import annotations

import json
import os
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
"""Queries per scorer call."""
TOLERANCE = 0.01
"""Largest difference to a probability that an earlier run wrote: the last digits depend on the machine."""

Record = dict[str, Any]
"""A line of the output."""


@dataclass(frozen=True)
class Tally:
    """Counts of a run: queries decided now, and decided before by an interrupted run."""

    decided: int = 0
    resumed: int = 0


class DecisionFile:
    """Decisions as JSON lines, possibly begun by an earlier run. Nothing is written until `append`.

    Args:
        stream: The file. For a run that resumes: open for reading and writing, at its beginning.
        name: Name of the file, for messages.
        candidates: Ids of the candidates of every decision.
        resumes: True if the file may hold decisions; False for a pipe.
    """

    def __init__(self, stream: BinaryIO, name: str, candidates: Sequence[str], *, resumes: bool = True) -> None:
        self._stream = stream
        self._name = name
        self._candidates = set(candidates)
        self._resumes = resumes
        self._number = 0
        self._end = 0

    def decisions(self, queries: Sequence[Query]) -> list[Record]:
        """Return the decisions in the file on these queries, up to the first that is missing; call it in order.

        Raises:
            InvalidInput: If the next line is anything else.
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
        """Refuse a file with decisions that differ from those of the router.

        Args:
            there: Decisions in the file.
            now: Decisions of the router on the same queries, and possibly on more.

        Raises:
            InvalidInput: If another model was chosen or a probability differs.
        """
        for before, after in zip(there, now, strict=False):
            if difference := _difference(before, after):
                raise self._foreign(
                    f"was made with another policy, checkpoint, store or other texts ({after['id']!r} {difference})"
                )

    def append(self, records: Sequence[Record]) -> None:
        """Write decisions, in place of a half-written line if there is one.

        A write that fails, as on a full disk, is undone as far as the disk allows.
        """
        if self._resumes:
            self._stream.seek(self._end)
            self._stream.truncate()
        data = "".join(f"{json.dumps(record, allow_nan=False)}\n" for record in records).encode()
        try:
            self._stream.write(data)
            self._stream.flush()
        except OSError:
            if self._resumes:
                self._undo()
            raise
        self._end += len(data)

    def _undo(self) -> None:
        """Cut the file back to its last whole decision; what is still buffered goes nowhere when it is closed."""
        descriptor = self._stream.fileno()
        os.ftruncate(descriptor, self._end)
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)

    def require_end(self) -> None:
        """Refuse a file with more decisions than there were queries.

        Raises:
            InvalidInput: If lines are left.
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
        """Refuse a last line that is not the beginning of the decision that a killed run would have written."""
        begins = json.dumps({"id": query.id})[:-1].encode()
        if line[: len(begins)] != begins[: len(line)]:
            raise self._foreign(f"ends with a line that is not the decision of {query.id!r}")

    def _foreign(self, what: str) -> InvalidInput:
        return InvalidInput(
            f"{self._name} {what}: it belongs to another run and was left as it is; "
            "give another --output, or remove the file to start again"
        )


def decide(router: Router, queries: Iterator[Query], output: DecisionFile) -> Tally:
    """Route the queries without a decision, if the router agrees with the decisions that exist.

    Chunks begin at the same queries in every run and are scored whole: the queries of one scorer call may change each
    other's last digits, and a resumed run must get the same numbers as an uninterrupted one.

    The last existing decisions, at least `CHUNK` if there are so many, are made again: the file does not say which
    policy, checkpoint, store and texts it was made with.

    Raises:
        InvalidInput: If a line is not a query, after everything before it was decided; or if the output belongs to
            other queries or another router, before anything was written.
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
    """Describe how a decision differs; empty if it is the same."""
    if before.get("model") != now["model"]:
        return f"went to {before.get('model')!r} and would go to {now['model']!r}"
    scores = before["scores"] if isinstance(before.get("scores"), dict) else {}
    for id_ in {**now["scores"], **scores}:
        was, would_be = scores.get(id_), now["scores"].get(id_)
        if not _near(was, would_be):
            return f"had probability {was!r:.30} with {id_!r} and would have {would_be!r}"
    return ""


def _near(was: object, would_be: float | None) -> bool:
    if would_be is None or not isinstance(was, (int, float)):
        return False
    return would_be - TOLERANCE <= was <= would_be + TOLERANCE  # not their difference: a file may hold any number
