"""The standard streams of a process: closed ones, full disks, and terminals that cannot show a character."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cit_core.cli import _output
from cit_core.cli._group import REFUSED

__all__ = ["checked"]

STANDARD = (0, 1, 2)


@contextmanager
def checked() -> Iterator[None]:
    """Run a command with usable streams, and flush what it has printed before it reports success.

    A closed descriptor is pointed at the null device: otherwise the next file that is opened, perhaps a database, would
    take its number and receive what a library prints.

    Raises:
        SystemExit: With code 1 if stdout is closed, or if what was printed could not be written.
    """
    closed = [descriptor for descriptor in STANDARD if not _is_open(descriptor)]
    for descriptor in closed:
        os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - lives as long as the process
    if 1 in closed or sys.stdout is None:
        _output.note(
            "error: stdout is closed, so the result has nowhere to go; nothing was done. Use > FILE or > /dev/null"
        )
        raise SystemExit(REFUSED)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        yield
    finally:
        _flush()


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _flush() -> None:
    """Write what is still buffered; Python itself would report a failure only with a traceback, after the end."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that the buffer can be dropped in silence
        if error.errno != errno.EPIPE:
            _output.note(f"error: stdout cannot be written: {error.strerror}")
        raise SystemExit(REFUSED) from None
