"""Answer requests: choose a candidate, ask it or the next-best, and pass the answer on."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any
from urllib.parse import quote

import anyio
import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from cit_core.errors import CITError, InvalidInput, NoCandidate
from cit_core.provider_errors import classify
from cit_core.records import Decision
from cit_core.router import Router, Sticky
from cit_core.router.concurrency import aside
from cit_core.router.fallback import Attempts
from cit_core.server.bodies import read_body
from cit_core.server.meters import Meters
from cit_core.server.prompts import read_prompt
from cit_core.server.protocols import RESPONSES, EventReader, Protocol
from cit_core.server.relay import Answer, EmptyAnswer, ask
from cit_core.server.traffic import Traffic
from cit_core.server.upstreams import UpstreamError, returned
from cit_core.server.zoo import ROUTED, Zoo
from cit_core.settings import Settings

__all__ = ["Gateway"]

REMEMBERED = 10_000
"""Decisions that `/v1/outcomes` can name, and responses that `previous_response_id` can; the oldest are forgotten."""
WHY = {
    "exploration": "tried by chance",
    "conversation": "kept in its conversation",
    "caller": "asked for",
    "default": "default route",
}


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

    # -- answers ------------------------------------------------------------------------------------------------------

    async def answer(self, protocol: Protocol, request: Request, raw: bytes, key: str) -> Response:
        """Answer a request of a protocol.

        Args:
            protocol: Protocol of the request.
            request: Its headers.
            raw: Its body.
            key: Name of its key.
        """
        began_s = time.perf_counter()
        async with AsyncExitStack() as stack:
            zoo = stack.enter_context(self.zoo.in_use())
            try:
                body = read_body(raw)
                name, conversation = self._pinned(body.fields, zoo), request.headers.get("x-cit-conversation")
                decision = await zoo.decide(name, read_prompt(body.fields), protocol.api, conversation, key)
            except CITError as error:
                return _refusal(protocol, error)
            self.meters.decided(decision)
            attempts = zoo.fallback.attempts(decision, zoo.windows())
            try:
                answer = await ask(zoo, protocol, body, request.headers, attempts, stack)
            except EmptyAnswer as error:
                return Response(error.raw, headers=returned(error.headers))
            except UpstreamError as error:
                return _passed_on(protocol, error)
            except (httpx.HTTPError, TimeoutError) as error:
                return _unreachable(protocol, error)
            finally:
                self.meters.failed(attempts)
                self.traffic.failed(attempts)
            return self._begun(zoo, protocol, decision, answer, began_s, key, stack)

    def _begun(
        self,
        zoo: Zoo,
        protocol: Protocol,
        decision: Decision,
        answer: Answer,
        began_s: float,
        key: str,
        stack: AsyncExitStack,
    ) -> Response:
        """Count an answer that has begun, and return it; a stream keeps what is in the stack."""
        trail = _trail(decision, answer.attempts)
        self.meters.opened(answer.attempts, time.perf_counter() - began_s)
        self.traffic.opened(decision, answer.attempts, trail["x-cit-reason"])
        self._remember(protocol, decision, answer)
        done = partial(self._done, zoo, decision, answer, began_s, key)
        headers = returned(answer.headers) | trail
        if answer.pieces is not None:
            return _Relay(answer, stack.pop_all(), done, headers)
        done()
        return Response(answer.held, headers=headers)

    def _pinned(self, fields: Mapping[str, Any], zoo: Zoo) -> str:
        """Return the model that a request names; where it goes on from a response, the one that has given it."""
        kept = self._responses.get(str(fields.get("previous_response_id")))
        return kept if kept in zoo.upstreams else str(fields["model"])

    def _remember(self, protocol: Protocol, decision: Decision, answer: Answer) -> None:
        _keep(self._decisions, decision.id, (decision, answer.attempts.model))
        if protocol is RESPONSES and (id_ := _response_id(answer.held)) is not None:
            _keep(self._responses, id_, answer.attempts.model)

    def _done(
        self, zoo: Zoo, decision: Decision, answer: Answer, began_s: float, key: str, *, left: bool = False
    ) -> None:
        """Count an answer that is complete, or that its caller has left."""
        candidate, took_s = zoo.candidate(answer.attempts.model), time.perf_counter() - began_s
        usage = answer.usage()
        self.meters.answered(candidate, usage, took_s, key)
        self.traffic.answered(candidate.id, zoo.router.candidates, usage, took_s)
        cost = candidate.expected_cost(*usage) if any(usage) else None
        zoo.router.settle(decision, model=candidate.id, cost_usd=cost, latency_s=took_s)
        if left and zoo.router.log is not None:
            zoo.router.signal(decision, "aborted")

    # -- decisions ----------------------------------------------------------------------------------------------------

    async def preview(self, raw: bytes) -> Response:
        """Decide on a request of any protocol, or on `{"input": TEXT}`, without asking a candidate."""
        with self.zoo.in_use() as zoo:
            body = read_body(raw, model=ROUTED)
            decision = await zoo.decide(str(body.fields["model"]), read_prompt(body.fields), None, None)
            _keep(self._decisions, decision.id, (decision, decision.model))
            record = decision.model_dump(mode="json")
            return JSONResponse({**record, "expected_cost_usd": decision.expected_cost_usd})

    async def outcome(self, fields: Mapping[str, Any]) -> Response:
        """Take feedback: `{"decision": ID, "correct": 0 to 1}`, or a whole decision in place of its id."""
        about = fields.get("decision")
        decision, model = self._decided(about)
        given, correct = fields.get("model", model), fields.get("correct")
        if not isinstance(given, str) or not isinstance(correct, int | float):
            raise InvalidInput('feedback is {"decision": ID, "correct": a number from 0 to 1}')
        with self.zoo.in_use() as zoo:
            outcome = await aside("feedback", zoo.router.feedback, decision, given, float(correct))
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
        entries = [{"id": id_, "object": "model", "created": 0, "owned_by": "cit-router"} for id_ in self.zoo.names]
        return JSONResponse({"object": "list", "data": entries})

    def status(self) -> Response:
        """Return what the dashboard shows."""
        zoo = self.zoo
        models = [{"id": id_, "breaker": zoo.fallback.state(id_), "known": zoo.known(id_)} for id_ in zoo.upstreams]
        head = {"policy": zoo.router.policy.name, "scorer": zoo.router.scorer_name}
        return JSONResponse({**head, "models": models, "traffic": self.traffic.summary()})

    def metrics(self) -> Response:
        """Return all metrics."""
        page = self.meters.page(self.zoo.fallback, list(self.zoo.upstreams))
        return Response(page, media_type=self.meters.media_type)


class _Relay(StreamingResponse):
    """A stream that ends when the caller leaves, also while the provider is silent."""

    def __init__(self, answer: Answer, stack: AsyncExitStack, done: Any, headers: Mapping[str, str]) -> None:
        super().__init__(self._content(answer), headers=headers)
        self._stack = stack
        self._done = done

    @staticmethod
    async def _content(answer: Answer) -> AsyncIterator[bytes]:
        yield answer.held
        assert answer.pieces is not None
        async for piece in answer.pieces:
            yield piece

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send the stream, and listen for the caller's leaving meanwhile."""
        left = True

        async def send_all() -> None:
            nonlocal left
            await self.stream_response(send)
            left = False
            group.cancel_scope.cancel()

        try:
            async with anyio.create_task_group() as group:
                group.start_soon(send_all)
                while (await receive())["type"] != "http.disconnect":
                    pass
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._stack.aclose()
            self._done(left=left)


