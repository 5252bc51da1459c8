"""The router: what it refuses, what stands in a decision, and that threads, event loops and batches change nothing."""

import asyncio
import math
import pickle
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cit_core.errors import InvalidInput, NoCandidate, UnknownCandidate
from cit_core.policy import Best, Constraints, CostAware, QueryFacts, Threshold
from cit_core.records import Candidate, Capability, Decision, Task, TaskResult, Usage
from cit_core.router import CHARACTERS_PER_TOKEN, MAX_CHARACTERS, FakeScorer, Router, Scorer

SMALL = Candidate(id="small", context_window=4096, price_in=0.5, price_out=1.0)
LARGE = Candidate(id="large", context_window=128_000, price_in=5.0, price_out=10.0)
UNPRICED = Candidate(id="unpriced")
ZOO = [SMALL, LARGE, UNPRICED]
SCORES = {"small": 0.6, "large": 0.9, "unpriced": 0.3}


def by_length(instruction: str, candidate: str) -> float:
    """The large one is better with what is long."""
    return min(len(instruction), 100) / 100 if candidate == "large" else 0.5


def without_latency(decision: Decision) -> dict[str, Any]:
    return decision.model_dump(exclude={"id", "latency_ms"})


class Returns:
    """A scorer that returns whatever it was given."""

    name = "broken"

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> Any:
        return self.answer


@pytest.fixture
def scorer() -> FakeScorer:
    return FakeScorer(SCORES)


@pytest.fixture
def router(scorer: FakeScorer) -> Router:
    return Router(scorer, ZOO, store_version="test:1")


@pytest.fixture
def strict(scorer: FakeScorer) -> Router:
    return Router(scorer, ZOO, strict=True)


# -- the decision -----------------------------------------------------------------------------------------------------


def test_a_decision_says_who_how_likely_at_what_cost_and_on_what_ground(router: Router) -> None:
    decision = router.route("x" * 4000)
    assert (decision.model, decision.probability) == ("large", 0.9)
    assert decision.scores == {"large": 0.9, "small": 0.6, "unpriced": 0.3}
    assert decision.expected_cost_usd == pytest.approx((5 * 1000 + 10 * 256) / 1e6)
    assert decision.ranking[1].expected_cost_usd == pytest.approx((0.5 * 1000 + 256) / 1e6)
    assert decision.ranking[2].expected_cost_usd is None
    assert (decision.policy, decision.scorer, decision.store_version) == ("best", "fake", "test:1")
    assert decision.excluded == {}
    assert decision.warnings == ()
    assert 0 < decision.latency_ms < 10_000


def test_a_decision_survives_json_and_pickling_and_explains_itself(router: Router) -> None:
    decision = router.route("Prove it", policy=Threshold(0.5), constraints=Constraints(deny=frozenset({"large"})))
    assert Decision.model_validate_json(decision.model_dump_json()) == decision
    assert pickle.loads(pickle.dumps(decision)) == decision
    text = decision.explain()
    assert text.startswith("small: 60.0% likely to get this right (policy threshold:0.5, fake)")
    assert "not considered: large (denied)" in text
    assert "not considered: unpriced (no price is known" in text


def test_policy_constraints_and_facts_of_a_call_stand_in_place_of_the_routers_own(scorer: FakeScorer) -> None:
    router = Router(scorer, ZOO, policy=CostAware(1e-6), constraints=Constraints(deny=frozenset({"large"})))
    assert router.route("q").model == "small"
    assert router.route("q", constraints=Constraints(), policy=Best()).model == "large"
    with pytest.raises(NoCandidate, match="large, unpriced: denied"):
        router.route("q", constraints=Constraints(deny=frozenset(SCORES)))
    long = router.route("q", policy=Best(), constraints=Constraints(), facts=QueryFacts(tokens=5000))
    assert set(long.excluded) == {"small"}
    assert long.ranking[0].expected_cost_usd == pytest.approx((5 * 5000 + 10 * 256) / 1e6)


def test_the_assumed_length_of_an_answer_is_paid_for(scorer: FakeScorer) -> None:
    costs = {n: Router(scorer, [LARGE], completion_tokens=n).route("abcd").expected_cost_usd for n in (0, 1000)}
    assert costs == {0: pytest.approx(5e-6), 1000: pytest.approx(5e-6 + 0.01)}


