"""Run an aptitude test: ask the missing questions of a suite, grade, and store every answer at once.

A run may end at any moment, SIGKILL included, and the next one goes on: it asks the store what is missing. A worker
keeps an answer before it sends its next question, so a kill can lose only what was under way: `concurrency` requests at
most. Those are sent again under the same idempotency keys, and a server that honours them bills none of them twice.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType

from cit_core.aptitude.clients import Client
from cit_core.aptitude.clients._daemon_threads import DaemonThreads
from cit_core.aptitude.grading import grade
from cit_core.aptitude.runner.adaptive import AdaptiveTest, answers_of_others
from cit_core.aptitude.runner.brake import Brake, Halted
from cit_core.aptitude.runner.budget import Budget, Prices, require_prices
from cit_core.aptitude.runner.ledger import Ledger, measured_usage, settled_candidate
from cit_core.aptitude.runner.plan import AptitudeTest, Question, settle
from cit_core.aptitude.runner.rate_limit import Pace
from cit_core.aptitude.runner.retry import Asker, Timed
from cit_core.aptitude.runner.runs import DEFAULTS, Progress, RunOptions, RunReport, Tally
from cit_core.errors import AnswerError, InvalidInput, Refused, Transient
from cit_core.records import Candidate, Item, Outcome, Suite
from cit_core.store import CapabilityStore

__all__ = ["Progress", "RunOptions", "RunReport", "Tally", "arun_aptitude", "run_aptitude"]


def run_aptitude(
    client: Client,
    suite: Suite,
    items: Sequence[Item],
    store: CapabilityStore,
    *,
    candidate: str | Candidate | None = None,
    options: RunOptions = DEFAULTS,
    progress: Callable[[Progress], None] | None = None,
) -> RunReport:
    """Run an aptitude test as `arun_aptitude` does, from a program without an event loop.

    The client is closed at the end: its connections belong to the loop that ends here.

    Raises:
        InvalidInput: If an event loop is running already, too.
    """
    if loop_is_running():
        raise InvalidInput("an event loop is running here; await arun_aptitude(...) in its place")

    async def run_and_close() -> RunReport:
        asyncio.get_running_loop().set_default_executor(DaemonThreads())  # a call that hangs is left behind
        try:
            return await arun_aptitude(
                client, suite, items, store, candidate=candidate, options=options, progress=progress
            )
        finally:
            close = getattr(client, "aclose", None)
            if close is not None:
                await close()

    return asyncio.run(run_and_close())


async def arun_aptitude(
    client: Client,
    suite: Suite,
    items: Sequence[Item],
    store: CapabilityStore,
    *,
    candidate: str | Candidate | None = None,
    options: RunOptions = DEFAULTS,
    progress: Callable[[Progress], None] | None = None,
) -> RunReport:
    """Ask a candidate every item of a suite that has no outcome from this test yet.

    The outcomes are kept under one source and count once every item has one, or all were tried and few enough failed.

    Args:
        client: The client to ask. An error of it other than `Transient` and `Refused` ends the run.
        suite: The test.
        items: Exactly the suite's, with texts and answers.
        store: The store for the outcomes; the next run finds them there.
        candidate: The measured candidate, by default the client's name. Given facts are added to the stored ones.
        options: Concurrency, patience and limits.
        progress: Called after every item and every repeated attempt, in this event loop.

    Raises:
        InvalidInput: If the items are not the suite's, one cannot be asked or graded, or the store knows other facts;
            if a cost limit is given for a candidate without known prices. No request was sent then.
        StoreError: If the store cannot be written. What was kept stays.
    """
    candidate = client.name if candidate is None else candidate
    known = settled_candidate(candidate, store.candidates())
    test = AptitudeTest(known.id, suite, tuple(items), options.circle, options.adaptive)
    test.check()
    prices = Prices(known, measured_usage(known.id, store).completion_tokens)
    if options.max_cost_usd is not None:
        require_prices(prices)
    ledger = Ledger(test, store, retest=options.retest)
    ledger.check_settings(getattr(client, "settings", None) or {})
    adaptive = _adaptive(test, ledger, store, options) if options.adaptive else None
    allowed = options.max_failed * len(items) if adaptive is None else len(items) if adaptive.ended else -1
    ledger.open(candidate, allowed)
    with ThreadPoolExecutor(1, "cit-store") as writer:  # its own: a client may fill the loop's default threads
        run = _Run(client, test, ledger, prices, options, writer, progress, adaptive)
        return await run.whole()


def _adaptive(test: AptitudeTest, ledger: Ledger, store: CapabilityStore, options: RunOptions) -> AdaptiveTest:
    """Return the choice of questions, with the answers that are there already."""
    chosen = AdaptiveTest(
        [item.id for item in test.items],
        [item.task for item in test.items],
        answers_of_others(test.items, store, test.candidate),
        precision=options.precision,
        most=options.most,
    )
    for item in test.items:
        if (outcome := ledger.outcome(item)) is not None:
            chosen.learn(item.id, outcome.correct)
    return chosen


@dataclass
class _Run:
    """One run under way."""

    client: Client
    test: AptitudeTest
    ledger: Ledger
    prices: Prices
    options: RunOptions
    writer: Executor
    progress: Callable[[Progress], None] | None
    adaptive: AdaptiveTest | None = None
    failed: list[tuple[str, str]] = field(default_factory=list)
    tasks: dict[str, Tally] = field(default_factory=dict)
    answered: int = 0
    retries: int = 0
    cut_off: int = 0
    trouble: str | None = None

    def __post_init__(self) -> None:
        spent = self.failed_cost = self.ledger.failed_cost_usd
        for question, outcome in self.ledger.answered():
            self.prices.learn(
                outcome.answer or "",
                outcome.completion_tokens,
                prompt=question.prompt,
                prompt_tokens=outcome.prompt_tokens,
            )
            spent += self._paid(question, outcome)
        for item in self.test.items:
            self._count(item)
        self.known = sum(tally.answered for tally in self.tasks.values())
        options, self.brake = self.options, Brake()
        self.budget = Budget(options.max_cost_usd, spent, self.brake)
        self.asker = Asker(
            self.client, Pace(options.per_minute, self.brake), self.brake, timeout_s=options.timeout_s,
            attempts=options.attempts, random=Random(),  # noqa: S311  # nothing to guess: it spreads waits
            retried=self._retried, failed=self._billed,
        )  # fmt: skip

    async def whole(self) -> RunReport:
        """Ask every missing item, or those that tell most, with as many workers as may ask at once."""
        missing = self._most_telling() if self.adaptive else self.test.in_turn(self.ledger.missing())
        self._show()

        async def work() -> None:
            for item in missing:  # shared: each worker takes the next one
                await self._measure(item)

        workers = [asyncio.ensure_future(work()) for _ in range(self.options.concurrency)]
        try:
            ended, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
            for worker in ended:
                worker.result()
        finally:
            if not all(worker.done() for worker in workers):
                self.brake.pull("the run was ended")  # a worker which has its answer just now may miss the cancellation
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            self.writer.submit(self.ledger.note_costs, self.failed_cost).result()  # after those that wait
        return self._report()

    def _most_telling(self) -> Iterator[Item]:
        assert self.adaptive is not None
        items = {item.id: item for item in self.test.items}
        while (chosen := self.adaptive.next()) is not None:
            yield items[chosen]

    @property
    def total(self) -> int:
        """Number of items that are asked at most."""
        return min(self.options.most, len(self.test.items)) if self.adaptive else len(self.test.items)

    async def _measure(self, item: Item) -> None:
        try:
            await self._decide(item)
        except Halted:
            return
        except (Transient, Refused) as error:
            if isinstance(error, Refused) and error.fatal:
                self.brake.pull(str(error))
                return
            self.failed.append((item.id, str(error)))
            self._stop_if_too_many_failed()
        else:
            self.answered += 1
            self._count(item)
            if self.adaptive is not None and (outcome := self.ledger.outcome(item)) is not None:
                self.adaptive.learn(item.id, outcome.correct)
        self._show()

    def _stop_if_too_many_failed(self) -> None:
        """Stop a run that can no longer be published: each further answer would be paid for nothing."""
        items, allowed = self.total, self.options.max_failed
        if len(self.failed) > allowed * items:
            reason, times = Counter(why for _, why in self.failed).most_common(1)[0]
            self.brake.pull(
                f"{len(self.failed)} of {items} questions failed, and {allowed:.0%} may: the test cannot be "
                f"published any more. Most frequent ({times}): {reason}"
            )

    async def _decide(self, item: Item) -> None:
        outcomes: list[Outcome] = []
        for question in self.test.questions(item):
            outcomes.append(self.ledger.find(question) or await self._ask(question))
            if not outcomes[-1].correct:
                break  # no further turn can mend it, and none is paid
        if self.test.goes_in_circle(item):
            await self._keep(settle(self.test.source, outcomes))

    async def _ask(self, question: Question) -> Outcome:
        def cost() -> float:
            return self.prices.expected(question.prompt) or 0.0

        async with self.budget.room_for(cost, alone=self._cost_is_unknown) as reserved:
            if reserved:  # a kill may come while the question is under way, and it may be billed all the same
                await asyncio.shield(self._note_costs())
            timed = await self.asker.ask(question.prompt, key=question.key)
            outcome = self._graded(question, timed)
            answer, prompt = timed.answer, question.prompt
            self.prices.learn(answer.text, answer.completion_tokens, prompt=prompt, prompt_tokens=answer.prompt_tokens)
            self.cut_off += answer.cut_off
            self.budget.spent += self._paid(question, outcome)
            await self._keep(outcome, no_longer=reserved)
        return outcome

    def _cost_is_unknown(self) -> bool:
        return self.budget.limited and not self.prices.measured

    def _graded(self, question: Question, timed: Timed) -> Outcome:
        answer = timed.answer
        cost = answer.cost_usd
        return Outcome(
            candidate=self.test.candidate,
            item=question.item.id,
            correct=grade(question.item, answer.text),
            source=question.source,
            cost_usd=self.prices.of(answer.prompt_tokens, answer.completion_tokens) if cost is None else cost,
            latency_s=timed.latency_s,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            answer=_storable(answer.text),
        )

    def _note_costs(self) -> asyncio.Future[None]:
        """Keep what was spent for nothing, or may be; at once, in the order of the calls."""
        noted = asyncio.get_running_loop().run_in_executor(
            self.writer, self.ledger.note_costs, self.failed_cost, self.budget.reserved
        )
        noted.add_done_callback(lambda done: done.cancelled() or done.exception())  # raised in the waiting code
        return noted

    async def _keep(self, outcome: Outcome, *, no_longer: float = 0.0) -> None:
        costs = self.failed_cost, max(0.0, self.budget.reserved - no_longer)
        kept = asyncio.get_running_loop().run_in_executor(self.writer, self.ledger.add, outcome, costs)
        if not await asyncio.shield(kept):  # a run that is cancelled meanwhile keeps what was paid
            self.brake.pull(f"another run of {self.test.source!r} writes to the store; wait for it, or end it")

    def _paid(self, question: Question, outcome: Outcome) -> float:
        if outcome.cost_usd is not None:
            return outcome.cost_usd
        return self.prices.guess(question.prompt, outcome.answer or "")

    def _count(self, item: Item) -> None:
        outcome = self.ledger.outcome(item)
        if outcome is not None:
            self.tasks[item.task] = self.tasks.get(item.task, Tally()) + Tally(outcome.correct, 1)

    def _retried(self, error: Transient) -> None:
        self.retries += 1
        self.trouble = str(error)
        self._show()

    def _billed(self, prompt: str, error: AnswerError) -> None:
        """Count what an attempt without an answer has cost."""
        if error.completion_tokens is not None:
            self.prices.learn("", error.completion_tokens, prompt=prompt, prompt_tokens=error.prompt_tokens)
        cost = self.prices.billed(prompt, error)
        self.failed_cost += cost
        self.budget.spent += cost
        if cost:
            self._note_costs()

    def _show(self) -> None:
        if self.progress is not None:
            total, done = self.total, self.known + self.answered
            tasks = MappingProxyType(dict(self.tasks))
            self.progress(
                Progress(
                    total,
                    done,
                    self.answered,
                    len(self.failed),
                    self.retries,
                    self.budget.spent,
                    tasks,
                    dict(Counter(why for _, why in self.failed)),
                    self.trouble,
                )
            )

    def _report(self) -> RunReport:
        if self.adaptive is None:
            stopped = self.brake.reason if self.ledger.missing() else None
            published = self.ledger.close(allowed=0 if stopped else self.options.max_failed * self.total)
        else:
            through, estimates = self._is_through(self.adaptive), self.adaptive.estimates()
            stopped = None if through else self.brake.reason
            published = self.ledger.close(allowed=len(self.test.items) if through else -1, estimates=estimates)
            self.tasks = {
                task: Tally(told.accuracy * told.questions, told.questions) for task, told in estimates.items()
            }
        reported = {task.id: self.tasks[task.id] for task in self.test.suite.tasks if task.id in self.tasks}
        return RunReport(
            candidate=self.test.candidate,
            source=self.test.source,
            total=self.total,
            known=self.known,
            answered=self.answered,
            failed=tuple(self.failed),
            tasks=MappingProxyType(reported),
            cost_usd=self.budget.spent,
            retries=self.retries,
            stopped=stopped,
            published=published,
            error=self.adaptive.error if self.adaptive else None,
            cut_off=self.cut_off,
        )

    def _is_through(self, adaptive: AdaptiveTest) -> bool:
        """Return True if an adaptive test has ended, but for the few questions that may fail."""
        tried = self.known + self.answered + len(self.failed)
        allowed = self.options.max_failed * self.total
        return adaptive.ended or (tried >= self.total and len(self.failed) <= allowed)


def _storable(text: str) -> str:
    """Replace what no database can store: NUL characters and halves of surrogate pairs."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
