"""MMR-Bench: a wide table becomes an outcome for every model that was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from cit_core.aptitude.importers.mmr_bench import import_mmr_bench
from cit_core.errors import InvalidInput
from cit_core.store import CapabilityStore

TABLE = """dataset_idx,question,answer,GPT-5_prediction,GPT-5_correct,GPT-5_cost,Gemma_correct,Gemma_cost
SEEDBench2_Plus_0,"What, then?",B,B,1,0.01,0.0,0.001
MathVista_7,How many?,3,4,False,0.02,,
"""


@pytest.mark.parametrize("costs", [False, True])
def test_a_table_becomes_outcomes(store: CapabilityStore, tmp_path: Path, costs: bool) -> None:
    path = tmp_path / "MMR_Bench.csv"
    path.write_text(TABLE)
    report = import_mmr_bench([path], store, costs=costs)
    assert report.new == 3
    found = {(one.candidate, one.item): (one.correct, one.cost_usd) for one in store.outcomes()}
    assert found == {
        ("GPT-5", "mmr-bench/SEEDBench2_Plus_0"): (1.0, 0.01 if costs else None),
        ("Gemma", "mmr-bench/SEEDBench2_Plus_0"): (0.0, 0.001 if costs else None),
        ("GPT-5", "mmr-bench/MathVista_7"): (0.0, 0.02 if costs else None),
    }
    assert {item.id: item.task for item in store.items()} == {
        "mmr-bench/SEEDBench2_Plus_0": "SEEDBench2_Plus",
        "mmr-bench/MathVista_7": "MathVista",
    }
    assert import_mmr_bench([path], store, costs=costs).new == 0


def test_a_table_without_models_or_columns_is_refused(store: CapabilityStore, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("dataset_idx,question\nx_1,q\n")
    with pytest.raises(InvalidInput, match="M_correct"):
        import_mmr_bench([path], store)
    path.write_text("question\nq\n")
    with pytest.raises(InvalidInput, match="no column dataset_idx"):
        import_mmr_bench([path], store)