def test_the_zoo_is_a_snapshot(scorer: FakeScorer) -> None:
    zoo: list[Candidate | Capability] = [SMALL, Capability(candidate=LARGE)]
    router = Router(scorer, zoo)
    zoo.append(UNPRICED)
    assert router.candidates == (SMALL, LARGE)
    assert router.capabilities == (Capability(candidate=SMALL), Capability(candidate=LARGE))
    assert set(router.route("q").scores) == {"small", "large"}


def test_the_scorer_sees_the_capabilities_as_they_are() -> None:
    seen: list[Sequence[Capability]] = []

    class Looks:
        def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> Any:
            seen.append(capabilities)
            return np.full((len(instructions), len(capabilities)), 0.5)

    task = Task(id="t", keywords=("k",))
    measured = Capability(candidate=LARGE, results=(TaskResult(task=task, accuracy=0.5, count=2),))
    decision = Router(Looks(), [SMALL, measured]).route("q")
    assert list(seen[0]) == [Capability(candidate=SMALL), measured]
    assert decision.scorer == "Looks", "a scorer without a name goes by its class"
    assert isinstance(Looks(), Scorer)
    assert not isinstance(object(), Scorer)


# -- bad zoos ---------------------------------------------------------------------------------------------------------


def test_an_empty_zoo_is_refused(scorer: FakeScorer) -> None:
    with pytest.raises(NoCandidate, match="the zoo is empty") as caught:
        Router(scorer, [])
    assert caught.value.reasons == {}


def test_the_same_candidate_twice_is_refused_by_name(scorer: FakeScorer) -> None:
    with pytest.raises(InvalidInput, match="duplicate candidate ids: 'small'"):
        Router(scorer, [SMALL, LARGE, Capability(candidate=SMALL)])


def test_what_is_no_candidate_is_refused(scorer: FakeScorer) -> None:
    with pytest.raises(InvalidInput, match=r"candidates\.0 is 'gpt-4o'; it must be a Candidate or a Capability"):
        Router(scorer, ["gpt-4o"])  # type: ignore[list-item]


@pytest.mark.parametrize("tokens", [-1, math.nan])
def test_an_answer_of_no_length_is_refused(scorer: FakeScorer, tokens: Any) -> None:
    with pytest.raises(InvalidInput, match=r"completion_tokens is .*; it must be a number, 0 or more"):
        Router(scorer, ZOO, completion_tokens=tokens)


def test_everybody_excluded_lists_each_reason_and_scores_nothing(strict: Router, scorer: FakeScorer) -> None:
    limits = Constraints(deny=frozenset({"unpriced"}), max_price_in=0.1)
    with pytest.raises(NoCandidate) as caught:
        strict.route("q", constraints=limits)
    assert caught.value.reasons == {
        "small": "price_in 0.5 is above 0.1 USD per 1M tokens",
        "large": "price_in 5.0 is above 0.1 USD per 1M tokens",
        "unpriced": "denied",
    }
    assert all(f"{id_}: {reason}" in str(caught.value) for id_, reason in caught.value.reasons.items())
    assert scorer.calls == []


# -- bad queries ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", " ", "\n\t \r\n", "\u3000"])
def test_an_empty_query_is_refused_where_it_is_strict(strict: Router, scorer: FakeScorer, query: str) -> None:
    with pytest.raises(InvalidInput, match="the query is empty; pass the text that the LLM will be asked"):
        strict.route(query)
    with pytest.raises(InvalidInput, match="query 2 is empty"):
        strict.route_many(["a", "b", query])
    assert scorer.calls == []


@pytest.mark.parametrize("query", [None, 3, b"bytes", ["a list"], math.nan])
def test_a_query_that_is_no_text_is_refused_with_what_it_is(strict: Router, query: Any) -> None:
    said = f"the query is (a )?{type(query).__name__}"
    with pytest.raises(InvalidInput, match=said):
        strict.route(query)
    with pytest.raises(InvalidInput, match=f"query 1: {said}"):
        strict.route_many(["a", query])


def test_half_a_character_is_refused_where_it_is_strict(strict: Router) -> None:
    with pytest.raises(InvalidInput, match=r"the query is not valid Unicode: '\\ud83d' at character 2"):
        strict.route("a \ud83d")


def test_one_text_is_not_a_batch(router: Router) -> None:
    with pytest.raises(InvalidInput, match="use route for a single query"):
        router.route_many("a single text")


