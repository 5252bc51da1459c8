"""Records are frozen, refuse what is not valid in one line that names the field, and travel as JSON and as pickles."""

import math
import pickle
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from cit_core.errors import InvalidInput
from cit_core.records import (
    Candidate,
    Capability,
    Decision,
    Item,
    Outcome,
    Ranked,
    Suite,
    Task,
    TaskResult,
    require_unique,
)

LAW, MATH = Task(id="law", keywords=("contracts", "torts")), Task(id="math", keywords=("algebra",))
RECORDS: list[BaseModel] = [
    Candidate(id="m", context_window=8192, price_in=0.5, price_out=1.5, modalities=("text",), released="2024-05-13"),
    LAW,
    Item(id="i", task="law", instruction="Is there a contract?", options=("yes", "no"), answer="yes"),
    Outcome(candidate="m", item="i", correct=0.5, source="s", when="2024-05-13T12:00:00Z", cost_usd=0.01),
    Suite(name="s", tasks=(LAW, MATH), items={"law": ("i", "j"), "math": ()}),
    Capability(candidate=Candidate(id="m"), results=(TaskResult(task=LAW, accuracy=0.75, count=20),)),
    Decision(
        model="m",
        probability=0.75,
        ranking=(Ranked(model="m", probability=0.75, expected_cost_usd=0.001, utility=0.75),),
        excluded={"n": "denied"},
        policy="best",
        scorer="fake",
        latency_ms=1.25,
        warnings=("careful",),
    ),
]
each_record = pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)


def capability(*results: tuple[Task, float, int], notes: str = "") -> Capability:
    lines = tuple(TaskResult(task=task, accuracy=accuracy, count=count) for task, accuracy, count in results)
    return Capability(candidate=Candidate(id="m", notes=notes), results=lines)


# -- all records ------------------------------------------------------------------------------------------------------


@each_record
def test_a_record_is_frozen(record: BaseModel) -> None:
    for name in type(record).model_fields:
        with pytest.raises(ValueError, match="frozen"):
            setattr(record, name, getattr(record, name))
    with pytest.raises(ValueError, match="frozen"):
        record.brand_new = 1  # type: ignore[attr-defined]


@each_record
def test_a_record_survives_json_and_pickling(record: BaseModel) -> None:
    assert type(record).model_validate_json(record.model_dump_json()) == record
    assert type(record)(**record.model_dump(mode="json")) == record
    assert pickle.loads(pickle.dumps(record)) == record


@pytest.mark.parametrize("record", RECORDS[:4] + RECORDS[5:6], ids=lambda record: type(record).__name__)
def test_a_record_without_a_mapping_can_be_a_key(record: BaseModel) -> None:
    assert {record: 1}[type(record).model_validate_json(record.model_dump_json())] == 1


@each_record
def test_a_misspelt_field_is_refused_by_name(record: BaseModel) -> None:
    with pytest.raises(InvalidInput, match="colour: there is no such field; closest: "):
        type(record)(**record.model_dump(), colour="red")


def test_an_error_is_ours_and_one_line_whichever_way_the_record_is_made() -> None:
    expected = r"^Candidate '' is not valid: id: string should have at least 1 character \(got ''\)$"
    with pytest.raises(InvalidInput, match=expected):
        Candidate(id="")
    with pytest.raises(InvalidInput, match=expected):
        Candidate.model_validate({"id": ""})
    with pytest.raises(InvalidInput, match=expected):
        Candidate.model_validate_json('{"id": ""}')
    with pytest.raises(InvalidInput, match="Candidate is not valid: record: invalid JSON"):
        Candidate.model_validate_json("{")
    with pytest.raises(InvalidInput, match="valid dictionary or instance of Candidate"):
        Candidate.model_validate(3)


def test_an_error_inside_a_record_keeps_its_own_words() -> None:
    line = {"task": {"id": "Law", "keywords": ["x"]}, "accuracy": 1.5, "count": 20}
    with pytest.raises(InvalidInput) as caught:
        Capability(candidate=Candidate(id="m"), results=[line])
    assert str(caught.value) == (
        "Capability is not valid: results.0: TaskResult is not valid: "
        "accuracy: input should be less than or equal to 1 (got 1.5)"
    )


def test_what_came_is_cut_in_the_message() -> None:
    with pytest.raises(InvalidInput) as caught:
        Candidate(id="x" * 100_000)
    assert len(str(caught.value)) < 300


def test_a_copy_with_other_values_carries_nothing_that_was_computed_from_the_old_ones() -> None:
    before = capability((LAW, 0.5, 20))
    seen = before.text, before.fingerprint, before.mean_accuracy
    after = before.model_copy(update={"results": (TaskResult(task=LAW, accuracy=0.9, count=20),)})
    assert after.mean_accuracy == 0.9
    assert "90.0%" in after.text
    assert after.fingerprint == capability((LAW, 0.9, 20)).fingerprint != before.fingerprint
    assert seen == (before.text, before.fingerprint, before.mean_accuracy)
    assert before.model_copy() == before


