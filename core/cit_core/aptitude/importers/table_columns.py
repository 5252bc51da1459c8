"""Parquet tables by columns: many rows are checked at once, where each column is plain and nothing is odd in it.

Whatever is odd is left to the path that goes row by row: there alone are the errors spelt, so that they are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.aptitude.importers import base
from cit_core.aptitude.importers.base import BadRow, Block, ItemRow, Row
from cit_core.aptitude.importers.fields import Fields, is_missing
from cit_core.aptitude.importers.limits import MIB
from cit_core.aptitude.importers.parquet import pyarrow, rows_of
from cit_core.aptitude.importers.text_stream import undecodable
from cit_core.errors import InvalidInput
from cit_core.store.bulk_load import OutcomeColumns

__all__ = ["BATCHES", "block_of", "is_plain", "rows_in"]

BATCHES = 5
"""Batches of rows in a block: each odd block falls apart into the batches that there would be without blocks."""
IN_MEMORY = 32 * MIB
"""Unpacked bytes of the texts of a row group, and of a block's at the row group's mean."""
LONGEST_ID = 512
EXACT = 2.0**53
"""From here on, not every whole number is a float."""
CORRECT = "correct"

Convert = Callable[[str, Fields | str], Row | BadRow]
"""Turns (file and line, fields) into a row."""


class _Odd(Exception):
    """A column holds something that is not plain."""


class _Texts(NamedTuple):
    """A column of texts."""

    values: list[Any]
    """Its different values, in the order in which they come."""
    codes: NDArray[np.int64]
    """Place in `values` of every row's."""
    first: NDArray[np.int64]
    """First row of each value."""


def is_plain(path: Path, ids: Set[str], texts: Set[str], numbers: Set[str], odd: Set[str]) -> bool:
    """Return whether a file's columns have types that can be read whole, and so many rows fit in memory.

    Args:
        path: Parquet file; one that cannot be read is not plain.
        ids: Names of columns of texts or whole numbers; they and `correct` are required.
        texts: Names of columns of texts that may be absent.
        numbers: Names of columns of numbers that may be absent.
        odd: Names of columns with which a file is read row by row.
    """
    arrow, parquet = pyarrow()
    try:
        with parquet.ParquetFile(path, buffer_size=2**16, pre_buffer=False) as file:
            schema, metadata = file.schema_arrow, file.metadata
            types = dict(zip(schema.names, schema.types, strict=True))
            groups = [metadata.row_group(place) for place in range(metadata.num_row_groups)]
            complete = len(types) == len(schema.names) and ids | {CORRECT} <= types.keys()
            if odd & types.keys() or not (
                complete and 0 < metadata.num_rows == sum(group.num_rows for group in groups)
            ):
                return False
            known = [(name, type_) for name, type_ in types.items() if name in ids | texts | numbers | {CORRECT}]
            return _fits(groups, ids | texts) and all(
                _is_plain_type(arrow, type_, id_=name in ids, text=name in texts, required=name == CORRECT)
                for name, type_ in known
            )
    except (arrow.ArrowException, OSError, OverflowError, UnicodeError):
        return False


def block_of(batch: Any, path: Path, before: int, source: str, when: datetime, convert: Convert) -> Block | None:
    """Return a record batch as a block; None if something in it is odd.

    Args:
        batch: Record batch of a file that is plain.
        path: The file.
        before: Number of rows before the batch.
        source: Source of the outcomes.
        when: Time of the import.
        convert: Turns a row's fields into a row.
    """
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    try:
        candidates, items = _ids(columns["model"]), _ids(columns["item_id"])
        pairs = items.codes * len(candidates.values) + candidates.codes
        if len(np.unique(pairs)) < len(pairs):
            return None
        outcomes = OutcomeColumns(
            candidates.values,
            candidates.codes,
            items.values,
            items.codes,
            source,
            when,
            _correct(columns[CORRECT]),
            {name: _measured(columns.get(name), whole=whole) for name, whole in MEASURED.items()},
        )
        about = _about(items, columns, path, before)
    except (_Odd, UnicodeError):
        return None
    return Block(about, outcomes, partial(rows_in, batch, path, before, convert))


MEASURED: Mapping[str, bool] = {
    "cost_usd": False,
    "latency_s": False,
    "prompt_tokens": True,
    "completion_tokens": True,
}
"""Column to whether it holds whole numbers."""


