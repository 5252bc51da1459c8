"""`cit calibrate`, with the shipped checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def logs(tmp_path: Path, cit: Callable[..., Any]) -> str:
    """A store in which one model knows sums and the other capitals."""
    cities = ("Oslo", "Lima", "Cairo", "Quito", "Rome", "Paris", "Bern", "Doha", "Riga", "Baku")
    rows = ["item_id,model,correct,instruction"]
    for n in range(30):
        for model in ("sums", "capitals"):
            rows.append(f"s{n},{model},{int(model == 'sums')},What is {n} plus {n * 7}?")
            rows.append(
                f"c{n},{model},{int(model == 'capitals')},Of which country is {cities[n % 10]} the capital? ({n})"
            )
    (tmp_path / "logs.csv").write_text("\n".join(rows))
    url = f"sqlite:///{tmp_path / 'logs.db'}"
    assert cit("import", "table", str(tmp_path / "logs.csv"), "--store", url).exit_code == 0
    return url


def test_it_fits_keeps_and_says_what_it_is_worth(cit: Callable[..., Any], logs: str) -> None:
    for question, model in (("What is 300 plus 12?", "sums"), ("Of which country is Lisbon the capital?", "capitals")):
        routed = cit("route", question, "--store", logs, "--json", open_router=None)
        assert json.loads(routed.stdout)["model"] == model, "the import has fitted it already"
    done = cit("calibrate", "--evidence", "--store", logs, "--json")
    assert done.exit_code == 0
    record = json.loads(done.stdout)
    assert record["questions"] == 60
    assert record["gain"] > 0.3 > 3 * record["standard_error"]
    assert sum(weight for name, weight in record["weights"].items() if name.startswith("way")) > 0.1
    said = cit("calibrate", "--store", logs)
    assert "points more than the best model by its level" in said.stdout
    assert "way by regression" in said.stdout
    assert "kept with version" in said.stdout


def test_what_it_refuses(cit: Callable[..., Any], tmp_path: Path) -> None:
    absent = cit("calibrate", "--evidence", "--store", f"sqlite:///{tmp_path / 'none.db'}")
    assert absent.exit_code == 1
    assert "no store at" in absent.stderr
    (tmp_path / "few.csv").write_text("item_id,model,correct,task\n1,a,1,sums")
    few = f"sqlite:///{tmp_path / 'few.db'}"
    cit("import", "table", str(tmp_path / "few.csv"), "--store", few)
    refused = cit("calibrate", "--evidence", "--store", few)
    assert refused.exit_code == 2
    assert "no outcome of a question with a text" in refused.stderr
