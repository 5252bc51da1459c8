"""Untrusted zip archives: their members are streamed within limits, not by their stated size."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from cit_core.aptitude.importers.limits import MIB, Limits
from cit_core.aptitude.importers.text_stream import BoundedBytes, decoded
from cit_core.errors import CITError, InvalidInput, MissingExtra

__all__ = ["Archive", "open_archive"]

ENCRYPTED = 0x1
"""Flag of a member."""
ZSTANDARD = 93
"""Way of packing that recent releases of Inspect use, and Python before 3.14 does not know."""
WINDOW = 32 * MIB
"""Memory that unpacking Zstandard may take."""
LARGEST_DIRECTORY = 4 * MIB
"""Bytes of an archive's list of members, which is in memory as a whole."""
UNREADABLE = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
"""Errors that `zipfile` raises at archives that are damaged, or made in ways that it does not know."""
END, END_64 = b"PK\x05\x06", b"PK\x06\x06"


class Archive:
    """An open archive; `open_archive` makes it.

    Args:
        path: Its file.
        file: The open file.
        limits: Limits on its size.
    """

    def __init__(self, path: Path, file: IO[bytes], limits: Limits) -> None:
        _check_directory(path, file)
        self._path = path
        self._file = file
        self._zip = zipfile.ZipFile(file)
        self._limits = limits
        self._left = limits.largest_unpacked(path.stat().st_size)
        limits.check("members", len(self._zip.infolist()), f"{path} holds {{n}} files")

    def names(self) -> list[str]:
        """Return the names of the members, in their order."""
        return [member.filename for member in self._zip.infolist() if not member.is_dir()]

    @contextmanager
    def text(self, name: str) -> Iterator[IO[str]]:
        """Open a member as text.

        Raises:
            InvalidInput: If it cannot be unpacked here, or the archive unpacks to more than the limits allow.
        """
        member, where = self._zip.getinfo(name), f"{self._path}/{name}"
        if member.flag_bits & ENCRYPTED:
            raise InvalidInput(f"{where} is encrypted; unpack it and import the .json file")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, ZSTANDARD):
            raise InvalidInput(f"{where} is packed in a way that is not read here; unpack it and import the .json file")
        hint = self._limits.hint("expansion")
        if member.file_size > self._left:
            raise InvalidInput(f"{where} unpacks to {member.file_size:,} bytes; {hint}")
        with self._opened(member) as stream:
            bounded = _Counted(stream, self._left, str(self._path), hint)
            yield decoded(bounded)
            self._left -= bounded.given

    def _opened(self, member: zipfile.ZipInfo) -> Any:
        if member.compress_type != ZSTANDARD:
            return self._zip.open(member)
        try:
            import zstandard
        except ImportError as error:
            raise MissingExtra(
                "zstandard, which unpacks the .eval files of newer releases of Inspect,", "inspect"
            ) from error
        packed: Any = _Packed(self._file, member)
        return _Zstandard(
            zstandard.ZstdDecompressor(max_window_size=WINDOW).stream_reader(packed, read_across_frames=True)
        )


@contextmanager
def open_archive(path: Path, limits: Limits, what: str = "zip") -> Iterator[Archive]:
    """Open an archive.

    Args:
        path: File.
        limits: Limits on the size of all members together.
        what: Kind of the file, for messages.

    Raises:
        InvalidInput: If it is not an archive that can be read, or larger than the limits.
    """
    try:
        with path.open("rb") as file:
            yield Archive(path, file, limits)
    except CITError:
        raise
    except UNREADABLE as error:
        raise InvalidInput(f"{path} is not a readable {what}: {error!s:.200}") from error


class _Counted(BoundedBytes):
    """Bounded bytes that count what they have given."""

    given = 0

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer)
        self.given += count
        return count


class _Packed(io.RawIOBase):
    """Packed bytes of a member."""

    def __init__(self, file: IO[bytes], member: zipfile.ZipInfo) -> None:
        file.seek(member.header_offset)
        header = file.read(30)
        if header[:4] != b"PK\x03\x04":
            raise zipfile.BadZipFile(f"bad header of {member.filename!r:.60}")
        name, extra = struct.unpack("<HH", header[26:30])
        self._file, self._at, self._left = file, member.header_offset + 30 + name + extra, member.compress_size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        self._file.seek(self._at)
        piece = self._file.read(self._left if size < 0 else min(size, self._left))
        self._at += len(piece)
        self._left -= len(piece)
        return piece


class _Zstandard:
    """Unpacked bytes with the errors of a zip."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def __enter__(self) -> _Zstandard:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def read(self, size: int) -> bytes:
        import zstandard

        try:
            piece: bytes = self._reader.read(size)
        except zstandard.ZstdError as error:
            raise zipfile.BadZipFile(str(error)) from error
        return piece


def _check_directory(path: Path, file: IO[bytes]) -> None:
    """Refuse an archive with a list of members that alone would fill the memory."""
    size = path.stat().st_size
    file.seek(max(0, size - 2**16 - 22))
    tail = file.read(2**16 + 22)
    at = tail.rfind(END)
    listed = int.from_bytes(tail[at + 12 : at + 16], "little") if at >= 0 else 0
    at_64 = tail.rfind(END_64)
    if at_64 >= 0:
        listed = max(listed if listed != 2**32 - 1 else 0, int.from_bytes(tail[at_64 + 40 : at_64 + 48], "little"))
    if listed > LARGEST_DIRECTORY:
        raise InvalidInput(f"{path} lists its files in {listed:,} bytes; an archive may take {LARGEST_DIRECTORY:,}")
