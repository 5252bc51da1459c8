"""A run is not judged on what it has learnt from: its items, its models, its logs."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from bench_tables import core_table, log_table

from cit_core.errors import InvalidInput
from cit_core.evaluate.leakage import logs_learnt_from
from cit_core.outcomes import Split
from cit_core.paper.recipe import Recipe, write_recipe

CATALOGUE, LOGS = core_table(), (log_table("mine"), log_table("other"))
PARTS = Split().models(CATALOGUE.candidates)


def run_of(folder: Path, item: str, split: Split | None = None, **models: Any) -> Path:
    """A run that says it has learnt from models and, among others, from an item."""
    write_recipe(Recipe(split=split or Split()), folder / "recipe.yaml")
    (folder / "run.json").write_text(json.dumps({"models": {**PARTS, **models}}))
    (folder / "items.json").write_text(json.dumps(["i1", item, "i2"]))
    return folder


def test_a_log_is_known_by_its_items(tmp_path: Path) -> None:
    folder = run_of(tmp_path, LOGS[0].item_ids[7])
    assert logs_learnt_from(folder, Split(), CATALOGUE, LOGS) == ("mine",)
    assert logs_learnt_from(folder, Split(), None, [replace(LOGS[0], name="renamed")]) == ("renamed",)
    assert logs_learnt_from(run_of(tmp_path, CATALOGUE.item_ids[0]), Split(), CATALOGUE, LOGS) == ()


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_run_that_has_seen_a_new_model_is_refused(tmp_path: Path, part: str) -> None:
    new = PARTS["test"][2]
    folder = run_of(tmp_path, "i", **{part: (*PARTS[part], new)})
    with pytest.raises(InvalidInput, match=rf"has learnt from {new}, which the benchmark holds out as new; .* --store"):
        logs_learnt_from(folder, Split(), CATALOGUE, LOGS)
    assert logs_learnt_from(folder, Split(), None, LOGS) == ()


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({"test_items": 0.3}, True),
        ({"test_models": 0, "validation_models": 0, "validation_items": 0.4}, True),
        ({"test_items": 0.1}, False),
        ({"seed": "mine"}, False),
    ],
)
def test_a_run_of_another_split_is_judged_if_it_holds_out_as_much(
    tmp_path: Path, change: dict[str, Any], fits: bool
) -> None:
    split = Split(**{**asdict(Split()), **change})
    folder = run_of(tmp_path, "i", split)
    seen, held_out = split.items(CATALOGUE.item_ids), Split().items(CATALOGUE.item_ids)["test"]
    assert fits == (not {*seen["train"], *seen["validation"]}.intersection(held_out)), "which is what this is about"
    if fits:
        assert logs_learnt_from(folder, Split(), CATALOGUE, LOGS) == ()
        return
    with pytest.raises(InvalidInput, match=r"has seen questions .* train with seed 'cit-2502' and at least 0.2"):
        logs_learnt_from(folder, Split(), CATALOGUE, LOGS)


@pytest.mark.parametrize("facts", ["", "[]", "{}", '{"models": {"train": []}}', '{"models": 1}'])
def test_a_run_that_does_not_say_what_it_has_seen_is_refused(tmp_path: Path, facts: str) -> None:
    folder = run_of(tmp_path, "i")
    (folder / "run.json").write_text(facts)
    with pytest.raises(InvalidInput, match=r"does not say in run.json and items.json what the run has learnt from"):
        logs_learnt_from(folder, Split(), CATALOGUE, LOGS)
    (run_of(tmp_path, "i") / "items.json").unlink()
    with pytest.raises(InvalidInput, match=r"what the run has learnt from: FileNotFoundError"):
        logs_learnt_from(folder, Split(), CATALOGUE, LOGS)
