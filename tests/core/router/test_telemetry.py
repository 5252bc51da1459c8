"""What is told of decisions and failures: structured, and never the text of a query."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cit_core.policy import Constraints
from cit_core.records import Candidate
from cit_core.router import Batching, FakeScorer, Fallback, Query, Router, Sticky
from cit_core.router import telemetry as telling

SECRET = "my secret question"
ZOO = [Candidate(id="small"), Candidate(id="large")]


@pytest.fixture
def router() -> Router:
    zoo = [Candidate(id=id_, price_in=1, price_out=1) for id_ in ("small", "large", "denied")]
    scorer = FakeScorer({"small": 0.25, "large": 0.75})
    return Router(scorer, zoo, constraints=Constraints(deny=frozenset({"denied"})), store_version="test:1")


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """A provider of this test alone: OpenTelemetry's own can be set once a process."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    telling.tracer.cache_clear()
    yield exporter
    telling.tracer.cache_clear()


def fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name.startswith("cit_")}


def test_a_decision_is_logged_with_its_facts_and_without_the_query(
    router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "cit_core.router"):
        decision = router.route(SECRET)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("cit_core.router", "INFO")
    assert record.getMessage() == "routed to large (0.750)"
    assert fields(record) == {
        "cit_decision": decision.id,
        "cit_model": "large",
        "cit_probability": 0.75,
        "cit_scores": {"large": 0.75, "small": 0.25},
        "cit_excluded": {"denied": "denied"},
        "cit_policy": "best",
        "cit_chosen_by": "policy",
        "cit_scorer": "fake",
        "cit_store_version": "test:1",
        "cit_expected_cost_usd": decision.expected_cost_usd,
        "cit_latency_ms": decision.latency_ms,
        "cit_conversation": None,
    }
    assert json.loads(json.dumps(fields(record)))
    assert SECRET not in str(vars(record))


async def test_every_way_to_route_tells_once(router: Router, caplog: pytest.LogCaptureFixture) -> None:
    batching = Router(router.scorer, router.candidates[:2], batching=Batching(max_wait_s=0))
    conversation = Sticky().conversation("thread-1")
    with caplog.at_level(logging.INFO, "cit_core.router"):
        router.route("q")
        await router.aroute("q")
        router.route_many(["q", "r"])
        await router.aroute_many(["q", "r"])
        router.decide(Query("q", conversation=conversation))
        await router.adecide(Query("q"))
        router.decide_each([Query("q"), Query("", strict=True), Query("q")])
        batching.route("q")
        await batching.aroute("q")
    assert len(caplog.records) == 12
    assert len({record.cit_decision for record in caplog.records}) == 12  # type: ignore[attr-defined]
    assert [r.cit_conversation for r in caplog.records if r.cit_conversation] == ["thread-1"]  # type: ignore[attr-defined]


