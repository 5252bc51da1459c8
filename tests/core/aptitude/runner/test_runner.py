"""A run asks what is missing, keeps every answer as it comes, goes on where it was, and publishes whole tests alone."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running import ITEMS, PRICED, SKILL, SOURCE, SUITE, accuracies, run
from small_suite import number_of, skilled, suite_of, task_of
from virtual_time import run_virtually

from cit_core.aptitude.clients import Answer, CallableClient, FakeClient
from cit_core.aptitude.runner import Progress, RunOptions, RunReport, Tally, arun_aptitude, run_aptitude
from cit_core.aptitude.runner.ledger import Ledger
from cit_core.catalogue import catalogue_candidates
from cit_core.errors import InvalidInput, Refused, Transient
from cit_core.records import Candidate, Item, Outcome, Suite, Usage
from cit_core.store import CapabilityStore


@contextmanager
def new_store() -> Iterator[CapabilityStore]:
    with tempfile.TemporaryDirectory() as folder, CapabilityStore(f"sqlite:///{folder}/store.db") as store:
        yield store


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[CapabilityStore]:
    with CapabilityStore(sqlite_url) as store:
        yield store


def always(error: Exception, when: Callable[[str], bool]) -> Callable[[str], str]:
    """An LLM that knows everything, and raises where it is told to."""

    def answer(prompt: str) -> str:
        if when(prompt):
            raise error
        return skilled(lambda _: True)(prompt)

    return answer


# -- what is kept -----------------------------------------------------------------------------------------------------


def test_a_run_finds_out_what_a_model_knows(store: CapabilityStore) -> None:
    client = FakeClient(skilled(SKILL))
    report = run(client, store)
    assert accuracies(store) == {"sums": 0.8, "letters": 0.5, "words": 0.3} == report.right
    assert report.mean_accuracy == pytest.approx(1.6 / 3)
    assert (report.total, report.known, report.asked, report.answered, report.failed) == (30, 0, 30, 30, ())
    assert (report.stopped, report.published, store.held()) == (None, True, ())
    assert (
        len({prompt for prompt, _ in client.calls}) == len({key for _, key in client.calls}) == len(client.calls) == 30
    )
    assert {item.id for item in store.items()} == set(SUITE.item_ids), "with their texts, for evidence"
    assert all(item.instruction for item in store.items())


def test_an_outcome_says_everything_about_an_answer(store: CapabilityStore) -> None:
    class Slow(FakeClient):
        async def ask(self, prompt: str, *, key: str) -> Answer:
            await asyncio.sleep(0.25)
            return await super().ask(prompt, key=key)

    suite = suite_of("sums", per_task=2)
    answers = iter([Answer("Let me see … 1", 100, 20), Answer("two?", 100, 20, cost_usd=0.5)])
    report = run(Slow(lambda _: next(answers)), store, suite=suite, candidate=PRICED, concurrency=1)
    first, second = store.outcomes(candidate="fake", source=SOURCE)
    assert (first.item, first.correct, first.answer) == ("sums/0", 1.0, "Let me see … 1")
    assert (first.prompt_tokens, first.completion_tokens, first.latency_s) == (100, 20, 0.25)
    assert first.cost_usd == pytest.approx(100 * 1e-6 + 20 * 10e-6), "by the candidate's prices"
    assert (second.correct, second.answer, second.cost_usd) == (0.0, "two?", 0.5), "what the provider says goes first"
    assert report.cost_usd == pytest.approx(0.5003)
    assert store.capability("fake").usage.completion_tokens == 20


def test_what_was_not_counted_stays_unknown(sqlite: CapabilityStore) -> None:
    run(FakeClient(skilled({})), sqlite, suite=suite_of("sums"))
    assert sqlite.capability("fake").usage == Usage(latency_s=0.0)
    assert sqlite.candidate("fake") == Candidate(id="fake")


@pytest.mark.parametrize("text", ["nul \0 in it", "half of \ud83d an emoji", "é" * 30_000, ""])
def test_any_answer_can_be_kept(store: CapabilityStore, text: str) -> None:
    run(FakeClient(lambda _: text), store, suite=suite_of("words", per_task=1))
    (outcome,) = store.outcomes()
    assert outcome.answer is not None
    assert len(outcome.answer) == len(text)
    assert outcome.answer[:4] == text[:4]


def test_facts_of_the_candidate_come_from_who_knows_them(sqlite: CapabilityStore) -> None:
    suite = suite_of("sums", per_task=1)
    sqlite.add_candidates([Candidate(id="fake", context_window=1000, price_in=1.0)])
    run(FakeClient(skilled({})), sqlite, suite=suite, candidate=Candidate(id="fake", price_out=2.0))
    assert sqlite.candidate("fake") == Candidate(id="fake", context_window=1000, price_in=1.0, price_out=2.0)
    client = FakeClient(skilled({}))
    with pytest.raises(InvalidInput, match=r"1\.0 in the store and 5\.0 came; `cit models add fake --replace`"):
        run(client, sqlite, suite=suite, candidate=Candidate(id="fake", price_in=5.0))
    assert client.calls == []
    known = catalogue_candidates()[0]
    run(client, sqlite, suite=suite, candidate=known.id)
    assert sqlite.candidate(known.id) == known


# -- when it counts ---------------------------------------------------------------------------------------------------


def test_half_a_test_is_no_capability(store: CapabilityStore) -> None:
    seen: list[tuple[Progress, dict[str, float]]] = []
    run(FakeClient(skilled(SKILL)), store, progress=lambda p: seen.append((p, accuracies(store))))
    assert [progress.done for progress, _ in seen] == list(range(31))
    assert all(counted == {} for _, counted in seen)
    last = seen[-1][0]
    assert (last.total, last.answered, last.failed, last.retries) == (30, 30, 0, 0)
    assert last.tasks == {"sums": Tally(8, 10), "letters": Tally(5, 10), "words": Tally(3, 10)}
    assert accuracies(store) != {}


def test_too_many_failures_publish_nothing_until_a_later_run_has_mended_them(store: CapabilityStore) -> None:
    broken = FakeClient(always(Refused("HTTP 400", status=400), lambda prompt: number_of(prompt) == 3))
    report = run(broken, store, concurrency=1)
    assert [item for item, _ in report.failed] == ["sums/3", "letters/3"]
    assert report.reasons == {"HTTP 400": 2}
    assert (report.answered, report.published) == (9, False)
    assert report.stopped == (
        "2 of 30 questions failed, and 5% may: the test cannot be published any more. Most frequent (2): HTTP 400"
    )
    assert store.held() == (SOURCE,)
    assert accuracies(store) == {}
    sound = FakeClient(skilled(lambda _: True))
    report = run(sound, store)
    assert {("sums", 3), ("letters", 3)} < {(task_of(prompt), number_of(prompt)) for prompt, _ in sound.calls}
    assert (report.known, report.answered, report.published, store.held()) == (9, 21, True, ())
    assert accuracies(store) == {"sums": 1.0, "letters": 1.0, "words": 1.0}


@pytest.mark.parametrize(("max_failed", "published"), [(0.0, False), (0.099, False), (0.1, True), (0.5, True)])
def test_a_stated_share_may_fail(sqlite: CapabilityStore, max_failed: float, published: bool) -> None:
    client = FakeClient(always(Transient("busy"), lambda prompt: number_of(prompt) == 3))
    report = run(client, sqlite, max_failed=max_failed)
    assert len(report.failed) == (3 if published else int(max_failed * 30) + 1)
    assert report.published is published
    assert (SOURCE in sqlite.held()) is not published
    assert report.retries >= len(report.failed) * 5
    assert sqlite.capability("fake").results == () or published


def test_a_test_without_one_answer_is_never_published(sqlite: CapabilityStore) -> None:
    report = run(FakeClient(always(Refused("no"), lambda _: True)), sqlite, max_failed=0.99)
    assert (report.answered, report.published, report.mean_accuracy) == (0, False, None)


def test_what_was_published_stays_so_while_the_rest_is_tried_again(sqlite: CapabilityStore) -> None:
    one_fails = always(Refused("no"), lambda prompt: prompt.startswith("sums 3"))
    assert run(FakeClient(one_fails), sqlite).published
    counted: list[dict[str, float]] = []
    report = run(FakeClient(one_fails), sqlite, progress=lambda _: counted.append(accuracies(sqlite)))
    assert (report.known, report.asked, report.answered, report.published) == (29, 1, 0, True)
    assert {"sums": 1.0, "letters": 1.0, "words": 1.0} == counted[0] == counted[-1]
    stopped = run(FakeClient(always(Refused("no key", status=401), lambda _: True)), sqlite)
    assert (stopped.stopped, stopped.published) == ("no key", True)
    stricter = run(FakeClient(one_fails), sqlite, max_failed=0.01)
    assert (stricter.published, accuracies(sqlite)) == (False, {})


def test_a_run_that_was_stopped_publishes_nothing_however_little_is_missing(sqlite: CapabilityStore) -> None:
    client = FakeClient(always(Refused("no key", status=401), lambda prompt: prompt.startswith("words 9")))
    report = run(client, sqlite, concurrency=1)
    assert (report.answered, report.stopped, report.published) == (29, "no key", False)


def test_a_finished_test_leaves_nothing_to_do(store: CapabilityStore) -> None:
    first = run(FakeClient(skilled(SKILL)), store)
    version = store.version
    client = FakeClient(skilled({}))
    again = run(client, store)
    assert client.calls == []
    assert (again.known, again.asked, again.published, again.right) == (30, 0, True, first.right)
    assert store.version == version


def test_a_retest_asks_everything_again_and_counts_once(store: CapabilityStore) -> None:
    run(FakeClient(skilled(SKILL)), store)
    report = run(FakeClient(skilled(lambda _: True)), store, retest=True)
    assert (report.known, report.asked, report.published) == (0, 30, True)
    assert accuracies(store) == dict.fromkeys(SKILL, 1.0)
    assert store.outcome_count() == 30


def corrected(id_: str | None) -> tuple[Suite, tuple[Item, ...]]:
    """The suite with another answer to one question: under the same id, or another one."""
    first = ITEMS[0].model_copy(update={"answer": "-1", **({} if id_ is None else {"id": id_})})
    ids = {**SUITE.items, "sums": (first.id, *SUITE.items["sums"][1:])}
    return SUITE.model_copy(update={"items": ids, "hashes": {}}), (first, *ITEMS[1:])


def test_a_question_that_was_corrected_is_asked_again_under_its_new_id_and_counts_once(sqlite: CapabilityStore) -> None:
    run(FakeClient(skilled(lambda _: True)), sqlite)
    client = FakeClient(skilled(lambda _: True))
    report = run(client, sqlite, suite=corrected("sums/corrected"))
    assert (len(client.calls), report.published, sqlite.held()) == (1, True, ())
    assert {outcome.item for outcome in sqlite.outcomes()} == {item.id for item in corrected("sums/corrected")[1]}
    assert accuracies(sqlite)["sums"] == 0.9


def test_a_question_that_was_corrected_under_its_id_is_refused_and_a_retest_takes_it(sqlite: CapabilityStore) -> None:
    run(FakeClient(skilled(lambda _: True)), sqlite)
    client = FakeClient(skilled(lambda _: True))
    with pytest.raises(
        InvalidInput, match=r"'1' is stored and '-1' came\); for a question that was corrected.*--retest"
    ):
        run(client, sqlite, suite=corrected(None))
    assert client.calls == []
    run(client, sqlite, suite=corrected(None), retest=True)
    assert (len(client.calls), accuracies(sqlite)["sums"]) == (30, 0.9)


def test_a_run_that_was_killed_before_it_could_publish_is_published_by_the_next(sqlite: CapabilityStore) -> None:
    run(FakeClient(skilled(SKILL)), sqlite)
    sqlite.hold(SOURCE)
    client = FakeClient(skilled(SKILL))
    assert run(client, sqlite).published
    assert (client.calls, sqlite.held()) == ([], ())


def test_other_suites_and_other_versions_are_other_tests(sqlite: CapabilityStore) -> None:
    run(FakeClient(skilled(SKILL)), sqlite)
    client = FakeClient(skilled(SKILL))
    report = run(client, sqlite, suite=(SUITE.model_copy(update={"version": 2}), ITEMS))
    assert (report.source, len(client.calls)) == ("aptitude:small@2:fake", 30)
    assert len(list(sqlite.outcomes(candidate="fake"))) == 60


# -- what goes wrong --------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    failures=st.lists(
        st.sampled_from([None, Transient("busy"), Transient("wait", retry_after_s=20.0)]), max_size=60
    ).map(lambda listed: [error for place, error in enumerate(listed) if place % 6]),
    concurrency=st.integers(1, 12),
)
def test_whatever_fails_in_between_the_outcomes_are_the_same(
    failures: list[Exception | None], concurrency: int
) -> None:
    with new_store() as store:
        client = FakeClient(skilled(SKILL), failures=failures)
        report = run(client, store, concurrency=concurrency, attempts=61)
        assert report.right == {"sums": 0.8, "letters": 0.5, "words": 0.3}
        assert report.published
        assert report.retries == sum(error is not None for error in failures[: len(client.calls)])
        keys = Counter(client.calls)
        assert len(keys) == 30, "every repetition carries the key of the first"


def test_a_fatal_refusal_ends_the_run_and_keeps_what_is_there(store: CapabilityStore) -> None:
    class Revoked(FakeClient):
        """The key is revoked when the 12th question comes; the others of that moment are still answered."""

        async def ask(self, prompt: str, *, key: str) -> Answer:
            number = len(self.calls)
            self.calls.append((prompt, key))
            await asyncio.sleep(1.0 if number == 12 else 2.0)
            if number == 12:
                raise Refused("HTTP 401: is the key right?", status=401)
            return Answer(skilled(SKILL)(prompt))

    client = Revoked(str)
    report = run(client, store, concurrency=4)
    assert report.stopped == "HTTP 401: is the key right?"
    assert len(client.calls) == 16, "what was sent is waited for, and nothing more is sent"
    assert (report.answered, report.failed, report.published) == (15, (), False)
    assert store.held() == (SOURCE,)
    assert len(store.measured("fake", SOURCE)) == 15
    rest = FakeClient(skilled(SKILL))
    assert run(rest, store).published
    assert len(rest.calls) == 15


def test_a_mistake_of_a_client_ends_the_run_and_keeps_what_is_there(sqlite: CapabilityStore) -> None:
    with pytest.raises(ZeroDivisionError):
        run(FakeClient(always(ZeroDivisionError(), lambda prompt: prompt.startswith("words 5"))), sqlite, concurrency=1)
    assert len(sqlite.measured("fake", SOURCE)) == 17
    assert sqlite.held() == (SOURCE,)
    client = FakeClient(skilled(SKILL), failures=[None, None, ZeroDivisionError()])
    with pytest.raises(ZeroDivisionError):
        run(client, sqlite, concurrency=3)
    assert len(client.calls) < 13, "and the others stop as well"


def test_a_run_that_ends_does_not_wait_for_what_is_under_way(sqlite: CapabilityStore) -> None:
    class Uneven(FakeClient):
        async def ask(self, prompt: str, *, key: str) -> Answer:
            await asyncio.sleep(1.0 if prompt.startswith("sums 0") else 50.0)
            raise ZeroDivisionError

    async def main() -> float:
        with pytest.raises(ZeroDivisionError):
            await arun_aptitude(Uneven(str), SUITE, ITEMS, sqlite)
        return asyncio.get_running_loop().time()

    assert run_virtually(main()) == 1.0


def test_a_cancelled_run_keeps_what_was_answered() -> None:
    """Real time and real threads: the answers of the moment are on their way to the store."""

    async def main(store: CapabilityStore) -> None:
        enough = asyncio.Event()

        def progress(now: Progress) -> None:
            if now.done >= 10:
                enough.set()

        class Endless(FakeClient):
            async def ask(self, prompt: str, *, key: str) -> Answer:
                answer = await super().ask(prompt, key=key)
                if len(self.calls) > 20:
                    await asyncio.sleep(3600)
                return answer

        client = Endless(skilled(SKILL))
        running = asyncio.ensure_future(arun_aptitude(client, SUITE, ITEMS, store, progress=progress))
        await enough.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        kept = store.measured("fake", SOURCE)
        assert len(kept) >= 10
        rest = FakeClient(skilled(SKILL))
        report = await arun_aptitude(rest, SUITE, ITEMS, store)
        assert len(rest.calls) == 30 - len(kept)
        assert report.right == {"sums": 0.8, "letters": 0.5, "words": 0.3}
        assert threading.active_count() == threads

    threads = threading.active_count()
    with new_store() as store:
        asyncio.run(main(store))


def test_a_run_that_is_cancelled_finishes_what_it_is_writing(
    sqlite: CapabilityStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight answers are there and wait for the store, one after the other; the run is cancelled after the first."""

    def add(ledger: Ledger, outcome: Outcome, *costs: tuple[float, float]) -> bool:
        time.sleep(0.05)
        return at_once(ledger, outcome, *costs)

    async def main() -> None:
        running = asyncio.ensure_future(arun_aptitude(client, SUITE, ITEMS, sqlite, options=RunOptions(8)))
        while len(client.calls) <= 8:
            await asyncio.sleep(0.005)
        running.cancel()
        await asyncio.wait([running])

    at_once = Ledger.add
    monkeypatch.setattr(Ledger, "add", add)
    client = FakeClient(skilled(SKILL))
    asyncio.run(main())
    assert len(sqlite.measured("fake", SOURCE)) >= 8