def rows_in(batch: Any, path: Path, before: int, convert: Convert) -> Iterator[Row | BadRow]:
    """Yield the rows of a record batch; see `block_of`.

    Raises:
        InvalidInput: If a text is not UTF-8.
    """
    number = before
    try:
        for number, fields in enumerate(rows_of(batch), start=before + 1):
            yield convert(f"{path}:{number}", fields)
    except UnicodeError as error:
        raise InvalidInput(f"{path} cannot be read after line {number}: {error}") from error


def _fits(groups: Sequence[Any], texts: Set[str]) -> bool:
    for group in groups:
        chunks = map(group.column, range(group.num_columns))
        size = sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema in texts)
        if size > IN_MEMORY or size * BATCHES * base.BATCH > IN_MEMORY * max(1, group.num_rows):
            return False
    return True


def _is_plain_type(arrow: Any, type_: Any, *, id_: bool, text: bool, required: bool) -> bool:
    types = arrow.types
    if id_ or text:
        value = type_.value_type if types.is_dictionary(type_) else type_
        either = types.is_integer if id_ else types.is_null
        return bool(types.is_string(value) or types.is_large_string(value) or either(type_))
    either = types.is_boolean if required else types.is_null
    return bool(types.is_integer(type_) or types.is_float32(type_) or types.is_float64(type_) or either(type_))


def _texts(column: Any) -> _Texts:
    arrow, _ = pyarrow()
    coded = column if arrow.types.is_dictionary(column.type) else column.dictionary_encode()
    codes = coded.indices.cast(arrow.int64()).fill_null(-1).to_numpy()
    used, first, places = np.unique(codes, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    wanted = arrow.array(used[order], mask=used[order] < 0)
    return _Texts(coded.dictionary.take(wanted).to_pylist(), rank[places.reshape(-1)], first[order])


def _ids(column: Any) -> _Texts:
    found = _texts(column)
    values = [value if isinstance(value, str) else str(value) for value in found.values if not is_missing(value)]
    if len(set(values)) < len(found.values) or any(map(_is_no_name, values)):
        raise _Odd
    return found._replace(values=values)


def _is_no_name(value: str) -> bool:
    return len(value) > LONGEST_ID or value != value.strip() or _is_odd(value)


def _is_odd(value: str) -> bool:
    return "\0" in value or bool(undecodable(value))


def _about(items: _Texts, columns: Mapping[str, Any], path: Path, before: int) -> list[ItemRow]:
    """Return what is said about each item, which must be the same in all its rows."""
    said = [_said(columns.get(name), items) for name in ("task", "instruction")]
    if any(task is not None and _is_no_name(task) for task in said[0]):
        raise _Odd
    if sum(map(len, filter(None, said[1]))) > base.BATCH_CHARACTERS:
        raise _Odd
    places = [f"{path}:{before + place + 1}" for place in items.first.tolist()]
    return [ItemRow(*facts) for facts in zip(places, items.values, *said, strict=True)]


def _said(column: Any | None, items: _Texts) -> list[str | None]:
    if column is None or column.null_count == len(column):
        return [None] * len(items.values)
    found = _texts(column)
    if (found.codes != found.codes[items.first][items.codes]).any():
        raise _Odd
    values = [None if is_missing(value) else value for value in found.values]
    if any(value is not None and _is_odd(value) for value in values):
        raise _Odd
    return [values[code] for code in found.codes[items.first].tolist()]


def _correct(column: Any) -> NDArray[np.float64]:
    if column.null_count:
        raise _Odd
    values: NDArray[np.float64] = column.to_numpy(zero_copy_only=False).astype(np.float64)
    if not ((values >= 0.0) & (values <= 1.0)).all():
        raise _Odd
    return values


def _measured(column: Any | None, *, whole: bool) -> Sequence[float | None] | None:
    """Return the numbers of a column, None where one is absent; None for all of them."""
    if column is None or column.null_count == len(column):
        return None
    absent = column.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)
    values = column.fill_null(0).to_numpy(zero_copy_only=False)
    values = np.where(absent, 0, values) if absent.any() else values
    kept = values.astype(np.float64)
    if not (np.isfinite(kept) & (kept >= 0.0)).all() or (whole and not ((kept < EXACT) & (kept % 1 == 0)).all()):
        raise _Odd
    numbers: list[float | None] = (values.astype(np.int64) if whole else kept).tolist()
    return [None if lacks else value for lacks, value in zip(absent.tolist(), numbers, strict=True)]
