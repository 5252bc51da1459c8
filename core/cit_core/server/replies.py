"""Responses to callers: a stream that is passed on, headers that tell the decision, errors in the protocol's words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote

import anyio
import httpx
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from cit_core.errors import CITError, InvalidInput, NoCandidate
from cit_core.provider_errors import classify
from cit_core.records import Decision
from cit_core.server.admission import Overloaded
from cit_core.server.protocols import Protocol
from cit_core.server.relay import Answer
from cit_core.server.upstreams import UpstreamError, returned

__all__ = ["Passage", "passed_on", "refusal", "trail", "unreachable"]

AT_ONCE = {"x-accel-buffering": "no"}
"""Tells nginx, which holds responses back by default, to pass a stream on as it comes."""
RETRY_AFTER_S = 2
"""When a caller that was refused for the others may try again [s]."""
WHY = {
    "exploration": "tried by chance",
    "conversation": "kept in its conversation",
    "caller": "asked for",
    "default": "default route",
}


class Passage(StreamingResponse):
    """A stream that ends when the caller leaves, also while the provider is silent."""

    def __init__(self, answer: Answer, stack: AsyncExitStack, done: Any, headers: Mapping[str, str]) -> None:
        super().__init__(self._content(answer), headers={**headers, **AT_ONCE})
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


def trail(decision: Decision, answer: Answer) -> dict[str, str]:
    """Return the headers with the answering candidate, and the reason."""
    attempts, report = answer.attempts, answer.report or {}
    ranked = next(one for one in decision.ranking if one.model == attempts.model)
    said = WHY.get(decision.chosen_by, f"policy {decision.policy}")
    if decision.chosen_by == "cascade":
        said = f"cascade, policy {decision.policy}: {', '.join(map(_step, report.get('steps', [])))}"
    failed = [f"{failure.model} failed: {failure.reason or failure.error}" for failure in attempts.failures]
    told = {
        "x-cit-model": attempts.model,
        "x-cit-probability": f"{report.get('probability', ranked.probability):.4f}",
        "x-cit-decision": decision.id,
        "x-cit-reason": "; ".join([said, *failed]),
    }
    if ranked.expected_cost_usd is not None:
        told["x-cit-expected-cost"] = f"{ranked.expected_cost_usd:.6f}"
    return {name: quote(value, safe=" !#$&'()*+,/:;=?@[]{}|<>^`\"") for name, value in told.items()}


def _step(step: Mapping[str, Any]) -> str:
    """Return a step of a cascade in words."""
    if "error" in step:
        return f"{step['model']} failed"
    if "verify_usd" not in step:
        return f"{step['model']} last"
    score = "no verdict" if step["score"] is None else f"verdict {step['score']:.2g}"
    return f"{step['model']} {'accepted' if step['accepted'] else 'refused'} ({score})"


def _error(
    protocol: Protocol, status: int, kind: str, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    return JSONResponse(protocol.error(kind, message), status_code=status, headers=headers)


def refusal(protocol: Protocol, error: CITError) -> Response:
    """Return the error of a request that cannot be routed."""
    if isinstance(error, Overloaded):
        return _error(protocol, 503, "overloaded_error", str(error), {"retry-after": str(RETRY_AFTER_S)})
    if isinstance(error, NoCandidate):
        return _error(protocol, 422, "no_candidate", str(error))
    if not isinstance(error, InvalidInput):  # the store, the scorer: nothing that the caller could change
        return _error(protocol, 503, "api_error", str(error), {"retry-after": str(RETRY_AFTER_S)})
    known = str(error).startswith("no model ")
    return _error(protocol, 404 if known else 400, "model_not_found" if known else "invalid_request_error", str(error))


def passed_on(protocol: Protocol, error: UpstreamError) -> Response:
    """Return the last candidate's own error; one that came with 200 gets the status that it means."""
    headers = returned(error.headers)
    if error.status_code >= 400 and error.body is not None:
        return Response(error.raw, status_code=error.status_code, headers=headers)
    headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}
    fault = classify(error)
    status = 429 if fault is not None and fault.kind == "rate_limit" else 502
    if error.body is not None and error.raw:
        return Response(error.raw, status_code=status, headers=headers, media_type="application/json")
    if error.status_code >= 400:  # a page of something before the provider
        status = error.status_code
    message = "no candidate answered; the last one sent no usable response"
    return _error(protocol, status, "upstream_error", message, headers)


def unreachable(protocol: Protocol, error: Exception) -> Response:
    """Return the error where no candidate's server sent a response."""
    late = isinstance(error, TimeoutError | httpx.TimeoutException)
    what = "in time" if late else f"({type(error).__name__})"
    return _error(protocol, 504 if late else 502, "upstream_error", f"no candidate answered {what}")