def test_facts_are_one_for_each_query(router: Router) -> None:
    with pytest.raises(InvalidInput, match="got 1 facts for 2 queries"):
        router.route_many(["a", "b"], facts=[QueryFacts()])
    facts = [None, QueryFacts(tokens=5000), QueryFacts(modalities=frozenset({"image"}))]
    assert [set(d.excluded) for d in router.route_many(["a", "b", "c"], facts=facts)] == [set(), {"small"}, set()]


MEGABYTE = "long " * 200_000


def test_a_megabyte_is_cut_with_a_warning(router: Router, scorer: FakeScorer) -> None:
    decision = router.route(MEGABYTE, constraints=Constraints(deny=frozenset({"unpriced"})), policy=Best())
    assert decision.model == "large"
    assert [len(text) for text in scorer.calls[0]] == [MAX_CHARACTERS]
    assert any("the 20,000 characters that ask were read to decide" in w for w in decision.warnings)
    assert "warning: the query has about 204,000 tokens" in decision.explain()


def test_of_a_long_prompt_the_question_is_read(router: Router, scorer: FakeScorer) -> None:
    scorer.max_tokens = 256
    question = "Which of the two rivers is longer?"
    router.route(f"Answer from the context.\n\n{'The river rose. ' * 400}\n\nQuestion: {question}\nAnswer:")
    assert scorer.calls == [(question,)]


def test_what_a_scorer_does_not_read_is_said(router: Router, scorer: FakeScorer) -> None:
    scorer.max_tokens = 256
    assert router.route("word " * 150).warnings == ()
    assert router.route("word " * 400).warnings == (
        "the query has about 408 tokens; the 896 characters that ask were read to decide",
    )


def test_a_megabyte_goes_somewhere_even_where_no_context_window_is_that_long(scorer: FakeScorer) -> None:
    decision = Router(scorer, [SMALL, LARGE]).route(MEGABYTE)
    assert decision.model == "large"
    assert decision.excluded == {}
    assert decision.warnings[1:] == (
        "about 204,000 tokens; no candidate's context window is that long (large: 128,000)",
    )
    unknown = Router(scorer, ZOO).route(MEGABYTE)
    assert unknown.model == "unpriced", "whose context window is not known may have a long one"
    assert len(unknown.warnings) == 1


def test_warnings_begin_where_the_limits_are(scorer: FakeScorer) -> None:
    router = Router(scorer, [SMALL])
    fits = SMALL.context_window * CHARACTERS_PER_TOKEN if SMALL.context_window else 0
    assert router.route("x" * fits).warnings == ()
    assert "4,097 tokens" in router.route("x" * (fits + CHARACTERS_PER_TOKEN)).warnings[0]
    free = Router(scorer, [UNPRICED])
    assert free.route("x" * MAX_CHARACTERS).warnings == ()
    assert "the 20,000 characters that ask" in free.route("x" * (MAX_CHARACTERS + 1)).warnings[0]


# -- bad scorers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (np.full((1, 2), 0.5), r"shape \(1, 2\)"),
        (np.full((2, 3), 0.5), r"shape \(2, 3\)"),
        (np.full((3,), 0.5), r"shape \(3,\)"),
        (0.5, r"shape \(\)"),
        (None, r"shape \(\)"),
        ([[0.5, np.nan, 0.5]], r"values outside \[0, 1\]"),
        ([[0.5, 1.01, 0.5]], r"values outside \[0, 1\]"),
        ([[0.5, -0.01, 0.5]], r"values outside \[0, 1\]"),
        ([[0.5, np.inf, 0.5]], r"values outside \[0, 1\]"),
        ([[0.5, 0.5], [0.5]], "no array of numbers"),
        ([["high", "low", "low"]], "no array of numbers"),
    ],
)
def test_a_scorer_that_returns_something_else_is_named(answer: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=f"the scorer 'broken' returned .*{said}") as caught:
        Router(Returns(answer), ZOO, strict=True).route("q")
    assert "must return an array of probabilities of shape (1, 3)" in str(caught.value)


@pytest.mark.parametrize("answer", [[[0.5, 1, 0]], ((0.5, 1.0, 0.0),), np.array([[0.5, 1, 0]], np.float32)])
def test_any_array_of_probabilities_will_do(answer: Any) -> None:
    decision = Router(Returns(answer), ZOO).route("q")
    assert decision.scores == {"large": 1.0, "small": 0.5, "unpriced": 0.0}


