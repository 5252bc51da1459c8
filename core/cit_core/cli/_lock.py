"""One run at a time writes to an output. The operating system keeps the lock: it goes with the run, killed or not."""

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
"""Where the byte stands that is locked on Windows, whose locks keep others from reading: beyond any usual output."""
TAKEN = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)
"""What a lock says that another run holds; anything else means that a disk has no locks."""


def lock(stream: BinaryIO, path: Path) -> None:
    """Keep other runs from writing to a file until the stream is closed.

    Args:
        stream: Of the file; open for writing, at its beginning.
        path: Of the file, for messages.

    Raises:
        CITError: If another run is writing to it.
    """
    try:
        _lock(stream.fileno())
    except OSError as error:
        if error.errno in TAKEN:
            raise CITError(f"another run is writing to {path}; wait for it or choose another --output") from None
        _output.note(f"{path} cannot be locked ({error.strerror}); see that no other run writes to it")


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
