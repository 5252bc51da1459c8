"""Read the fields of a row: absent values, ids, texts and numbers, with an error for a wrong value."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from cit_core.aptitude.importers.text_stream import undecodable
from cit_core.errors import InvalidInput

__all__ = [
    "Fields",
    "checked",
    "identifier",
    "is_absent",
    "is_missing",
    "listed_texts",
    "number",
    "shown",
    "spelt_list",
    "text",
]

Fields = Mapping[str, Any]

SHOWN = 60
"""Characters of a value that a message shows."""
STRING = re.compile(r"""'([^'\\]*(?:\\.[^'\\]*)*)'|"([^"\\]*(?:\\.[^"\\]*)*)\"""", re.DOTALL)
WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
DECIMAL = re.compile(r"[-+]?(?:[0-9]{1,300}\.?[0-9]{0,300}|\.[0-9]{1,300})(?:[eE][-+]?[0-9]{1,3})?|[-+]?(?i:nan|inf)")
"""Numbers as texts spell them."""
MISSING = frozenset(("nan", "na", "n/a", "#n/a", "<na>", "nat", "null", "none", "\\n"))
"""Missing cells as pandas, R, Excel and databases spell them."""
BETWEEN = re.compile(r"\s*,?\s*")
ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{1,3})|(.))", re.DOTALL)
ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\n": ""}


def checked(fields: Fields | str, required: Sequence[str]) -> Fields:
    """Return the fields of a row.

    Raises:
        InvalidInput: If they cannot be read, or one that is needed is absent.
    """
    if isinstance(fields, str):
        raise InvalidInput(fields)
    missing = [name for name in required if is_absent(fields.get(name))]
    if missing:
        raise InvalidInput(f"has no {', no '.join(missing)}")
    return fields


def is_absent(value: object) -> bool:
    """Return whether a field is empty: None, NaN, or a text of nothing but spaces."""
    if isinstance(value, (float, Decimal)):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and not value.strip())


def is_missing(value: object) -> bool:
    """Return whether a cell of a table is empty, or holds a tool's word for an empty one."""
    return is_absent(value) or (isinstance(value, str) and value.strip().lower() in MISSING)


def identifier(fields: Fields, name: str) -> str:
    """Return a field that names something.

    Raises:
        InvalidInput: If it is neither a text nor a whole number.
    """
    return _plain(fields[name], name)


def text(fields: Fields, name: str) -> str | None:
    """Return a field that is a text, or None if it is absent.

    Raises:
        InvalidInput: If it is something else, such as a list.
    """
    value = fields.get(name)
    return None if is_absent(value) else _plain(value, name)


def listed_texts(value: object, name: str) -> tuple[str, ...]:
    """Return a list of texts and whole numbers as texts; the empty one if it is absent.

    Raises:
        InvalidInput: If it is not a list, or something else is in it.
    """
    if is_absent(value):
        return ()
    if not isinstance(value, (list, tuple)):
        raise InvalidInput(f"{name} is {shown(value)}; it must be a list of texts, as ['a', 'b']")
    return tuple(_plain(part, f"a value of {name}") for part in value)


def shown(value: object) -> str:
    """Show a value in a message: the beginning of a text, a number, or the type of anything else.

    The whole is never spelt: of a list that holds itself many times over, that would fill the memory.
    """
    if isinstance(value, str):
        return repr(value[:SHOWN]) + ("…" if len(value) > SHOWN else "")
    if value is None or isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < 10**30):
        return repr(value)
    return f"a {type(value).__name__}"


def number(fields: Fields, name: str) -> Any:
    """Return a field that is a number, or spelt as one; None if it is absent. A text that is none stays as it is.

    Raises:
        InvalidInput: If it is something else.
    """
    value = fields.get(name)
    if is_absent(value):
        return None
    if isinstance(value, str):
        plain = value.strip()
        return int(plain) if WHOLE.fullmatch(plain) else float(plain) if DECIMAL.fullmatch(plain) else value
    if not isinstance(value, (int, float, Decimal)):
        raise InvalidInput(f"{name} is {shown(value)}; it must be a number")
    return float(value) if isinstance(value, Decimal) else value


def spelt_list(spelt: str) -> list[str] | None:
    """Return the texts in a list that is spelt as in Python or JSON, `['a', "b"]`; None if it is not such a list.

    Only quoted texts are read, one after the other, so that no spelling can take more memory than its own length.
    """
    inner = spelt.strip()
    if not (inner.startswith("[") and inner.endswith("]")):
        return None
    found: list[str] = []
    at, end = len(inner) - len(inner[1:].lstrip()), len(inner) - 1
    while at < end:
        match = STRING.match(inner, at, end)
        if match is None:
            return None
        found.append(_unescaped(match[1] if match[2] is None else match[2]))
        at = BETWEEN.match(inner, match.end(), end).end()  # type: ignore[union-attr]
    return found


def _plain(value: object, name: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InvalidInput(f"{name} is {shown(value)}; it must be a text or a whole number")
    spelt = str(value)
    if wrong := undecodable(spelt):
        raise InvalidInput(f"{name} {wrong}")
    return spelt


def _unescaped(spelt: str) -> str:
    return ESCAPE.sub(_character, spelt) if "\\" in spelt else spelt


def _character(match: re.Match[str]) -> str:
    code = next((int(match[group], 16) for group in (1, 2, 3) if match[group]), None)
    if code is None and match[4]:
        code = int(match[4], 8)
    if code is None:
        return ESCAPED.get(match[5], match[5] if match[5] in "'\"\\/" else match[0])
    return chr(code) if code < 0x110000 else match[0]
