"""RouterBench: a wide table, as CSV or pickled, becomes an outcome for every model that was measured."""

from __future__ import annotations

import csv
import math
import pickle
from pathlib import Path
from typing import Any

import pytest

from cit_core.aptitude.importers.routerbench import import_routerbench
from cit_core.errors import InvalidInput
from cit_core.store import CapabilityStore

ROWS: list[dict[str, Any]] = [
    {
        "sample_id": "mmlu-law.val.1",
        "prompt": "['May I?']",
        "eval_name": "mmlu-law",
        "org/m": 1.0,
        "m2": 0.25,
        "org/m|model_response": "['Yes.']",
        "m2|model_response": "['No.']",
        "oracle_model_to_route_to": "org/m",
        "org/m|total_cost": 0.001,
        "m2|total_cost": 0.5,
    },
    {
        "sample_id": "mtbench.2",
        "prompt": "['First?', 'And \"then\"?']",
        "eval_name": "mtbench",
        "org/m": math.nan,
        "m2": 1.0,
        "org/m|model_response": "nan",
        "m2|model_response": "['So.']",
        "oracle_model_to_route_to": "m2",
        "org/m|total_cost": math.nan,
        "m2|total_cost": math.nan,
    },
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """As pandas writes it: what is not known is NaN in a pickle, and empty in CSV."""
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows({name: "" if value != value else value for name, value in row.items()} for row in rows)
    else:
        pandas = pytest.importorskip("pandas", reason="pip install pandas")
        frame = pandas.DataFrame(rows, dtype=object).astype({"m2": float, "org/m|total_cost": float})
        frame.columns = pandas.Index(list(frame.columns), dtype=object)
        path.write_bytes(pickle.dumps(frame))
    return path


@pytest.mark.parametrize("end", ["csv", "pkl"])
def test_a_wide_table_becomes_outcomes(store: CapabilityStore, tmp_path: Path, end: str) -> None:
    path = write(tmp_path / f"routerbench_0shot.{end}", ROWS)
    assert import_routerbench([path], store).new == 3, "what is not measured is absent, not wrong"
    assert [candidate.id for candidate in store.candidates()] == ["org/m", "m2"]
    assert store.measured("org/m", f"routerbench:{path.name}") == {"routerbench/mmlu-law.val.1"}
    assert [(r.task.id, r.accuracy) for r in store.capability("m2").results] == [("mmlu-law", 0.25), ("mtbench", 1.0)]
    assert store.capability("m2").usage.cost_usd == 0.5, "a cost that is not known does not count"
    assert [item.instruction for item in store.items()] == ["May I?", 'First?\n\nAnd "then"?']


@pytest.mark.parametrize(
    ("prompt", "instruction"),
    [
        ("plain", "plain"),
        ("[not a list", "[not a list"),
        ("[1, 2]", "[1, 2]"),
        ("[" * 5000, "[" * 5000),
        ("[__import__('os')]", "[__import__('os')]"),
        ("['a'] ['b']", "['a'] ['b']"),
    ],
)
def test_a_prompt_that_is_no_list_stays_as_it_is(
    store: CapabilityStore, tmp_path: Path, prompt: str, instruction: str
) -> None:
    import_routerbench([write(tmp_path / "r.csv", [{**ROWS[0], "prompt": prompt}])], store)
    assert store.items()[0].instruction == instruction


@pytest.mark.parametrize(
    ("change", "says", "left"),
    [
        ({"sample_id": ""}, "has no sample_id", 2),
        ({"prompt": " "}, "has no prompt", 2),
        ({"m2": "good"}, "correct: input should be a valid number", 2),
        ({"m2": 1.5}, "correct: input should be less than or equal to 1", 2),
        ({"m2": 0.0, "m2|total_cost": -1}, "cost_usd: input should be greater than or equal to 0", 2),
        ({"sample_id": "mmlu-law.val.1", "prompt": "['May I?']"}, "has task 'mtbench' here and 'mmlu-law' before", 2),
    ],
)
def test_bad_rows(store: CapabilityStore, tmp_path: Path, change: dict[str, Any], says: str, left: int) -> None:
    path = write(tmp_path / "r.csv", [ROWS[0], ROWS[1] | change])
    with pytest.raises(InvalidInput, match="nothing was imported") as caught:
        import_routerbench([path], store)
    assert str(caught.value).startswith(f"{path}:3: ")
    assert says in str(caught.value)
    assert store.version == 0
    report = import_routerbench([path], store, skip_bad=True)
    assert (report.new, report.refused_count) == (left, 1)


@pytest.mark.parametrize("end", ["csv", "pkl"])
@pytest.mark.parametrize(
    ("lacks", "says"),
    [(("eval_name",), "no column eval_name among sample_id"), (("m2", "org/m"), "has no model: a model M needs")],
)
def test_a_table_of_something_else(
    store: CapabilityStore, tmp_path: Path, end: str, lacks: tuple[str, ...], says: str
) -> None:
    rows = [{name: value for name, value in row.items() if name not in lacks} for row in ROWS]
    if end == "csv":
        path = write(tmp_path / "r.csv", rows)
    else:
        pandas = pytest.importorskip("pandas", reason="pip install pandas")
        frame = pandas.DataFrame(rows, dtype=object)
        frame.columns = pandas.Index(list(frame.columns), dtype=object)
        (path := tmp_path / "r.pkl").write_bytes(pickle.dumps(frame))
    with pytest.raises(InvalidInput, match=says):
        import_routerbench([path], store)


def test_a_pickle_without_rows(store: CapabilityStore, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pip install pandas")
    frame = pandas.DataFrame(ROWS, dtype=object).iloc[:0]
    frame.columns = pandas.Index(list(frame.columns), dtype=object)
    (path := tmp_path / "r.pkl").write_bytes(pickle.dumps(frame))
    with pytest.raises(InvalidInput, match=r"r\.pkl has no rows"):
        import_routerbench([path], store)


def test_a_pickle_that_would_run_something(store: CapabilityStore, tmp_path: Path) -> None:
    """How it is refused is proved in test_importers_frames.py."""
    (path := tmp_path / "r.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(InvalidInput, match=r"r\.pkl: the pickle names os\.system"):
        import_routerbench([path], store, skip_bad=True)
    assert store.version == 0
