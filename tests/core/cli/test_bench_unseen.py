"""Of tables that the network has learnt from, `cit bench` says so, or has networks judge them that have not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench_tables import core_table, log_table, sibling
from outcome_tables import write_table

from cit_core.evaluate import Bench

Cit = Callable[..., Any]
TABLE = core_table(core=300, others=600)


@pytest.fixture
def with_zeroeval(tmp_path: Path) -> Path:
    """A folder whose log is called as a table that the shipped network has learnt from."""
    folder = tmp_path / "tables"
    write_table(TABLE, folder)
    write_table(log_table("zeroeval"), folder, "zeroeval")
    return folder


def test_what_the_network_has_learnt_from_is_told(cit: Cit, opened: list[Bench], with_zeroeval: Path) -> None:
    done = cit("bench", "--data", str(with_zeroeval), "--quick")
    assert done.exit_code == 0, done.stderr
    assert opened[0].learnt == {"zeroeval"}
    assert re.search(r"mini@\w{8} has learnt from questions of zeroeval: .* --unseen FOLDER judges", done.stderr)


def test_networks_that_left_it_out_judge_it(cit: Cit, opened: list[Bench], with_zeroeval: Path, tmp_path: Path) -> None:
    sibling(tmp_path / "runs" / "without-zeroeval" / "checkpoint", ["mmlu-pro"], 0.0)
    done = cit("bench", "--data", str(with_zeroeval), "--quick", "--unseen", "runs")
    assert done.exit_code == 0, done.stderr
    assert not opened[0].learnt
    assert "unseen tables by 1 others@" in opened[0].scorer.name
    assert "has learnt from" not in done.stderr


def test_a_folder_without_such_networks_is_refused(cit: Cit, opened: list[Bench], with_zeroeval: Path) -> None:
    done = cit("bench", "--data", str(with_zeroeval), "--quick", "--unseen", "nowhere")
    assert done.exit_code == 2
    assert "nowhere has no without-NAMES/checkpoint" in done.stderr
