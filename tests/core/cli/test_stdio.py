"""The standard streams of a real process: closed, full, or left by the reader."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("arguments", [["models", "list"], ["route", "hi", "--json"], ["--version"], ["--help"]])
def test_a_full_disk_behind_stdout_is_one_clear_error(start: Start, arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        process = start(*arguments, stdout=full)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert stderr.startswith(b"error: ")
    assert b"No space left on device" in stderr
    assert stderr.count(b"\n") == 1


def _close(*descriptors: int) -> Callable[[], None]:
    return lambda: [os.close(descriptor) for descriptor in descriptors] and None


def test_a_closed_stdout_is_an_error_before_anything_is_done(start: Start, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/my.db"
    process = start("models", "add", "a", "--store", url, stdout=None, preexec_fn=_close(1))
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert stderr.startswith(b"error: stdout is closed")
    assert not (tmp_path / "my.db").exists()


def test_no_file_takes_the_number_of_a_closed_stream(start: Start, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/my.db"
    process = start("models", "add", "a", "--store", url, stdin=None, stderr=None, preexec_fn=_close(0, 2))
    stdout, _ = process.communicate(timeout=60)
    assert (process.returncode, stdout.startswith(b"added: a in ")) == (0, True)
    check = start("models", "list", "--store", url, "--json")
    assert b'"id": "a"' in check.communicate(timeout=60)[0]


def test_a_reader_that_left_is_no_error(start: Start) -> None:
    process: Any = start("models", "list")
    process.stdout.close()
    stderr = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 1
    assert stderr == b""