def test_the_fake_scorer_says_whom_it_does_not_know() -> None:
    with pytest.raises(UnknownCandidate, match="closest: 'small'"):
        Router(FakeScorer({"small": 0.5}), [Candidate(id="smal")], strict=True).route("q")
    assert FakeScorer(SCORES).score([], [Capability(candidate=SMALL)]).shape == (0, 1)
    assert FakeScorer(by_length).score(["x" * 40], [Capability(candidate=LARGE)]).tolist() == [[0.4]]


# -- batches, threads, event loops ------------------------------------------------------------------------------------


def test_a_batch_is_one_call_of_the_scorer_and_decides_as_one_by_one() -> None:
    texts = ["x" * n for n in (10, 90, 50, 70)]
    scorer = FakeScorer(by_length)
    router = Router(scorer, ZOO)
    together = router.route_many(texts)
    assert scorer.calls == [tuple(texts)]
    assert [decision.model for decision in together] == ["small", "large", "small", "large"]
    assert list(map(without_latency, together)) == [without_latency(router.route(text)) for text in texts]
    assert router.route_many([]) == []
    assert list(map(without_latency, router.route_many(np.array(texts)))) == list(map(without_latency, together))  # type: ignore[arg-type]


@given(
    st.lists(st.tuples(st.text("abc", min_size=1, max_size=4), st.floats(0, 1)), min_size=1, unique_by=lambda p: p[0]),
    st.data(),
)
def test_the_order_of_the_zoo_does_not_matter(numbers: list[tuple[str, float]], data: Any) -> None:
    scores = dict(numbers)
    zoo = [Candidate(id=id_, price_in=len(id_), price_out=0) for id_ in scores]
    shuffled = data.draw(st.permutations(zoo))
    for policy in (Best(), Threshold(0.5), CostAware(0.01)):
        one, other = (Router(FakeScorer(scores), some, policy=policy).route("q") for some in (zoo, shuffled))
        assert without_latency(one) == without_latency(other)


def test_many_threads_share_one_router() -> None:
    router = Router(FakeScorer(by_length), ZOO)
    texts = ["x" * (n % 100 + 1) for n in range(640)]
    together = threading.Barrier(32)

    def work(part: list[str]) -> list[Decision]:
        together.wait(timeout=30)
        return [router.route(text) for text in part]

    with ThreadPoolExecutor(32) as pool:
        parts = list(pool.map(work, [texts[n::32] for n in range(32)]))
    for n, part in enumerate(parts):
        assert [d.scores["large"] for d in part] == [min(len(text), 100) / 100 for text in texts[n::32]]
        assert [d.model for d in part] == ["large" if len(text) > 50 else "small" for text in texts[n::32]]


async def test_async_routing_never_blocks_the_loop() -> None:
    """While a scorer sleeps, a ticker on the same loop goes on; and the scorer is in another thread."""
    threads: list[int] = []

    class Slow(FakeScorer):
        def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> Any:
            threads.append(threading.get_ident())
            time.sleep(0.5)
            return super().score(instructions, capabilities)

    ticks: list[float] = []

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.005)
            ticks.append(time.monotonic())

    scorer = Slow(SCORES)
    router = Router(scorer, ZOO)
    ticker = asyncio.create_task(tick())
    decision, many = await asyncio.gather(router.aroute("q"), router.aroute_many(["a", "b"]))
    ticker.cancel()
    assert len(ticks) >= 10
    assert threading.get_ident() not in threads
    assert decision.model == "large"
    assert [d.model for d in many] == ["large", "large"]
    assert sorted(scorer.calls) == [("a", "b"), ("q",)]


