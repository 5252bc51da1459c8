"""EmbedLLM: a row for every model and question becomes an outcome; the texts may stand elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from cit_core.aptitude.importers.embedllm import import_embedllm
from cit_core.errors import InvalidInput
from cit_core.store import CapabilityStore

HEADER = "prompt_id,model_id,category_id,label,prompt,model_name,category\n"
ROWS = '7,0,3,1,"Why, ""then""?",org/a,mmlu_law\n7,1,3,0,"Why, ""then""?",b,mmlu_law\n8,0,4,1.0,What?,org/a,piqa\n'


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_labels_become_outcomes(store: CapabilityStore, tmp_path: Path) -> None:
    assert import_embedllm([write(tmp_path / "train.csv", HEADER + ROWS)], store).new == 3
    assert store.measured("org/a", "embedllm:train.csv") == {"embedllm/7", "embedllm/8"}
    assert [(r.task.id, r.accuracy) for r in store.capability("b").results] == [("mmlu_law", 0.0)]
    assert [(item.task, item.instruction) for item in store.items()] == [
        ("mmlu_law", 'Why, "then"?'),
        ("piqa", "What?"),
    ]


def test_texts_may_come_from_the_order_of_the_questions(store: CapabilityStore, tmp_path: Path) -> None:
    bare = write(tmp_path / "val.csv", "prompt_id,model_name,label\n7,a,1\n8,a,0\n")
    questions = write(tmp_path / "question_order.csv", 'prompt_id,prompt\n8,What?\n7,"Why,\nthen?"\n')
    assert import_embedllm([bare], store, questions=questions).new == 2
    texts = {item.id: (item.task, item.instruction) for item in store.items()}
    assert texts == {"embedllm/7": ("unassigned", "Why,\nthen?"), "embedllm/8": ("unassigned", "What?")}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("9,0,3,2,x,a,piqa", "correct: input should be less than or equal to 1"),
        ("9,0,3,,x,a,piqa", "has no label"),
        ("9,0,3,1,x, ,piqa", "has no model_name"),
        ("8,0,3,1,Another?,a,piqa", "item 'embedllm/8' has another instruction here"),
        ("8,0,3,0,What?,org/a,piqa", "correct=0, but an earlier row says 1"),
        ("9,0,3", "has 3 fields and the header 7"),
    ],
)
def test_bad_rows(store: CapabilityStore, tmp_path: Path, line: str, says: str) -> None:
    path = write(tmp_path / "test.csv", f"{HEADER}{ROWS}{line}\n")
    with pytest.raises(InvalidInput, match="nothing was imported") as caught:
        import_embedllm([path], store)
    assert str(caught.value).startswith(f"{path}:5: ")
    assert says in str(caught.value)
    assert store.version == 0
    assert import_embedllm([path], store, skip_bad=True).new == 3


def test_tables_of_something_else(store: CapabilityStore, tmp_path: Path) -> None:
    good = write(tmp_path / "good.csv", HEADER + ROWS)
    for name, text, says in (
        ("model_order.csv", "model_id,model_name\n0,a\n", "no column prompt_id, label among model_id, model_name"),
        ("test.csv", HEADER, "has no rows; it needs the columns prompt_id, model_name, label"),
    ):
        with pytest.raises(InvalidInput, match=says):
            import_embedllm([write(tmp_path / name, text)], store)
    with pytest.raises(InvalidInput, match="no column prompt among prompt_id"):
        import_embedllm([good], store, questions=write(tmp_path / "q.csv", "prompt_id\n7\n"))
    assert store.version == 0
