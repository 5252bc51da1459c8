"""Pacing: find the multiplier of a limit from query to query, under drifting traffic, over processes.

Two loops. `SlidingWindow` says how much the next queries may take on average; `RecentQueries` says at which multiplier
the last queries would have taken that. What was taken in truth, relative to what was aimed at, corrects the aim.
"""

from __future__ import annotations

import atexit
import copy
import logging
import random
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from cit_core.errors import CITError
from cit_core.fork import renew_after_fork
from cit_core.policy.goals import Goal
from cit_core.policy.hull import SAME, Multiplier, RecentQueries
from cit_core.policy.rules import Scored, Tradeoff
from cit_core.policy.window import BUCKETS, SlidingWindow

__all__ = ["BudgetPacer", "Spend", "SpendBook", "pacer_of"]

logger = logging.getLogger("cit_core.policy")

TENANTS = 1_000
"""Tenants of one pacer in memory; the least recently seen is forgotten, and read again from the store."""
PACERS = 256
"""Pacers of one process; the least recently used is forgotten."""
EVERY = 16
"""Queries after which the multiplier is found anew."""
MEMORY = 256.0
"""Queries over which what was taken is compared with what was aimed at."""
SETTLED = 4_096
"""Answers whose amount is remembered, for a later word on what they took."""
SYNC_S = 2.0
"""Time between two exchanges with the store [s]."""
DOUBLINGS = 5
"""Of that time while the store fails, one for each failure."""


class Moment(NamedTuple):
    """A limit's policy for one query, the probability of it, and the one that chance passed over if that differs."""

    policy: Tradeoff
    propensity: float = 1.0
    other: Tradeoff | None = None


class Spend(NamedTuple):
    """What the queries of a tenant in a bucket took."""

    tenant: str
    bucket: int
    queries: float
    amount: float


class SpendBook(Protocol):
    """Keeps spend for all processes; a `CapabilityStore` is one."""

    def add_spend(self, name: str, spends: Iterable[Spend], *, keep_from: int | Mapping[str, int]) -> None:
        """Add to what is kept, and forget buckets before `keep_from`: of all tenants, or each its own."""
        ...

    def spend(self, name: str, tenants: Iterable[str]) -> list[Spend]:
        """Return what is kept of some tenants."""
        ...


class _Account:
    """One tenant's window, and how well its aims were met."""

    def __init__(self, goal: Goal) -> None:
        of_queries = goal.window_s is None
        length = float(goal.window_queries) if goal.window_s is None else goal.window_s
        self.window = SlidingWindow(goal.limit, length, of_queries=of_queries)
        self.clock = 0.0
        """Queries so far."""
        self.aimed, self.taken = 0.0, 0.0
        self.found: Multiplier | None = None
        self.aim = 0.0
        self.age = 0
        self.unsent: dict[int, list[float]] = {}

    @property
    def correction(self) -> float:
        """Return what was taken relative to what was aimed at."""
        return min(4.0, max(0.25, self.taken / self.aimed)) if self.aimed > 0.0 else 1.0


