"""`cit demo`: the shipped checkpoint over the whole catalogue, without a network and without a store."""

from __future__ import annotations

import json

from cit_core.catalogue import catalogue_candidates
from cit_core.cli.demo import QUESTIONS


def test_the_demo_shows_every_question_a_policy_table_and_what_to_do_next(cit, tmp_path):
    result = cit("demo")
    assert result.exit_code == 0, result.stderr
    assert f"{len(QUESTIONS)} questions among {len(catalogue_candidates())} models" in result.stdout
    for question in QUESTIONS:
        assert question[:25] in result.stdout
    assert "cost:0.015" in result.stdout
    assert "threshold:0.7" in result.stdout
    assert "explained:" in result.stdout
    assert " ms for a decision, no LLM called" in result.stdout
    assert [line.split()[0] for line in result.stdout.splitlines()[-2:]] == ["Next:", "cit"]
    assert list(tmp_path.iterdir()) == [], "the demo leaves nothing behind"


def test_the_demo_as_json(cit):
    records = json.loads(cit("demo", "--json").stdout)
    assert [record["question"] for record in records] == list(QUESTIONS)
    assert [record["id"] for record in records] == list(range(1, len(QUESTIONS) + 1))
    for record in records:
        assert len(record["scores"]) == len(catalogue_candidates())
        assert record["probability"] == max(record["scores"].values())
