"""Newer models: their days and sizes are known, they join the catalogue's table, and both figures are drawn of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench_tables import MODELS, core_table

from cit_core.evaluate.comparison import ORACLE, SINGLE_BEST
from cit_core.evaluate.experiments.newer import NEWER, ONE_GPU_B, newer, newer_facts, with_extra
from cit_core.evaluate.log_settings import measured_alike, own_tasks_setting
from cit_core.outcomes import Split


@pytest.mark.parametrize("table", NEWER)
def test_the_day_of_every_model_is_known(table: str) -> None:
    facts = newer_facts(table)
    assert {*NEWER[table]} <= facts.keys()
    assert all(capability.candidate.released is not None for capability in facts.values())
    assert facts.keys() >= ({*MODELS} if table == "mmlu-pro" else set())


def test_newer_models_join_the_table_on_its_own_items(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = core_table()
    assert with_extra(table, tmp_path) is None
    newest = "minimax-m2.5-nvfp4-32768"
    rows = [{"item_id": id_, "model": newest, "correct": 1.0} for id_ in (*table.item_ids[:3], "another")]
    rows.append({"item_id": table.item_ids[0], "model": "unknown", "correct": 1.0})
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "outcomes-mmlu-pro-extra.parquet")
    whole = with_extra(table, tmp_path)
    assert whole is not None
    assert whole.candidates == (*table.candidates, *NEWER["mmlu-pro"])
    assert (~np.isnan(whole.correct_IK[:, whole.column(newest)])).sum() == 3
    np.testing.assert_array_equal(whole.correct_IK[:, : len(table.candidates)], table.correct_IK)


def test_both_figures_are_drawn_and_small_models_stand_against_the_best_closed_one() -> None:
    names = tuple(NEWER["reasoninggym"])
    table = replace(measured_alike(core_table(names)), name="reasoninggym")
    vectors = np.eye(8, dtype=np.float32)[np.arange(len(table)) % 8]
    setting = own_tasks_setting(table, vectors, Split(), told=newer_facts("reasoninggym"))
    scores = {SINGLE_BEST: np.tile(setting.aptitude, (len(setting.instructions), 1))}
    (steps, covered), figures = newer([setting], lambda _: scores)
    assert steps.title == "reasoninggym: mean over 8 steps, 2024-10 to 2025-04"
    assert {row[0] for row in steps.rows} == {SINGLE_BEST, ORACLE}
    closed = [id_ for id_, known in NEWER["reasoninggym"].items() if known.params_b is None]
    assert any(covered.title == f"reasoninggym: small models (under {ONE_GPU_B:g}B) against {id_}" for id_ in closed)
    assert len(covered.rows) == 3
    assert [figure.name for figure in figures] == ["releases-reasoninggym", "coverage-reasoninggym"]