class BudgetPacer:
    """Keeps one limit: of USD, of calls of a model, or of seconds. Thread-safe; bounded memory.

    With a book, all processes that share it keep the limit together. They exchange every two seconds, in a thread of
    their own; a book that fails is logged once each time, and the limit is kept from memory.

    Args:
        goal: The limit.
        book: Where spend is kept; this process alone if not given.
        clock: Time in seconds.
        draw: Random number in [0, 1), for queries at exactly the multiplier.
    """

    def __init__(
        self,
        goal: Goal,
        book: SpendBook | None = None,
        *,
        clock: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.goal = goal
        self._book = book
        self._time, self._draw = clock, draw
        self._recent = RecentQueries()
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        self._left: list[Spend] = []
        """Unsent spend of tenants that were forgotten."""
        self._settled: OrderedDict[str, float] = OrderedDict()
        """What was counted of an answer so far, by its decision."""
        self._failures = 0
        """Exchanges that failed, since one did not."""
        self._renew_after_fork()
        renew_after_fork(self)
        if book is not None:
            atexit.register(_flush, weakref.ref(self))

    def _renew_after_fork(self) -> None:
        self._lock = threading.Lock()
        self._syncing = threading.Lock()
        self._is_due = False
        """Whether a thread is about to exchange with the book."""
        self._left = []  # the parent's to send, as all that is unsent
        for account in self._accounts.values():
            account.unsent.clear()

    @property
    def is_kept(self) -> bool:
        """True if what is spent outlives the process."""
        return self._book is not None

    def spent(self, tenant: str | None = None) -> float:
        """Return what the window that ends now has taken of the limit."""
        name = self._read(tenant)
        with self._lock:
            account = self._account(name)
            return account.window.spent(self._now(account))

    def of_query(self, scored: Sequence[Scored], tenant: str | None = None, *, preview: bool = False) -> Moment:
        """Return the policy of a query, and the probability with which a query like it gets this one.

        Args:
            scored: Its candidates, none of which lacks what the goal needs.
            tenant: Whose query it is.
            preview: Leave no trace: nobody is asked, so the query is none of the traffic.
        """
        free = self.goal.at(0.0)
        points = [(self._amount(one), free.utility(one)[0]) for one in scored]
        name = self._read(tenant)
        with self._lock:
            if preview:
                account, recent = copy.copy(self._accounts.get(name) or _Account(self.goal)), copy.copy(self._recent)
            else:
                account, recent = self._account(name), self._recent
            recent.add(points)
            if account.found is None or account.age >= min(EVERY, len(recent) // 4):
                self._aim(account, recent)
            account.age += 1
            assert account.found is not None
            found, drawn = account.found, self._draw()
        low, high = _just(found.value, -1.0), _just(found.value, 1.0)
        if not found.is_inner:
            return Moment(self.goal.at(found.value))
        frugal, generous = self.goal.at(high), self.goal.at(low)
        chosen, other = (generous, frugal) if drawn < found.taken else (frugal, generous)
        if max(scored, key=chosen.utility) is max(scored, key=other.utility):
            return Moment(chosen)
        return Moment(chosen, found.taken if chosen is generous else 1.0 - found.taken, other)

    def charge(self, model: str, cost: float | None, latency_s: float | None, tenant: str | None = None) -> None:
        """Count the answer that was chosen, by what is expected of it."""
        amount, name = self.goal.amount(model, cost, latency_s), self._read(tenant)
        with self._lock:
            account = self._account(name)
            self._count(account, 1.0, amount)
            account.clock += 1.0
            if account.aim > 0.0:
                account.age += min(EVERY, int(amount / account.aim / 4.0))  # a dear answer is looked at early
            is_inner = account.found is not None and account.found.is_inner
            account.aimed += account.aim - account.aimed / MEMORY
            account.taken += (amount if is_inner else account.aim) - account.taken / MEMORY  # else nothing is learned
        self._sync_soon()

    def settle(
        self, expected: float, actual: float, tenant: str | None = None, *, of: str | None = None, again: bool = False
    ) -> None:
        """Count what an answer took in truth in place of what was expected, or of what was counted of it before.

        Args:
            expected: Amount that was charged.
            actual: Amount that it took.
            tenant: Whose it is.
            of: The decision; a later word on the same one replaces an earlier one.
            again: Count it beside what was counted before.
        """
        name = self._read(tenant)
        with self._lock:
            if of is not None:
                before = self._settled.pop(of, expected)
                expected, self._settled[of] = (0.0, before + actual) if again else (before, actual)
                while len(self._settled) > SETTLED:
                    self._settled.popitem(last=False)
            account = self._account(name)
            self._count(account, 0.0, actual - expected)
            if account.found is not None and account.found.is_inner:
                account.taken = max(0.0, account.taken + actual - expected)
        self._sync_soon()

    def flush(self) -> None:
        """Exchange with the book now; an error of it is logged, the first one in a row."""
        if self._book is None:
            return
        with self._syncing:
            self._is_due = False
            sent = self._take_unsent()
            try:
                if sent:
                    self._book.add_spend(self.goal.name, sent, keep_from=self._keep_from(sent))
                    sent = []  # it is kept, whatever comes
                with self._lock:
                    names = list(self._accounts)
                kept = self._book.spend(self.goal.name, names)
            except CITError as error:
                self._tell(error)
                self._put_back(sent)
                if sent:
                    self._sync_soon()
                return
            self._failures = 0
            by_tenant: dict[str, list[Spend]] = {name: [] for name in names}
            for one in kept:
                by_tenant.setdefault(one.tenant, []).append(one)
            for name, of_one in by_tenant.items():
                with self._lock:  # anew for each: no query waits for all
                    self._take(name, of_one)

    def _read(self, tenant: str | None) -> str:
        """Return the name of a tenant's account, of which the book's part is known now; others do not wait for it."""
        name = tenant or "" if self.goal.by_tenant else ""
        if self._book is not None and name not in self._accounts:
            try:
                kept = self._book.spend(self.goal.name, [name])
            except CITError as error:
                self._tell(error)
                return name
            with self._lock:
                if name not in self._accounts:
                    self._account(name)
                    self._take(name, kept)
        return name

    # -- inside the lock ----------------------------------------------------------------------------------------------

    def _account(self, name: str) -> _Account:
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = _Account(self.goal)
        self._accounts.move_to_end(name)
        while len(self._accounts) > TENANTS:
            gone, forgotten = self._accounts.popitem(last=False)
            self._left += [Spend(gone, bucket, *sums) for bucket, sums in forgotten.unsent.items()]
            del self._left[:-TENANTS]
        return account

    def _aim(self, account: _Account, recent: RecentQueries) -> None:
        now, window = self._now(account), account.window
        aim = window.level(now) if self.goal.is_exact else window.goal(now)
        if account.aimed <= 0.0:  # what is not known yet is taken to be right
            account.aimed = account.taken = aim * MEMORY / 4.0
        account.aim = aim / account.correction
        account.found = recent.multiplier(account.aim, is_exact=self.goal.is_exact)
        account.age = 0

    def _count(self, account: _Account, queries: float, amount: float) -> None:
        bucket = account.window.add(self._now(account), queries, amount)
        if self._book is not None:
            sums = account.unsent.setdefault(bucket, [0.0, 0.0])
            sums[0] += queries
            sums[1] += amount

    def _take(self, name: str, kept: Iterable[Spend]) -> None:
        """Take what all processes have spent, and what this one has not sent yet on top."""
        account = self._accounts.get(name)
        if account is None:
            return
        before = account.window.total_queries
        account.window.replace({one.bucket: (one.queries, one.amount) for one in kept})
        for bucket, (queries, amount) in account.unsent.items():
            account.window.add_to(bucket, queries, amount)
        if self.goal.window_s is None:
            others = account.window.total_queries - before
            account.clock = max(account.clock + max(0.0, others), account.window.latest * account.window.width)

    def _take_unsent(self) -> list[Spend]:
        with self._lock:
            sent = self._left + [
                Spend(name, bucket, *sums)
                for name, account in self._accounts.items()
                for bucket, sums in account.unsent.items()
            ]
            self._left = []
            for account in self._accounts.values():
                account.unsent = {}
            return sent

    def _put_back(self, sent: Iterable[Spend]) -> None:
        with self._lock:
            for one in sent:
                if one.tenant in self._accounts:
                    sums = self._accounts[one.tenant].unsent.setdefault(one.bucket, [0.0, 0.0])
                    sums[0] += one.queries
                    sums[1] += one.amount
                else:
                    self._left.append(one)
            del self._left[:-TENANTS]

    # -- details ------------------------------------------------------------------------------------------------------

    def _now(self, account: _Account) -> float:
        return account.clock if self.goal.window_s is None else self._time()

    def _keep_from(self, sent: Iterable[Spend]) -> int | dict[str, int]:
        """Return the first bucket that is still needed: one clock for all if it is time, each tenant's own if not."""
        first: dict[str, int] = {}
        for one in sent:
            first[one.tenant] = min(first.get(one.tenant, one.bucket), one.bucket)
        kept = {name: bucket - 2 * BUCKETS for name, bucket in first.items()}
        return kept if self.goal.window_s is None else min(kept.values())

    def _amount(self, one: Scored) -> float:
        return self.goal.amount(one.candidate.id, one.cost, one.latency_s)

    def _tell(self, error: CITError) -> None:
        self._failures += 1
        if self._failures == 1:
            logger.warning("the spend of %s is kept in memory alone: %s", self.goal.name, error)

    def _sync_soon(self) -> None:
        """Exchange with the book within two seconds, whether another query comes or not."""
        if self._book is None or self._is_due:
            return
        self._is_due = True
        timer = threading.Timer(SYNC_S * 2 ** min(self._failures, DOUBLINGS), self.flush)
        timer.name, timer.daemon = "cit-pacer", True
        try:
            timer.start()
        except RuntimeError:  # too many threads, or the interpreter ends: the next time, or the flush at exit
            self._is_due = False


def _just(value: float, side: float) -> float:
    """Return the multiplier just below (-1) or above (+1) a value, so that candidates tie no more."""
    return value + side * 2.0 * SAME * max(abs(value), 1e-300)


_pacers: OrderedDict[tuple[str, str], BudgetPacer] = OrderedDict()
_pacers_lock = threading.Lock()


def pacer_of(goal: Goal, book: SpendBook | None = None) -> BudgetPacer:
    """Return the pacer of a limit: one in a process, or one for each store, however many routers share it."""
    key = goal.name, str(getattr(book, "url", ""))
    with _pacers_lock:
        pacer = _pacers.get(key)
        if pacer is None:
            pacer = _pacers[key] = BudgetPacer(goal, book)
        _pacers.move_to_end(key)
        while len(_pacers) > PACERS:
            _pacers.popitem(last=False)
        return pacer


def _flush(reference: weakref.ref[BudgetPacer]) -> None:
    pacer = reference()
    if pacer is not None:
        pacer.flush()