# -- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Candidate(id=""), "id"),
        (lambda: Candidate(id=None), "id"),
        (lambda: Candidate(id="m", price_in=-0.1), "price_in"),
        (lambda: Candidate(id="m", price_out=math.nan), "price_out"),
        (lambda: Candidate(id="m", price_out=math.inf), "price_out"),
        (lambda: Candidate(id="m", context_window=0), "context_window"),
        (lambda: Candidate(id="m", params_b=0), "params_b"),
        (lambda: Candidate(id="m", modalities="text"), "modalities"),
        (lambda: Candidate(id="m", released="soon"), "released"),
        (lambda: Task(id="t", keywords=()), "keywords"),
        (lambda: Task(id="t", keywords=("",)), "keywords.0"),
        (lambda: Task(id="t", keywords=("k",) * 11), "keywords"),
        (lambda: TaskResult(task=LAW, accuracy=-0.01, count=1), "accuracy"),
        (lambda: TaskResult(task=LAW, accuracy=1.01, count=1), "accuracy"),
        (lambda: TaskResult(task=LAW, accuracy=math.nan, count=1), "accuracy"),
        (lambda: TaskResult(task=LAW, accuracy=0.5, count=0), "count"),
        (lambda: TaskResult(task=LAW, accuracy=0.5, count=-3), "count"),
        (lambda: TaskResult(task=LAW, accuracy=0.5, count=2.5), "count"),
        (lambda: TaskResult(task=LAW, accuracy=0.5, count=math.nan), "count"),
        (lambda: Outcome(candidate="m", item="i", correct=math.nan, source="s"), "correct"),
        (lambda: Outcome(candidate="m", item="i", correct=2, source="s"), "correct"),
        (lambda: Outcome(candidate="m", item="i", correct=1, source=""), "source"),
        (lambda: Outcome(candidate="m", item="i", correct=1, source="s", latency_s=-1), "latency_s"),
        (lambda: Outcome(candidate="m", item="i", correct=1, source="s", prompt_tokens=-1), "prompt_tokens"),
        (lambda: Outcome(candidate="m", item="i", correct=1, source="s", when=datetime(2024, 5, 13)), "when"),
        (lambda: Decision(model="m", probability=0.5, ranking=(), policy="best", scorer="s"), "ranking"),
    ],
)
def test_a_bad_value_is_refused_with_the_name_of_its_field(make: Any, field: str) -> None:
    with pytest.raises(InvalidInput, match=rf"not valid: {field}: .*\(got "):
        make()


def test_the_same_id_twice_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="duplicate candidate ids: 'a', 'b'; each id may come once"):
        require_unique(["b", "a", "c", "b", "a", "b"], "candidate ids")
    twice = Task(id="Law", keywords=("x",)), Task(id="Law", keywords=("y",))
    with pytest.raises(InvalidInput, match="duplicate task ids: 'Law'"):
        Suite(name="s", tasks=twice, items={"Law": ()})
    with pytest.raises(InvalidInput, match="duplicate items of task 'law': 'I'"):
        Suite(name="s", tasks=(LAW,), items={"law": ("I", "j", "I")})
    with pytest.raises(InvalidInput, match="duplicate tasks in the capability of 'm': 'law'"):
        capability((LAW, 0.5, 1), (MATH, 0.5, 1), (LAW, 0.6, 2))


@given(st.lists(st.text()))
def test_unique_ids_pass_and_others_do_not(ids: list[str]) -> None:
    if len(set(ids)) == len(ids):
        require_unique(ids, "ids")
    else:
        with pytest.raises(InvalidInput):
            require_unique(ids, "ids")


def test_a_suite_lists_items_for_exactly_its_tasks_and_gives_them_in_order() -> None:
    assert Suite(name="s", tasks=(MATH, LAW), items={"law": ("c", "a"), "math": ("b",)}).item_ids == ("b", "c", "a")
    for items in ({"law": ()}, {"law": (), "math": (), "art": ()}):
        with pytest.raises(InvalidInput, match="exactly the suite's tasks"):
            Suite(name="s", tasks=(LAW, MATH), items=items)


def test_an_outcome_is_in_utc_and_dated_now_unless_told() -> None:
    noon = datetime(2024, 5, 13, 12, tzinfo=timezone(timedelta(hours=2)))
    told = Outcome(candidate="m", item="i", correct=1, source="s", when=noon)
    assert told.when == noon
    assert told.when.tzinfo == timezone.utc
    now = Outcome(candidate="m", item="i", correct=1, source="s").when
    assert abs(datetime.now(timezone.utc) - now) < timedelta(minutes=1)


# -- capability -------------------------------------------------------------------------------------------------------


def test_the_text_is_that_of_the_paper() -> None:
    assert capability((LAW, 0.853, 20), (MATH, 0.35, 20), notes="Speaks French.").text == (
        'The model achieves accuracy 85.3% on the task of "contracts, torts", accuracy 35.0% on the task of "algebra".'
        " Speaks French."
    )
    assert capability().text == "The model was not measured."
    assert math.isnan(capability().mean_accuracy)
    assert capability((LAW, 0.5, 1), (MATH, 1.0, 99)).mean_accuracy == 0.75, "each task counts once"