def test_nothing_new_is_asked_after_a_cancellation_whenever_it_comes(sqlite: CapabilityStore) -> None:
    async def cancelled(client: FakeClient, ticks: int) -> int:
        running = asyncio.ensure_future(arun_aptitude(client, SUITE, ITEMS, sqlite, options=RunOptions(3)))
        for _ in range(ticks):
            await asyncio.sleep(0)
        asked = len(client.calls)
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled() or asked == 30, "all that there is"
        return asked

    early = 0
    for ticks in range(2, 25):
        client = FakeClient(skilled(SKILL), name=f"cancelled-{ticks}")
        asked = run_virtually(cancelled(client, ticks))
        assert len(client.calls) <= asked + 3
        early += asked + 3 < 30  # how far a tick gets depends on the release of Python
    assert early > 5


def test_two_runs_of_one_test_find_each_other_out(sqlite: CapabilityStore) -> None:
    class Meanwhile(FakeClient):
        """While the first question is asked, somebody else writes its outcome."""

        async def ask(self, prompt: str, *, key: str) -> Answer:
            answer = await super().ask(prompt, key=key)
            if len(self.calls) == 1:
                sqlite.add_outcomes([Outcome(candidate="fake", item="sums/0", correct=1.0, source=SOURCE)])
            return answer

    client = Meanwhile(skilled(SKILL))
    report = run(client, sqlite, concurrency=1)
    assert "another run" in str(report.stopped)
    assert len(client.calls) == 1
    assert not report.published


