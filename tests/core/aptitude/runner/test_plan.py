"""What a test asks: sources and keys, the circle's turns, the order, and what is refused before a call is paid."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_suite import suite_of

from cit_core.aptitude.grading import with_options
from cit_core.aptitude.runner.plan import AptitudeTest, settle
from cit_core.errors import InvalidInput
from cit_core.records import Item, Outcome

SUITE, ITEMS = suite_of()
LETTERS = "ABCDEFGHIJ"


def choice(options: int) -> Item:
    texts = tuple(f"option {number}" for number in range(options))
    return Item(id="i", task="t", instruction=with_options("Which?", texts), options=texts, answer="B")


def test_a_plain_test_asks_every_item_once_under_one_source() -> None:
    test = AptitudeTest("me", SUITE, ITEMS)
    assert test.source == "aptitude:small@1:me"
    assert test.turn_sources == ()
    for item in ITEMS:
        (question,) = test.questions(item)
        assert (question.item, question.source) == (item, test.source)
        assert item.instruction is not None
        assert question.prompt.startswith(item.instruction)


def test_keys_are_stable_and_no_two_questions_share_one() -> None:
    tests = [AptitudeTest(who, SUITE, ITEMS, circle) for who in ("me", "you") for circle in (0, 3, 4)]
    keys = [question.key for test in tests for item in ITEMS for question in test.questions(item)]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 64 for key in keys)
    assert keys[0] == hashlib.sha256(b"aptitude:small@1:me\nsums/0").hexdigest(), "in every process"


@given(options=st.integers(2, 10), circle=st.integers(1, 12))
def test_the_turns_of_a_circle_are_spread_evenly_and_begin_with_the_item_itself(options: int, circle: int) -> None:
    item = choice(options)
    questions = AptitudeTest("me", SUITE, ITEMS, circle).questions(item)
    assert questions[0].item == item
    places = [LETTERS.index(question.item.answer or "") for question in questions]
    assert len(places) == len(set(places)) == min(options, circle), "the right option stands elsewhere in every turn"
    rotations = sorted((1 - place) % options for place in places)
    gaps = [later - earlier for earlier, later in zip(rotations, [*rotations[1:], options], strict=True)]
    assert max(gaps) - min(gaps) <= 1
    for turn, question in enumerate(questions):
        assert question.source == f"aptitude:small@1:me:circle{circle}#turn{turn}"
        assert question.item.options[LETTERS.index(question.item.answer or "")] == "option 1"


def test_an_item_without_options_is_asked_once_in_a_circle_too() -> None:
    test = AptitudeTest("me", SUITE, ITEMS, 3)
    assert {item.task: len(test.questions(item)) for item in ITEMS} == {"sums": 1, "letters": 3, "words": 1}
    assert test.questions(ITEMS[0])[0].source == test.source == "aptitude:small@1:me:circle3"


def turn(number: int, correct: float, **took: float | str) -> Outcome:
    return Outcome(candidate="me", item="i", correct=correct, source=f"s#turn{number}", **took)


def test_an_item_is_right_if_every_turn_is_and_says_what_one_query_takes() -> None:
    first = turn(0, 1.0, answer="A", prompt_tokens=10, completion_tokens=2, latency_s=1.0, cost_usd=0.25)
    second = turn(1, 1.0, answer="B", prompt_tokens=10, completion_tokens=4, latency_s=2.0, cost_usd=0.75)
    whole = settle("s", [first, second])
    assert (whole.candidate, whole.item, whole.source, whole.correct) == ("me", "i", "s", 1.0)
    assert (whole.prompt_tokens, whole.completion_tokens, whole.latency_s, whole.cost_usd) == (10, 3, 1.5, 0.5)
    assert whole.answer == "A\n---\nB"
    assert whole.when == second.when
    assert settle("s", [first, turn(1, 0.0)]).correct == 0.0
    silent = settle("s", [turn(0, 1.0)])
    assert (silent.prompt_tokens, silent.completion_tokens, silent.latency_s, silent.cost_usd) == (None,) * 4


def test_the_first_item_of_every_task_comes_before_the_second_of_any() -> None:
    test = AptitudeTest("me", SUITE, ITEMS)
    order = [item.id for item in test.in_turn(ITEMS)]
    assert order[:4] == ["sums/0", "letters/0", "words/0", "sums/1"]
    assert sorted(order) == sorted(item.id for item in ITEMS)
    assert [item.id for item in test.in_turn(ITEMS[8:12])] == ["sums/8", "letters/0", "sums/9", "letters/1"]


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (ITEMS[:-5], r"5 items of the suite did not come.*'words/5', 'words/6', 'words/7' and 2 more"),
        ((*ITEMS, choice(3)), "1 items are not in suite 'small'.*'i'"),
        ((*ITEMS, ITEMS[0]), "duplicate items: 'sums/0'"),
        ((ITEMS[0].model_copy(update={"task": "words"}), *ITEMS[1:]), "have another task than in the suite: 'sums/0'"),
        ((ITEMS[0].model_copy(update={"instruction": None}), *ITEMS[1:]), "have no text; --texts.*'sums/0'"),
        ((ITEMS[0].model_copy(update={"answer": None}), *ITEMS[1:]), "'sums/0' has no answer"),
        ((ITEMS[0].model_copy(update={"answer": "many"}), *ITEMS[1:]), "'sums/0' is graded as a number"),
    ],
)
def test_what_cannot_be_asked_or_graded_is_refused(items: tuple[Item, ...], message: str) -> None:
    AptitudeTest("me", SUITE, ITEMS, 2).check()
    with pytest.raises(InvalidInput, match=message):
        AptitudeTest("me", SUITE, items, 2).check()
