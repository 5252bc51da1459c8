"""Samples of lm-evaluation-harness: which line counts, who answered, what was asked and whether it was right."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cit_core.aptitude.importers.lm_eval import METRICS, import_lm_eval
from cit_core.errors import InvalidInput
from cit_core.store import CapabilityStore

TIME = "2024-06-16T18-51-46.123456"


def sample(number: int, correct: float, **others: Any) -> dict[str, Any]:
    """A line as version 0.4.3 and newer of the harness writes it."""
    return {
        "doc_id": number,
        "doc": {"question": f"What is {number}+1?", "answer": f"#### {number + 1}"},
        "target": f"#### {number + 1}",
        "arguments": {"gen_args_0": {"arg_0": f"Q: 0+0?\nA: 0\n\nQ: {number}+1?\nA:", "arg_1": {"until": ["Q:"]}}},
        "resps": [[f"It is {number + 1}."]],
        "filtered_resps": [f"{number + 1}"],
        "filter": "strict-match",
        "metrics": ["exact_match"],
        "doc_hash": f"{number:064x}",
        "prompt_hash": "p" * 64,
        "target_hash": "t" * 64,
        "exact_match": correct,
        **others,
    }


def write(folder: Path, lines: Sequence[Mapping[str, Any]], name: str = f"samples_gsm8k_{TIME}.jsonl") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    elif path.suffix == ".json":  # before version 0.4.3
        path.write_text(json.dumps(list(lines), indent=2), encoding="utf-8")
    else:
        arrow = pytest.importorskip("pyarrow", reason="pip install 'cit-router[data]'")
        pytest.importorskip("pyarrow.parquet").write_table(
            arrow.Table.from_pylist([dict(line) for line in lines]), path
        )
    return path


def outcomes(store: CapabilityStore, model: str = "org/model") -> dict[str, float]:
    return {result.task.id: result.accuracy for result in store.capability(model).results}


@pytest.mark.parametrize("end", ["jsonl", "json", "parquet"])
def test_samples_become_outcomes(store: CapabilityStore, tmp_path: Path, end: str) -> None:
    path = write(tmp_path / "org__model", [sample(1, 1.0), sample(2, 0.0)], f"samples_gsm8k_{TIME}.{end}")
    assert import_lm_eval([path], store).new == 2
    assert outcomes(store) == {"gsm8k": 0.5}
    assert [(item.id, item.task, item.instruction) for item in store.items()] == [
        (f"gsm8k/{number:064x}", "gsm8k", f"What is {number}+1?") for number in (1, 2)
    ]
    assert len(store.measured("org/model", f"lm-eval:{path.name}")) == 2


def test_another_run_of_another_model_meets_the_same_items(store: CapabilityStore, tmp_path: Path) -> None:
    """Whatever the order and the number of the documents: their hash says which is which."""
    one = write(tmp_path / "a__one", [sample(1, 1.0), sample(2, 0.0)])
    two = write(tmp_path / "a__two", [sample(2, 1.0, doc_id=0)], "samples_gsm8k_2025-01-02T03-04-05.jsonl")
    assert import_lm_eval([one, two], store).new == 3
    assert store.measured("a/two") == {f"gsm8k/{2:064x}"}
    assert len(store.items()) == 2


def test_one_filter_counts(store: CapabilityStore, tmp_path: Path) -> None:
    """Newer files have all of one filter and then all of the next, older ones have them in turn."""
    strict = [sample(number, 0.0) for number in (1, 2)]
    flexible = [sample(number, 1.0, filter="flexible-extract") for number in (1, 2)]
    blocks = write(tmp_path / "o__blocks", [*strict, *flexible])
    turns = write(tmp_path / "o__turns", [flexible[0], strict[0], flexible[1], strict[1]])
    assert import_lm_eval([blocks, turns], store).new == 4
    assert (outcomes(store, "o/blocks"), outcomes(store, "o/turns")) == ({"gsm8k": 0.0}, {"gsm8k": 1.0})
    import_lm_eval([blocks], store, filter_="flexible-extract", source="flexible")
    assert outcomes(store, "o/blocks") == {"gsm8k": 0.5}, "the mean over sources"
    with pytest.raises(InvalidInput, match=r"nothing of the filter 'lax'; it has 'strict-match', 'flexible-extract'"):
        import_lm_eval([blocks], store, filter_="lax")


def test_a_line_without_a_filter_is_of_the_filter_none(store: CapabilityStore, tmp_path: Path) -> None:
    path = write(tmp_path / "org__model", [sample(1, 1.0, filter=None), sample(2, 0.0, filter="none")])
    assert import_lm_eval([path], store).new == 2


@pytest.mark.parametrize(
    ("scores", "metric", "correct"),
    [
        ({"acc": 0.0, "acc_norm": 1.0}, None, 1.0),
        ({"acc": 1.0, "f1": 0.3}, None, 1.0),
        ({"exact_match": 0.0, "math_verify": 1.0}, None, 0.0),
        ({"exact_match": 0.0, "math_verify": 1.0}, "math_verify", 1.0),
        ({"prompt_level_strict_acc": True, "inst_level_strict_acc": [True, False]}, None, 1.0),
        ({"f1": 0.25}, "f1", 0.25),
        ({"pass@1": 1}, None, 1.0),
    ],
)
def test_the_metric_that_counts(
    store: CapabilityStore, tmp_path: Path, scores: dict[str, Any], metric: str | None, correct: float
) -> None:
    line = {**sample(1, 0.0), "metrics": list(scores)}
    del line["exact_match"]
    for folder, named in (("a__new", line), ("a__old", {name: line[name] for name in line if name != "metrics"})):
        import_lm_eval([write(tmp_path / folder, [named | scores])], store, metric=metric)
        assert outcomes(store, folder.replace("__", "/")) == {"gsm8k": correct}


@pytest.mark.parametrize(
    ("scores", "metric", "says"),
    [
        ({"f1": 0.5, "em": 1.0}, None, rf"none of the metrics {', '.join(METRICS)}; it has f1, em \(--metric chooses"),
        ({"acc": 1.0}, "acc_norm", r"no metric 'acc_norm'; it has acc \(--metric"),
        ({"inst_level_strict_acc": [True]}, "inst_level_strict_acc", "it has no numbers"),
        ({"acc": 12.0}, None, "correct: input should be less than or equal to 1"),
        ({"acc": float("nan")}, None, "correct: input should be a finite number"),
    ],
)
def test_a_metric_that_does_not_say_right_or_wrong(
    store: CapabilityStore, tmp_path: Path, scores: dict[str, Any], metric: str | None, says: str
) -> None:
    path = write(tmp_path / "org__model", [{**sample(1, 0.0), "metrics": list(scores), **scores}])
    with pytest.raises(InvalidInput, match=says) as caught:
        import_lm_eval([path], store, metric=metric)
    assert str(caught.value).startswith(f"{path}:1: ")
    assert store.version == 0


def test_who_answered(store: CapabilityStore, tmp_path: Path) -> None:
    """What is given, else the results beside the samples, else the folder."""
    path = write(tmp_path / "org__model__v2", [sample(1, 1.0)])
    import_lm_eval([path], store)
    (path.parent / "results_2020-01-01T00-00-00.000000.json").write_text('{"model_name": "of another run"}')
    (path.parent / f"results_{TIME}.json").write_text('{"model_name": "Org/Model-v2", "results": {}}')
    import_lm_eval([path], store)
    import_lm_eval([path], store, model="mine")
    assert [candidate.id for candidate in store.candidates()] == ["org/model__v2", "Org/Model-v2", "mine"]


@pytest.mark.parametrize("results", [None, "{}", '{"model_name": ""}', "[]"])
def test_nobody_answered(store: CapabilityStore, tmp_path: Path, results: str | None) -> None:
    path = write(tmp_path / "runs", [sample(1, 1.0)])
    if results is not None:
        (path.parent / f"results_{TIME}.json").write_text(results)
    with pytest.raises(InvalidInput, match=r"nothing says which model answered .*pass --model, or model= in Python"):
        import_lm_eval([path], store)


def test_the_task_stands_in_the_name_of_the_file(store: CapabilityStore, tmp_path: Path) -> None:
    folder = tmp_path / "o__m"
    for name in (f"samples_leaderboard_bbh_snarks_{TIME}.jsonl", "samples_mine.jsonl", "samples_a_2024.jsonl"):
        import_lm_eval([write(folder, [sample(1, 1.0)], name)], store)
    assert [task.id for task in store.tasks()] == ["leaderboard_bbh_snarks", "mine", "a_2024"]
    with pytest.raises(InvalidInput, match=r"does not name its task; call it samples_TASK_TIME\.jsonl"):
        import_lm_eval([write(folder, [sample(1, 1.0)], "gsm8k.jsonl")], store)


MMLU = "Which is a noble gas?\n(A) iron\n(B) neon"


@pytest.mark.parametrize(
    ("document", "instruction"),
    [
        ({"question": "Which is a noble gas?", "choices": ["iron", "neon"], "answer": 1}, MMLU),
        ({"Question": "Which is a noble gas?", "options": ["iron", "neon"], "input": "no"}, MMLU),
        ({"question": "Which is a noble gas?", "choices": {"text": ["iron", "neon"], "label": ["A", "B"]}}, MMLU),
        ({"question": "Which is a noble gas?", "choices": "['iron', 'neon']"}, MMLU),
        ({"question": "Why?", "choices": ["the answer"]}, "Why?"),
        ({"question": "Who?", "passage": "Ann came."}, "Ann came.\nWho?"),
        ({"problem": "Solve it.", "level": "Level 5"}, "Solve it."),
        ({"question": " ", "prompt": "Write."}, "Write."),
        ("a document that is a text", "a document that is a text"),
    ],
)
def test_what_a_router_sees(store: CapabilityStore, tmp_path: Path, document: Any, instruction: str) -> None:
    for folder, arguments in (
        ("a__new", {"gen_args_0": {"arg_0": "the prompt that was sent", "arg_1": {}}}),
        ("a__old", [["the prompt that was sent", {}]]),
    ):
        import_lm_eval([write(tmp_path / folder, [sample(1, 1.0, doc=document, arguments=arguments)])], store)
    assert [item.instruction for item in store.items()] == [instruction]


def test_a_question_whose_text_is_not_known(store: CapabilityStore, tmp_path: Path) -> None:
    for number, arguments in enumerate((None, {}, [], [[]], {"gen_args_0": {"arg_0": ["not", "text"]}})):
        path = write(tmp_path / f"a__{number}", [sample(number, 1.0, doc={}, arguments=arguments)])
        import_lm_eval([path], store)
    assert {item.instruction for item in store.items()} == {None}


def test_a_question_that_a_data_set_asks_twice_counts_twice(store: CapabilityStore, tmp_path: Path) -> None:
    twice = [sample(1, 1.0), sample(1, 0.0, doc_id=7)]
    path = write(tmp_path / "org__model", [*twice, *(line | {"filter": "flexible"} for line in twice)])
    for _ in range(2):
        import_lm_eval([path], store)
    assert store.measured("org/model") == {f"gsm8k/{1:064x}", f"gsm8k/{1:064x}#2"}
    assert outcomes(store) == {"gsm8k": 0.5}


def test_details_of_the_first_leaderboard(store: CapabilityStore, tmp_path: Path) -> None:
    """Metrics are nested or not, the question stands in the line, and a folder for the time lies in between."""
    folder = tmp_path / "details_org__model" / "2023-11-05T00_29_27.161865"
    arc = {"example": "Which gas?", "choices": ["iron", "neon"], "metrics": {"acc": 0.0, "acc_norm": 1.0}}
    truthful = {"question": "Is it so?", "choices": ["yes", "no"], "mc1": 0, "mc2": 0.4}
    files = [
        write(folder, [line], f"details_harness|{task}_2023-11-05T00-29-27.161865.parquet")
        for line, task in ((arc, "arc:challenge|25"), (truthful, "truthfulqa:mc|0"))
    ]
    assert import_lm_eval(files, store).new == 2
    assert outcomes(store) == {"harness|arc:challenge|25": 1.0, "harness|truthfulqa:mc|0": 0.0}
    assert [item.instruction for item in store.items()] == [
        "Which gas?\n(A) iron\n(B) neon",
        "Is it so?\n(A) yes\n(B) no",
    ]
    ids = [item.id for item in store.items()]
    import_lm_eval(files[:1], store, model="another")
    assert [item.id for item in store.items()] == ids, "named by their texts, so they are the same in every run"


def test_bad_lines(store: CapabilityStore, tmp_path: Path) -> None:
    """The first line may be bad too: it does not say which filter counts."""
    path = write(tmp_path / "org__model", [sample(1, 1.0), {"acc": 1.0, "filter": "strict-match"}, sample(2, 0.0)])
    path.write_text('["a list"]\n' + path.read_text())
    report = import_lm_eval([path], store, skip_bad=True)
    assert (report.new, report.refused_count) == (2, 2)
    assert report.refused == (
        (f"{path}:1", "is list in JSON; it must be an object"),
        (f"{path}:3", "has no doc_hash, no doc_id and no question"),
    )
