"""Whatever way an answer is given, its bill is in the log, in the limit and in the outcome, and a shadow may see it."""

import asyncio
import json
from decimal import Decimal
from itertools import count

import pytest

from cit_core.policy import as_policy
from cit_core.records import Candidate, Decision
from cit_core.router import Answer, Cascade, FakeScorer, Fallback, Query, Rates, Router
from cit_core.router.decision_log import DecisionLog, read_log
from cit_core.router.settlement import UNKNOWN, Bill, Settlement, bill_of, sum_of
from cit_core.router.shadow import Shadow
from cit_core.router.steps import Steps

ZOO = [
    Candidate(id="small", price_in=1.0, price_out=10.0, price_cached=0.1),
    Candidate(id="large", price_in=10.0, price_out=100.0),
]


NUMBERS = count()


class Texts:
    """Answers are texts of ten tokens a letter."""

    def __init__(self, fallback):
        self.fallback = fallback

    def attempts(self, decision):
        return self.fallback.attempts(decision)

    def question(self):
        return "What?"

    def answer(self, given, attempts, decision):
        return Answer("".join(given), attempts.model)

    def bill(self, given, model):
        return bill_of(next(one for one in ZOO if one.id == model), 100, 10 * len("".join(given)))

    def words(self, given, model):
        return "".join(given)

    def reference(self, model):
        return lambda: "from the reference"

    def marked(self, given, report):
        return given

    def accepted(self, decision, model):
        pass


@pytest.fixture
def log(tmp_path):
    return DecisionLog(tmp_path / "decisions.jsonl")


def steps_of(log, *, cascade=None, shadow=None, policy="best"):
    router = Router(FakeScorer(lambda _, model: 0.9 if model == "large" else 0.8), ZOO, policy=policy, log=log)
    decision, fallback = router.route("What?"), Fallback()
    decision = decision if cascade is None else cascade.planned(decision)
    return router, Steps(cascade, decision, fallback, Texts(fallback), Settlement.of(router, decision, shadow))


def records(log, kind):
    assert log.flush()
    return [record for record in read_log(log.target) if record["kind"] == kind]


def pieces(attempts):
    yield from attempts.model


async def apieces(attempts):
    for piece in attempts.model:
        yield piece


async def atext(attempts):
    return attempts.model


async def everything(steps):
    return [piece async for piece in steps.astream(apieces)]


async def two_pieces(steps):
    stream = steps.astream(apieces)
    await anext(stream), await anext(stream)
    await stream.aclose()


def test_all_four_ways_are_billed_by_the_tokens_that_were_counted(log):
    steps_of(log)[1].answer(lambda attempts: attempts.model)
    asyncio.run(steps_of(log)[1].aanswer(atext))
    list(steps_of(log)[1].stream(pieces))
    asyncio.run(everything(steps_of(log)[1]))
    bills = records(log, "usage")
    assert [one["cost_usd"] for one in bills] == [pytest.approx((100 * 10 + 50 * 100) / 1e6)] * 4
    assert all(one["model"] == "large" and 0.0 < one["latency_s"] < 60.0 for one in bills)
    assert {one["decision"] for one in bills} == {one["id"] for one in records(log, "decision")}


def test_a_stream_that_is_broken_off_is_a_signal_and_no_answer(log):
    stream = steps_of(log)[1].stream(pieces)
    next(stream)
    stream.close()
    asyncio.run(two_pieces(steps_of(log)[1]))
    assert [one["signal"] for one in records(log, "signal")] == ["aborted", "aborted"]
    assert [one["cost_usd"] for one in records(log, "usage")] == [pytest.approx(0.002), pytest.approx(0.003)]
    assert all(one["latency_s"] is None for one in records(log, "usage"))


@pytest.mark.parametrize("accepts", [True, False])
def test_a_cascade_is_billed_for_all_of_its_steps(log, accepts):
    cascade = Cascade(lambda question, answer: accepts, reliability=Rates(0.95, 0.05))
    _, steps = steps_of(log, cascade=cascade)
    list(steps.stream(pieces))
    (told,), (bill,) = records(log, "cascade"), records(log, "usage")
    small, large = (100 + 50 * 10) / 1e6, (100 * 10 + 50 * 100) / 1e6
    assert [step["cost_usd"] for step in told["steps"]] == pytest.approx([small] if accepts else [small, large])
    assert all(step["measured"] for step in told["steps"])
    assert (bill["model"], told["model"]) == (("small", "small") if accepts else ("large", "large"))
    assert bill["cost_usd"] == told["spent_usd"] == pytest.approx(small if accepts else small + large)


def test_a_budget_counts_what_was_paid_in_place_of_the_policy_s_choice(log):
    router, steps = steps_of(None, policy="budget:10.75/day")
    expected = router.pacer().spent()
    steps.answer(lambda attempts: attempts.model)
    assert router.pacer().spent() == pytest.approx(0.006)
    assert expected != pytest.approx(0.006)


