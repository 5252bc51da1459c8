"""One writer an output: where the system's locks are others, and where there are none."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from cit_core.cli import _lock
from cit_core.errors import CITError

FILE = Path("d.jsonl")


def test_the_lock_goes_with_the_stream():
    with FILE.open("wb") as stream:
        _lock.lock(stream, FILE)
        with (
            FILE.open("r+b") as other,
            pytest.raises(CITError, match=r"another run is writing to d\.jsonl; wait for it"),
        ):
            _lock.lock(other, FILE)
    with FILE.open("r+b") as stream:
        _lock.lock(stream, FILE)


@pytest.mark.parametrize("taken", [False, True])
def test_windows_locks_a_byte_that_nobody_reads(monkeypatch, taken):
    """Its locks keep others from reading, so it is a byte far behind the end; the stream stays where it was."""
    locked = []

    def locking_(descriptor, mode, count):
        locked.append((_lock.os.lseek(descriptor, 0, 1), mode, count))
        if taken:
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(LK_NBLCK=2, locking=locking_))
    monkeypatch.setattr(_lock.sys, "platform", "win32")
    FILE.write_bytes(b"line\n")
    with FILE.open("r+b") as stream:
        if taken:
            with pytest.raises(CITError, match="another run"):
                _lock.lock(stream, FILE)
        else:
            _lock.lock(stream, FILE)
        assert locked == [(_lock.FAR, 2, 1)]
        assert stream.read() == b"line\n"


def test_a_disk_without_locks_is_written_to_with_a_word(monkeypatch, capsys):
    def none(_descriptor):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(_lock, "_lock", none)
    with FILE.open("wb") as stream:
        _lock.lock(stream, FILE)
    said = "d.jsonl cannot be locked (No locks available); make sure that no other run writes to it\n"
    assert capsys.readouterr().err == said
