"""Read a pandas DataFrame from a pickle, without pandas and without running the pickle.

A pickle is a program: it names functions and classes, and says what to call them with. Here it is only described, see
`_pickle_machine`; a name that a DataFrame of texts and numbers does not need is refused, and the columns are read from
the description.

The frames of pandas 1.5, 2 and 3 (pickle protocols 4 and 5) with columns of numbers or Python objects are read. Texts
that pandas 3 keeps in Arrow are not.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from cit_core.aptitude.importers._pickle_machine import Call, Span, describe
from cit_core.aptitude.importers.fields import shown
from cit_core.aptitude.importers.limits import DEFAULT_LIMITS, Limits
from cit_core.errors import InvalidInput

__all__ = ["Frame", "read_frame"]

NEEDED: Mapping[str, frozenset[str]] = {
    "builtins": frozenset({"slice"}),
    "numpy": frozenset({"dtype", "ndarray"}),
    "numpy.core.multiarray": frozenset({"_reconstruct"}),
    "numpy.core.numeric": frozenset({"_frombuffer"}),
    "numpy._core.multiarray": frozenset({"_reconstruct"}),
    "numpy._core.numeric": frozenset({"_frombuffer"}),
    "pandas": frozenset({"DataFrame", "Index", "RangeIndex"}),
    "pandas._libs.internals": frozenset({"_unpickle_block"}),
    "pandas.core.frame": frozenset({"DataFrame"}),
    "pandas.core.indexes.base": frozenset({"Index", "_new_Index"}),
    "pandas.core.indexes.numeric": frozenset({"Int64Index"}),
    "pandas.core.indexes.range": frozenset({"RangeIndex"}),
    "pandas.core.internals.managers": frozenset({"BlockManager"}),
}
"""Module to the names in it that may occur in a pickle; numpy and pandas have moved some of theirs."""
MALFORMED = (ArithmeticError, AttributeError, LookupError, MemoryError, OSError, TypeError, ValueError, struct.error)
"""Errors of reading a pickle that is damaged, or holds something else."""
NUMBER = re.compile(r"[biuf][1248]")
"""Spelling of a number's type in numpy: its kind and its size in bytes."""
BYTES_PER_VALUE = 40
"""Bytes of numbers that are in memory for each value of `frame_values`."""


