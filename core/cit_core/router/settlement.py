"""What becomes of an answer: its bill goes to the router's log and limits, the answer to a shadow.

Both adapters use it through `Steps`. No caller waits for it, and nothing that it meets is a caller's error.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from cit_core.errors import CITError
from cit_core.records import Candidate, Decision
from cit_core.router.shadow import Shadow
from cit_core.tokens import estimate_tokens

if TYPE_CHECKING:
    from cit_core.router.decider import Decider

__all__ = ["UNKNOWN", "Bill", "Settlement", "Teller", "bill_of", "sum_of"]

logger = logging.getLogger("cit_core.router")


class Bill(NamedTuple):
    """What an answer took, as its provider counted it; None where that is not known."""

    cost_usd: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


UNKNOWN = Bill()


def bill_of(
    candidate: Candidate,
    prompt_tokens: object,
    completion_tokens: object,
    cached_tokens: object = 0,
    stored_tokens: object = 0,
) -> Bill:
    """Return the bill of an answer at a candidate's prices; unknown where a provider counted nothing.

    Args:
        candidate: Has the prices.
        prompt_tokens: Of the whole prompt, what was cached included.
        completion_tokens: Of the answer, hidden reasoning included.
        cached_tokens: Tokens of the prompt that came from a cache.
        stored_tokens: Tokens of the prompt that were written to a cache.
    """
    given = prompt_tokens, completion_tokens, cached_tokens, stored_tokens
    prompt, completion, cached, stored = map(_count, given)
    if prompt is None or completion is None:
        return UNKNOWN
    calls = candidate.samples  # their counts come as one, and each has the price of its own length
    counts = prompt, completion, min(cached or 0, prompt), min(stored or 0, prompt)
    cost = candidate.expected_cost(*(count / calls for count in counts))
    return Bill(None if cost is None else calls * cost, prompt, completion)


def sum_of(bills: Iterable[Bill]) -> Bill:
    """Return the bill of several calls of a candidate, of those that were counted; unknown if none was."""
    counted = [bill for bill in bills if bill != UNKNOWN]
    if not counted:
        return UNKNOWN
    costs = [bill.cost_usd for bill in counted if bill.cost_usd is not None]
    tokens = (sum(filter(None, counts)) for counts in list(zip(*counted, strict=True))[1:])
    return Bill(sum(costs) if len(costs) == len(counted) else None, *tokens)


class Teller(Protocol):
    """An adapter's part: what it reads in its framework's answers."""

    def question(self) -> str:
        """Return the question in words."""
        ...

    def bill(self, given: Any, model: str) -> Bill:
        """Return what an answer took by the provider's count of tokens."""
        ...

    def words(self, given: Any, model: str) -> str:
        """Return an answer in words; none where it calls tools, which a shadow cannot compare."""
        ...

    def reference(self, model: str) -> Callable[[], Any] | None:
        """Return what asks a candidate in the same way, for a shadow; None where there is no such candidate."""
        ...


class Settlement:
    """The bill of one answer, which begins to be asked for now.

    Args:
        router: Has the log and the limits.
        decision: The decision for it.
        shadow: Compares some of the answers with another model's; none if not given.
    """

    def __init__(self, router: Decider, decision: Decision, shadow: Shadow | None = None) -> None:
        self._router, self._decision, self._shadow = router, decision, shadow
        self._began = time.perf_counter()

    @classmethod
    def of(cls, router: Decider, decision: Decision, shadow: Shadow | None = None) -> Settlement | None:
        """Return the settlement of an answer; None where nobody keeps anything of it."""
        if shadow is None and not router.settles(decision):
            return None
        return cls(router, decision, shadow)

    def answered(
        self,
        teller: Teller,
        given: Any,
        model: str,
        report: Mapping[str, Any] | None = None,
        *,
        timed: bool = True,
    ) -> None:
        """Count an answer that is complete, and offer it to the shadow.

        Args:
            teller: Reads the framework's answers.
            given: The answer, or the pieces of a stream.
            model: Candidate that answered.
            report: The steps, where it is of a cascade: the cost is then that of all of them.
            timed: False where others were answered in the same time.
        """
        took_s, bill = time.perf_counter() - self._began, teller.bill(given, model)
        if report is not None:
            bill = bill._replace(cost_usd=report["spent_usd"])
            if self._router.log is not None:
                self._router.log.cascade(self._decision.id, report)
        self._settle(model, bill, latency_s=took_s if timed else None)
        if self._shadow is not None and (said := teller.words(given, model)):
            ask = teller.reference(self._shadow.reference)
            self._shadow.offer(self._decision, teller.question(), said, model, ask)

    def aborted(self, teller: Teller, given: Any, model: str) -> None:
        """Count an answer that was broken off by who asked, no less than has come: providers count at the end."""
        bill = teller.bill(given, model) if given else UNKNOWN
        if given and (words := teller.words(given, model)):
            candidate = next(one for one in self._router.candidates if one.id == model)
            prompt, counted = bill.prompt_tokens, bill.cost_usd
            if prompt is None:
                prompt = estimate_tokens(teller.question())
                of_model = (one.expected_cost_usd for one in self._decision.ranking if one.model == model)
                counted = next(of_model, None)
            least = candidate.expected_cost(prompt, estimate_tokens(words))
            bill = bill if least is None or least <= (counted or 0.0) else Bill(least)
        self._settle(model, bill)
        if self._router.log is not None:
            self._router.signal(self._decision, "aborted")

    def failed(self) -> None:
        """Count an answer that no candidate could give: nothing was paid."""
        self._router.refund(self._decision)

    def billed(self, model: str, bill: Bill, *, again: bool = False) -> None:
        """Count an answer that an agent's model has given; `again` where the decision had one before."""
        self._settle(model, bill, latency_s=time.perf_counter() - self._began, again=again)

    def _settle(self, model: str, bill: Bill, **more: Any) -> None:
        try:
            self._router.settle(self._decision, model=model, **bill._asdict(), **more)
        except CITError as error:
            logger.warning("the bill of an answer was not kept (%s)", type(error).__name__)


def _count(given: object) -> int | None:
    """Return a count of tokens; providers' own may be missing, or no numbers."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < float("inf"):
        return None
    return int(given)
