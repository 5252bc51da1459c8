"""A limit is kept under drifting traffic, by tenants, over processes; the multiplier is the best there is."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Iterable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cit_core.errors import InvalidInput, StoreError
from cit_core.policy import BudgetPacer, Scored, Spend, pacer_of, parse_policy, rank
from cit_core.policy.goals import Goal
from cit_core.policy.hull import RecentQueries, hull_steps
from cit_core.policy.pacer import TENANTS
from cit_core.policy.window import BUCKETS, SlidingWindow
from cit_core.records import Candidate, Capability
from cit_core.router import FakeScorer, Query, Router
from cit_core.store import CapabilityStore

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))
from budget import simulate

ZOO = [Candidate(id="weak"), Candidate(id="strong")]


def goal(text: str) -> Goal:
    found = parse_policy(text)
    assert isinstance(found, Goal)
    return found


def pacer(text: str, **options: Any) -> BudgetPacer:
    return BudgetPacer(goal(text), draw=random.Random(0).random, **options)


def ask(paced: BudgetPacer, weak: float, strong: float, usd: tuple[float, float], tenant: str | None = None) -> str:
    scored = [Scored(ZOO[0], weak, usd[0], 1.0), Scored(ZOO[1], strong, usd[1], 5.0)]
    chosen = rank(scored, paced.of_query(scored, tenant)[0], {})[0][0]
    paced.charge(chosen.model, chosen.expected_cost_usd, chosen.expected_latency_s, tenant)
    return chosen.model


# -- the multiplier ---------------------------------------------------------------------------------------------------


def test_only_the_upper_hull_is_climbed() -> None:
    least, steps = hull_steps([(1.0, 0.2), (2.0, 0.25), (3.0, 0.8), (3.0, 0.7), (5.0, 0.9), (6.0, 0.85)])
    assert least == 1.0
    assert [amount for _, amount in steps] == [2.0, 2.0, 1.0]
    assert [slope for slope, _ in steps] == pytest.approx([0.3, 0.05, -0.05])


def test_the_multiplier_spends_the_goal_and_no_rule_gets_more_for_it() -> None:
    draw = np.random.default_rng(0)
    cost = draw.lognormal(-7, 1, (400, 4)).cumsum(axis=1)
    chance = np.sort(draw.random((400, 4)), axis=1)
    recent = RecentQueries(400)
    for row in range(400):
        recent.add(zip(cost[row], chance[row], strict=True))
    aim = float(cost[:, 0].mean() + 0.3 * (cost[:, -1].mean() - cost[:, 0].mean()))
    found = recent.multiplier(aim)
    chosen = (chance - found.value * cost).argmax(axis=1)
    rows = np.arange(400)
    assert cost[rows, chosen].mean() == pytest.approx(aim, rel=0.02)
    # weak duality: no choice with this mean cost has a higher mean chance than the Lagrangian's bound
    bound = (chance - found.value * cost).max(axis=1).mean() + found.value * aim
    assert chance[rows, chosen].mean() == pytest.approx(bound, abs=0.002)


def test_queries_that_are_all_alike_are_shared_by_chance() -> None:
    paced = pacer("budget:3/1k")
    chosen = [ask(paced, 0.5, 0.9, (0.001, 0.011)) for _ in range(3_000)]
    assert np.mean([one == "strong" for one in chosen]) == pytest.approx(0.2, abs=0.01)
    scored = [Scored(ZOO[0], 0.5, 0.001, 1.0), Scored(ZOO[1], 0.9, 0.011, 1.0)]
    assert 0.0 < paced.of_query(scored)[1] < 1.0, "and the decision says how likely it was"


# -- the window -------------------------------------------------------------------------------------------------------


def test_a_window_forgets_and_stays_small() -> None:
    window = SlidingWindow(10.0, BUCKETS)
    for bucket in range(1_000):
        window.add(bucket + 0.5, 2, 0.1)
    assert len(window._queries) <= 2 * BUCKETS
    assert window.spent(999.9) == pytest.approx(0.1 * BUCKETS)
    assert window.spent(5_000.0) == 0.0
    assert window.goal(999.9) == pytest.approx(10.0 / (2 * BUCKETS), rel=0.1)


def test_the_traffic_of_one_window_ago_is_expected_again() -> None:
    window = SlidingWindow(96.0, BUCKETS)
    for bucket in range(3 * BUCKETS):
        busy = bucket % BUCKETS < BUCKETS // 2
        window.add(bucket + 0.5, 10 if busy else 1, 0.0)
    assert window.goal(3.0 * BUCKETS) == pytest.approx(96.0 / (11 * BUCKETS / 2), rel=0.1)


# -- days -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("usd", [8, 40])
def test_a_drifting_day_keeps_its_budget_and_beats_the_frugal(usd: float) -> None:
    day = simulate(f"budget:{usd}/day", 8_000)
    assert day.spend_usd.sum() == pytest.approx(usd, rel=0.02)
    assert day.windows().max() <= 1.02 * usd
    assert day.probability.mean() > 0.38, "always the cheapest has 0.33"


def test_any_thousand_queries_stay_within_a_budget_for_a_thousand() -> None:
    day = simulate("budget:3/1k", 6_000, drifts=False)
    total = np.concatenate([[0.0], np.cumsum(day.spend_usd)])
    assert (total[1_000:] - total[:-1_000]).max() <= 1.03 * 3
    assert total[-1] / 6_000 == pytest.approx(0.003, rel=0.05)


def test_a_share_and_a_time_are_kept_too() -> None:
    draw = np.random.default_rng(0)
    shared, timed = pacer("share:strong=20%"), pacer("latency:2")
    for paced in (shared, timed):
        chosen = [ask(paced, draw.random(), 0.7 * draw.random() + 0.3 * (n > 2_000), (0.0, 0.0)) for n in range(4_000)]
        share = np.mean([one == "strong" for one in chosen])
        assert (0.19 < share < 0.21) if paced is shared else (0.225 < share <= 0.251), "a limit is not exceeded"


def test_the_share_is_reached_where_the_model_is_no_better() -> None:
    paced, draw = pacer("share:strong=20%"), np.random.default_rng(1)
    chosen = [ask(paced, 0.9, draw.random() * 0.5, (0.0, 0.0)) for _ in range(2_000)]
    assert np.mean([one == "strong" for one in chosen]) == pytest.approx(0.2, abs=0.01)


def test_a_budget_that_is_spent_takes_the_cheapest_and_recovers() -> None:
    now = 0.0
    paced = pacer("budget:1/hour", clock=lambda: now)
    assert ask(paced, 0.1, 0.9, (0.0, 0.5)) in ("weak", "strong")
    paced.settle(0.0, 2.0)
    assert {ask(paced, 0.1, 0.9, (0.0, 0.5)) for _ in range(200)} == {"weak"}
    now = 4_000.0
    assert "strong" in {ask(paced, 0.1, 0.9, (0.0, 0.005)) for _ in range(20)}


def test_bills_that_are_higher_than_expected_lower_the_aim() -> None:
    now, draw, paid = 0.0, np.random.default_rng(0), 0.0
    paced = pacer("budget:10/day", clock=lambda: now)
    for n in range(4_000):
        now = n * 86_400 / 4_000
        usd = (0.0005, 0.005)
        expected = usd[ask(paced, draw.random() * 0.8, 0.9, usd) == "strong"]
        paced.settle(expected, 2.0 * expected)
        paid += 2.0 * expected
    assert paid == pytest.approx(10.0, rel=0.03)


# -- tenants, processes, stores ---------------------------------------------------------------------------------------


def test_every_tenant_has_the_budget_for_itself_and_memory_is_bounded() -> None:
    now = 0.0
    paced = pacer("budget:1/day/tenant", clock=lambda: now)
    for n in range(600):
        now = n * 144.0
        ask(paced, 0.1, 0.9, (0.0, 0.1), "rich")
    ask(paced, 0.1, 0.9, (0.0, 0.1), "new")
    assert paced.spent("rich") == pytest.approx(1.0, rel=0.15)
    assert paced.spent("new") <= 0.1
    for n in range(TENANTS + 10):
        ask(paced, 0.1, 0.9, (0.0, 0.1), f"t{n}")
    assert len(paced._accounts) == TENANTS


def spend_half(url: str, seed: int) -> float:
    with CapabilityStore(url) as store:
        paced = BudgetPacer(goal("budget:2/1k"), store, draw=random.Random(seed).random)
        draw = np.random.default_rng(seed)
        paid = 0.0
        for n in range(1_000):
            paid += (0.0, 0.02)[ask(paced, draw.random(), 1.0, (0.0, 0.02)) == "strong"]
            if n % 20 == 0:
                paced.flush()
        paced.flush()
        return paid


def test_processes_share_a_budget_through_the_store(store: CapabilityStore, store_url: str) -> None:
    before = store.version
    with get_context("spawn").Pool(2) as pool:
        paid = sum(pool.starmap(spend_half, [(store_url, 1), (store_url, 2)]))
    assert paid == pytest.approx(4.0, rel=0.1), "two thousand queries, two dollars a thousand"
    assert store.version == before, "spend is no knowledge: no router is stale for it"
    assert BudgetPacer(goal("budget:2/1k"), store).spent() == pytest.approx(2.0, rel=0.3), "and a later one knows it"


class Broken:
    """A store that is gone."""

    url = "broken"

    def add_spend(self, name: str, spends: Iterable[Spend], *, keep_from: object) -> None:
        raise StoreError("gone")

    def spend(self, name: str, tenants: Iterable[str]) -> list[Spend]:
        raise StoreError("gone")


def test_a_store_that_fails_costs_no_decision(caplog: pytest.LogCaptureFixture) -> None:
    paced = pacer("budget:3/1k", book=Broken())
    for _ in range(50):
        ask(paced, 0.5, 0.9, (0.001, 0.011))
        paced.flush()
    assert paced.spent() == pytest.approx(0.15, rel=0.3)
    assert [record.message for record in caplog.records] == ["the spend of budget:3/1k is kept in memory alone: gone"]


class Kept:
    """A book in memory, which may fail to read or to write."""

    url = "kept"

    def __init__(self) -> None:
        self.total = 0.0
        self.fails = ""

    def add_spend(self, name: str, spends: Iterable[Spend], *, keep_from: object) -> None:
        if self.fails == "write":
            raise StoreError("gone")
        self.total += sum(one.amount for one in spends)

    def spend(self, name: str, tenants: Iterable[str]) -> list[Spend]:
        if self.fails == "read":
            raise StoreError("gone")
        return []


def test_what_was_written_is_not_written_again_where_reading_fails() -> None:
    book = Kept()
    paced = pacer("budget:3/1k", book=book)
    paced.charge("weak", 1.0, None)
    book.fails = "read"
    paced.flush()
    book.fails = ""
    paced.flush()
    assert book.total == 1.0


def test_spend_of_forgotten_tenants_is_sent() -> None:
    book = Kept()
    paced = pacer("budget:3/day/tenant", book=book, clock=lambda: 0.0)
    for n in range(TENANTS + 10):
        paced.charge("weak", 1.0, None, f"t{n}")
    book.fails = "write"
    paced.flush()
    book.fails = ""
    paced.flush()
    assert book.total == TENANTS + 10


def test_a_store_that_is_slow_gets_one_thread_and_one_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cit_core.policy.pacer.SYNC_S", 0.01)
    now, enter, leave = 0.0, threading.Semaphore(0), threading.Event()

    class Slow(Kept):
        def add_spend(self, name: str, spends: Iterable[Spend], *, keep_from: object) -> None:
            enter.release()
            assert leave.wait(30.0)

    paced = pacer("budget:3/day", book=Slow(), clock=lambda: now)
    for n in range(1, 20):
        now = 10.0 * n
        paced.charge("weak", 1.0, None)
        if n == 1:
            assert enter.acquire(timeout=30.0)
    assert sum(getattr(one, "function", None) == paced.flush for one in threading.enumerate()) == 2
    leave.set()
    paced.flush()


def test_what_a_query_took_is_kept_though_no_other_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cit_core.policy.pacer.SYNC_S", 0.05)
    book = Kept()
    book.fails = "write"
    paced = pacer("budget:3/day", book=book)
    paced.charge("weak", 1.0, None)
    until(lambda: paced._failures > 1)
    book.fails = ""
    until(lambda: book.total == 1.0)
    paced.settle(1.0, 3.0)
    until(lambda: book.total == 3.0)


def until(holds: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 20.0
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_nobody_waits_for_the_store_of_a_new_tenant() -> None:
    asked, leave = threading.Event(), threading.Event()

    class Hanging(Kept):
        def spend(self, name: str, tenants: Iterable[str]) -> list[Spend]:
            if "new" in tenants:
                asked.set()
                assert leave.wait(30.0)
            return []

    paced = pacer("budget:3/day/tenant", book=Hanging())
    paced.charge("weak", 1.0, None, "known")
    waits = threading.Thread(target=paced.charge, args=("weak", 1.0, None, "new"))
    waits.start()
    assert asked.wait(30.0)
    paced.settle(1.0, 2.0, "known")
    assert (paced.spent("known"), waits.is_alive()) == (2.0, True)
    leave.set()
    waits.join(30.0)


def test_the_rows_of_many_tenants_are_not_compared_with_each() -> None:
    class Named(str):
        __slots__ = ()
        compared = 0
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            Named.compared += 1
            return str.__eq__(self, other)

    class Full(Kept):
        def spend(self, name: str, tenants: Iterable[str]) -> list[Spend]:
            return [Spend(Named(tenant), 0, 1.0, 2.0) for tenant in tenants]

    paced = pacer("budget:3/day/tenant", book=Full(), clock=lambda: 0.0)
    for n in range(100):
        paced.charge("weak", 1.0, None, f"t{n}")
    paced.flush()
    assert Named.compared < 1_000
    assert paced.spent("t7") == 2.0


def test_a_preview_of_a_tenant_without_traffic_is_in_its_budget(store: CapabilityStore) -> None:
    spent = BudgetPacer(goal("budget:3/day/tenant"), store)
    spent.charge("strong", 3.0, None, "poor")
    spent.flush()
    paced = BudgetPacer(goal("budget:3/day/tenant"), store)
    scored = [Scored(ZOO[0], 0.1, 0.001, 1.0), Scored(ZOO[1], 0.9, 0.011, 1.0)]
    chosen = [rank(scored, paced.of_query(scored, who, preview=True)[0], {})[0][0].model for who in ("poor", "rich")]
    assert (chosen, len(paced._recent)) == (["weak", "strong"], 0)


def test_a_busy_tenant_takes_no_spend_from_a_quiet_one(store: CapabilityStore) -> None:
    paced = BudgetPacer(goal("budget:3/1k/tenant"), store)
    paced.charge("weak", 1.0, None, "quiet")
    paced.flush()
    for _ in range(4_000):
        paced.charge("weak", 0.001, None, "busy")
    paced.flush()
    paced.charge("weak", 0.001, None, "busy")
    paced.flush()
    assert [one.amount for one in store.spend("budget:3/1k/tenant", ["quiet"])] == [1.0]
    assert BudgetPacer(goal("budget:3/1k/tenant"), store).spent("quiet") == 1.0
    assert len(store.spend("budget:3/1k/tenant", ["busy"])) <= 3 * BUCKETS


# -- in a router ------------------------------------------------------------------------------------------------------


def test_a_router_keeps_a_budget_and_says_how_likely_a_choice_was() -> None:
    zoo = [
        Capability(candidate=Candidate(id="weak", price_in=0.0, price_out=1.0)),
        Capability(candidate=Candidate(id="strong", price_in=0.0, price_out=10.0)),
        Capability(candidate=Candidate(id="unpriced")),
    ]
    router = Router(FakeScorer({"weak": 0.5, "strong": 0.9, "unpriced": 1.0}), zoo, policy="budget:0.5/1k,risk:0.001")
    decisions = router.route_many(["what?"] * 800)
    spend = [decision.expected_cost_usd or 0.0 for decision in decisions]
    assert 0.90 < sum(spend) / 800 / 0.0005 < 1.05  # over draws .984, standard deviation .015
    assert {decision.model for decision in decisions} == {"weak", "strong"}
    assert "no price is known" in decisions[0].excluded["unpriced"]
    assert {round(decision.propensity, 1) for decision in decisions} & {0.1, 0.9}
    assert router.pacer().spent() == pytest.approx(sum(spend))
    router.settle(decisions[0], cost_usd=spend[0] + 1.0)
    assert router.pacer().spent() == pytest.approx(sum(spend) + 1.0)
    router.decide(Query("what?", model="strong"))
    assert router.pacer().spent() > sum(spend) + 1.002, "what a caller names is paid for too"
    with pytest.raises(InvalidInput, match="policy best has no limit to keep"):
        Router(FakeScorer({"weak": 0.5}), zoo[:1]).pacer()


def test_routers_of_a_process_share_the_pacer_of_one_budget() -> None:
    assert pacer_of(goal("budget:7/hour")) is pacer_of(goal("budget:7/hour"))
    assert pacer_of(goal("budget:7/hour")) is not pacer_of(goal("budget:8/hour"))


def test_a_users_function_that_fails_takes_the_default_route() -> None:
    zoo = [Candidate(id="a"), Candidate(id="b")]
    router = Router(FakeScorer({"a": 0.2, "b": 0.9}), zoo, policy=lambda one: one.cost * 2)  # type: ignore[arg-type]
    decision = router.route("what?")
    assert decision.chosen_by == "default"
    assert "the policy function:<lambda> failed (TypeError)" in decision.warnings[0]
