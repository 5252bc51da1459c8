"""Table 1: tasks of logs under the paper's names, zoos by size, and a mean over datasets rather than questions."""

from __future__ import annotations

import numpy as np
import pytest
from bench_tables import log_table

from cit_core.evaluate.comparison import SINGLE_BEST
from cit_core.evaluate.experiments.seven_datasets import dataset_of, seven_datasets
from cit_core.evaluate.log_settings import own_tasks_setting
from cit_core.evaluate.results import Table
from cit_core.evaluate.setting import Setting
from cit_core.outcomes import Split

MODELS = ("a-1.3b", "b-3b", "c-7b", "d-7b", "e-8b", "f-9b", "g-14b", "mix-8x22b", "h-70b", "i-72b")


@pytest.mark.parametrize(
    ("task", "dataset"),
    [
        ("mmlu_anatomy", "MMLU"),
        ("harness|hendrycksTest-anatomy|5", "MMLU"),
        ("harness|arc:challenge|25", "ARC-C"),
        ("harness|truthfulqa:mc|0", "TruthfulQA"),
        ("truthfulqa_mc2", "TruthfulQA"),
        ("winogrande", "WinoGrande"),
        ("glue_mnli", "MNLI"),
        ("mnli_mismatch", "MNLI"),
        ("leaderboard_mmlu_pro", "leaderboard_mmlu_pro"),
        ("arc_easy", "arc_easy"),
    ],
)
def test_tasks_have_the_papers_names(task: str, dataset: str) -> None:
    assert dataset_of(task) == dataset


@pytest.fixture(scope="module")
def setting() -> Setting:
    table = log_table(models=MODELS, items=400)
    return own_tasks_setting(table, np.eye(len(table.item_ids), 8, dtype=np.float32), Split())


@pytest.fixture(scope="module")
def tables(setting: Setting) -> tuple[Table, ...]:
    level = np.tile(setting.aptitude, (len(setting.instructions), 1))
    return seven_datasets([setting], {setting.name: {SINGLE_BEST: level, "truth": setting.correct_NK}})


def test_zoos_are_the_papers_by_sizes_read_off_names(tables: tuple[Table, ...]) -> None:
    models = {
        table.title.rpartition(": ")[2].partition(",")[0]: table.note.rpartition("Models: ")[2] for table in tables
    }
    assert list(models) == ["smaller-scale", "smaller-mixed", "middle-mixed", "larger-mixed", "high-performance", "all"]
    assert models["high-performance"] == "h-70b, i-72b, mix-8x22b."
    assert "g-14b" in models["middle-mixed"]
    assert "h-70b" not in models["middle-mixed"]


def test_the_mean_is_over_datasets(setting: Setting, tables: tuple[Table, ...]) -> None:
    everyone = tables[-1]
    groups = np.array(setting.groups)
    by_dataset = [100.0 * setting.correct_NK[groups == group].max(axis=1).mean() for group in sorted(set(groups))]
    (truth,) = [row for row in everyone.rows if row[0] == "truth"]
    assert list(truth[1:-2]) == pytest.approx(by_dataset)
    assert truth[-2][0] == pytest.approx(np.mean(by_dataset))  # type: ignore[index]
    (oracle,) = [row for row in everyone.rows if row[0] == "oracle"]
    assert oracle[1:-2] == truth[1:-2]
    assert "of the paper's seven: none" in everyone.note
