"""What the CLI tests share: `cit` in this process with a fake zoo, `script` as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_cit
import pytest
from typer.testing import CliRunner

from cit_core.cli import app
from cit_core.evaluate import Bench

FAKE_CIT = Path(fake_cit.__file__)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default store of a test lies in its own folder; tables are wide and without colours."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cit() -> Callable[..., Any]:
    """Runs the command line in this process; anything but our own errors passes through."""

    def run(*arguments: str, stdin: str | bytes | None = None, open_router: Any = fake_cit.open_router) -> Any:
        return CliRunner().invoke(app, list(arguments), input=stdin, obj=open_router, catch_exceptions=False)

    return run


@pytest.fixture
def start() -> Callable[..., subprocess.Popen[bytes]]:
    """Starts the command line with the fake zoo as a process that can be killed."""

    def begin(*arguments: str, pause: float = 0.0, **settings: Any) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "FAKE_CIT_PAUSE": str(pause), "PYTHONPATH": os.pathsep.join(sys.path)}
        environment |= settings.pop("env", {})
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment, **settings}
        return subprocess.Popen([sys.executable, "-W", "error", str(FAKE_CIT), *arguments], **pipes)

    return begin


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Bench]:
    """Every bench that a command opens; none of them runs."""
    found: list[Bench] = []
    monkeypatch.setattr(Bench, "run", lambda bench, names: [found.append(bench)] and iter(()))
    return found
