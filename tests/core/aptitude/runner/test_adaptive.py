"""An adaptive test asks few questions, tells the accuracy on all of them, and counts as what it estimates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from running import ITEMS, SUITE, accuracies, run
from small_suite import number_of, skilled, suite_of, task_of

from cit_core.aptitude.clients import FakeClient
from cit_core.aptitude.runner import RunOptions
from cit_core.aptitude.runner.adaptive import AdaptiveTest, answers_of_others
from cit_core.aptitude.runner.estimate import estimate
from cit_core.calibration import sigmoid
from cit_core.catalogue import core_responses, core_suite
from cit_core.errors import InvalidInput, Refused
from cit_core.records import Candidate, Item, Outcome
from cit_core.store import CapabilityStore

SOURCE = "aptitude-adaptive:small@1:fake"
TASKS = ("algebra", "law", "code")


def world(seed: int, models: int) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Tasks of 300 questions, answers of models, and what they answer right in the long run."""
    draw = np.random.default_rng(seed)
    tasks = [TASKS[place % 3] for place in range(300)]
    ways_TM, difficulty_I = draw.normal(0.0, 0.5, (3, models)), draw.normal(0.0, 2.0, 300)
    p_IM = sigmoid(draw.normal(0.0, 1.0, models) - difficulty_I[:, None] + ways_TM[np.arange(300) % 3])
    return tasks, (draw.random(p_IM.shape) < p_IM).astype(np.float64), p_IM


def prompts(client: FakeClient) -> list[str]:
    return [prompt for prompt, _ in client.calls]


def taken(tasks: list[str], known_IM: NDArray[np.float64], answer_I: NDArray[np.float64], most: int) -> AdaptiveTest:
    test = AdaptiveTest([str(place) for place in range(300)], tasks, known_IM, precision=0.001, most=most)
    while (id_ := test.next()) is not None:
        test.learn(id_, answer_I[int(id_)])
    return test


def test_fifty_questions_tell_more_than_a_random_fifty() -> None:
    tasks, correct_IM, _ = world(0, 40)
    draw = np.random.default_rng(1)
    truth = correct_IM[:, 20:].mean(axis=0)
    tests = [taken(tasks, correct_IM[:, :20], correct_IM[:, model], 50) for model in range(20, 40)]
    random = np.array([correct_IM[draw.permutation(300)[:50], model].mean() for model in range(20, 40)])
    told = np.array([test.accuracy for test in tests])
    assert np.sqrt(((told - truth) ** 2).mean()) < 0.6 * np.sqrt(((random - truth) ** 2).mean())
    assert (np.abs(told - truth) < 3.0 * np.array([test.error for test in tests])).mean() > 0.9


def test_tasks_are_told_apart_and_counted_as_what_they_tell() -> None:
    tasks, correct_IM, p_IM = world(2, 30)
    odds_I = np.log(p_IM[:, :30] / (1.0 - p_IM[:, :30])).mean(axis=1) + np.where(np.arange(300) % 3 == 1, 1.2, -0.6)
    lawyer = (np.random.default_rng(3).random(300) < sigmoid(odds_I)).astype(float)
    told = taken(tasks, correct_IM, lawyer, 90).estimates()
    assert set(told) == {*TASKS}
    for place, task in enumerate(TASKS):
        assert told[task].accuracy == pytest.approx(lawyer[place::3].mean(), abs=0.1)
    assert sum(one.questions for one in told.values()) == 90
    assert min(one.questions for one in told.values()) > 10


@settings(max_examples=25, deadline=None)
@given(
    answers=st.lists(st.booleans(), min_size=12, max_size=12),
    most=st.integers(1, 15),
    ahead=st.integers(1, 4),
    others=st.integers(0, 4),
)
def test_no_question_comes_twice_and_no_more_than_the_most(
    answers: list[bool], most: int, ahead: int, others: int
) -> None:
    known_IM = np.random.default_rng(0).integers(0, 2, (12, others)).astype(float)
    test = AdaptiveTest([str(n) for n in range(12)], ["a", "b"] * 6, known_IM, precision=1e-6, most=most)
    asked: list[str] = []
    while batch := [id_ for _ in range(ahead) if (id_ := test.next()) is not None]:  # several are under way at once
        asked += batch
        for id_ in batch:
            test.learn(id_, float(answers[int(id_)]))
    assert len(asked) == len(set(asked)) == min(most, 12)
    assert test.ended
    assert 0.0 < test.accuracy < 1.0 or len({*answers}) == 1 or min(most, 12) == 12
    assert all(0.0 <= one.accuracy <= 1.0 for one in test.estimates().values())


def test_it_ends_at_the_stated_precision() -> None:
    tasks, correct_IM, _ = world(4, 20)
    ids = [str(place) for place in range(300)]
    sizes = []
    for precision in (0.05, 0.03):
        test = AdaptiveTest(ids, tasks, correct_IM[:, 1:], precision=precision, most=300)
        asked = 0
        while (id_ := test.next()) is not None:
            test.learn(id_, correct_IM[int(id_), 0])
            asked += 1
        assert test.error <= precision
        sizes.append(asked)
    assert sizes[0] < sizes[1] < 150


# -- a run ------------------------------------------------------------------------------------------------------------


def easy_and_hard(store: CapabilityStore) -> None:
    """What others answer: the first five of each task are easy, the others are not."""
    ids = [f"other-{number}" for number in range(6)]
    store.add_candidates([Candidate(id=id_) for id_ in ids])
    store.add_tasks(SUITE.tasks)
    store.add_items(ITEMS)
    store.add_outcomes(
        Outcome(candidate=id_, item=item.id, source="s", correct=number_of(item.instruction or "") < 3 + 0.7 * skill)
        for skill, id_ in enumerate(ids)
        for item in ITEMS
    )


