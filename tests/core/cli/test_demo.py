"""`cit demo`: the shipped checkpoint among models that people call today, without a network and without a store."""

from __future__ import annotations

import json
import re

from cit_core.catalogue.default_zoo import DEFAULT_ZOO
from cit_core.cli.demo import POLICY, QUESTIONS


def test_the_demo_fits_80_columns_saves_money_and_says_what_to_do_next(cit, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = cit("demo")
    assert result.exit_code == 0, result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert f"{len(QUESTIONS)} questions among {len(DEFAULT_ZOO)} models" in result.stdout
    for question in QUESTIONS:
        assert question[:15] in result.stdout
    alone, *policies = re.findall(r"^  (\S.*?) +(\d) +([\d.]+)% +([\d.]+) +(\d+)%", result.stdout, re.M)
    assert alone[0].startswith("always ")
    assert alone[4] == "0"
    for name, winners, probability, _, saved in policies:
        assert int(winners) > 1, f"{name} routes"
        assert int(saved) >= 30
        assert float(probability) >= float(alone[2]) - 10
    assert " ms for a decision, no LLM called" in result.stdout
    commands = [line.removeprefix("Next:").strip() for line in result.stdout.splitlines()[-2:]]
    assert [command.split()[:2] for command in commands] == [["cit", "models"], ["cit", "route"]]
    assert list(tmp_path.iterdir()) == [], "the demo leaves nothing behind"


def test_the_demo_as_json(cit):
    records = json.loads(cit("demo", "--json").stdout)
    assert [record["question"] for record in records] == list(QUESTIONS)
    assert [record["id"] for record in records] == list(range(1, len(QUESTIONS) + 1))
    assert {model for record in records for model in record["scores"]} == set(DEFAULT_ZOO)
    assert len({record["model"] for record in records}) >= 3, f"several models win with {POLICY}"
