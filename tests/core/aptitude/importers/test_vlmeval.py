"""Result sheets of VLMEvalKit become outcomes: by their verdict, or else by the option that the prediction names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from excel_sheets import write_sheet

from cit_core.aptitude.importers.vlmeval import import_vlmeval
from cit_core.errors import InvalidInput
from cit_core.store import CapabilityStore

ASKED = {"question": "Which food web member is a plant?", "A": "hawk", "B": "grass", "C": 3, "answer": "B"}
ROWS: list[dict[str, Any]] = [
    {"index": 1, **ASKED, "category": "foodWeb", "split": "test", "prediction": "The answer is B.", "hit": 1},
    {"index": 2, **ASKED, "hint": "Look.", "category": "foodWeb", "split": "val", "prediction": "A", "hit": 0},
    {"index": 1_000_001, **ASKED, "category": "foodWeb", "split": "test", "prediction": "C", "hit": 0},
]


def outcomes(store: CapabilityStore) -> dict[tuple[str, str], float]:
    return {(one.candidate, one.item): one.correct for one in store.outcomes()}


@pytest.mark.parametrize(
    ("name", "model", "exam"),
    [
        ("Qwen2-VL-7B_AI2D_TEST_openai_result.xlsx", "Qwen2-VL-7B", "AI2D_TEST"),
        ("InternVL2_5-8B_CCBench_exact_matching_result.xlsx", "InternVL2_5-8B", "CCBench"),
        ("GPT4o_MMMU_DEV_VAL.xlsx", "GPT4o", "MMMU_DEV_VAL"),
        ("my_model/my_model_OwnBench_gpt-4o-mini_score.xlsx", "my_model", "OwnBench"),
    ],
)
def test_the_name_of_a_sheet_tells_model_and_benchmark(
    store: CapabilityStore, tmp_path: Path, name: str, model: str, exam: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    import_vlmeval([write_sheet(tmp_path / name, ROWS)], store)
    assert outcomes(store) == {(model, f"{exam}/1"): 1.0, (model, f"{exam}/2"): 0.0}
    items = {item.id: item for item in store.items()}
    told = items[f"{exam}/1"]
    assert (told.task, told.options, told.answer) == (f"{exam}/foodWeb", ("hawk", "grass", "3"), "B")
    assert told.instruction == f"{ASKED['question']}\n(A) hawk\n(B) grass\n(C) 3"
    assert str(items[f"{exam}/2"].instruction).startswith("Look.\n")


def test_a_sheet_without_a_verdict_is_graded_by_its_options(store: CapabilityStore, tmp_path: Path) -> None:
    raw = [{name: value for name, value in row.items() if name != "hit"} for row in ROWS[:2]]
    raw.append({"index": 3, "question": "Is it red?", "answer": "Yes", "prediction": "Yes, it is."})
    raw.append({"index": 4, "question": "Describe it.", "answer": "a cat", "prediction": "cat"})
    path = write_sheet(tmp_path / "m_AI2D_TEST.xlsx", raw)
    with pytest.raises(InvalidInput, match="no verdict"):
        import_vlmeval([path], store)
    report = import_vlmeval([path], store, skip_bad=True)
    assert (report.new, report.refused_count) == (3, 1)
    assert [*outcomes(store).values()] == [1.0, 0.0, 1.0]


def test_one_split_alone_names_of_ones_own_and_csv(store: CapabilityStore, tmp_path: Path) -> None:
    import_vlmeval([write_sheet(tmp_path / "x.xlsx", ROWS)], store, model="m", benchmark="MMMU_DEV_VAL", split="val")
    assert outcomes(store) == {("m", "MMMU_DEV_VAL/2"): 0.0}
    (tmp_path / "n_CCBench.csv").write_text("index,question,hit\n1,q?,True\n")
    import_vlmeval([tmp_path / "n_CCBench.csv"], store)
    assert outcomes(store)["n", "CCBench/1"] == 1.0
    with pytest.raises(InvalidInput, match="--benchmark NAME"):
        import_vlmeval([write_sheet(tmp_path / "x.xlsx", ROWS)], store)
