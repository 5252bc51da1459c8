"""A run draws from the tables that it sees, without copies of what it must not see."""

from __future__ import annotations

from dataclasses import replace

from tiny_network import KNOWN, known

from cit_core.mini.config import TrainConfig
from cit_core.mini.training_tables import TrainingTables
from cit_core.outcomes import OutcomeMatrix


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


def test_so_many_items_of_another_table_are_read(
    table: OutcomeMatrix, other: OutcomeMatrix, mixed: TrainConfig
) -> None:
    few = mixed.model_copy(update={"most_items": 30})
    source = TrainingTables(table, known(other), few).sources()[1]
    assert len(source.texts.full) == 30
    assert len(TrainingTables(table, known(other), mixed).sources()[1].texts.full) > 60