words = st.text(min_size=1, max_size=8)
lines = st.lists(
    st.tuples(
        st.builds(Task, id=words, keywords=st.lists(words, min_size=1, max_size=3)), st.floats(0, 1), st.integers(1, 99)
    ),
    max_size=5,
    unique_by=lambda line: line[0].id,
)


@given(lines, words, st.randoms(use_true_random=False))
def test_the_fingerprint_does_not_depend_on_order(
    results: list[tuple[Task, float, int]], notes: str, random: Any
) -> None:
    shuffled = random.sample(results, len(results))
    assert capability(*shuffled, notes=notes).fingerprint == capability(*results, notes=notes).fingerprint


@given(lines, lines, words, words)
def test_equal_fingerprints_mean_that_a_scorer_reads_the_same(
    some: list[tuple[Task, float, int]], others: list[tuple[Task, float, int]], some_notes: str, other_notes: str
) -> None:
    def read(results: list[tuple[Task, float, int]], notes: str) -> tuple[Any, ...]:
        return notes, sorted((task.description, accuracy, count) for task, accuracy, count in results)

    same = capability(*some, notes=some_notes).fingerprint == capability(*others, notes=other_notes).fingerprint
    assert same == (read(some, some_notes) == read(others, other_notes))


@given(lines.filter(bool), st.data())
def test_the_fingerprint_changes_with_every_number(results: list[tuple[Task, float, int]], data: Any) -> None:
    place = data.draw(st.integers(0, len(results) - 1))
    task, accuracy, count = results[place]
    another = Task(id="longer than any word", keywords=("longer than any word",))
    other = math.nextafter(accuracy, 1 - round(accuracy))
    original = capability(*results).fingerprint
    for changed in ((task, other, count), (task, accuracy, count + 1), (another, accuracy, count)):
        assert capability(*results[:place], changed, *results[place + 1 :]).fingerprint != original
    assert capability(*results[:place], *results[place + 1 :]).fingerprint != original
    assert capability(*results, notes="new").fingerprint != original


def test_notes_cannot_pass_for_a_result() -> None:
    assert capability((MATH, 0.5, 3)).fingerprint != capability(notes="\nalgebra\t0.5\t3").fingerprint


def test_the_same_numbers_from_numpy_have_the_same_fingerprint() -> None:
    numbers: Any = np.float64(0.25), np.int64(4)
    assert capability((LAW, *numbers)).fingerprint == capability((LAW, 0.25, 4)).fingerprint
    assert capability((LAW, -0.0, 4)).fingerprint == capability((LAW, 0.0, 4)).fingerprint


# -- decision ---------------------------------------------------------------------------------------------------------


def test_a_decision_computes_its_own_numbers() -> None:
    ranking = tuple(
        Ranked(model=f"m{n}", probability=0.9 - n / 10, expected_cost_usd=cost, utility=0.9 - n / 10)
        for n, cost in enumerate([0.001, None, 0.003])
    )
    decision = Decision(model="m0", probability=0.9, ranking=ranking, policy="best", scorer="fake")
    assert decision.scores == pytest.approx({"m0": 0.9, "m1": 0.8, "m2": 0.7})
    assert list(decision.scores) == ["m0", "m1", "m2"]
    assert decision.expected_cost_usd == 0.001


def test_a_decision_explains_itself() -> None:
    ranking = tuple(
        Ranked(model=f"m{n}", probability=(9 - n) / 10, expected_cost_usd=0.001 if n == 0 else None, utility=0.5)
        for n in range(7)
    )
    decision = Decision(
        model="m0",
        probability=0.9,
        ranking=ranking,
        excluded={"x": "denied"},
        policy="threshold:0.7",
        scorer="mini",
        warnings=("too long",),
    )
    assert decision.explain(top=2).splitlines() == [
        "m0: 90.0% likely to get this right (policy threshold:0.7, mini)",
        "  1. m0  90.0%  about $0.001000",
        "  2. m1  80.0%",
        "  … and 5 more",
        "  not considered: x (denied)",
        "  warning: too long",
    ]
    assert "more" not in decision.explain(top=7)


def test_a_digest_is_of_what_is_asked_and_what_is_right() -> None:
    item = Item(id="a", task="t", instruction="Which? \ud83d", options=("x", "y"), answer="B")
    assert item.digest == item.model_copy(update={"id": "b", "task": "u", "assigned": True}).digest
    others = [{"instruction": "Which"}, {"options": ("y", "x")}, {"options": ("xy",)}, {"answer": "A"}]
    assert len({item.digest, *(item.model_copy(update=other).digest for other in others)}) == 5
    assert len(item.digest) == 16


def test_a_suite_has_hashes_of_all_its_items_or_of_none() -> None:
    task = Task(id="t", keywords=("k",))
    assert Suite(name="s", tasks=(task,), items={"t": ("a", "b")}, hashes={"a": "1", "b": "2"}).hashes["b"] == "2"
    with pytest.raises(InvalidInput, match="for all of the suite's items or for none"):
        Suite(name="s", tasks=(task,), items={"t": ("a", "b")}, hashes={"a": "1"})
