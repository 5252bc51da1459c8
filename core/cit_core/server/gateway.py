"""Answer requests: choose a candidate, ask it or the next-best, and pass the answer on."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cit_core.errors import CITError, InvalidInput
from cit_core.records import Decision
from cit_core.router import Router, Sticky
from cit_core.router.concurrency import aside
from cit_core.router.fallback import Attempts, Failure
from cit_core.router.settlement import Bill
from cit_core.server.admission import Admission, Overloaded, Place
from cit_core.server.bodies import read_body
from cit_core.server.exchange import Exchange
from cit_core.server.meters import Meters
from cit_core.server.prompts import read_prompt
from cit_core.server.protocols import CHAT, RESPONSES, Protocol, Usage, identity_of
from cit_core.server.relay import Answer, Call, EmptyAnswer
from cit_core.server.replies import Passage, passed_on, refusal, trail, unreachable
from cit_core.server.spans import RequestSpan
from cit_core.server.traffic import Traffic
from cit_core.server.upstreams import UpstreamError, returned
from cit_core.server.zoo import ROUTED, Zoo
from cit_core.settings import Settings

__all__ = ["Gateway"]

REMEMBERED = 10_000
"""Decisions that `/v1/outcomes` can name, and responses that `previous_response_id` can; the oldest are forgotten."""
LEFT = 499
"""Status of a request whose caller has left."""


class Gateway:
    """The gateway with its present configuration.

    Args:
        settings: The configuration to begin with.
        environment: Variables with the providers' keys.
        router: In place of the one that the settings describe.

    Raises:
        CITError: If the configuration cannot be used.
    """

    def __init__(self, settings: Settings, environment: Mapping[str, str], router: Router | None = None) -> None:
        self.meters = Meters()
        self.traffic = Traffic()
        self.admission = Admission()
        self._environment = environment
        self._sticky = Sticky()
        self._decisions: OrderedDict[str, tuple[Decision, str]] = OrderedDict()
        self._responses: OrderedDict[str, str] = OrderedDict()
        self.zoo = self.open(settings, router)

    def open(self, settings: Settings, router: Router | None = None) -> Zoo:
        """Return a zoo of other settings.

        Raises:
            CITError: If they cannot be used.
        """
        return Zoo(settings, self._environment, router or Router.from_config(settings), self._sticky)

    async def take(self, zoo: Zoo) -> None:
        """Answer from another zoo from now on; requests under way end with the one that they began with."""
        before, self.zoo = self.zoo, zoo
        await before.close()
        await aside("feedback", before.keep)

    # -- answers ------------------------------------------------------------------------------------------------------

    async def answer(self, protocol: Protocol, request: Request, raw: bytes, key: str) -> Response:
        """Answer a request of a protocol.

        Args:
            protocol: Protocol of the request.
            request: Its headers.
            raw: Its body.
            key: Name of its key.
        """
        span, response = RequestSpan(protocol, request.headers), None
        try:
            with span.active():
                response = await self._answer(protocol, request, raw, key, span)
        finally:
            if not isinstance(response, Passage):
                span.ended(LEFT if response is None else response.status_code)
        return response

    async def _answer(self, protocol: Protocol, request: Request, raw: bytes, key: str, span: RequestSpan) -> Response:
        began_s = time.perf_counter()
        async with AsyncExitStack() as stack:
            zoo = stack.enter_context(self.zoo.in_use())
            try:
                place = stack.enter_context(await self._place(zoo))
                body = read_body(raw)
                name, conversation = self._pinned(body.fields, zoo), request.headers.get("x-cit-conversation")
                prompt = read_prompt(body.fields)
                decision = await zoo.decide(name, prompt, protocol.api, conversation, key)
            except CITError as error:
                return refusal(protocol, error)
            planned = zoo.planned(decision, body.fields)
            self.meters.decided(planned)
            tokens = prompt.facts.tokens
            call = Call(zoo, protocol, body, request.headers, key, tokens, span, began_s, place.leave)
            exchange = Exchange(call, prompt.text, planned, partial(self._charge, call))
            answer, is_unpaid = None, False
            try:
                answer = await exchange.run(stack)
            except EmptyAnswer as error:
                return Response(error.raw, headers=returned(error.headers))
            except UpstreamError as error:
                is_unpaid = True
                return passed_on(protocol, error)
            except (httpx.HTTPError, TimeoutError) as error:
                is_unpaid = True
                return unreachable(protocol, error)
            except asyncio.CancelledError:
                _aborted(zoo.router, decision)
                raise
            finally:
                for attempts in exchange.tried:
                    self._failed(attempts.failures)
                if answer is None and exchange.spent_usd:
                    zoo.router.settle(decision, cost_usd=exchange.spent_usd)
                elif is_unpaid:
                    zoo.router.refund(decision)
            return self._begun(call, decision, answer, exchange, stack)

    async def _place(self, zoo: Zoo) -> Place:
        server = zoo.settings.server
        return await self.admission.enter(server.max_deciding, server.max_queued)

    def _begun(
        self, call: Call, decision: Decision, answer: Answer, exchange: Exchange, stack: AsyncExitStack
    ) -> Response:
        """Count an answer that has begun, and return it; a stream keeps what is in the stack."""
        told = trail(exchange.decision, answer)
        done = partial(self._done, call, decision, answer, exchange)
        self.meters.stepped(answer.report or {})
        self.traffic.opened(exchange.decision, answer.attempts, told["x-cit-reason"])
        self.meters.opened(answer.attempts, time.perf_counter() - call.began_s)
        self._remember(call.protocol, decision, answer)
        headers = returned(answer.headers) | told
        if answer.pieces is not None:
            passed = partial(self._passed, call.protocol, answer.attempts, len(answer.attempts.failures), done)
            return Passage(answer, stack.pop_all(), passed, headers)
        done(left=False)
        return Response(answer.held, headers=headers)

    def _pinned(self, fields: Mapping[str, Any], zoo: Zoo) -> str:
        """Return the model that a request names; where it goes on from a response, the one that has given it."""
        kept = self._responses.get(str(fields.get("previous_response_id")))
        return kept if kept in zoo.upstreams else str(fields["model"])

    def _remember(self, protocol: Protocol, decision: Decision, answer: Answer) -> None:
        _keep(self._decisions, decision.id, (decision, answer.attempts.model))
        if protocol is RESPONSES and (id_ := identity_of(answer.held)[0]) is not None:
            _keep(self._responses, id_, answer.attempts.model)

    def _charge(self, call: Call, model: str, usage: Usage) -> None:
        """Count the tokens of an answer, whether its caller gets it or not."""
        candidate = call.zoo.candidate(model)
        self.meters.spent(candidate, usage, call.key)
        self.traffic.spent(candidate, usage)

    def _passed(
        self, protocol: Protocol, attempts: Attempts, failures: int, done: Callable[..., None], *, left: bool
    ) -> None:
        """Count a stream that has ended, perhaps as a failure, or that its caller has left."""
        self.meters.ended(protocol.name, 200)
        self._failed(attempts.failures[failures:])
        done(left=left)

    def _failed(self, failures: Sequence[Failure]) -> None:
        self.meters.failed(failures)
        self.traffic.failed(failures)

    def _done(self, call: Call, decision: Decision, answer: Answer, exchange: Exchange, *, left: bool) -> None:
        """Count an answer that is complete, or that its caller has left."""
        zoo, took_s = call.zoo, time.perf_counter() - call.began_s
        left = left and not answer.has_ended  # many clients leave with the last event
        candidate, usage = zoo.candidate(answer.attempts.model), answer.usage()
        answer.told()
        call.span.ended(200)
        if not answer.is_paid:
            self._charge(call, candidate.id, usage)
        self.meters.answered(candidate.id, took_s)
        self.traffic.answered(candidate.id, zoo.router.candidates, usage, took_s)
        cost = exchange.total_usd(answer)
        if answer.report is not None and zoo.router.log is not None:
            zoo.router.log.cascade(decision.id, answer.report)
        bill = Bill(cost, usage.tokens_in, usage.tokens_out) if answer.is_counted else Bill(cost)
        zoo.router.settle(decision, model=candidate.id, latency_s=None if left else took_s, **bill._asdict())
        if left:
            _aborted(zoo.router, decision)

    # -- decisions ----------------------------------------------------------------------------------------------------

    async def preview(self, raw: bytes, key: str) -> Response:
        """Decide on a request of any protocol, or on `{"input": TEXT}`, without asking a candidate.

        Args:
            raw: Its body.
            key: Name of its key.
        """
        with self.zoo.in_use() as zoo:
            try:
                place = await self._place(zoo)
            except Overloaded as error:
                return refusal(CHAT, error)
            with place:
                body = read_body(raw, model=ROUTED)
                prompt = read_prompt(body.fields)
                decision = await zoo.decide(str(body.fields["model"]), prompt, None, None, key, preview=True)
            planned = zoo.planned(decision, body.fields)
            _keep(self._decisions, decision.id, (decision, planned.model))
            record = planned.model_dump(mode="json")
            return JSONResponse({**record, "expected_cost_usd": planned.expected_cost_usd})

    async def outcome(self, fields: Mapping[str, Any]) -> Response:
        """Take feedback: `{"decision": ID, "correct": 0 to 1}`, or a whole decision in place of its id."""
        about = fields.get("decision")
        decision, model = self._decided(about)
        given, correct, key = fields.get("model", model), fields.get("correct"), fields.get("key")
        if not isinstance(given, str) or not isinstance(correct, int | float) or not isinstance(key, str | None):
            raise InvalidInput(
                'feedback is {"decision": ID, "correct": a number from 0 to 1}; of several answers each has a name: '
                '{..., "key": TEXT}'
            )
        with self.zoo.in_use() as zoo:
            outcome = await zoo.router.afeedback(decision, given, float(correct), key=key)
        return JSONResponse(outcome.model_dump(mode="json"), status_code=201)

    def _decided(self, about: object) -> tuple[Decision, str]:
        if isinstance(about, dict):
            decision = Decision.model_validate({k: v for k, v in about.items() if k != "expected_cost_usd"})
            return decision, decision.model
        found = self._decisions.get(about) if isinstance(about, str) else None
        if found is None:
            raise InvalidInput("no decision of this id here; pass the whole decision, as /v1/route returned it")
        return found

    def models(self) -> Response:
        """List the models that a request may name."""
        return JSONResponse({"object": "list", "data": [_entry(name) for name in self.zoo.names]})

    def model(self, name: str) -> Response:
        """Return one of these models.

        Raises:
            InvalidInput: If nothing has that name.
        """
        self.zoo.require(name)
        return JSONResponse(_entry(name))

    def status(self) -> Response:
        """Return what the dashboard shows."""
        zoo = self.zoo
        models = [{"id": id_, "breaker": zoo.fallback.state(id_), "known": zoo.known(id_)} for id_ in zoo.upstreams]
        head = {"policy": zoo.router.policy.name, "scorer": zoo.router.scorer_name}
        return JSONResponse({**head, "models": models, "traffic": self.traffic.summary()})

    def metrics(self) -> Response:
        """Return all metrics."""
        self.meters.waiting(self.admission.waiting)
        log = self.zoo.router.log
        self.meters.dropped(0 if log is None else log.dropped)
        page = self.meters.page(self.zoo.fallback, list(self.zoo.upstreams), self.traffic.drift())
        return Response(page, media_type=self.meters.media_type)


def _aborted(router: Router, decision: Decision) -> None:
    if router.log is not None:
        router.signal(decision, "aborted")


def _entry(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "cit-router"}


def _keep(memory: OrderedDict[str, Any], name: str, value: object) -> None:
    memory[name] = value
    memory.move_to_end(name)
    while len(memory) > REMEMBERED:
        memory.popitem(last=False)
