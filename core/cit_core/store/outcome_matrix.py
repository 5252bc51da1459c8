"""Read the outcomes of a store as one matrix, grouped in SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Select, case, func, null, select

from cit_core.outcomes import OutcomeMatrix
from cit_core.store.queries import DECIMALS, counted, read_candidates
from cit_core.store.schema import items, outcomes, sources, tasks

__all__ = ["read_completion_tokens", "read_outcome_matrix"]

CIRCLE_SOURCE = re.compile(r":circle\d+$")
"""End of the source of a circle test; see `aptitude.runner.plan`."""
FETCHED = 50_000
"""Rows that are held as Python objects at a time."""


class _Means(NamedTuple):
    """Keys of some cells, and in each the mean over sources and, where there are any, that over circle tests."""

    candidate: NDArray[np.int64]
    item: NDArray[np.int64]
    means: list[NDArray[np.float64]]


def read_outcome_matrix(connection: Connection, *, encoder: str | None = None, texts: bool = False) -> OutcomeMatrix:
    """Read every outcome that counts: items x candidates, both in the order in which they were added.

    Args:
        connection: Connection to the store.
        encoder: Only items with a vector by this encoder, with the vectors.
        texts: Only items with a known text, with the texts.
    """
    wanted = _wanted(encoder, texts)
    text = items.c.instruction if texts else null().label("text")
    vector = items.c.vector if encoder is not None else null().label("vector")
    query = select(items.c.key, items.c.id, tasks.c.id.label("task"), text, vector).join(tasks).where(*wanted)
    known, vectors = [], bytearray()
    for key, *facts, stored in _fetched(connection, query.order_by(items.c.key)):
        known.append((key, *facts))
        vectors += stored or b""  # no vector is held twice
    keys, ids, item_tasks, instructions = zip(*known, strict=True) if known else ((), (), (), ())
    zoo = read_candidates(connection)
    item_keys, candidate_keys = np.array(keys, np.int64), np.array(list(zoo), np.int64)
    circles = [row.key for row in connection.execute(select(sources)) if CIRCLE_SOURCE.search(row.id)]
    correct_IK = np.full((len(keys), len(zoo)), np.nan)
    circle_IK = np.full_like(correct_IK, np.nan) if circles else None
    for batch in _means(connection, wanted, circles):
        place = np.searchsorted(item_keys, batch.item), np.searchsorted(candidate_keys, batch.candidate)
        for matrix_IK, mean in zip((correct_IK, circle_IK), batch.means, strict=False):
            if matrix_IK is not None:
                matrix_IK[place] = np.round(mean, DECIMALS)
    return OutcomeMatrix(
        name="store",
        item_ids=ids,
        candidates=tuple(candidate.id for candidate in zoo.values()),
        correct_IK=correct_IK,
        circle_IK=circle_IK,
        tasks=item_tasks,
        instructions=instructions if texts else (),
        vectors_ID=np.frombuffer(vectors, "<f2").reshape(len(keys), -1 if vectors else 0),
    )


def read_completion_tokens(connection: Connection, matrix: OutcomeMatrix) -> NDArray[np.float64]:
    """Read the mean completion tokens of each cell of a matrix; NaN where none were counted."""
    table = outcomes.c
    row = {id_: at for at, id_ in enumerate(matrix.item_ids)}
    column = {id_: at for at, id_ in enumerate(matrix.candidates)}
    rows = {key: row[id_] for key, id_ in connection.execute(select(items.c.key, items.c.id)) if id_ in row}
    zoo = read_candidates(connection)
    columns = {key: column[one.id] for key, one in zoo.items() if one.id in column}
    tokens_IK = np.full((len(row), len(column)), np.nan)
    query = select(table.item_key, table.candidate_key, func.avg(table.completion_tokens))
    query = query.where(counted(), table.completion_tokens.is_not(None)).group_by(table.item_key, table.candidate_key)
    for item, candidate, tokens in _fetched(connection, query):
        if item in rows and candidate in columns:
            tokens_IK[rows[item], columns[candidate]] = tokens
    return tokens_IK


def _wanted(encoder: str | None, texts: bool) -> list[ColumnElement[bool]]:
    """Return conditions on items."""
    conditions = [] if encoder is None else [items.c.encoder == encoder]
    return [*conditions, items.c.instruction.is_not(None), items.c.instruction != ""] if texts else conditions


def _fetched(connection: Connection, query: Select[Any]) -> Iterator[Any]:
    return iter(connection.execution_options(yield_per=FETCHED).execute(query))


def _means(connection: Connection, wanted: list[ColumnElement[bool]], circles: list[int]) -> Iterator[_Means]:
    result = connection.execution_options(yield_per=FETCHED).execute(_grouped(wanted, circles))
    for batch in result.partitions(FETCHED):
        candidate, item, *means = zip(*batch, strict=True)
        known = [np.array(mean, np.float64) for mean in means]  # NULL becomes NaN
        yield _Means(np.array(candidate, np.int64), np.array(item, np.int64), known)


def _grouped(wanted: list[ColumnElement[bool]], circles: list[int]) -> Select[Any]:
    """Return one row for each candidate and item: an item that was answered twice counts once."""
    table = outcomes.c
    means = [func.avg(table.correct)]
    if circles:
        means.append(func.avg(case((table.source_key.in_(circles), table.correct))))
    query = select(table.candidate_key, table.item_key, *means).where(counted())
    if wanted:
        query = query.where(table.item_key.in_(select(items.c.key).where(*wanted)))
    return query.group_by(table.candidate_key, table.item_key)
