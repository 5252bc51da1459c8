"""`cit calibrate`: evidence with the shipped checkpoint; knobs of policies with a fake zoo."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_cit
import pytest

from cit_core.policy import Goal, pacer_of, parse_policy
from cit_core.router import Router


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


@pytest.fixture
def queries(tmp_path: Path) -> Path:
    file = tmp_path / "queries.jsonl"
    lines = [{"id": n, "instruction": f"query {n}", "correct": {"small": n % 2} if n < 20 else None} for n in range(60)]
    file.write_text("\n".join(map(json.dumps, lines)))
    return file


@pytest.mark.parametrize("suffix", ["json", "toml"])
def test_a_policy_is_calibrated_written_and_read(cit: Callable[..., Any], queries: Path, suffix: str) -> None:
    target, figure = f"policy.{suffix}", "curve.svg"
    options = ("--input", str(queries), "--output", target, "--figure", figure)
    record = json.loads(cit("calibrate", "--quality", "0.9", *options, "--json").stdout)
    assert record["queries"] == 60
    assert record["labelled"] == pytest.approx(20 / 120)
    low, high = record["expected"]["usd_per_1k"][1:]
    assert low < record["expected"]["usd_per_1k"][0] < high
    assert record["expected"]["quality_kept"][0] >= 0.9
    assert record["policy"].startswith("quality:0.9,value:")
    assert "<svg" in Path(figure).read_text()
    routed = cit("route", "what?", "--policy", f"file:{target}", "--json")
    assert json.loads(routed.stdout)["model"] in ("small", "large")
    said = cit("calibrate", "--quality", "0.9", *options).stdout
    assert f'policy = "file:{target}"' in said
    assert "knob of the other half" in said


def test_a_calibration_is_paid_by_no_budget(cit: Callable[..., Any], queries: Path) -> None:
    """The router of the settings may have a limit; nobody is asked."""
    limit = parse_policy("budget:0.78/day")
    assert isinstance(limit, Goal)

    def opened(checkpoint: str, store: Any, models: Any, policy: Any) -> Router:
        return fake_cit.open_router(checkpoint, store, models, policy).with_options(policy=limit)

    assert cit("calibrate", "--quality", "0.9", "--input", str(queries), open_router=opened).exit_code == 0
    assert pacer_of(limit).spent() == 0.0


def test_a_budget_and_a_share_need_no_labels(cit: Callable[..., Any], queries: Path) -> None:
    budget = json.loads(cit("calibrate", "--budget", "3", "--input", str(queries), "--json").stdout)
    assert budget["policy"] == "budget:3/1k"
    assert budget["expected"]["usd_per_1k"][0] == pytest.approx(3.0, rel=0.1)
    share = json.loads(cit("calibrate", "--share", "large=25", "--input", str(queries), "--json").stdout)
    assert share["shares"]["large"] == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--quality", "0.9", "--budget", "3"), "give one of --quality, --budget and --share"),
        (("--quality", "0.9"), "a policy is calibrated on queries: --input FILE"),
        (("--input", "x"), "go with --quality, --budget or --share"),
        (("--quality", "0.9", "--input", "absent"), "--input absent cannot be opened"),
        (("--budget", "3/day", "--input", "queries.jsonl"), "policy budget:3/day has no knob to calibrate"),
        (("--quality", "0.9", "--input", "absent", "--output", "p.txt"), "must end in .json or .toml"),
    ],
)
def test_what_cannot_be_calibrated(cit: Callable[..., Any], queries: Path, options: tuple[str, ...], said: str) -> None:
    done = cit("calibrate", *options)
    assert done.exit_code == 2
    assert said in done.stderr


def test_labels_are_numbers_by_model(cit: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"id": 1, "instruction": "a", "correct": {"small": "yes"}}')
    done = cit("calibrate", "--quality", "0.9", "--input", "q.jsonl")
    assert done.exit_code == 2
    assert "q.jsonl line 1: correct must be labels by model" in done.stderr