def test_a_run_asks_few_and_counts_as_its_estimate(store: CapabilityStore) -> None:
    easy_and_hard(store)
    client = FakeClient(skilled(lambda prompt: number_of(prompt) < 5))
    report = run(client, store, adaptive=True, most=12, precision=0.001, concurrency=3)
    assert (len(prompts(client)), report.answered, report.total, report.published) == (12, 12, 12, True)
    assert {task_of(prompt) for prompt in prompts(client)} == {"sums", "letters", "words"}
    assert report.source == SOURCE
    assert accuracies(store) == pytest.approx(report.right)
    assert report.mean_accuracy == pytest.approx(0.5, abs=0.08), "on all thirty"
    assert report.error is not None
    of_suite = {one.task.id: one.accuracy for one in store.capability("fake", SUITE).results}
    assert of_suite == accuracies(store), "the suite's own profile is the same"
    asked = {task: sum(task_of(prompt) == task for prompt in prompts(client)) for task in ("sums", "letters", "words")}
    told = {one.task.id: one.count for one in store.capability("fake").results}
    assert told == asked, "evidence takes the answers out of the profile, and nothing is left"
    again = run(client, store, adaptive=True, most=12, precision=0.001)
    assert (again.known, again.asked, again.published, len(prompts(client))) == (12, 0, True, 12)
    assert accuracies(store) == pytest.approx(report.right)


def test_a_run_that_was_cut_off_goes_on_and_does_not_count_before(store: CapabilityStore) -> None:
    seen: list[str] = []

    def until_the_fifth(prompt: str) -> str:
        seen.append(prompt)
        if len(seen) == 5:
            raise Refused("no credit", fatal=True)
        return skilled(lambda text: number_of(text) < 5)(prompt)

    report = run(FakeClient(until_the_fifth), store, adaptive=True, most=12, precision=0.001, concurrency=1)
    assert (report.answered, report.published, report.stopped) == (4, False, "no credit")
    assert (accuracies(store), store.held()) == ({}, (SOURCE,))
    client = FakeClient(skilled(lambda text: number_of(text) < 5))
    report = run(client, store, adaptive=True, most=12, precision=0.001, concurrency=1)
    assert (report.known, report.answered, report.published) == (4, 8, True)
    assert not {*prompts(client)} & {*seen[:4]}
    run(client, store, adaptive=True, most=12, precision=0.001, retest=True)
    assert len(prompts(client)) == 20, "asked again"


def test_too_many_failures_stop_it_and_a_few_do_not(sqlite_url: str) -> None:
    suite = suite_of(per_task=40)

    def but(failing: int) -> FakeClient:
        left = list(range(failing))

        def answer(prompt: str) -> str:
            if left:
                left.pop()
                raise Refused("no")
            return skilled(lambda _: True)(prompt)

        return FakeClient(answer)

    with CapabilityStore(sqlite_url) as store:
        refused = run(but(6), store, suite=suite, adaptive=True, most=40, precision=0.0001, concurrency=1)
        assert (refused.published, len(refused.failed)) == (False, 3), "2 of 40 may"
        report = run(but(2), store, suite=suite, adaptive=True, most=40, precision=0.0001, concurrency=1)
        assert (report.published, report.answered, len(report.failed)) == (True, 38, 2)


def test_what_more_questions_say_counts_in_its_place(sqlite_url: str) -> None:
    with CapabilityStore(sqlite_url) as store:
        report = run(FakeClient(skilled(lambda _: False)), store, adaptive=True, most=9, precision=0.001)
        assert accuracies(store) == pytest.approx(report.right)
        run(FakeClient(skilled(lambda _: True)), store)
        assert set(accuracies(store).values()) == {1.0}
        store.remove_source("aptitude:small@1:fake")
        assert accuracies(store) == pytest.approx(report.right)
        store.remove_source(SOURCE)
        assert accuracies(store) == {}


def test_answers_of_others_are_the_stores_and_the_catalogues(sqlite_url: str) -> None:
    id_ = core_suite().item_ids[7]
    item = Item(id=id_, task="t", instruction="?", answer="A", options=("1", "2"))
    with CapabilityStore(sqlite_url) as store:
        easy_and_hard(store)
        correct_IM = answers_of_others([ITEMS[0], item], store, "other-0")
    assert correct_IM.shape == (2, 5 + len(core_responses()))
    assert np.isnan(correct_IM[1, :5]).all()
    assert correct_IM[0, :5].tolist() == [1.0] * 5
    np.testing.assert_array_equal(correct_IM[1, 5:], [marks[7] for marks in core_responses().values()])


def test_an_estimate_tells_both_prices() -> None:
    priced = Candidate(id="fake", price_in=1.0, price_out=10.0)
    found = estimate(SUITE, ITEMS, None, candidate=priced, options=RunOptions(most=12))
    assert (found.calls, found.adaptive_calls) == (30, 12)
    assert found.cost_usd is not None
    assert found.adaptive_cost_usd == pytest.approx(found.cost_usd * 12 / 30)
    assert estimate(SUITE, ITEMS, None, candidate="fake").adaptive_cost_usd is None


@pytest.mark.parametrize(("options", "named"), [({"precision": 0.0}, "precision"), ({"most": 0}, "most")])
def test_options_out_of_range_are_refused(options: dict[str, float], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        RunOptions(**options)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="circle is 3"):
        RunOptions(adaptive=True, circle=3)
