"""The gateway's spans: one trace for a request, with the names of the GenAI conventions and no text."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gateway_process import gateway
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from scripted_provider import ANSWER, ScriptedProvider

from cit_core.router import telemetry

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ASK = {"model": "cit", "max_tokens": 9, "messages": [{"role": "user", "content": "A secret question?"}]}


class Broken(SpanProcessor):
    """A listener that fails."""

    def on_end(self, span: ReadableSpan) -> None:
        raise RuntimeError("a broken listener")


@pytest.fixture
def tracing(monkeypatch: pytest.MonkeyPatch) -> Iterator[TracerProvider]:
    provider = TracerProvider()
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    telemetry.tracer.cache_clear()
    yield provider
    telemetry.tracer.cache_clear()


@pytest.fixture
def spans(tracing: TracerProvider) -> InMemorySpanExporter:
    tracing.add_span_processor(SimpleSpanProcessor(exporter := InMemorySpanExporter()))
    return exporter


def finished(spans: InMemorySpanExporter, request: str) -> dict[str, ReadableSpan]:
    """Return the spans by name, once the request's own has ended: it is the last."""
    end = time.monotonic() + 20
    while not any(span.name == request for span in spans.get_finished_spans()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return {span.name: span for span in spans.get_finished_spans()}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_request_is_one_trace(tmp_path: Path, spans: InMemorySpanExporter, stream: bool) -> None:
    with ScriptedProvider() as provider, gateway(tmp_path, provider.url, {"a": "rate-limit", "b": "ok"}) as url:
        headers = {"traceparent": PARENT}
        httpx.post(f"{url}/v1/chat/completions", json={**ASK, "stream": stream}, headers=headers)
        found = finished(spans, "POST /v1/chat/completions")
    request, failed, answered = (
        found[name] for name in ("POST /v1/chat/completions", "chat a-upstream", "chat b-upstream")
    )
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == PARENT.split("-")[2]
    assert {f"{span.context.trace_id:032x}" for span in found.values() if span.context} == {PARENT.split("-")[1]}
    parents = {span.parent.span_id for span in (failed, answered, found["route a"]) if span.parent}
    assert parents == {request.context.span_id} if request.context else False
    assert set(found) == {request.name, failed.name, answered.name, "route a"}
    assert dict(request.attributes or {})["http.response.status_code"] == 200
    assert dict(failed.attributes or {})["error.type"] == "429"
    told = dict(answered.attributes or {})
    assert told.pop("server.port") == int(provider.url.rpartition(":")[2])
    usage = {} if stream else {"gen_ai.usage.input_tokens": 1, "gen_ai.usage.output_tokens": 2}
    assert told == usage | {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "b-upstream",
        "gen_ai.request.max_tokens": 9,
        "gen_ai.response.id": "1",
        "gen_ai.response.model": "m",
        "server.address": "127.0.0.1",
        "cit.model": "b",
    }
    assert not any("traceparent" in sent for sent in provider.headers)
    for secret in ("secret question", ANSWER, "UPSTREAM"):
        assert secret not in "".join(span.to_json() for span in found.values())


def test_a_stream_that_breaks_is_an_error(tmp_path: Path, spans: InMemorySpanExporter) -> None:
    with ScriptedProvider() as provider, gateway(tmp_path, provider.url, {"a": "breaks-later"}) as url:
        httpx.post(f"{url}/v1/chat/completions", json={**ASK, "stream": True})
        found = finished(spans, "POST /v1/chat/completions")
    assert dict(found["chat a-upstream"].attributes or {})["error.type"] == "UpstreamError"


def test_a_listener_that_fails_costs_no_answer(
    tmp_path: Path, tracing: TracerProvider, capfd: pytest.CaptureFixture[str]
) -> None:
    tracing.add_span_processor(Broken())
    with ScriptedProvider() as provider, gateway(tmp_path, provider.url, {"a": "ok"}) as url:
        assert httpx.post(f"{url}/v1/chat/completions", json=ASK).status_code == 200
    assert "a broken listener" in capfd.readouterr().err