def test_a_text_that_was_cut_is_a_warning_in_each_decision_and_once_in_the_log(
    router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    long = "Who wrote Emma? " * 2000
    cut = [router.route(long).warnings[0] for _ in range(3)]
    assert [record.getMessage() for record in caplog.records] == cut[:1]
    assert "characters that ask were read to decide" in cut[0]
    assert "Emma" not in cut[0]
    router.route("")
    router.route("")
    assert len(caplog.records) == 3, "what could not be decided is logged each time"


def test_a_failure_is_a_warning_that_names_the_next(router: Router, caplog: pytest.LogCaptureFixture) -> None:
    decision = router.route("q")
    attempts = Fallback().attempts(decision)
    attempts.failed(TimeoutError(SECRET))
    attempts.failed(ConnectionError(SECRET))
    assert [record.getMessage() for record in caplog.records] == [
        "large failed (TimeoutError); small is asked",
        "small failed (ConnectionError); no other candidate is asked",
    ]
    assert [fields(record) for record in caplog.records] == [
        {"cit_decision": decision.id, "cit_failed": "large", "cit_error": "TimeoutError", "cit_next": "small"},
        {"cit_decision": decision.id, "cit_failed": "small", "cit_error": "ConnectionError", "cit_next": None},
    ]
    assert SECRET not in str([vars(record) for record in caplog.records])


def test_a_decision_is_a_span_in_the_callers_trace(router: Router, spans: InMemorySpanExporter) -> None:
    with trace.get_tracer("app").start_as_current_span("request") as request:
        decision = router.decide(Query(SECRET, conversation=Sticky().conversation("thread-1")))
        Fallback().attempts(decision).failed(TimeoutError(SECRET))
    span, parent = spans.get_finished_spans()
    assert span.name == "route large"
    assert span.parent is not None
    assert span.parent.span_id == request.get_span_context().span_id
    assert span.attributes is not None
    assert dict(span.attributes) == {
        "gen_ai.operation.name": "route",
        "gen_ai.request.model": "large",
        "gen_ai.conversation.id": "thread-1",
        "cit.decision.id": decision.id,
        "cit.probability": 0.75,
        "cit.candidates": ("large", "small"),
        "cit.probabilities": (0.75, 0.25),
        "cit.excluded": ("denied",),
        "cit.policy": "best",
        "cit.chosen_by": "policy",
        "cit.scorer": "fake",
        "cit.store_version": "test:1",
        "cit.expected_cost_usd": decision.expected_cost_usd,
    }
    (event,) = parent.events
    assert event.name == "cit.failure"
    assert dict(event.attributes or {}) == {
        "cit.decision.id": decision.id,
        "gen_ai.request.model": "large",
        "error.type": "TimeoutError",
        "cit.next": "small",
    }
    assert SECRET not in span.to_json() + parent.to_json()


def test_a_span_lasts_as_long_as_the_decision_took(router: Router, spans: InMemorySpanExporter) -> None:
    decision = router.route("q")
    (span,) = spans.get_finished_spans()
    assert span.end_time is not None
    assert span.start_time is not None
    assert (span.end_time - span.start_time) / 1e6 >= decision.latency_ms * 0.5


async def test_spans_of_a_batch_belong_each_to_its_caller(spans: InMemorySpanExporter) -> None:
    router = Router(FakeScorer({"small": 0.1}), [Candidate(id="small")], batching=Batching(max_wait_s=20, max_size=2))

    async def request(name: str) -> None:
        with trace.get_tracer("app").start_as_current_span(name):
            await router.aroute("q")

    await asyncio.gather(request("one"), request("two"))
    finished: dict[int, ReadableSpan] = {s.get_span_context().span_id: s for s in spans.get_finished_spans()}  # type: ignore[union-attr]
    routes = [span for span in finished.values() if span.name.startswith("route")]
    assert sorted(finished[span.parent.span_id].name for span in routes if span.parent) == ["one", "two"]


def test_without_opentelemetry_nothing_is_missed() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.modules['opentelemetry'] = None\n"
            "from cit_core import Router, FakeScorer, Candidate\n"
            "from cit_core.router import Fallback\n"
            "decision = Router(FakeScorer({'a': 0.5}), [Candidate(id='a')]).route('q')\n"
            "Fallback().attempts(decision).failed(TimeoutError())",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize("batching", [None, Batching(max_wait_s=0.0)], ids=["alone", "batched"])
async def test_what_listens_and_breaks_costs_nobody_a_decision(
    batching: Batching | None, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: logging.LogRecord) -> bool:
        raise RuntimeError("a broken filter")

    router = Router(FakeScorer({"small": 0.5, "large": 0.6}), ZOO, batching=batching)
    logger = logging.getLogger("cit_core.router")
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addFilter(broken)
    try:
        decision = await asyncio.wait_for(router.aroute(SECRET), 20)
        assert decision.model == "large"
        assert Fallback().attempts(decision).failed(TimeoutError())
    finally:
        logger.removeFilter(broken)
        logger.setLevel(before)
    told = capsys.readouterr().err
    assert told.count("RuntimeError: a broken filter") == 2
    assert SECRET not in told
