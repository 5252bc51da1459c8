"""Spans of a request for OpenTelemetry, where it is installed: the request, its decision, each candidate that is asked.

Names of the GenAI semantic conventions where they have one; never a text of the request or of an answer. A request's
`traceparent` is read, and not passed on to providers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from cit_core.router.telemetry import harmless, tracer
from cit_core.server.protocols import Protocol, Usage, identity_of
from cit_core.server.upstreams import Upstream, UpstreamError

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

__all__ = ["CallSpan", "RequestSpan"]

NUMBERS = {
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
}
"""Field of a request to the end of the attribute's name."""
SERVER_ERROR = 500


class CallSpan:
    """Span of one candidate's answer; it ends once, at the first word about its end.

    Args:
        span: The span; None where nothing is recorded.
    """

    def __init__(self, span: Span | None = None) -> None:
        self._span = span if span is not None and span.is_recording() else None

    @harmless()
    def failed(self, error: BaseException) -> None:
        """End it with an error: its HTTP status, or the name of its class."""
        if self._span is None:
            return
        from opentelemetry.trace import StatusCode

        status = error.status_code if isinstance(error, UpstreamError) and error.status_code != 200 else None
        self._span.set_attribute("error.type", type(error).__name__ if status is None else str(status))
        self._span.set_status(StatusCode.ERROR)
        self._end()

    @harmless()
    def answered(self, usage: Usage, held: bytes) -> None:
        """End it with what is known of the answer.

        Args:
            usage: Tokens as the provider counted them.
            held: The beginning of the answer, or all of it.
        """
        if self._span is None:
            return
        id_, model = identity_of(held)
        told: dict[str, Any] = {"gen_ai.response.id": id_, "gen_ai.response.model": model}
        if any(usage):
            told |= {"gen_ai.usage.input_tokens": usage.tokens_in, "gen_ai.usage.output_tokens": usage.tokens_out}
        self._span.set_attributes({name: value for name, value in told.items() if value is not None})
        self._end()

    def _end(self) -> None:
        span, self._span = self._span, None
        if span is not None:
            span.end()


class RequestSpan:
    """Span of a request, and the parent of those of its decision and of the candidates that are asked.

    Args:
        protocol: Protocol of the request.
        headers: Its headers.
    """

    def __init__(self, protocol: Protocol, headers: Mapping[str, str]) -> None:
        self._span: Span | None = None
        self._context: Any = None
        self._begin(f"/v1{protocol.path}", headers)

    @harmless()
    def _begin(self, path: str, headers: Mapping[str, str]) -> None:
        if (tracing := tracer()) is None:
            return
        from opentelemetry import propagate, trace

        told = {"http.request.method": "POST", "http.route": path}
        parent = propagate.extract(headers)
        self._span = tracing.start_span(f"POST {path}", parent, kind=trace.SpanKind.SERVER, attributes=told)
        self._context = trace.set_span_in_context(self._span, parent)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make it the parent of the spans of others, such as the decision's."""
        if self._context is None:
            yield
            return
        from opentelemetry import context

        token = context.attach(self._context)
        try:
            yield
        finally:
            context.detach(token)

    @contextmanager
    def asking(self, upstream: Upstream, model: str, fields: Mapping[str, Any]) -> Iterator[CallSpan]:
        """Begin the span of a candidate's answer; an error in the block ends it.

        Args:
            upstream: The candidate's server.
            model: The candidate's id.
            fields: The request.
        """
        call = CallSpan(self._started(upstream, model, fields))
        try:
            yield call
        except BaseException as error:
            call.failed(error)
            raise

    def _started(self, upstream: Upstream, model: str, fields: Mapping[str, Any]) -> Span | None:
        if self._span is None or not self._span.is_recording():
            return None
        told = {f"gen_ai.request.{NUMBERS[name]}": fields[name] for name in NUMBERS if _is_number(fields.get(name))}
        with harmless():
            from opentelemetry.trace import SpanKind

            attributes, tracing = told | _of(upstream, model), cast("Tracer", tracer())
            return tracing.start_span(f"chat {upstream.name}", self._context, SpanKind.CLIENT, attributes)
        return None

    @harmless()
    def ended(self, status: int) -> None:
        """End it.

        Args:
            status: HTTP status of the response; 499 if the caller left before one.
        """
        if self._span is None:
            return
        from opentelemetry.trace import StatusCode

        self._span.set_attribute("http.response.status_code", status)
        if status >= SERVER_ERROR:
            self._span.set_attribute("error.type", str(status))
            self._span.set_status(StatusCode.ERROR)
        span, self._span = self._span, None
        span.end()


def _of(upstream: Upstream, model: str) -> dict[str, Any]:
    """Return what is known of a candidate before it is asked."""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": upstream.api,
        "gen_ai.request.model": upstream.name,
        "server.address": upstream.address[0],
        "server.port": upstream.address[1],
        "cit.model": model,
    }


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
