"""A lock on an output file. The operating system holds it and releases it when the process ends, killed or not."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import BinaryIO

from cit_core.cli import _output
from cit_core.errors import CITError

__all__ = ["lock"]

FAR = 2**31 - 2
"""Offset of the byte that is locked on Windows, where a lock also blocks reading: beyond any usual output."""
TAKEN = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)
"""Errors of a lock that another run holds; any other means that the file system has no locks."""


def lock(stream: BinaryIO, path: Path) -> None:
    """Keep other runs from writing to a file until the stream is closed.

    Args:
        stream: The file, open for writing, at its beginning.
        path: Its path, for messages.

    Raises:
        CITError: If another run is writing to it.
    """
    try:
        _lock(stream.fileno())
    except OSError as error:
        if error.errno in TAKEN:
            raise CITError(f"another run is writing to {path}; wait for it or choose another --output") from None
        _output.note(f"{path} cannot be locked ({error.strerror}); make sure that no other run writes to it")


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
