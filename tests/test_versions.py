"""Declared version ranges: a lower bound everywhere, and an upper one where a private module is imported."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no reader of TOML")
ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
DECLARED = [
    Requirement(text)
    for texts in (PROJECT["dependencies"], *EXTRAS.values())
    for text in texts
    if "cit-router" not in text
]
PRIVATE = {
    "onnxruntime": r"onnxruntime\.capi|onnxruntime_pybind11_state",
    "langchain-core": r"langchain_core\.\S*\._\w+|model\._\w+",
    "llama-index-core": r"llama_index\.core\.\S*\._\w+",
    "sqlalchemy": r"from sqlalchemy\S* import _|sqlalchemy\.\S*\._\w+",
    "alembic": r"from alembic\S* import _|alembic\.\S*\._\w+",
}
"""Distribution to how our code reaches into it."""


@pytest.mark.parametrize("requirement", DECLARED, ids=str)
def test_every_dependency_has_a_lower_bound(requirement: Requirement) -> None:
    assert any(specifier.operator in {">=", "==", "~="} for specifier in requirement.specifier)


@pytest.mark.parametrize("name", PRIVATE)
def test_a_private_module_has_an_upper_bound(name: str) -> None:
    sources = [path for folder in ("core", "langchain_cit", "llamaindex_cit") for path in (ROOT / folder).rglob("*.py")]
    used = any(re.search(PRIVATE[name], path.read_text(encoding="utf-8")) for path in sources)
    bounded = any(
        specifier.operator == "<" for found in DECLARED if found.name == name for specifier in found.specifier
    )
    assert bounded or not used


def test_where_we_work_decision_models_are_there() -> None:
    """Their tests would be skipped with an older langchain-core."""
    pins = dict(line.split(";")[0].strip().split("==") for line in CONSTRAINTS.splitlines() if "==" in line[:60])
    assert [int(part) for part in pins["langchain-core"].split(".")[:2]] >= [1, 8]


def test_without_decision_models_all_but_their_router_works() -> None:
    """They came with langchain-core 1.8; here their module is hidden."""
    code = (
        "import sys; sys.modules['langchain_core.decisions'] = None\n"
        "from langchain_cit import ChatCIT, RunnableRouter\n"
        "print(ChatCIT.__name__, RunnableRouter.__name__)\n"
        "from langchain_cit import CITDecisionModel\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.stdout, done.returncode) == ("ChatCIT RunnableRouter\n", 1)
    assert done.stderr.strip().endswith("has decision models: pip install 'langchain-core>=1.8'")


def test_no_extra_is_empty() -> None:
    assert all(EXTRAS.values())


def test_cases_pass_where_there_are_none(tmp_path: Path) -> None:
    done = subprocess.run([ROOT / ".ci" / "cases", tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout == f"no cases in {tmp_path}: nothing to run\n"


def test_cases_print_a_line_each_and_fail_for_a_fault(tmp_path: Path) -> None:
    (tmp_path / "case_01_good.py").write_text("print('fine')")
    (tmp_path / "case_02_bad.py").write_text("print('it hangs \\x1b[2J'); raise SystemExit(1)")
    (tmp_path / "case_03_shell.sh").write_text('test -n "$PY"')
    (tmp_path / "helper.py").write_text("raise SystemExit(1)")
    done = subprocess.run(
        [ROOT / ".ci" / "cases", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        env={"PY": sys.executable, "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 1
    good, bad, shell, total = done.stdout.splitlines()
    assert good.split() == ["case_01_good", "ok"]
    assert bad.split()[:4] == ["case_02_bad", "FAULT", "(exit", "1):"]
    assert "\x1b" not in bad
    assert shell.split() == ["case_03_shell", "ok"]
    assert total == "1 faults"