class Frame:
    """Columns of a DataFrame, which are read from the open file row by row.

    Attributes:
        names: Names of the columns.
        length: Number of rows.
    """

    def __init__(self, file: IO[bytes], description: Any, limits: Limits) -> None:
        self._file = file
        self._limits = limits
        if not _is(description, "DataFrame"):
            raise InvalidInput(f"the pickle holds no DataFrame but {_kind(description)}")
        blocks, (labels, *_) = description.state["_mgr"].arguments
        self._bytes = self._cells = 0
        self.names = self._labels(labels)
        limits.check("columns", len(self.names), "the DataFrame has {n} columns")
        columns: dict[str, Sequence[Any]] = {}
        for block in blocks:
            values, placement, _ = block.arguments
            for place, column in zip(self._places(placement), self._columns(values), strict=True):
                columns[self.names[place]] = column
        self._by_name = {name: columns[name] for name in self.names}
        lengths = set(map(len, columns.values()))
        if len(lengths) > 1:
            raise InvalidInput("the columns are not of the same length")
        self.length = lengths.pop() if lengths else 0

    def rows(self, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Go through some columns row by row."""
        columns = [(name, self._by_name[name]) for name in names]
        for place in range(self.length):
            yield {name: self._plain(column[place]) for name, column in columns}

    def _plain(self, value: Any) -> Any:
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, Span):
            if not value.is_text:
                return b""
            self._limits.check("record_bytes", value.length, "a value has {n} bytes")
            self._file.seek(value.start)
            return self._file.read(value.length).decode("utf-8", "surrogatepass")
        return value

    def _labels(self, index: Any) -> list[str]:
        (column,) = self._columns(index.arguments[1]["data"])
        names = [self._plain(value) for value in column]
        if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            raise InvalidInput("the columns need names that are texts, each of them once")
        return names

    def _places(self, placement: Any) -> Sequence[int]:
        """Return which columns of the frame a block holds."""
        if _is(placement, "slice"):
            return range(len(self.names))[slice(*placement.arguments)]
        (column,) = self._columns(placement)
        return [self._plain(value) for value in column]

    def _columns(self, array: Any) -> list[Sequence[Any]]:
        """Return the rows of an array of two axes, or an array of one axis; they share its memory."""
        if _is(array, "_frombuffer"):  # protocol 5
            data, dtype, shape, order, *_ = array.arguments
            return self._numbers(data, dtype, shape, order)
        if not _is(array, "_reconstruct"):
            raise InvalidInput(f"a column is kept in {_kind(array)}; it needs to be an array of texts or numbers")
        _, shape, dtype, fortran, data = array.state
        if isinstance(data, (bytes, Span)):
            return self._numbers(data, dtype, shape, "F" if fortran else "C")
        return self._objects(data, shape)

    def _objects(self, data: Any, shape: Any) -> list[Sequence[Any]]:
        """Split a list of objects: they are listed row by row, however the array lay in memory."""
        rows, length = self._checked_shape(shape, len(data), 1)
        return [_Part(data, row * length, length) for row in range(rows)]

    def _numbers(self, data: Any, dtype: Any, shape: Any, order: Any) -> list[Sequence[Any]]:
        spelt = dtype.arguments[0]
        if not isinstance(spelt, str) or not NUMBER.fullmatch(spelt):
            raise InvalidInput(f"a column has the type {shown(spelt)}; it needs to be a text or a number")
        size = data.length if isinstance(data, Span) else len(data)
        rows, length = self._checked_shape(shape, size // int(spelt[1]), 10)
        self._bytes += size
        if self._bytes > BYTES_PER_VALUE * self._limits.frame_values:
            raise InvalidInput(
                f"the DataFrame has {self._bytes:,} bytes of numbers; {self._limits.hint('frame_values')}"
            )
        kind = np.dtype(spelt).newbyteorder("<" if dtype.state[1] == "|" else dtype.state[1])
        array = np.frombuffer(self._raw(data), kind).reshape((rows, length) if len(shape) == 2 else shape, order=order)
        columns: list[Any] = list(array) if len(shape) == 2 else [array]
        return columns

    def _raw(self, data: Any) -> bytes:
        if not isinstance(data, Span):
            return bytes(data)
        self._file.seek(data.start)
        return self._file.read(data.length)

    def _checked_shape(self, shape: Any, count: int, per_value: int) -> tuple[int, int]:
        """Return (columns, rows) of an array that has as many values as its shape says, and not too many."""
        rows, length = shape if len(shape) == 2 else (1, *shape)
        if not all(isinstance(axis, int) and axis >= 0 for axis in (rows, length)) or rows * length != count:
            raise InvalidInput(f"an array of the shape {tuple(map(shown, shape))} has {count} values")
        self._limits.check("columns", rows, "the DataFrame has {n} columns")
        self._cells += rows * length // per_value
        self._limits.check("frame_values", max(self._cells, length // per_value), "the DataFrame has {n} values")
        return rows, length


class _Part(Sequence[Any]):
    """Part of a list, which is not copied."""

    def __init__(self, data: Sequence[Any], start: int, length: int) -> None:
        self._data, self._start, self._length = data, start, length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, place: Any) -> Any:
        if not 0 <= place < self._length:
            raise IndexError(place)
        return self._data[self._start + place]


@contextmanager
def read_frame(path: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[Frame]:
    """Open a pickled DataFrame.

    Args:
        path: File that `DataFrame.to_pickle` has written, not compressed.
        limits: Limits on its size.

    Raises:
        InvalidInput: If it holds something else than a DataFrame of texts and numbers, is larger than the limits, or
            cannot be read.
    """
    try:
        with path.open("rb") as file:
            over = f"the pickle has more values than may be; {limits.hint('frame_values')}"
            yield Frame(file, describe(file, NEEDED, limits.frame_values, over), limits)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from None
    except MALFORMED as error:
        raise InvalidInput(
            f"{path} is not a pickled DataFrame of texts and numbers that can be read ({type(error).__name__}: "
            f"{error!s:.100}); save it as CSV instead"
        ) from error


def _is(value: object, name: str) -> bool:
    return isinstance(value, Call) and value.name == name


def _kind(value: object) -> str:
    return value.name if isinstance(value, Call) else type(value).__name__
