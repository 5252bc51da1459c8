"""Read text from files of any size, packed or not, in their own encoding and within limits."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from cit_core.aptitude.importers.limits import Limits
from cit_core.errors import InvalidInput

__all__ = ["BoundedBytes", "decoded", "kind_of", "open_text", "undecodable"]

PACKED = ".gz"
GZIP = b"\x1f\x8b"
"""Bytes at the beginning of what gzip has packed."""
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks; UTF-32's goes first because it begins with UTF-16's."""
CHUNK = 2**16


def kind_of(path: Path) -> str:
    """Return the ending that says what a file holds, in lower case: `.csv` of `results.CSV.gz`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [PACKED]:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


class BoundedBytes(io.RawIOBase):
    """Binary stream that refuses to give more than a number of bytes.

    Args:
        stream: Source of the bytes.
        most: Bytes that may come.
        what: Name of the source, for the message.
        hint: Advice for the message: how to raise the limit.
    """

    def __init__(self, stream: IO[bytes], most: int, what: str, hint: str) -> None:
        self._stream = stream
        self._left = most
        self._most, self._what, self._hint = most, what, hint

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes.

        Raises:
            InvalidInput: If there are more than may come.
        """
        piece = self._stream.read(min(len(buffer), CHUNK))
        self._left -= len(piece)
        if self._left < 0:
            raise InvalidInput(f"{self._what} unpacks to more than {self._most:,} bytes; {self._hint}")
        buffer[: len(piece)] = piece
        return len(piece)


@contextmanager
def open_text(path: Path, limits: Limits, encoding: str | None = None) -> Iterator[IO[str]]:
    """Open a text file, unpacked if it is packed with gzip, whatever its name says: browsers unpack what they load.

    Args:
        path: File.
        limits: Limits on its size.
        encoding: Encoding of the text; by default that of its byte order mark or first bytes, else UTF-8.

    Raises:
        InvalidInput: If it cannot be opened or unpacked, or unpacks to more than the limits allow.
    """
    try:
        with path.open("rb") as file:
            packed = file.peek(2)[:2] == GZIP
            size = path.stat().st_size
            most = limits.largest_unpacked(size) if packed else limits.unpacked_bytes
            hint = limits.hint("expansion" if most < limits.unpacked_bytes else "unpacked_bytes")
            source: IO[bytes] = gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[assignment]
            yield decoded(BoundedBytes(source, most, str(path), hint), encoding)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error


def decoded(raw: io.RawIOBase, encoding: str | None = None) -> IO[str]:
    """Return a binary stream as text; bytes that are not text become marks, which `undecodable` finds.

    Raises:
        InvalidInput: If there is no such encoding.
    """
    buffered = io.BufferedReader(raw, CHUNK)
    try:
        name = encoding or _encoding(buffered.peek(4)[:4])
        return io.TextIOWrapper(buffered, name, errors="surrogateescape", newline="")
    except LookupError:
        raise InvalidInput(f"no encoding {encoding!r}; there are utf-8, utf-16, latin-1, cp1252 and others") from None


def undecodable(text: str) -> str:
    """Say which byte of a text is not in its encoding; nothing if all are."""
    if text.isascii():
        return ""
    for character in text:
        if "\udc80" <= character <= "\udcff":
            return (
                f"holds the byte 0x{ord(character) - 0xDC00:02x}, which is not valid UTF-8; save the file as UTF-8, "
                "or say which encoding it has (encoding='latin-1' in Python)"
            )
    return ""


def _encoding(start: bytes) -> str:
    for mark, name in BOMS:
        if start.startswith(mark):
            return name
    if len(start) >= 2 and start[0] and not start[1]:  # ASCII in two bytes each
        return "utf-16-le"
    if len(start) >= 2 and start[1] and not start[0]:
        return "utf-16-be"
    return "utf-8"
