"""cit-basics: the same everywhere, never the same question twice, and every answer right by a second opinion."""

import functools
import hashlib
import json
import re
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from referees import REFEREES, follows, order_in

from cit_core.aptitude.basics import basics, examples
from cit_core.aptitude.basics.question import Dice, choice
from cit_core.aptitude.basics.suite import RECIPES
from cit_core.aptitude.grading import grade, prompt, with_options
from cit_core.aptitude.grading.answers import LETTERS
from cit_core.errors import InvalidInput
from cit_core.records import Item, Suite

SEEDS = range(6)
BY_HAND = {"constrained-writing", "json-output"}
"""Tasks with many right answers: their examples are looked at instead."""


@functools.cache
def suite_of(seed: int) -> tuple[Suite, tuple[Item, ...]]:
    return basics(seed)


@functools.cache
def lines_of(seed: int) -> dict[str, str]:
    return examples(seed)


def items_of(*seeds: int) -> list[Item]:
    return [item for seed in seeds for item in suite_of(seed)[1]]


def question(item: Item) -> str:
    """What is asked, without the options."""
    return item.instruction.removesuffix(with_options("", item.options)) if item.options else item.instruction


def name(item: Item) -> str:
    return item.task.removeprefix("basics-")


# -- the suite --------------------------------------------------------------------------------------------------------


def test_it_is_the_same_on_every_python_and_platform() -> None:
    """A change of any question needs another version of the suite: outcomes on the old ones stay in people's stores."""
    suite, items = basics()
    content = "\n".join(f"{item.id} {item.task} {item.grader} {suite.hashes[item.id]}" for item in items)
    assert hashlib.sha256(content.encode()).hexdigest()[:16] == "52d4cc91dc4172f0"


def test_it_has_so_many_items_of_each_task_and_their_digests() -> None:
    suite, items = suite_of(0)
    assert (suite.name, suite.version) == ("cit-basics", 1)
    assert len(suite.tasks) == len(RECIPES) >= 22
    assert {len(ids) for ids in suite.items.values()} == {20}
    assert suite.item_ids == tuple(item.id for item in items)
    assert all(item.id in suite.items[item.task] for item in items)
    assert suite.hashes == {item.id: item.digest for item in items}


def test_ids_name_the_seed_the_task_and_the_place() -> None:
    suite, items = basics(7, shots=101)
    assert suite.name == "cit-basics:7"
    ids = [item.id for item in items if item.task == "basics-primes"]
    assert ids[:2] + ids[-2:] == [f"cit-basics/7/primes/{place}" for place in ("00", "01", "99", "100")]


def test_every_task_has_five_keywords_of_its_own() -> None:
    tasks = suite_of(0)[0].tasks
    assert {len(task.keywords) for task in tasks} == {5}
    assert len({task.keywords[0] for task in tasks}) == len(tasks)
    assert all(word[0].isupper() for task in tasks for keyword in task.keywords for word in keyword.split()[:1])


def test_a_longer_suite_begins_with_the_shorter_one() -> None:
    short, long = (basics(3, shots)[0].hashes for shots in (4, 9))
    assert short.items() < long.items()
    assert len(basics(3, shots=1)[1]) == len(RECIPES)
    assert examples() == lines_of(0)


def test_the_same_seed_gives_the_same_and_others_hardly_share_a_question() -> None:
    assert basics(5) == suite_of(5)
    asked = [{(name(item), question(item), frozenset(item.options)) for item in items_of(seed)} for seed in SEEDS]
    assert all(len(of_one) == len(RECIPES) * 20 for of_one in asked), "no question twice"
    assert max(len(one & other) for one, other in combinations(asked, 2)) <= 6, "of 640"


@settings(max_examples=10, deadline=None)
@given(st.integers(-(10**20), 10**20))
def test_any_seed_will_do(seed: int) -> None:
    suite, items = basics(seed, shots=2)
    assert len({item.instruction for item in items}) == len(items) == 2 * len(suite.tasks)


def test_more_questions_than_a_task_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="shots is 0; a task needs 1 question or more"):
        basics(shots=0)
    with pytest.raises(InvalidInput, match="shots is 0"):
        examples(shots=0)
    poor = RECIPES["primes"]._replace(make=lambda dice, difficulty: choice(dice, str(dice.between(1, 3)), "a", "bcd"))
    monkeypatch.setitem(RECIPES, "primes", poor)
    assert len(basics(shots=3)[1]) == 3 * len(RECIPES)
    with pytest.raises(InvalidInput, match="task 'primes' has no 4 different questions; ask for 3 shots or fewer"):
        basics(shots=4)


def test_items_spread_from_easy_to_hard_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    make = RECIPES["primes"].make
    monkeypatch.setitem(
        RECIPES, "primes", RECIPES["primes"]._replace(make=lambda dice, hard: seen.append(hard) or make(dice, hard))
    )
    basics(shots=16)
    assert sorted(seen) == [n / 16 for n in range(16)]
    assert sorted(seen[:4]) == [0, 0.25, 0.5, 0.75]


# -- the questions ----------------------------------------------------------------------------------------------------