async def test_a_decision_waits_for_nobody_in_the_loops_own_threads(router: Router) -> None:
    """Frameworks run sync candidates there: some are slow, and some wait for a decision themselves."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))

    def candidate() -> str:
        return asyncio.run_coroutine_threadsafe(router.aroute("q"), loop).result(timeout=20).model

    assert await asyncio.wait_for(loop.run_in_executor(None, candidate), 30) == "large"
    answering = threading.Event()
    busy = loop.run_in_executor(None, answering.wait, 30)
    decided = await asyncio.wait_for(asyncio.gather(router.aroute("q"), router.aroute_many(["q", "q"])), 20)
    assert (decided[0].model, len(decided[1]), answering.is_set()) == ("large", 2, False)
    answering.set()
    assert await busy


async def test_async_routing_decides_and_refuses_as_the_other(router: Router) -> None:
    options: dict[str, Any] = {"policy": Threshold(0.5), "constraints": Constraints(deny=frozenset({"small"}))}
    facts = QueryFacts(tokens=7)
    assert without_latency(await router.aroute("q", **options, facts=facts)) == without_latency(
        router.route("q", **options, facts=facts)
    )
    many = await router.aroute_many(["q", "r"], **options, facts=[facts, None])
    assert list(map(without_latency, many)) == list(
        map(without_latency, router.route_many(["q", "r"], **options, facts=[facts, None]))
    )
    with pytest.raises(InvalidInput, match="the query is empty"):
        await Router(router.scorer, ZOO, strict=True).aroute(" ")
    with pytest.raises(NoCandidate):
        await router.aroute_many(["a"], constraints=Constraints(deny=frozenset(SCORES)))


def test_who_is_excluded_is_not_scored() -> None:
    class Noting(FakeScorer):
        def score(self, instructions, capabilities):
            self.seen = [capability.candidate.id for capability in capabilities]
            return super().score(instructions, capabilities)

    scorer = Noting({"a": 0.1, "b": 0.9, "c": 0.5})
    router = Router(scorer, [Candidate(id=id_) for id_ in "abc"])
    decision = router.route("q", constraints=Constraints(deny=frozenset({"b"})))
    assert scorer.seen == ["a", "c"]
    assert decision.scores == {"c": 0.5, "a": 0.1}
    assert decision.excluded == {"b": "denied"}


# -- what was measured ------------------------------------------------------------------------------------------------


def test_expected_cost_and_time_are_the_measured_ones() -> None:
    listed = Candidate(id="listed", price_in=1.0, price_out=2.0)
    zoo = [
        Capability(candidate=listed, usage=Usage(completion_tokens=1000, cost_usd=9.0, latency_s=2.5)),
        Capability(candidate=Candidate(id="unlisted"), usage=Usage(cost_usd=0.003)),
        Capability(candidate=listed.model_copy(update={"id": "unmeasured"})),
    ]
    scorer = FakeScorer({"listed": 0.5, "unlisted": 0.5, "unmeasured": 0.5})
    ranking = Router(scorer, zoo, completion_tokens=10).route("x" * 400, policy=CostAware(1.0)).ranking
    assert {r.model: (pytest.approx(r.expected_cost_usd), r.expected_latency_s) for r in ranking} == {
        "listed": ((100 * 1.0 + 1000 * 2.0) / 1e6, 2.5),
        "unlisted": (0.003, None),
        "unmeasured": ((100 * 1.0 + 10 * 2.0) / 1e6, None),
    }, "list prices at the measured length; else the measured cost; else list prices at the assumed length"


def test_a_slow_candidate_is_excluded_by_its_measured_time() -> None:
    zoo = [
        Capability(candidate=SMALL, usage=Usage(latency_s=0.5)),
        Capability(candidate=LARGE, usage=Usage(latency_s=8.0)),
        Capability(candidate=Candidate(id="untimed")),
    ]
    router = Router(
        FakeScorer({"small": 0.1, "large": 0.9, "untimed": 0.5}), zoo, constraints=Constraints(max_latency_s=2)
    )
    decision = router.route("q")
    assert dict(decision.excluded) == {"large": "its answers took 8 s on average, above 2 s"}
    assert [r.model for r in decision.ranking] == ["untimed", "small"], "what is not known never excludes"


def test_an_answer_that_was_not_measured_is_as_long_as_the_others() -> None:
    def told(**tokens: float | None) -> dict[str, float | None]:
        zoo = [
            Capability(candidate=Candidate(id=id_, price_in=0.0, price_out=1.0), usage=Usage(completion_tokens=number))
            for id_, number in tokens.items()
        ]
        ranking = Router(FakeScorer(lambda *_: 0.5), zoo).route("q").ranking
        return {one.model: one.expected_cost_usd for one in ranking}

    assert told(a=1_000.0, b=3_000.0, c=None)["c"] == pytest.approx(2_000 / 1e6)
    assert told(a=None, c=None)["c"] == pytest.approx(256 / 1e6)
