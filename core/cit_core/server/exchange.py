"""The gateway's part in the steps of an answer: how a step is asked, what verifiers see of it, what it cost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

from cit_core.records import Decision
from cit_core.router import Judge
from cit_core.router.cascade import Cascade
from cit_core.router.fallback import Attempts
from cit_core.router.settlement import UNKNOWN, Bill, bill_of
from cit_core.router.steps import Steps
from cit_core.router.verifiers import Answer as Verifiable
from cit_core.server.bodies import read_body
from cit_core.server.protocols import CHAT, MESSAGES, Usage, usage_in
from cit_core.server.relay import Answer, Call, ask
from cit_core.server.whole_answer import read_answer

__all__ = ["Exchange"]

JUDGE_TOKENS = 1_000
"""Most tokens of a judgement where the protocol needs a limit."""


class Exchange:
    """Ask for the answer to one request: a step, or those of a cascade.

    Args:
        call: The request.
        question: The question, in words.
        decision: The decision, as the cascade planned it.
        charge: Told what each answer used that no caller sees: candidate and tokens.

    Attributes:
        decision: The decision, as the cascade planned it.
        tried: The attempts at each step.
        spent_usd: Cost of verified answers and of verification, by the providers' counts [USD].
    """

    def __init__(self, call: Call, question: str, decision: Decision, charge: Callable[[str, Usage], None]) -> None:
        self.decision = decision
        self.tried: list[Attempts] = []
        self.spent_usd = 0.0
        self._call, self._question, self._charge = call, question, charge
        self._steps = Steps(_judged(call.zoo.cascade, self._judge), decision, call.zoo.fallback, self)
        self._stack = AsyncExitStack()

    async def run(self, stack: AsyncExitStack) -> Answer:
        """Return the accepted answer; see `relay.ask`.

        Args:
            stack: Holds the connection of a stream open.
        """
        self._stack = stack
        answer: Answer = await self._steps.aanswer(self._ask)
        return answer

    async def _ask(self, attempts: Attempts) -> Answer:
        return await (self._asked(attempts) if self._steps.final else self._verified(attempts))

    async def _asked(self, attempts: Attempts, *, held: bool = False) -> Answer:
        """Ask; an answer of a cascade that is under way when the caller leaves is paid for as expected."""
        try:
            return await ask(self._call, attempts, self._stack, held=held)
        except asyncio.CancelledError:
            if self.spent_usd:
                self.spent_usd += self._expected_usd(attempts.model) or 0.0
            raise

    async def _verified(self, attempts: Attempts) -> Answer:
        """Return a whole answer that is read before a caller sees it."""
        answer = await self._asked(attempts, held=True)
        answer.told()
        self._pay(attempts.model, answer.usage(), self.bill(answer, attempts.model).cost_usd)
        return replace(answer, is_paid=True)

    def total_usd(self, answer: Answer) -> float | None:
        """Return the cost of all that led to the accepted answer [USD]; None where nothing was counted."""
        if answer.is_paid:
            return self.spent_usd
        cost = self.bill(answer, answer.attempts.model).cost_usd
        if cost is None and self.spent_usd:
            cost = self._expected_usd(answer.attempts.model)
        return cost if not self.spent_usd else self.spent_usd + (cost or 0.0)

    def _expected_usd(self, model: str) -> float | None:
        return next((one.expected_cost_usd for one in self.decision.ranking if one.model == model), None)

    def _pay(self, model: str, usage: Usage, cost_usd: float | None) -> None:
        """Count an answer that no caller sees; one whose tokens nobody counted costs what was expected."""
        self.spent_usd += (self._expected_usd(model) or 0.0) if cost_usd is None else cost_usd
        self._charge(model, usage)

    # -- the adapter's part in the steps ------------------------------------------------------------------------------

    def attempts(self, decision: Decision) -> Attempts:
        """Return the attempts at a step."""
        zoo = self._call.zoo
        self.tried.append(zoo.fallback.attempts(decision, zoo.windows()))
        return self.tried[-1]

    def question(self) -> str:
        """Return the question, as verifiers read it."""
        return self._question

    def answer(self, given: Answer, attempts: Attempts, decision: Decision) -> Verifiable:
        """Return an answer as verifiers see it."""
        model = attempts.model
        alone = tuple(ranked for ranked in decision.ranking if ranked.model == model)

        async def aagain() -> Verifiable:
            asked = self.attempts(decision.model_copy(update={"model": model, "ranking": alone}))
            return read_answer((await self._verified(asked)).held, model)

        return read_answer(given.held, model, aagain=aagain)

    def bill(self, given: Answer, model: str) -> Bill:
        """Return what an answer took by its tokens; where the provider did not count all, no less than was expected."""
        usage = given.usage()
        bill = bill_of(self._call.zoo.candidate(model), *usage) if any(usage) else UNKNOWN
        if given.is_counted or bill.cost_usd is None:
            return bill
        return Bill(max(bill.cost_usd, self._expected_usd(model) or 0.0))

    def words(self, given: Answer, model: str) -> str:
        """Return an answer in words, if it was held."""
        return read_answer(given.held, model).text if given.held else ""

    def reference(self, model: str) -> None:
        """Return nothing: the gateway has no shadow."""

    def marked(self, given: Answer, report: Mapping[str, Any]) -> Answer:
        """Return an answer with the steps beside it."""
        return replace(given, report=report)

    def accepted(self, decision: Decision, model: str) -> None:
        """Do nothing: the answer knows its attempts."""

    async def _judge(self, prompt: str) -> str:
        """Ask the model that judges."""
        server = self._call.zoo.settings.server
        return await asyncio.wait_for(self._judgement(prompt), server.attempt_timeout_s or server.timeout_s)

    async def _judgement(self, prompt: str) -> str:
        zoo, model = self._call.zoo, str(getattr(self._call.zoo.settings.cascade, "judge", None))
        upstream = zoo.upstreams[model]
        protocol = CHAT if upstream.api == CHAT.api else MESSAGES
        fields: dict[str, Any] = {"model": upstream.name, "messages": [{"role": "user", "content": prompt}]}
        if protocol is MESSAGES:
            fields["max_tokens"] = JUDGE_TOKENS
        with self._call.span.asking(upstream, model, fields) as span:
            content = upstream.content(protocol, read_body(json.dumps(fields).encode()))
            async with upstream.ask(protocol, content, {}) as response:
                raw = await response.aread()
            usage = usage_in(raw)
            span.answered(usage, raw)
        assumed = getattr(getattr(zoo.cascade, "verify", None), "cost_usd", None)
        self._pay(model, usage, bill_of(zoo.candidate(model), *usage).cost_usd if any(usage) else assumed)
        return read_answer(raw, model).text


def _judged(cascade: Cascade | None, ask: Callable[[str], Any]) -> Cascade | None:
    """Return the cascade with its judge, if it has one, asked by a function."""
    if cascade is None or not isinstance(cascade.verify, Judge):
        return cascade
    return replace(cascade, verify=Judge(ask, cost_usd=cascade.verify.cost_usd))