def test_every_answer_is_right_by_a_second_opinion() -> None:
    assert set(REFEREES) == set(RECIPES) - BY_HAND
    for item in items_of(*SEEDS):
        if name(item) in REFEREES:
            found = str(REFEREES[name(item)](question(item), item.options))
            stated = item.options[LETTERS.index(item.answer)] if item.options else item.answer
            assert found == stated or (item.grader == "number" and grade(item, found)), item


def test_what_a_pattern_accepts_does_what_the_text_demands() -> None:
    for seed in SEEDS:
        lines = lines_of(seed)
        asked = {item.id: item for item in items_of(seed) if item.grader == "regex"}
        assert set(lines) == set(asked)
        for id_, line in lines.items():
            assert grade(asked[id_], line) == 1
            if name(asked[id_]) == "json-output":
                assert json.loads(line) == order_in(asked[id_].instruction)
            else:
                assert follows(asked[id_].instruction, line)


@given(st.data())
def test_a_line_is_right_exactly_if_it_does_all_that_is_demanded(data: st.DataObject) -> None:
    lines = lines_of(1)
    item = data.draw(st.sampled_from([item for item in items_of(1) if name(item) == "constrained-writing"]))
    words = lines[item.id].split()
    words[data.draw(st.integers(0, len(words) - 1))] = data.draw(st.sampled_from(["", "x", "B", "seven", "river", "!"]))
    line = " ".join(data.draw(st.sampled_from([words, words[1:], [*words, "more"]])))
    assert grade(item, line) == follows(item.instruction, line)


def test_json_may_be_spaced_freely_but_must_say_the_same() -> None:
    lines = lines_of(2)
    for item in items_of(2):
        if name(item) == "json-output":
            order = json.loads(lines[item.id])
            assert (
                grade(item, json.dumps(order, indent=4)) == grade(item, json.dumps(order, separators=(",", ":"))) == 1
            )
            assert grade(item, f"```json\n{json.dumps(order)}\n```") == 0
            assert grade(item, json.dumps(order | {"total": order["total"] + 1})) == 0
            assert grade(item, json.dumps(dict(reversed(order.items())))) == 0
            assert grade(item, json.dumps(order | {"lines": []})) == 0


SAID = ["{}", "Answer: {}", "**Answer:** {}", "Let me think: 1, 2, (A) or (B)?\n\nAnswer: {}.", "The answer is {}."]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(SAID))
def test_an_answer_earns_all_and_another_one_nothing(seed: int, said: str) -> None:
    items = basics(seed, shots=3)[1]
    of_task = {(item.task, item.grader): item for item in reversed(items)}
    for item in items:
        if item.grader != "regex":
            assert grade(item, said.format(item.answer)) == 1
            wrong = next(letter for letter in "AB" if letter != item.answer)
            if item.grader == "number":
                wrong = re.sub("^-?", r"\g<0>1", item.answer)
            elif item.grader == "exact":
                wrong = of_task[item.task, item.grader].answer
            assert grade(item, said.format(wrong)) == (wrong == item.answer)
        assert grade(item, "") == grade(item, "I cannot answer that.") == 0


def test_the_right_option_stands_in_any_place_and_no_option_twice() -> None:
    chosen = [item for item in items_of(*SEEDS) if item.grader == "choice"]
    assert all(len(set(item.options)) == len(item.options) >= 3 for item in chosen)
    places = Counter(item.answer for item in chosen if len(item.options) == 4)
    fair = sum(places.values()) / 4
    assert all(abs(count - fair) < 4.5 * (fair * 0.75) ** 0.5 for count in places.values()), places


def test_numbers_are_not_guessed_by_always_saying_the_same() -> None:
    for task in RECIPES:
        answers = Counter(item.answer for item in items_of(*SEEDS) if name(item) == task)
        assert answers.most_common(1)[0][1] <= 0.45 * answers.total(), (task, answers)


def test_all_graders_are_used_and_options_stand_in_the_instruction() -> None:
    for item in items_of(0):
        assert (item.grader == "choice") == bool(item.options)
        assert item.instruction.endswith(with_options("", item.options)[1:])
        assert prompt(item).startswith(item.instruction)
    assert {item.grader for item in items_of(0)} == {"choice", "number", "exact", "regex"}


def test_texts_are_clean() -> None:
    for item in items_of(*SEEDS):
        text = item.instruction
        assert not re.search(
            r"\{[a-z_]+[^}\d]*\}|None|Fraction|lambda [^v]|  [^ ]|[^.]\.\.[^.]", text.replace("    ", "")
        ), text
        assert text == text.strip()
        assert not re.search(r"[-+] -\d|\b1x|\+ 0\b|\b1 of us are|[2-9] of us is|\ba [aeiou]", question(item)) or name(
            item
        ) in {"fractions"}, text


def test_a_recipe_is_a_function_of_its_dice() -> None:
    for task, recipe in RECIPES.items():
        for difficulty in (0.0, 0.3, 0.6, 0.999):
            assert recipe.make(Dice(task), difficulty) == recipe.make(Dice(task), difficulty)