@pytest.fixture
def budget():
    """A budget that no other router of this process shares."""
    return f"budget:{1_000 + next(NUMBERS)}/day"


@pytest.mark.parametrize(
    "given", [{}, {"model": "small"}, {"policy": "best"}, {"policy": "share:large=10%"}, {"text": ""}]
)
def test_whatever_a_call_asks_for_is_paid_out_of_the_router_s_budget(given, budget):
    """A caller who names a model or a policy of its own, or gives nothing to decide on, is no way around it."""
    router = Router(FakeScorer(lambda _, model: 0.9 if model == "large" else 0.8), ZOO, policy=budget)
    decision = router.decide(Query(**{"text": "What?", **given}))
    assert budget in decision.limits
    router.settle(decision, cost_usd=3.0)
    assert router.pacer().spent() == pytest.approx(3.0)


def test_a_later_word_on_an_answer_replaces_an_earlier_one(budget):
    """An agent that is asked again after an outage must not earn budget."""
    router = Router(FakeScorer({"small": 0.5, "large": 0.9}), ZOO, policy=budget)
    decision = router.route("What?")
    for _ in range(3):
        router.refund(decision)
        assert router.pacer().spent() == pytest.approx(0.0)
    router.settle(decision, cost_usd=3.0)
    router.settle(decision, cost_usd=2.0)
    assert router.pacer().spent() == pytest.approx(2.0)
    router.settle(decision, cost_usd=0.5, again=True)
    assert router.pacer().spent() == pytest.approx(2.5)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -3.0, 10**400, "x"])
def test_a_bill_that_is_no_amount_counts_as_expected(budget, odd):
    router = Router(FakeScorer({"small": 0.5, "large": 0.9}), ZOO, policy=budget)
    decision = router.route("What?")
    expected = router.pacer().spent()
    router.settle(decision, cost_usd=odd, latency_s=odd)
    assert router.pacer().spent() == pytest.approx(expected)
    router.settle(decision, cost_usd=Decimal(3))
    assert router.pacer().spent() == pytest.approx(3.0)


def test_a_decision_of_an_older_release_is_settled_by_its_policy(budget):
    router = Router(FakeScorer({"small": 0.5, "large": 0.9}), ZOO, policy=budget)
    told = router.route("What?").model_dump(mode="json")
    del told["limits"]
    older = Decision.model_validate_json(json.dumps(told))
    assert router.settles(older)
    router.settle(older, cost_usd=3.0)
    assert router.pacer().spent() == pytest.approx(3.0)
    for limits in (("best",), ("of my own",)):
        strange = older.model_copy(update={"limits": limits})
        assert not router.settles(strange)
        router.settle(strange, cost_usd=3.0)
    assert router.pacer().spent() == pytest.approx(3.0)


def test_previews_leave_no_trace_in_a_budget(budget):
    router = Router(FakeScorer({"small": 0.5, "large": 0.9}), ZOO, policy=f"{budget}/tenant")
    for number in range(50):
        router.decide(Query("What?", preview=True, tenant=f"t{number}"))
    pacer = router.pacer()
    assert not pacer._accounts
    assert not len(pacer._recent)
    router.decide(Query("What?", tenant="t"))
    spent = pacer.spent("t")
    assert router.decide(Query("What?", preview=True, tenant="t")).limits == ()
    assert pacer.spent("t") == spent > 0.0


def test_a_call_s_own_limit_is_kept_beside_the_router_s(budget):
    router = Router(FakeScorer({"small": 0.5, "large": 0.9}), ZOO, policy=budget)
    share = as_policy(f"share:large={next(NUMBERS) / 10 + 10:g}%")
    decisions = [router.decide(Query("What?", policy=share)) for _ in range(20)]
    assert {decision.limits for decision in decisions} == {(share.name, budget)}
    assert router.pacer(share).spent() == sum(decision.model == "large" for decision in decisions)
    assert router.pacer().spent() == pytest.approx(sum(decision.expected_cost_usd for decision in decisions))


def failing(attempts):
    raise ConnectionError


async def afailing(attempts):
    raise ConnectionError


def broken(attempts):
    raise ConnectionError
    yield


async def abroken(attempts):
    raise ConnectionError
    yield


async def all_of(stream):
    return [piece async for piece in stream]


@pytest.mark.parametrize(
    "call",
    [
        lambda steps: steps.answer(failing),
        lambda steps: asyncio.run(steps.aanswer(afailing)),
        lambda steps: list(steps.stream(broken)),
        lambda steps: asyncio.run(all_of(steps.astream(abroken))),
    ],
)
def test_a_call_that_everybody_failed_costs_nothing(call, budget):
    """An outage must not eat the day's budget."""
    router, steps = steps_of(None, policy=budget)
    assert router.pacer().spent() > 0.0
    with pytest.raises(ConnectionError):
        call(steps)
    assert router.pacer().spent() == pytest.approx(0.0)


