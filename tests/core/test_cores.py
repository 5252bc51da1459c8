"""The cores of a process: its affinity, and a container's limit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cit_core import cores


@pytest.mark.parametrize(("limit", "expected"), [("max 100000", None), ("150000 100000", 1.5), ("50000 100000", 0.5)])
def test_a_containers_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, expected: float | None
) -> None:
    (path := tmp_path / "cpu.max").write_text(limit)
    monkeypatch.setattr(cores, "CGROUP_V2", path)
    everything = len(os.sched_getaffinity(0))
    assert cores.usable_cores() == (everything if expected is None else min(everything, 2 if expected > 1 else 1))


@pytest.mark.parametrize(("quota", "limited"), [("-1", False), ("100000", True), ("x", False)])
def test_the_first_version_of_control_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, limited: bool
) -> None:
    paths = (tmp_path / "quota", tmp_path / "period")
    paths[0].write_text(quota)
    paths[1].write_text("100000\n")
    monkeypatch.setattr(cores, "CGROUP_V2", tmp_path / "missing")
    monkeypatch.setattr(cores, "CGROUP_V1", paths)
    assert cores.usable_cores() == (1 if limited else len(os.sched_getaffinity(0)))


def test_a_bound_process() -> None:
    bind = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])"
    code = f"{bind}; from cit_core.cores import usable_cores; print(usable_cores())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"