def test_what_another_run_completes_is_complete(sqlite: CapabilityStore) -> None:
    def answer(prompt: str) -> str:
        sqlite.add_outcomes([Outcome(candidate="fake", item="sums/0", correct=1.0, source=SOURCE)])
        return skilled(SKILL)(prompt)

    report = run(FakeClient(answer), sqlite, suite=suite_of("sums", per_task=1))
    assert (report.stopped, report.published) == (None, True)


# -- several at once, and the doors -----------------------------------------------------------------------------------


def test_runs_of_different_models_share_a_store(store: CapabilityStore) -> None:
    """Real threads: six runs write at once."""
    skills = {f"model-{number}": {"sums": number, "letters": 2 * number, "words": 1} for number in range(6)}

    def measure(name: str) -> None:
        reports[name] = run_aptitude(FakeClient(skilled(skills[name]), name=name), SUITE, ITEMS, store)

    reports: dict[str, RunReport] = {}
    threads = [threading.Thread(target=measure, args=(name,)) for name in skills]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(report.published and report.answered == 30 for report in reports.values())
    for name, skill in skills.items():
        assert accuracies(store, name) == {task: known / 10 for task, known in skill.items()}


async def test_runs_share_an_event_loop_too(sqlite: CapabilityStore) -> None:
    clients = [FakeClient(skilled(SKILL), name=f"model-{number}") for number in range(3)]
    reports = await asyncio.gather(*(arun_aptitude(client, SUITE, ITEMS, sqlite) for client in clients))
    assert [report.candidate for report in reports] == ["model-0", "model-1", "model-2"]
    assert all(report.right == {"sums": 0.8, "letters": 0.5, "words": 0.3} for report in reports)