@pytest.mark.parametrize("is_answered", [False, True])
def test_a_cascade_that_everybody_failed_costs_what_its_steps_did(is_answered, budget):
    cascade = Cascade(lambda question, answer: False, reliability=Rates(0.95, 0.05), any_route=True)
    router = Router(FakeScorer({"small": 0.8, "large": 0.9}), ZOO, policy=budget)
    decision = cascade.planned(router.route("What?"))
    fallback = Fallback(fallback_on=lambda error: False)
    steps = Steps(cascade, decision, fallback, Texts(fallback), Settlement.of(router, decision))
    answers = iter(["a text"] if is_answered else [])

    def ask(attempts):
        for answer in answers:
            return answer
        raise ConnectionError

    with pytest.raises(ConnectionError):
        steps.answer(ask)
    assert (router.pacer().spent() > 0.0) is is_answered


def test_a_failed_call_is_no_bill_in_the_log(log, budget):
    _, steps = steps_of(log, policy=budget)
    with pytest.raises(ConnectionError):
        steps.answer(failing)
    assert records(log, "usage") == []


def test_nothing_is_kept_where_nobody_keeps_it():
    assert steps_of(None)[1]._settlement is None


def test_a_shadow_sees_texts_in_the_background_and_its_failure_reaches_nobody(log):
    seen = []

    def judge(question, one, other):
        seen.append({question, one, other})
        raise RuntimeError

    shadow = Shadow("small", judge=judge, rate=1.0).with_log(log)
    assert steps_of(log, shadow=shadow)[1].answer(lambda attempts: attempts.model) == "large"
    assert shadow.flush()
    assert seen == [{"What?", "large", "from the reference"}]
    assert (shadow.compared, shadow.failed) == (0, 1)


def test_what_was_cached_costs_less_and_odd_counts_nothing():
    assert bill_of(ZOO[0], 1000, 10, 900).cost_usd == pytest.approx((100 + 90 + 100) / 1e6)
    assert bill_of(ZOO[0], 1000, 10, 9_000).cost_usd == pytest.approx((100 + 100) / 1e6)
    assert bill_of(ZOO[0], 1000, None) == bill_of(ZOO[0], -1, 5) == bill_of(ZOO[0], True, "x") == UNKNOWN
    assert bill_of(Candidate(id="free of a price"), 3, 4) == Bill(None, 3, 4)


def test_what_was_written_to_a_cache_costs_more():
    written = ZOO[0].model_copy(update={"price_cache_write": 1.25})
    assert bill_of(written, 1000, 10, 100, 800).cost_usd == pytest.approx((100 + 10 + 1000 + 100) / 1e6)
    assert bill_of(ZOO[0], 1000, 10, 100, 800).cost_usd == pytest.approx((900 + 10 + 100) / 1e6), "not known"


def test_each_of_several_calls_has_the_price_of_its_own_length():
    tiers = [{"above": 500, "price_in": 2.0, "price_out": 20.0}]
    voting = Candidate(id="small@samples=3", price_in=1.0, price_out=10.0, price_tiers=tiers)
    assert bill_of(voting, 1500, 30) == Bill(pytest.approx((1500 + 300) / 1e6), 1500, 30)
    assert bill_of(voting, 1800, 30).cost_usd == pytest.approx((3600 + 600) / 1e6)
    one = voting.model_copy(update={"id": "small"})
    assert sum_of([bill_of(one, 400, 10), bill_of(one, 600, 10)]) == Bill(pytest.approx(0.0019), 1000, 20)
    assert sum_of([Bill(None, 3, 4), Bill(1.0, 5, 6)]) == Bill(None, 8, 10)
    assert sum_of([]) == UNKNOWN


@pytest.mark.parametrize("counted", [bill_of(ZOO[0], 100, 1), UNKNOWN])
def test_of_an_answer_that_is_left_no_less_counts_than_has_come(log, counted):
    class AtTheEnd(Texts):
        def bill(self, given, model):
            return counted

    router = Router(FakeScorer({"small": 0.9, "large": 0.1}), ZOO, policy="budget:1/day", log=log)
    for words, least, most in (("word " * 1000, 900, 1500), ("word", 0, 500)):
        before = router.pacer().spent()
        settlement = Settlement.of(router, decision := router.route("What?"))
        settlement.aborted(AtTheEnd(Fallback()), [words], decision.model)
        assert least * 10 / 1e6 < router.pacer().spent() - before < most * 10 / 1e6
        told = decision.ranking[0].expected_cost_usd
    assert counted != UNKNOWN or router.pacer().spent() - before == pytest.approx(told), "as expected"
