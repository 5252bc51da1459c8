"""A run draws from the tables that it sees, without copies of what it must not see."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny_network import KNOWN, known

from cit_core.mini.config import TrainConfig
from cit_core.mini.training_tables import KnownTable, TrainingTables, without_models
from cit_core.outcomes import OutcomeMatrix
from cit_core.records import Candidate


def test_a_text_of_a_table_that_is_left_out_is_left_out_of_the_others(
    table: OutcomeMatrix, again: OutcomeMatrix, mixed: TrainConfig
) -> None:
    train = set(mixed.split.items(again.item_ids)["train"].tolist())
    copied = tuple(f" {text.upper()}!" if row < 60 else f"else {row}" for row, text in enumerate(again.questions))
    copy = replace(again, name="copy", instructions=copied, questions=copied)
    tables = TrainingTables(table, known(again, copy), mixed)
    _, whole, _ = tables.sources()
    _, left = tables.sources(without=["copy"])
    assert whole.outcomes == len(train) * len(KNOWN)
    assert left.outcomes == sum(row >= 60 for row in train) * len(KNOWN)
    drawn = {row for _ in range(50) for row in left.draw(16, 4).rows.tolist()}
    seen = again.rows(sorted(set(range(len(again))) - set(mixed.split.items(again.item_ids)["test"].tolist())))
    hidden = set(again.questions[:60])
    assert len(drawn) > 10
    assert not hidden & {seen.questions[row] for row in drawn}


def test_test_questions_of_the_first_table_are_left_out_of_the_others(
    table: OutcomeMatrix, again: OutcomeMatrix, mixed: TrainConfig
) -> None:
    own = tuple(f"{text} {row}" for row, text in enumerate(table.questions))
    first = replace(table, instructions=own, questions=own)
    held_out = mixed.split.items(first.item_ids)["test"]
    copied = tuple(own[held_out[row]] if row < 60 else f"else {row}" for row in range(len(again)))
    copy = replace(again, name="copy", instructions=copied, questions=copied)
    train = mixed.split.items(again.item_ids)["train"]
    tested, left = TrainingTables(first, known(copy), mixed).sources()
    assert left.outcomes == sum(row >= 60 for row in train) * len(KNOWN)
    unheard = replace(copy, instructions=again.instructions, questions=again.questions)
    other_tested, whole = TrainingTables(first, known(unheard), mixed).sources()
    assert whole.outcomes == len(train) * len(KNOWN)
    assert tested.outcomes == other_tested.outcomes


@pytest.mark.parametrize(
    ("name", "is_new"),
    [
        ("Qwen1.5-7B-Chat", True),
        ("google/gemini-1.5-pro-002", True),
        ("vertex:gemini-1.5-pro-002@reasoning=default", True),
        ("qwen1.5 7b-chat", True),
        ("qwen1.5-7b-chat-awq", True),
        ("gemini-1.5-pro", True),  # kin of gemini-1.5-pro-002
        ("command-r", True),  # and of c4ai-command-r-v01
        ("Qwen1.5-7B", True),
        ("Qwen1.5-7", False),  # a part of a word is another word
        ("Qwen1.5-110B-Chat", False),
        ("command-r-plus", False),
    ],
)
def test_new_models_of_the_first_table_are_new_in_the_others(
    table: OutcomeMatrix, again: OutcomeMatrix, mixed: TrainConfig, name: str, is_new: bool
) -> None:
    (plain,) = known(again)
    last = plain.capabilities[-1]
    named = [*plain.capabilities[:-1], last.model_copy(update={"candidate": Candidate(id=name)})]
    (left,) = without_models([KnownTable(again, named)], mixed.split.models(table.candidates)["test"])
    assert list(left.capabilities) == named[: len(named) - is_new]


def test_a_table_of_too_few_models_that_are_not_new_is_no_table_to_learn_from(again: OutcomeMatrix) -> None:
    assert len(without_models(known(again), [])) == 1
    assert len(without_models(known(again), ["gpt-5-mini"])) == 1
    assert not without_models(known(again), ["gpt-5-mini", "claude-sonnet-4-5"])


def test_so_many_items_of_another_table_are_read(
    table: OutcomeMatrix, other: OutcomeMatrix, mixed: TrainConfig
) -> None:
    few = mixed.model_copy(update={"most_items": 30})
    source = TrainingTables(table, known(other), few).sources()[1]
    assert len(source.texts.full) == 30
    assert len(TrainingTables(table, known(other), mixed).sources()[1].texts.full) > 60
