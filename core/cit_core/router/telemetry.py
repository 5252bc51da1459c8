"""Telemetry of decisions, for Python's logging and for OpenTelemetry where it is installed. Never a query's text.

Logging: logger `cit_core.router`, INFO for a decision, WARNING for a failure and for what a decision warns of, with the
facts as `extra` in fields that begin with `cit_`: `cit_model` is a candidate's id, `cit_decision` a decision's.
(`cit_route`, in the adapters, is always a whole decision record.) OpenTelemetry: a span `route MODEL` for a decision,
an event `cit.failure` on the caller's span for a failure; names of the GenAI semantic conventions where they have one.
What goes wrong in a filter or a span processor is reported as logging reports its own errors, on stderr, and fails no
call.
"""

from __future__ import annotations

import contextvars
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from cit_core.fork import no_fork
from cit_core.records import Decision
from cit_core.router.query import Query

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

__all__ = ["Caller", "harmless", "tell_failure", "tell_unpriced", "tracer"]

logger = logging.getLogger("cit_core.router")

LONGEST_NAME = 128
"""Characters of a conversation's name; a longer one may be a message."""


@contextmanager
def harmless() -> Iterator[None]:
    """Report what goes wrong in a listener, and go on."""
    try:
        yield
    except Exception:  # noqa: BLE001  # any code: an error of a listener must not lose a decision
        what = logger.makeRecord(logger.name, logging.ERROR, __file__, 0, "could not record a call", (), None)
        logging.Handler().handleError(what)


@dataclass(frozen=True)
class Caller:
    """The call that a decision is made for.

    Attributes:
        since_ns: Arrival of the query [ns since the epoch].
        context: Context variables of the caller, if the decision is made in another thread.
    """

    since_ns: int
    context: contextvars.Context | None = None

    @classmethod
    def here(cls) -> Caller:
        """Return the caller of this moment, with its context."""
        return cls(time.time_ns(), contextvars.copy_context())

    def record(self, query: Query, decision: Decision, warnings: Sequence[str] = ()) -> None:
        """Record a decision in the caller's context.

        Args:
            query: What was decided about.
            decision: The decision.
            warnings: Those of its warnings that are about this query.
        """
        if self.context is None:
            _record_decision(query, decision, self.since_ns, warnings)
        else:
            self.context.run(_record_decision, query, decision, self.since_ns, warnings)


@harmless()
def _record_decision(query: Query, decision: Decision, started_ns: int, warnings: Sequence[str]) -> None:
    for warning in warnings:
        logger.warning("%s", warning, extra={"cit_decision": decision.id, "cit_model": decision.model})
    conversation = None if query.conversation is None else _name(query.conversation.key)
    if logger.isEnabledFor(logging.INFO):
        logger.info("routed to %s (%.3f)", decision.model, decision.probability, extra=_fields(decision, conversation))
    if (tracing := tracer()) is None:
        return
    span = tracing.start_span(f"route {decision.model}", start_time=started_ns, attributes=_attributes(decision))
    if conversation is not None:
        span.set_attribute("gen_ai.conversation.id", str(conversation))
    span.end(time.time_ns())


@harmless()
def tell_unpriced(policy: str, models: Sequence[str]) -> None:
    """Record that a policy needs prices and leaves out the candidates without one."""
    few = ", ".join(models[:3]) + (f" and {len(models) - 3} more" if len(models) > 3 else "")
    logger.warning("no price is known of %s: policy %s chooses among the others", few, policy)


@harmless()
def tell_failure(decision: Decision, model: str, error: BaseException, following: str | None) -> None:
    """Record that a candidate failed, and which is asked instead; None if the caller gets the error."""
    kind = type(error).__name__
    what = f"{following} is asked" if following else "no other candidate is asked"
    extra = {"cit_decision": decision.id, "cit_failed": model, "cit_error": kind, "cit_next": following}
    logger.warning("%s failed (%s); %s", model, kind, what, extra=extra)
    if tracer() is not None:
        from opentelemetry.trace import get_current_span

        attributes = {"cit.decision.id": decision.id, "gen_ai.request.model": model, "error.type": kind}
        get_current_span().add_event("cit.failure", attributes | ({"cit.next": following} if following else {}))


@cache
def tracer() -> Tracer | None:
    """Return the tracer; None where OpenTelemetry is not installed."""
    try:
        with no_fork():
            from opentelemetry.trace import get_tracer
    except ImportError:
        return None
    return get_tracer("cit_router")


def _name(key: object) -> object:
    """Return a conversation's key, each long text in it left out."""
    parts = [part if len(str(part)) <= LONGEST_NAME else "…" for part in (key if isinstance(key, tuple) else (key,))]
    return tuple(parts) if isinstance(key, tuple) else parts[0]


def _fields(decision: Decision, conversation: object) -> dict[str, Any]:
    return {
        "cit_decision": decision.id,
        "cit_model": decision.model,
        "cit_probability": decision.probability,
        "cit_scores": decision.scores,
        "cit_excluded": dict(decision.excluded),
        "cit_policy": decision.policy,
        "cit_chosen_by": decision.chosen_by,
        "cit_scorer": decision.scorer,
        "cit_store_version": decision.store_version,
        "cit_expected_cost_usd": decision.expected_cost_usd,
        "cit_latency_ms": decision.latency_ms,
        "cit_conversation": conversation,
    }


def _attributes(decision: Decision) -> dict[str, Any]:
    found = {
        "gen_ai.operation.name": "route",
        "gen_ai.request.model": decision.model,
        "cit.decision.id": decision.id,
        "cit.probability": decision.probability,
        "cit.candidates": [ranked.model for ranked in decision.ranking],
        "cit.probabilities": [ranked.probability for ranked in decision.ranking],
        "cit.excluded": list(decision.excluded),
        "cit.policy": decision.policy,
        "cit.chosen_by": decision.chosen_by,
        "cit.scorer": decision.scorer,
        "cit.store_version": decision.store_version,
        "cit.expected_cost_usd": decision.expected_cost_usd,
    }
    return {name: value for name, value in found.items() if value is not None}
