"""Read Parquet files as rows, a few at a time; the unpacked size is checked first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from cit_core.aptitude.importers.fields import Fields
from cit_core.aptitude.importers.limits import MIB, Limits
from cit_core.errors import InvalidInput, MissingExtra

__all__ = ["pyarrow", "read_batches", "read_parquet", "rows_of"]

BATCH = 1_000
"""Rows in memory at a time."""
LARGEST_CHUNK = 128 * MIB
"""Unpacked bytes of one column in one row group."""
IN_MEMORY = 32 * MIB
"""Bytes that a batch of nested columns may take, if each of its values is as large as all of them together."""
CELL = 8
"""Bytes that a value takes at least, once it is unpacked."""


def read_parquet(
    path: Path, wanted: Collection[str] | None, limits: Limits, check: Callable[[Sequence[str]], None]
) -> Iterator[tuple[int, Fields]]:
    """Yield every row of a Parquet file with its number from 1.

    Args:
        path: File.
        wanted: Columns to read; all if not given.
        limits: Limits on its size.
        check: Called with the names of the columns; raises if they will not do.

    Raises:
        InvalidInput: If it cannot be read, or is larger than the limits.
        MissingExtra: If pyarrow is not installed.
    """
    number = 0
    for batch in read_batches(path, wanted, limits, check):
        for row in rows_of(batch):
            number += 1
            yield number, row


def read_batches(
    path: Path,
    wanted: Collection[str] | None,
    limits: Limits,
    check: Callable[[Sequence[str]], None],
    *,
    rows: int | None = None,
) -> Iterator[Any]:
    """Yield a Parquet file as record batches of pyarrow; texts are in dictionaries.

    Args:
        path: See `read_parquet`.
        wanted: See `read_parquet`.
        limits: See `read_parquet`.
        check: See `read_parquet`.
        rows: Rows of each batch but the last; by default as many as fit in memory when they are spelt out.

    Raises:
        InvalidInput: If it cannot be read, or is larger than the limits.
        MissingExtra: If pyarrow is not installed.
    """
    arrow, parquet = pyarrow()
    try:
        with parquet.ParquetFile(path, buffer_size=2**16, pre_buffer=False) as plain:
            _check_size(path, plain.metadata, wanted, limits)
            names = plain.schema_arrow.names
            if plain.metadata.num_rows:
                check(names)
            kept = [name for name in names if wanted is None or name in wanted]
            texts = [name for name in kept if _is_text(arrow, plain.schema_arrow.field(name).type)]
            rows_at_once = rows or _rows_at_once(plain.metadata, set(kept) - set(texts))
        with parquet.ParquetFile(path, buffer_size=2**16, pre_buffer=False, read_dictionary=texts) as file:
            batches = file.iter_batches(batch_size=rows_at_once, columns=kept, use_threads=False)
            yield from batches if rows is None else _of_size(arrow, batches, rows)
    except (arrow.ArrowException, OSError, OverflowError) as error:
        raise InvalidInput(f"{path} is not a Parquet file that can be read: {error!s:.300}") from error


def pyarrow() -> tuple[Any, Any]:
    """Import pyarrow and its Parquet reader.

    Raises:
        MissingExtra: If it is not installed.
    """
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingExtra("pyarrow, which reads Parquet files,", "data") from error
    return arrow, parquet


def _of_size(arrow: Any, batches: Iterator[Any], rows: int) -> Iterator[Any]:
    """Put batches together, which end where a row group does, or divide them."""
    waiting: list[Any] = []
    missing = rows
    for batch in batches:
        rest = batch
        while rest.num_rows >= missing:
            yield _joined(arrow, [*waiting, rest.slice(0, missing)])
            rest, waiting, missing = rest.slice(missing), [], rows
        if rest.num_rows:
            waiting.append(rest)
            missing -= rest.num_rows
    if waiting:
        yield _joined(arrow, waiting)


def _joined(arrow: Any, batches: Sequence[Any]) -> Any:
    if len(batches) == 1:
        return batches[0]
    (joined,) = arrow.Table.from_batches(batches).unify_dictionaries().combine_chunks().to_batches()
    return joined


def rows_of(batch: Any) -> Iterator[Fields]:
    """Go through a batch row by row: a text in many rows is spelt out in one at a time."""
    names, columns = batch.schema.names, batch.columns
    for place in range(batch.num_rows):
        yield {name: _decoded(column[place].as_py()) for name, column in zip(names, columns, strict=True)}


def _decoded(value: Any) -> Any:
    """Return a value, bytes as the text that they spell: some writers leave out that a column holds texts."""
    try:
        return value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        return value


def _check_size(path: Path, metadata: Any, wanted: Collection[str] | None, limits: Limits) -> None:
    limits.check("columns", metadata.num_columns, f"{path} has {{n}} columns")
    limits.check("rows", metadata.num_rows, f"{path} has {{n}} rows")
    most, size, kept = limits.largest_unpacked(path.stat().st_size), 0, 0
    for group in range(metadata.num_row_groups):
        for place in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(place)
            if wanted is not None and chunk.path_in_schema.partition(".")[0] not in wanted:
                continue
            kept += not group
            size += chunk.total_uncompressed_size
            if chunk.total_uncompressed_size > min(LARGEST_CHUNK, most):
                raise InvalidInput(
                    f"{path}: column {chunk.path_in_schema[:60]!r} unpacks to {chunk.total_uncompressed_size:,} bytes "
                    f"in one row group; it may be {min(LARGEST_CHUNK, most):,}: write it with smaller row groups "
                    f"(row_group_size=10_000), or {limits.hint('expansion')}"
                )
    size = max(size, CELL * kept * metadata.num_rows)
    if size > most:
        raise InvalidInput(f"{path} unpacks to {size:,} bytes; {limits.hint('expansion')}")


def _is_text(arrow: Any, type_: Any) -> bool:
    return bool(arrow.types.is_string(type_) or arrow.types.is_binary(type_))


def _rows_at_once(metadata: Any, nested: Collection[str]) -> int:
    """Return how many rows fit in memory even if each repeats all that its nested columns hold."""
    largest = 0
    for group in range(metadata.num_row_groups):
        for place in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(place)
            if chunk.path_in_schema.partition(".")[0] in nested and chunk.physical_type == "BYTE_ARRAY":
                largest = max(largest, chunk.total_uncompressed_size)
    return max(1, min(BATCH, IN_MEMORY // max(1, largest)))