def _keep(memory: OrderedDict[str, Any], name: str, value: object) -> None:
    memory[name] = value
    memory.move_to_end(name)
    while len(memory) > REMEMBERED:
        memory.popitem(last=False)


def _response_id(held: bytes) -> str | None:
    """Return the id of an answer of `/responses`, complete or begun."""
    for text in (held.decode("utf-8", "replace"), *EventReader().feed(held)):
        try:
            fields = json.loads(text)
        except ValueError:
            continue
        response = fields.get("response", fields) if isinstance(fields, dict) else None
        if isinstance(response, dict) and isinstance(response.get("id"), str):
            return str(response["id"])
    return None


def _trail(decision: Decision, attempts: Attempts) -> dict[str, str]:
    """Return the headers with the answering candidate, and the reason."""
    ranked = next(one for one in decision.ranking if one.model == attempts.model)
    said = WHY.get(decision.chosen_by, f"policy {decision.policy}")
    failed = [f"{failure.model} failed: {failure.reason or failure.error}" for failure in attempts.failures]
    trail = {
        "x-cit-model": attempts.model,
        "x-cit-probability": f"{ranked.probability:.4f}",
        "x-cit-decision": decision.id,
        "x-cit-reason": "; ".join([said, *failed]),
    }
    if ranked.expected_cost_usd is not None:
        trail["x-cit-expected-cost"] = f"{ranked.expected_cost_usd:.6f}"
    return {name: quote(value, safe=" !#$&'()*+,/:;=?@[]{}|<>^`\"") for name, value in trail.items()}


def _error(protocol: Protocol, status: int, kind: str, message: str) -> Response:
    return JSONResponse(protocol.error(kind, message), status_code=status)


def _refusal(protocol: Protocol, error: CITError) -> Response:
    if isinstance(error, NoCandidate):
        return _error(protocol, 422, "no_candidate", str(error))
    known = isinstance(error, InvalidInput) and str(error).startswith("no model ")
    return _error(protocol, 404 if known else 400, "model_not_found" if known else "invalid_request_error", str(error))


def _passed_on(protocol: Protocol, error: UpstreamError) -> Response:
    """Return the last candidate's own error; one that came with 200 gets the status that it means."""
    if error.status_code >= 400 and error.body is not None:
        return Response(error.raw, status_code=error.status_code, headers=returned(error.headers))
    fault = classify(error)
    status = 429 if fault is not None and fault.kind == "rate_limit" else 502
    if error.body is not None and error.raw:
        return Response(error.raw, status_code=status, media_type="application/json")
    return _error(protocol, status, "upstream_error", "no candidate answered; the last one sent no usable response")


def _unreachable(protocol: Protocol, error: Exception) -> Response:
    late = isinstance(error, TimeoutError | httpx.TimeoutException)
    what = "in time" if late else f"({type(error).__name__})"
    return _error(protocol, 504 if late else 502, "upstream_error", f"no candidate answered {what}")
