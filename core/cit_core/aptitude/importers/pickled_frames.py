"""A pandas DataFrame out of a pickle, without pandas and without running what the pickle names.

A pickle is a program: it names functions and classes, and says what to call them with. Here every name that a DataFrame
of texts and numbers needs stands for a record of the call, and any other is refused. So what comes out is a description
of a DataFrame, from which its columns are read; nothing that the pickle names is imported or called.

Read are the frames of pandas 1.5, 2 and 3 (pickle protocols 4 and 5) whose columns are numbers or Python objects. Texts
that pandas 3 keeps in Arrow are not.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import InvalidInput

__all__ = ["read_frame"]

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
"""Module to the names in it that may stand in a pickle; numpy and pandas have moved some of theirs."""
MALFORMED = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OverflowError,
    TypeError,
    ValueError,
)
"""What reading a pickle that is damaged, or holds something else, can raise."""
NUMBER = re.compile(r"[biuf][1248]")
"""How numpy spells the type of a number: its kind and its size in bytes."""


def read_frame(path: Path) -> dict[str, list[Any]]:
    """The columns of a pickled DataFrame, each with a value for every row; all of it is in memory.

    Args:
        path: A file that `DataFrame.to_pickle` has written, not compressed.

    Raises:
        InvalidInput: If it holds something else than a DataFrame of texts and numbers, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _columns(_Reader(file).load())
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from None
    except (OSError, *MALFORMED) as error:
        raise InvalidInput(
            f"{path} is no pickled DataFrame of texts and numbers that can be read ({type(error).__name__}: {error}); "
            "save it as CSV instead"
        ) from error


class _Call:
    """A call that a pickle describes, and the state it would have set on what the call gives."""

    name = ""
    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> _Call:
        call = super().__new__(cls)
        call.arguments, call.state = arguments, None
        return call

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Reader(pickle.Unpickler):
    """Knows no class but records of calls."""

    def find_class(self, module: str, name: str) -> type[_Call]:
        """A stand-in of its own for each mention: what a pickle does to one is gone with it.

        Raises:
            InvalidInput: If a DataFrame of texts and numbers does not need it.
        """
        if name not in NEEDED.get(module, ()):
            raise InvalidInput(
                f"the pickle names {module}.{name}, which a DataFrame of texts and numbers does not need; "
                "nothing in it was run. Save the frame as CSV instead, if you trust where it comes from"
            )
        return type(name, (_Call,), {"name": name})


def _is(value: object, name: str) -> bool:
    return isinstance(value, _Call) and value.name == name


def _columns(frame: Any) -> dict[str, list[Any]]:
    if not _is(frame, "DataFrame"):
        raise InvalidInput(f"the pickle holds no DataFrame but {_kind(frame)}")
    blocks, (labels, *_) = frame.state["_mgr"].arguments
    names = _labels(labels)
    columns = {}
    for block in blocks:
        values, placement, _ = block.arguments
        for place, column in zip(_places(placement, len(names)), _values(values), strict=True):
            columns[names[place]] = column
    return {name: columns[name] for name in names}


def _labels(index: Any) -> list[str]:
    names = _values(index.arguments[1]["data"])
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise InvalidInput("the columns need names that are texts, each of them once")
    return names


def _places(placement: Any, count: int) -> Iterable[int]:
    """Which columns of the frame a block holds."""
    return range(count)[slice(*placement.arguments)] if _is(placement, "slice") else _values(placement)


def _values(array: Any) -> list[Any]:
    """An array of one or two axes, as lists."""
    if _is(array, "_frombuffer"):  # protocol 5
        data, dtype, shape, order, *_ = array.arguments
        return list(_numbers(data, dtype).reshape(shape, order=order).tolist())
    if not _is(array, "_reconstruct"):
        raise InvalidInput(f"a column is kept in {_kind(array)}; it needs to be an array of texts or numbers")
    _, shape, dtype, fortran, data = array.state
    if isinstance(data, bytes):
        return list(_numbers(data, dtype).reshape(shape, order="F" if fortran else "C").tolist())
    return _objects(list(data), shape)


def _objects(data: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """Objects are listed row by row, however the array lay in memory."""
    rows, length = shape if len(shape) == 2 else (1, *shape)
    if len(data) != rows * length:
        raise InvalidInput(f"an array of the shape {shape} has {len(data)} values")
    split = [data[row * length : (row + 1) * length] for row in range(rows)]
    return split if len(shape) == 2 else split[0]


def _numbers(data: bytes, dtype: Any) -> NDArray[Any]:
    spelt = dtype.arguments[0]
    if not isinstance(spelt, str) or not NUMBER.fullmatch(spelt):
        raise InvalidInput(f"a column has the type {spelt!r}; it needs to be a text or a number")
    return np.frombuffer(data, np.dtype(spelt).newbyteorder("<" if dtype.state[1] == "|" else dtype.state[1]))


def _kind(value: object) -> str:
    return value.name if isinstance(value, _Call) else type(value).__name__