async def test_within_an_event_loop_the_other_function_is_named(sqlite: CapabilityStore) -> None:
    with pytest.raises(InvalidInput, match="await arun_aptitude"):
        run_aptitude(FakeClient(skilled(SKILL)), SUITE, ITEMS, sqlite)


def test_the_client_is_closed_in_the_loop_that_it_was_used_in(sqlite: CapabilityStore) -> None:
    class Closing(FakeClient):
        closed = False

        async def aclose(self) -> None:
            assert asyncio.get_running_loop().is_running()
            self.closed = True

    client = Closing(skilled(SKILL))
    run_aptitude(client, SUITE, ITEMS, sqlite)
    assert client.closed
    failing = Closing(always(ZeroDivisionError(), lambda _: True), name="other")
    with pytest.raises(ZeroDivisionError):
        run_aptitude(failing, SUITE, ITEMS, sqlite)
    assert failing.closed


def test_one_function_can_be_measured_on_several_suites(sqlite: CapabilityStore) -> None:
    client = CallableClient(skilled(SKILL), name="function")
    for task in ("sums", "words"):
        suite, items = suite_of(task)
        assert run_aptitude(client, suite.model_copy(update={"name": task}), items, sqlite).published
    assert accuracies(sqlite, "function") == {"sums": 0.8, "words": 0.3}


def test_what_the_store_says_otherwise_is_said_before_anything_is_asked(sqlite: CapabilityStore) -> None:
    sqlite.add_tasks(SUITE.tasks)
    sqlite.add_items([Item(id="sums/0", task="sums", instruction="another text")])
    client, version = FakeClient(skilled(SKILL)), sqlite.version
    with pytest.raises(InvalidInput, match="'sums/0' has other facts"):
        run(client, sqlite)
    assert (client.calls, sqlite.version, sqlite.candidates()) == ([], version, ())
