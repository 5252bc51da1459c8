"""`cit report` and `cit replay` on a log, through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from logs import ZOO, chance, write_log

from cit_core.policy import Goal, pacer_of, parse_policy
from cit_core.router import FakeScorer, Router


@pytest.fixture
def log(tmp_path: Path) -> str:
    path = tmp_path / "log.jsonl"
    write_log(path, 120, texts=True)
    return str(path)


def test_a_report_as_text_json_and_page(cit: Callable[..., Any], log: str) -> None:
    said = cit("report", "--log", log, "--html", "report.html")
    assert said.exit_code == 0
    assert "relative to always the best" in said.stdout
    assert "next: " in said.stdout
    assert "<h1>120 decisions" in Path("report.html").read_text()
    record = json.loads(cit("report", "--log", log, "--json").stdout)
    assert record["queries"] == 120
    assert len(record["spend"]["relative_to_best"]) == 3


def test_the_log_of_the_settings(cit: Callable[..., Any], log: str) -> None:
    Path("cit.toml").write_text(f"[router]\nlog = '{log}'\npolicy = 'best'\n")
    assert json.loads(cit("report", "--json").stdout)["queries"] == 120
    assert json.loads(cit("replay", "--json").stdout)["policy"] == "best"


def test_a_replay_of_a_policy_and_of_other_models(cit: Callable[..., Any], log: str) -> None:
    record = json.loads(cit("replay", "--log", log, "--policy", "best", "--json").stdout)
    assert record["shares"] == {"large": 1.0}
    assert record["off_policy"]["matched"] > 0
    assert "feedback, replayed, doubly robust" in cit("replay", "--log", log, "--policy", "cost:0.001").stdout

    def opened(checkpoint: str, store: object, models: object, policy: Any) -> Router:
        return Router(FakeScorer(chance), ZOO[:1], policy=policy)

    other = cit("replay", "--log", log, "--models", "small", "--json", open_router=opened)
    assert json.loads(other.stdout)["shares"] == {"small": 1.0}

    limit = parse_policy("budget:0.77/day")
    assert isinstance(limit, Goal)
    paced = cit("replay", "--log", log, "--models", "small", "--policy", limit.name, "--json", open_router=opened)
    assert json.loads(paced.stdout)["policy"] == limit.name
    assert pacer_of(limit).spent() == 0.0, "what is replayed is not paid for"


def test_what_is_refused(cit: Callable[..., Any], tmp_path: Path) -> None:
    assert "no log is named" in cit("report").stderr
    assert "there is no log" in cit("report", "--log", "absent.jsonl").stderr
    write_log(tmp_path / "hashes.jsonl", 3)
    refused = cit("replay", "--log", "hashes.jsonl", "--models", "small")
    assert refused.exit_code == 2
    assert "holds no texts" in refused.stderr
